"""Until when a shop is told: the last day that is over for everything that is asked."""

import datetime as dt
from collections.abc import Mapping, Sequence

import pytest

from assets.clean.contracts import EVENTS
from assets.raw.contracts import LOADS, SOURCES
from resources.shop import NothingLoaded, ShopConfig
from resources.warehouse import read_sql
from tests.conftest import ROOT, Tables

# In Shanghai, eight hours ahead.
SHOP = ShopConfig(folder=str(ROOT / "config" / "demo"))
NOON = dt.datetime(2026, 7, 10, 4)  # noqa: DTZ001


def day(number: int) -> dt.date:
    return dt.date(2026, 7, number)


def given(
    tables: Tables,
    load_dates: Mapping[str, Sequence[int]],
    asked_at: dt.datetime | None = None,
    collected_at: dt.datetime = NOON,
) -> None:
    """Sources of files by name with their load dates, and one server beside if it was asked."""
    tables.given(
        LOADS,
        [
            {"source": source, "path": str(number), "load_date": day(number)}
            for source, days in load_dates.items()
            for number in days
        ],
    )
    names = [*load_dates, *(["server"] if asked_at else [])]
    tables.given(
        SOURCES,
        [
            {
                "source": name,
                "entity": "events",
                "is_pulled": name == "server",
                "asked_at": asked_at if name == "server" else None,
                "collected_at": collected_at,
            }
            for name in names
        ],
    )


@pytest.mark.parametrize(
    ("load_dates", "asked_at", "expected"),
    [
        # The newest load date, where it is over.
        ({"app": [1, 2]}, None, 2),
        # Not the running day, though its files begin to come.
        ({"app": [8, 9, 10]}, None, 9),
        # What came today alone is told as far as yesterday.
        ({"app": [10]}, None, 9),
        # A source that stopped holds nothing back.
        ({"app": [7, 8, 9], "old": [1, 2]}, None, 9),
        # A server: the days that were over when it was asked.
        ({"app": [9]}, NOON, 9),
        ({"app": [9]}, NOON - dt.timedelta(hours=13), 8),
        ({"app": [9]}, NOON - dt.timedelta(hours=12), 9),
    ],
)
def test_the_last_day_is_over_for_every_source(
    tables: Tables,
    load_dates: Mapping[str, Sequence[int]],
    asked_at: dt.datetime | None,
    expected: int,
) -> None:
    given(tables, load_dates, asked_at)
    assert SHOP.last_date(tables.session) == day(expected)
    # Midnight in Shanghai.
    as_of = dt.datetime(2026, 7, expected, 16)  # noqa: DTZ001
    assert SHOP.parameters(tables.session)["as_of"] == as_of


def test_without_a_load_there_is_no_day(tables: Tables) -> None:
    with pytest.raises(NothingLoaded, match="nothing is loaded yet"):
        SHOP.last_date(tables.session)


@pytest.mark.parametrize(
    ("load_dates", "asked_at", "expected"),
    [
        ({"app": range(1, 10), "crm": range(1, 10)}, None, []),
        ({"app": range(1, 10), "crm": range(1, 8)}, None, [("crm", day(7), 2)]),
        # Every third day: not yet due, and due.
        ({"app": range(1, 10), "crm": [1, 4, 7]}, None, []),
        ({"app": range(1, 10), "crm": [1, 4]}, None, [("crm", day(4), 5)]),
        # What came once may have been all there is.
        ({"app": range(1, 10), "history": [1]}, None, []),
        ({"app": range(1, 10), "crm": []}, None, [("crm", None, None)]),
        ({"app": range(1, 10)}, NOON, []),
        ({"app": range(1, 10)}, NOON - dt.timedelta(days=2), [("server", day(7), 2)]),
    ],
)
def test_who_is_behind_is_named(
    tables: Tables,
    load_dates: Mapping[str, Sequence[int]],
    asked_at: dt.datetime | None,
    expected: list[tuple[object, ...]],
) -> None:
    given(tables, load_dates, asked_at)
    rows = tables.session.rows(
        read_sql("questions/lagging_sources.sql"),
        {"time_zone": "Asia/Shanghai", "last_date": day(9), "last_day_over": day(9)},
    )
    assert [(source, until, days) for source, _, _, until, days in rows] == expected


@pytest.mark.parametrize(
    ("first_event", "expected"),
    [
        # The demo shop declares 14 days.
        (None, 14),
        (dt.date(2026, 5, 1), 14),
        (dt.date(2026, 5, 29), 14),
        (dt.date(2026, 5, 30), 13),
        (day(1), 3),
        (day(9), 1),
    ],
)
def test_a_third_of_the_history_is_held_out_at_most(
    tables: Tables, first_event: dt.date | None, expected: int
) -> None:
    given(tables, {"app": [9]})
    told = [{"message_id": "m", "event_date": first_event}] if first_event else []
    tables.given(EVENTS, told)
    assert SHOP.holdout_days(tables.session) == expected
    parameters = SHOP.parameters(tables.session)
    as_of, start = parameters["as_of"], parameters["holdout_start"]
    assert isinstance(as_of, dt.datetime)
    assert start == as_of - dt.timedelta(days=expected)
