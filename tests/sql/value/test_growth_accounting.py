"""Where the active members of a period come from, and where those of the one before went."""

import datetime as dt
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.clean.contracts import MEMBERS
from assets.features.contracts import TRACKING
from assets.value.contracts import GROWTH_ACCOUNTING

# A Monday, and the first of a month.
START = dt.date(2026, 6, 1)
COUNTS = ("new", "returning", "resurrected", "went_dormant", "active", "active_before")


@pytest.fixture
def run(tables, live):
    """Runs growth_accounting on active days, given as days after the start."""

    def make(active: Mapping[int, list[int]], last_day: int):
        load_date = START + dt.timedelta(days=last_day)
        days = {
            member_id: [START + dt.timedelta(days=day) for day in days]
            for member_id, days in active.items()
        }
        live(load_date, days)
        rows = tables.run(GROWTH_ACCOUNTING, load_date)
        assert tables.offending(GROWTH_ACCOUNTING) == {}
        return rows

    return make


def counts(rows, unit: str) -> list[tuple[int, ...]]:
    """The counts of a unit's periods, in their order."""
    return [tuple(row[name] for name in COUNTS) for row in rows if row["unit"] == unit]


def test_who_comes_stays_leaves_and_comes_back(run):
    rows = run({1: [0, 1, 3], 2: [0, 2], 3: [1]}, last_day=4)
    assert counts(rows, "day") == [
        (2, 0, 0, 0, 2, 0),
        (1, 1, 0, 1, 2, 2),
        (0, 0, 1, 2, 1, 2),
        (0, 0, 1, 1, 1, 1),
        (0, 0, 0, 1, 0, 1),
    ]


def test_weeks_and_months_count_a_member_once(run):
    rows = run({1: [0, 3, 8, 40], 2: [6, 7], 3: [2, 30]}, last_day=61)
    assert counts(rows, "week") == [
        (3, 0, 0, 0, 3, 0),
        (0, 2, 0, 1, 2, 3),
        (0, 0, 0, 2, 0, 2),
        (0, 0, 0, 0, 0, 0),
        (0, 0, 1, 0, 1, 0),
        (0, 0, 1, 1, 1, 1),
        (0, 0, 0, 1, 0, 1),
        (0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0),
    ]
    assert counts(rows, "month") == [(3, 0, 0, 0, 3, 0), (0, 2, 0, 1, 2, 3), (0, 0, 0, 2, 0, 2)]


def test_the_quick_ratio_is_gained_over_lost(run):
    rows = run({1: [0, 2], 2: [0], 3: [0], 4: [1], 5: [2]}, last_day=3)
    ratios = [row["quick_ratio"] for row in rows if row["unit"] == "day"]
    # 3 left on the day after the first and one came; then one left, one came and one came back.
    assert ratios == [None, pytest.approx(1 / 3), 2, 0]


def test_a_period_that_has_not_ended_has_counts_but_no_ratio(run):
    """Who has not come yet may still come: the ratio would be too low."""
    rows = run({1: [0], 2: [7]}, last_day=9)
    weeks = [row for row in rows if row["unit"] == "week"]
    assert counts(rows, "week") == [(1, 0, 0, 0, 1, 0), (1, 0, 0, 1, 1, 1)]
    assert [(row["is_complete"], row["quick_ratio"]) for row in weeks] == [
        (True, None),
        (False, None),
    ]


def test_a_period_is_complete_with_its_last_day(run):
    by_day = {last_day: run({1: [0]}, last_day) for last_day in (6, 5)}
    is_complete = {
        last_day: [row["is_complete"] for row in rows if row["unit"] == "week"]
        for last_day, rows in by_day.items()
    }
    assert is_complete == {6: [True], 5: [False]}


def test_nobody_gives_no_periods(run):
    assert run({}, last_day=3) == []


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    active=st.dictionaries(
        st.integers(1, 12), st.lists(st.integers(0, 100), min_size=1, max_size=12, unique=True)
    ),
    quiet_days=st.integers(0, 40),
)
def test_the_identity_and_every_count_hold_in_every_shop(run, active, quiet_days):
    last_day = max((max(days) for days in active.values()), default=0) + quiet_days
    rows = run(active, last_day)
    for unit in ("day", "week", "month"):
        found = [row for row in rows if row["unit"] == unit]
        assert counts(found, unit) == counted_by_hand(active, unit, last_day)
        for row in found:
            came = row["new"] + row["resurrected"]
            assert row["active"] == row["active_before"] + came - row["went_dormant"]
        for before, row in pairwise(found):
            assert row["active_before"] == before["active"]


def counted_by_hand(
    active: Mapping[int, list[int]], unit: str, last_day: int
) -> list[tuple[int, ...]]:
    """The definitions, as sets of members."""
    if not active:
        return []
    periods = list(dict.fromkeys(start_of(day, unit) for day in range(last_day + 1)))
    there = [
        {member for member, days in active.items() if period in {start_of(d, unit) for d in days}}
        for period in periods
    ]
    begun = next(number for number, members in enumerate(there) if members)
    found: list[tuple[int, ...]] = []
    for number in range(begun, len(periods)):
        now, before = there[number], there[number - 1] if number else set[int]()
        earlier = set[int]().union(*there[:number])
        found.append(
            (
                len(now - earlier),
                len(now & before),
                len((now & earlier) - before),
                len(before - now),
                len(now),
                len(before),
            )
        )
    return found


def start_of(day: int, unit: str) -> dt.date:
    """The first day of the period in which a day after the start lies."""
    date = START + dt.timedelta(days=day)
    if unit == "week":
        return date - dt.timedelta(days=date.weekday())
    return date.replace(day=1) if unit == "month" else date


def test_who_had_signed_up_before_history_begins_is_not_new_in_it(run, tables):
    """History begins on day 2; of the three who are seen then, one signed up long before."""
    tables.given(
        TRACKING,
        [
            {
                "kind": kind,
                "first_date": START + dt.timedelta(days=2),
                "first_complete_date": START + dt.timedelta(days=3),
            }
            for kind in ("acts", "activity")
        ],
    )
    long_ago = dt.datetime(2020, 1, 1)  # noqa: DTZ001 - stored timestamps are naive UTC
    tables.given(
        MEMBERS,
        [
            {"member_id": member, "time_zone_source": "shop", "signed_up_at": long_ago}
            for member in (1, 4)
        ],
    )
    # Member 4 ordered before: her first active day lies there.
    rows = run({1: [2, 4], 2: [2], 3: [3], 4: [0, 4]}, last_day=5)
    assert counts(rows, "day") == [
        (1, 0, 0, 0, 1, 0),
        (0, 0, 0, 1, 0, 1),
        (1, 0, 1, 0, 2, 0),
        (1, 0, 0, 2, 1, 2),
        (0, 0, 2, 1, 2, 1),
        (0, 0, 0, 2, 0, 2),
    ]
    cut = [(row["is_cut"], row["cut_by"]) for row in rows if row["unit"] == "day"]
    assert cut == [(True, "period")] * 3 + [(True, "period_before")] + [(False, None)] * 2
    ratios = [row["quick_ratio"] for row in rows if row["unit"] == "day"]
    assert ratios == [None, None, None, None, 2, 0]
    (month,) = [row for row in rows if row["unit"] == "month"]
    assert (month["new"], month["resurrected"], month["cut_by"]) == (3, 1, "period")
