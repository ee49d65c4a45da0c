"""A pool of people who share, click and sign up, told step by step."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from assets.clean import contracts as clean
from assets.features import contracts as features
from assets.social import contracts as social
from resources.config.shop import Shop
from resources.contract import Contract
from resources.warehouse import Warehouse
from tests.conftest import Tables

LOAD_DATE = dt.date(2026, 1, 31)


def at(text: str) -> dt.datetime:
    """An instant of January 2026, written as 'DD HH:MM'."""
    return dt.datetime.fromisoformat(f"2026-01-{text}")


@dataclass
class Pool:
    """People by small numbers; devices by numbers from 100 on; codes and groups by name.

    A device belongs to her who was first seen on it by name; to nobody if several were.
    """

    tables: Any
    touches: list[dict[str, Any]] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    members: dict[int, dict[str, Any]] = field(default_factory=dict)
    seen: dict[int, dict[int, dt.datetime]] = field(default_factory=lambda: defaultdict(dict))
    # Rows of features.tracking; without any, all that ever happened is known.
    tracking: list[dict[str, Any]] = field(default_factory=list)

    def known(self, member: int, since: str, *devices: int, **columns: Any) -> None:
        """Makes her known by name from an instant on, which she is also seen on devices."""
        self.members[member] = {"known_at": at(since), **columns}
        for device in devices:
            self.seen[device][member] = at(since)

    def touch(self, kind: str, text: str, device: int, by: int | None, **columns: Any) -> str:
        message_id = f"m{len(self.touches):03}"
        row = {"kind": kind, "visitor_id": device, "occurred_at": at(text), "by": by, **columns}
        self.touches.append({"message_id": message_id, "event_date": at(text).date(), **row})
        return message_id

    def share(self, code: str, text: str, device: int, by: int | None = None, **rest: Any) -> str:
        """Somebody shares on a device; by says who is logged in, if anybody."""
        return self.touch("share", text, device, by, share_code=code, **rest)

    def click(self, code: str, text: str, device: int, by: int | None = None, **rest: Any) -> str:
        """Somebody opens the link on a device."""
        return self.touch("click", text, device, by, share_code=code, **rest)

    def order(self, order_id: str, text: str, member: int, net: float, **columns: Any) -> None:
        """She orders."""
        row = {"net_revenue": net, "revenue": net, "margin": net / 2, "status": "completed"}
        when = {"ordered_at": at(text), "order_date": at(text).date()}
        self.orders.append({"order_id": order_id, "member_id": member, **when, **row, **columns})

    def brought(self, code: str, sharer: int, member: int, day: int) -> None:
        """A whole referral: a share, a click an hour later and a sign-up an hour after that."""
        self.members.setdefault(sharer, {"known_at": at("01 00:00")})
        self.share(code, f"{day:02} 08:00", 1000 + sharer, by=sharer)
        self.known(member, f"{day:02} 10:00", 1000 + member)
        self.click(code, f"{day:02} 09:00", 1000 + member)

    def give(self) -> None:
        """Fills the tables that sharing is told from."""
        owners = {
            device: next(iter(users)) for device, users in self.seen.items() if len(users) == 1
        }
        rows = [
            {
                **{name: value for name, value in touch.items() if name != "by"},
                "is_logged_in": touch["by"] is not None,
                "member_id": touch["by"] or owners.get(touch["visitor_id"], touch["visitor_id"]),
            }
            for touch in self.touches
        ]
        devices = {touch["visitor_id"] for touch in self.touches} | set(self.seen)
        identities = [
            {
                "identifier": f"device {device}",
                "kind": "anonymous_id",
                "member_id": owners.get(device, device),
                "visitor_id": device,
                "is_shared": len(self.seen.get(device, ())) > 1,
            }
            for device in sorted(devices)
        ] + [
            {
                "identifier": f"user {member}",
                "kind": "user_id",
                "member_id": member,
                "visitor_id": member,
                "first_seen_at": facts["known_at"],
            }
            for member, facts in self.members.items()
        ]
        links = [
            {
                "anonymous_id": f"device {device}",
                "user_id": f"user {member}",
                "is_merged": len(users) == 1,
                "reason": None if len(users) == 1 else "shared_device",
                "linked_at": linked_at,
            }
            for device, users in self.seen.items()
            for member, linked_at in users.items()
        ]
        members = [
            {
                "member_id": member,
                "is_identified": True,
                **{name: value for name, value in facts.items() if name != "known_at"},
            }
            for member, facts in self.members.items()
        ]
        given: tuple[tuple[Contract, list[dict[str, Any]]], ...] = (
            (features.SHARE_TOUCHES, rows),
            (features.TRACKING, self.tracking),
            (clean.IDENTITIES, identities),
            (clean.MERGE_LOG, links),
            (clean.MEMBERS, members),
            (clean.ORDERS, self.orders),
        )
        for contract, contents in given:
            self.tables.session.execute(f"drop table if exists {contract.name}")
            self.tables.given(contract, contents)

    def make(self, *contracts: Contract, **parameters: Any) -> list[dict[str, Any]]:
        """Makes the tables in this order and returns the last one's rows; their checks hold."""
        self.give()
        rows: list[dict[str, Any]] = []
        for contract in contracts:
            rows = self.tables.run(contract, LOAD_DATE, **parameters)
            assert self.tables.offending(contract) == {}, contract.name
        return rows

    def clicks(self, **parameters: Any) -> dict[tuple[str, int], tuple[str, str | None]]:
        """Outcome and reason by message and member."""
        rows = self.make(social.SHARE_CLICKS, **parameters)
        return {
            (row["message_id"], row["member_id"]): (row["outcome"], row["reason"]) for row in rows
        }

    def referrals(self, **parameters: Any) -> dict[int, dict[str, Any]]:
        """Referrals by member."""
        rows = self.make(social.SHARE_CLICKS, social.REFERRALS, **parameters)
        return {row["member_id"]: row for row in rows}


@pytest.fixture
def warehouse() -> Warehouse:
    """A warehouse without a file: these tests make many tables."""
    return Warehouse(path=":memory:", threads=1)


@pytest.fixture
def pool(tables: Any) -> Pool:
    """An empty pool."""
    return Pool(tables)


@pytest.fixture(scope="module")
def tables_of_their_own() -> Iterator[Tables]:
    """Tables that one test fills many times."""
    shop = Shop(
        name="test",
        time_zone="Asia/Shanghai",
        base_currency="CNY",
        first_load_date=dt.date(2026, 1, 1),
    )
    with Warehouse(path=":memory:", threads=1).connect() as session:
        yield Tables(session, shop)
