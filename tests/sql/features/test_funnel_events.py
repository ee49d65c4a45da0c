"""Which events funnels ask for, and how they are numbered."""

import datetime as dt

import polars as pl
import pytest

from assets.clean.contracts import EVENTS
from assets.features.contracts import FUNNEL_EVENTS

LOAD_DATE = dt.date(2026, 3, 31)
NOON = dt.datetime(2026, 3, 31, 4)  # noqa: DTZ001 - stored timestamps are naive UTC
KINDS = {
    "funnel": pl.String,
    "step": pl.Int64,
    "event_name": pl.String,
    "channel": pl.String,
    "country": pl.String,
    "product_id": pl.String,
}
VIEW, ORDER = "Product Viewed", "Order Completed"


@pytest.fixture
def run(tables):
    """Runs the SQL over events and kinds (funnel, step, event_name and conditions)."""

    def run(events, *kinds):
        tables.given(EVENTS)
        tables.session.execute(f"delete from {EVENTS.name}")
        tables.given(
            EVENTS,
            [
                {
                    "message_id": f"m{n}",
                    "member_id": 1,
                    "occurred_at": NOON,
                    "is_deliberate": True,
                    **event,
                }
                for n, event in enumerate(events)
            ],
        )
        rows = [(*kind, *[None] * (len(KINDS) - len(kind))) for kind in kinds]
        with tables.session.offering(funnel_kinds=pl.DataFrame(rows, KINDS, orient="row")):
            found = tables.run(FUNNEL_EVENTS, LOAD_DATE)
        assert tables.offending(FUNNEL_EVENTS) == {}
        return [tuple(row.values()) for row in found]

    return run


def test_events_stand_beside_the_steps_they_meet(run):
    hour = dt.timedelta(hours=1)
    events = [
        {"event_name": name, "occurred_at": NOON + n * hour}
        for n, name in enumerate((VIEW, "Page", ORDER))
    ]
    kinds = [("f", 1, VIEW), ("f", 2, ORDER), ("f", 3, VIEW), ("g", -1, ORDER)]
    assert run(events, *kinds) == [
        ("f", 1, 1, 1, NOON, False),
        ("f", 1, 1, 3, NOON, False),
        ("f", 1, 3, 2, NOON + 2 * hour, True),
        ("g", 1, 3, -1, NOON + 2 * hour, True),
    ]


def test_conditions_hold_together(run):
    places = [("app", "CN", "p"), ("app", "CN", "q"), ("app", "JP", "p"), (None, "CN", "p")]
    events = [
        {"event_name": VIEW, "channel": channel, "country": country, "product_id": product}
        for channel, country, product in places
    ]

    def met(*conditions):
        return [row[2] for row in run(events, ("f", 1, VIEW, *conditions))]

    assert met() == [1, 2, 3, 4]
    assert met("app") == [1, 2, 3]
    assert met("app", "CN") == [1, 2]
    assert met("app", "CN", "p") == [1]
    assert met(None, None, "p") == [1, 3, 4]


def test_bots_tests_nobody_and_the_future_are_left_out(run):
    others = [
        {"is_bot": True},
        {"is_test": True},
        {"member_id": None},
        {"occurred_at": dt.datetime(2026, 3, 31, 16)},  # noqa: DTZ001
    ]
    events = [{"event_name": VIEW, **other} for other in [*others, {}]]
    assert run(events, ("f", 1, VIEW)) == [("f", 1, 1, 1, NOON, True)]


def test_every_event_of_a_member_is_numbered(run):
    hour = dt.timedelta(hours=1)
    events = [
        {"event_name": ORDER, "occurred_at": NOON + 2 * hour},
        {"event_name": "Page", "occurred_at": NOON + hour},
        {"event_name": VIEW},
        {"event_name": VIEW, "member_id": 2},
        {"event_name": "Page", "member_id": 2, "is_bot": True, "occurred_at": NOON + hour},
        {"event_name": "Page", "member_id": 3},
        {"event_name": VIEW, "member_id": 3},
        {"event_name": VIEW, "member_id": 3},
    ]
    found = run(events, ("f", 1, VIEW), ("f", 2, ORDER))
    assert [(member, nth, step, is_newest) for _, member, nth, step, _, is_newest in found] == [
        (1, 1, 1, False),
        (1, 3, 2, True),
        (2, 1, 1, True),
        (3, 2, 1, False),
        (3, 3, 1, True),
    ]


def test_no_funnels_or_no_events_give_no_rows(run):
    assert run([{"event_name": VIEW}]) == []
    assert run([], ("f", 1, VIEW)) == []


def test_messages_sent_meanwhile_come_between_nothing(run):
    names = (VIEW, "Email Delivered", "Products Searched", ORDER)
    events = [
        {
            "event_name": name,
            "occurred_at": NOON + n * dt.timedelta(hours=1),
            "is_deliberate": name in (VIEW, "Products Searched"),
        }
        for n, name in enumerate(names)
    ]
    found = run(events, ("f", 1, VIEW), ("f", 2, ORDER))
    # An order that a server tells of is asked for, and so it has its place.
    assert [(nth, step) for _, _, nth, step, _, _ in found] == [(1, 1), (3, 2)]
    found = run(events, ("f", 1, "Email Delivered"), ("f", 2, ORDER))
    assert [(nth, step) for _, _, nth, step, _, _ in found] == [(2, 1), (4, 2)]
