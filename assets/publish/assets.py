"""Publish: the file that analysts, reports and audiences read, replaced as a whole."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.automation import after_upstream
from assets.owners import DATA
from resources.contract import Contract
from resources.failure import Failure
from resources.home import Home
from resources.warehouse import Warehouse


class NotPublishable(Failure):
    """A blocking check has failed, so the published file stays as it is."""


def published(
    contracts: Sequence[Contract], checks: Sequence[dg.AssetCheckKey]
) -> dg.AssetsDefinition:
    """`analytics.duckdb` from the contracts' tables, once all blocking `checks` have passed."""

    @dg.asset(
        key=["publish", "analytics"],
        deps=[contract.asset_key for contract in contracts],
        group_name="publish",
        kinds={"duckdb", "file"},
        owners=[DATA],
        description=(
            "The schemas clean to measure and the catalogue, with their comments, as one DuckDB "
            "file. Built beside and moved into place, so a reader never sees half of it and a "
            "failed run leaves the last good one."
        ),
        pool="warehouse",
        automation_condition=after_upstream(),
    )
    def analytics(
        context: dg.AssetExecutionContext, home: Home, warehouse: Warehouse
    ) -> dg.MaterializeResult[Any]:
        refuse_if_failed(context.instance, checks)
        n_bytes = warehouse.publish(contracts, home.analytics)
        return dg.MaterializeResult(
            metadata={
                "path": str(home.analytics),
                "n_tables": len(contracts),
                "n_bytes": n_bytes,
            }
        )

    return analytics


def refuse_if_failed(instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey]) -> None:
    """Makes sure that no blocking check's latest evaluation failed, in this run or before it.

    Raises:
        NotPublishable: one did; the message names it.
    """
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
    failed = sorted(
        f"{key.asset_key.to_user_string()}:{key.name}"
        for key, record in latest.items()
        if record.evaluation is not None and not record.evaluation.passed
    )
    if failed:
        raise NotPublishable(
            f"{len(failed)} blocking checks failed, first {failed[0]}; "
            "analytics.duckdb stays as it was until they pass"
        )
