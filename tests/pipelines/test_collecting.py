"""Collection as a whole run does it: servers asked, files taken back, files left alone."""

import datetime as dt
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from pipelines.runs import RunFailed
from pipelines.unloading import unload_files
from resources.home import Home
from resources.sources.files import SourceError
from resources.warehouse import Database
from tests.checksums import fingerprints
from tests.servers import Asked, Reply, serving
from tests.small_shop import BEGAN, new_home, run, run_until

# At which the shop's day of BEGAN began, in UTC.
MIDNIGHT = dt.datetime(2026, 10, 31, 16)  # noqa: DTZ001
DOWNSTREAM = ["clean", "features", "tags", "recommend", "value", "social", "push", "measure"]


@pytest.fixture
def home(tmp_path: Path, finished: Home) -> Home:
    """A home after one whole run, with a landing folder of its own."""
    shutil.copytree(finished.folder, tmp_path / "home")
    return Home(path=str(tmp_path / "home"))


def with_tracker(config: Path, folder: Path, url: str) -> Path:
    """The small shop with one source more, which is asked over HTTP."""
    shutil.copytree(config, folder)
    path = folder / "sources.yaml"
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    tracker = {
        "id": "tracker",
        "kind": "rest_api",
        "entity": "events",
        "layout": "segment",
        "url": f"{url}/events",
        "records": "events",
        "pagination": {"cursor": {"parameter": "after", "path": "next", "is_lasting": True}},
        "auth": {"bearer": {"token": "${TRACKER_TOKEN}"}},
    }
    declared["sources"].append(tracker)
    path.write_text(yaml.safe_dump(declared), encoding="utf-8")
    return folder


def call(number: int) -> dict[str, object]:
    at = (BEGAN - dt.timedelta(hours=number)).isoformat()
    return {
        "messageId": f"t{number}",
        "type": "track",
        "event": "Product Viewed",
        "anonymousId": "visitor",
        "originalTimestamp": at,
        "receivedAt": at,
        "properties": {"product_id": "p"},
    }


def rows(home: Home, sql: str) -> list[tuple[object, ...]]:
    with Database(home.warehouse).connect() as session:
        return session.rows(sql)


def test_a_server_is_asked_at_each_run_and_what_it_gives_is_loaded_that_day(
    tmp_path: Path, config: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_TOKEN", "a token of the test")
    given = [call(1)]

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != "Bearer a token of the test":
            return Reply({"error": "who are you?"}, status=401)
        seen = int(asked.query.get("after", 0))
        return Reply({"events": given[seen:], "next": str(len(given))})

    with serving(answer) as server:
        shop = with_tracker(config, tmp_path / "shop", server.url)
        run_until(shop, home, dates=[BEGAN.date()])
        given.append(call(2))
        # Ten hours later it is the same day, and what happened on it waits.
        run_until(
            shop, home, "clean", dates=[BEGAN.date()], began_at=BEGAN + dt.timedelta(hours=10)
        )
        assert rows(home, "select max(as_of) from clean.loads") == [(MIDNIGHT,)]
        assert rows(home, "select count(*) from clean.events where source = 'tracker'") == [(0,)]
        # A range of older days asks no server: the day that was not over then is not complete.
        next_day = BEGAN + dt.timedelta(days=1)
        older = BEGAN.date() - dt.timedelta(days=40)
        report = run(shop, home, next_day, last=older)
        assert rows(home, "select max(as_of) from clean.loads") == [(MIDNIGHT,)]
        (warning,) = [each for each in report.warnings if "source 'tracker'" in each]
        assert "was last asked after 2026-10-31, 1 days behind" in warning
        run_until(shop, home, "clean", dates=[next_day.date()], began_at=next_day)
    query = "select message_id, load_date from raw.events where source = 'tracker' order by 1"
    assert rows(home, query) == [("t1", BEGAN.date()), ("t2", BEGAN.date())]
    assert rows(home, "select count(*) from clean.events where source = 'tracker'") == [(2,)]
    assert rows(home, "select max(as_of) from clean.loads") == [(MIDNIGHT + dt.timedelta(days=1),)]
    secret = b"a token of the test"
    for file in home.folder.rglob("*"):
        assert not file.is_file() or secret not in file.read_bytes(), file


def test_a_server_that_refuses_stops_the_run_before_anything_downstream(
    tmp_path: Path, config: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_TOKEN", "a wrong token")
    before = fingerprints(home.warehouse, DOWNSTREAM)
    with serving(lambda _: Reply({"error": "no"}, status=401)) as server:
        shop = with_tracker(config, tmp_path / "shop", server.url)
        with pytest.raises(RunFailed, match=r"source 'tracker'.*401") as caught:
            run(shop, home)
    assert "\n" not in str(caught.value)
    assert "a wrong token" not in str(caught.value)
    assert fingerprints(home.warehouse, DOWNSTREAM) == before


def test_a_deleted_file_stays_and_one_still_being_written_is_left_alone(
    config: Path, home: Home
) -> None:
    before = fingerprints(home.warehouse, ["raw", "clean"])
    deleted = sorted((home.landing / "events").glob("*.jsonl"))[4]
    deleted.unlink()
    with (home.landing / "events" / f"{BEGAN.date()}.jsonl").open("w", encoding="utf-8") as file:
        file.write(json.dumps(call(1)) + "\n" + json.dumps(call(2))[:80])
        file.flush()
        os.utime(file.name, (BEGAN.timestamp() - 60, BEGAN.timestamp() - 60))
        report = run(config, home)
    assert report.gone == [("events", f"events/{deleted.name}")]
    (left,) = report.unfinished
    assert left.file.name == f"{BEGAN.date()}.jsonl"
    assert fingerprints(home.warehouse, ["raw", "clean"]) == before


def test_what_a_deleted_file_gave_goes_when_it_is_unloaded(
    tmp_path: Path, config: Path, landing: Path, home: Home
) -> None:
    file = sorted((home.landing / "events").glob("*.jsonl"))[4]
    path = f"events/{file.name}"
    with pytest.raises(SourceError, match="is still there"):
        unload_files(config, home, "events", path, now=BEGAN)
    file.unlink()
    with pytest.raises(SourceError, match="no loaded file matches"):
        unload_files(config, home, "events", "nothing", now=BEGAN)
    ((taken, n_records),) = unload_files(config, home, "events", "events/*", now=BEGAN)
    assert taken == path
    assert n_records > 0
    stages = ["clean", "features"]
    run_until(config, home, *stages)

    without = new_home(tmp_path / "without", landing, is_copied=True)
    (without.landing / path).unlink()
    run_until(config, without, *stages)
    assert fingerprints(home.warehouse, stages) == fingerprints(without.warehouse, stages)
