"""What sharing has brought, in all and lately, and whose vote goes to whom."""

from decimal import Decimal
from typing import Any

import pytest

from assets.social import contracts as social
from resources.warehouse import read_sql

from .conftest import LOAD_DATE, Pool

HALF_LIFE = 30


@pytest.fixture
def advocates(pool: Pool):
    """Makes the tables before it, and reads the rows of advocates.sql by member."""

    def make() -> dict[int, dict[str, Any]]:
        pool.make(social.SHARE_CLICKS, social.REFERRALS)
        parameters = pool.tables.shop.parameters(LOAD_DATE)
        frame = pool.tables.session.frame(read_sql("social/advocates.sql"), parameters)
        assert frame["member_id"].is_sorted()
        return {row["member_id"]: row for row in frame.to_dicts()}

    return make


@pytest.fixture
def votes(pool: Pool):
    """The same for votes.sql, as weights by voter and sharer."""

    def make() -> dict[tuple[int, int], float]:
        pool.make(social.SHARE_CLICKS, social.REFERRALS)
        parameters = pool.tables.shop.parameters(LOAD_DATE)
        frame = pool.tables.session.frame(read_sql("social/graph/votes.sql"), parameters)
        return {(voter, chosen): weight for voter, chosen, weight in frame.rows()}

    return make


def halved(age_days: float) -> float:
    return 0.5 ** (age_days / HALF_LIFE)


def age(day: int, hour: int) -> float:
    """Days from an instant of January to the midnight of the shop after its 31st."""
    return 31 - day + (16 - hour) / 24


def test_nobody_shares(advocates, votes):
    assert advocates() == {}
    assert votes() == {}


def test_shares_that_nobody_clicks_reach_nobody(pool, advocates):
    pool.known(1, "01 00:00", 101)
    pool.share("a", "05 08:00", 101, by=1)
    row = advocates()[1]
    assert (row["reach"], row["conversions"], row["referred_buyers"]) == (0, 0, 0)
    assert row["conversion_rate"] is None
    assert row["recent_revenue"] == row["recent_conversions"] == row["recent_reach"] == 0


def test_reach_counts_each_clicker_once_by_her_last_click(pool, advocates):
    pool.known(1, "01 00:00", 101)
    pool.share("a", "05 08:00", 101, by=1)
    pool.share("b", "05 08:00", 101, by=1)
    for code, day in (("a", 6), ("b", 16), ("a", 11)):
        pool.click(code, f"{day:02} 10:00", 109)
    pool.click("a", "07 10:00", 110)
    row = advocates()[1]
    assert (row["reach"], row["conversions"], row["conversion_rate"]) == (2, 0, 0)
    assert row["recent_reach"] == pytest.approx(halved(age(16, 10)) + halved(age(7, 10)))


def test_conversions_and_what_they_spent(pool, advocates):
    pool.brought("a", sharer=1, member=2, day=3)
    pool.brought("a", sharer=1, member=3, day=9)
    pool.click("a", "09 12:00", 150)
    pool.order("before", "03 09:30", 2, 500)
    pool.order("first", "04 04:00", 2, 100)
    pool.order("second", "20 04:00", 2, 60)
    pool.order("cancelled", "21 04:00", 2, 60, status="cancelled")
    row = advocates()[1]
    assert (row["reach"], row["conversions"], row["referred_buyers"]) == (3, 2, 1)
    assert row["referred_revenue"] == Decimal(160)
    assert row["conversion_rate"] == pytest.approx(2 / 3)
    assert row["recent_conversions"] == pytest.approx(halved(age(3, 9)) + halved(age(9, 9)))
    expected = 100 * halved(age(4, 4)) + 60 * halved(age(20, 4))
    assert row["recent_revenue"] == pytest.approx(expected, abs=1e-8)


def test_those_brought_share_on(pool, advocates):
    pool.brought("a", sharer=1, member=2, day=3)
    pool.brought("b", sharer=2, member=3, day=5)
    assert {member: row["conversions"] for member, row in advocates().items()} == {1: 1, 2: 1}


def test_clicks_in_bad_faith_reach_nobody_and_are_no_votes(pool, advocates, votes):
    pool.known(1, "01 00:00", 101)
    pool.share("a", "05 08:00", 101, by=1)
    pool.click("a", "06 08:00", 101, by=1)
    pool.known(2, "06 10:00", 101)
    pool.click("a", "06 09:00", 101)
    # A farm on device 103.
    pool.click("a", "06 09:00", 103)
    for member in (3, 4, 5):
        pool.known(member, "06 10:00", 103)
    assert advocates()[1]["reach"] == 0
    assert votes() == {}


def test_votes_are_clicks_and_orders_since(pool, votes):
    pool.brought("a", sharer=1, member=2, day=3)
    pool.order("first", "04 04:00", 2, 100)
    pool.order("before", "03 09:30", 2, 500)
    pool.order("given back", "05 04:00", 2, 0)
    # A member from before clicks too: that binds her to nobody, but it is a vote.
    pool.known(4, "01 00:00", 104)
    pool.click("a", "10 04:00", 104, by=4)
    weights = pool.tables.shop.interest.weights
    assert votes() == pytest.approx(
        {
            (2, 1): weights.view * halved(age(3, 9)) + weights.order * halved(age(4, 4)),
            (4, 1): weights.view * halved(age(10, 4)),
        }
    )
