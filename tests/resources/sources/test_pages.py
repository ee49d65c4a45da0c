"""The spool: a page and its cursor are there together or not at all, and only for this shop."""

import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.config.rest_api_source import RestApiSource
from resources.keys import Keys
from resources.sources.files import SourceError
from resources.sources.pages import Page, Spool

KEYS = Keys.derived_from("0123456789abcdef0123456789abcdef")
DAY = dt.date(2026, 7, 3)
SOURCE = RestApiSource(
    id="crm",
    kind="rest_api",
    entity="members",
    layout="members",
    url="https://crm.example.com/members",
)


def records(spool: Spool) -> list[object]:
    return [
        json.loads(line)
        for arrival in spool.arrivals(SOURCE)
        for line in arrival.read().splitlines()
    ]


def test_pages_come_back_in_order_with_their_names_and_days(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS)
    assert spool.cursor("crm") is None
    spool.write("crm", DAY, Page([{"n": 1}, {"n": 2}], "a"))
    # The clock of a machine may be set back: the order is that of writing.
    spool.write("crm", DAY - dt.timedelta(days=1), Page([{"n": 3}], "b"))
    arrivals = spool.arrivals(SOURCE)
    assert [(each.path, each.load_date) for each in arrivals] == [
        ("2026-07-03/00000001", DAY),
        ("2026-07-02/00000002", DAY - dt.timedelta(days=1)),
    ]
    assert records(spool) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert spool.cursor("crm") == Spool(tmp_path, KEYS).cursor("crm") == "b"
    assert spool.cursor("other") is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    st.lists(
        st.dictionaries(
            st.text(), st.text() | st.integers() | st.none() | st.floats(allow_nan=False)
        ),
        min_size=1,
    ),
    st.text(),
)
def test_any_record_comes_back_as_it_was(
    tmp_path: Path, given_records: list[dict[str, object]], cursor: str
) -> None:
    spool = Spool(tmp_path, KEYS)
    file = spool.write("crm", DAY, Page(given_records, cursor))
    # Line by line as collection splits them: at \n alone.
    (arrival,) = (each for each in spool.arrivals(SOURCE) if each.file == file)
    lines = arrival.read().split(b"\n")[:-1]
    assert [json.loads(line) for line in lines] == given_records
    assert Spool(tmp_path, KEYS).cursor("crm") == cursor


def test_a_repeated_page_is_not_stored_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS)
    first = spool.write("crm", DAY, Page([{"n": 1}], "a"))
    for again in (spool, Spool(tmp_path, KEYS)):
        assert again.write("crm", DAY, Page([{"n": 1}], "a")) == first
        assert again.write("crm", DAY, Page([], "a")) == first
    assert spool.write("crm", DAY, Page([{"n": 1}], "b")) != first
    assert spool.write("crm", DAY, Page([{"n": 2}], "b")) != first
    assert records(spool) == [{"n": 1}, {"n": 1}, {"n": 2}]


def test_an_empty_page_moves_the_cursor_and_does_not_arrive(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS)
    spool.write("crm", DAY, Page([{"n": 1}], "a"))
    for cursor in ("b", "c", "d"):
        spool.write("crm", DAY, Page([], cursor))
        assert spool.cursor("crm") == cursor
    assert records(spool) == [{"n": 1}]
    # Only the newest cursor without records is kept.
    assert len(list((tmp_path / "crm").rglob("*.*"))) == 2
    spool.write("crm", DAY, Page([{"n": 2}], "e"))
    assert len(list((tmp_path / "crm").rglob("*.*"))) == 2
    assert records(spool) == [{"n": 1}, {"n": 2}]


def test_what_a_killed_run_left_is_passed_over_and_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS)
    spool.write("crm", DAY, Page([], "a"))
    left = spool.newest("crm")
    assert left is not None
    cursor_file = left.read_bytes()
    spool.write("crm", DAY, Page([{"n": 1}], "b"))
    left.write_bytes(cursor_file)  # killed before the older cursor was removed
    (tmp_path / "crm" / ".writing").write_bytes(b"half")
    assert spool.cursor("crm") == "b"
    assert records(spool) == [{"n": 1}]
    assert spool.prepare("crm") == "b"
    assert [file.name for file in (tmp_path / "crm").rglob("*.*")] == ["00000002.page"]


def test_a_page_shows_nothing_and_opens_in_its_place_only(tmp_path: Path) -> None:
    spool = Spool(tmp_path, KEYS)
    first = spool.write("crm", DAY, Page([{"phone": "13800138000"}] * 50, "cursor-13800138000"))
    assert b"13800138000" not in first.read_bytes()
    assert first.stat().st_mode & 0o777 == 0o600
    assert "0123456789" not in repr(spool.arrivals(SOURCE))
    (arrival,) = spool.arrivals(SOURCE)
    content = first.read_bytes()
    moved = first.with_name("00000002.page")
    cases = {
        moved: content,
        first: content[:-1],
        first.with_name("00000003.page"): b"",
        first.with_name("00000004.page"): content[:5] + b"\x00" + content[6:],
    }
    for file, changed in cases.items():
        file.write_bytes(changed)
        with pytest.raises(SourceError, match=r"source 'crm': .*cannot be read \(page crm/\d"):
            spool.cursor("crm")
        file.unlink()
    first.write_bytes(content)
    with pytest.raises(SourceError, match="SIYU_SECRET is not the one"):
        Spool(tmp_path, Keys.derived_from("another secret of this shop")).cursor("crm")
    assert arrival.read().count(b"13800138000") == 50


def test_a_full_disk_or_a_wrong_right_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "crm").write_text("a file where a folder should be")
    with pytest.raises(SourceError, match=r"cannot be written .*make room or correct the rights"):
        Spool(tmp_path, KEYS).write("crm", DAY, Page([{"n": 1}], "a"))
