"""What makes a day active, and which orders count on it."""

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

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
                {
                    "message_id": str(number),
                    "member_id": 1,
                    "event_date": DAY,
                    "is_deliberate": True,
                    **event,
                }
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


def test_what_the_shop_or_its_servers_sent_makes_no_day(tables, given):
    names = ("Email Delivered", "Order Completed", "Order Refunded", "Order Cancelled")
    given(
        events=[{"event_name": name, "is_deliberate": False} for name in names],
        orders=[{"status": "cancelled"}],
    )
    assert tables.run(MEMBER_DAYS, LOAD_DATE) == []


def test_an_order_makes_its_day_whoever_tells_of_it(tables, given):
    given(
        events=[{"event_name": "Order Completed", "is_deliberate": False}],
        orders=[{"net_revenue": 10}],
    )
    assert [row["date"] for row in tables.run(MEMBER_DAYS, LOAD_DATE)] == [DAY]


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


def test_any_deliberate_act_makes_a_day_active(tables, given):
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


BITS = {
    "last": 1,
    "day_before": 2,
    "leaves_day": 4,
    "unbroken_day": 8,
    "begins_week": 16,
    "week_before": 32,
    "leaves_week": 64,
    "unbroken_week": 128,
    "begins_month": 256,
    "month_before": 512,
    "leaves_month": 1024,
    "unbroken_month": 2048,
}


def marks(*names: str) -> int:
    """The sum of the named bits."""
    return sum(BITS[name] for name in names)


def test_an_only_day_is_first_and_last_of_all(tables, given):
    given(events=[{}])
    (row,) = tables.run(MEMBER_DAYS, LOAD_DATE)
    assert (row["first_date"], row["previous_date"]) == (DAY, None)
    assert row["period_marks"] == marks(
        *("last", "leaves_day", "unbroken_day"),
        *("begins_week", "leaves_week", "unbroken_week"),
        *("begins_month", "leaves_month", "unbroken_month"),
    )


def test_days_know_the_days_around_them(tables, given):
    """Tuesday, Wednesday, Sunday, and Monday a week later: 10, 11, 15 and 23 March."""
    dates = [dt.date(2026, 3, day) for day in (10, 11, 15, 23)]
    given(events=[{"event_date": date} for date in dates])
    rows = tables.run(MEMBER_DAYS, LOAD_DATE)
    assert [row["previous_date"] for row in rows] == [None, *dates[:3]]
    assert {row["first_date"] for row in rows} == {dates[0]}
    assert [row["period_marks"] for row in rows] == [
        marks(
            *("unbroken_day", "begins_week", "unbroken_week", "begins_month", "unbroken_month"),
        ),
        marks("day_before", "leaves_day", "unbroken_day"),
        marks("leaves_day", "leaves_week"),
        marks("last", "leaves_day", "begins_week", "leaves_week", "leaves_month"),
    ]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@drawn(
    active=st.dictionaries(
        st.integers(1, 4), st.sets(st.integers(0, 120), min_size=1, max_size=20), max_size=3
    )
)
def test_marks_are_what_they_say_on_every_day(tables, given, active):
    start = dt.date(2025, 11, 20)
    dates = {
        member_id: [start + dt.timedelta(days=day) for day in sorted(days)]
        for member_id, days in active.items()
    }
    if tables.session.exists(clean.EVENTS):
        tables.session.execute(f"delete from {clean.EVENTS.name}")
    given(
        events=[
            {"member_id": member_id, "event_date": date}
            for member_id, days in dates.items()
            for date in days
        ]
    )
    found = {
        (row["member_id"], row["date"]): (row["first_date"], row["period_marks"])
        for row in tables.run(MEMBER_DAYS, LOAD_DATE)
    }
    assert found == {
        (member_id, date): (days[0], marks(*marked(days, date)))
        for member_id, days in dates.items()
        for date in days
    }


def marked(days: list[dt.date], date: dt.date) -> Iterable[str]:
    """The names of a day's bits, by their meaning."""
    if date == days[-1]:
        yield "last"
    numbers: Mapping[str, dict[dt.date, int]] = {
        "day": {day: day.toordinal() for day in days},
        # Ordinal 1 was a Monday.
        "week": {day: (day.toordinal() - 1) // 7 for day in days},
        "month": {day: 12 * day.year + day.month for day in days},
    }
    for unit, number in numbers.items():
        here, active = number[date], set(number.values())
        of_period = [day for day in days if number[day] == here]
        is_first, is_last = date == of_period[0], date == of_period[-1]
        if unit != "day" and is_first:
            yield f"begins_{unit}"
        if is_first and here - 1 in active:
            yield f"{unit}_before"
        if is_last and here + 1 not in active:
            yield f"leaves_{unit}"
        if is_first and set(range(number[days[0]], here + 1)) <= active:
            yield f"unbroken_{unit}"
