"""Members of the cohort active in period t over the size of the cohort."""

import datetime as dt

import pytest

from assets.features.contracts import MEMBER_DAYS
from assets.value.contracts import RETENTION_COHORTS

# A Monday, and the first of a month.
START = dt.date(2026, 6, 1)


@pytest.fixture
def run(tables):
    """Runs retention_cohorts on active days, given as days after the start."""

    def make(active: dict[int, list[int]], last_day: int):
        tables.given(
            MEMBER_DAYS,
            [
                {"member_id": member_id, "date": START + dt.timedelta(days=day)}
                for member_id, days in active.items()
                for day in days
            ],
        )
        rows = tables.run(RETENTION_COHORTS, START + dt.timedelta(days=last_day))
        assert tables.offending(RETENTION_COHORTS) == {}
        return rows

    return make


def rates(rows, unit: str, mode: str, cohort_date: dt.date = START) -> list[float | None]:
    """The rates of one cohort, by period."""
    return [
        row["rate"]
        for row in rows
        if (row["unit"], row["mode"], row["cohort_date"]) == (unit, mode, cohort_date)
    ]


def test_three_members_over_a_week(run):
    """The example of PostHog's issue 13748."""
    rows = run({1: [0], 2: [0, 1], 3: [0, 5]}, last_day=6)
    in_percent = {
        mode: [round(100 * rate) for rate in rates(rows, "day", mode)]
        for mode in ("exact", "on_or_after")
    }
    assert in_percent == {
        "exact": [100, 33, 0, 0, 0, 33, 0],
        "on_or_after": [100, 67, 33, 33, 33, 33, 0],
    }


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
    by_day = rates(rows, "day", "on_or_after")
    assert len(by_day) == 31
    assert by_day == [1] + [0.5] * 30
    assert rates(rows, "day", "exact")[1:] == [0] * 30


def test_nothing_after_as_of_counts(run):
    rows = run({1: [0, 1], 2: [1]}, last_day=0)
    assert rates(rows, "day", "exact") == [1]
    assert {row["cohort_date"] for row in rows} == {START}


def test_periods_end_with_their_units_maximum(run):
    rows = run({1: [0]}, last_day=1000)
    longest = {
        unit: max(row["period"] for row in rows if row["unit"] == unit)
        for unit in ("day", "week", "month")
    }
    assert longest == {"day": 30, "week": 26, "month": 24}
