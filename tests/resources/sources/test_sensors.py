"""Sensors Analytics: its documented records become events of people, and bad ones wait."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from resources.config.source import FileSource
from resources.sources.times import NO_TIME
from resources.warehouse import Warehouse
from tests.landing import SECRET, Landing

SENSORS = FileSource(
    id="sensors",
    kind="files",
    entity="events",
    format="jsonl",
    layout="sensors",
    path="*.jsonl",
    events={"ViewProduct": "Product Viewed", "提交订单": "Order Completed"},
    fields={"product_name": "name", "product_price": "price", "commodity_id": "product_id"},
)
FILE = "2026-07-03.jsonl"

# The examples of manual.sensorsdata.cn, "数据格式" and "简易用户关联(Web)".
TRACK: dict[str, Any] = {
    "distinct_id": "0f485d4daaadedae5f",
    "anonymous_id": "0f485d4daaadedae5f",
    "time": 1434556935000,
    "type": "track",
    "event": "ViewProduct",
    "project": "ebiz_test",
    "time_free": True,
    "identities": {"$identity_android_id": "0f485d4daaadedae5f"},
    "properties": {
        "$app_version": "1.3",
        "$wifi": True,
        "$ip": "180.79.35.65",
        "$province": "湖南",
        "$city": "长沙",
        "$user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 10_3_2 like Mac OS X)",
        "$screen_width": 320,
        "product_id": 12345,
        "product_name": "苹果",
        "product_classify": "水果",
        "product_price": 14.0,
    },
}
PAGE: dict[str, Any] = {
    "anonymous_id": "18e84929a117c0-1296000",
    "distinct_id": "18e84929a117c0-1296000",
    "lib": {"$lib": "js", "$lib_method": "code", "$lib_version": "1.26.7"},
    "identities": {"$identity_cookie_id": "18e84929a117c0-1296000"},
    "properties": {"$lib": "js", "$url": "http://xx.com/index.html", "$title": "bbbb"},
    "type": "track",
    "event": "$pageview",
    "time": 1711621218552,
    "_track_id": 828798553,
    "_flush_time": 1711621218553,
}
SIGNUP: dict[str, Any] = {
    "distinct_id": "130xxxx1234",
    "original_id": "0f485d4d12345e5f",
    "login_id": "130xxxx1234",
    "anonymous_id": "0f485d4d12345e5f",
    "time": 1434557935000,
    "type": "track_signup",
    "event": "$SignUp",
    "project": "ebiz_test",
    "identities": {
        "$identity_android_id": "0f485d4d12345e5f",
        "$identity_login_id": "130xxxx1234",
    },
    "properties": {"$manufacturer": "Apple", "$model": "iPhone5,2", "$os": "iOS"},
}


@pytest.fixture
def shop(tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Landing:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    return Landing(tmp_path, warehouse)


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def test_a_tracked_event_becomes_segments(shop: Landing) -> None:
    shop.lands(FILE, lines(TRACK))
    shop.collects(SENSORS)
    ((event_type, name, visitor, user, occurred_at, received_at, agent, said),) = shop.rows(
        "select event_type, event_name, anonymous_id, user_id, occurred_at, received_at,"
        " user_agent, properties from raw.events"
    )
    keys = shop.keyring.unlock()
    assert (event_type, name, user) == ("track", "Product Viewed", None)
    assert visitor == keys.pseudonym("0f485d4daaadedae5f")
    when = dt.datetime(2015, 6, 17, 16, 2, 15)  # noqa: DTZ001 - stored timestamps are naive UTC
    assert (occurred_at, received_at) == (when, when)
    assert agent.startswith("Mozilla/5.0 (iPhone")
    properties = json.loads(said)
    assert properties["product_id"] == 12345
    assert (properties["name"], properties["price"]) == ("苹果", 14.0)
    assert properties["province"] == "湖南"
    assert "180.79.35.65" not in said


def test_a_page_view_is_a_page_with_its_url(shop: Landing) -> None:
    shop.lands(FILE, lines(PAGE, PAGE | {"event": "$MPViewScreen"}))
    shop.collects(SENSORS)
    found = shop.rows(
        "select event_type, event_name, channel, properties, sent_at - occurred_at"
        " from raw.events order by line"
    )
    assert [row[:3] for row in found] == [("page", None, "web"), ("screen", None, "web")]
    assert json.loads(found[0][3])["url"] == "http://xx.com/index.html"
    assert found[0][4] == dt.timedelta(milliseconds=1)


def test_a_signup_links_the_visitor_to_the_user(shop: Landing) -> None:
    without = {key: SIGNUP[key] for key in ("distinct_id", "original_id", "time", "type", "event")}
    shop.lands(FILE, lines(SIGNUP, without))
    shop.collects(SENSORS)
    keys = shop.keyring.unlock()
    linked = (
        "identify",
        keys.pseudonym("0f485d4d12345e5f"),
        keys.pseudonym("130xxxx1234"),
    )
    assert shop.rows("select event_type, anonymous_id, user_id from raw.events") == [linked] * 2


@pytest.mark.parametrize(
    ("changes", "user", "visitor"),
    [
        ({}, None, "device"),
        ({"anonymous_id": None}, None, "device"),
        ({"distinct_id": "ann", "anonymous_id": "device"}, "ann", "device"),
        ({"distinct_id": "ann", "login_id": "ann", "anonymous_id": "device"}, "ann", "device"),
        (
            {"distinct_id": "ann", "anonymous_id": None, "properties": {"$is_login_id": True}},
            "ann",
            None,
        ),
        (
            {
                "distinct_id": "ann",
                "anonymous_id": None,
                "identities": {"$identity_login_id": "ann"},
            },
            "ann",
            None,
        ),
        (
            {"distinct_id": "x", "anonymous_id": None, "identities": {"$identity_idfv": "device"}},
            None,
            "device",
        ),
    ],
)
def test_who_is_user_and_who_is_visitor(
    shop: Landing, changes: dict[str, Any], user: str | None, visitor: str | None
) -> None:
    base = TRACK | {"distinct_id": "device", "anonymous_id": "device", "identities": {}}
    shop.lands(FILE, lines(base | changes))
    shop.collects(SENSORS)
    keys = shop.keyring.unlock()
    assert shop.rows("select user_id, anonymous_id from raw.events") == [
        (
            user and keys.pseudonym(user),
            visitor and keys.pseudonym(visitor),
        )
    ]


def test_a_profile_says_who_somebody_is_and_keeps_no_name(shop: Landing) -> None:
    kinds = ("profile_set", "profile_set_once", "profile_append", "profile_unset", "profile_delete")
    said = {"$name": "Ann Li", "phone": "13812345678", "city": "Kyoto", "$is_login_id": True}
    records = [TRACK | {"type": kind, "event": None, "properties": said} for kind in kinds]
    shop.lands(FILE, lines(*records))
    shop.collects(SENSORS)
    assert shop.rows("select distinct event_type, event_name, properties from raw.events") == [
        ("identify", None, '{"city":"Kyoto"}')
    ]


def test_an_item_names_nobody(shop: Landing) -> None:
    item = {"type": "item_set", "item_type": "food", "item_id": "2", "time": 1434557935000}
    shop.lands(FILE, lines(item | {"properties": {"name": "Apple"}}))
    shop.collects(SENSORS)
    found = shop.rows("select event_type, anonymous_id, user_id from raw.events")
    assert found == [("item_set", None, None)]


def test_a_copy_that_is_sent_again_has_the_same_id_and_another_event_has_not(
    shop: Landing,
) -> None:
    again = PAGE | {"_flush_time": 1711621299999, "recv_time": 1711621300000}
    other = PAGE | {"_track_id": 1}
    shop.lands(FILE, lines(PAGE, again, other))
    shop.collects(SENSORS)
    first, second, third = shop.column("select message_id from raw.events order by line")
    assert first == second != third


def test_names_are_the_shops_own_and_fields_are_renamed_at_any_depth(shop: Landing) -> None:
    properties = {
        "commodity_id": "p1",
        "note": 'the "commodity_id": stays',
        "products": [{"commodity_id": "p2", "product_price": 3}],
    }
    shop.lands(FILE, lines(TRACK | {"event": "提交订单", "properties": properties}))
    shop.collects(SENSORS)
    ((name, said),) = shop.rows("select event_name, properties from raw.events")
    assert name == "Order Completed"
    assert json.loads(said) == {
        "product_id": "p1",
        "note": 'the "commodity_id": stays',
        "products": [{"product_id": "p2", "price": 3}],
    }


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"<html>\n", "not a JSON object"),
        (b'{"type": "\xff"}\n', "not UTF-8"),
        ({"type": None}, "type is missing"),
        (
            {"type": "trace"},
            "type is none of track, track_signup, track_id_bind, profile_…, item_…",
        ),
        ({"event": ""}, "event is missing on a track record"),
        ({"distinct_id": "", "anonymous_id": "", "identities": {}}, "distinct_id is missing"),
        ({"time": None}, "time is missing"),
        ({"time": "yesterday"}, f"time{NO_TIME}"),
        ({"time": 1e300}, f"time{NO_TIME}"),
        ({"time": 0}, f"time{NO_TIME}"),
        ({"_flush_time": "x"}, f"_flush_time{NO_TIME}"),
        ({"recv_time": []}, f"recv_time{NO_TIME}"),
        ({"properties": [1]}, "properties are not a JSON object"),
    ],
)
def test_a_bad_record_is_rejected_with_its_reason(
    shop: Landing, record: bytes | dict[str, Any], reason: str
) -> None:
    bad = record if isinstance(record, bytes) else lines(TRACK | record).encode()
    shop.lands(FILE, lines(PAGE).encode() + bad + b"\n")
    shop.collects(SENSORS)
    assert shop.rows("select line, reason from raw.rejected_records") == [(2, reason)]
    assert shop.rows("select n_records, n_rejected from raw.loads") == [(2, 1)]
