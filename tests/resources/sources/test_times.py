"""A time is read whole or not at all, and in every documented spelling alike."""

import datetime as dt
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.config.source import FileSource
from resources.sources.times import MACROS, reading

TEN = dt.datetime(2026, 7, 6, 10)  # noqa: DTZ001 - what is read is naive UTC


def source(**more):
    given = {"id": "s", "entity": "members", "kind": "files", "format": "jsonl", "path": "*"}
    return FileSource.model_validate({**given, "layout": "members", **more})


class Reader:
    """Reads texts as a source's times."""

    def __init__(self, **declared):
        self.session = duckdb.connect()
        self.session.execute("set TimeZone = 'UTC'")
        self.session.execute(MACROS)
        self.session.execute(reading(source(**declared)))

    def __call__(self, text):
        return self.session.execute("select utc($1)", [text]).fetchone()[0]

    def problem(self, text):
        return self.session.execute("select why_no_time($1)", [text]).fetchone()[0]


@pytest.fixture(scope="module")
def read():
    return Reader()


@pytest.fixture(scope="module")
def shanghai():
    return Reader(time_zone="Asia/Shanghai")


SPELLINGS = {
    "2026-07-06T10:00:00.123Z": TEN.replace(microsecond=123000),
    "2026-07-06T10:00:00,123Z": TEN.replace(microsecond=123000),
    "2026-07-06T10:00:00Z": TEN,
    "2026-07-06t10:00:00z": TEN,
    "2026-07-06T10:00:00 Z": TEN,
    "2026-07-06 10:00:00 UTC": TEN,
    "2026-07-06 10:00:00.123456 UTC": TEN.replace(microsecond=123456),
    "2026-07-06T10:00:00.123456789Z": TEN.replace(microsecond=123456),
    "2026-07-06 10:00:00 GMT": TEN,
    "2026-07-06 18:00:00+08": TEN,
    "2026-07-06 18:00:00+8": TEN,
    "2026-07-06 18:00:00+0800": TEN,
    "2026-07-06 18:00:00 +0800": TEN,
    "2026-07-06 18:00:00.1234567 +08:00": TEN.replace(microsecond=123456),
    "2026-07-06 18:00:00 GMT+8": TEN,
    "2026-07-06 18:00:00 UTC+08:00": TEN,
    "2026-07-06 18:00:00 GMT+0800 (China Standard Time)": TEN,
    "2026-07-06 18:00:00 +0800 CST": TEN,
    "Mon Jul 06 2026 18:00:00 GMT+0800 (中国标准时间)": TEN,
    "2026-07-06T18:00:00+08:00[Asia/Shanghai]": TEN,
    "2026-07-06T18:00+08:00[Asia/Shanghai]": TEN,
    "2026-07-06T10:00:00Z[Asia/Shanghai][u-ca=gregory]": TEN,
    "2026-07-06T18:00[Asia/Shanghai]": TEN,
    "2026-07-06 19:00:00 Asia/Tokyo": TEN,
    "2026-07-06 19:00:00 Japan": TEN,
    "2026-07-06T02:00:00-08:00": TEN,
    "2026-07-06 10:00": TEN,
    "2026-07-06 10:00 PM": TEN.replace(hour=22),
    "2026-07-06 10:00:00PM": TEN.replace(hour=22),
    "2026-07-06, 10:00:00 p.m.": TEN.replace(hour=22),
    "2026-07-06 12:30 AM": TEN.replace(hour=0, minute=30),
    "2026-07-06 12:30 PM": TEN.replace(hour=12, minute=30),
    "2026-07-06 10:00:00 AM UTC": TEN,
    "2026-07-06 10 PM": TEN.replace(hour=22),
    "2026-07-06T10": TEN,
    "2026/7/6 10:00": TEN,
    "2026.07.06 10:00": TEN,
    "2026年7月6日 10:00": TEN,
    "2026年07月06日10时00分00秒": TEN,
    "2026年7月6日 下午10:00": TEN.replace(hour=22),
    "2026/7/6 上午10:00:00": TEN,
    "2026年7月6日星期一 10:00:00": TEN,
    "２０２６－０７－０６　１０：００：００": TEN,
    "\u00a02026-07-06 10:00:00\u00a0": TEN,
    "7/6/2026": None,
    "2026-07-06": TEN.replace(hour=0),
    "2026-07-06Z": TEN.replace(hour=0),
    "2026-07-06+00:00": TEN.replace(hour=0),
    "20260706": TEN.replace(hour=0),
    "20260706T100000Z": TEN,
    "20260706T100000.5Z": TEN.replace(microsecond=500000),
    "20260706T180000+0800": TEN,
    "20260706100000": TEN,
    "202607061000": TEN,
    "Mon, 06 Jul 2026 18:00:00 +0800": TEN,
    "6 Jul 2026 10:00:00 GMT": TEN,
    "Monday, 06-Jul-26 10:00:00 GMT": TEN,
    "Mon Jul  6 10:00:00 2026": TEN,
    "Mon Jul  6 10:00:00 UTC 2026": TEN,
    "Mon Jul 06 18:00:00 GMT+08:00 2026": TEN,
    "July 6, 2026 10:00 PM": TEN.replace(hour=22),
    "Jul 6, 2026, 10:00:00\u202fPM": TEN.replace(hour=22),
    "06/Jul/2026:18:00:00 +0800": TEN,
    "06-JUL-26 10.00.00.000000 PM": TEN.replace(hour=22),
    "2026-07-06-10.00.00.123456": TEN.replace(microsecond=123456),
    "1783332000": TEN,
    "1783332000.5": TEN.replace(microsecond=500000),
    "1783332000000": TEN,
    "1783332000000.0": TEN,
    "1783332000123456": TEN.replace(microsecond=123456),
    "1783332000123456789": TEN.replace(microsecond=123456),
    "1.783332E9": TEN,
    "2026-07-06T24:00:00Z": TEN.replace(day=7, hour=0),
    "2026-07-06 24:00": TEN.replace(day=7, hour=0),
    "2026-07-06T23:59:60Z": TEN.replace(day=7, hour=0),
}
NO_TIMES = (
    *("", " ", "infinity", "now", "today", "2026", "2026-07", "10:00", "2026-02-30", "2026-13-01"),
    *("07/06/2026", "13/07/2026 10:00", "6.7.2026", "07-06-26", "2026-W28-1", "46209.4"),
    *("2026-07-06 10:00:00 CST", "2026-07-06 10:00:00 EST", "Mon Jul  6 10:00:00 CST 2026"),
    *("2026-07-06 10:00:00 Foo/Bar", "2026-07-06T10:00:00ZZ", "2026-07-06T10:00:00.1 PZ"),
    *("2026-07-06 10:00:00 xyz", "2026-07-06 22:00 PM", "2026-07-06 AM 10:00 PM"),
    *("2026-07-06T10:00:00Z+08:00", "2026-07-06T10:00:00+25:00", "2026-07-06T10:00:00+08:61"),
    *("2026-07-06T10:00:00+08:00[Asia/Tokyo]", "2026-07-06 25:00", "2026-07-06 24:01"),
    *("2026-07-06 10:61", "2026-07-06 10:00:61", "Tue, 06 Jul 2026 10:00:00 +0800"),
    *("2026-07-06 10:00:00+080", "2026-07-06 10:00:00.1234567890", "0", "-1", "99999999999"),
    *("20260230T100000Z", "2026-07-06T10:00:00 +08:00 +08:00", "2026-07-06 10"),
    *("2026-07-06 10:00:00 (noon)", "2026-07-06 10:00:00 UTC GMT", "6 Foo 2026 10:00"),
)


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_documented_spelling_is_read(read, text):
    assert read(text) == SPELLINGS[text]


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_not_understood_is_no_time(read, text):
    assert read(text) is None


def test_a_reason_says_what_to_do(read):
    assert "time_format" in read.problem("07/06/2026 10:00")
    assert "zone" in read.problem("2026-07-06 10:00:00 CST")
    assert "expected one such as" in read.problem("soon")


def test_a_local_time_is_of_the_sources_zone(shanghai):
    for text in ("2026-07-06 18:00:00", "2026/7/6 18:00", "2026-07-06T18:00", "20260706180000"):
        assert shanghai(text) == TEN
    assert shanghai("2026-07-06") == TEN.replace(day=5, hour=16)
    assert shanghai("1783332000") == TEN
    assert shanghai("2026-07-06T10:00:00Z") == TEN


def test_of_a_time_that_comes_twice_the_first_counts():
    berlin, utc = Reader(time_zone="Europe/Berlin"), Reader()
    twice = dt.datetime(2026, 10, 25, 0, 30)  # noqa: DTZ001
    never = dt.datetime(2026, 3, 29, 1, 30)  # noqa: DTZ001
    for text in ("2026-10-25 02:30:00", "2026/10/25 02:30"):
        assert berlin(text) == twice
    assert utc("2026-10-25 02:30 Europe/Berlin") == twice
    assert utc("2026-10-25T02:30+01:00[Europe/Berlin]") == twice.replace(hour=1)
    for text in ("2026-03-29 02:30:00", "2026/3/29 2:30"):
        assert berlin(text) == never


def test_a_format_settles_what_a_date_means():
    first = Reader(time_format="%d/%m/%Y %H:%M", time_zone="Asia/Shanghai")
    assert first("06/07/2026 18:00") == TEN
    assert first("06/07/2026 18:00 x") is None
    assert first("2026-07-06T10:00:00Z") is None
    assert "%d/%m/%Y" in first.problem("2026-07-06T10:00:00Z")
    several = Reader(time_format=["%m/%d/%Y %I:%M %p", "%m/%d/%Y"])
    assert several("07/06/2026 10:00 PM") == TEN.replace(hour=22)
    assert several("07/06/2026") == TEN.replace(hour=0)
    assert Reader(time_format="%d.%m.%Y %H:%M %z")("06.07.2026 18:00 +0800") == TEN


@pytest.mark.parametrize("given", ["%H:%M", "%d/%m/%Y %Z", "%d/%m/%Q", "%d/%m"])
def test_a_format_that_tells_no_date_is_refused(given):
    with pytest.raises(ValueError, match="expected"):
        source(time_format=given)


ZONES = ("UTC", "Asia/Shanghai", "America/New_York", "Asia/Kolkata", "Europe/Berlin")
FORMS = (
    lambda at: at.isoformat(),
    lambda at: at.isoformat(" "),
    lambda at: at.isoformat(timespec="milliseconds"),
    lambda at: at.isoformat().replace(".", ","),
    lambda at: at.strftime("%Y-%m-%d %H:%M:%S.%f %z"),
    lambda at: at.strftime("%Y%m%dT%H%M%S%z"),
    lambda at: at.strftime("%Y/%m/%d %I:%M:%S %p %z"),
    lambda at: at.strftime("%d %B %Y %H:%M:%S %z"),
    lambda at: at.strftime("%a %b %d %Y %H:%M:%S GMT%z"),
    format_datetime,
    lambda at: f"{at.isoformat()}[{at.tzinfo.key}]",
    lambda at: f"{at.timestamp():.6f}",
    lambda at: f"{at.timestamp() * 1000:.0f}",
)


@given(
    at=st.datetimes(dt.datetime(1995, 1, 1), dt.datetime(2100, 1, 1)),  # noqa: DTZ001
    zone=st.sampled_from(ZONES),
    form=st.sampled_from(range(len(FORMS))),
)
def test_a_time_is_read_as_python_computes_it(read, at, zone, form):
    at = at.replace(tzinfo=ZoneInfo(zone), microsecond=at.microsecond // 1000 * 1000)
    expected = at.astimezone(dt.UTC).replace(tzinfo=None)
    found = read(FORMS[form](at))
    assert abs(found - expected) < dt.timedelta(seconds=1)
    if "%S" not in FORMS[form](at) and form in (0, 1, 2, 3, 4, 10, 11):
        assert found == expected


@given(
    text=st.sampled_from([text for text, at in SPELLINGS.items() if at and not text[0].isspace()]),
    junk=st.sampled_from(
        [
            *("x", " x", "?", "Z Z", ";", " junk", "!", "\u00e9", " 7x", ":::", "#", " Foo/Bar"),
            *(" PM PM", "+", "[", ")", "'", '"', ".", "_", "$", "\\N", "/"),
        ]
    ),
)
def test_nothing_may_follow_a_time(read, text, junk):
    assert read(text + junk) is None
