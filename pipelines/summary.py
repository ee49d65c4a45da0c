"""The closing words of `siyu run`: what was made, three messages of today, where to look next."""

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines.absences import empty_tables
from pipelines.catalogue import PUBLISH, STAGES, contracts
from pipelines.findings import findings, lists_measured
from pipelines.runs import RunReport
from resources.config.shop import load_shop
from resources.home import Home
from resources.keys import own_secret_path
from resources.shop import ShopConfig
from resources.warehouse import Database, Session, read_sql

_SAMPLE = 3


def show_summary(console: Console, config: Path, place: Home, report: RunReport) -> None:
    """Prints rows, seconds and checks per stage, a sample of the push list, and the outputs."""
    shop = load_shop(config)
    with Database(place.analytics).connect(read_only=True) as published:
        messages = published.frame(read_sql("questions/push_sample.sql"))
    with Database(place.warehouse).connect() as session:
        made = _rows_by_stage(session)
        told = ShopConfig(folder=str(config))
        as_of, holdout_days = shop.as_of(told.last_date(session)), told.holdout_days(session)
        found = [*findings(session), *empty_tables(session, contracts()), lists_measured(session)]
    dates = f"{report.first}" if report.first == report.last else f"{report.first} to {report.last}"
    console.print(
        f"\n{shop.name}: load dates {dates}, {report.n_new_files} new or changed files, "
        f"as of {as_of:%Y-%m-%d %H:%M} UTC\n",
        soft_wrap=True,
    )
    console.print(_stages(made, report))
    if shop.consent.assumed_channels:
        channels = ", ".join(shop.consent.assumed_channels)
        console.print(f"consent to {channels} is assumed: {shop.consent.grounds}", soft_wrap=True)
    for left in report.unfinished:
        console.print(
            f"left for a later run: {left.file} ({left.reason})", markup=False, soft_wrap=True
        )
    if report.gone:
        source, path = report.gone[0]
        console.print(
            f"{len(report.gone)} loaded files are gone, first {source} {path}; what they gave "
            "stays until `siyu unload SOURCE PATH` takes it back",
            markup=False,
            soft_wrap=True,
        )
    if holdout_days < shop.recommend.holdout_days:
        console.print(
            f"lists are tried on the last {holdout_days} days alone: history is shorter than three "
            f"times the {shop.recommend.holdout_days} of recommend.holdout_days",
            soft_wrap=True,
        )
    for line in found:
        console.print(line, markup=False, soft_wrap=True)
    for warning in report.warnings:
        console.print(f"warning: {warning}", markup=False, soft_wrap=True)
    console.print("\nfrom today's push list")
    sample = messages.unique("campaign_id", maintain_order=True).head(_SAMPLE)
    for campaign, channel, send_at, text in sample.select(
        "campaign_id", "channel", "send_at", "text"
    ).iter_rows():
        due = f"{send_at:%m-%d %H:%M} UTC"
        console.print(f"  {campaign} · {channel} · {due} · {text}", markup=False, soft_wrap=True)
    if sample.is_empty():
        console.print("  nobody is to be messaged; `siyu sql why_not_sent` says why")
    console.print("\nwhere to look next")
    for what, where in (
        ("tables for analysts", place.analytics),
        ("lists for upload", place.outbound),
        ("the whole log", report.log),
    ):
        console.print(f"  {what:<20} {where}", soft_wrap=True)
    console.print(f"  {'a question':<20} siyu sql 'select * from value.lifecycle limit 5'")
    console.print(f"  {'lineage and checks':<20} siyu ui")
    if shop.simulation and own_secret_path(place.folder).exists():
        console.print(
            f"  {'the demo’s secret':<20} {own_secret_path(place.folder)}", soft_wrap=True
        )


def _rows_by_stage(session: Session) -> dict[str, tuple[int, int]]:
    tables: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for contract in contracts():
        if session.exists(contract):
            tables[contract.schema] += 1
            rows[contract.schema] += session.count(contract)
    return {stage: (tables[stage], rows[stage]) for stage in STAGES}


def _stages(made: dict[str, tuple[int, int]], report: RunReport) -> Table:
    shown = Table(show_footer=True)
    totals = [sum(values) for values in zip(*made.values(), strict=True)]
    for header, footer in (
        ("stage", "in all"),
        ("tables", f"{totals[0]}"),
        ("rows", f"{totals[1]:,}"),
        ("seconds", f"{report.wall_seconds:.1f}"),
        ("checks passed", f"{sum(report.checks_passed.values())}"),
    ):
        justify = "left" if header == "stage" else "right"
        shown.add_column(header, footer, justify=justify)
    for stage in (*STAGES, PUBLISH):
        n_tables, n_rows = made.get(stage, (0, 0))
        shown.add_row(
            stage,
            f"{n_tables}" if n_tables else "",
            f"{n_rows:,}" if n_tables else "",
            f"{report.step_seconds.get(stage, 0.0):.1f}",
            f"{report.checks_passed[stage] or ''}",
        )
    return shown
