"""GA4's BigQuery export: JSON lines and Parquet give the same events in Segment's words."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from resources.config.source import FileSource
from resources.sources.files import SourceError
from resources.sources.times import NO_TIME
from resources.warehouse import Warehouse
from tests.landing import SECRET, Landing

GA4 = FileSource(
    id="ga4",
    kind="files",
    entity="events",
    format="jsonl",
    layout="ga4",
    path="*.jsonl",
    events={"spin_wheel": "Game Played"},
    fields={"coupon_code": "coupon"},
)
FILE = "2026-07-03.jsonl"
VALUE = pa.struct(
    {
        "string_value": pa.string(),
        "int_value": pa.int64(),
        "float_value": pa.float64(),
        "double_value": pa.float64(),
    }
)
# The columns of developers.google.com/analytics/bigquery/event-schema that matter here.
SCHEMA = pa.schema(
    {
        "event_date": pa.string(),
        "event_timestamp": pa.int64(),
        "event_name": pa.string(),
        "event_params": pa.list_(pa.struct({"key": pa.string(), "value": VALUE})),
        "event_bundle_sequence_id": pa.int64(),
        "event_server_timestamp_offset": pa.int64(),
        "user_id": pa.string(),
        "user_pseudo_id": pa.string(),
        "user_properties": pa.list_(pa.struct({"key": pa.string(), "value": VALUE})),
        "device": pa.struct(
            {"category": pa.string(), "language": pa.string(), "advertising_id": pa.string()}
        ),
        "geo": pa.struct({"country": pa.string(), "city": pa.string()}),
        "platform": pa.string(),
        "ecommerce": pa.struct(
            {
                "transaction_id": pa.string(),
                "purchase_revenue": pa.float64(),
                "refund_value": pa.float64(),
                "tax_value": pa.float64(),
            }
        ),
        "items": pa.list_(
            pa.struct(
                {
                    "item_id": pa.string(),
                    "item_name": pa.string(),
                    "item_brand": pa.string(),
                    "price": pa.float64(),
                    "quantity": pa.int64(),
                    "item_list_index": pa.string(),
                    "affiliation": pa.string(),
                }
            )
        ),
    }
)


def param(key: str, **value: Any) -> dict[str, Any]:
    return {"key": key, "value": dict.fromkeys(VALUE.names) | value}


def item(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "item_id": f"p{number}",
        "item_name": f"Cup {number}",
        "item_brand": "(not set)",
        "price": 10.5,
        "quantity": number,
        "item_list_index": "1",
        "affiliation": "shop",
    } | changes


def event(name: str, *params: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "event_date": "20260703",
        "event_timestamp": 1783040523456789,
        "event_name": name,
        "event_params": list(params),
        "event_bundle_sequence_id": 7,
        "event_server_timestamp_offset": 1500000,
        "user_id": "ann",
        "user_pseudo_id": "1234.5678",
        "user_properties": [param("phone", string_value="13812345678")],
        "device": {"category": "mobile", "language": "zh-cn", "advertising_id": "ad-1"},
        "geo": {"country": "China", "city": "Kunming"},
        "platform": "WEB",
        "ecommerce": None,
        "items": [],
    } | changes


EVENTS = [
    event(
        "view_item",
        param("currency", string_value="CNY"),
        param("value", double_value=10.5),
        param("ga_session_id", int_value=42),
        param("page_location", string_value="https://x.cn/cup?a=b"),
        items=[item(1)],
    ),
    event(
        "purchase",
        param("transaction_id", string_value="(not set)"),
        param("coupon_code", string_value="JULY"),
        items=[item(1), item(2)],
        ecommerce={
            "transaction_id": "o-1",
            "purchase_revenue": 31.5,
            "refund_value": None,
            "tax_value": 1.5,
        },
    ),
    event("page_view", param("page_title", string_value="Cups")),
    event("spin_wheel", user_id=None, user_pseudo_id=None),
]


@pytest.fixture
def shop(tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Landing:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    return Landing(tmp_path, warehouse)


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def as_bigquery_writes_it(record: Any) -> Any:
    """Without NULLs and with whole numbers as texts, as `bq extract` writes JSON."""
    if isinstance(record, dict):
        kept = {key: as_bigquery_writes_it(value) for key, value in record.items()}
        return {key: value for key, value in kept.items() if value is not None}
    if isinstance(record, list):
        return [as_bigquery_writes_it(each) for each in record]
    return str(record) if isinstance(record, int) else record


def test_events_become_segments(shop: Landing) -> None:
    shop.lands(FILE, lines(*EVENTS))
    shop.collects(GA4)
    found = shop.rows(
        "select event_type, event_name, anonymous_id, user_id, occurred_at, received_at, locale,"
        " channel, properties from raw.events order by line"
    )
    keys = shop.keyring.unlock()
    ann, device = keys.pseudonym("ann"), keys.pseudonym("1234.5678")
    when = dt.datetime(2026, 7, 3, 1, 2, 3, 456789)  # noqa: DTZ001 - naive UTC
    later = when + dt.timedelta(seconds=1.5)
    assert [row[:4] for row in found] == [
        ("track", "Product Viewed", device, ann),
        ("track", "Order Completed", device, ann),
        ("page", None, device, ann),
        ("track", "Game Played", None, None),
    ]
    assert {row[4:8] for row in found} == {(when, later, "zh-cn", "web")}
    cup = {
        "product_id": "p1",
        "name": "Cup 1",
        "brand": None,
        "price": 10.5,
        "quantity": 1,
        "position": "1",
        "affiliation": "shop",
    }
    viewed, ordered, page, _ = (json.loads(row[8]) for row in found)
    assert viewed == {
        "currency": "CNY",
        "value": 10.5,
        "ga_session_id": 42,
        "url": "https://x.cn/cup?a=b",
        "product_id": "p1",
        "name": "Cup 1",
        "price": 10.5,
        "quantity": 1.0,
        "products": [cup],
    }
    assert ordered == {
        "order_id": "o-1",
        "coupon": "JULY",
        "revenue": 31.5,
        "tax": 1.5,
        "products": [cup, cup | {"product_id": "p2", "name": "Cup 2", "quantity": 2}],
    }
    assert page == {"title": "Cups"}


def test_parquet_and_bigquerys_json_give_the_same(shop: Landing) -> None:
    shop.lands(FILE, lines(*(as_bigquery_writes_it(each) for each in EVENTS)))
    file = shop.lands("2026-07-03.parquet", b"")
    pq.write_table(pa.Table.from_pylist(EVENTS, SCHEMA), file)
    shop.collects(GA4, GA4.model_copy(update=dict(id="rows", format="parquet", path="*.parquet")))
    columns = "line, event_type, event_name, anonymous_id, user_id, occurred_at, received_at"
    from_json, from_rows = (
        shop.rows(f"select {columns} from raw.events where source = '{each}' order by line")
        for each in ("ga4", "rows")
    )
    assert from_json == from_rows
    assert len(from_rows) == 4
    said = shop.column("select properties from raw.events order by line, source")
    for one, other in zip(said[::2], said[1::2], strict=True):
        assert products_without_nulls(one) == products_without_nulls(other)


def products_without_nulls(said: str) -> Any:
    found = json.loads(said)
    for product in found.get("products", []):
        product["quantity"] = int(product["quantity"])
    return {key: value for key, value in found.items() if key != "products"} | {
        "products": [
            {key: value for key, value in each.items() if value is not None}
            for each in found.get("products", [])
        ]
    }


def test_a_refund_without_items_keeps_its_amount(shop: Landing) -> None:
    refunded = {"transaction_id": "o-1", "purchase_revenue": None, "refund_value": 10.5}
    shop.lands(FILE, lines(event("refund", ecommerce=refunded)))
    shop.collects(GA4)
    ((name, said),) = shop.rows("select event_name, properties from raw.events")
    assert name == "Order Refunded"
    assert json.loads(said) == {"order_id": "o-1", "revenue": 10.5}


def test_a_day_that_is_sent_again_replaces_itself(shop: Landing) -> None:
    shop.lands(FILE, lines(EVENTS[0]))
    shop.collects(GA4)
    (before,) = shop.column("select message_id from raw.events")
    shop.lands(FILE, lines(EVENTS[2], EVENTS[0]))
    shop.collects(GA4)
    after = shop.column("select message_id from raw.events order by line")
    assert len(after) == 2
    assert after[1] == before


def test_no_person_is_left_in_clear(shop: Landing) -> None:
    shop.lands(FILE, lines(*EVENTS))
    shop.collects(GA4)
    stored = str(shop.rows("select * from raw.events"))
    for secret in ("13812345678", "ad-1", "1234.5678", "'ann'"):
        assert secret not in stored


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"[]\n", "not a JSON object"),
        (b'{"event_name": "\xff"}\n', "not UTF-8"),
        ({"event_name": ""}, "event_name is missing"),
        ({"event_timestamp": None}, "event_timestamp is missing"),
        ({"event_timestamp": "yesterday"}, f"event_timestamp{NO_TIME}"),
        ({"event_timestamp": 12345}, f"event_timestamp{NO_TIME}"),
        ({"event_params": "none"}, "event_params are not a list of key and value"),
        ({"items": {"item_id": 1}}, "items are not a list"),
    ],
)
def test_a_bad_record_is_rejected_with_its_reason(
    shop: Landing, record: bytes | dict[str, Any], reason: str
) -> None:
    bad = record if isinstance(record, bytes) else lines(EVENTS[0] | record).encode()
    shop.lands(FILE, bad + lines(EVENTS[2]).encode())
    shop.collects(GA4)
    assert shop.rows("select line, reason from raw.rejected_records") == [(1, reason)]
    assert shop.rows("select n_records, n_rejected from raw.loads") == [(2, 1)]


def test_a_broken_parquet_file_is_one_line(shop: Landing) -> None:
    shop.lands("2026-07-03.parquet", b"PAR1 this is no Parquet file")
    source = GA4.model_copy(update={"format": "parquet", "path": "*.parquet"})
    with pytest.raises(
        SourceError, match=r"2026-07-03.parquet: cannot be read \(.*repair"
    ) as caught:
        shop.collects(source)
    assert "\n" not in str(caught.value)


def test_only_ga4_reads_parquet() -> None:
    with pytest.raises(ValidationError, match="expected 'map', not 'layout' sensors, for parquet"):
        FileSource.model_validate(GA4.model_dump() | {"layout": "sensors", "format": "parquet"})
    with pytest.raises(ValidationError, match="expected 'map', not 'layout' ga4, for csv"):
        FileSource.model_validate(GA4.model_dump() | {"format": "csv"})
