"""An asset that is one SELECT: `sql/<schema>/<table>.sql`."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import dagster as dg

from assets.automation import after_upstream
from resources.contract import Contract
from resources.shop import ShopConfig
from resources.warehouse import Session, Warehouse, read_sql, tables_read


def sql_asset(
    contract: Contract,
    *,
    keeps_history_by: str | None = None,
    finds: Callable[[Session], Mapping[str, Any]] | None = None,
) -> dg.AssetsDefinition:
    """The contract's table, made by its SQL file.

    Its dependencies are the tables that the file reads. With `keeps_history_by`, a condition such
    as `run_date = $run_date`, only the rows that meet it are replaced and the others stay. What
    `finds` sees in the new table is reported beside rows and time.
    """
    select_sql = read_sql(f"{contract.schema}/{contract.table}.sql")

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        if keeps_history_by is None:
            return session.create_table(contract, select_sql, parameters)
        session.create_empty(contract)
        session.execute(f"delete from {contract.name} where {keeps_history_by}", parameters)
        session.insert(contract, select_sql, parameters)
        return session.count(contract)

    @dg.asset(
        key=contract.asset_key,
        deps=upstream_of(select_sql, contract),
        kinds={"sql", "duckdb"},
        **described(contract),
    )
    def made_by_sql(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
        findings: dict[str, Any] = {}

        def write_and_look(session: Session, parameters: Mapping[str, Any]) -> int:
            n_rows = write(session, parameters)
            if finds is not None:
                findings.update(finds(session))
            return n_rows

        return report(warehouse, shop, write_and_look, findings)

    return made_by_sql


def upstream_of(select_sql: str, contract: Contract) -> list[dg.AssetKey]:
    """The assets behind the tables that a SELECT reads, the contract's own left out."""
    return [
        dg.AssetKey(name.split(".")) for name in sorted(tables_read(select_sql) - {contract.name})
    ]


class Description(TypedDict):
    """What every asset of a contract says of itself."""

    group_name: str
    description: str
    owners: Sequence[str]
    pool: str
    metadata: Mapping[str, Any]
    automation_condition: dg.AutomationCondition[Any]


def described(contract: Contract) -> Description:
    """What every asset of a contract says of itself: group, owner, meaning, columns, policy."""
    return {
        "group_name": contract.schema,
        "description": contract.comment,
        "owners": [contract.owner],
        "pool": "warehouse",
        "metadata": {"dagster/column_schema": contract.table_schema()},
        "automation_condition": after_upstream(),
    }


def report(
    warehouse: Warehouse,
    shop: ShopConfig,
    write: Callable[[Session, Mapping[str, Any]], int],
    findings: Mapping[str, Any] | None = None,
) -> dg.MaterializeResult[Any]:
    """Writes a table in one transaction, as of the newest load date, and reports rows and time.

    `findings` is read after the writing: what it then holds is reported beside them.
    """
    started = time.perf_counter()
    with warehouse.connect() as session:
        parameters = shop.parameters(session)
        with session.transaction():
            n_rows = write(session, parameters)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": n_rows,
            "seconds": round(time.perf_counter() - started, 3),
            "as_of": str(parameters["as_of"]),
            **(findings or {}),
        }
    )
