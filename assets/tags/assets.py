"""What products are about, and what members care for."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from assets.sql_asset import described, report, sql_asset, upstream_of
from assets.tags import contracts
from resources.shop import ShopConfig
from resources.warehouse import Session, Warehouse, read_sql

_PRODUCTS = "select product_id, title, description, tags from raw.products"
_COUNTS = read_sql("tags/browse_to_buy.sql")


@dg.asset(
    key=contracts.PRODUCT_TAGS.asset_key,
    deps=upstream_of(_PRODUCTS, contracts.PRODUCT_TAGS),
    kinds={"python", "duckdb"},
    **described(contracts.PRODUCT_TAGS),
)
def product_tags(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The catalogue's own tags, and for products without any what their text tells."""
    from assets.tags.catalogue import tagged

    findings: dict[str, float | str] = {}

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        catalogue = tagged(session.frame(_PRODUCTS), shop.declared.recommend.seed)
        findings.update(catalogue.metrics)
        if catalogue.reason:
            findings["nothing_predicted_because"] = catalogue.reason
        return session.write_frame(contracts.PRODUCT_TAGS, catalogue.tags)

    return report(warehouse, shop, write, findings)


member_tags = sql_asset(contracts.MEMBER_TAGS)


@dg.asset(
    key=contracts.BROWSE_TO_BUY.asset_key,
    deps=upstream_of(_COUNTS, contracts.BROWSE_TO_BUY),
    kinds={"sql", "python", "duckdb"},
    **described(contracts.BROWSE_TO_BUY),
)
def browse_to_buy(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The counts of sql/tags/browse_to_buy.sql with the posterior that they give."""
    from assets.tags.bayes import buy_given_browse

    findings: dict[str, float | str] = {}

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        counts = session.frame(_COUNTS, parameters)
        of_kinds: list[pl.DataFrame] = []
        # Products and tags each have a rate of their own to be shrunk towards.
        for kind in ("product", "tag"):
            of_kind = counts.filter(pl.col("kind") == kind)
            found = buy_given_browse(
                of_kind["n_browsers"],
                of_kind["n_buyers"],
                prior_strength=shop.declared.interest.prior_weight,
            )
            of_kinds.append(
                of_kind.with_columns(
                    p_buy_given_browse=found.mean, ci_low=found.ci_low, ci_high=found.ci_high
                )
            )
            findings[f"n_browsers_of_{kind}s"] = float(of_kind["n_browsers"].sum())
            findings[f"n_buyers_of_{kind}s"] = float(of_kind["n_buyers"].sum())
        return session.write_frame(contracts.BROWSE_TO_BUY, pl.concat(of_kinds))

    return report(warehouse, shop, write, findings)
