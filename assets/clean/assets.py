"""The clean stage: one asset rewrites, in one transaction, what changed files touch."""

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.automation import after_upstream
from assets.clean import contracts
from assets.clean.rewriting import TABLES, rewrite
from assets.owners import DATA
from assets.sql_asset import sql_asset
from resources.contract import Contract
from resources.shop import ShopConfig
from resources.warehouse import Warehouse, read_sql, tables_read

# What stands behind the temporary tables that these read.
_MESSAGES = tables_read(read_sql("clean/touched/messages.sql"))
_THROUGH = {
    contracts.DUPLICATES.name: {"raw.events"},
    contracts.BOTS.name: _MESSAGES,
    contracts.EVENTS.name: _MESSAGES,
    contracts.SESSIONS.name: {contracts.EVENTS.name},
    contracts.ORDER_EVENTS.name: {contracts.EVENTS.name},
    contracts.ORDER_PRODUCTS.name: _MESSAGES,
    contracts.ORDER_AMOUNTS.name: _MESSAGES,
}


def _upstream(contract: Contract) -> list[dg.AssetKey]:
    """The assets that a table is made from; of itself and of later ones it reads older rows."""
    names = tables_read(read_sql(f"clean/{contract.table}.sql"))
    names |= _THROUGH.get(contract.name, set[str]())
    itself_and_later = {each.name for each in TABLES[TABLES.index(contract) :]}
    return [dg.AssetKey(name.split(".")) for name in sorted(names - itself_and_later)]


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            contract.asset_key,
            deps=_upstream(contract),
            description=contract.comment,
            owners=[DATA],
            kinds={"sql", "duckdb"},
            group_name="clean",
            metadata={"dagster/column_schema": contract.table_schema()},
            automation_condition=after_upstream(),
        )
        for contract in TABLES
    ],
    pool="warehouse",
)
def clean(
    context: dg.AssetExecutionContext, shop: ShopConfig, warehouse: Warehouse
) -> Iterator[dg.MaterializeResult[Any]]:
    """Makes what arrived trustworthy: persons, events, sessions, orders."""
    started = time.perf_counter()
    with warehouse.connect() as session:
        parameters = shop.parameters(session)
        with session.transaction():
            done = rewrite(session, parameters)
        counts = [session.count(contract) for contract in TABLES]
    seconds = round(time.perf_counter() - started, 3)
    context.log.info(
        f"{done.n_files} files touched: {done.n_events} events of {done.n_dates} dates rewritten"
    )
    shared = {"seconds": seconds, "as_of": str(parameters["as_of"]), **done.metadata()}
    for contract, n_rows in zip(TABLES, counts, strict=True):
        yield dg.MaterializeResult(
            asset_key=contract.asset_key, metadata={"dagster/row_count": n_rows, **shared}
        )


products = sql_asset(contracts.PRODUCTS)
