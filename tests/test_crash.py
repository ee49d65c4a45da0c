"""Runs killed at any moment and started again end where one clean run ends.

Most of them are forked from a process that has imported everything and opened nothing, because
imports take longer than the work on one day.
"""

import faulthandler
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from pathlib import Path

import dagster as dg
import pytest

from assets.clean.rewriting import TABLES as CLEAN
from assets.raw.assets import TABLES as COLLECTED
from pipelines.instance import instance_of
from resources.config.source import FileSource
from resources.config.sources import load_sources
from resources.home import Home
from resources.sources.collection import changed
from resources.sources.files import find_arrivals
from resources.warehouse import Database, WarehouseError
from tests.checksums import fingerprints, vault_rows
from tests.sizes import sized
from tests.small_shop import ROOT, new_home, run_until

N_HOMES = sized(1, 2)
# In each home, of runs up to the clean tables.
N_KILLS = sized(9, 51)
# The least in any step of each home, and of all while there was work to do.
N_IN_STEP, N_AT_WORK = sized(1, 3), sized(4, 60)
# One run in so many is left to end: only such a one can show that it waits for what is not freed.
N_BETWEEN = sized(4, 9)
# The moments reach a little beyond the last run's duration: the next one may take longer.
STRETCH = 1.1
# What a run comes to, one after the other.
STEPS = ("start", "collect", "clean")
# The longest wait after a step's beginning, and how often that is looked for.
STEP_SECONDS, POLL_SECONDS = 0.5, 0.01
# A run that is at work for longer hangs.
LIMIT_SECONDS = 300.0
# Parts of a `siyu run` of the small shop, of some ten seconds; the first two are imports.
WHOLE_SECONDS = sized(((5.0, 10.0),), ((2.0, 7.0), (7.0, 12.0)))
# What a run imports only as it goes, and what takes long.
IMPORTED_LATE = ("pipelines.event_log", "dagster._core.storage.sqlite_storage")
AT_WORK = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
# Threads may start processes one at a time.
STARTING = threading.Lock()


def run_in_fork(config: Path, home: Path, log: Path) -> None:
    with log.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
        # Where it hangs, should it.
        faulthandler.dump_traceback_later(LIMIT_SECONDS - 5, file=file)
        run_until(config, Home(path=str(home)), "clean")


def wrong(content: str) -> str:
    """A file with half of its lines missing, and some of the others twice."""
    head, *lines = content.splitlines(keepends=True)
    return "".join([head, *lines[::2], *lines[: len(lines) // 4 : 2]])


@dataclass
class Deliveries:
    """The simulated shop's files come to a home day by day, some of them wrong at first."""

    simulated: Path
    landing: Path
    chance: random.Random
    wrong: set[Path] = field(default_factory=set[Path])

    def arrivals(self) -> Iterator[str]:
        """What came, without end: every time a file is there that was not there before."""
        for day in sorted({path.stem for path in self.simulated.glob("events/*")}):
            for path in sorted(self.simulated.glob(f"*/{day}.*")):
                self.comes(path.relative_to(self.simulated), is_wrong=path.match("events/*"))
            yield f"{day}, its events wrong"
            self.mends()
            yield f"{day} again, put right"
            yield self.errs()
        while True:
            self.mends()
            yield "put right"
            yield self.errs()

    def comes(self, path: Path, *, is_wrong: bool) -> None:
        content = (self.simulated / path).read_text(encoding="utf-8")
        target = self.landing / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(wrong(content) if is_wrong else content, encoding="utf-8")
        if is_wrong:
            self.wrong.add(path)

    def errs(self) -> str:
        there = sorted(path.relative_to(self.landing) for path in self.landing.glob("*/*"))
        chosen = self.chance.sample(there, 2)
        for path in chosen:
            self.comes(path, is_wrong=True)
        return f"{' and '.join(map(str, chosen))} sent again, wrong"

    def ends(self) -> None:
        """Everything comes that has not, and is right."""
        self.mends()
        for path in sorted(self.simulated.glob("*/*")):
            if not (self.landing / path.relative_to(self.simulated)).exists():
                self.comes(path.relative_to(self.simulated), is_wrong=False)

    def mends(self) -> None:
        for path in sorted(self.wrong):
            self.comes(path, is_wrong=False)
        self.wrong.clear()


@dataclass
class Victim:
    """A home whose runs are killed."""

    config: Path
    home: Home
    deliveries: Deliveries
    chance: random.Random
    context: ForkServerContext
    # How long the newest run took that was left to end; the first ones are killed as they begin.
    seconds: float = 3.0
    n_runs: int = 0
    killed_in: Counter[str] = field(default_factory=Counter[str])
    n_killed_at_work: int = 0
    n_killed_wholly: int = 0

    def suffers(self) -> None:
        """Files arrive; each time a run is started that is killed, or now and then left to end."""
        for number, arrival in enumerate(self.deliveries.arrivals()):
            assert number < 4 * N_KILLS, "runs end sooner than they are killed"
            if number % N_BETWEEN == N_BETWEEN - 1:
                self.runs(arrival)
                continue
            is_at_work = self.has_work()
            # How long a step takes depends on the machine: the one killed least is aimed at, and
            # after its beginning mostly soon.
            step = min(STEPS, key=lambda each: self.killed_in[each])
            reach = STRETCH * self.seconds if step == "start" else STEP_SECONDS
            moment = self.chance.uniform(0.0, self.chance.uniform(0.0, reach))
            if self.runs(arrival, moment, step):
                self.killed_in[self.reached()] += 1
                self.n_killed_at_work += is_at_work
            if self.killed_in.total() >= N_KILLS and self.n_in_step >= N_IN_STEP:
                break
        self.deliveries.ends()
        self.runs("all that is left, and put right")

    def runs(self, arrival: str, moment: float | None = None, step: str = "start") -> bool:
        """A run; whether it was killed, which it is `moment` seconds after a step began."""
        self.n_runs += 1
        what = f"run {self.n_runs} in {self.home.folder.name} (what came: {arrival})"
        arguments = (self.config, self.home.folder, self.log)
        process = self.context.Process(target=run_in_fork, args=arguments)
        began = time.monotonic()
        with STARTING:
            process.start()
        while STEPS.index(self.reached()) < STEPS.index(step):
            if wait([process.sentinel], POLL_SECONDS):
                break
            assert time.monotonic() - began < LIMIT_SECONDS, f"{what} waits for ever"
        is_over = wait([process.sentinel], LIMIT_SECONDS if moment is None else moment)
        if not is_over:
            process.kill()
            wait([process.sentinel])
        # Takes the exit code of any process that is over, and so must not meet another start.
        with STARTING:
            process.join()
        is_killed = process.exitcode == -signal.SIGKILL
        if is_killed and moment is not None:
            return True
        if is_killed or process.exitcode:
            end = "waits for ever" if is_killed else "failed"
            pytest.fail(f"{what} {end}: {self.log.read_text(encoding='utf-8')[-8000:]}")
        self.seconds = time.monotonic() - began
        return False

    @property
    def n_in_step(self) -> int:
        """How many runs were killed in the step in which fewest were."""
        return min(self.killed_in[step] for step in STEPS)

    @property
    def log(self) -> Path:
        return self.home.folder / f"run-{self.n_runs}.log"

    def reached(self) -> str:
        """The step that a run has come to."""
        said = self.log.read_text(encoding="utf-8") if self.log.exists() else ""
        return next((step for step in STEPS[:0:-1] if f" - {step} - " in said), STEPS[0])

    def has_work(self) -> bool:
        """Whether a file is not yet in the clean tables as it lies there."""
        if not self.home.warehouse.exists():
            return True
        sources = [each for each in load_sources(self.config).sources if type(each) is FileSource]
        found = find_arrivals(sources, self.home.landing, {})
        try:
            # Whoever may write would repair what the kill left before the next run has to.
            with Database(self.home.warehouse, threads=1).connect(read_only=True) as session:
                if not session.exists(CLEAN[-1]) or changed(session, COLLECTED, found):
                    return True
                return session.scalar(
                    "select count(*) > 0 from raw.loads"
                    " anti join clean.loads using (source, path, sha256)"
                )
        except WarehouseError:
            # Killed as it was made.
            return True

    def suffers_wholly(self) -> None:
        """`siyu run` is killed, and at last left to end."""
        for earliest, latest in WHOLE_SECONDS:
            process = whole_run(self.config, self.home)
            time.sleep(self.chance.uniform(earliest, latest))
            process.kill()
            self.n_killed_wholly += process.wait() == -signal.SIGKILL
            if self.home.analytics.exists():
                with Database(self.home.analytics).connect(read_only=True) as session:
                    assert session.scalar("select count(*) from push.push_list") > 0
        assert whole_run(self.config, self.home).wait(LIMIT_SECONDS) == 0


def whole_run(config: Path, home: Home) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", "from pipelines.cli import main; main()", "run"],
        env={**os.environ, "SIYU_CONFIG": str(config), "SIYU_HOME": home.path},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def assert_same(home: Home, other: Home, stages: Sequence[str]) -> None:
    assert fingerprints(home.warehouse, stages) == fingerprints(other.warehouse, stages)
    assert vault_rows(home.vault) == vault_rows(other.vault)


def assert_nothing_is_left(home: Home) -> None:
    """No half-made file, no run that seems to be at work, no place in a pool."""
    assert [path.name for path in home.folder.iterdir() if path.name.startswith(".")] == []
    with instance_of(home) as instance:
        assert instance.get_runs(dg.RunsFilter(statuses=AT_WORK)) == []
        log = instance.event_log_storage
        pools = [log.get_concurrency_info(key) for key in log.get_concurrency_keys()]
    assert pools
    assert [pool.active_slot_count + pool.pending_step_count for pool in pools] == [0] * len(pools)


def test_killed_runs_leave_no_trace(
    tmp_path: Path,
    config: Path,
    landing: Path,
    finished: Home,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Looking into a home's instance sets it.
    monkeypatch.setenv("DAGSTER_HOME", "")
    # The process to fork from finds the tests' modules here.
    monkeypatch.chdir(ROOT)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *IMPORTED_LATE])
    victims: list[Victim] = []
    for number in range(N_HOMES):
        (tmp_path / f"landing {number}").mkdir()
        home = new_home(tmp_path / f"home {number}", tmp_path / f"landing {number}")
        chance = random.Random(20261122 + number)
        deliveries = Deliveries(landing, home.landing, chance)
        victims.append(Victim(config, home, deliveries, chance, context))
    with ThreadPoolExecutor(N_HOMES) as threads:
        list(threads.map(Victim.suffers, victims))
        for victim in victims:
            assert_same(victim.home, finished, ["raw", "clean"])
        assert min(victim.killed_in.total() for victim in victims) >= N_KILLS
        assert min(victim.n_in_step for victim in victims) >= N_IN_STEP
        assert sum(victim.n_killed_at_work for victim in victims) >= N_AT_WORK
        list(threads.map(Victim.suffers_wholly, victims))
    assert sum(victim.n_killed_wholly for victim in victims) >= N_HOMES
    later = ["features", "tags", "recommend", "value", "social", "push", "measure"]
    for victim in victims:
        assert_same(victim.home, finished, ["raw", "clean", *later])
        assert_nothing_is_left(victim.home)


@pytest.mark.parametrize("n_bytes", [0, 4096, 8192])
def test_a_database_that_was_killed_in_the_making_is_made_anew(
    tmp_path: Path, n_bytes: int
) -> None:
    with Database(tmp_path / "whole.duckdb").connect():
        pass
    # DuckDB writes a file's three headers one after the other.
    begun = (tmp_path / "whole.duckdb").read_bytes()[:n_bytes]
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(begun)
    with Database(path).connect() as session:
        assert session.scalar("select count(*) from duckdb_tables()") == 0
