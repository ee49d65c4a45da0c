"""Time the load of one more day on histories of several lengths: collection and clean together.

    python -m benchmarks.history [--days N …] [--config FOLDER] [--repeats N]

The simulated shop of FOLDER is written for one day more than the longest history. Per length, the
days before the last one are loaded, untimed; then the last day's files arrive, and collecting them
and rewriting what they touch in clean is timed, from opening the database to closing it, with the
catalogue, and with the blocking checks apart. The day is the same for every length. Each time
begins with a copy of the same warehouse; lengths take turns; the median counts.
"""

import argparse
import dataclasses
import datetime as dt
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from assets.clean.rewriting import TABLES as CLEAN_TABLES
from assets.clean.rewriting import rewrite
from assets.raw import contracts as raw
from assets.raw.assets import TABLES as RAW_TABLES
from assets.raw.assets import exchange_rates
from pipelines.definitions import DEFAULT_CONFIG
from resources.config.shop import Shop, load_shop
from resources.config.sources import load_sources
from resources.home import Home
from resources.keys import Keyring
from resources.simulation import simulate
from resources.sources.arriving import arrived
from resources.sources.collection import changed, collect
from resources.sources.files import Arrival
from resources.sources.pages import Spool
from resources.vault import Vault
from resources.warehouse import Database, read_sql

_BEGAN = dt.datetime(2027, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None)


@dataclasses.dataclass(frozen=True)
class Load:
    """Seconds of one load, and what it had to do."""

    collecting: float
    rewriting: float
    checking: float
    n_lines: int
    n_rewritten: int
    n_before: int


def load(config: Path, home: str, first: dt.date, last: dt.date) -> Load:
    """Collects the files of the load dates and rewrites what they touch, as the two assets do."""
    place = Home(path=home)
    shop = load_shop(config)
    keyring = Keyring(home=place.path, is_simulated=True)
    vault = Vault(path=str(place.vault), keyring=keyring)
    database = Database(place.warehouse)
    n_before = 0
    if place.warehouse.exists():
        with database.connect(read_only=True) as session:
            n_before = session.count(raw.EVENTS)
    began = time.perf_counter()
    spool = Spool(place.pages, keyring.unlock())
    arrivals = [
        arrival
        for arrival in arrived(
            load_sources(config).sources, place.landing, spool, os.environ, _BEGAN
        )
        if first <= arrival.load_date <= last
    ]
    n_lines = _collect(shop, database, vault, keyring, arrivals)
    collected = time.perf_counter()
    with database.connect() as session, session.transaction():
        done = rewrite(session, shop.parameters(last))
    rewritten = time.perf_counter()
    with database.connect() as session:
        for contract in (*RAW_TABLES.all, *CLEAN_TABLES):
            session.rows(f"select {', '.join(contract.checks().values())} from {contract.name}")
        session.rows(read_sql("checks/records_balance.sql"))
    checked = time.perf_counter()
    return Load(
        collected - began,
        rewritten - collected,
        checked - rewritten,
        n_lines,
        done.n_events,
        n_before,
    )


def _collect(
    shop: Shop, database: Database, vault: Vault, keyring: Keyring, arrivals: Sequence[Arrival]
) -> int:
    with database.connect() as session:
        new = changed(session, RAW_TABLES, arrivals)
        collect(
            session,
            vault,
            RAW_TABLES,
            new,
            keys=keyring.unlock(),
            base_currency=shop.base_currency,
            loaded_at=_BEGAN,
            time_zone=shop.time_zone,
        )
        session.create_table(raw.PRODUCTS, read_sql("raw/products.sql"))
        session.write_frame(raw.FX_RATES, exchange_rates(shop))
        paths = {(arrival.source.id, arrival.path) for arrival in new}
        return sum(
            n_records
            for source, path, n_records in session.rows(
                f"select source, path, n_records from {RAW_TABLES.loads.name}"
            )
            if (source, path) in paths
        )


def measure(config: Path, folder: Path, lengths: Sequence[int], repeats: int) -> str:
    """The loads of one more day on histories of these lengths, as a Markdown table."""
    shop = load_shop(config)
    settings = shop.simulation
    if settings is None:
        raise SystemExit(f"benchmarks.history: {config / 'shop.yaml'} has no 'simulation' block")
    settings = settings.model_copy(update={"days": max(lengths) + 1})
    simulate(settings, folder / "landing", folder / "truth")
    last = settings.first_date + dt.timedelta(days=max(lengths))
    times: dict[int, list[Load]] = defaultdict(list)
    for length in lengths:
        base = _home(folder, f"before-{length}")
        yesterday = last - dt.timedelta(days=1)
        _apart(config, base, last - dt.timedelta(days=length), yesterday)
    for number in range(repeats):
        for length in lengths:
            place = _home(folder, f"{length}-{number}")
            for database in (place.warehouse, place.vault):
                shutil.copy(folder / f"before-{length}" / database.name, database)
            times[length].append(_apart(config, place, last, last))
            shutil.rmtree(place.folder)
    return _summary(times)


def _home(folder: Path, name: str) -> Home:
    place = Home(path=str(folder / name))
    if not place.folder.exists():
        place.folder.mkdir()
        (place.folder / "secret").write_text("0123456789abcdef" * 4, encoding="utf-8")
        place.landing.symlink_to(folder / "landing")
    return place


def _apart(config: Path, place: Home, first: dt.date, last: dt.date) -> Load:
    """One load in a process of its own, so that none finds the other's memory."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as apart:
        return apart.submit(load, config, place.path, first, last).result()


def _summary(times: dict[int, list[Load]]) -> str:
    middle: dict[int, dict[str, float]] = {}
    for length, loads in times.items():
        seconds = {
            name: statistics.median(getattr(each, name) for each in loads)
            for name in ("collecting", "rewriting", "checking")
        }
        both = statistics.median(each.collecting + each.rewriting for each in loads)
        middle[length] = {**seconds, "both": both}
    lines = [
        "| history | events before | lines of the day | events rewritten | collection | clean |"
        " together | checks |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for length, loads in times.items():
        one, seconds = loads[0], middle[length]
        lines.append(
            f"| {length} days | {one.n_before:,} | {one.n_lines:,} | {one.n_rewritten:,} |"
            f" {seconds['collecting']:.2f} s | {seconds['rewriting']:.2f} s |"
            f" {seconds['both']:.2f} s | {seconds['checking']:.2f} s |"
        )
    shortest, longest = min(middle), max(middle)
    growth = middle[longest]["both"] / middle[shortest]["both"] - 1
    lines.append("")
    lines.append(
        f"Collection and clean together: {growth:+.0%} from {shortest} days of history"
        f" to {longest}."
    )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print what one more day costs.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--days", type=int, nargs="+", default=[10, 30, 90])
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="a simulated shop")
    parser.add_argument("--repeats", type=int, default=3, help="of each; the median counts")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="siyu-benchmark-") as folder:
        print(measure(arguments.config, Path(folder), sorted(arguments.days), arguments.repeats))
    return 0


if __name__ == "__main__":
    sys.exit(main())
