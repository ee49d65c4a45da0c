"""Which messages speak of a share or a group order, and which of them count once."""

import datetime as dt

import pytest

from assets.clean import contracts as clean
from assets.features.contracts import SHARE_TOUCHES

LOAD_DATE = dt.date(2026, 3, 31)
DAY = dt.date(2026, 3, 10)


@pytest.fixture
def touches(tables):
    """Runs share_touches over the given events and returns its rows, by message."""

    def make(*events, **parameters):
        rows = [
            {
                "message_id": f"m{number}",
                "member_id": 1,
                "visitor_id": 1,
                "session_id": 7,
                "occurred_at": dt.datetime(2026, 3, 10, 8, number),  # noqa: DTZ001
                "event_date": DAY,
                "is_deliberate": True,
                **event,
            }
            for number, event in enumerate(events)
        ]
        tables.given(clean.EVENTS, rows)
        tables.given(clean.ORDER_EVENTS, [{"message_id": "m0", "order_number": "7"}])
        tables.given(clean.ORDER_NUMBERS, [{"order_number": "7", "order_id": "till:7"}])
        found = tables.run(SHARE_TOUCHES, LOAD_DATE, **parameters)
        assert tables.offending(SHARE_TOUCHES) == {}
        return {row["message_id"]: row for row in found}

    return make


def test_nothing_shared_is_nothing(touches):
    assert touches({"event_name": "Product Viewed"}) == {}


def test_kinds_are_told_by_the_event(touches):
    found = touches(
        {"event_name": "Product Shared", "share_code": "c"},
        {"event_name": "Cart Shared", "share_code": "d"},
        {"event_name": "Page", "share_code": "c"},
        {"event_name": "Order Completed", "group_id": "g", "order_id": "o"},
        {"event_name": "Product Shared", "group_id": "g"},
        {"event_name": "Product Viewed", "group_id": "g"},
        {"event_name": "Order Refunded", "group_id": "g"},
    )
    assert {name: row["kind"] for name, row in found.items()} == {
        "m0": "share",
        "m1": "share",
        "m2": "click",
        "m3": "order",
        "m4": "share",
    }
    assert (found["m3"]["order_id"], found["m3"]["group_id"]) == ("o", "g")


def test_a_code_that_stays_in_the_address_is_clicked_once_a_session(touches):
    page = {"event_name": "Page", "share_code": "c"}
    found = touches(page, page, {**page, "share_code": "d"}, {**page, "session_id": 8})
    assert list(found) == ["m0", "m2", "m3"]


def test_a_link_that_is_opened_again_after_another_is_a_click_again(touches):
    a, b = ({"event_name": "Page", "share_code": code} for code in "ab")
    assert list(touches(a, b, b, a)) == ["m0", "m1", "m3"]


def test_clicks_without_a_session_are_each_their_own(touches):
    page = {"event_name": "Page", "share_code": "c", "session_id": None}
    assert list(touches(page, page)) == ["m0", "m1"]


def test_two_devices_in_one_session_are_two_clicks(touches):
    page = {"event_name": "Page", "share_code": "c"}
    assert list(touches(page, {**page, "visitor_id": 2})) == ["m0", "m1"]


@pytest.mark.parametrize(
    "flaw",
    [
        {"is_bot": True},
        {"member_id": None},
        {"event_date": LOAD_DATE + dt.timedelta(days=1)},
        {"is_test": True},
    ],
)
def test_bots_strangers_and_what_is_yet_to_come_are_left_out(touches, flaw):
    assert touches({"event_name": "Page", "share_code": "c", **flaw}) == {}


def test_a_code_is_as_long_as_the_shop_allows(touches):
    found = touches(
        {"event_name": "Page", "share_code": "c" * 32},
        {"event_name": "Page", "share_code": "c" * 33},
        {"event_name": "Product Shared", "share_code": "c" * 33, "group_id": "g"},
    )
    assert {name: row["share_code"] for name, row in found.items()} == {"m0": "c" * 32, "m2": None}


def test_the_shop_says_how_long_a_code_is(touches):
    assert touches({"event_name": "Page", "share_code": "cc"}, max_code_length=1) == {}


def test_a_message_with_the_link_in_it_is_no_click(touches):
    found = touches(
        {"event_name": "Email Delivered", "share_code": "c", "is_deliberate": False},
        {"event_name": "Signed Up", "share_code": "c", "is_deliberate": False},
    )
    assert {name: row["kind"] for name, row in found.items()} == {"m1": "click"}


def test_an_order_is_called_as_clean_orders_calls_it(touches):
    about = {"event_name": "Order Completed", "group_id": "g"}
    found = touches({**about, "order_id": "7"}, {**about, "order_id": "8"})
    assert [row["order_id"] for row in found.values()] == ["till:7", "8"]
