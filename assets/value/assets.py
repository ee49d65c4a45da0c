"""What members are worth, where they are in their life with the shop, who stays."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import dagster as dg
import polars as pl

from assets.clean.contracts import MEMBER_ATTRIBUTES, MEMBERS
from assets.sql_asset import described, report, sql_asset, upstream_of
from assets.value import contracts
from resources.config.funnels import load_funnels
from resources.config.shop import Clv, MemberColumn, attribute_of
from resources.shop import ShopConfig
from resources.warehouse import Session, Warehouse, read_sql

if TYPE_CHECKING:
    from assets.value.backtest import Backtest
    from assets.value.fits import Terms

_HISTORIES = read_sql("value/clv.sql")
_SCORES = read_sql("value/rfm.sql")
_HISTORY = (
    "frequency",
    "recency",
    "T",
    "monetary_value",
    "profitable_repeats",
    "profitable_value",
)
_FUNNEL_STEPS = """
select member_id, nth, step, occurred_at, is_newest
from features.funnel_events
where funnel = $funnel
"""
_COHORTS = [MEMBERS.asset_key, MEMBER_ATTRIBUTES.asset_key]
_OF_HISTORIES = [*upstream_of(_HISTORIES, contracts.CLV), *_COHORTS]


def _terms(declared: Clv) -> "Terms":
    from assets.value.fits import Terms
    from assets.value.lifetime_value import DataGate

    return Terms(
        gate=DataGate(
            declared.min_buyers, declared.min_days, declared.min_orders, declared.max_idle_days
        ),
        one_time_share=declared.one_time_share,
        min_cohort=declared.min_cohort,
    )


def _cohorts(
    session: Session, histories: pl.DataFrame, declared: Clv
) -> Sequence[str | None] | None:
    """Each member's value of what models are fitted apart by; None: they are not."""
    if declared.cohort_column is None:
        return None
    attribute = attribute_of(declared.cohort_column, get_args(MemberColumn))
    if attribute is None:
        members = session.frame(
            f"select member_id, {declared.cohort_column}::varchar as cohort from clean.members"
        )
    else:
        members = session.frame(
            "select member_id, value as cohort from clean.member_attributes"
            " where attribute = $attribute",
            {"attribute": attribute},
        )
    joined = histories.join(members, on="member_id", how="left", maintain_order="left")
    return joined["cohort"].to_list()


@dg.asset(
    key=contracts.CLV.asset_key,
    deps=_OF_HISTORIES,
    kinds={"python", "duckdb"},
    **described(contracts.CLV),
)
def clv(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The histories of sql/value/clv.sql with what the models expect of each member."""
    from assets.value.clv_tables import members_table
    from assets.value.forecast import forecast

    declared = shop.declared.clv
    findings: dict[str, float | str] = {}

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        histories = session.frame(_HISTORIES, parameters)
        made = forecast(
            *(histories[name] for name in _HISTORY),
            terms=_terms(declared),
            horizon_months=declared.horizon_months,
            monthly_rate=declared.monthly_discount_rate,
            min_p_alive=shop.declared.lifecycle.min_p_alive,
            cohorts=_cohorts(session, histories, declared),
        )
        findings.update(
            made.metrics,
            method=made.models.method,
            reason=made.models.reason,
            is_modelled=float(made.p_alive is not None),
            predicted_clv_in_all=float(made.predicted_clv.sum()),
        )
        table = members_table(
            histories,
            made,
            run_date=parameters["run_date"],
            risk_bands=declared.risk_bands,
            active_days=shop.declared.lifecycle.active_days,
        )
        return session.write_frame(contracts.CLV, table)

    return report(warehouse, shop, write, findings)


@dg.asset(
    key=contracts.CLV_PARAMETERS.asset_key,
    deps=[contracts.CLV.asset_key, *_COHORTS],
    kinds={"python", "duckdb"},
    **described(contracts.CLV_PARAMETERS),
)
def clv_parameters(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The fits behind value.clv, found again from its histories."""
    from assets.value.clv_tables import parameters_table
    from assets.value.fits import fit_models

    declared = shop.declared.clv

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        histories = session.frame(
            'select member_id, frequency, recency, "T", monetary_value, profitable_repeats,'
            " profitable_value from value.clv order by member_id"
        )
        models = fit_models(
            *(histories[name] for name in _HISTORY),
            terms=_terms(declared),
            cohorts=_cohorts(session, histories, declared),
        )
        return session.write_frame(contracts.CLV_PARAMETERS, parameters_table(models))

    return report(warehouse, shop, write)


def _backtest(session: Session, parameters: Mapping[str, Any], declared: Clv) -> "Backtest":
    """The models as they were `holdout_days` ago, against what came since."""
    from assets.value.backtest import backtest

    until: dt.date = parameters["run_date"]
    split = until - dt.timedelta(days=declared.holdout_days)
    histories = session.frame(_HISTORIES, {**parameters, "run_date": split})
    order_days = session.frame(
        "select member_id, date, margin from features.member_days"
        " where n_orders > 0 and date < $run_date",
        {"run_date": until},
    )
    return backtest(
        histories,
        order_days,
        split=split,
        until=until,
        terms=_terms(declared),
        largest_error=declared.max_backtest_error,
        served_by=session.scalar("select min(method) from value.clv"),
        cohorts=_cohorts(session, histories, declared),
    )


@dg.asset(
    key=contracts.CLV_BACKTEST.asset_key,
    deps=[*_OF_HISTORIES, contracts.CLV.asset_key],
    kinds={"python", "duckdb"},
    **described(contracts.CLV_BACKTEST),
)
def clv_backtest(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The backtest by number of repeat orders, with a verdict on the forecast."""
    findings: dict[str, Any] = {}

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        made = _backtest(session, parameters, shop.declared.clv)
        findings.update(made.metrics, reason=made.reason, verdict=made.buckets["verdict"][-1])
        return session.write_frame(contracts.CLV_BACKTEST, made.buckets)

    return report(warehouse, shop, write, findings)


@dg.asset(
    key=contracts.CLV_TRACKING.asset_key,
    deps=[*_OF_HISTORIES, contracts.CLV.asset_key],
    kinds={"python", "duckdb"},
    **described(contracts.CLV_TRACKING),
)
def clv_tracking(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The backtest week by week, with its picture; empty where the shop was too young."""
    from assets.pictures import tracking_plot

    findings: dict[str, Any] = {}

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        made = _backtest(session, parameters, shop.declared.clv)
        findings.update(made.metrics, reason=made.reason)
        if len(made.weeks):
            picture = tracking_plot(made.weeks)
            findings["repeat orders, actual and expected"] = dg.MetadataValue.md(picture)
        return session.write_frame(contracts.CLV_TRACKING, made.weeks)

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


@dg.asset(
    key=contracts.FUNNELS.asset_key,
    deps=upstream_of(_FUNNEL_STEPS, contracts.FUNNELS),
    kinds={"python", "duckdb"},
    **described(contracts.FUNNELS),
)
def funnels(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """How far members come in every funnel of funnels.yaml."""
    from assets.value.funnels import LOSSES, Terms, best_attempts, losses

    declared = load_funnels(Path(shop.folder)).funnels
    findings: dict[str, float] = {}

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        rows: list[tuple[object, ...]] = []
        for funnel in declared:
            names = funnel.step_names
            terms = Terms(funnel.order, funnel.window_days, len(names), funnel.exclusions)
            events = session.frame(_FUNNEL_STEPS, {"funnel": funnel.id})
            attempts = best_attempts(events, terms, parameters["as_of"])
            rows += losses(funnel.id, names, attempts)
            findings[f"n_entered_{funnel.id}"] = len(attempts.member_ids)
            findings[f"n_converted_{funnel.id}"] = int((attempts.n_reached == len(names)).sum())
        return session.write_frame(
            contracts.FUNNELS, pl.DataFrame(rows, schema=LOSSES, orient="row")
        )

    return report(warehouse, shop, write, findings)


def _stage_counts(session: Session) -> dict[str, int]:
    return dict(session.rows("select 'n_' || stage, count(*) from value.lifecycle group by stage"))


def _transition_picture(session: Session) -> dict[str, Any]:
    from assets.pictures import transition_matrix

    stages = session.frame(
        "select from_stage, to_stage, rate from value.lifecycle_transitions"
        " where month_date = (select max(month_date) from value.lifecycle_transitions"
        " where is_complete)"
    )
    return {"stages a month later": dg.MetadataValue.md(transition_matrix(stages))}


def _retention_picture(session: Session) -> dict[str, Any]:
    from assets.pictures import retention_heat_map

    cohorts = session.frame(
        "select cohort_date, period, rate from value.retention_cohorts"
        " where unit = 'month' and mode = 'exact' and segment_column = 'all' and not is_cut"
    )
    return {"retention by monthly cohort": dg.MetadataValue.md(retention_heat_map(cohorts))}


def _last_whole_month(session: Session) -> dict[str, Any]:
    rows = session.rows(
        "select active, quick_ratio from value.growth_accounting"
        " where unit = 'month' and is_complete order by period desc limit 1"
    )
    found = dict(zip(("active_in_last_month", "quick_ratio"), rows[0], strict=True)) if rows else {}
    return {name: value for name, value in found.items() if value is not None}


lifecycle_history = sql_asset(contracts.LIFECYCLE_HISTORY)
lifecycle = sql_asset(contracts.LIFECYCLE, finds=_stage_counts)
lifecycle_transitions = sql_asset(contracts.LIFECYCLE_TRANSITIONS, finds=_transition_picture)
retention_cohorts = sql_asset(contracts.RETENTION_COHORTS, finds=_retention_picture)
growth_accounting = sql_asset(contracts.GROWTH_ACCOUNTING, finds=_last_whole_month)
