"""Members of the cohort active in period t over the size of the cohort, in four modes."""

import datetime as dt
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.clean.contracts import MEMBER_ATTRIBUTES, MEMBERS
from assets.features.contracts import MEMBERS as MEMBER_FEATURES
from assets.features.contracts import TRACKING
from assets.tags.contracts import MEMBER_PREFERENCES
from assets.value.contracts import RETENTION_COHORTS, RFM
from resources.config.shop import SegmentColumn

# A Monday, and the first of a month.
START = dt.date(2026, 6, 1)
UNITS = ("day", "week", "month")
LENGTHS = {"day": 30, "week": 26, "month": 24}


@pytest.fixture
def run(tables, live):
    """Runs retention_cohorts on active days, given as days after the start."""
    for contract in (MEMBERS, MEMBER_ATTRIBUTES, MEMBER_FEATURES, MEMBER_PREFERENCES, RFM):
        tables.given(contract)

    def make(active: Mapping[int, list[int]], last_day: int, **parameters: object):
        load_date = START + dt.timedelta(days=last_day)
        days = {
            member_id: [START + dt.timedelta(days=day) for day in days]
            for member_id, days in active.items()
        }
        live(load_date, days)
        rows = tables.run(RETENTION_COHORTS, load_date, **parameters)
        assert tables.offending(RETENTION_COHORTS) == {}
        return rows

    return make


def so_far(rows, unit: str, mode: str, cohort_date: dt.date = START) -> list[int]:
    """What is known of one cohort's retained, by period, complete or not."""
    wanted = (unit, mode, cohort_date, "all")
    return [
        row["retained_so_far"]
        for row in rows
        if (row["unit"], row["mode"], row["cohort_date"], row["segment"]) == wanted
    ]


def rates(
    rows, unit: str, mode: str, cohort_date: dt.date = START, segment: str = "all"
) -> list[float | None]:
    """The rates of one cohort, by period."""
    wanted = (unit, mode, cohort_date, segment)
    return [
        row["rate"]
        for row in rows
        if (row["unit"], row["mode"], row["cohort_date"], row["segment"]) == wanted
    ]


def test_three_members_over_a_week(run):
    """The example of PostHog's issue 13748, and its other two modes counted by hand."""
    rows = run({1: [0], 2: [0, 1], 3: [0, 5]}, last_day=6)
    in_percent = {
        mode: [round(100 * rate) for rate in rates(rows, "day", mode) if rate is not None]
        for mode in ("exact", "bracket", "consecutive")
    }
    assert in_percent == {
        "exact": [100, 33, 0, 0, 0, 33, 0],
        # Days 0, 1 to 2, 3 to 6.
        "bracket": [100, 33, 33],
        "consecutive": [100, 33, 0, 0, 0, 0, 0],
    }
    # Anybody may still come back, but for those who are counted already.
    assert so_far(rows, "day", "on_or_after") == [3, 2, 1, 1, 1, 1, 0]
    assert rates(rows, "day", "on_or_after") == [1, *[None] * 6]


def test_a_bracket_counts_a_member_once_and_only_within_its_bounds(run):
    rows = run({1: [0, 1, 2, 3], 2: [0, 6], 3: [0, 7, 13], 4: [0, 14]}, last_day=20)
    brackets = [
        (row["period"], row["bracket_start"], row["bracket_end"], row["retained"])
        for row in rows
        if row["unit"] == "day" and row["mode"] == "bracket"
    ]
    # Days 14 to 29 are not over.
    assert brackets == [(0, 0, 1, 4), (1, 1, 3, 1), (2, 3, 7, 2), (3, 7, 14, 1), (4, 14, 30, None)]


def test_brackets_are_the_shops(run):
    rows = run({1: [0, 4], 2: [0, 20]}, last_day=40, retention_brackets=[5, 30])
    assert rates(rows, "day", "bracket") == [1, 0.5]
    bounds = {(row["bracket_start"], row["bracket_end"]) for row in rows if row["unit"] == "day"}
    assert bounds == {(None, None), (0, 5), (5, 30)}
    assert rates(run({1: [0]}, 5, retention_brackets=[]), "day", "bracket") == []


def test_brackets_of_weeks_and_months_count_weeks_and_months(run):
    rows = run({1: [6, 7, 20], 2: [0, 21, 92], 3: [0]}, last_day=150)
    # Weeks 0, 1 to 2, 3 to 6, 7 to 13, and 14 to 29, which is not over.
    assert rates(rows, "week", "bracket") == [
        1,
        pytest.approx(1 / 3),
        pytest.approx(1 / 3),
        pytest.approx(1 / 3),
        None,
    ]
    # June, July to August, September on: day 92 is the first of September.
    assert rates(rows, "month", "bracket") == [1, 0, None]


def test_consecutive_ends_with_the_first_period_left_out(run):
    rows = run({1: [0, 1, 2, 4], 2: [0, 2, 3], 3: [3, 8, 14, 30]}, last_day=34)
    assert rates(rows, "day", "consecutive")[:5] == [1, 0.5, 0.5, 0, 0]
    assert rates(rows, "week", "consecutive")[:5] == [1, *[pytest.approx(1 / 3)] * 2, 0, 0]
    assert rates(rows, "month", "consecutive") == [1, None]


def test_eighty_of_the_same_hundred(run):
    """Newcomers are no returners: only members of the cohort count."""
    returners = {member: [0, 1] for member in range(80)}
    leavers = {member: [0] for member in range(80, 100)}
    newcomers = {member: [1] for member in range(100, 150)}
    rows = run(returners | leavers | newcomers, last_day=1)
    assert rates(rows, "day", "exact") == [1, 0.8]
    assert {row["cohort_size"] for row in rows if row["cohort_date"] == START} == {100, 150}


def test_no_days_give_no_cohorts(run):
    assert run({}, last_day=0) == []


def test_a_period_that_has_not_ended_is_null_and_never_0(run):
    rows = run({1: [0], 2: [0, 8]}, last_day=9)
    assert rates(rows, "week", "exact") == [1, None]
    assert rates(rows, "week", "on_or_after") == [1, None]
    weeks = [row for row in rows if row["unit"] == "week" and row["mode"] == "exact"]
    assert [(row["retained"], row["is_complete"]) for row in weeks] == [(2, True), (None, False)]


def test_the_cohorts_own_period_has_to_end_too(run):
    rows = run({1: [0]}, last_day=2)
    assert rates(rows, "week", "exact") == [None]
    assert rates(rows, "day", "exact") == [1, 0, 0]


def test_a_period_is_complete_with_its_last_day(run):
    assert rates(run({1: [0]}, last_day=6), "week", "exact") == [1]


def test_weeks_begin_on_monday_and_months_on_the_first(run):
    rows = run({1: [2, 29], 2: [3, 30], 3: [20]}, last_day=60)
    week = {row["cohort_date"] for row in rows if row["unit"] == "week"}
    month = {row["cohort_date"] for row in rows if row["unit"] == "month"}
    assert week == {START, START + dt.timedelta(days=14)}
    assert month == {START}
    assert rates(rows, "week", "exact")[:5] == [1, 0, 0, 0, 1]
    assert rates(rows, "month", "exact") == [1, pytest.approx(1 / 3)]


def test_later_activity_counts_even_beyond_the_last_period_shown(run):
    rows = run({1: [0, 40], 2: [0]}, last_day=50)
    assert so_far(rows, "day", "on_or_after") == [2] + [1] * 30
    assert rates(rows, "day", "on_or_after") == [1] + [None] * 30
    assert rates(rows, "day", "exact")[1:] == [0] * 30


def test_periods_end_with_their_units_maximum(run):
    rows = run({1: [0]}, last_day=1000)
    longest = {
        unit: max(row["period"] for row in rows if row["unit"] == unit and row["mode"] == "exact")
        for unit in UNITS
    }
    assert longest == LENGTHS
    shorter = run({1: [0]}, last_day=1000, max_days=3)
    assert len(rates(shorter, "day", "exact")) == 4


def test_members_are_told_apart_by_what_they_are_now(tables, run):
    tables.given(
        MEMBERS,
        [
            {"member_id": 1, "channel": "wechat", "birth_year_band": 1990},
            {"member_id": 2, "channel": "wechat"},
            {"member_id": 3},
        ],
    )
    active = {1: [0, 1], 2: [0], 3: [0, 2], 4: [1]}
    rows = run(active, last_day=2, retention_segments=["channel", "birth_year_band"])
    assert {(row["segment_column"], row["segment"]) for row in rows} == {
        ("all", "all"),
        ("channel", "wechat"),
        ("channel", "unknown"),
        ("birth_year_band", "1990"),
        ("birth_year_band", "unknown"),
    }
    assert rates(rows, "day", "exact") == [1, pytest.approx(1 / 3), pytest.approx(1 / 3)]
    assert rates(rows, "day", "exact", segment="wechat") == [1, 0.5, 0]
    assert rates(rows, "day", "on_or_after", segment="1990") == [1, 1, None]
    by_channel = [row for row in rows if row["segment_column"] == "channel"]
    assert rates(by_channel, "day", "exact", segment="unknown") == [1, 0, 1]


@pytest.mark.parametrize("name", ["income", "attributes.income"])
def test_members_are_told_apart_by_their_own_attributes(tables, run, name):
    tables.given(MEMBERS, [{"member_id": 1}, {"member_id": 2}])
    tables.given(
        MEMBER_ATTRIBUTES,
        [
            {"member_id": 1, "attribute": "income", "value": "50-74K"},
            {"member_id": 1, "attribute": "channel", "value": "tv"},
            {"member_id": 2, "attribute": "household_size", "value": "3"},
        ],
    )
    active = {1: [0], 2: [0, 1]}
    rows = run(active, last_day=1, retention_segments=[name, "channel", "attributes.channel"])
    told = [row for row in rows if row["segment_column"] == name]
    assert rates(told, "day", "exact", segment="50-74K") == [1, 0]
    assert rates(told, "day", "exact", segment="unknown") == [1, 1]
    assert {row["segment"] for row in rows if row["segment_column"] == "channel"} == {"unknown"}
    own = {row["segment"] for row in rows if row["segment_column"] == "attributes.channel"}
    assert own == {"tv", "unknown"}


SEGMENTS = {
    "channel": (MEMBERS, "channel", "app"),
    "country": (MEMBERS, "country", "CN"),
    "locale": (MEMBERS, "locale", "zh-CN"),
    "time_zone": (MEMBERS, "time_zone", "Asia/Tokyo"),
    "birth_year_band": (MEMBERS, "birth_year_band", "1995"),
    "is_identified": (MEMBERS, "is_identified", True),
    "main_channel": (MEMBER_FEATURES, "main_channel", "web"),
    "price_band": (MEMBER_PREFERENCES, "price_band", "high"),
    "brand": (MEMBER_PREFERENCES, "brand", "云朵"),
    "category": (MEMBER_PREFERENCES, "category", "tea"),
    "rfm_segment": (RFM, "segment", "champions"),
}


@pytest.mark.parametrize("segment_column", get_args(SegmentColumn))
def test_every_segment_column_is_read(tables, run, segment_column):
    contract, column, value = SEGMENTS[segment_column]
    tables.given(MEMBERS, [{"member_id": 2}])
    if contract is not MEMBERS:
        tables.given(MEMBERS, [{"member_id": 1}])
    tables.given(contract, [{"member_id": 1, column: value}])
    rows = run({1: [0], 2: [0, 1]}, last_day=1, retention_segments=[segment_column])
    # Of what is never NULL, the filler of a column left out.
    other = {"is_identified": "false", "time_zone": ""}.get(segment_column, "unknown")
    assert rates(rows, "day", "exact", segment="true" if value is True else value) == [1, 0]
    assert rates(rows, "day", "exact", segment=other) == [1, 1]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    active=st.dictionaries(
        st.integers(1, 9), st.lists(st.integers(0, 90), min_size=1, max_size=12, unique=True)
    ),
    quiet_days=st.integers(0, 50),
    brackets=st.lists(st.integers(1, 20), max_size=4, unique=True).map(sorted),
)
def test_every_cell_of_every_mode_is_what_the_definition_says(run, active, quiet_days, brackets):
    last_day = max((max(days) for days in active.values()), default=0) + quiet_days
    rows = run(active, last_day, retention_brackets=brackets)
    found = {
        (row["unit"], row["cohort_date"], row["mode"], row["period"]): (
            row["cohort_size"],
            row["retained"],
        )
        for row in rows
    }
    assert found == counted_by_hand(active, last_day, brackets)


CELL = ("unit", "cohort_date", "period", "mode", "bracket_start")


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    active=st.dictionaries(
        st.integers(1, 6), st.sets(st.integers(0, 70), min_size=1, max_size=8), min_size=1
    ),
    last_day=st.integers(0, 70),
    later=st.dictionaries(st.integers(1, 9), st.sets(st.integers(71, 110), max_size=4)),
)
def test_no_later_activity_changes_a_complete_cell(run, active, last_day, later):
    before = {
        member: sorted(known)
        for member, days in active.items()
        if (known := {day for day in days if day <= last_day})
    }
    members = active.keys() | later.keys()
    after = {member: active.get(member, set()) | later.get(member, set()) for member in members}
    complete = {
        tuple(row[name] for name in CELL): (row["cohort_size"], row["retained"], row["rate"])
        for row in run(before, last_day)
        if row["is_complete"]
    }
    still = {
        tuple(row[name] for name in CELL): (row["cohort_size"], row["retained"], row["rate"])
        for row in run({member: sorted(days) for member, days in after.items()}, 110)
        if row["is_complete"]
    }
    assert {cell: still.get(cell) for cell in complete} == complete


def counted_by_hand(active: Mapping[int, list[int]], last_day: int, brackets: list[int]):
    """Cohort size and retained of every cell, by the definitions, member by member."""
    found: dict[tuple[str, dt.date, str, int], tuple[int, int | None]] = {}
    for unit in UNITS:
        dates = [START + dt.timedelta(days=day) for day in range(-31, last_day + 300)]
        starts = sorted({start_of(date, unit) for date in dates})
        n_begun = sum(start <= START + dt.timedelta(days=last_day) for start in starts)
        n_over = sum(end <= START + dt.timedelta(days=last_day + 1) for end in starts) - 1
        cohorts: dict[int, list[set[int]]] = {}
        for days in active.values():
            periods = {starts.index(start_of(START + dt.timedelta(days=day), unit)) for day in days}
            cohorts.setdefault(min(periods), []).append({each - min(periods) for each in periods})
        for begin, members in cohorts.items():
            for mode, period, first, end, retained in cells_of(members, LENGTHS[unit], brackets):
                if begin + first < n_begun:
                    may_grow = mode == "on_or_after" and retained < len(members)
                    found[unit, starts[begin], mode, period] = (
                        len(members),
                        retained if begin + end <= n_over and not may_grow else None,
                    )
    return found


def cells_of(
    members: list[set[int]], length: int, brackets: list[int]
) -> Iterable[tuple[str, int, int, int, int]]:
    """Mode, period, first and end of its periods, and retained, of members by their ages."""
    for t in range(length + 1):
        yield "exact", t, t, t + 1, sum(t in ages for ages in members)
        yield "on_or_after", t, t, t + 1, sum(max(ages) >= t for ages in members)
        yield "consecutive", t, t, t + 1, sum(set(range(t + 1)) <= ages for ages in members)
    for number, (first, end) in enumerate(pairwise([0, *brackets])):
        within = set(range(first, end))
        yield "bracket", number, first, end, sum(bool(within & ages) for ages in members)


def start_of(date: dt.date, unit: str) -> dt.date:
    """The first day of the period in which a day lies."""
    if unit == "week":
        return date - dt.timedelta(days=date.weekday())
    return date.replace(day=1) if unit == "month" else date


def test_cohorts_from_before_history_are_cut_and_older_members_are_in_none(run, tables):
    """History begins on day 1; members 1 and 2 had signed up before."""
    dates = {"first_date": START + dt.timedelta(days=1)}
    dates |= {"first_complete_date": START + dt.timedelta(days=2)}
    tables.given(TRACKING, [{"kind": "activity", **dates}])
    long_ago = dt.datetime(2020, 1, 1)  # noqa: DTZ001 - stored timestamps are naive UTC
    tables.given(
        MEMBERS,
        [
            {"member_id": member, "time_zone_source": "shop", "signed_up_at": long_ago}
            for member in (1, 2)
        ],
    )
    rows = run({1: [0, 3], 2: [3, 4], 3: [3], 4: [1, 4]}, last_day=5)
    found = {
        (row["cohort_date"] - START).days: (row["cohort_size"], row["is_cut"])
        for row in rows
        if row["unit"] == "day" and row["mode"] == "exact"
    }
    assert found == {0: (1, True), 1: (1, True), 3: (1, False)}
