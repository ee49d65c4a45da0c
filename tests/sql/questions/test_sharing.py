"""What analysts may ask of sharing."""

import datetime as dt
from decimal import Decimal

import pytest

from assets.social.contracts import K_FACTOR, REFERRALS
from resources.warehouse import read_sql


def months(*rows, cycle_days=2.5):
    """Months of 2026 as (month, active, k)."""
    return [
        {
            "unit": "month",
            "period": dt.date(2026, month, 1),
            "active": active,
            "k": k,
            "cycle_days": cycle_days,
        }
        for month, active, k in rows
    ]


@pytest.mark.parametrize(
    ("k", "after_three"), [(0.5, 100 * 1.875), (1.0, 400), (2.0, 1500), (0.0, 100)]
)
def test_growth_is_the_sum_of_the_generations(tables, k, after_three):
    tables.given(K_FACTOR, months((7, 900, 3.0), (8, 100, k), (9, 500, None)))
    rows = tables.session.rows(read_sql("questions/growth_by_sharing.sql"))
    assert len(rows) == 13
    assert rows[0] == (dt.date(2026, 8, 1), 0, 0, 100)
    # K is what the shares of a month bring, so three generations are three months of August.
    assert rows[3] == (dt.date(2026, 8, 1), 3, 93, round(after_three))


@pytest.mark.parametrize(("cycle_days", "days"), [(2.5, 31), (31.5, 31.5), (None, 31)])
def test_a_generation_lasts_the_month_of_its_k_or_a_longer_cycle(tables, cycle_days, days):
    tables.given(K_FACTOR, months((8, 100, 0.5), cycle_days=cycle_days))
    rows = tables.session.rows(read_sql("questions/growth_by_sharing.sql"))
    assert rows[2] == (dt.date(2026, 8, 1), 2, 2 * days, 175)


def test_a_shop_of_which_no_k_can_be_told_has_no_answer(tables):
    tables.given(K_FACTOR, months((9, 500, None)))
    assert tables.session.rows(read_sql("questions/growth_by_sharing.sql")) == []


def test_trees_are_told_by_their_roots(tables):
    tree = [(2, 1, 1, 10), (3, 2, 1, 5), (4, 3, 1, 1), (12, 1, 11, 20)]
    tables.given(
        REFERRALS,
        [
            {"member_id": member, "depth": depth, "root_id": root, "revenue": net, "n_orders": 1}
            for member, depth, root, net in tree
        ],
    )
    assert tables.session.rows(read_sql("questions/largest_trees.sql")) == [
        (11, 1, 1, 1, 0, 0, 1, Decimal(20)),
        (1, 3, 3, 1, 1, 1, 3, Decimal(16)),
    ]
