"""From which stage at a month's start members came to which at its end."""

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterable, Mapping

import pytest

from assets.features.contracts import TRACKING
from assets.value.contracts import LIFECYCLE_HISTORY, LIFECYCLE_TRANSITIONS, STAGES

LOAD_DATE = dt.date(2026, 3, 31)
RUN_DATE = dt.date(2026, 4, 1)
# The first complete day of orders.
WATCHED_SINCE = dt.date(2026, 1, 15)


@pytest.fixture
def run(tables):
    """Runs lifecycle_transitions on histories, given as entered dates and stages by member."""

    def make(histories: Mapping[int, Iterable[tuple[dt.date, str]]], load_date: dt.date):
        rows: list[Mapping[str, object]] = []
        for member_id, spells in histories.items():
            entered = list(spells)
            left = [date for date, _ in entered[1:]]
            rows += [
                {"member_id": member_id, "entered_date": date, "left_date": end, "stage": stage}
                for (date, stage), end in zip(entered, [*left, None], strict=True)
            ]
        tables.given(LIFECYCLE_HISTORY, rows)
        tables.given(TRACKING, [{"kind": "orders", "first_complete_date": WATCHED_SINCE}])
        found = tables.run(LIFECYCLE_TRANSITIONS, load_date)
        assert tables.offending(LIFECYCLE_TRANSITIONS) == {}
        return found

    return make


def moves(rows, month: int) -> dict[tuple[str, str], tuple[int, float | None]]:
    """The cells of a month of 2026 that count somebody."""
    return {
        (row["from_stage"], row["to_stage"]): (row["n_members"], row["rate"])
        for row in rows
        if row["month_date"] == dt.date(2026, month, 1) and row["n_members"]
    }


def test_members_move_and_stay(run):
    rows = run(
        {
            1: [(dt.date(2025, 12, 20), "new"), (dt.date(2026, 1, 10), "active")],
            2: [(dt.date(2026, 1, 1), "new"), (dt.date(2026, 2, 1), "dormant")],
            3: [(dt.date(2025, 12, 1), "prospect")],
            # Known only after the month's start.
            4: [(dt.date(2026, 1, 2), "prospect")],
            # Within the month there and back is staying.
            5: [
                (dt.date(2025, 12, 5), "new"),
                (dt.date(2026, 1, 5), "active"),
                (dt.date(2026, 1, 20), "new"),
            ],
        },
        LOAD_DATE,
    )
    assert moves(rows, 1) == {
        ("new", "active"): (1, pytest.approx(1 / 3)),
        ("new", "dormant"): (1, pytest.approx(1 / 3)),
        ("new", "new"): (1, pytest.approx(1 / 3)),
        ("prospect", "prospect"): (1, 1),
    }
    assert moves(rows, 3)["prospect", "prospect"] == (2, 1)
    assert {row["month_date"].month for row in rows if row["is_cut"]} == {12, 1}


def test_every_stage_stands_against_every_stage(run):
    rows = run({1: [(dt.date(2026, 2, 1), "new")]}, LOAD_DATE)
    cells = [(row["month_date"].month, row["from_stage"], row["to_stage"]) for row in rows]
    assert sorted(cells) == sorted(
        (month, before, after) for month in (2, 3) for before in STAGES for after in STAGES
    )
    rates = {row["from_stage"]: row["rate"] for row in rows if row["to_stage"] == "lost"}
    assert rates == {stage: 0 if stage == "new" else None for stage in STAGES}


def test_a_month_that_is_not_over_ends_now(run):
    history = {1: [(dt.date(2026, 2, 20), "new"), (dt.date(2026, 3, 15), "dormant")]}
    rows = run(history, dt.date(2026, 3, 20))
    assert moves(rows, 3) == {("new", "dormant"): (1, 1)}
    assert {row["is_complete"] for row in rows} == {False}


def test_a_month_is_complete_with_its_last_day(run):
    rows = run({1: [(dt.date(2026, 2, 20), "new")]}, LOAD_DATE)
    assert {(row["month_date"].month, row["is_complete"]) for row in rows} == {(3, True)}


def test_who_came_within_the_only_month_makes_no_rows(run):
    assert run({1: [(dt.date(2026, 3, 2), "prospect")]}, LOAD_DATE) == []


def test_every_member_known_at_the_start_is_counted_once(run):
    draw = random.Random(20261122)
    histories = {
        member_id: [
            (RUN_DATE - dt.timedelta(days=ago), draw.choice(STAGES))
            for ago in sorted(draw.sample(range(300), draw.randint(1, 6)), reverse=True)
        ]
        for member_id in range(40)
    }

    def stage_at(member_id: int, date: dt.date) -> str | None:
        return next((stage for day, stage in histories[member_id][::-1] if day <= date), None)

    rows = run(histories, LOAD_DATE)
    months = sorted({row["month_date"] for row in rows})
    for start, end in zip(months, [*months[1:], RUN_DATE], strict=True):
        expected = Counter(
            (stage, stage_at(member_id, end))
            for member_id in histories
            if (stage := stage_at(member_id, start)) is not None
        )
        found = {
            (row["from_stage"], row["to_stage"]): row["n_members"]
            for row in rows
            if row["month_date"] == start and row["n_members"]
        }
        assert found == expected
    assert months[0] <= min(spells[0][0] for spells in histories.values()) + dt.timedelta(days=31)
