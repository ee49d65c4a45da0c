"""What happened on the day of the run waits for the night after it, in every table of sharing."""

import datetime as dt
from typing import Any

import pytest

from assets.features.contracts import MEMBER_DAYS
from assets.social import contracts as social
from resources.warehouse import read_sql

from .conftest import LOAD_DATE

TODAY = LOAD_DATE + dt.timedelta(days=1)
MADE = (
    social.SHARE_CLICKS,
    social.REFERRALS,
    social.GROUP_BUYS,
    social.K_FACTOR,
    social.COMMISSIONS,
)


@pytest.fixture
def told(pool):
    """All that the tables of sharing say."""

    def make() -> dict[str, Any]:
        days = [
            {"member_id": row["member_id"], "date": row["order_date"], "n_orders": 1}
            for row in pool.orders
        ]
        pool.tables.session.execute(f"drop table if exists {MEMBER_DAYS.name}")
        pool.tables.given(MEMBER_DAYS, days)
        pool.make(*MADE, commission_rates=[0.05, 0.02])
        parameters = pool.tables.shop.parameters(LOAD_DATE)
        graph = ("social/advocates.sql", "social/graph/votes.sql")
        return {contract.name: pool.tables.rows(contract) for contract in MADE} | {
            name: pool.tables.session.frame(read_sql(name), parameters).rows() for name in graph
        }

    return make


def test_an_order_of_today_changes_nothing_yet(pool, told):
    pool.brought("a", sharer=1, member=2, day=3)
    pool.brought("b", sharer=2, member=3, day=5)
    pool.touch("order", "10 10:00", 1003, 3, group_id="g", order_id="before")
    pool.touch("order", "10 11:00", 1003, 3, group_id="g", order_id="last")
    pool.order("before", "10 10:00", 3, 100)
    before = told()
    assert all(before.values())

    noon = dt.datetime.combine(TODAY, dt.time(12))
    pool.order("last", "31 12:00", 3, 70, ordered_at=noon, order_date=TODAY)
    assert told() == before

    pool.orders.pop()
    pool.order("last", "31 12:00", 3, 70)
    after = told()
    assert [name for name in before if after[name] == before[name]] == [social.SHARE_CLICKS.name]
