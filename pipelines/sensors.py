"""What starts runs besides the clock: files that land, tables that change."""

import datetime as dt
import hashlib
import os
from collections import defaultdict
from pathlib import Path

import dagster as dg

from assets.partitions import load_dates
from assets.raw.assets import TABLES
from pipelines.jobs import nightly
from resources.config.loading import ConfigError
from resources.config.shop import Identity
from resources.config.source import LandedSource
from resources.config.sources import load_sources
from resources.home import Home
from resources.shop import ShopConfig
from resources.sources.arriving import needs_ledger
from resources.sources.collection import changed, read_ledger
from resources.sources.files import Arrival, SourceError, check_load_dates, find_arrivals
from resources.sources.load_dates import Ledger
from resources.warehouse import Database, WarehouseError

_PATIENCE_SECONDS = 2.0


@dg.sensor(  # pyright: ignore[reportUnknownMemberType]
    name="landing_files",
    job=nightly,
    minimum_interval_seconds=60,
    description="Runs the nightly job for each load date with new or changed files.",
)
def landing_files(
    context: dg.SensorEvaluationContext, shop: ShopConfig, home: Home
) -> dg.SensorResult | dg.SkipReason:
    """One run per load date; the same files ask for the same run only once."""
    try:
        landed = [
            source
            for source in load_sources(Path(shop.folder)).sources
            if isinstance(source, LandedSource)
        ]
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        ledger = _ledger(home, shop.declared.time_zone) if needs_ledger(landed) else None
        arrivals = find_arrivals(landed, home.landing, os.environ, now, ledger)
        new = _new(home, arrivals, shop.declared.identity)
        dates = load_dates(shop.declared)
        first, last = dates.get_first_partition_key(), dates.get_last_partition_key()
        check_load_dates(new, dt.date.fromisoformat(first or ""), dt.date.fromisoformat(last or ""))
    except (ConfigError, SourceError, WarehouseError) as error:
        return dg.SkipReason(str(error))
    if not new:
        return dg.SkipReason("no new or changed files")
    by_date: dict[str, list[str]] = defaultdict(list)
    for each in new:
        by_date[each.load_date.isoformat()].append(
            f"{each.source.id}:{each.path}:{each.n_bytes}:{each.modified_at}"
        )
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"{date}:{hashlib.sha256(chr(10).join(files).encode()).hexdigest()[:16]}",
                partition_key=date,
            )
            for date, files in sorted(by_date.items())
        ]
    )


def _ledger(home: Home, time_zone: str) -> Ledger:
    if not home.warehouse.exists():
        return Ledger(time_zone)
    database = Database(home.warehouse, threads=1, lock_timeout_seconds=_PATIENCE_SECONDS)
    with database.connect(read_only=True) as session:
        return read_ledger(session, TABLES, time_zone)


def _new(home: Home, arrivals: list[Arrival], identity: Identity) -> list[Arrival]:
    if not home.warehouse.exists():
        return arrivals
    database = Database(home.warehouse, threads=1, lock_timeout_seconds=_PATIENCE_SECONDS)
    with database.connect(read_only=True) as session:
        return changed(session, TABLES, arrivals, identity)


after_upstream_sensor = dg.AutomationConditionSensorDefinition(
    name="after_upstream",
    target=dg.AssetSelection.all(),
    minimum_interval_seconds=60,
    description="Applies the one automation policy: refresh after upstream changed and passed.",
)
