"""What members are worth, where they are in their life with the shop, who stays."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from assets.sql_asset import described, report, sql_asset, upstream_of
from assets.value import contracts
from resources.shop import ShopConfig
from resources.warehouse import Session, Warehouse, read_sql

_HISTORIES = read_sql("value/clv.sql")
_SCORES = read_sql("value/rfm.sql")


@dg.asset(
    key=contracts.CLV.asset_key,
    deps=upstream_of(_HISTORIES, contracts.CLV),
    kinds={"python", "duckdb"},
    **described(contracts.CLV),
)
def clv(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The histories of sql/value/clv.sql with what the models expect of each member."""
    from assets.value.forecast import forecast
    from assets.value.lifetime_value import DataGate

    terms = shop.declared.clv
    findings: dict[str, float | str] = {}

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        histories = session.frame(_HISTORIES, parameters)
        made = forecast(
            *(histories[name] for name in ("frequency", "recency", "T", "monetary_value")),
            gate=DataGate(terms.min_buyers, terms.min_days),
            horizon_months=terms.horizon_months,
            monthly_rate=terms.monthly_discount_rate,
        )
        is_modelled = made.method == "bg_nbd_gamma_gamma"
        findings.update(
            made.metrics,
            method=made.method,
            reason=made.reason,
            is_modelled=float(is_modelled),
            predicted_clv_in_all=float(made.predicted_clv.sum()),
        )
        return session.write_frame(
            contracts.CLV,
            histories.with_columns(
                p_alive=pl.lit(None, pl.Float64) if made.p_alive is None else made.p_alive,
                expected_orders=made.expected_orders,
                predicted_clv=made.predicted_clv,
                method=pl.lit(made.method),
                converged=pl.lit(is_modelled),
            ),
        )

    return report(warehouse, shop, write, findings)


@dg.asset(
    key=contracts.RFM.asset_key,
    deps=upstream_of(_SCORES, contracts.RFM),
    kinds={"sql", "duckdb"},
    **described(contracts.RFM),
)
def rfm(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """sql/value/rfm.sql, with the segments' rules from shop.yaml beside it."""
    segments = pl.DataFrame(
        [
            (position, rule.name, rule.r, rule.f, rule.m)
            for position, rule in enumerate(shop.declared.rfm.segments)
        ],
        schema={
            "position": pl.Int64,
            "name": pl.String,
            "r": pl.Int64,
            "f": pl.Int64,
            "m": pl.Int64,
        },
        orient="row",
    )

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        with session.offering(segments=segments):
            return session.create_table(contracts.RFM, _SCORES, parameters)

    return report(warehouse, shop, write)


def _stage_counts(session: Session) -> dict[str, int]:
    return dict(session.rows("select 'n_' || stage, count(*) from value.lifecycle group by stage"))


def _retention_picture(session: Session) -> dict[str, Any]:
    from assets.pictures import retention_heat_map

    cohorts = session.frame(
        "select cohort_date, period, rate from value.retention_cohorts"
        " where unit = 'month' and mode = 'exact'"
    )
    return {"retention by monthly cohort": dg.MetadataValue.md(retention_heat_map(cohorts))}


lifecycle = sql_asset(contracts.LIFECYCLE, finds=_stage_counts)
retention_cohorts = sql_asset(contracts.RETENTION_COHORTS, finds=_retention_picture)
