"""A million damaged lines, at full size: each is accepted or rejected, once; nothing crashes."""

import datetime as dt
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from assets.clean.rewriting import TABLES as CLEAN
from assets.clean.rewriting import rewrite
from assets.raw.assets import TABLES, exchange_rates
from assets.raw.contracts import FX_RATES, PRODUCTS
from resources.config.shop import Shop
from resources.config.source import FileSource, LandedSource
from resources.config.web_log_source import WebLogSource
from resources.sources import batches
from resources.warehouse import Warehouse, read_sql, text_literal
from tests import fuzzing
from tests.fuzzing import EMAIL, OWN, PHONE, SHARED
from tests.landing import SECRET, Landing
from tests.sizes import sized

SEED = 2026
N_LINES = sized(100_000, 1_000_000)
N_PER_FILE = N_LINES // 50
LOAD_DATE = dt.date(2026, 7, 3)
# Catalogues tell of things; a shop's own number may stand in them.
TELLING = {"raw.events", "raw.members", "raw.consents", "raw.rejected_records"}

Record = dict[str, Any]
AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 (KHTML, like Gecko)"
SAID: Record = {
    "product_id": "p1",
    "price": 12.5,
    "note": f"mail {EMAIL} or call {PHONE} soon",
    "phone": PHONE,
}
ORDER: Record = {
    "order_id": f"o-{OWN}",
    "revenue": 25,
    "currency": "CNY",
    "coupon": "",
    "products": [{"product_id": "p1", "quantity": 2, "price": 12.5}],
    "email": EMAIL,
}


def call(kind: str, said: Record | None = None, **changes: Any) -> Record:
    return {
        "messageId": f"m-{OWN}",
        "type": kind,
        "anonymousId": f"device-{SHARED}",
        "originalTimestamp": "2026-07-03T01:02:03.456Z",
        "sentAt": "2026-07-03T01:02:04Z",
        "receivedAt": "2026-07-03T09:02:05+08:00",
        "context": {"ip": "203.0.113.9", "userAgent": AGENT, "timezone": "Asia/Tokyo"},
        "properties": said or {},
    } | changes


SEGMENT = [
    *(call("track", SAID, event="Product Viewed") for _ in range(6)),
    call("track", SAID, event="Product Shared", userId=f"user-{SHARED}"),
    call("track", ORDER, event="Order Completed", userId=f"user-{SHARED}"),
    call("track", ORDER, event="Order Refunded"),
    call("track", {"order_id": f"o-{SHARED}"}, event="Order Cancelled"),
    call(
        "identify",
        userId=f"user-{SHARED}",
        traits={"name": "李娜", "city": "Kyoto", "tags": ["a", 1], "email": EMAIL, "tel": PHONE},
    ),
    call("page", {"url": "https://x.cn/cup?a=b"}, name="Cup"),
    call("screen", name="Cup", context={"device": {"id": "d1", "type": "ios"}, "channel": "app"}),
    call("group", groupId="g1", traits={"plan": "gold", "phone": PHONE}),
    call("alias", previousId=f"device-{SHARED}", userId=f"user-{SHARED}"),
]
MEMBERS: list[Record] = [
    {
        "user_id": f"user-{OWN}",
        "signed_up_at": "2026-07-01T00:00:00Z",
        "locale": "zh-CN",
        "time_zone": "Asia/Shanghai",
        "country": "CN",
        "birth_year": 1990,
        "channel": "app",
        "attributes": {"city": "Kyoto", "nick": "Ann", "mail": EMAIL},
        "phone": PHONE,
        "email": EMAIL,
        "openid": "oX8kz",
    }
]
CONSENTS: list[Record] = [
    {
        "user_id": f"user-{OWN}",
        "channel": channel,
        "purpose": "marketing",
        "status": status,
        "at": "2026-07-01T00:00:00Z",
        "proof": f"form signed by hand, {EMAIL}",
    }
    for channel, status in (("sms", "granted"), ("email", "denied"), ("wechat", "revoked"))
]
CATALOGUE: list[Record] = [
    {
        "product_id": f"p-{OWN}",
        "kind": kind,
        "title": "杯子 Cup",
        "description": f"Ask {PHONE}",
        "category": "kitchen",
        "tags": ["cup", "红"],
        "price": 12.5,
        "currency": "CNY",
        "cost": 3,
        "stock": 3,
        "is_hidden": False,
        "repurchase_days": 30,
    }
    for kind in ("product", "content")
]


def sensed(kind: str, event: str, said: Record, **changes: Any) -> Record:
    return {
        "type": kind,
        "event": event,
        "distinct_id": f"visitor-{SHARED}",
        "anonymous_id": f"visitor-{SHARED}",
        "identities": {"$identity_cookie_id": f"visitor-{SHARED}"},
        "time": 1783040523456,
        "_flush_time": 1783040523457,
        "recv_time": 1783040524000,
        "_track_id": int("1" + "0" * 8),
        "lib": {"$lib": "js"},
        "properties": {"$ip": "203.0.113.9", "$url": f"https://x.cn/{OWN}"} | said,
    } | changes


SENSORS = [
    sensed("track", "Product Viewed", SAID),
    sensed("track", "Order Completed", ORDER, login_id=f"user-{SHARED}"),
    sensed("track", "$pageview", {"$title": "Cup"}),
    sensed("track_signup", "$SignUp", {"$city": "Kyoto"}, original_id=f"visitor-{SHARED}"),
    sensed("profile_set", "", {"name": "李娜", "phone": PHONE}),
]


def told(event: str, *params: tuple[str, str, object], **changes: Any) -> Record:
    return {
        "event_date": "20260703",
        "event_timestamp": "1783040523456789",
        "event_name": event,
        "event_params": [{"key": key, "value": {kind: value}} for key, kind, value in params],
        "event_bundle_sequence_id": OWN,
        "event_server_timestamp_offset": "1500000",
        "user_pseudo_id": f"visitor.{SHARED}",
        "user_properties": [{"key": "phone", "value": {"string_value": PHONE}}],
        "device": {"language": "zh-cn", "advertising_id": "ad-1"},
        "geo": {"country": "China"},
        "platform": "WEB",
    } | changes


ITEMS = [{"item_id": "p1", "item_name": "Cup", "price": 10.5, "quantity": "2"}]
GA4 = [
    told(
        "view_item", ("value", "double_value", 10.5), ("note", "string_value", EMAIL), items=ITEMS
    ),
    told(
        "purchase",
        ("coupon", "string_value", f"tel {PHONE}"),
        items=ITEMS,
        user_id=f"user-{SHARED}",
        ecommerce={"transaction_id": f"o-{OWN}", "purchase_revenue": 21.0, "tax_value": 1},
    ),
    told("page_view", ("page_location", "string_value", "https://x.cn/"), ("n", "int_value", "3")),
]
MAPPED: list[Record] = [
    {
        "id": f"o-{OWN}",
        "status": status,
        "buyer": {"id": f"user-{SHARED}", "email": EMAIL},
        "paid_at": "2026-07-03 09:02:03",
        "total": 12.5,
        "lines": [{"product_id": "p1", "quantity": 1, "price": 12.5}],
        "remark": f"call {PHONE}",
    }
    for status in ("paid", "cancelled")
]
MAP = {
    "message_id": "id",
    "event_name": "case status when 'paid' then 'Order Completed' else 'Order Cancelled' end",
    "occurred_at": "paid_at",
}
# nginx's combined format, with the cookie.
REQUESTS = [
    f'203.0.113.9 - - [03/Jul/2026:09:02:03 +0800] "{request} HTTP/1.1" {status} 512'
    f' "https://x.cn/?q={EMAIL}" "Mozilla/5.0 (iPhone)" "visitor-{SHARED}"'.encode()
    for request, status in (
        (f"GET /p.gif?e=Product+Viewed&uid=user-{SHARED}&ts=1783040522500&n={OWN}&price=1.5", 200),
        (
            f"GET /p.gif?e=Order+Completed&order_id=o-{OWN}&products=%5B%7B%22n%22%3A2%7D%5D",
            200,
        ),
        (f"GET /cups/{OWN}?name=%E8%8B%B9&tel={PHONE}&mail=mei.lin%40example.com", 200),
        (f"POST /cups/{OWN} ", 404),
    )
]
CSV_HEADER = b"order_id,customer,when,price,note\n"
CSV_NOTE = "please ring the bell twice and leave it by the door of the neighbour if nobody opens it"
ROWS = [
    f"o-{OWN},user-{SHARED},2026-07-01 08:00:00,10.10,{CSV_NOTE} or mail {EMAIL}".encode(),
    f"o-{OWN},user-{SHARED},2026-07-01 08:00:00,5,{CSV_NOTE} or call {PHONE} at noon".encode(),
]


@dataclass(frozen=True)
class Layout:
    """A source, its share of the damaged lines, whole lines, and others of every wrong kind."""

    source: LandedSource
    per_thousand: int
    templates: Sequence[bytes]
    odd_lines: Callable[[np.random.Generator], Iterator[bytes]]
    header: bytes = b""

    @property
    def n_lines(self) -> int:
        return N_LINES * self.per_thousand // 1000


def of_json(source: LandedSource, per_thousand: int, records: Sequence[Record]) -> Layout:
    templates = [
        json.dumps(record, ensure_ascii=bool(number % 2)).encode()
        for number, record in enumerate(records)
    ]
    kinds = {json.dumps(record, sort_keys=True): record for record in records}

    def odd_lines(rng: np.random.Generator) -> Iterator[bytes]:
        for record in kinds.values():
            yield from fuzzing.with_wrong_values(record)
            yield from fuzzing.with_wrong_keys(record)
        yield from fuzzing.giants(templates[0], rng)

    return Layout(source, per_thousand, templates, odd_lines)


def odd_requests(_: np.random.Generator) -> Iterator[bytes]:
    parts = [b"203.0.113.9", b"03/Jul/2026:09:02:03 +0800", b"1783040522500", b"Product+Viewed"]
    parts += [b"200", b"512", b"Mozilla/5.0 (iPhone)", b"HTTP/1.1", b"%5B%7B%22n%22%3A2%7D%5D"]
    days = itertools.product(
        (b"03", b"31", b"00"),
        (b"Jul", b"Feb", b"Xyz"),
        (b"0000", b"0001", b"1990", b"2100", b"9999"),
        (b"+0800", b"-9999", b"+1400"),
    )
    dates = [b"%s/%s/%s:09:02:03 %s" % each for each in days]
    for line in REQUESTS:
        for part in parts:
            for value in (*fuzzing.VALUES, *fuzzing.TIMES, *fuzzing.TEXTS):
                yield line.replace(part, value)
        for date in dates:
            yield line.replace(parts[1], date)
        for value in (b"%00", b"%", b"%FF%FE", b"x" * (3 << 20), b"&a=" * 20_000, b"%5B" * 10_000):
            yield line.replace(b"512", value).replace(b"n=", value + b"=").replace(b"/cups/", value)


def odd_rows(_: np.random.Generator) -> Iterator[bytes]:
    for line in ROWS:
        for part in line.split(b",")[:-1]:
            for value in (*fuzzing.NUMBERS, *fuzzing.TIMES, *fuzzing.TEXTS):
                yield line.replace(part, value)
        yield line + b",more"
        yield line + b"," * 5000
        yield line.replace(b"o-", b"x" * (3 << 20))


def source(name: str, **changes: Any) -> FileSource:
    declared = {"id": name, "kind": "files", "entity": "events", "format": "jsonl"}
    return FileSource.model_validate(declared | {"path": "*.txt"} | changes)


LAYOUTS = [
    of_json(source("segment", layout="segment"), 700, SEGMENT),
    of_json(source("members", layout="members", entity="members"), 50, MEMBERS),
    of_json(source("consents", layout="consents", entity="consents"), 50, CONSENTS),
    of_json(source("catalogue", layout="catalogue", entity="products"), 40, CATALOGUE),
    of_json(source("sensors", layout="sensors"), 40, SENSORS),
    of_json(source("ga4", layout="ga4"), 40, GA4),
    of_json(
        source(
            "mapped",
            time_zone="Asia/Shanghai",
            map=MAP | {"user_id": "record->>'$.buyer.id'"},
            properties={
                "order_id": "id",
                "revenue": "cast(total as double)",
                "products": "record->'$.lines'",
            },
        ),
        30,
        MAPPED,
    ),
    Layout(
        WebLogSource(
            id="web_log",
            kind="web_log",
            path="*.txt",
            log_format='$remote_addr - $remote_user [$time_local] "$request" $status'
            ' $body_bytes_sent "$http_referer" "$http_user_agent" "$cookie_id"',
            cookie="id",
            pixel="/p.gif",
        ),
        30,
        REQUESTS,
        odd_requests,
    ),
    Layout(
        source(
            "table",
            format="csv",
            time_zone="Asia/Shanghai",
            map={
                "event_name": "'Order Completed'",
                "user_id": "customer",
                "occurred_at": '"when"',
            },
            properties={"order_id": "order_id", "price": "cast(price as double)"},
        ),
        20,
        ROWS,
        odd_rows,
        CSV_HEADER,
    ),
]


# A quote or a carriage return may open or end a record of CSV: which lines are records is then
# anybody's guess.
PLAIN = bytes.maketrans(b'"\r', b"' ")
ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


@dataclass(frozen=True)
class Fuzzed:
    """What was sent and collected: by path the lines that say anything, and those left whole."""

    layout: Layout
    landing: Landing
    filled: Mapping[str, NDArray[np.int64]]
    whole: NDArray[np.int64]
    n_distinct: int

    @property
    def table(self) -> str:
        return TABLES.by_entity[self.layout.source.entity].name


def files_of(layout: Layout, rng: np.random.Generator) -> Iterator[bytes]:
    """The lines to damage, in files; at last one of whole lines, each behind an odd one."""
    for first in range(1, layout.n_lines + 1, N_PER_FILE):
        n_lines = min(N_PER_FILE, layout.n_lines + 1 - first)
        yield fuzzing.damaged(fuzzing.whole_lines(layout.templates, first, n_lines), rng)
    odd = [*fuzzing.ODD_LINES * 20, *layout.odd_lines(rng)]
    whole = fuzzing.whole_lines(layout.templates, layout.n_lines + 1, len(odd))
    lines: list[bytes] = []
    for number, place in enumerate(rng.permutation(len(odd))):
        own = b"%07d" % (2 * N_LINES + number)
        # The end of a line inside would make two of one.
        lines += [odd[place].translate(ONE_LINE).replace(OWN.encode(), own), whole[number]]
    yield b"\n".join(lines)


def sent(layout: Layout, landing: Landing) -> Fuzzed:
    rng = np.random.default_rng([SEED, *layout.source.id.encode()])
    filled: dict[str, NDArray[np.int64]] = {}
    damages: set[int] = set()
    n_lines = 0
    for number, content in enumerate(files_of(layout, rng)):
        path = f"{number:02}_{LOAD_DATE}.txt"
        if layout.header:
            content = layout.header + content.translate(PLAIN)
        landing.lands(path, content)
        blanks = None if layout.header else b" \t"
        filled[path] = fuzzing.filled_lines(content, blanks)[bool(layout.header) :]
        n_lines = content.count(b"\n") + 1
        if number * N_PER_FILE < layout.n_lines:
            damages |= fuzzing.without_numbers(content)
    damages -= fuzzing.without_numbers(b"\n".join(layout.templates))
    assert landing.collects(layout.source) == len(filled)
    return Fuzzed(layout, landing, filled, np.arange(2, n_lines + 1, 2), len(damages))


@pytest.fixture(scope="module", params=LAYOUTS, ids=lambda layout: layout.source.id)
def fuzzed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fuzzed]:
    folder = tmp_path_factory.mktemp("fuzzed")
    # Most of what DuckDB counts are blocks that it reserves, for each thread, and does not fill.
    warehouse = Warehouse(path=str(folder / "warehouse.duckdb"), threads=1, memory_limit="1500MB")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIYU_SECRET", SECRET)
        # Several batches, which take less memory than one.
        patch.setattr(batches, "_BATCH_BYTES", 32 << 20)
        yield sent(request.param, Landing(folder, warehouse))
    shutil.rmtree(folder)


def test_the_lines_are_all_shared_out() -> None:
    assert sum(layout.n_lines for layout in LAYOUTS) == N_LINES


def test_each_line_is_accepted_or_rejected_once(fuzzed: Fuzzed) -> None:
    ledger = {
        path: (n_records, n_rejected)
        for path, n_records, n_rejected in fuzzed.landing.rows(
            "select path, n_records, n_rejected from raw.loads"
        )
    }
    assert {path: n for path, (n, _) in ledger.items()} == {
        path: len(lines) for path, lines in fuzzed.filled.items()
    }
    with fuzzed.landing.warehouse.connect() as session:
        found = session.frame(
            f"select path, line, '' as reason from {fuzzed.table}"
            " union all select path, line, reason from raw.rejected_records"
            " where payload is not null order by path, line"
        )
    for (path,), records in found.group_by("path"):
        assert len(records) == ledger[str(path)][0]
        assert (records["reason"] != "").sum() == ledger[str(path)][1]
        if not fuzzed.layout.header:
            np.testing.assert_array_equal(records["line"].to_numpy(), fuzzed.filled[str(path)])


def test_nine_in_ten_damages_are_different(fuzzed: Fuzzed) -> None:
    assert fuzzed.n_distinct > 0.9 * fuzzed.layout.n_lines


def test_some_lines_outlive_their_damage(fuzzed: Fuzzed) -> None:
    (n_accepted,) = fuzzed.landing.column(
        f"select count(*) from {fuzzed.table} where path < '{max(fuzzed.filled)}'"
    )
    assert 0.05 * fuzzed.layout.n_lines < n_accepted < 0.95 * fuzzed.layout.n_lines


def test_a_whole_line_is_accepted_whatever_stands_around_it(fuzzed: Fuzzed) -> None:
    accepted = fuzzed.landing.column(
        f"select line from {fuzzed.table} where path = '{max(fuzzed.filled)}'"
    )
    if fuzzed.layout.header:
        assert len(accepted) >= len(fuzzed.whole)
    else:
        assert set(fuzzed.whole.tolist()) <= set(accepted)


def test_no_address_stands_in_clear(fuzzed: Fuzzed) -> None:
    # A number is no phone within a word, nor in the value of a key that ends like an order's id;
    # what a message is called must stay as it is.
    of_ids = r'(?i)"[^"]*(id|code|sku|no)"\s*:\s*"[^"]*"'
    phone = rf"(^|\\[nrtbf]|[^\\]\\u00[01][0-9a-f]|[^\w.+]){PHONE}($|[^\w.])"
    for table in sorted(TELLING & {fuzzed.table, "raw.rejected_records"}):
        columns = [
            name
            for name, kind, *_ in fuzzed.landing.rows(f"describe {table}")
            if kind == "VARCHAR" and name not in ("source", "path", "message_id", "reason")
        ]
        found = {
            name: fuzzed.landing.rows(
                f"select path, line, {name} from {table} where contains({name}, '{EMAIL}')"
                f" or regexp_matches(regexp_replace({name}, {text_literal(of_ids)}, '', 'g'),"
                f" {text_literal(phone)}) order by path, line limit 3"
            )
            for name in columns
        }
        assert {name: rows for name, rows in found.items() if rows} == {}, table


def test_what_is_kept_as_json_is_json(fuzzed: Fuzzed) -> None:
    columns = {"raw.events": ("properties", "envelope"), "raw.members": ("attributes",)}
    for name in columns.get(fuzzed.table, ()):
        broken = fuzzed.landing.rows(
            f"select path, line, {name} from {fuzzed.table} where not json_valid({name}) limit 3"
        )
        assert broken == [], name


def test_clean_accounts_for_every_record(fuzzed: Fuzzed, shop: Shop) -> None:
    parameters = shop.parameters(LOAD_DATE)
    with fuzzed.landing.warehouse.connect() as session:
        session.write_frame(FX_RATES, exchange_rates(shop))
        session.create_table(PRODUCTS, read_sql("raw/products.sql"), parameters)
        with session.transaction():
            rewrite(session, parameters)
        balance = session.frame(read_sql("checks/records_balance.sql"))
        failing = {
            (contract.name, name): count
            for contract in CLEAN
            for name, expression in contract.checks().items()
            if (count := session.scalar(f"select {expression} from {contract.name}"))
        }
    assert len(balance) == len(fuzzed.filled)
    assert balance.filter(pl.col("n_missing") != 0).rows() == []
    assert failing == {}
