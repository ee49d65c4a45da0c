"""Since when is known what members do, by kind of event."""

import datetime as dt
from collections.abc import Mapping

import pytest

from assets.clean.contracts import EVENTS, ORDERS
from assets.features.contracts import TRACKING

LOAD_DATE = dt.date(2026, 7, 31)


def day(number: int) -> dt.date:
    """The nth day of July."""
    return dt.date(2026, 7, 1) + dt.timedelta(days=number - 1)


@pytest.fixture
def run(tables):
    """Runs tracking on views and orders: how many by source and day of July."""

    def make(
        views: Mapping[str, Mapping[int, int]], orders: Mapping[str, Mapping[int, int]] = {}
    ) -> dict[str, dt.date]:
        events = [
            (source, name, day(number))
            for name, told in (("Product Viewed", views), ("Order Completed", orders))
            for source, days in told.items()
            for number, n in days.items()
            for _ in range(n)
        ]
        for contract in (EVENTS, ORDERS):
            tables.session.execute(f"drop table if exists {contract.name}")
        tables.given(
            EVENTS,
            [
                {
                    "message_id": str(place),
                    "source": source,
                    "event_name": name,
                    "event_date": date,
                    "is_deliberate": name != "Order Completed",
                    "member_id": 1,
                }
                for place, (source, name, date) in enumerate(events)
            ],
        )
        tables.given(
            ORDERS,
            [
                {"order_id": str(place), "order_date": date, "status": "completed", "member_id": 1}
                for place, (_, name, date) in enumerate(events)
                if name == "Order Completed"
            ],
        )
        rows = tables.run(TRACKING, LOAD_DATE)
        assert tables.offending(TRACKING) == {}
        assert all((row["first_complete_date"] - row["first_date"]).days == 1 for row in rows)
        return {row["kind"]: row["first_date"] for row in rows}

    return make


def test_nothing_has_begun_where_nothing_happened(run):
    assert run({}) == {}


def test_activity_begins_with_the_later_of_acts_and_orders(run):
    found = run({"sdk": {10: 3, 12: 2}}, {"erp": {2: 1, 20: 1}})
    assert found == {"acts": day(10), "orders": day(2), "activity": day(10)}
    found = run({"sdk": {3: 1}}, {"erp": {9: 1}})
    assert found == {"acts": day(3), "orders": day(9), "activity": day(9)}


def test_a_source_of_acts_and_orders_is_watched_for_both_from_its_first_act(run):
    found = run({"sdk": {3: 2, 4: 1}}, {"sdk": {25: 1}})
    assert found == {"acts": day(3), "orders": day(3), "activity": day(3)}


def test_one_kind_alone_is_all_activity(run):
    assert run({"sdk": {3: 1}}) == {"acts": day(3), "activity": day(3)}
    assert run({}, {"erp": {4: 1}}) == {"orders": day(4), "activity": day(4)}


def test_a_stray_record_of_a_day_long_past_begins_nothing(run):
    days = {number: 101 for number in range(10, 16)}
    assert run({"sdk": {1: 1, **days}})["acts"] == day(10)
    assert run({"sdk": {1: 2, **days}})["acts"] == day(1)


def test_the_earliest_source_of_acts_counts(run):
    assert run({"web": {8: 1}, "app": {5: 1}})["acts"] == day(5)
