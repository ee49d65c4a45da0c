"""JSON lines with a mapping: keys are columns, and `record` holds what is nested."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from resources.config.loading import ConfigError
from resources.config.source import FileSource
from resources.warehouse import Warehouse
from tests.landing import SECRET, Landing

ORDERS = FileSource(
    id="orders",
    kind="files",
    entity="events",
    format="jsonl",
    path="*.jsonl",
    time_zone="Asia/Shanghai",
    map={
        "message_id": "id",
        "event_name": "case status when 'paid' then 'Order Completed' else 'Order Cancelled' end",
        "user_id": "record->>'$.buyer.id'",
        "occurred_at": "coalesce(paid_at, created_at)",
    },
    properties={
        "order_id": "id",
        "revenue": "cast(total as double)",
        "products": "record->'$.lines'",
        "coupon": "coupon",
    },
)
FILE = "2026-07-03.jsonl"


@pytest.fixture
def shop(tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Landing:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    return Landing(tmp_path, warehouse)


def order(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"o{number}",
        "status": "paid",
        "buyer": {"id": "ann"},
        "paid_at": "2026-07-03 09:02:03",
        "total": 12.5,
        "lines": [{"product_id": "p1", "price": 12.5}],
    } | changes


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def test_keys_are_columns_and_the_record_holds_what_is_nested(shop: Landing) -> None:
    shop.lands(FILE, lines(order(1), order(2, paid_at="2026-07-03T09:02:03+09:00", coupon="X")))
    shop.collects(ORDERS)
    found = shop.rows(
        "select message_id, event_name, user_id, occurred_at, properties from raw.events"
        " order by line"
    )
    ann = shop.keyring.unlock().pseudonym("ann")
    first, second = (row[3] for row in found)
    assert [row[:3] for row in found] == [
        ("o1", "Order Completed", ann),
        ("o2", "Order Completed", ann),
    ]
    # Of the shop's zone without an offset, by its own offset with one.
    assert first == dt.datetime(2026, 7, 3, 1, 2, 3)  # noqa: DTZ001
    assert second == dt.datetime(2026, 7, 3, 0, 2, 3)  # noqa: DTZ001
    assert [json.loads(row[4]) for row in found] == [
        {
            "order_id": f"o{number}",
            "revenue": 12.5,
            "products": [{"product_id": "p1", "price": 12.5}],
            "coupon": coupon,
        }
        for number, coupon in ((1, None), (2, "X"))
    ]


def test_a_line_that_is_no_object_waits_with_its_reason(shop: Landing) -> None:
    bad = b'[1]\n\n"text"\n{"id": \n{"id": "\xff"}\n'
    shop.lands(FILE, lines(order(1)).encode() + bad + lines(order(2, paid_at=None)).encode())
    shop.collects(ORDERS)
    assert shop.rows("select line, reason from raw.rejected_records order by line") == [
        (2, "not a JSON object"),
        (4, "not a JSON object"),
        (5, "not a JSON object"),
        (6, "not UTF-8"),
        (7, "occurred_at is missing or not of its type"),
    ]
    assert shop.rows("select n_records, n_rejected from raw.loads") == [(6, 5)]
    assert shop.column("select line from raw.events") == [1]


def test_a_property_that_cannot_be_read_rejects_its_record_alone(shop: Landing) -> None:
    # Two expressions that share the part that fails.
    shared = {"rounded": "round(cast(total as double))", "half": "cast(total as double) / 2"}
    source = ORDERS.model_copy(update={"properties": shared})
    shop.lands(FILE, lines(order(1), order(2, total="much"), order(3, total=None)))
    shop.collects(source)
    assert shop.rows("select line, reason from raw.rejected_records") == [
        (2, "properties.rounded cannot be read")
    ]
    assert shop.column("select properties from raw.events order by line") == [
        '{"rounded":13.0,"half":6.25}',
        '{"rounded":null,"half":null}',
    ]


def test_several_files_keep_their_own_lines(shop: Landing) -> None:
    for day in (1, 2, 3):
        shop.lands(f"2026-07-0{day}.jsonl", lines(*(order(n) for n in range(day))) + "x\n")
    assert shop.collects(ORDERS) == 3
    found = shop.rows(
        "select path, max(line), max(load_date) from raw.events group by path order by path"
    )
    assert found == [(f"2026-07-0{day}.jsonl", day, dt.date(2026, 7, day)) for day in (1, 2, 3)]
    ledger = shop.rows("select n_records, n_rejected from raw.loads order by path")
    assert ledger == [(2, 1), (3, 1), (4, 1)]


def test_a_control_total_is_of_one_file(shop: Landing) -> None:
    shop.lands("2026-07-01.jsonl", lines(order(1), order(2)))
    shop.lands("2026-07-02.jsonl", lines(order(3, total=1)))
    shop.collects(ORDERS.model_copy(update={"control_total": "total"}))
    assert [
        float(each) for each in shop.column("select control_total from raw.loads order by path")
    ] == [
        25.0,
        1.0,
    ]


def test_odd_keys_are_columns_too(shop: Landing) -> None:
    record = {
        "ID": "o1",
        "a/b~c": "slash",
        "line": 7,
        "record": "r",
        'say "x"': "y",
        "paid": "paid",
    }
    source = ORDERS.model_copy(
        update={
            "map": ORDERS.map | {"event_name": "paid", "user_id": "'ann'"},
            "properties": {
                "slash": '"a/b~c"',
                "quoted": '"say ""x"""',
                "theirs": "record->>'$.line'",
                "number": "line",
                "gone": "not_there",
            },
        }
    )
    shop.lands(FILE, lines({"created_at": "2026-07-03 09:00:00"} | record))
    shop.collects(source)
    ((message_id, said),) = shop.rows("select message_id, properties from raw.events")
    assert message_id == "o1"
    assert json.loads(said) == {
        "slash": "slash",
        "quoted": "y",
        "theirs": "7",
        "number": 1,
        "gone": None,
    }


def test_many_different_keys_do_not_hide_those_that_are_mapped(shop: Landing) -> None:
    records = [order(n, **{f"k{n}_{key}": 1 for key in range(30)}) for n in range(50)]
    rare = order(99, coupon="RARE")
    shop.lands(FILE, lines(*records, rare))
    shop.collects(ORDERS)
    assert shop.column("select properties from raw.events where message_id = 'o99'")[0].endswith(
        '"coupon":"RARE"}'
    )


def test_a_wrong_expression_names_its_key(shop: Landing) -> None:
    shop.lands(FILE, lines(order(1)))
    source = ORDERS.model_copy(update={"properties": {"x": "no_such_function(id)"}})
    with pytest.raises(ConfigError) as caught:
        shop.collects(source)
    assert "source 'orders', key 'properties'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_products_members_and_consents_are_mapped_alike(shop: Landing) -> None:
    shop.lands(
        "p/2026-07-03.jsonl", lines({"sku": "p1", "title": {"zh": "杯子"}, "tags": ["a", "b"]})
    )
    shop.lands("m/2026-07-03.jsonl", lines({"uid": "ann", "phone": "13812345678", "city": "Kyoto"}))
    shop.lands(
        "c/2026-07-03.jsonl", lines({"uid": "ann", "ok": True, "at": "2026-07-03T00:00:00Z"})
    )

    def source(entity: str, **changes: Any) -> FileSource:
        declared = {"id": entity, "kind": "files", "entity": entity, "format": "jsonl"}
        return FileSource.model_validate(declared | {"path": f"{entity[0]}/*.jsonl"} | changes)

    shop.collects(
        source(
            "products",
            map={
                "product_id": "sku",
                "title": "record->>'$.title.zh'",
                "tags": "cast(tags as json)::varchar[]",
            },
        ),
        source(
            "members",
            map={"user_id": "uid", "attributes": "json_object('city', city)"},
            addresses={"sms": "phone"},
        ),
        source(
            "consents",
            map={
                "user_id": "uid",
                "channel": "'sms'",
                "status": "case ok when 'true' then 'granted' else 'denied' end",
                "at": '"at"',
            },
        ),
    )
    assert shop.rows("select product_id, title, tags from raw.product_records") == [
        ("p1", "杯子", ["a", "b"])
    ]
    assert shop.rows("select addressable_channels, attributes from raw.members") == [
        (["sms"], '{"city":"Kyoto"}')
    ]
    assert shop.rows('select channel, status, "at" from raw.consents') == [
        ("sms", "granted", dt.datetime(2026, 7, 3))  # noqa: DTZ001
    ]
