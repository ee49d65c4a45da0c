"""Order days in their order, each with what came before and after."""

import datetime as dt
import random
from decimal import Decimal
from itertools import pairwise
from statistics import median

from assets.features.contracts import MEMBER_DAYS, ORDER_DAYS

LOAD_DATE = dt.date(2026, 3, 31)
DAY = dt.date(2026, 3, 1)


def given(tables, orders: dict[int, list[int]], **columns: object) -> None:
    """Member days with one order each, given as days after the first of March."""
    tables.given(
        MEMBER_DAYS,
        [
            {"member_id": member_id, "date": DAY + dt.timedelta(days=day), "n_orders": 1, **columns}
            for member_id, days in orders.items()
            for day in days
        ],
    )


def test_no_days_give_no_order_days(tables):
    given(tables, {})
    assert tables.run(ORDER_DAYS, LOAD_DATE) == []


def test_days_without_an_order_are_left_out(tables):
    tables.given(
        MEMBER_DAYS,
        [
            {"member_id": 1, "date": DAY, "n_views": 3},
            {"member_id": 1, "date": DAY + dt.timedelta(days=4), "margin": -3},
        ],
    )
    assert tables.run(ORDER_DAYS, LOAD_DATE) == []


def test_an_only_order_has_nothing_before_and_after(tables):
    given(tables, {1: [0]}, net_revenue=20, margin=-5)
    (row,) = tables.run(ORDER_DAYS, LOAD_DATE)
    assert tables.offending(ORDER_DAYS) == {}
    assert row == {
        "member_id": 1,
        "date": DAY,
        "nth": 1,
        "first_date": DAY,
        "previous_order_date": None,
        "gap_days": None,
        "median_gap_days": None,
        "next_order_date": None,
        "net_revenue": Decimal(20),
        "margin": Decimal(-5),
    }


def test_the_median_is_of_the_gaps_so_far(tables):
    given(tables, {1: [0, 10, 12, 13, 30], 2: [5, 6]})
    rows = tables.run(ORDER_DAYS, LOAD_DATE)
    found = [(row["nth"], row["gap_days"], row["median_gap_days"]) for row in rows]
    assert found == [
        *[(1, None, None), (2, 10, 10), (3, 2, 6), (4, 1, 2), (5, 17, 6)],
        *[(1, None, None), (2, 1, 1)],
    ]


def test_every_day_of_many_members(tables):
    draw = random.Random(20261122)
    orders = {
        member_id: sorted(draw.sample(range(30), draw.randint(1, 12))) for member_id in range(30)
    }
    given(tables, orders)
    rows = tables.run(ORDER_DAYS, LOAD_DATE)
    assert tables.offending(ORDER_DAYS) == {}
    expected: list[tuple[object, ...]] = []
    for member_id, days in orders.items():
        dates = [DAY + dt.timedelta(days=day) for day in days]
        gaps = [after - before for before, after in pairwise(days)]
        expected += [
            (
                member_id,
                date,
                at + 1,
                dates[0],
                dates[at - 1] if at else None,
                gaps[at - 1] if at else None,
                median(gaps[:at]) if at else None,
                dates[at + 1] if at + 1 < len(dates) else None,
            )
            for at, date in enumerate(dates)
        ]
    assert [tuple(row.values())[:8] for row in rows] == expected
