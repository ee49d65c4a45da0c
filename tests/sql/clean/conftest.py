"""A raw log written call by call, and the clean tables made from it."""

import datetime as dt
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from assets.clean import contracts as clean
from assets.raw import contracts as raw
from resources.contract import Contract
from resources.warehouse import Warehouse, read_sql, tables_read

LOAD_DATE = dt.date(2026, 1, 31)
CLEAN = (
    clean.IDENTITIES,
    clean.EVENTS,
    clean.SESSIONS,
    clean.MEMBERS,
    clean.ORDER_LINES,
    clean.REFUNDS,
    clean.ORDER_ITEMS,
    clean.ORDERS,
)


@functools.cache
def _reads(name: str) -> frozenset[str]:
    return tables_read(read_sql(f"{name.replace('.', '/')}.sql"))


def needed_for(contract: Contract) -> list[Contract]:
    """The clean tables to make for a contract's, itself last."""
    names = {contract.name}
    for each in reversed(CLEAN):
        if each.name in names:
            names |= _reads(each.name)
    return [each for each in CLEAN if each.name in names]


@dataclass
class RawLog:
    """What arrives, in January 2026; instants are written as 'MM-DD HH:MM[:SS]' in UTC."""

    tables: Any
    events: list[dict[str, Any]] = field(default_factory=list)
    members: list[dict[str, Any]] = field(default_factory=list)
    consents: list[dict[str, Any]] = field(default_factory=list)
    fx_rates: list[dict[str, Any]] = field(default_factory=list)
    products: list[dict[str, Any]] = field(default_factory=list)

    @staticmethod
    def at(text: str) -> dt.datetime:
        return dt.datetime.fromisoformat(f"2026-{text}")

    @staticmethod
    def pseudonym(name: str) -> str:
        return hashlib.md5(name.encode()).hexdigest()

    def member_id(self, name: str) -> int:
        return int(self.pseudonym(name)[:15], 16)

    def event(
        self,
        name: str | None,
        at: str,
        *,
        user: str | None = None,
        device: str | None = None,
        received: str | None = None,
        sent: str | None = None,
        text: str | None = None,
        message_id: str | None = None,
        columns: dict[str, Any] | None = None,
        **properties: Any,
    ) -> str:
        """Adds a record with these properties (or that text for them) and returns its message."""
        line = len(self.events) + 1
        row = {
            "message_id": message_id or f"m{line:03}",
            "source": "app",
            "path": "a.jsonl",
            "line": line,
            "event_type": "track",
            "event_name": name,
            "anonymous_id": self.pseudonym(device) if device else None,
            "user_id": self.pseudonym(user) if user else None,
            "occurred_at": self.at(at),
            "sent_at": self.at(sent) if sent else None,
            "received_at": self.at(received or at),
            "properties": text if text is not None else json.dumps(properties),
            "load_date": LOAD_DATE,
            **(columns or {}),
        }
        self.events.append(row)
        return row["message_id"]

    def order(self, order_id: str, at: str, *products: tuple[Any, ...], **rest: Any) -> str:
        """Adds an 'Order Completed' of (product_id, quantity, price) lines."""
        return self._about("Order Completed", order_id, at, products, rest)

    def refund(self, order_id: str | None, at: str, *products: tuple[Any, ...], **rest: Any) -> str:
        """Adds an 'Order Refunded' of (product_id, quantity, price) lines."""
        return self._about("Order Refunded", order_id, at, products, rest)

    def _about(
        self,
        name: str,
        order_id: str | None,
        at: str,
        products: Sequence[tuple[Any, ...]],
        rest: dict[str, Any],
    ) -> str:
        fields = ("product_id", "quantity", "price")
        listed = [
            {key: value for key, value in zip(fields, product, strict=False) if value is not None}
            for product in products
        ]
        about: dict[str, Any] = {"order_id": order_id} if order_id else {}
        if listed:
            about["products"] = listed
        return self.event(name, at, **about, **rest)

    def make(
        self, contract: Contract, load_date: dt.date = LOAD_DATE, **parameters: object
    ) -> list[dict[str, Any]]:
        """The contract's rows, made from nothing; the checks of every table made must hold."""
        return self._make(needed_for(contract), load_date, parameters)[contract.name]

    def make_all(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of every clean table, by its name."""
        return self._make(CLEAN, LOAD_DATE, {})

    def _make(
        self, contracts: Sequence[Contract], load_date: dt.date, parameters: dict[str, object]
    ) -> dict[str, list[dict[str, Any]]]:
        given = (
            (raw.EVENTS, self.events),
            (raw.MEMBERS, self.members),
            (raw.CONSENTS, self.consents),
            (raw.FX_RATES, self.fx_rates),
            (raw.PRODUCTS, self.products),
        )
        for table, rows in given:
            self.tables.session.execute(f"drop table if exists {table.name}")
            self.tables.given(table, rows)
        made: dict[str, list[dict[str, Any]]] = {}
        for each in contracts:
            made[each.name] = self.tables.run(each, load_date, **parameters)
            assert self.tables.offending(each) == {}, each.name
        return made


@pytest.fixture
def warehouse() -> Warehouse:
    """A warehouse without a file: these tests make hundreds of tables."""
    return Warehouse(path=":memory:", threads=1)


@pytest.fixture
def log(tables: Any) -> RawLog:
    """An empty raw log."""
    return RawLog(tables)
