"""A small world in front of the gates after the arm."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

import assets.clean.contracts as clean
import assets.features.contracts as features
import assets.value.contracts as value
from assets.push import contracts
from resources.config.shop import Shop
from resources.contract import Contract
from resources.warehouse import Warehouse, read_sql
from tests.conftest import Tables

KEEPS = {
    "assignments": "assigned_at >= $as_of",
    "decisions": "run_date = $run_date",
    "push_list": "run_date = $run_date",
}
JANUARY = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - stored timestamps are naive UTC
WORLD = (
    clean.MEMBERS,
    clean.MEMBER_ADDRESSES,
    features.MEMBERS,
    value.CLV,
    contracts.CAMPAIGNS,
    contracts.ARMS,
    contracts.CAPS,
    contracts.ELIGIBILITY,
    contracts.ASSIGNMENTS,
    contracts.DECISIONS,
)


@dataclass
class World:
    """Campaigns, members and candidates in a warehouse; decisions by run date."""

    tables: Tables
    shop: Shop

    def insert(self, contract: Contract, **row: object) -> None:
        """Adds a row; columns left out are NULL or a neutral value."""
        self.tables.given(contract, [row])

    def campaign(self, campaign_id: str = "spring", **columns: object) -> None:
        """A running campaign on sms without quiet hours that sends at noon, for nothing."""
        defaults: dict[str, object] = {
            "version": 1,
            "channel": "sms",
            "send_hour": 12,
            "unit_cost": Decimal(0),
            "is_running": True,
            "expires_hours": 24,
            "fallback_locale": "en",
            "variants": ["treatment"],
        }
        self.insert(contracts.CAMPAIGNS, campaign_id=campaign_id, **{**defaults, **columns})

    def cap(self, messages: int, days: int, counts: str = "all", campaign_id: str = "spring"):
        """A rule that binds a campaign."""
        self.insert(
            contracts.CAPS,
            campaign_id=campaign_id,
            rule=f"{messages} in {days}, {counts}",
            counts=counts,
            messages=messages,
            days=days,
        )

    def candidate(
        self,
        member_id: int,
        campaign_id: str = "spring",
        reason: str | None = None,
        arm: str = "treatment",
    ) -> None:
        """Somebody who met the gates before the arm, and her arm if none shut."""
        row = {"campaign_id": campaign_id, "member_id": member_id}
        self.insert(contracts.ELIGIBILITY, **row, reason=reason)
        if reason is None:
            self.insert(contracts.ASSIGNMENTS, **row, arm=arm, assigned_at=JANUARY)

    def member(
        self,
        member_id: int,
        time_zone: str = "Asia/Shanghai",
        best_hour: int | None = None,
        worth: float | None = None,
    ) -> None:
        """A member; `worth` is her predicted value."""
        self.insert(clean.MEMBERS, member_id=member_id, time_zone=time_zone, is_identified=True)
        if best_hour is not None:
            self.insert(features.MEMBERS, member_id=member_id, best_hour=best_hour)
        if worth is not None:
            self.insert(value.CLV, member_id=member_id, predicted_clv=worth)

    def address(self, address_hash: str, *members: int, channel: str = "sms") -> None:
        """Members have an address, on a channel."""
        for member_id in members:
            row = {"member_id": member_id, "channel": channel, "address_hash": address_hash}
            self.insert(clean.MEMBER_ADDRESSES, **row)

    def sent(
        self, member_id: int, slot: dt.date, campaign_id: str = "spring", channel: str = "sms"
    ) -> None:
        """A message that an earlier run sent."""
        self.insert(
            contracts.DECISIONS,
            run_date=slot,
            campaign_id=campaign_id,
            member_id=member_id,
            outcome="sent",
            reason="sent",
            channel=channel,
            slot=str(slot),
            send_at=dt.datetime.combine(slot, dt.time(4)),
        )

    def run(
        self, contract: Contract, run_date: dt.date, **parameters: object
    ) -> list[dict[str, Any]]:
        """Makes a table that keeps its history, as its asset does, and returns its rows by key."""
        values = {**self.shop.parameters(run_date - dt.timedelta(days=1)), **parameters}
        select_sql = read_sql(f"push/{contract.table}.sql")
        keeps = KEEPS[contract.table]
        session = self.tables.session
        session.create_empty(contract)
        session.execute(f"delete from {contract.name} where {keeps}", values)
        session.insert(contract, select_sql, values)
        return self.tables.rows(contract)

    def decide(
        self, run_date: dt.date, **parameters: object
    ) -> dict[tuple[str, int], dict[str, Any]]:
        """This run's decisions, by campaign and member."""
        rows = self.run(contracts.DECISIONS, run_date, **parameters)
        return {
            (row["campaign_id"], row["member_id"]): row
            for row in rows
            if row["run_date"] == run_date
        }

    def clear(self) -> None:
        """An empty world again."""
        for contract in WORLD:
            self.tables.session.create_empty(contract)
        empty(self.tables)


def empty(tables: Tables) -> None:
    """Takes every row out of every table."""
    session = tables.session
    for (name,) in session.rows("select schema_name || '.' || table_name from duckdb_tables()"):
        session.execute(f"delete from {name}")


@pytest.fixture(scope="module")
def module_tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    """One warehouse for all tests of a module: to make tables takes longer than to test them."""
    path = tmp_path_factory.mktemp("push") / "warehouse.duckdb"
    with Warehouse(path=str(path), threads=2).connect() as session:
        shop = Shop(
            name="test",
            time_zone="Asia/Shanghai",
            base_currency="CNY",
            first_load_date=dt.date(2026, 1, 1),
        )
        yield Tables(session, shop)


@pytest.fixture
def tables(module_tables: Tables) -> Tables:
    """Tables without rows."""
    empty(module_tables)
    return module_tables


@pytest.fixture
def world(tables: Tables) -> World:
    """An empty world."""
    world = World(tables, tables.shop)
    world.clear()
    return world
