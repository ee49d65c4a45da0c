"""A raw log written call by call, and the clean tables made from it."""

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pytest

from assets.clean.rewriting import TABLES, rewrite
from assets.raw import contracts as raw
from resources.contract import Contract
from resources.sources.redaction import MACROS
from resources.warehouse import read_sql

LOAD_DATE = dt.date(2026, 1, 31)
# What tells how the records arrived, not what they say.
OF_ARRIVAL = {"clean.loads", "clean.sightings", "clean.duplicates"}


@dataclass
class RawLog:
    """What arrives, in January 2026; instants are written as 'MM-DD HH:MM[:SS]' in UTC."""

    tables: Any
    events: list[dict[str, Any]] = field(default_factory=list)
    members: list[dict[str, Any]] = field(default_factory=list)
    # What members say of being messaged, as a layout gives it: raw/consents.sql reads it.
    consents: list[dict[str, Any]] = field(default_factory=list)
    # Rows of raw.addresses beside those of members with `addressable_channels`.
    addresses: list[dict[str, Any]] = field(default_factory=list)
    fx_rates: list[dict[str, Any]] = field(default_factory=list)
    products: list[dict[str, Any]] = field(default_factory=list)
    amounts: str = "major"
    # What was given when the tables were last made, and their rows.
    made: tuple[str, dict[str, list[dict[str, Any]]]] = field(default=("", {}), repr=False)

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
        """The contract's rows, made from nothing; the checks of every table must hold."""
        return self.make_all(load_date, **parameters)[contract.name]

    def make_all(
        self, load_date: dt.date = LOAD_DATE, **parameters: object
    ) -> dict[str, list[dict[str, Any]]]:
        """The rows of every clean table, by its name; made again only of other records."""
        given = repr((self, load_date, parameters))
        if self.made[0] != given:
            self.give()
            self.tables.session.execute("drop schema if exists clean cascade")
            self.made = given, self.rewrite(load_date, **parameters)
        return self.made[1]

    def facts(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of every clean table that does not tell how the records arrived."""
        return {name: rows for name, rows in self.make_all().items() if name not in OF_ARRIVAL}

    def give(self) -> None:
        """Puts into raw what has arrived by now."""
        self.made = "", {}
        files: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
        for entity, rows in (
            ("events", self.events),
            ("members", self.members),
            ("consents", self.consents),
        ):
            for number, row in enumerate(rows):
                row.setdefault("source", entity)
                row.setdefault("path", "m.jsonl")
                row.setdefault("line", number + 1)
                row.setdefault("load_date", LOAD_DATE)
                files[entity, row["source"], row["path"]].append(row)
        ledger = [
            {
                "source": source,
                "path": path,
                "load_date": rows[0]["load_date"],
                "entity": entity,
                "amounts": self.amounts,
                "sha256": hashlib.md5(repr(rows).encode()).hexdigest(),
            }
            for (entity, source, path), rows in files.items()
        ]
        base = {"currency": "CNY", "valid_from": dt.date(1900, 1, 1), "rate": 1.0, "minor_units": 2}
        given = (
            (raw.LOADS, ledger),
            (raw.EVENTS, self.events),
            (raw.MEMBERS, self.members),
            (raw.ADDRESSES, [*self.addresses, *self._own_addresses()]),
            (raw.CONSENTS, []),
            (raw.FX_RATES, [base, *self.fx_rates]),
            (raw.PRODUCTS, self.products),
        )
        for table, rows in given:
            self.tables.session.execute(f"drop table if exists {table.name}")
            self.tables.given(table, rows)
        self._give_consents()

    def _own_addresses(self) -> Iterator[dict[str, Any]]:
        """An address that nobody else has for each channel that a record says it has one for."""
        for row in self.members:
            place = {name: row[name] for name in ("source", "path", "line", "load_date", "user_id")}
            for channel in row.get("addressable_channels", []):
                yield {**place, "channel": channel, "address_hash": f"{row['user_id']} {channel}"}

    def _give_consents(self) -> None:
        session = self.tables.session
        session.execute(MACROS)
        nothing = {"purpose": "marketing", "proof": None, "reason": None, "address_hash": None}
        for source in sorted({row["source"] for row in self.consents}):
            rows = [nothing | row for row in self.consents if row["source"] == source]
            staged = pl.DataFrame(
                [
                    {
                        **row,
                        "user_key": row.get("identifier"),
                        "at_said": None if row["at"] is None else str(row["at"]),
                    }
                    for row in rows
                ],
                schema_overrides={"proof": pl.String, "reason": pl.String, "at": pl.Datetime()},
                infer_schema_length=None,
            )
            days = {row["path"]: row["load_date"] for row in rows}
            files = pl.DataFrame(
                {
                    "path": list(days),
                    "load_date": list(days.values()),
                    "ended_at": [self.tables.shop.as_of(day) for day in days.values()],
                }
            )
            users = staged["user_key"].drop_nulls().unique()
            people = pl.DataFrame({"identifier": users, "pseudonym": users})
            hashes = staged.filter(pl.col("address_hash").is_not_null()).select(
                "path", "line", "address_hash"
            )
            with session.offering(
                staged=staged.drop("source", "load_date", "address_hash"),
                files=files,
                pseudonyms=people,
                address_hashes=hashes,
            ):
                session.insert(raw.CONSENTS, read_sql("raw/consents.sql"), {"source": source})

    def rewrite(
        self, load_date: dt.date = LOAD_DATE, **parameters: object
    ) -> dict[str, list[dict[str, Any]]]:
        """Brings the clean tables up to date; every table's checks must hold."""
        with self.tables.session.transaction():
            rewrite(self.tables.session, {**self.tables.shop.parameters(load_date), **parameters})
        for each in TABLES:
            assert self.tables.offending(each) == {}, each.name
        return {each.name: self.tables.rows(each) for each in TABLES}


@pytest.fixture
def log(tables: Any) -> RawLog:
    """An empty raw log."""
    return RawLog(tables)
