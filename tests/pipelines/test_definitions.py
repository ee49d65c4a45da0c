"""What loads, what fires when, and what starts a run by itself."""

import datetime as dt
import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator  # the daemon's own clock

from assets.automation import after_upstream
from pipelines.definitions import build_definitions
from resources.config.shop import load_shop
from resources.home import Home
from resources.shop import ShopConfig

ROOT = Path(__file__).resolve().parents[2]
SHOPS = ("demo", "online_retail")


@pytest.fixture(params=SHOPS)
def shop_folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop's configuration, with nothing in the environment that it might lean on."""
    for name in ("ONLINE_RETAIL_PATH", "SIYU_CONFIG", "SIYU_HOME", "SIYU_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return ROOT / "config" / request.param


def test_definitions_load_and_leave_nothing_behind(shop_folder: Path, tmp_path: Path) -> None:
    definitions = build_definitions(shop_folder, tmp_path / "home")
    dg.Definitions.validate_loadable(definitions)
    assert list(tmp_path.iterdir()) == []


def selected(definitions: dg.Definitions, job: str) -> set[str]:
    layer = definitions.resolve_job_def(job).asset_layer
    return {key.to_user_string() for key in layer.selected_asset_keys}


def test_jobs_cut_the_graph_without_gap(shop_folder: Path, tmp_path: Path) -> None:
    definitions = build_definitions(shop_folder, tmp_path)
    everything = {
        key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()
    }
    ingest, refresh = selected(definitions, "ingest"), selected(definitions, "refresh")
    assert selected(definitions, "nightly") == everything
    assert ingest | refresh == everything
    assert ingest & refresh == set()
    assert {key.split("/")[0] for key in ingest} == {"raw"}
    retrain = selected(definitions, "retrain")
    assert {"tags/product_tags", "recommend/als_model", "publish/analytics"} <= retrain
    assert retrain.isdisjoint(ingest | {"clean/events", "features/members"})


def test_jobs_run_in_one_process_and_their_settings_fit(shop_folder: Path, tmp_path: Path) -> None:
    definitions = build_definitions(shop_folder, tmp_path)
    for name in ("ingest", "refresh", "nightly", "retrain"):
        job = definitions.resolve_job_def(name)
        assert job.executor_def == dg.in_process_executor
        assert dg.validate_run_config(job)
    retrain = dg.validate_run_config(definitions.resolve_job_def("retrain"))
    assert retrain["ops"]["recommend__als_model"]["config"]["search"] is True


def ticks(
    schedule: dg.ScheduleDefinition, start: dt.datetime, n: int
) -> list[tuple[dt.datetime, dt.datetime]]:
    """The next `n` times at which the daemon fires: as it says them, and by the shop's clock."""
    assert schedule.execution_timezone
    zone = ZoneInfo(schedule.execution_timezone)
    times = schedule_execution_time_iterator(
        start.timestamp(), schedule.cron_schedule, schedule.execution_timezone
    )
    return [(at, at.astimezone(zone)) for at in itertools.islice(times, n)]


@pytest.mark.parametrize(
    ("shop_folder", "start"),
    [
        pytest.param("demo", dt.datetime(2026, 8, 1, 15, 59, tzinfo=dt.UTC), id="Shanghai"),
        pytest.param(
            "online_retail", dt.datetime(2025, 10, 24, 12, tzinfo=dt.UTC), id="London, clocks back"
        ),
        pytest.param(
            "online_retail", dt.datetime(2026, 3, 27, 12, tzinfo=dt.UTC), id="London, clocks on"
        ),
    ],
    indirect=["shop_folder"],
)
def test_nightly_collects_each_yesterday_once(
    shop_folder: Path, tmp_path: Path, start: dt.datetime
) -> None:
    definitions = build_definitions(shop_folder, tmp_path)
    schedule = definitions.resolve_schedule_def("nightly_after_midnight")
    time_zone = load_shop(shop_folder).time_zone
    assert schedule.execution_timezone == time_zone
    days: list[dt.date] = []
    for at, local in ticks(schedule, start, 5):
        assert (local.hour, local.minute) == (0, 30)
        context = dg.build_schedule_context(
            scheduled_execution_time=at, repository_def=definitions.get_repository_def()
        )
        (request,) = schedule.evaluate_tick(context).run_requests or []
        assert request.partition_key
        assert request.run_key == request.partition_key
        day = dt.date.fromisoformat(request.partition_key)
        assert day == local.date() - dt.timedelta(days=1)
        days.append(day)
    today = start.astimezone(ZoneInfo(time_zone)).date()
    assert days == [today + dt.timedelta(days=n) for n in range(5)]


def test_retraining_is_weekly_at_night(shop_folder: Path, tmp_path: Path) -> None:
    definitions = build_definitions(shop_folder, tmp_path)
    schedule = definitions.resolve_schedule_def("weekly_retrain")
    assert schedule.execution_timezone == load_shop(shop_folder).time_zone
    local = [at for _, at in ticks(schedule, dt.datetime(2026, 8, 1, tzinfo=dt.UTC), 3)]
    assert [(at.strftime("%A"), at.hour) for at in local] == [("Sunday", 3)] * 3
    assert local[1] - local[0] == local[2] - local[1] == dt.timedelta(days=7)
    assert schedule.job_name == "retrain"


Look = Callable[[], dg.SensorResult | dg.SkipReason]


@pytest.fixture
def look(config: Path, tmp_path: Path) -> Iterator[Look]:
    """Evaluates the landing sensor on the home in tmp_path, with a shop of its own."""
    own_config, home = tmp_path / "config", tmp_path / "home"
    shutil.copytree(config, own_config)
    home.mkdir()
    sensor = build_definitions(own_config, home).resolve_sensor_def("landing_files")
    resources = {"shop": ShopConfig(folder=str(own_config)), "home": Home(path=str(home))}
    with dg.instance_for_test() as instance:

        def evaluate() -> dg.SensorResult | dg.SkipReason:
            context = dg.build_sensor_context(instance, resources=resources)
            found = sensor(context)
            assert isinstance(found, dg.SensorResult | dg.SkipReason)
            return found

        yield evaluate


def keys(found: dg.SensorResult | dg.SkipReason) -> dict[str, str]:
    """The run keys asked for, by load date."""
    assert isinstance(found, dg.SensorResult)
    requests = found.run_requests or []
    by_date = {request.partition_key or "": request.run_key or "" for request in requests}
    assert len(by_date) == len(requests)
    return by_date


def test_every_load_date_with_files_is_one_run(look: Look, landing: Path, tmp_path: Path) -> None:
    (tmp_path / "home" / "landing").symlink_to(landing)
    first = keys(look())
    dates = {file.stem for file in landing.glob("*/*.*")}
    assert set(first) == dates
    assert keys(look()) == first


def test_only_what_is_new_or_changed_asks_for_a_run(
    look: Look, landing: Path, finished: Home, tmp_path: Path
) -> None:
    home = Home(path=str(tmp_path / "home"))
    shutil.copytree(landing, home.landing)
    shutil.copyfile(finished.warehouse, home.warehouse)
    nothing = look()
    assert isinstance(nothing, dg.SkipReason)
    assert nothing.skip_message == "no new or changed files"

    days = sorted((home.landing / "events").glob("*.jsonl"))
    next_day = dt.date.fromisoformat(days[-1].stem) + dt.timedelta(days=1)
    (home.landing / "events" / f"{next_day}.jsonl").write_bytes(days[-1].read_bytes())
    new = keys(look())
    assert set(new) == {str(next_day)}

    days[0].write_bytes(days[0].read_bytes() * 2)
    both = keys(look())
    assert set(both) == {days[0].stem, str(next_day)}
    assert both[str(next_day)] == new[str(next_day)]

    days[0].write_bytes(days[0].read_bytes() + b"{}\n")
    again = keys(look())
    assert again[days[0].stem] != both[days[0].stem]
    assert again[str(next_day)] == new[str(next_day)]


def test_a_broken_configuration_is_a_reason_in_one_line(look: Look, tmp_path: Path) -> None:
    sources = tmp_path / "config" / "sources.yaml"
    sources.write_text("sources: [", encoding="utf-8")
    found = look()
    assert isinstance(found, dg.SkipReason)
    assert found.skip_message
    assert str(sources) in found.skip_message
    assert "\n" not in found.skip_message


def test_no_landing_folder_is_nothing_new(look: Look) -> None:
    assert isinstance(look(), dg.SkipReason)


def test_all_after_collection_follow_the_one_policy(shop_folder: Path, tmp_path: Path) -> None:
    definitions = build_definitions(shop_folder, tmp_path)
    collected = selected(definitions, "ingest")
    for node in cast("Iterable[Any]", definitions.resolve_asset_graph().asset_nodes):
        condition = node.automation_condition
        label = condition.get_label() if condition else None
        expected = None if node.key.to_user_string() in collected else "after_upstream"
        assert label == expected, node.key


class Automated:
    """A daily table with a blocking check, a table below by the policy, and the daemon's ticks."""

    days = dg.DailyPartitionsDefinition("2026-07-01", timezone="Asia/Shanghai")
    now = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.is_sound = True
        self.cursor: dg.AssetDaemonCursor | None = None

        @dg.asset(partitions_def=self.days)
        def arrivals() -> None: ...

        @dg.asset_check(asset=arrivals, blocking=True)
        def arrivals_are_sound() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=self.is_sound)

        @dg.asset(deps=[arrivals], automation_condition=after_upstream())
        def counts() -> None: ...

        @dg.asset(deps=[counts], automation_condition=after_upstream())
        def report() -> None: ...

        self.definitions = dg.Definitions(
            assets=[arrivals, counts, report], asset_checks=[arrivals_are_sound]
        )

    def arrive(self, day: str, *, is_sound: bool = True) -> None:
        """A load date is collected, and its check passes or not."""
        self.is_sound = is_sound
        self._run(["arrivals"], day)

    def refresh(self) -> None:
        """What a tick asked for is done."""
        self._run(["counts", "report"])

    def _run(self, names: list[str], day: str | None = None) -> None:
        selection = dg.AssetSelection.assets(*names)
        job = dg.define_asset_job(  # pyright: ignore[reportUnknownMemberType]
            "made", selection, executor_def=dg.in_process_executor
        )
        definitions = dg.Definitions.merge(self.definitions, dg.Definitions(jobs=[job]))
        definitions.resolve_job_def("made").execute_in_process(
            instance=self.instance, partition_key=day, raise_on_error=False
        )

    def tick(self) -> set[str]:
        """The names of the tables that a tick asks for."""
        found = dg.evaluate_automation_conditions(
            self.definitions, self.instance, evaluation_time=self.now, cursor=self.cursor
        )
        self.cursor = found.cursor
        asked = {
            name for name in ("counts", "report") if found.get_num_requested(dg.AssetKey(name))
        }
        assert found.total_requested == len(asked)
        return asked


@pytest.fixture
def automated() -> Iterator[Automated]:
    instance = dg.DagsterInstance.ephemeral()  # pyright: ignore[reportUnknownMemberType]
    with instance:
        yield Automated(instance)


def test_the_policy_waits_for_something_to_arrive(automated: Automated) -> None:
    assert automated.tick() == set()
    assert automated.tick() == set()


def test_the_policy_fires_though_old_load_dates_are_missing(automated: Automated) -> None:
    automated.tick()
    automated.arrive("2026-07-30")
    assert automated.tick() == {"counts", "report"}
    automated.refresh()
    assert automated.tick() == set()
    automated.arrive("2026-07-28")
    assert automated.tick() == {"counts", "report"}


def test_the_policy_asks_once(automated: Automated) -> None:
    automated.tick()
    automated.arrive("2026-07-30")
    assert automated.tick()
    assert automated.tick() == set()


def test_the_policy_stops_at_a_failed_check_until_it_passes(automated: Automated) -> None:
    automated.tick()
    automated.arrive("2026-07-29")
    automated.tick()
    automated.refresh()
    assert automated.tick() == set()
    automated.arrive("2026-07-30", is_sound=False)
    assert automated.tick() == set()
    assert automated.tick() == set()
    automated.arrive("2026-07-30")
    assert automated.tick() == {"counts", "report"}


def test_after_a_whole_run_nothing_is_due(config: Path, finished: Home) -> None:
    definitions = build_definitions(config, finished.folder)
    with dg.DagsterInstance.from_config(str(finished.dagster)) as instance:
        assert dg.evaluate_automation_conditions(definitions, instance).total_requested == 0
