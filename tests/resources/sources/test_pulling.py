"""Pulled records on their whole way: server, spool, raw tables."""

import datetime as dt
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from assets.raw.assets import TABLES
from resources.config.rest_api_source import RestApiSource
from resources.config.source import FileSource, Source
from resources.config.wechat_source import WechatSource
from resources.keys import Keyring, Keys
from resources.sources.collection import changed, collect
from resources.sources.files import SourceError
from resources.sources.pages import Spool
from resources.sources.pulling import Pulled, pull
from resources.sources.times import NO_TIME
from resources.vault import Vault
from resources.warehouse import Warehouse
from tests.servers import Asked, Reply, Server, serving

SECRET = "0123456789abcdef0123456789abcdef"
DAYS = (dt.date(2026, 7, 3), dt.date(2026, 7, 4))
KEYS = Keys.derived_from(SECRET)


class Shop:
    """A spool, a warehouse and a vault."""

    def __init__(self, folder: Path, warehouse: Warehouse) -> None:
        self.spool = Spool(folder / "pages", KEYS)
        self.warehouse = warehouse
        keyring = Keyring(home=str(folder), is_simulated=False)
        self.vault = Vault(path=str(folder / "vault.duckdb"), keyring=keyring)

    def collects(self, source: Source) -> int:
        """Loads what is new; returns how many pages that were."""
        with self.warehouse.connect() as session:
            new = changed(session, TABLES, self.spool.arrivals(source))
            loaded_at = dt.datetime(2026, 7, 5)  # noqa: DTZ001 - stored timestamps are naive UTC
            collect(
                session,
                self.vault,
                TABLES,
                new,
                keys=KEYS,
                base_currency="CNY",
                loaded_at=loaded_at,
            )
        return len(new)

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        with self.warehouse.connect() as session:
            return session.rows(sql)


@pytest.fixture
def shop(tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    return Shop(tmp_path, warehouse)


def track(number: int) -> dict[str, object]:
    at = f"2026-07-03T01:{number:02d}:00Z"
    return {
        "messageId": f"m{number}",
        "type": "track",
        "event": "Product Viewed",
        "anonymousId": "device-1",
        "userId": "user-1" if number != 4 else None,
        "originalTimestamp": at if number != 2 else "yesterday",
        "sentAt": at,
        "receivedAt": at,
        "properties": {"product_id": f"p{number}", "phone": "13800138000"},
    }


def shelf(records: list[dict[str, object]], asked: Asked) -> Reply:
    """Two records a page, by cursor."""
    start = int(asked.query.get("after", 0))
    following = start + 2 if start + 2 < len(records) else None
    return Reply({"items": records[start : start + 2], "next": following})


def declared(server: Server, **changes: Any) -> RestApiSource:
    lasting = {"cursor": {"parameter": "after", "path": "next", "is_lasting": True}}
    given = {
        "id": "tracker",
        "kind": "rest_api",
        "entity": "events",
        "layout": "segment",
        "url": server.url,
        "records": "items",
        "pagination": lasting,
        "retries": {"attempts": 1},
    }
    return RestApiSource.model_validate(given | changes)


def test_pulled_events_arrive_in_the_raw_tables(shop: Shop) -> None:
    records = [track(n) for n in range(1, 5)]
    with serving(lambda asked: shelf(records, asked)) as server:
        source = declared(server)
        first = pull([source], shop.spool, load_date=DAYS[0], environment={})
        assert first == [Pulled("tracker", 2, 4)]
        assert shop.collects(source) == 2
        assert shop.collects(source) == 0
        records += [track(n) for n in range(5, 8)]
        second = pull([source], shop.spool, load_date=DAYS[1], environment={})
        # The last page once more: its cursor was the server's last word.
        assert second == [Pulled("tracker", 2, 3)]
        assert shop.collects(source) == 2
    events = shop.rows(
        "select message_id, path, line, load_date, user_id from raw.events order by path, line"
    )
    user = KEYS.pseudonym("user-1")
    assert events == [
        ("m1", "2026-07-03/00000001", 1, DAYS[0], user),
        ("m3", "2026-07-03/00000002", 1, DAYS[0], user),
        ("m4", "2026-07-03/00000002", 2, DAYS[0], None),
        ("m5", "2026-07-04/00000003", 1, DAYS[1], user),
        ("m6", "2026-07-04/00000003", 2, DAYS[1], user),
        ("m7", "2026-07-04/00000004", 1, DAYS[1], user),
    ]
    assert shop.rows("select path, line, reason from raw.rejected_records") == [
        ("2026-07-03/00000001", 2, f"originalTimestamp{NO_TIME}")
    ]
    assert shop.rows("select path, n_records, n_rejected from raw.loads order by path")[0] == (
        "2026-07-03/00000001",
        2,
        1,
    )
    for file in (shop.spool.folder).rglob("*.page"):
        assert b"13800138000" not in file.read_bytes()
    assert shop.rows("select count(*) from raw.events where properties like '%13800138000%'") == [
        (0,)
    ]


def test_pulled_records_are_mapped(shop: Shop) -> None:
    records: list[dict[str, object]] = [
        {"uid": 7, "who": {"phone": "13800138000"}, "joined": "2026-07-01T00:00:00Z"},
        {"uid": None},
        {"uid": 8, "lang": "zh-CN"},
    ]
    with serving(lambda asked: shelf(records, asked)) as server:
        source = declared(
            server,
            entity="members",
            layout=None,
            map={
                "user_id": "record->>'$.uid'",
                "signed_up_at": "record->>'$.joined'",
                "locale": "record->>'$.lang'",
            },
            addresses={"sms": "record->>'$.who.phone'"},
        )
        pull([source], shop.spool, load_date=DAYS[0], environment={})
        shop.collects(source)
    found = shop.rows(
        "select user_id, locale, addressable_channels from raw.members order by path, line"
    )
    assert found == [
        (KEYS.pseudonym("7"), None, ["sms"]),
        (KEYS.pseudonym("8"), "zh-CN", []),
    ]
    assert shop.rows("select path, line from raw.rejected_records") == [("2026-07-03/00000001", 2)]


def test_a_page_that_was_altered_stops_collection(shop: Shop) -> None:
    with serving(lambda asked: shelf([track(1)], asked)) as server:
        source = declared(server)
        pull([source], shop.spool, load_date=DAYS[0], environment={})
    (file,) = shop.spool.folder.rglob("*.page")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(SourceError, match=r"00000001.page: cannot be read"):
        shop.collects(source)


WECHAT = {"app_id": "wx1", "app_secret": "${WECHAT_SECRET}", "kind": "wechat", "id": "mini"}


def wechat(answers: dict[str, object], asked: Asked) -> Reply:
    if asked.path.endswith("stable_token"):
        return Reply({"access_token": "t", "expires_in": 7200})
    return Reply(answers[asked.path.rpartition("/")[2]])


def test_wechat_orders_are_events(shop: Shop) -> None:
    orders = [
        {
            "transaction_id": f"42{state}",
            "openid": "o1",
            "paid_amount": 1999,
            "description": "龙井",
            "pay_time": 1_783_040_400,
            "order_state": state,
        }
        for state in (4, 5)
    ]
    answers: dict[str, object] = {
        "get_order_list": {"errcode": 0, "has_more": False, "order_list": orders}
    }
    with serving(lambda asked: wechat(answers, asked)) as server:
        source = WechatSource.model_validate(
            {"data": "mini_program_orders", "url": server.url, **WECHAT}
        )
        (done,) = pull([source], shop.spool, load_date=DAYS[0], environment={"WECHAT_SECRET": "s"})
        assert done == Pulled("mini", 1, 3)
        shop.collects(source)
    assert shop.rows("select count(*) from raw.rejected_records") == [(0,)]
    rows = shop.rows(
        "select message_id, event_name, user_id, channel, properties, cast(occurred_at as varchar)"
        " from raw.events order by line"
    )
    assert [row[:4] for row in rows] == [
        (f"{order} {name}", name, KEYS.pseudonym("o1"), "mini_program")
        for order, name in (
            ("424", "Order Completed"),
            ("425", "Order Completed"),
            ("425", "Order Refunded"),
        )
    ]
    assert json.loads(rows[0][4]) == {
        "order_id": "424",
        "total": 19.99,
        "currency": "CNY",
        "name": "龙井",
    }
    assert rows[0][5] == "2026-07-03 01:00:00"


def test_wechat_followers_are_members(shop: Shop) -> None:
    people = [
        {"openid": "o1", "unionid": "u1", "language": "zh_CN", "subscribe_time": 1_783_040_400},
        {"openid": "o2", "language": "", "subscribe_time": 1_783_040_400, "tagid_list": [2]},
    ]
    ends = iter([{"data": {"openid": ["o1", "o2"]}}, {"count": 0}])
    with serving(
        lambda asked: (
            Reply(next(ends))
            if asked.path == "/cgi-bin/user/get"
            else wechat({"batchget": {"user_info_list": people}}, asked)
        )
    ) as server:
        source = WechatSource.model_validate(
            {"data": "official_account_followers", "url": server.url, **WECHAT}
        )
        pull([source], shop.spool, load_date=DAYS[0], environment={"WECHAT_SECRET": "s"})
        shop.collects(source)
    rows = shop.rows(
        "select user_id, locale, channel, addressable_channels, cast(signed_up_at as varchar)"
        " from raw.members order by line"
    )
    assert rows == [
        (KEYS.pseudonym(user), locale, "official_account", ["wechat"], at)
        for user, locale, at in (
            ("u1", "zh-CN", "2026-07-03 01:00:00"),
            ("o2", None, "2026-07-03 01:00:00"),
        )
    ]


def test_sources_that_are_not_pulled_are_passed_over(shop: Shop) -> None:
    files = FileSource(
        id="events", kind="files", entity="events", format="jsonl", layout="segment", path="*.jsonl"
    )
    assert pull([files], shop.spool, load_date=DAYS[0], environment={}) == []


def test_a_missing_extra_is_one_line(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    class Table(Source):
        kind: str = "postgres"

    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "resources.sources.postgres", raising=False)
    source = Table(id="shop_db", entity="members", layout="members")
    (done,) = pull([source], shop.spool, load_date=DAYS[0], environment={})
    assert str(done.failure) == (
        "source 'shop_db': kind postgres needs psycopg, which is not installed; "
        "pip install 'siyu[postgres]'"
    )
