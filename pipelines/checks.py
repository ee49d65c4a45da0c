"""Blocking checks: one set per contract, generated, and the few that span tables."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from assets.clean.contracts import (
    DUPLICATES,
    EVENTS,
    IDENTITIES,
    MEMBER_ADDRESSES,
    MEMBERS,
    ORDER_NUMBERS,
    ORDERS,
    PRODUCTS,
)
from assets.push.contracts import ASSIGNMENTS, CAPS, PUSH_LIST
from assets.raw.contracts import CONSENTS, LOADS, REJECTED_RECORDS, UNREAD_VALUES
from assets.recommend.contracts import ALS_MODEL, MODEL_METRICS
from assets.social.contracts import COMMISSIONS, REFERRALS
from assets.sql_asset import upstream_of
from assets.tags.contracts import PRODUCT_TAGS
from assets.tags.contracts import PRODUCTS as TAGGED_PRODUCTS
from assets.value.contracts import (
    CLV,
    CLV_BACKTEST,
    GROWTH_ACCOUNTING,
    LIFECYCLE,
    LIFECYCLE_HISTORY,
)
from pipelines.absences import HAS_ROWS, rows_result
from resources.contract import Contract
from resources.shop import ShopConfig
from resources.warehouse import Warehouse, read_sql

_ERROR = dg.AssetCheckSeverity.ERROR
_SHOWN_REJECTS = 3
_SHOWN_DOUBTS = 5
# A share of the orders.
_MOST_DISPUTED = 0.01
_ROUNDING = 1e-9


def contract_checks(contract: Contract) -> dg.AssetChecksDefinition:
    """The contract's promises, held against its table in one scan.

    Of a published table a warning says why it is empty, where the shop can do something about it.
    """
    counts = contract.checks()
    specs = [
        dg.AssetCheckSpec(
            name,
            asset=contract.asset_key,
            blocking=True,
            description=f"Offending rows, of which there must be none: {expression}",
        )
        for name, expression in counts.items()
    ]
    if contract.is_published:
        specs.append(
            dg.AssetCheckSpec(
                HAS_ROWS,
                asset=contract.asset_key,
                description="It has rows, or nothing is to be done about it.",
            )
        )

    @dg.multi_asset_check(
        name=f"checks_of__{contract.schema}__{contract.table}",
        specs=specs,
        pool="warehouse",
    )
    def hold_to_contract(warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
        with warehouse.connect() as session:
            row = session.rows(f"select {', '.join(counts.values())} from {contract.name}")[0]
            absence = rows_result(session, contract) if contract.is_published else None
        for name, n_offending in zip(counts, row, strict=True):
            yield dg.AssetCheckResult(
                check_name=name,
                asset_key=contract.asset_key,
                passed=n_offending == 0,
                severity=_ERROR,
                metadata={"offending_rows": int(n_offending)},
                description=None
                if n_offending == 0
                else f"{contract.name}: {name.replace('_', ' ')} fails on {n_offending} rows",
            )
        if absence is not None:
            yield absence

    return hold_to_contract


@dg.asset_check(asset=LOADS.asset_key, blocking=True, pool="warehouse")
def reject_rate_is_within_limit(shop: ShopConfig, warehouse: Warehouse) -> dg.AssetCheckResult:
    """No source gave, on any load date, a larger share of bad records than the shop allows."""
    limit = shop.declared.quality.reject_limit
    with warehouse.connect() as session:
        over = session.rows(
            "select source, load_date, sum(n_rejected)::bigint, sum(n_records)::bigint"
            " from raw.loads group by all having sum(n_rejected) > $reject_limit * sum(n_records)"
            " order by load_date, source",
            {"reject_limit": limit},
        )
        if not over:
            return dg.AssetCheckResult(passed=True, severity=_ERROR, metadata={"limit": limit})
        source, load_date, n_rejected, n_records = over[0]
        first = session.rows(
            "select path, line, reason from raw.rejected_records"
            " where source = $source and load_date = $load_date order by path, line limit $shown",
            {"source": source, "load_date": load_date, "shown": _SHOWN_REJECTS},
        )
    shown = "; ".join(f"{path} line {line}: {reason}" for path, line, reason in first)
    return dg.AssetCheckResult(
        passed=False,
        severity=_ERROR,
        metadata={"limit": limit, "loads_over_limit": len(over)},
        description=(
            f"source '{source}' on {load_date}: {n_rejected} of {n_records} records rejected, over "
            f"the limit of {limit:.1%} ({shown}); correct the file and send it again, or raise "
            "quality.reject_limit in shop.yaml"
        ),
    )


@dg.asset_check(
    asset=EVENTS.asset_key,
    additional_deps=[LOADS.asset_key, REJECTED_RECORDS.asset_key, DUPLICATES.asset_key],
    blocking=True,
    pool="warehouse",
)
def every_record_is_accounted_for(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Records in = clean + duplicates + conflicting + rejected (+ waiting), file by file."""
    with warehouse.connect() as session:
        files = session.frame(read_sql("checks/records_balance.sql"))
    counts = ("n_records", "n_clean", "n_duplicates", "n_conflicting", "n_rejected", "n_waiting")
    metadata: dict[str, Any] = {name: int(files[name].sum()) for name in counts}
    wrong = files.filter(pl.col("n_missing") != 0)
    if wrong.is_empty():
        return dg.AssetCheckResult(passed=True, severity=_ERROR, metadata=metadata)
    first = wrong.row(0, named=True)
    parts = " + ".join(f"{first[name]} {name.removeprefix('n_')}" for name in counts[1:])
    return dg.AssetCheckResult(
        passed=False,
        severity=_ERROR,
        metadata={**metadata, "files_out_of_balance": len(wrong)},
        description=(
            f"{len(wrong)} files do not add up, first {first['path']} of source "
            f"'{first['source']}': {first['n_records']} records, but {parts}; "
            "send the file again, or move warehouse.duckdb away to load everything anew"
        ),
    )


@dg.asset_check(asset=UNREAD_VALUES.asset_key, additional_deps=[LOADS.asset_key], pool="warehouse")
def values_are_understood(shop: ShopConfig, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Of no optional field more values are there and not understood than the shop allows."""
    limit = shop.declared.quality.unread_limit
    with warehouse.connect() as session:
        over = session.rows(read_sql("questions/values_not_read.sql"), {"limit": limit})
    shown = "; ".join(
        f"{field} in {n_unread:,} of {n_records:,} records of source '{source}', mostly {most!r}"
        for source, field, n_unread, n_records, most in over
    )
    return dg.AssetCheckResult(
        passed=not over,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"limit": limit, "fields_over_limit": len(over)},
        description=f"there, but not understood, and left empty: {shown} (9 stands for any digit, a"
        " for any letter); correct the expression in sources.yaml, or what the source sends"
        if over
        else None,
    )


@dg.asset_check(asset=DUPLICATES.asset_key, additional_deps=[LOADS.asset_key], pool="warehouse")
def message_ids_tell_messages_apart(shop: ShopConfig, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Hardly any record says something else than an earlier one with the same id."""
    limit = shop.declared.quality.conflict_limit
    with warehouse.connect() as session:
        over = session.rows(read_sql("questions/conflicting_messages.sql"), {"limit": limit})
        total = session.scalar("select count(*) from clean.duplicates where kind = 'conflicting'")
    shown = "; ".join(
        f"{n_conflicting:,} of {n_records:,} records of source '{source}', {of_one:,} of these"
        f" with the id {message_id!r}, first {path} line {line}"
        for source, n_conflicting, n_records, message_id, of_one, path, line in over
    )
    return dg.AssetCheckResult(
        passed=not over,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"conflicting": total, "limit": limit},
        description=f"kept aside, because an earlier record has their id and says something else: "
        f"{shown}; list what is no id under message_id_placeholders in sources.yaml, and give a "
        "source that numbers its messages like another a message_namespace"
        if over
        else None,
    )


@dg.asset_check(
    asset=MEMBERS.asset_key,
    additional_deps=[CONSENTS.asset_key, IDENTITIES.asset_key, MEMBER_ADDRESSES.asset_key],
    pool="warehouse",
)
def consents_are_understood(shop: ShopConfig, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every consent is spelt as docs/sources.md has it, and every withdrawal names a member."""
    with warehouse.connect() as session:
        doubtful = session.rows(read_sql("checks/consents_in_doubt.sql"), shop.parameters(session))
    n_consents = sum(n for *_, n in doubtful)
    shown = "; ".join(
        f"source '{source}': {doubt}" + (f", {spelling[:40]!r}" if spelling else "") + f" ({n})"
        for source, doubt, spelling, n in doubtful[:_SHOWN_DOUBTS]
    )
    return dg.AssetCheckResult(
        passed=not doubtful,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"consents_in_doubt": n_consents},
        description=f"{n_consents} consents are in doubt and open no channel: {shown}; what is not "
        "an exact grant counts as a withdrawal or not at all; spell it in the source's 'map' as "
        "docs/sources.md says under Consent"
        if doubtful
        else None,
    )


@dg.asset_check(asset=ORDERS.asset_key, additional_deps=[EVENTS.asset_key], pool="warehouse")
def currencies_have_rates(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every amount is in a currency that shop.yaml gives a rate for."""
    with warehouse.connect() as session:
        rows = session.rows(
            "select coalesce(currency, 'none'), count(*) from clean.events"
            " where fx_rate is null group by currency order by count(*) desc, currency"
        )
    lacking = ", ".join(f"{currency} ({n_events} events)" for currency, n_events in rows)
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"events_without_rate": sum(n_events for _, n_events in rows)},
        description=f"amounts count as 0 for want of a rate: {lacking}; add fx_rates to shop.yaml"
        if rows
        else None,
    )


@dg.asset_check(asset=ORDERS.asset_key, pool="warehouse")
def orders_say_what_their_lines_do(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Few orders say of their revenue what their lines and discounts do not add up to."""
    with warehouse.connect() as session:
        n_disputed, n_orders, first = session.rows(
            "select count(*) filter (where is_disputed), count(*),"
            " min(order_id) filter (where is_disputed) from clean.orders"
        )[0]
    passed = n_disputed <= _MOST_DISPUTED * n_orders
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"disputed_orders": n_disputed},
        description=None
        if passed
        else f"{n_disputed} of {n_orders} orders say another revenue than their lines less "
        f"discounts, first {first}; see is_disputed of clean.orders, and whether `revenue` is sent "
        "without shipping and tax",
    )


@dg.asset_check(asset=ORDER_NUMBERS.asset_key, pool="warehouse")
def order_numbers_tell_orders_apart(warehouse: Warehouse) -> dg.AssetCheckResult:
    """No number is used for different orders by sources that declare no order_namespace."""
    with warehouse.connect() as session:
        counts = dict(
            session.rows("select verdict, count(*) from clean.order_numbers group by verdict")
        )
        rows = session.rows(
            "select order_id from clean.order_numbers where verdict = 'differs' order by 1 limit 1"
        )
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={f"{verdict}_numbers": count for verdict, count in counts.items()},
        description=f"{counts['differs']} order numbers are used for different orders in two "
        f"sources and taken for two, first {rows[0][0]}; say so with order_namespace in "
        "sources.yaml"
        if rows
        else None,
    )


@dg.asset_check(asset=ORDERS.asset_key, blocking=True, pool="warehouse")
def orders_reconcile_with_source(shop: ShopConfig, warehouse: Warehouse) -> dg.AssetCheckResult:
    """What the source says it holds is found again, to the cent, in the parts it was cut into."""
    with warehouse.connect() as session:
        parameters = shop.parameters(session)
        declared = session.scalar("select sum(control_total) from raw.loads")
        parts = session.rows(read_sql("questions/orders_reconciliation.sql"), parameters)
    total = sum(amount for _, _, amount in parts)
    metadata: dict[str, Any] = {}
    for part, n_lines, amount in parts:
        name = part.replace(" ", "_")
        metadata |= {f"{name}_amount": float(amount), f"{name}_lines": int(n_lines)}
    metadata["total"] = float(total)
    if declared is None:
        return dg.AssetCheckResult(
            passed=True,
            severity=_ERROR,
            metadata=metadata,
            description="No source declares a control total; the parts are shown.",
        )
    metadata["control_total"] = float(declared)
    return dg.AssetCheckResult(
        passed=declared == total,
        severity=_ERROR,
        metadata=metadata,
        description=None
        if declared == total
        else f"the parts add up to {total}, the sources declare {declared}: lines were lost",
    )


def finds_nothing(question: str, contract: Contract) -> dg.AssetChecksDefinition:
    """Blocks unless sql/checks/<question>.sql, whose rows say what is wrong, has none."""
    sql = read_sql(f"checks/{question}.sql")

    @dg.asset_check(
        name=question,
        asset=contract.asset_key,
        additional_deps=upstream_of(sql, contract),
        description=sql.removeprefix("-- ").partition("?")[0] + "?",
        blocking=True,
        pool="warehouse",
    )
    def look(shop: ShopConfig, warehouse: Warehouse) -> dg.AssetCheckResult:
        with warehouse.connect() as session:
            wrong = session.rows(sql, shop.parameters(session))
        return dg.AssetCheckResult(
            passed=not wrong,
            severity=_ERROR,
            metadata={"found": len(wrong)},
            description=f"{contract.name}: {question.replace('_', ' ')} fails {len(wrong)} times, "
            f"first {wrong[0][0]}"
            if wrong
            else None,
        )

    return look


stages_follow_one_another = finds_nothing("stages_follow_one_another", LIFECYCLE_HISTORY)
risk_agrees_with_stage = finds_nothing("risk_agrees_with_stage", LIFECYCLE)
periods_follow_one_another = finds_nothing("periods_follow_one_another", GROWTH_ACCOUNTING)
referrals_form_trees = finds_nothing("referrals_form_trees", REFERRALS)
commissions_stay_within_rates = finds_nothing("commissions_stay_within_rates", COMMISSIONS)


@dg.asset_check(asset=CLV.asset_key, pool="warehouse")
def value_is_independent_of_frequency(
    shop: ShopConfig, warehouse: Warehouse
) -> dg.AssetCheckResult:
    """Who orders often does not spend another amount per order, as Gamma-Gamma has it."""
    limit = shop.declared.clv.max_correlation
    with warehouse.connect() as session:
        found = session.scalar(
            "select corr(profitable_repeats, profitable_value) from value.clv"
            " where profitable_repeats > 0 and method <> 'fallback'"
        )
    # Of one member, of equal ones, or without the model, there is none.
    correlation = 0.0 if found is None or math.isnan(found) else float(found)
    passed = abs(correlation) <= limit
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"correlation": correlation, "limit": limit},
        description=None
        if passed
        else f"frequency and value correlate by {correlation:.2f}, over the {limit:g} of "
        "clv.max_correlation: predicted_clv is too even",
    )


@dg.asset_check(asset=CLV_BACKTEST.asset_key, additional_deps=[CLV.asset_key], pool="warehouse")
def values_were_foreseen(warehouse: Warehouse) -> dg.AssetCheckResult:
    """What clv would have foretold of the last weeks came, as far as that can be told."""
    with warehouse.connect() as session:
        verdict, method, reason, has_buyers = session.rows(
            "select verdict, method, reason, exists (from value.clv)"
            " from value.clv_backtest where bucket = 'all'"
        )[0]
    passed = verdict == "holds" or not has_buyers
    said = "is off" if verdict == "off" else "cannot be tested"
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"verdict": verdict, "method": method, "reason": reason},
        description=None
        if passed
        else f"predicted_clv {said}: {reason}; it ranks members, but is no sum to plan with",
    )


@dg.asset_check(
    asset=PUSH_LIST.asset_key,
    additional_deps=[
        MEMBERS.asset_key,
        MEMBER_ADDRESSES.asset_key,
        ASSIGNMENTS.asset_key,
        CAPS.asset_key,
        PRODUCTS.asset_key,
        PRODUCT_TAGS.asset_key,
        TAGGED_PRODUCTS.asset_key,
    ],
    blocking=True,
    pool="warehouse",
)
def messages_may_be_sent(warehouse: Warehouse) -> dg.AssetCheckResult:
    """None without consent, held out, over a cap, twice in a slot, sensitive, or of an unfit text.

    And where a message says a tag and a product, the tag is one of the product's.
    """
    with warehouse.connect() as session:
        wrong = session.rows(read_sql("questions/forbidden_messages.sql"))
    counts = Counter(reason for reason, _ in wrong)
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=_ERROR,
        metadata={"forbidden_messages": len(wrong)},
        description=None
        if not wrong
        else "push.push_list has messages that must not be sent: "
        + ", ".join(f"{n} {reason}" for reason, n in sorted(counts.items()))
        + f", first {wrong[0][1]}; no list is exported until this is mended",
    )


_OF_LISTS = ("recall", "ndcg", "recall_new", "ndcg_new")


@dg.asset_check(
    asset=MODEL_METRICS.asset_key, additional_deps=[ALS_MODEL.asset_key], pool="warehouse"
)
def lists_are_worth_what_popularity_is(warehouse: Warehouse) -> dg.AssetCheckResult:
    """The lists that were chosen stood their ground against popularity where they were measured.

    Where they did not, popularity is served, and the model is not published.
    """
    with warehouse.connect() as session:
        rows = session.rows(read_sql("questions/lists_measured.sql"))
        fell_back = session.rows(
            "select decision from recommend.als_model where is_fallback and model_version ="
            " (select max(model_version) from recommend.als_model)"
        )
    return dg.AssetCheckResult(
        passed=not fell_back,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            f"{metric}_over_popularity": value - base
            for metric, value, base, _ in rows
            if metric in _OF_LISTS
        },
        description=f"popularity is served: {fell_back[0][0]}" if fell_back else None,
    )


@dg.asset_check(asset=MODEL_METRICS.asset_key, pool="warehouse")
def lists_are_less_alike_than_popularity(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Few products hold no more of the served places than they hold of popularity's."""
    with warehouse.connect() as session:
        rows = session.rows(read_sql("questions/lists_measured.sql"))
    spread = {metric: (value, base) for metric, value, base, _ in rows if metric not in _OF_LISTS}
    wrong = [
        f"{metric} {value:.3f} over popularity's {base:.3f}"
        for metric, (value, base) in spread.items()
        if value > base + _ROUNDING
    ]
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={metric: value for metric, (value, _) in spread.items()},
        description=f"the lists are more alike than popularity's: {', '.join(wrong)}"
        if wrong
        else None,
    )
