"""What must hold between runs: a search is remembered, a failed check keeps its gate shut."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from assets.publish.assets import NotPublishable, refuse_if_failed
from pipelines.catalogue import contracts
from pipelines.definitions import build_definitions
from pipelines.instance import instance_of
from resources.home import Home
from resources.warehouse import Database
from tests.checksums import fingerprints

SETTINGS = "select factors, regularization, alpha, is_searched from recommend.als_model"
SHUT = dg.AssetKey(["clean", "shut"])


@pytest.fixture
def home(tmp_path: Path, finished: Home) -> Home:
    """A home of one's own, to be changed."""
    shutil.copytree(finished.folder, tmp_path / "home", symlinks=True)
    return Home(path=str(tmp_path / "home"))


def execute(config: Path, home: Home, job: str, keys: list[dg.AssetKey] | None = None) -> bool:
    with instance_of(home) as instance:
        found = build_definitions(config, home.folder).resolve_job_def(job)
        selection = {"asset_selection": keys} if keys else {}
        return found.execute_in_process(
            instance=instance, raise_on_error=False, **selection
        ).success


def settings(home: Home) -> list[tuple[object, ...]]:
    with Database(home.warehouse).connect() as session:
        return session.rows(SETTINGS)


def test_a_search_is_remembered_by_the_runs_after_it(config: Path, home: Home) -> None:
    assert execute(config, home, "retrain")
    searched = settings(home)
    assert searched[0][-1] is True
    models = [contract.asset_key for contract in contracts() if contract.schema == "recommend"]
    assert execute(config, home, "refresh", models)
    once = fingerprints(home.warehouse, ["recommend"])
    assert execute(config, home, "refresh", models)
    assert fingerprints(home.warehouse, ["recommend"]) == once
    assert settings(home) == searched


def test_a_forbidden_message_is_never_exported(config: Path, home: Home) -> None:
    shutil.rmtree(home.outbound)
    with Database(home.warehouse).connect() as session:
        session.execute("update clean.members set consented_channels = []")
    assert not execute(config, home, "refresh", [dg.AssetKey(["push", "outbox"])])
    assert not home.outbound.exists()


def test_another_secret_changes_no_pseudonym(
    config: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprints(home.warehouse, ["raw"])
    with Database(home.warehouse).connect() as session:
        session.execute("update raw.loads set declaration = 'old' where source = 'events'")
        held = session.scalar("select max(load_date) from raw.loads where source = 'events'")
    monkeypatch.setenv("SIYU_SECRET", "another secret than before")
    with instance_of(home) as instance:
        job = build_definitions(config, home.folder).resolve_job_def("ingest")
        result = job.execute_in_process(
            instance=instance, partition_key=str(held), raise_on_error=False
        )
    assert not result.success
    after = fingerprints(home.warehouse, ["raw"])
    assert after["raw.events"] == before["raw.events"]


def checked(*, passes: bool, dies: bool = False) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=SHUT, name="holds", blocking=True)
    def holds() -> dg.AssetCheckResult:
        if dies:
            raise RuntimeError("killed")
        return dg.AssetCheckResult(passed=passes)

    return holds


@pytest.mark.parametrize(
    ("check", "is_refused"),
    [
        (checked(passes=True), False),
        (checked(passes=False), True),
        (checked(passes=True, dies=True), True),
    ],
    ids=["passed", "failed", "killed before it was held"],
)
def test_publishing_waits_for_every_blocking_check(
    check: dg.AssetChecksDefinition, is_refused: bool
) -> None:
    instance = dg.DagsterInstance.ephemeral()
    job = dg.define_asset_job("held", dg.AssetSelection.checks(check))
    asset = dg.AssetSpec(SHUT)
    definitions = dg.Definitions(assets=[asset], asset_checks=[check], jobs=[job])
    definitions.resolve_job_def("held").execute_in_process(instance=instance, raise_on_error=False)
    keys = list(check.check_keys)
    if is_refused:
        with pytest.raises(NotPublishable, match="1 blocking checks have not passed, first clean"):
            refuse_if_failed(instance, keys)
    else:
        refuse_if_failed(instance, keys)
