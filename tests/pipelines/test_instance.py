"""What killed runs leave in Dagster's instance never stops the runs after them."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipelines.instance import OWN_RUN_TAG, end_killed_runs, instance_of
from resources.home import Home

POOL = "warehouse"
STARTED, FAILED = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    # Looking into a home's instance sets it.
    monkeypatch.setenv("DAGSTER_HOME", "")
    with instance_of(Home(path=str(tmp_path))) as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
        yield instance


def begun(instance: dg.DagsterInstance, *, is_own: bool) -> str:
    """A run at work, by its id."""
    tags = {OWN_RUN_TAG: "1"} if is_own else {}
    run = dg.DagsterRun(job_name="refresh", status=STARTED, tags=tags)
    return instance.add_run(run).run_id


def claims(instance: dg.DagsterInstance, run_id: str) -> bool:
    return instance.event_log_storage.claim_concurrency_slot(POOL, run_id, "step").is_claimed


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_killed_run_is_marked_and_its_place_freed(instance: dg.DagsterInstance) -> None:
    killed, waiting = begun(instance, is_own=True), begun(instance, is_own=True)
    assert claims(instance, killed)
    assert not claims(instance, waiting)
    assert end_killed_runs(instance) == 2
    assert {status(instance, run) for run in (killed, waiting)} == {FAILED}
    assert claims(instance, begun(instance, is_own=True))


def test_a_run_killed_as_it_cleaned_up_leaves_nothing_either(instance: dg.DagsterInstance) -> None:
    killed = begun(instance, is_own=True)
    assert claims(instance, killed)
    run = instance.get_run_by_id(killed)
    assert run is not None
    # As far as the run after it had come.
    instance.report_run_failed(run, "killed")
    assert not claims(instance, begun(instance, is_own=True))
    end_killed_runs(instance)
    assert claims(instance, begun(instance, is_own=True))


def test_a_run_of_the_ui_keeps_its_place(instance: dg.DagsterInstance) -> None:
    at_work = begun(instance, is_own=False)
    assert claims(instance, at_work)
    assert end_killed_runs(instance) == 0
    assert status(instance, at_work) == STARTED
    assert not claims(instance, begun(instance, is_own=True))
