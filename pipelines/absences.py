"""Warnings of what is not there: sources that are behind, and tables that stay empty."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from assets.raw.contracts import LOADS, SOURCES
from resources.contract import Absence, Contract
from resources.shop import ShopConfig
from resources.warehouse import Session, Warehouse, read_sql

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


HAS_ROWS = "has_rows"
_UNFORESEEN = Absence(
    "true",
    "for no reason that its contract foresees",
    "look at what it is made from in `siyu ui`, and report it",
)


def rows_result(session: Session, contract: Contract) -> dg.AssetCheckResult:
    """Warns where the contract's table has no row, and says why and what to do."""
    absence = absence_of(session, contract)
    is_fine = absence is None or absence.remedy is None
    return dg.AssetCheckResult(
        check_name=HAS_ROWS,
        asset_key=contract.asset_key,
        passed=is_fine,
        severity=_WARN,
        metadata={} if absence is None else {"empty_because": absence.reason},
        description=None
        if absence is None or is_fine
        else f"{contract.name} is empty: {absence.reason}; {absence.remedy}",
    )


def absence_of(session: Session, contract: Contract) -> Absence | None:
    """Why a table has no row; None where it has one."""
    if session.scalar(f"select exists (select 1 from {contract.name})"):
        return None
    for absence in contract.empty_where:
        if session.scalar(f"select {absence.condition}"):
            return absence
    return _UNFORESEEN


def empty_tables(session: Session, contracts: Iterable[Contract]) -> Iterator[str]:
    """One line per reason for which published tables are empty that somebody can mend."""
    by_absence: dict[tuple[str, str], list[str]] = defaultdict(list)
    for contract in contracts:
        if contract.is_published and session.exists(contract):
            absence = absence_of(session, contract)
            if absence is not None and absence.remedy is not None:
                by_absence[absence.reason, absence.remedy].append(contract.name)
    for (reason, remedy), names in by_absence.items():
        yield f"empty: {', '.join(names)} ({reason}; {remedy})"
