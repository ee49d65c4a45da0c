"""What the messages achieved, against those who were held out."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.measure import contracts
from assets.sql_asset import described, report, upstream_of
from resources.shop import ShopConfig
from resources.warehouse import Session, Warehouse, read_sql

_COUNTS = read_sql("measure/campaign_lift.sql")


@dg.asset(
    key=contracts.CAMPAIGN_LIFT.asset_key,
    deps=upstream_of(_COUNTS, contracts.CAMPAIGN_LIFT),
    kinds={"python", "sql", "duckdb"},
    **described(contracts.CAMPAIGN_LIFT),
)
def campaign_lift(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """Counts in SQL, intervals in Python."""
    from assets.measure.lift import with_lift

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        counts = session.frame(_COUNTS, parameters)
        return session.write_frame(contracts.CAMPAIGN_LIFT, with_lift(counts))

    return report(warehouse, shop, write)
