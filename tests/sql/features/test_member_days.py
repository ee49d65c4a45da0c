"""What makes a day active, and which orders count on it."""

import datetime as dt
from decimal import Decimal

import pytest

from assets.clean import contracts as clean
from assets.features.contracts import MEMBER_DAYS

LOAD_DATE = dt.date(2026, 3, 31)
DAY = dt.date(2026, 3, 10)


@pytest.fixture
def given(tables):
    """Fills the tables that member_days reads; what is left out is empty."""

    def fill(events=(), sessions=(), orders=()):
        tables.given(
            clean.EVENTS,
            [
                {"message_id": str(number), "member_id": 1, "event_date": DAY, **event}
                for number, event in enumerate(events)
            ],
        )
        tables.given(
            clean.SESSIONS,
            [
                {"session_id": number, "member_id": 1, "session_date": DAY, **session}
                for number, session in enumerate(sessions)
            ],
        )
        tables.given(
            clean.ORDERS,
            [
                {
                    "order_id": str(number),
                    "member_id": 1,
                    "order_date": DAY,
                    "status": "completed",
                    **order,
                }
                for number, order in enumerate(orders)
            ],
        )

    return fill


def test_empty_tables_give_no_days(tables, given):
    given()
    assert tables.run(MEMBER_DAYS, LOAD_DATE) == []


def test_events_are_counted_by_kind(tables, given):
    names = [
        "Product Viewed",
        "Product Viewed",
        "Product Viewed",
        "Product Added",
        "Product Added to Wishlist",
        "Product Shared",
        "Cart Shared",
        "Product Removed",
    ]
    given(events=[{"event_name": name} for name in names], sessions=[{}, {}])
    (row,) = tables.run(MEMBER_DAYS, LOAD_DATE)
    counts = {name: row[name] for name in row if name.startswith("n_")}
    assert counts == {"n_views": 3, "n_carts": 2, "n_shares": 2, "n_orders": 0, "n_sessions": 2}
    assert row["net_revenue"] == row["margin"] == 0
    assert tables.offending(MEMBER_DAYS) == {}


def test_any_event_makes_a_day_active(tables, given):
    given(events=[{"event_name": "Products Searched"}])
    (row,) = tables.run(MEMBER_DAYS, LOAD_DATE)
    assert (row["member_id"], row["date"], row["n_views"]) == (1, DAY, 0)


def test_bots_and_strangers_are_left_out(tables, given):
    given(
        events=[
            {"event_name": "Product Viewed", "is_bot": True},
            {"event_name": "Product Viewed", "member_id": None},
        ],
        sessions=[{"is_bot": True}],
        orders=[{"member_id": None, "net_revenue": 10}],
    )
    assert tables.run(MEMBER_DAYS, LOAD_DATE) == []


def test_orders_bring_what_was_not_given_back(tables, given):
    given(
        orders=[
            {"net_revenue": 10, "margin": 3},
            {"status": "partially_refunded", "net_revenue": 5, "margin": -1},
            {"status": "refunded", "net_revenue": 0, "margin": -2},
            {"status": "cancelled", "net_revenue": 0, "margin": 0},
        ]
    )
    (row,) = tables.run(MEMBER_DAYS, LOAD_DATE)
    assert (row["n_orders"], row["net_revenue"], row["margin"]) == (2, Decimal(15), Decimal(0))


def test_an_order_given_back_in_full_keeps_its_day_but_is_no_order(tables, given):
    given(orders=[{"status": "refunded"}])
    (row,) = tables.run(MEMBER_DAYS, LOAD_DATE)
    assert row["n_orders"] == 0


def test_a_cancelled_order_makes_no_day(tables, given):
    given(orders=[{"status": "cancelled"}])
    assert tables.run(MEMBER_DAYS, LOAD_DATE) == []


def test_only_dates_before_as_of_count(tables, given):
    run_date = LOAD_DATE + dt.timedelta(days=1)
    given(
        events=[{"event_date": LOAD_DATE}, {"event_date": run_date}],
        sessions=[{"session_date": run_date}],
        orders=[{"order_date": run_date, "net_revenue": 10}],
    )
    assert [row["date"] for row in tables.run(MEMBER_DAYS, LOAD_DATE)] == [LOAD_DATE]
