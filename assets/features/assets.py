"""Members by day, by product and as of now; what funnels and sharing ask of events."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from assets.features import contracts
from assets.sql_asset import described, report, sql_asset, upstream_of
from resources.config.funnels import load_funnels
from resources.shop import ShopConfig
from resources.warehouse import Session, Warehouse, read_sql

_FUNNEL_EVENTS = read_sql("features/funnel_events.sql")
_SHARE_TOUCHES = read_sql("features/share_touches.sql")
_OVERLONG = "select count(*) from clean.events where length(share_code) > $max_code_length"


@dg.asset(
    key=contracts.FUNNEL_EVENTS.asset_key,
    deps=upstream_of(_FUNNEL_EVENTS, contracts.FUNNEL_EVENTS),
    kinds={"sql", "duckdb"},
    **described(contracts.FUNNEL_EVENTS),
)
def funnel_events(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """sql/features/funnel_events.sql, with the kinds of events that funnels.yaml asks for."""
    kinds = pl.DataFrame(
        [
            (funnel.id, *match)
            for funnel in load_funnels(Path(shop.folder)).funnels
            for match in funnel.matches
        ],
        schema={
            "funnel": pl.String,
            "step": pl.Int64,
            "event_name": pl.String,
            "channel": pl.String,
            "country": pl.String,
            "product_id": pl.String,
        },
        orient="row",
    )

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        with session.offering(funnel_kinds=kinds):
            return session.create_table(contracts.FUNNEL_EVENTS, _FUNNEL_EVENTS, parameters)

    return report(warehouse, shop, write)


@dg.asset(
    key=contracts.SHARE_TOUCHES.asset_key,
    deps=upstream_of(_SHARE_TOUCHES, contracts.SHARE_TOUCHES),
    kinds={"sql", "duckdb"},
    **described(contracts.SHARE_TOUCHES),
)
def share_touches(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """sql/features/share_touches.sql, and how many events have a code too long to be one."""
    findings: dict[str, int] = {}

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        findings["n_overlong_codes"] = session.scalar(_OVERLONG, parameters)
        return session.create_table(contracts.SHARE_TOUCHES, _SHARE_TOUCHES, parameters)

    return report(warehouse, shop, write, findings)


_MEMBER_PRODUCTS = read_sql("features/member_products.sql")


@dg.asset(
    key=contracts.PAST_MEMBER_PRODUCTS.asset_key,
    deps=upstream_of(_MEMBER_PRODUCTS, contracts.PAST_MEMBER_PRODUCTS),
    kinds={"sql", "duckdb"},
    **described(contracts.PAST_MEMBER_PRODUCTS),
)
def past_member_products(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """sql/features/member_products.sql as of the start of the holdout window."""

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        then = {**parameters, "as_of": parameters["holdout_start"]}
        return session.create_table(contracts.PAST_MEMBER_PRODUCTS, _MEMBER_PRODUCTS, then)

    return report(warehouse, shop, write)


known_days = sql_asset(contracts.KNOWN_DAYS)
member_days = sql_asset(contracts.MEMBER_DAYS)
tracking = sql_asset(contracts.TRACKING)
order_days = sql_asset(contracts.ORDER_DAYS)
member_products = sql_asset(contracts.MEMBER_PRODUCTS)
members = sql_asset(contracts.MEMBERS)
