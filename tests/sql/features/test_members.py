"""Windows that end at as_of, gaps, and when and where she comes."""

import datetime as dt
from decimal import Decimal

import pytest

from assets.clean import contracts as clean
from assets.features.contracts import MEMBER_DAYS, MEMBERS

LOAD_DATE = dt.date(2026, 3, 31)
RUN_DATE = dt.date(2026, 4, 1)


@pytest.fixture
def given(tables):
    """Fills the tables that members reads; days are given as days before the run date."""

    def fill(members=(1,), days=(), sessions=(), time_zone="Asia/Shanghai"):
        tables.given(
            clean.MEMBERS,
            [{"member_id": member, "time_zone": time_zone} for member in members],
        )
        tables.given(
            MEMBER_DAYS,
            [
                {"member_id": 1, "date": RUN_DATE - dt.timedelta(days=ago), **counts}
                for ago, counts in days
            ],
        )
        tables.given(
            clean.SESSIONS,
            [
                {"session_id": number, "member_id": 1, **session}
                for number, session in enumerate(sessions)
            ],
        )

    return fill


def at(day: int, hour: int) -> dt.datetime:
    """An hour of March 2026, UTC."""
    return dt.datetime(2026, 3, day, hour, 30)  # noqa: DTZ001


def test_no_members_give_no_rows(tables, given):
    given(members=())
    assert tables.run(MEMBERS, LOAD_DATE) == []


def test_a_member_without_a_day_has_a_row(tables, given):
    given()
    (row,) = tables.run(MEMBERS, LOAD_DATE)
    assert all(row[name] == 0 for name in row if name.startswith("n_"))
    assert row["days_since_last"] is None
    assert row["best_hour"] is None
    assert row["main_channel"] is None
    assert tables.offending(MEMBERS) == {}


def test_windows_are_the_last_days_before_as_of(tables, given):
    ages = (0, 1, 7, 8, 14, 15, 30, 31, 60, 61)
    given(days=[(ago, {"n_views": 1, "n_shares": 2}) for ago in ages])
    (row,) = tables.run(MEMBERS, LOAD_DATE)
    views = [row[f"n_views_{days}d"] for days in (7, 14, 30, 60)]
    assert views == [2, 4, 6, 8]
    assert [row[f"n_shares_{days}d"] for days in (7, 14, 30, 60)] == [2 * n for n in views]
    assert row["n_carts_60d"] == 0


def test_orders_and_what_they_brought(tables, given):
    given(
        days=[
            (100, {"n_orders": 2, "net_revenue": 70}),
            (50, {"n_orders": 1, "net_revenue": 30}),
            (20, {"net_revenue": -5}),
        ]
    )
    (row,) = tables.run(MEMBERS, LOAD_DATE)
    assert row["n_orders"] == 3
    assert row["n_orders_60d"] == 1
    assert row["net_revenue_60d"] == Decimal(25)
    assert row["days_since_last"] == 20
    assert row["days_since_last_order"] == 50


def test_average_gap_lies_between_active_days(tables, given):
    given(days=[(1, {}), (5, {}), (11, {})])
    (row,) = tables.run(MEMBERS, LOAD_DATE)
    assert row["average_gap_days"] == 5


def test_one_active_day_has_no_gap(tables, given):
    given(days=[(1, {})])
    (row,) = tables.run(MEMBERS, LOAD_DATE)
    assert row["average_gap_days"] is None


@pytest.mark.parametrize(
    ("time_zone", "best_hour"), [("Asia/Shanghai", 20), ("Europe/Berlin", 13), ("UTC", 12)]
)
def test_best_hour_is_in_her_own_zone(tables, given, time_zone, best_hour):
    sessions = [{"started_at": moment} for moment in (at(1, 12), at(2, 12), at(3, 3))]
    given(sessions=sessions, time_zone=time_zone)
    (row,) = tables.run(MEMBERS, LOAD_DATE)
    assert row["best_hour"] == best_hour


def test_best_hour_follows_summer_time(tables, given):
    given(
        sessions=[{"started_at": at(28, 7)}, {"started_at": at(30, 6)}, {"started_at": at(30, 7)}],
        time_zone="Europe/Berlin",
    )
    (row,) = tables.run(MEMBERS, LOAD_DATE)
    assert row["best_hour"] == 8, "07:30 UTC in winter and 06:30 UTC in summer are both 08:30"


def test_ties_go_to_the_earlier_hour_and_the_first_name(tables, given):
    given(
        sessions=[
            {"started_at": at(1, 15), "channel": "web"},
            {"started_at": at(2, 2), "channel": "app"},
            {"started_at": at(3, 9), "channel": None},
        ]
    )
    (row,) = tables.run(MEMBERS, LOAD_DATE)
    assert row["best_hour"] == 10
    assert row["main_channel"] == "app"
    assert row["main_channel_share"] == pytest.approx(1 / 3)


def test_bots_and_the_future_are_left_out(tables, given):
    given(
        sessions=[
            {"started_at": at(1, 1), "channel": "web", "is_bot": True},
            {"started_at": at(31, 16), "channel": "web"},
            {"started_at": at(31, 15), "channel": "app"},
        ]
    )
    (row,) = tables.run(MEMBERS, LOAD_DATE)
    assert (row["best_hour"], row["main_channel"], row["main_channel_share"]) == (23, "app", 1)
