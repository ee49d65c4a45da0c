"""`siyu run`: collect what is new, refresh everything after it, each as a recorded run."""

import datetime as dt
import errno
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
from rich.console import Console
from sqlalchemy.exc import OperationalError

from assets.raw.assets import BEGAN_TAG, TABLES
from pipelines.absences import HAS_ROWS
from pipelines.definitions import build_definitions
from pipelines.instance import OWN_RUN_TAG, end_killed_runs, instance_of, sole_run
from pipelines.progress import StageProgress, run_logger, stage_of
from resources.config.shop import Identity, load_shop
from resources.config.sources import load_sources
from resources.failure import Failure
from resources.home import Home
from resources.keys import Keyring
from resources.sources.arriving import arrived, is_pulled, needs_ledger, unfinished
from resources.sources.collection import changed, read_ledger
from resources.sources.files import Arrival, SourceError, Unfinished, check_load_dates
from resources.sources.load_dates import Ledger
from resources.sources.pages import Spool
from resources.vault import Vault
from resources.warehouse import Database

_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"
_LOCK_SECONDS = 60.0


class RunFailed(Failure):
    """A run did not succeed; the message gives the reason in one line, and the log's path."""


@dataclass
class RunReport:
    """What a `siyu run` did: load dates, seconds per stage, checks per stage, the log."""

    first: dt.date
    last: dt.date
    n_new_files: int
    log: Path
    unfinished: list[Unfinished] = field(default_factory=list[Unfinished])
    gone: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    wall_seconds: float = 0.0
    step_seconds: dict[str, float] = field(default_factory=dict[str, float])
    checks_passed: Counter[str] = field(default_factory=Counter[str])
    warnings: list[str] = field(default_factory=list[str])


def run_pipeline(
    config: Path,
    place: Home,
    console: Console,
    *,
    began_at: dt.datetime,
    first: dt.date | None = None,
    last: dt.date | None = None,
) -> RunReport:
    """Collects the load dates from `first` to `last` (default: all with new files), then refreshes.

    Raises:
        RunFailed: a step or a blocking check failed; the published file stays as it was.
        ConfigError, SecretError, SourceError, WarehouseError: nothing was begun.
    """
    shop = load_shop(config)
    keyring = Keyring(home=place.path, is_simulated=shop.simulation is not None)
    Vault(path=str(place.vault), keyring=keyring).check_key()
    with sole_run(place, _LOCK_SECONDS):
        today = began_at.astimezone(ZoneInfo(shop.time_zone)).date()
        spool = Spool(place.pages, keyring.unlock())
        sources = load_sources(config).sources
        now = began_at.astimezone(dt.UTC).replace(tzinfo=None)
        ledger = _ledger(place, shop.time_zone) if needs_ledger(sources) else None
        arrivals = arrived(sources, place.landing, spool, os.environ, now, ledger)
        pulls_until = today if any(map(is_pulled, sources)) else None
        if not arrivals and pulls_until is None:
            raise SourceError(
                f"{place.landing}: no source of {config / 'sources.yaml'} finds a file; "
                "put files there (for the demo shop: `siyu simulate`) and run again"
            )
        check_load_dates(arrivals, shop.first_load_date, today)
        new, dates = _pending(place, arrivals, shop.identity, first, last, pulls_until)
        place.logs.mkdir(parents=True, exist_ok=True)
        log = place.logs / f"{began_at:%Y%m%dT%H%M%S}.log"
        report = RunReport(dates[0], dates[-1], len(new), log)
        report.unfinished = unfinished(sources, place.landing, os.environ, now)
        report.gone = _gone(place, arrivals)
        listeners: list[StageProgress] = []
        loggers = {"run_log": run_logger(log, lambda event: listeners[0].see(event))}
        definitions = build_definitions(config, Path(place.path), loggers)
        jobs = [definitions.resolve_job_def(name) for name in ("ingest", "refresh")]
        spans = ({_RANGE_START: str(dates[0]), _RANGE_END: str(dates[-1])}, dict[str, str]())
        progress = StageProgress(console, [node.name for job in jobs for node in job.nodes])
        listeners.append(progress)
        with instance_of(place) as instance, progress:
            end_killed_runs(instance)
            for job, span in zip(jobs, spans, strict=True):
                tags = {**span, OWN_RUN_TAG: "1", BEGAN_TAG: now.isoformat()}
                _execute(job, instance, place, report, tags)
                report.step_seconds = progress.seconds
    return report


def _pending(
    place: Home,
    arrivals: Sequence[Arrival],
    identity: Identity,
    first: dt.date | None,
    last: dt.date | None,
    pulls_until: dt.date | None,
) -> tuple[list[Arrival], list[dt.date]]:
    """The new or changed files in the range asked for, and the load dates to collect.

    With `pulls_until` (today) a server is asked, and what it gives is loaded with that date.
    """

    def is_asked(date: dt.date) -> bool:
        return (first is None or date >= first) and (last is None or date <= last)

    asked = [arrival for arrival in arrivals if is_asked(arrival.load_date)]
    pulled = {pulls_until} if pulls_until and is_asked(pulls_until) else set[dt.date]()
    if not asked and not pulled:
        raise SourceError(f"no file has a load date from {first or '…'} to {last or '…'}")
    new = asked
    if place.warehouse.exists():
        with Database(place.warehouse, lock_timeout_seconds=_LOCK_SECONDS).connect() as session:
            new = changed(session, TABLES, asked, identity)
    # With nothing new the newest date is looked at again: a no-op that lets the rest refresh.
    dates = sorted({arrival.load_date for arrival in new} | pulled)
    dates = dates or [max(arrival.load_date for arrival in asked)]
    return new, dates


def _ledger(place: Home, time_zone: str) -> Ledger:
    if not place.warehouse.exists():
        return Ledger(time_zone)
    with Database(place.warehouse, lock_timeout_seconds=_LOCK_SECONDS).connect() as session:
        return read_ledger(session, TABLES, time_zone)


def _gone(place: Home, arrivals: Sequence[Arrival]) -> list[tuple[str, str]]:
    """Source and path of every loaded file that is not there any more."""
    if not place.warehouse.exists():
        return []
    with Database(place.warehouse, lock_timeout_seconds=_LOCK_SECONDS).connect() as session:
        if not session.exists(TABLES.loads):
            return []
        loaded = session.rows("select source, path from raw.loads order by source, path")
    there = {(arrival.source.id, arrival.path) for arrival in arrivals}
    return [(source, path) for source, path in loaded if (source, path) not in there]


def _execute(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    place: Home,
    report: RunReport,
    tags: dict[str, str],
) -> None:
    began = time.perf_counter()
    try:
        result = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            tags=tags,
            run_config={"loggers": {"run_log": {}}},
        )
    except OperationalError as error:
        raise RunFailed(
            f"{place.dagster}: Dagster cannot write its record of the run ({error.orig}); free "
            "some space or make the folder writable and run again: no table is half written"
        ) from error
    report.wall_seconds += time.perf_counter() - began
    events = result.all_events
    report.checks_passed.update(
        stage_of(event.step_key or "")
        for event in events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
        and event.asset_check_evaluation_data.passed
    )
    report.warnings += [
        event.asset_check_evaluation_data.description or event.step_key or ""
        for event in events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
        and not event.asset_check_evaluation_data.passed
        and event.asset_check_evaluation_data.severity == dg.AssetCheckSeverity.WARN
        # The summary names empty tables by the reason that they share.
        and event.asset_check_evaluation_data.check_name != HAS_ROWS
    ]
    if not result.success:
        raise RunFailed(f"{_reason(events, place)} (the whole log: {report.log})")


def _reason(events: Sequence[dg.DagsterEvent], place: Home) -> str:
    """Why a run failed, in one line: the failed checks' words, else the innermost error's."""
    for event in events:
        if event.event_type_value == "ASSET_CHECK_EVALUATION":
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR:
                return f"check failed: {evaluation.description}"
    for event in events:
        if event.event_type_value == "STEP_FAILURE":
            return f"{event.step_key}: {_innermost(event.step_failure_data.error, place)}"
    return "the run failed before its first step"


def _innermost(error: Any, place: Home) -> str:
    while error is not None and error.cause is not None and error.cls_name.startswith("Dagster"):
        error = error.cause
    if error is None:
        return "unknown error"
    text = str(error.message).strip().splitlines()[0]
    if os.strerror(errno.ENOSPC) in error.message:
        return (
            f"the disk with {place.folder} is full ({text}); free some space and run again: "
            "what was being written has been undone"
        )
    # The class of our own errors says nothing that their words do not.
    return re.sub(r"^\w+(\.\w+)+: ", "", text)
