"""Who earns what by which order, at two levels at most."""

import datetime as dt
from decimal import Decimal

import pytest

from assets.social.contracts import COMMISSIONS, REFERRALS, SHARE_CLICKS

RATES = [0.05, 0.02]


@pytest.fixture
def earned(pool):
    """Commissions by order and level."""

    def make(**parameters):
        given = {"commission_rates": RATES, **parameters}
        rows = pool.make(SHARE_CLICKS, REFERRALS, COMMISSIONS, **given)
        return {(row["order_id"], row["level"]): row for row in rows}

    return make


@pytest.fixture
def chain(pool):
    """1 brought 2 on the 3rd, 2 brought 3 on the 5th, 3 brought 4 on the 7th."""
    for sharer, day in ((1, 3), (2, 5), (3, 7)):
        pool.brought(f"c{sharer}", sharer=sharer, member=sharer + 1, day=day)
    return pool


def test_an_order_pays_two_levels_and_no_more(chain, earned):
    chain.order("o", "10 10:00", 4, 100)
    found = earned()
    assert {key: (row["member_id"], row["amount"]) for key, row in found.items()} == {
        ("o", 1): (3, Decimal(5)),
        ("o", 2): (2, Decimal(2)),
    }
    row = found["o", 1]
    assert (row["referred_id"], row["base_amount"], row["currency"]) == (4, Decimal(100), "CNY")
    assert row["rate"] == 0.05
    assert (row["earned_date"], row["payable_date"]) == (dt.date(2026, 1, 10), dt.date(2026, 1, 25))
    assert row["status"] == "payable"


def test_without_rates_nobody_earns(chain, earned):
    chain.order("o", "10 10:00", 4, 100)
    assert earned(commission_rates=[]) == {}


def test_one_rate_is_one_level(chain, earned):
    chain.order("o", "10 10:00", 4, 100)
    assert list(earned(commission_rates=[0.1])) == [("o", 1)]
    assert list(earned(commission_rates=[0, 0.1])) == [("o", 2)]


def test_bringing_somebody_pays_nothing_by_itself(chain, earned):
    assert earned() == {}


def test_nobody_earns_by_her_own_orders_or_those_of_strangers(chain, earned):
    chain.order("of the root", "10 10:00", 1, 100)
    chain.order("of nobody", "10 10:00", 99, 100)
    assert earned() == {}


def test_orders_from_before_the_binding_pay_nothing(chain, earned):
    chain.order("before", "07 09:59", 4, 100)
    chain.order("at once", "07 10:00", 4, 100)
    assert list(earned()) == [("at once", 1), ("at once", 2)]


def test_the_second_level_begins_when_the_sharer_herself_was_bound(pool, earned):
    """2 brought 3 on the 5th, and was brought by 1 on the 8th."""
    pool.share("b", "05 07:00", 1002)
    pool.known(3, "05 10:00", 1003)
    pool.click("b", "05 09:00", 1003)
    pool.brought("a", sharer=1, member=2, day=8)
    pool.order("early", "06 10:00", 3, 100)
    pool.order("late", "09 10:00", 3, 100)
    assert list(earned()) == [("early", 1), ("late", 1), ("late", 2)]


def test_refunds_lower_and_cancellations_void_it(chain, earned):
    chain.order("part", "10 10:00", 2, 40, revenue=100, status="partially_refunded")
    chain.order("whole", "10 10:00", 2, 0, revenue=100, status="refunded")
    chain.order("cancelled", "10 10:00", 2, 0, status="cancelled")
    found = earned()
    assert {order: (row["status"], row["amount"]) for (order, _), row in found.items()} == {
        "part": ("payable", Decimal(2)),
        "whole": ("void", 0),
        "cancelled": ("void", 0),
    }


def test_a_return_that_is_an_order_of_its_own_takes_its_amount_off(chain, earned):
    chain.order("o", "10 10:00", 2, 100)
    chain.order("return of o", "12 10:00", 2, -100, revenue=-100, margin=-50)
    for base in ("net_revenue", "margin"):
        found = earned(commission_base=base)
        assert found["return of o", 1]["status"] == "payable"
        assert found["return of o", 1]["amount"] == -found["o", 1]["amount"] < 0


def test_a_loss_is_no_debt(chain, earned):
    chain.order("o", "10 10:00", 2, 10, margin=-5)
    assert earned(commission_base="margin")["o", 1]["amount"] == 0
    assert earned(commission_base="net_revenue")["o", 1]["amount"] == Decimal("0.5")


def test_margin_can_be_the_base(chain, earned):
    chain.order("o", "10 10:00", 2, 100, margin=30)
    row = earned(commission_base="margin")["o", 1]
    assert (row["base_amount"], row["amount"]) == (Decimal(30), Decimal("1.5"))


@pytest.mark.parametrize(("day", "status"), [(17, "payable"), (18, "pending")])
def test_it_is_held_until_refunds_are_unlikely(chain, earned, day, status):
    """The run is of 1 February: fifteen days from the 17th."""
    chain.order("o", f"{day} 10:00", 2, 100)
    assert earned()["o", 1]["status"] == status


@pytest.mark.parametrize(
    ("net", "places", "amount"),
    [("10.10", 2, "0.51"), ("10.09", 2, "0.50"), ("1030", 0, "52"), ("1.2345", 2, "0.06")],
)
def test_amounts_can_be_paid(chain, earned, net, places, amount):
    chain.order("o", "10 10:00", 2, Decimal(net), margin=0)
    assert earned(base_minor_units=places)["o", 1]["amount"] == Decimal(amount)


def test_minors_earn_nothing(chain, earned):
    chain.members[3]["is_minor"] = True
    chain.order("o", "10 10:00", 4, 100)
    assert list(earned()) == [("o", 2)]


def test_the_refused_earn_nothing(pool, earned):
    pool.known(1, "01 00:00", 101)
    pool.share("a", "05 08:00", 101, by=1)
    pool.known(2, "06 10:00", 101)
    pool.click("a", "06 09:00", 101)
    pool.order("o", "10 10:00", 2, 100)
    assert earned() == {}
