"""Warnings of what is not there: sources that are behind."""

from typing import Any

import dagster as dg

from assets.raw.contracts import LOADS, SOURCES
from resources.shop import ShopConfig
from resources.warehouse import Warehouse, read_sql

_WARN = dg.AssetCheckSeverity.WARN


@dg.asset_check(asset=SOURCES.asset_key, additional_deps=[LOADS.asset_key], pool="warehouse")
def sources_keep_up(shop: ShopConfig, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every declared source has given what it usually gives by the day that all is as of."""
    with warehouse.connect() as session:
        last_date = shop.last_date(session)
        collected_at = session.scalar("select max(collected_at) from raw.sources")
        behind = session.rows(
            read_sql("questions/lagging_sources.sql"),
            {
                "time_zone": shop.declared.time_zone,
                "last_date": last_date,
                "last_day_over": shop.declared.last_day_over(collected_at),
            },
        )
    shown = "; ".join(_lag(*row) for row in behind)
    return dg.AssetCheckResult(
        passed=not behind,
        severity=_WARN,
        metadata={"sources_behind": len(behind), "last_date": str(last_date)},
        description=f"all is told as of the end of {last_date}, but {shown}; bring what is "
        "missing, or take a source that gives nothing more out of sources.yaml"
        if behind
        else None,
    )


def _lag(source: str, entity: str, is_pulled: bool, known_until: Any, days: int | None) -> str:
    if known_until is None:
        return f"source '{source}' ({entity}) has given nothing yet"
    what = "was last asked after" if is_pulled else "has sent nothing since"
    return f"source '{source}' ({entity}) {what} {known_until}, {days} days behind"
