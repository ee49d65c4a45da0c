"""Collection: what arrives is accepted or rejected, once, and never in clear."""

import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from assets.raw.assets import TABLES
from resources.config.loading import ConfigError
from resources.config.shop import Identity
from resources.config.source import FileSource
from resources.keys import Keyring
from resources.sources.collection import changed, collect
from resources.sources.files import SourceError, find_arrivals
from resources.sources.times import NO_TIME
from resources.vault import Vault
from resources.warehouse import Warehouse

SECRET = "0123456789abcdef0123456789abcdef"
LOADED_AT = dt.datetime(2026, 7, 4)  # noqa: DTZ001 - stored timestamps are naive UTC


class Shop:
    """A landing folder, a warehouse and a vault."""

    def __init__(self, folder: Path, warehouse: Warehouse) -> None:
        self.landing = folder / "landing"
        self.warehouse = warehouse
        self.keyring = Keyring(home=str(folder), is_simulated=False)
        self.vault = Vault(path=str(folder / "vault.duckdb"), keyring=self.keyring)

    def lands(self, path: str, content: str | bytes) -> Path:
        file = self.landing / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def collects(self, *sources: FileSource, **settings: Any) -> int:
        """Loads what is new; returns how many files that were."""
        with self.warehouse.connect() as session:
            arrivals = find_arrivals(sources, self.landing, os.environ)
            new = changed(session, TABLES, arrivals, settings.get("identity"))
            collect(
                session,
                self.vault,
                TABLES,
                new,
                keys=self.keyring.unlock(),
                base_currency="CNY",
                loaded_at=LOADED_AT,
                **settings,
            )
        return len(new)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as session:
            return session.rows(sql)


@pytest.fixture
def shop(tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    return Shop(tmp_path, warehouse)


EVENTS = FileSource(
    id="events", kind="files", entity="events", format="jsonl", layout="segment", path="*.jsonl"
)


def track(number: int, **changes: Any) -> str:
    event = {
        "messageId": f"m{number}",
        "type": "track",
        "event": "Product Viewed",
        "anonymousId": "device-1",
        "userId": "user-1",
        "originalTimestamp": "2026-07-03T01:02:03.456Z",
        "sentAt": "2026-07-03T01:02:04Z",
        "receivedAt": "2026-07-03T01:02:05+00:00",
        "context": {"ip": "203.0.113.9", "userAgent": "Safari", "country": "CN"},
        "properties": {"product_id": "p1", "email": "a.b@example.com", "note": "mail a@b.co"},
    }
    return json.dumps(event | changes, ensure_ascii=False) + "\n"


def test_an_event_is_kept_without_its_person(shop: Shop) -> None:
    shop.lands("2026-07-03.jsonl", track(1))
    shop.collects(EVENTS)
    (row,) = shop.rows(
        "select message_id, path, line, user_id, occurred_at, received_at, properties, load_date"
        " from raw.events"
    )
    keys = shop.keyring.unlock()
    assert row == (
        "m1",
        "2026-07-03.jsonl",
        1,
        keys.pseudonym("user-1"),
        dt.datetime(2026, 7, 3, 1, 2, 3, 456000),  # noqa: DTZ001
        dt.datetime(2026, 7, 3, 1, 2, 5),  # noqa: DTZ001
        '{"product_id":"p1","email":null,"note":"mail ***"}',
        dt.date(2026, 7, 3),
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("<html>502</html>\n", "not a JSON object"),
        ("[1, 2]\n", "not a JSON object"),
        (track(1)[:80] + "\n", "not a JSON object"),
        (track(1, type=None), "type is missing"),
        (track(1, event=None), "event is missing on a track call"),
        (track(1, originalTimestamp="yesterday"), f"originalTimestamp{NO_TIME}"),
        (track(1, receivedAt="0001-01-01T00:00:00Z"), "a time lies outside 1990 to 2100"),
        (track(1, sentAt="x"), f"sentAt{NO_TIME}"),
        (track(1, sentAt="9999-01-01T00:00:00Z"), "a time lies outside 1990 to 2100"),
        (track(1, originalTimestamp="infinity"), f"originalTimestamp{NO_TIME}"),
        ("\x00\x00\x00\x00\x00\x00\n", "not a JSON object"),
        (b'{"messageId": "\xff\xfe"}\n', "not UTF-8"),
        (track(1, type="video"), "type is none of track, identify, page, screen, group, alias"),
        (
            track(1, type="identify", userId=None, anonymousId=""),
            "userId and anonymousId are missing on an identify call",
        ),
        (track(1, type="group"), "groupId is missing on a group call"),
        (track(1, type="alias"), "previousId is missing on an alias call"),
        (
            track(1, type="alias", previousId="device-1", userId=None),
            "userId is missing on an alias call",
        ),
        (track(1, properties="x"), "properties are not an object"),
        (track(1, properties='{"a": 1}'), "properties are not an object"),
        (track(1, traits=[1]), "traits are not an object"),
        (
            '{"batch": [{"type": "track"}]}\n',
            'a batch of calls; write its calls one per line (jq -c ".batch[]")',
        ),
        (track(1, userId="u" * 1001), "user_id is longer than 1,000 characters"),
        (track(1, anonymousId="d" * 1001), "anonymous_id is longer than 1,000 characters"),
        (
            track(1, receivedAt="2026-07-05T00:00:00Z"),
            "received_at lies more than a day after the file's load date",
        ),
    ],
)
def test_a_bad_record_is_rejected_with_its_reason(
    shop: Shop, line: str | bytes, reason: str
) -> None:
    content = line if isinstance(line, bytes) else line.encode()
    shop.lands("2026-07-03.jsonl", track(1).encode() + b"\n" + content + track(2).encode())
    shop.collects(EVENTS)
    assert shop.rows("select line, reason from raw.rejected_records") == [(3, reason)]
    assert shop.rows("select line from raw.events order by line") == [(1,), (4,)]
    assert shop.rows("select n_records, n_rejected from raw.loads") == [(3, 1)]


def test_a_time_zone_that_is_none_is_not_known(shop: Shop) -> None:
    zones = ("Asia/Tokyo", "Asia/Nowhere", None)
    shop.lands(
        "2026-07-03.jsonl",
        "".join(track(n, context={"timezone": zone}) for n, zone in enumerate(zones)),
    )
    shop.collects(EVENTS)
    assert shop.rows("select time_zone from raw.events order by line") == [
        ("Asia/Tokyo",),
        (None,),
        (None,),
    ]


def test_sending_a_file_again_is_a_no_op_and_a_change_replaces_it(shop: Shop) -> None:
    file = shop.lands("2026-07-03.jsonl", track(1) + track(2))
    assert shop.collects(EVENTS) == 1
    assert shop.collects(EVENTS) == 0
    os.utime(file, (1, 1))
    assert shop.collects(EVENTS) == 0
    shop.lands("2026-07-03.jsonl", track(3))
    assert shop.collects(EVENTS) == 1
    assert shop.rows("select message_id from raw.events") == [("m3",)]


def test_a_file_that_is_still_being_written_is_left_alone(shop: Shop) -> None:
    shop.lands(".2026-07-03.jsonl", track(1))
    assert shop.collects(EVENTS) == 0


def test_a_file_without_a_load_date_is_refused(shop: Shop) -> None:
    shop.lands("today.jsonl", track(1))
    with pytest.raises(SourceError, match=r"today.jsonl: no load date \(YYYY-MM-DD\)"):
        shop.collects(EVENTS)


ORDERS = FileSource(
    id="orders",
    kind="files",
    entity="events",
    format="csv",
    path="orders.csv",
    load_date=dt.date(2026, 7, 3),
    time_zone="Asia/Shanghai",
    map={"event_name": "'Order Completed'", "user_id": "customer", "occurred_at": '"when"'},
    properties={"order_id": "order_id", "price": "cast(price as double)"},
    control_total="price",
)


def test_a_mapped_table_keeps_the_line_of_every_record(shop: Shop) -> None:
    shop.lands(
        "orders.csv",
        "order_id,customer,when,price\n"
        "1,ann,2026-07-01 08:00:00,10.10\n"
        "2,bea\n"
        "3,ann,never,5\n"
        "4,,2026-07-01 09:00:00,2.5\n",
    )
    shop.collects(ORDERS)
    found = shop.rows("select line, occurred_at, properties from raw.events order by line")
    assert found == [
        (2, dt.datetime(2026, 7, 1), '{"order_id":"1","price":10.1}'),  # noqa: DTZ001
        (5, dt.datetime(2026, 7, 1, 1), '{"order_id":"4","price":2.5}'),  # noqa: DTZ001
    ]
    rejected = shop.rows("select line, reason from raw.rejected_records order by line")
    assert rejected[1] == (4, f"occurred_at{NO_TIME}")
    assert rejected[0][0] == 3
    assert shop.rows("select n_records, n_rejected, control_total from raw.loads")[0][:2] == (4, 2)


def test_small_tables_are_read_together_and_keep_a_control_total_each(shop: Shop) -> None:
    source = ORDERS.model_copy(update={"path": "orders*.csv"})
    for number in range(3):
        shop.lands(
            f"orders-{number}.csv",
            "".join(
                f"{line}\n"
                for line in (
                    "order_id,customer,when,price",
                    *[f"{number},ann,2026-07-01 08:00:00,{number}.5"] * 2,
                )
            ),
        )
    shop.lands("orders-3.csv", "price,when,customer,order_id\n7,2026-07-01,ann,3\n")
    assert shop.collects(source) == 4
    assert shop.rows("select path, control_total from raw.loads order by path") == [
        ("orders-0.csv", Decimal(1)),
        ("orders-1.csv", Decimal(3)),
        ("orders-2.csv", Decimal(5)),
        ("orders-3.csv", Decimal(7)),
    ]
    assert shop.rows("select path, line from raw.events order by path, line")[-3:] == [
        ("orders-2.csv", 2),
        ("orders-2.csv", 3),
        ("orders-3.csv", 2),
    ]


def test_of_several_tables_the_one_that_cannot_be_read_is_named(shop: Shop) -> None:
    source = ORDERS.model_copy(
        update={"path": "orders*.csv", "properties": {"order_id": "cast(order_id as integer)"}}
    )
    header = "order_id,customer,when,price\n"
    shop.lands("orders-1.csv", header + "1,ann,2026-07-01,1\n")
    shop.lands("orders-2.csv", "id,customer,when,price\n2,ann,2026-07-01,1\n")
    with pytest.raises(ConfigError, match=r"does not fit .*orders-2\.csv .*columns are: id, "):
        shop.collects(source)


def test_a_broken_line_of_a_table_takes_no_other_with_it(shop: Shop) -> None:
    shop.lands(
        "orders.csv",
        "order_id,customer,when,price\n"
        "1,ann,2026-07-01,1\n"
        '2,"ann,2026-07-01,2\n'
        "3,ann,2026-07-01,3\n"
        '4,"ann",2026-07-01,4\n'
        "5,ann,2026-07-01,5\n"
        "6,ann,2026-07-01,6,surplus\n"
        "7,ann\n"
        '8,"a ""b""",2026-07-01,8\n',
    )
    shop.collects(ORDERS)
    found = shop.rows("select line, properties->>'$.order_id' from raw.events order by line")
    assert found == [(2, "1"), (4, "3"), (5, "4"), (6, "5"), (9, "8")]
    assert shop.rows("select line, reason from raw.rejected_records order by line") == [
        (3, "a quote is left open"),
        (7, "expected 4 columns, found 5"),
        (8, "expected 4 columns, found 2"),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("price,Price\n1,2\n", "column 'price' stands twice"),
        (b"pr\xffce\n1\n", "its header is not UTF-8; give its 'encoding', such as gb18030"),
        ("price\n1\n".encode("utf-16-le"), "if it is UTF-16, give 'encoding: utf-16'"),
        ("sep=;\nprice;a\n", "its first line says sep=;"),
    ],
)
def test_a_table_whose_header_cannot_be_read_is_one_line(
    shop: Shop, content: str | bytes, problem: str
) -> None:
    shop.lands("orders.csv", content)
    with pytest.raises(SourceError, match=problem):
        shop.collects(ORDERS)


def test_a_record_without_an_id_gets_one_from_what_it_says(shop: Shop) -> None:
    def ids(content: str) -> list[str]:
        shop.lands("orders.csv", "order_id,customer,when,price\n" + content)
        shop.collects(ORDERS)
        return [row[0] for row in shop.rows("select message_id from raw.events order by line")]

    ann, bea = (f"1,{name},2026-07-01 08:00:00,10.10\n" for name in ("ann", "bea"))
    first = ids(ann + bea + ann)
    assert len(set(first)) == 3
    assert ids(bea + ann) == [first[1], first[0]]
    assert not any("ann" in each or "bea" in each for each in first)


def test_a_wrong_column_names_the_key_and_the_columns_there_are(shop: Shop) -> None:
    shop.lands("orders.csv", "order_id,customer,at,price\n1,ann,2026-07-01,1\n")
    with pytest.raises(ConfigError) as caught:
        shop.collects(ORDERS)
    message = str(caught.value)
    assert "source 'orders', key 'map.occurred_at'" in message
    assert "the file's columns are: order_id, customer, at, price" in message
    assert "\n" not in message


def test_an_unreadable_file_is_one_line(shop: Shop) -> None:
    shop.lands("broken.parquet", b"PAR1 this is no Parquet file")
    source = ORDERS.model_copy(update={"format": "parquet", "path": "broken.parquet"})
    with pytest.raises(SourceError) as caught:
        shop.collects(source)
    assert "broken.parquet: cannot be read" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_segments_own_examples_all_parse(shop: Shop, shared_data: Callable[[str], Path]) -> None:
    content = shared_data("segment/ecommerce_v2_events.ndjson").read_text(encoding="utf-8")
    shop.lands("2026-07-03.jsonl", content)
    shop.collects(EVENTS)
    assert shop.rows("select n_records, n_rejected from raw.loads") == [(25, 0)]
    # The file tells no ids and no times.
    found = shop.rows(
        "select count(distinct message_id), count(distinct event_name), max(occurred_at)"
        " from raw.events"
    )
    assert found == [(25, 25, dt.datetime(2026, 7, 3))]  # noqa: DTZ001


def test_a_call_without_an_id_or_time_gets_one_from_what_is_known(shop: Shop) -> None:
    bare = {"messageId": None, "originalTimestamp": None}
    lines = [
        track(1, **bare),
        track(1, **bare),
        track(1, **bare, userId="another"),
        track(1, **bare, sentAt=None, receivedAt=None),
        track(1, **bare, sentAt=None, receivedAt=None),
    ]
    shop.lands("2026-07-03.jsonl", "".join(lines))
    shop.collects(EVENTS)
    found = shop.rows("select message_id, occurred_at = received_at from raw.events order by line")
    ids = [message_id for message_id, _ in found]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4
    assert all(is_same for _, is_same in found)


def test_the_rees46_file_has_exactly_one_reject(
    shop: Shop, shared_data: Callable[[str], Path]
) -> None:
    source = FileSource(
        id="rees46",
        kind="files",
        entity="events",
        format="csv",
        path=str(shared_data("rees46/2019-oct-17k.csv")),
        load_date=dt.date(2019, 10, 1),
        map={
            "event_name": "case event_type when 'view' then 'Product Viewed'"
            " when 'cart' then 'Product Added' when 'purchase' then 'Order Completed' end",
            "user_id": "user_id",
            "occurred_at": "replace(event_time, ' UTC', '')",
        },
        properties={"product_id": "product_id", "price": "cast(price as double)"},
    )
    shop.collects(source)
    assert shop.rows("select n_records, n_rejected from raw.loads") == [(17435, 1)]
    counts = "select event_name, count(*) from raw.events group by 1 order by 2"
    assert shop.rows(counts) == [
        ("Product Added", 165),
        ("Order Completed", 214),
        ("Product Viewed", 17055),
    ]


def test_what_is_said_of_a_person_is_cut_down_to_what_names_nobody(shop: Shop) -> None:
    traits = {"name": "Ann Li", "id": "ann", "phoneNumber": "13812345678", "city": "Kyoto"}
    calls = ("identify", "group", "alias")
    needed = {"groupId": "g1", "previousId": "device-0"}
    lines = [track(n, type=call, traits=traits, **needed) for n, call in enumerate(calls)]
    product = {"name": "Cup", "note": "call 13812345678", "order_id": "13812345678"}
    lines.append(track(9, properties=product, traits=traits))
    shop.lands("2026-07-03.jsonl", "".join(lines))
    shop.collects(EVENTS)
    found = [row for (row,) in shop.rows("select properties from raw.events order by line")]
    assert found == [
        *['{"city":"Kyoto"}'] * 3,
        '{"name":"Cup","note":"call ***","order_id":"13812345678"}',
    ]


def test_a_member_told_of_twice_in_a_file_has_two_records(shop: Shop) -> None:
    source = FileSource(
        id="members", kind="files", entity="members", format="jsonl", layout="members", path="*"
    )
    shop.lands("2026-07-03.jsonl", '{"user_id": "ann"}\n{"user_id": "ann", "locale": "en"}\n')
    shop.collects(source)
    assert shop.rows("select line from raw.members order by line") == [(1,), (2,)]


def test_members_are_written_while_the_next_file_is_staged(shop: Shop) -> None:
    source = FileSource(
        id="members",
        kind="files",
        entity="members",
        format="csv",
        path="*.csv",
        map={"user_id": "id", "signed_up_at": "since"},
        addresses={"sms": "phone"},
    )
    for day in range(1, 9):
        rows = "".join(f"u{day}-{n},2026-07-01,1380000{n:04}\n" for n in range(2000))
        shop.lands(f"2026-07-{day:02}.csv", f"id,since,phone\n{rows}")
    assert shop.collects(source) == 8
    assert shop.rows("select count(*), sum(n_rejected) from raw.loads") == [(8, 0)]
    assert shop.rows("select count(distinct user_id) from raw.members") == [(16_000,)]


def test_of_a_members_attributes_only_harmless_ones_are_kept(shop: Shop) -> None:
    member = {
        "user_id": "ann",
        "attributes": {"gender": "f", "city": "Kyoto", "nick": "Annie", "birthday": "1990-05-01"},
    }
    shop.lands("2026-07-03.jsonl", json.dumps(member) + "\n")
    shop.collects(EVENTS.model_copy(update={"entity": "members", "layout": "members"}))
    (row,) = shop.rows("select attributes from raw.members")
    assert json.loads(row[0]) == {"gender": "f", "city": "Kyoto"}


def test_attributes_that_a_source_maps_are_kept_but_for_addresses_in_them(shop: Shop) -> None:
    rows = "id,band,size,note,since\nann,50-74K,3,call 13800001111 or a@b.cc,x\nbob,,,,7\n"
    shop.lands("2026-07-03.csv", rows)
    source = FileSource(
        id="crm",
        kind="files",
        entity="members",
        format="csv",
        path="*.csv",
        map={"user_id": "id"},
        attributes={
            "income": "band",
            "household_size": "cast(size as integer)",
            "note": "note",
            "years": "cast(since as integer)",
        },
    )
    shop.collects(source)
    assert shop.rows("select line, reason from raw.rejected_records") == [
        (2, "attributes.years cannot be read")
    ]
    assert shop.rows("select line, attributes from raw.members") == [(3, '{"years":7}')]
    harmless = source.model_copy(update={"attributes": {"income": "band", "note": "note"}})
    shop.collects(harmless)
    found = [json.loads(row[0]) for row in shop.rows("select attributes from raw.members")]
    assert sorted(found, key=len) == [{}, {"income": "50-74K", "note": "call *** or ***"}]


def test_beside_their_layout_sources_name_more_of_the_attributes(shop: Shop) -> None:
    said = {"gender": "f", "income_band": "low", "size": 3, "name": "Ann", "other": 1}
    for day, attributes in enumerate((said, {"income_band": None}, "none", None), 3):
        line = json.dumps({"user_id": f"u{day}", "attributes": attributes})
        shop.lands(f"2026-07-0{day}.jsonl", line + "\n")
    source = EVENTS.model_copy(update={"entity": "members", "layout": "members"})
    named = {"income": "income_band", "size": "size"}
    shop.collects(source.model_copy(update={"attributes": named}))
    found = [json.loads(row[0]) for row in shop.rows("select attributes from raw.members")]
    assert sorted(found, key=len) == [{}, {}, {}, {"gender": "f", "income": "low", "size": 3}]


def test_every_call_is_accepted_with_what_it_needs(shop: Shop) -> None:
    calls = [
        track(1, type="identify", traits={"city": "Kyoto"}),
        track(2, type="page", name="Home", event=None),
        track(3, type="screen", event=None, properties=None),
        track(4, type="group", groupId="acme"),
        track(5, type="alias", previousId="device-9"),
    ]
    shop.lands("2026-07-03.jsonl", "".join(calls))
    shop.collects(EVENTS)
    keys = shop.keyring.unlock()
    found = shop.rows(
        "select event_type, event_name, anonymous_id, user_id, properties"
        " from raw.events order by line"
    )
    user, device = keys.pseudonym("user-1"), keys.pseudonym("device-1")
    said = '"product_id":"p1","email":null,"note":"mail ***"'
    assert found == [
        ("identify", None, device, user, '{"city":"Kyoto"}'),
        ("page", None, device, user, '{"name":"Home",' + said + "}"),
        ("screen", None, device, user, "{}"),
        ("group", None, device, user, "{}"),
        ("alias", None, keys.pseudonym("device-9"), user, "{}"),
    ]


def test_the_rest_of_a_record_stays_in_its_envelope_without_its_person(shop: Shop) -> None:
    traits = {"name": "Ann Li", "email": "a@b.co"}
    rest = {"integrations": {"All": True}, "version": 2, "timestamp": "2026-07-03T01:02:03Z"}
    context = {
        "ip": "203.0.113.9",
        "userAgent": "Safari",
        "traits": traits,
        "externalIds": [{"id": "x1"}],
        "device": {"id": "d1", "name": "Ann's phone", "model": "X"},
        "page": {"url": "https://shop.example/?mail=a@b.co"},
    }
    lines = [
        track(1),
        track(2, context=context, traits=traits, **rest),
        track(3, type="group", groupId="acme", traits=traits, name="Ann"),
        track(4, context="x"),
    ]
    shop.lands("2026-07-03.jsonl", "".join(lines))
    shop.collects(EVENTS)
    found = [
        json.loads(row) for (row,) in shop.rows("select envelope from raw.events order by line")
    ]
    page = {"url": "https://shop.example/?mail=***"}
    assert found == [
        {"context": {}},
        {"context": {"device": {"model": "X"}, "page": page}, **rest},
        {
            "context": {},
            "event": "Product Viewed",
            "groupId": "acme",
            "properties": {"product_id": "p1", "email": None, "note": "mail ***"},
        },
        {"context": "x"},
    ]


def test_the_unmapped_columns_of_a_table_are_its_envelope(shop: Shop) -> None:
    shop.lands(
        "orders.csv",
        "order_id,customer,when,price,shop,phone\n"
        "1,ann,2026-07-01 08:00:00,10.10,Kyoto,13812345678\n"
        "2,bea,2026-07-01 08:00:00,5,,\n",
    )
    shop.collects(ORDERS)
    found = [
        json.loads(row) for (row,) in shop.rows("select envelope from raw.events order by line")
    ]
    assert found == [{"shop": "Kyoto", "phone": None}, {}]


def test_an_unmapped_object_is_searched_for_persons(shop: Shop) -> None:
    order = {"order_id": 1, "customer": "ann", "when": "2026-07-01", "price": 1}
    shop.lands("orders.jsonl", json.dumps(order | {"more": {"phone": "ann", "x": [1]}}) + "\n")
    shop.collects(ORDERS.model_copy(update={"path": "orders.jsonl", "format": "jsonl"}))
    ((envelope,),) = shop.rows("select envelope from raw.events")
    assert json.loads(envelope) == {"more": {"phone": None, "x": [1]}}


@pytest.mark.parametrize(
    "nobody",
    ["", " ", "0", "000-000", "-1", "null", "NULL", "Undefined", " none ", "NaN", "test-1"],
)
def test_a_placeholder_names_nobody(shop: Shop, nobody: str) -> None:
    member = json.dumps({"user_id": nobody}) + "\n" + json.dumps({"user_id": "ann"}) + "\n"
    shop.lands("events/2026-07-03.jsonl", track(1, userId=nobody, anonymousId=nobody) + track(2))
    shop.lands("members/2026-07-03.jsonl", member)
    members = EVENTS.model_copy(
        update={"id": "m", "entity": "members", "layout": "members", "path": "members/*.jsonl"}
    )
    events = EVENTS.model_copy(update={"path": "events/*.jsonl"})
    shop.collects(events, members, identity=Identity(placeholders=("Test-1",)))
    people = "select user_id is null, anonymous_id is null from raw.events order by line"
    assert shop.rows(people) == [(True, True), (False, False)]
    ((line, reason, payload),) = shop.rows("select line, reason, payload from raw.rejected_records")
    expected = (
        f"user_id is a placeholder: {nobody.strip()}" if nobody.strip() else "user_id is empty"
    )
    if not nobody:
        expected = "user_id is missing"
    assert (line, reason, payload) == (1, expected, '{"user_id": "***"}')


def test_what_was_taken_for_nobody_is_counted_without_naming_anybody(shop: Shop) -> None:
    guests = track(1, userId="guest") + track(2, userId=" GUEST ") + track(3, userId="null")
    shop.lands("2026-07-03.jsonl", guests + track(4, userId={"email": "ann@shop.example"}))
    shop.collects(EVENTS)
    counted = "select field, value, n_records from raw.unread_values order by value"
    assert shop.rows(counted) == [
        *(("user_id", "GUEST", 1), ("user_id", "an object or a list", 1)),
        *(("user_id", "guest", 1), ("user_id", "null", 1)),
    ]
    shop.lands("2026-07-03.jsonl", track(1))
    shop.collects(EVENTS)
    assert shop.rows(counted) == []


def test_other_placeholders_load_the_files_anew(shop: Shop) -> None:
    shop.lands("2026-07-03.jsonl", track(1, userId="0"))
    assert shop.collects(EVENTS) == 1
    zero = Identity(persons=("0",))
    assert shop.collects(EVENTS, identity=zero) == 1
    assert shop.collects(EVENTS, identity=zero) == 0
    ((user,),) = shop.rows("select user_id from raw.events")
    assert user == shop.keyring.unlock().pseudonym("0")


def test_what_an_earlier_version_read_is_read_anew_or_refused(shop: Shop) -> None:
    shop.lands("2026-07-03.jsonl", track(1))
    gone = shop.lands("2026-07-02.jsonl", track(2))
    shop.collects(EVENTS)
    with shop.warehouse.connect() as session:
        session.execute("update raw.loads set declaration = '0123456789abcdef'")
    gone.unlink()
    with pytest.raises(SourceError, match=r"1 loaded files, first .* 2026-07-02.jsonl, were"):
        shop.collects(EVENTS)
    gone.write_text(track(2))
    assert shop.collects(EVENTS) == 2


def test_the_load_date_ends_with_the_shops_day(shop: Shop) -> None:
    last = track(1, receivedAt="2026-07-04T15:59:59Z") + track(2, receivedAt="2026-07-04T16:00:00Z")
    shop.lands("2026-07-03.jsonl", last)
    shop.collects(EVENTS, time_zone="Asia/Shanghai")
    assert shop.rows("select line from raw.events") == [(1,)]


def test_a_time_counts_by_its_own_offset(shop: Shop) -> None:
    shop.lands("2026-07-03.jsonl", track(1, originalTimestamp="2026-07-03T09:02:03+08:00"))
    shop.collects(EVENTS)
    assert shop.rows("select occurred_at from raw.events") == [(dt.datetime(2026, 7, 3, 1, 2, 3),)]  # noqa: DTZ001


def test_several_files_of_a_source_are_each_in_the_ledger_with_their_own_hash(shop: Shop) -> None:
    contents = {f"{n}_2026-07-03.jsonl": track(n) * (n + 1) for n in range(3)}
    for path, content in contents.items():
        shop.lands(path, content)
    shop.collects(EVENTS)
    assert shop.rows("select path, n_records, sha256 from raw.loads order by path") == [
        (path, number + 1, hashlib.sha256(content.encode()).hexdigest())
        for number, (path, content) in enumerate(contents.items())
    ]
