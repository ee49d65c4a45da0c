"""A small simulated shop and a home after one whole run, made once per test session."""

import datetime as dt
import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from rich.console import Console

from resources.config.shop import load_shop
from resources.home import Home
from resources.simulation import simulate

if TYPE_CHECKING:
    from pipelines.runs import RunReport

ROOT = Path(__file__).resolve().parent.parent
BEGAN = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
LOCK_SECONDS = 300.0


def small_config(folder: Path) -> Path:
    """The demo shop's configuration, with a few hundred members."""
    shutil.copytree(ROOT / "config" / "demo", folder)
    path = folder / "shop.yaml"
    shop = yaml.safe_load(path.read_text(encoding="utf-8"))
    shop["simulation"] |= {"members": 300, "products": 80, "days": 10}
    # Enough for the models of lifetime value, and for a backtest of them.
    shop["clv"] = {"min_buyers": 50}
    shop["recommend"] |= {"factors": 8, "iterations": 3, "holdout_days": 3}
    path.write_text(yaml.safe_dump(shop, allow_unicode=True), encoding="utf-8")
    return folder


def new_home(folder: Path, landing: Path, *, is_copied: bool = False) -> Home:
    """A home with the simulated landing folder and a fixed secret."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "secret").write_text("0123456789abcdef" * 4, encoding="utf-8")
    if is_copied:
        shutil.copytree(landing, folder / "landing")
    else:
        (folder / "landing").symlink_to(landing)
    return Home(path=str(folder))


def run(config: Path, home: Home, began_at: dt.datetime = BEGAN, **dates: dt.date) -> "RunReport":
    """`siyu run`, in this process."""
    # Here, not above: this file is a plugin of every test, and most need no pipeline.
    from pipelines.runs import run_pipeline

    console = Console(file=io.StringIO())
    return run_pipeline(config, home, console, began_at=began_at, **dates)


def run_until(
    config: Path,
    home: Home,
    *stages: str,
    dates: Sequence[dt.date] = (),
    began_at: dt.datetime = BEGAN,
) -> None:
    """What `siyu run` does as far as some stages, by the same jobs, recorded likewise.

    Without the checks: they take most of the time, and write nothing but Dagster's log. `dates` are
    the load dates, those of the landing folder unless given.
    """
    import dagster as dg

    from assets.raw.assets import BEGAN_TAG
    from pipelines.catalogue import contracts
    from pipelines.definitions import build_definitions
    from pipelines.instance import OWN_RUN_TAG, end_killed_runs, instance_of, sole_run

    definitions = build_definitions(config, home.folder)
    days = sorted(map(str, dates)) or sorted({path.stem[:10] for path in home.landing.glob("*/*")})
    span = {
        "dagster/asset_partition_range_start": days[0],
        "dagster/asset_partition_range_end": days[-1],
    }
    ingest = definitions.resolve_job_def("ingest")
    made = {each.asset_key for each in contracts() if each.schema in ("raw", *stages)}
    keys: set[dg.AssetKey] = made - ingest.asset_layer.selected_asset_keys
    refresh = definitions.resolve_job_def("refresh").get_subset(
        asset_selection=keys, asset_check_selection=set()
    )
    own = {OWN_RUN_TAG: "1", BEGAN_TAG: began_at.replace(tzinfo=None).isoformat()}
    with sole_run(home, LOCK_SECONDS), instance_of(home) as instance:
        end_killed_runs(instance)
        for job, tags in ((ingest, span), (refresh, {})):
            job.execute_in_process(instance=instance, tags={**tags, **own})


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small shop's folder."""
    return small_config(tmp_path_factory.mktemp("config") / "small")


@pytest.fixture(scope="session")
def landing(tmp_path_factory: pytest.TempPathFactory, config: Path) -> Path:
    """The small shop's landing folder; what is true of it stands beside."""
    folder = tmp_path_factory.mktemp("simulated")
    settings = load_shop(config).simulation
    assert settings
    simulate(settings, folder / "landing", folder / "truth")
    return folder / "landing"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, config: Path, landing: Path) -> Home:
    """A home after one whole run; to be read, or run again, not to be broken."""
    home = new_home(tmp_path_factory.mktemp("finished") / "home", landing)
    run(config, home)
    return home
