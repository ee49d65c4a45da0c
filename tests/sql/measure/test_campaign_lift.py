"""Who was assigned, who ordered, what it brought and cost."""

import datetime as dt
from decimal import Decimal

import pytest

import assets.clean.contracts as clean
import assets.push.contracts as push
from assets.measure import contracts
from assets.measure.lift import with_lift
from resources.config.shop import Measure
from resources.warehouse import read_sql

LOAD_DATE = dt.date(2026, 9, 14)
WINDOW_DAYS = Measure().window_days
AS_OF = dt.datetime(2026, 9, 14, 16)  # noqa: DTZ001 - midnight in Shanghai
OLD = AS_OF - dt.timedelta(days=30)


@pytest.fixture
def counted(tables):
    """Counts per campaign and arm of what has been given."""
    for contract in (push.ASSIGNMENTS, push.PUSH_LIST, clean.ORDERS):
        tables.given(contract)

    def count():
        parameters = tables.shop.parameters(LOAD_DATE)
        frame = tables.session.frame(read_sql("measure/campaign_lift.sql"), parameters)
        tables.session.write_frame(contracts.CAMPAIGN_LIFT, with_lift(frame))
        assert tables.offending(contracts.CAMPAIGN_LIFT) == {}
        return {(row["campaign_id"], row["arm"]): row for row in frame.iter_rows(named=True)}

    return count


def assigned(tables, *members, assigned_at=OLD, campaign_id="spring"):
    tables.given(
        push.ASSIGNMENTS,
        [
            {
                "campaign_id": campaign_id,
                "member_id": member_id,
                "arm": arm,
                "assigned_at": assigned_at,
            }
            for member_id, arm in members
        ],
    )


def ordered(tables, member_id, ordered_at, status="completed", net_revenue=10):
    number = tables.session.scalar("select count(*) from clean.orders")
    tables.given(
        clean.ORDERS,
        [
            {
                "order_id": f"o{number}",
                "member_id": member_id,
                "ordered_at": ordered_at,
                "status": status,
                "net_revenue": Decimal(net_revenue),
            }
        ],
    )


def test_nothing_assigned_gives_no_rows(counted):
    assert counted() == {}


def test_all_assigned_count_messaged_or_not(counted, tables):
    assigned(tables, (1, "treatment"), (2, "treatment"), (3, "treatment"), (4, "holdout"))
    ordered(tables, 1, OLD + dt.timedelta(days=1))
    ordered(tables, 1, OLD + dt.timedelta(days=2), net_revenue=5)
    ordered(tables, 4, OLD + dt.timedelta(days=3), net_revenue=7)
    tables.given(
        push.PUSH_LIST,
        [
            {
                "dedupe_key": key,
                "campaign_id": "spring",
                "member_id": 1,
                "arm": "treatment",
                "send_at": OLD + dt.timedelta(days=days),
                "unit_cost": Decimal("0.05"),
            }
            for key, days in (("x", 0), ("y", 13), ("z", 14))
        ],
    )
    (row,) = counted().values()
    assert row == {
        "campaign_id": "spring",
        "arm": "treatment",
        "metric": "order",
        "assigned": 3,
        "converted": 1,
        "waiting": 0,
        "holdout_assigned": 1,
        "holdout_converted": 1,
        "cost": Decimal("0.1000"),
        "revenue": Decimal("15.0000"),
        "holdout_revenue": Decimal("7.0000"),
    }


@pytest.mark.parametrize(
    ("after", "converted"),
    [
        (dt.timedelta(seconds=-1), 0),
        (dt.timedelta(0), 1),
        (dt.timedelta(days=WINDOW_DAYS) - dt.timedelta(seconds=1), 1),
        (dt.timedelta(days=WINDOW_DAYS), 0),
    ],
)
def test_orders_count_after_the_assignment_within_the_window(counted, tables, after, converted):
    assigned(tables, (1, "treatment"), (2, "holdout"))
    ordered(tables, 1, OLD + after)
    assert counted()["spring", "treatment"]["converted"] == converted


def test_cancelled_orders_do_not_count(counted, tables):
    assigned(tables, (1, "treatment"), (2, "holdout"))
    ordered(tables, 1, OLD, status="cancelled", net_revenue=0)
    ordered(tables, 2, OLD, status="partially_refunded")
    row = counted()["spring", "treatment"]
    assert (row["converted"], row["holdout_converted"]) == (0, 1)


def test_orders_given_back_in_full_convert_nobody(counted, tables):
    assigned(tables, (1, "treatment"), (2, "holdout"))
    ordered(tables, 1, OLD, status="refunded", net_revenue=0)
    ordered(tables, 2, OLD, net_revenue=3)
    row = counted()["spring", "treatment"]
    assert (row["converted"], row["holdout_converted"]) == (0, 1)


def test_who_is_still_within_her_window_waits(counted, tables):
    assigned(tables, (1, "treatment"), (2, "holdout"))
    recently = AS_OF - dt.timedelta(days=WINDOW_DAYS) + dt.timedelta(seconds=1)
    assigned(tables, (3, "treatment"), (4, "holdout"), assigned_at=recently)
    ordered(tables, 3, AS_OF - dt.timedelta(days=1))
    row = counted()["spring", "treatment"]
    assert (row["assigned"], row["waiting"], row["converted"]) == (1, 1, 0)
    assert (row["holdout_assigned"], row["revenue"]) == (1, 0)


def test_before_any_window_is_over_there_are_no_rates(counted, tables):
    assigned(tables, (1, "treatment"), (2, "holdout"), assigned_at=AS_OF)
    row = counted()["spring", "treatment"]
    assert (row["assigned"], row["waiting"]) == (0, 1)
    assert tables.rows(contracts.CAMPAIGN_LIFT)[0]["rate"] is None


def test_without_a_holdout_its_counts_are_zero(counted, tables):
    assigned(tables, (1, "treatment"))
    row = counted()["spring", "treatment"]
    assert (row["holdout_assigned"], row["holdout_converted"]) == (0, 0)


def test_every_variant_is_held_against_its_own_campaigns_holdout(counted, tables):
    assigned(tables, (1, "a"), (2, "b"), (3, "holdout"))
    assigned(tables, (1, "treatment"), (2, "holdout"), (3, "holdout"), campaign_id="autumn")
    rows = counted()
    assert {key: row["holdout_assigned"] for key, row in rows.items()} == {
        ("spring", "a"): 1,
        ("spring", "b"): 1,
        ("autumn", "treatment"): 2,
    }
