"""Dagster's instance in SIYU_HOME, and the one run at a time that `siyu run` makes of it."""

import fcntl
import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from resources.home import Home
from resources.warehouse import WarehouseError

# Marks runs that `siyu run` executes in its own process.
OWN_RUN_TAG = "siyu/run"
_UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def dagster_home(home: Home) -> Path:
    """The folder of the Dagster instance, with its settings, made if it is not there."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    settings = home.dagster / "dagster.yaml"
    if not settings.exists():
        # Whole or not at all: half of it would be taken for the settings.
        beside = settings.with_suffix(".new")
        shutil.copyfile(Path(__file__).with_name("dagster.yaml"), beside)
        beside.replace(settings)
    return home.dagster


@contextmanager
def instance_of(home: Home) -> Generator[dg.DagsterInstance]:
    """The Dagster instance in which runs are recorded."""
    folder = str(dagster_home(home))
    os.environ["DAGSTER_HOME"] = folder
    with dg.DagsterInstance.from_config(folder) as instance:
        yield instance


@contextmanager
def sole_run(home: Home, timeout_seconds: float) -> Generator[None]:
    """Lets one `siyu run` at a time work in a home; the kernel frees the place of a killed one.

    Raises:
        WarehouseError: another run is still working after the wait.
    """
    home.folder.mkdir(parents=True, exist_ok=True)
    path = home.folder / "run.lock"
    with path.open("a+", encoding="utf-8") as lock:
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    lock.seek(0)
                    raise WarehouseError(
                        f"{home.folder}: another run (process {lock.read().strip() or '?'}) is "
                        f"still working after {timeout_seconds:.0f} s; wait for it or stop it, "
                        "then run again"
                    ) from error
            time.sleep(0.2)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def end_killed_runs(instance: dg.DagsterInstance) -> int:
    """Marks as failed what earlier `siyu run`s left unfinished and frees the slots of ended runs.

    To be called inside `sole_run`: whatever is unfinished then has no process any more. Slots are
    freed of every run that has ended, for a run may have been killed after it marked another.
    Returns how many were left unfinished.
    """
    filters = dg.RunsFilter(statuses=_UNFINISHED, tags={OWN_RUN_TAG: "1"})
    left = instance.get_runs(filters)
    for run in left:
        instance.report_run_failed(run, "the process that executed it was killed")
    log = instance.event_log_storage
    for run_id in log.get_concurrency_run_ids():
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            log.free_concurrency_slots_for_run(run_id)
    return len(left)
