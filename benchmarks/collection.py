"""Time collection of Segment's JSON lines against DuckDB alone reading the same files.

    python -m benchmarks.collection [--config FOLDER] [--copies N] [--repeats N]
    python -m benchmarks.collection --files GLOB [--repeats N]

Collection is all of it: reading and hashing the files, judging every line, pseudonyms, redaction,
the ledger, and closing the database. DuckDB alone reads the lines into one table that it infers,
with the same settings, and skips what is no JSON. Both take turns, each in a process of its own
with a new database; the median of each counts. Without `--files` they are the event logs of the
simulated shop of FOLDER, a file a day, dirt included, each as often as `--copies` says.
"""

import argparse
import datetime as dt
import glob
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from assets.raw.assets import TABLES
from pipelines.definitions import DEFAULT_CONFIG
from resources.config.shop import load_shop
from resources.config.source import FileSource
from resources.keys import Keyring, Keys
from resources.simulation import simulate
from resources.sources.collection import collect
from resources.sources.files import SourceError, find_arrivals
from resources.vault import Vault
from resources.warehouse import Database


@dataclass(frozen=True)
class Compared:
    """Lines and bytes of the files, and the median seconds of each way of reading them."""

    n_lines: int
    n_bytes: int
    collected: float
    alone: float

    def summary(self) -> str:
        """The comparison as a Markdown table."""
        rows = [
            ("DuckDB alone", self.alone),
            ("collection", self.collected),
        ]
        lines = [
            f"| {name} | {seconds:.2f} s | {self.n_lines / seconds:,.0f} |"
            f" {self.n_bytes / seconds / 1e6:.0f} |"
            for name, seconds in rows
        ]
        head = [
            f"| {self.n_lines:,} lines | time | lines/s | MB/s |",
            "| --- | ---: | ---: | ---: |",
        ]
        ratio = f"| collection / DuckDB alone | {self.collected / self.alone:.2f} | | |"
        return "\n".join([*head, *lines, ratio])


def simulated_logs(config: Path, folder: Path, copies: int) -> str:
    """Writes a simulated shop's event logs under `copies` names each; returns their glob."""
    settings = load_shop(config).simulation
    if settings is None:
        raise SystemExit(f"benchmarks.collection: {config / 'shop.yaml'} has no 'simulation' block")
    simulate(settings, folder / "landing", folder / "truth")
    for number in range(copies):
        (folder / "logs" / str(number)).mkdir(parents=True)
        for log in (folder / "landing" / "events").glob("*.jsonl"):
            (folder / "logs" / str(number) / log.name).hardlink_to(log)
    return str(folder / "logs" / "*" / "*.jsonl")


def collect_files(pattern: str, home: Path) -> tuple[float, int]:
    """Seconds that collection takes for the files with a new warehouse, and the lines it read.

    Raises:
        SourceError: a file cannot be read, or has no date in its name.
    """
    source = FileSource(
        id="events", kind="files", entity="events", format="jsonl", layout="segment", path=pattern
    )
    secret = secrets.token_hex(32)
    home.mkdir()
    (home / "secret").write_text(secret, encoding="utf-8")
    vault = Vault(
        path=str(home / "vault.duckdb"), keyring=Keyring(home=str(home), is_simulated=True)
    )
    began = time.perf_counter()
    with Database(home / "warehouse.duckdb").connect() as session:
        collect(
            session,
            vault,
            TABLES,
            find_arrivals([source], home, {}),
            keys=Keys.derived_from(secret),
            base_currency="CNY",
            loaded_at=dt.datetime(2027, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None),
        )
        n_lines = session.scalar(f"select sum(n_records)::bigint from {TABLES.loads.name}")
    return time.perf_counter() - began, n_lines


def read_alone(pattern: str, home: Path) -> float:
    """Seconds that DuckDB takes to read the files into one table of a new database."""
    home.mkdir()
    began = time.perf_counter()
    with Database(home / "alone.duckdb").connect() as session:
        session.execute(
            "create table t as select * from read_json_auto($files,"
            " format = 'newline_delimited', ignore_errors = true)",
            {"files": sorted(glob.glob(pattern))},  # noqa: PTH207 - absolute patterns
        )
    return time.perf_counter() - began


def compare(pattern: str, folder: Path, repeats: int) -> Compared:
    """Reads the files both ways in turn, `repeats` times.

    Raises:
        SourceError: a file cannot be read, or has no date in its name.
    """
    collected: list[float] = []
    alone: list[float] = []
    n_lines = 0
    for number in range(repeats):
        # In a process of its own, so that none finds the other's memory.
        for times, home in ((alone, "alone"), (collected, "collected")):
            with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as apart:
                place = folder / f"{home}-{number}"
                if home == "alone":
                    times.append(apart.submit(read_alone, pattern, place).result())
                else:
                    seconds, n_lines = apart.submit(collect_files, pattern, place).result()
                    times.append(seconds)
    n_bytes = sum(Path(file).stat().st_size for file in glob.glob(pattern))  # noqa: PTH207
    return Compared(n_lines, n_bytes, statistics.median(collected), statistics.median(alone))


def main(argv: Sequence[str] | None = None) -> int:
    """Read the files both ways and print what it took.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0, or 1 if a file cannot be read.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collection", description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="a simulated shop")
    parser.add_argument("--copies", type=int, default=3, help="of each of its files")
    parser.add_argument("--files", help="glob of other JSON lines, dates in their names")
    parser.add_argument("--repeats", type=int, default=3, help="of each; the median counts")
    arguments = parser.parse_args(argv)
    for name in ("copies", "repeats"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be 1 or more, got {getattr(arguments, name)}")
    with tempfile.TemporaryDirectory(prefix="siyu-benchmark-") as name:
        folder = Path(name)
        pattern = arguments.files or simulated_logs(arguments.config, folder, arguments.copies)
        try:
            compared = compare(str(Path(pattern).absolute()), folder, arguments.repeats)
        except SourceError as error:
            print(f"benchmarks.collection: {error}", file=sys.stderr)
            return 1
    print(compared.summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
