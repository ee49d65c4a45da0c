"""From funnels.yaml and events to the losses of every step."""

import datetime as dt

import pytest

from assets.clean.contracts import EVENTS
from assets.features import assets as features
from assets.features.contracts import FUNNEL_EVENTS
from assets.raw.contracts import LOADS
from assets.value import assets as value
from assets.value.contracts import FUNNELS
from resources.shop import ShopConfig
from tests.calling import called

LOAD_DATE = dt.date(2026, 3, 31)
NOON = dt.datetime(2026, 3, 31, 4)  # noqa: DTZ001 - stored timestamps are naive UTC
SHOP = """
name: test
time_zone: Asia/Shanghai
base_currency: CNY
first_load_date: 2026-01-01
"""
TWO_FUNNELS = """
funnels:
  - id: purchase
    window_days: 2
    steps:
      - {name: viewed, events: Product Viewed}
      - {name: added, events: Product Added}
      - {name: ordered, events: Order Completed}
    exclude:
      - {events: Product Removed, after: added}
  - id: at_once
    order: strict
    window_days: 1
    steps:
      - {name: viewed, events: Product Viewed, where: {channel: app}}
      - {name: ordered, events: Order Completed}
"""


@pytest.fixture
def losses(tmp_path, warehouse, tables):
    """The rows of value.funnels for events (member, hours before noon, name, channel)."""

    def make(funnels, *events):
        (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
        if funnels is not None:
            (tmp_path / "funnels.yaml").write_text(funnels, encoding="utf-8")
        tables.given(LOADS, [{"load_date": LOAD_DATE}])
        tables.given(
            EVENTS,
            [
                {
                    "message_id": f"m{number}",
                    "member_id": member,
                    "occurred_at": NOON - dt.timedelta(hours=hours),
                    "event_name": name,
                    "channel": channel,
                    "is_deliberate": True,
                }
                for number, (member, hours, name, channel) in enumerate(events)
            ],
        )
        shop = ShopConfig(folder=str(tmp_path))
        for asset, contract in ((features.funnel_events, FUNNEL_EVENTS), (value.funnels, FUNNELS)):
            called(asset, shop=shop, warehouse=warehouse)
            assert tables.offending(contract) == {}
        return [tuple(row.values()) for row in tables.rows(FUNNELS)]

    return make


def test_a_shop_without_funnels_has_an_empty_table(losses):
    assert losses(None, (1, 5, "Product Viewed", "app")) == []


def test_every_step_tells_who_came_and_who_may(losses):
    rows = losses(
        TWO_FUNNELS,
        # 1 comes all the way, once in the app at once; 2 puts it back; 3 is too late; 4 may come.
        (1, 30, "Product Viewed", "web"),
        (1, 29, "Product Added", "web"),
        (1, 27, "Product Viewed", "app"),
        (1, 26, "Order Completed", "app"),
        (2, 30, "Product Viewed", "app"),
        (2, 29, "Product Added", "app"),
        (2, 28, "Product Removed", "app"),
        (2, 27, "Order Completed", "app"),
        (3, 90, "Product Viewed", "web"),
        (3, 20, "Product Added", "web"),
        (4, 8, "Product Viewed", "app"),
    )
    assert rows == [
        ("at_once", 1, "viewed", 3, 3, 1, 1, None, 0),
        ("at_once", 2, "ordered", 3, 1, 1 / 3, 1 / 3, 3600, 1),
        ("purchase", 1, "viewed", 4, 4, 1, 1, None, 0),
        ("purchase", 2, "added", 4, 2, 0.5, 0.5, 3600, 1),
        ("purchase", 3, "ordered", 4, 1, 0.25, 0.5, 4 * 3600, 2),
    ]


def test_nobody_on_the_way_is_said_step_by_step(losses):
    rows = losses(TWO_FUNNELS)
    assert [row[3:] for row in rows] == [(0, 0, None, None, None, 0)] * 5
