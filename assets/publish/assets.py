"""Publish: the file that analysts, reports and audiences read, replaced as a whole."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

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
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=dt.timedelta(hours=36), warn_window=dt.timedelta(hours=26)
        ),
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
    """Makes sure that every blocking check that was ever asked for has passed the last time.

    A check whose run was killed before it was held counts as not passed.

    Raises:
        NotPublishable: one has not; the message names it.
    """
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
    failed = sorted(
        f"{key.asset_key.to_user_string()}:{key.name}"
        for key, record in latest.items()
        if record.status is not AssetCheckExecutionRecordStatus.SUCCEEDED
    )
    if failed:
        raise NotPublishable(
            f"{len(failed)} blocking checks have not passed, first {failed[0]}; "
            "analytics.duckdb stays as it was until they do (`siyu run` holds them all)"
        )
