"""Time `siyu run` on a shop, against DuckDB alone loading the same files in the same run.

    python -m benchmarks.pipeline --config config/demo [--landing DIR] [--repeats N]

Every repeat is the command in a process of its own with a fresh SIYU_HOME, then DuckDB, with the
pipeline's own settings, loading the files into tables in another. A simulated shop is simulated
first, untimed. Op bodies are timed as `benchmarks.op_clock` says; what is left of a run is called
Dagster's own: planning, look-ups, events, the progress lines and the log file.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from pipelines.catalogue import PUBLISH, STAGES
from pipelines.instance import instance_of
from pipelines.progress import stage_of
from resources.config.loading import ConfigError
from resources.config.shop import load_shop
from resources.config.sources import load_sources
from resources.home import Home
from resources.keys import SECRET_VARIABLE
from resources.sources.files import SourceError, find_arrivals
from resources.warehouse import Database

_COMMAND = "from pipelines.cli import main; main()"
_CLOCKED = (
    "import sys; from pathlib import Path; from benchmarks.op_clock import install; "
    f"install(Path(sys.argv.pop())); {_COMMAND}"
)
_ROOT = Path(__file__).resolve().parent.parent
# ru_maxrss is in bytes on macOS and in KiB elsewhere.
_RSS_BYTES = 1 if sys.platform == "darwin" else 1024
_READERS = {
    "jsonl": "read_json_auto($files, format = 'newline_delimited', ignore_errors = true)",
    "csv": "read_csv($files, ignore_errors = true)",
    "parquet": "read_parquet($files)",
}


class CommandFailed(Exception):
    """A `siyu` command did not succeed; the message is what it said."""


@dataclass(frozen=True)
class Measured:
    """One `siyu run`: seconds, bytes and rows."""

    wall: float
    peak_bytes: int
    runs: float
    bodies: Mapping[str, float]
    steps: Mapping[str, float]
    n_event_records: int
    n_files: int
    n_rows: int
    floor: float

    @property
    def inside(self) -> float:
        """Seconds in the bodies of assets and checks."""
        return sum(self.bodies.values())

    def summary(self) -> str:
        """What the run did and took, as a Markdown table."""
        rows = [
            ("event records in", f"{self.n_event_records:,}", ""),
            ("files read", f"{self.n_files:,}", ""),
            ("rows out, all published tables", f"{self.n_rows:,}", ""),
            ("`siyu run`, wall", f"{self.wall:.1f} s", "100 %"),
            ("- inside assets and checks", f"{self.inside:.1f} s", self._share(self.inside)),
            (
                "- Dagster's own",
                f"{self.runs - self.inside:.1f} s",
                self._share(self.runs - self.inside),
            ),
            (
                "- outside the two recorded runs: imports, definitions, closing table",
                f"{self.wall - self.runs:.1f} s",
                self._share(self.wall - self.runs),
            ),
            ("peak memory", f"{self.peak_bytes / 1e9:.2f} GB", ""),
            ("DuckDB alone, the same files into tables", f"{self.floor:.2f} s", ""),
            ("`siyu run` / DuckDB alone", f"{self.wall / self.floor:.1f}", ""),
            ("step `collect` / DuckDB alone", f"{self.steps['collect'] / self.floor:.1f}", ""),
        ]
        return _table(("", "measured", "of the wall"), rows)

    def by_stage(self) -> str:
        """Steps and seconds of every stage, and what is left of the runs, as a Markdown table."""
        n_steps = Counter(stage_of(step) for step in self.steps)
        rows: list[tuple[str, ...]] = []
        for stage in (*STAGES, PUBLISH):
            steps = sum(each for step, each in self.steps.items() if stage_of(step) == stage)
            bodies = sum(each for step, each in self.bodies.items() if stage_of(step) == stage)
            rows.append((stage, f"{n_steps[stage]}", f"{steps:.2f}", f"{steps - bodies:.2f}"))
        between = f"{self.runs - sum(self.steps.values()):.2f}"
        rows.append(("before, between and after steps", "", between, between))
        return _table(("stage", "steps", "seconds", "of these Dagster's own"), rows)

    def slowest(self, n: int) -> str:
        """The ops with the longest bodies, as a Markdown table."""
        longest = sorted(self.bodies.items(), key=lambda each: -each[1])[:n]
        return _table(
            ("step", "seconds in its body"), [(f"`{op}`", f"{each:.2f}") for op, each in longest]
        )

    def _share(self, seconds: float) -> str:
        return f"{seconds / self.wall:.1%}".replace("%", " %")


def measure(config: Path, landing: Path, home: Home, environment: Mapping[str, str]) -> Measured:
    """Runs the pipeline of `config` on the files in `landing` with a new `home`, then the floor.

    Raises:
        CommandFailed: `siyu run` did not succeed.
        ConfigError, SourceError: the floor cannot tell which files to load.
    """
    home.folder.mkdir()
    home.landing.symlink_to(landing, target_is_directory=True)
    clock = home.folder / "op_clock.json"
    wall, peak_bytes = _execute(
        [sys.executable, "-c", _CLOCKED, "run", str(clock)],
        {**environment, "SIYU_HOME": home.path},
    )
    clocked = json.loads(clock.read_text(encoding="utf-8"))
    with instance_of(home) as instance:
        steps = {
            step.step_key: step.end_time - step.start_time
            for run in instance.get_runs()
            for step in instance.get_run_step_stats(run.run_id)
            if step.start_time and step.end_time
        }
    sources = load_sources(config).sources
    arrivals = find_arrivals(sources, landing, environment)
    with Database(home.warehouse).connect(read_only=True) as session:
        n_records: dict[str, int] = dict(
            session.rows("select source, sum(n_records)::bigint from raw.loads group by source")
        )
    with Database(home.analytics).connect(read_only=True) as session:
        n_rows = session.scalar("select sum(estimated_size)::bigint from duckdb_tables()")
    files: dict[Path, str] = {arrival.file: arrival.source.format for arrival in arrivals}
    grouped: dict[tuple[str, Path], list[str]] = {}
    for file, form in files.items():
        grouped.setdefault((form, file.parent), []).append(str(file))
    # In a process of its own: DuckDB's memory must not weigh on the next repeat.
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as apart:
        tables = [(form, paths) for (form, _), paths in grouped.items()]
        floor = apart.submit(load_alone, tables, home.folder / "floor.duckdb").result()
    return Measured(
        wall=wall,
        peak_bytes=peak_bytes,
        runs=sum(clocked["runs"]),
        bodies=clocked["bodies"],
        steps=steps,
        n_event_records=sum(n_records[each.id] for each in sources if each.entity == "events"),
        n_files=len(files),
        n_rows=n_rows,
        floor=floor,
    )


def load_alone(tables: Sequence[tuple[str, list[str]]], database: Path) -> float:
    """Seconds that DuckDB takes to load files into one table per format and folder."""
    began = time.perf_counter()
    with Database(database).connect() as session:
        for number, (form, paths) in enumerate(tables):
            session.execute(
                f"create table loaded_{number} as from {_READERS[form]}", {"files": paths}
            )
    return time.perf_counter() - began


def _execute(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, int]:
    """Runs a command to its end: wall seconds, and the peak resident bytes of its process."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise CommandFailed(said.read().strip())
    return wall, usage.ru_maxrss * _RSS_BYTES


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruler = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ruler, *rows))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the pipeline and print what it took.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0 if every run succeeded, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the shop's folder")
    parser.add_argument("--landing", type=Path, help="files to run on instead of a simulation")
    parser.add_argument("--repeats", type=int, default=1, help="runs; the median one is shown")
    arguments = parser.parse_args(argv)
    if arguments.repeats < 1:
        parser.error(f"--repeats must be 1 or more, got {arguments.repeats}")
    config: Path = arguments.config.absolute()
    with tempfile.TemporaryDirectory(prefix="siyu-benchmark-") as folder:
        simulated = Home(path=str(Path(folder) / "simulated"))
        environment = {SECRET_VARIABLE: secrets.token_hex(32), **os.environ}
        environment["SIYU_CONFIG"] = str(config)
        try:
            landing: Path = simulated.landing
            if arguments.landing is not None:
                landing = arguments.landing.absolute()
            elif load_shop(config).simulation is None:
                landing.mkdir(parents=True)
            else:
                simulate = [sys.executable, "-c", _COMMAND, "simulate"]
                _execute(simulate, {**environment, "SIYU_HOME": simulated.path})
            runs = [
                measure(config, landing, Home(path=str(Path(folder) / f"{number}")), environment)
                for number in range(arguments.repeats)
            ]
        except (CommandFailed, ConfigError, SourceError) as error:
            print(f"benchmarks.pipeline: {error}", file=sys.stderr)
            return 1
    median = sorted(runs, key=lambda run: run.wall)[len(runs) // 2]
    print(f"{median.summary()}\n\n{median.by_stage()}\n\n{median.slowest(8)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
