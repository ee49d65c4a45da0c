"""Which group orders were full in time, and what they brought."""

from decimal import Decimal

import pytest

from assets.social.contracts import GROUP_BUYS

from .conftest import at


@pytest.fixture
def groups(pool):
    """Group orders by group."""

    def make(**parameters):
        return {row["group_id"]: row for row in pool.make(GROUP_BUYS, **parameters)}

    return make


@pytest.fixture
def join(pool):
    """She orders in a group."""

    def order(group, text, member, net=10, **columns):
        order_id = f"{group} {member} {text}"
        pool.touch("order", text, 100 + member, member, group_id=group, order_id=order_id)
        pool.order(order_id, text, member, net, **columns)

    return order


def test_without_groups_there_is_nothing(groups):
    assert groups() == {}


def test_two_within_a_day_are_a_group(pool, groups, join):
    join("g", "05 08:00", 1)
    pool.share("c", "05 08:01", 101, by=1, group_id="g", product_id="p")
    join("g", "05 12:00", 2, net=20)
    assert groups()["g"] == {
        "group_id": "g",
        "leader_id": 1,
        "product_id": "p",
        "share_code": "c",
        "opened_at": at("05 08:00"),
        "completed_at": at("05 12:00"),
        "n_members": 2,
        "n_new_members": 2,
        "group_size": 2,
        "is_complete": True,
        "revenue": Decimal(30),
    }


def test_a_leader_can_share_before_she_orders(pool, groups, join):
    pool.share("c", "05 08:00", 101, by=1, group_id="g")
    join("g", "05 09:00", 2)
    join("g", "05 10:00", 1)
    row = groups()["g"]
    assert (row["leader_id"], row["opened_at"]) == (1, at("05 08:00"))
    assert row["completed_at"] == at("05 10:00")


@pytest.mark.parametrize(("text", "is_complete"), [("06 08:00", True), ("06 08:01", False)])
def test_a_group_has_a_day(groups, join, text, is_complete):
    join("g", "05 08:00", 1)
    join("g", text, 2)
    row = groups()["g"]
    assert row["is_complete"] is is_complete
    assert row["n_members"] == 2


def test_one_member_is_no_group_however_often_she_orders(groups, join):
    join("g", "05 08:00", 1)
    join("g", "05 09:00", 1)
    row = groups()["g"]
    assert (row["n_members"], row["is_complete"], row["revenue"]) == (1, False, Decimal(20))


def test_cancelled_orders_are_none(groups, join):
    join("g", "05 08:00", 1, net=0, status="cancelled")
    join("g", "05 09:00", 2)
    row = groups()["g"]
    assert (row["leader_id"], row["n_members"], row["is_complete"]) == (1, 1, False)


def test_who_ordered_before_is_not_new(pool, groups, join):
    pool.order("earlier", "02 08:00", 1, 10)
    pool.order("cancelled", "02 08:00", 2, 0, status="cancelled")
    join("g", "05 08:00", 1)
    join("g", "05 09:00", 2)
    assert groups()["g"]["n_new_members"] == 1


def test_the_shop_says_how_many_it_takes_and_how_long(groups, join):
    join("g", "05 08:00", 1)
    join("g", "05 09:00", 2)
    join("g", "05 11:00", 3)
    assert groups(group_size=3)["g"]["completed_at"] == at("05 11:00")
    assert groups(group_size=3, group_hours=2)["g"]["is_complete"] is False
    assert groups(group_size=4)["g"]["group_size"] == 4


def test_an_order_is_of_one_group(pool, groups, join):
    join("g", "05 08:00", 1)
    pool.touch("order", "05 08:05", 101, 1, group_id="h", order_id="g 1 05 08:00")
    found = groups()
    assert (found["g"]["n_members"], found["h"]["n_members"]) == (1, 0)


def test_clicks_open_no_group(pool, groups):
    pool.click("c", "05 08:00", 101, by=1, group_id="g")
    assert groups() == {}
