"""What a person sees in Dagster's UI after a run, and how `siyu ui` begins and ends."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from assets.value.contracts import CLV
from docs.lineage import (
    BROWSERS,
    ROOT,
    SIYU,
    browser_path,
    draw_lineage,
    free_port,
    groups_shown,
    opened_browser,
    started_ui,
)
from pipelines.catalogue import PUBLISH, STAGES
from resources.home import Home

STOP_SECONDS = 30.0
PNG_WIDTH = slice(16, 20)
HERE = re.compile(r"(blob:)?(http|ws)://127\.0\.0\.1:|data:")


@pytest.fixture(scope="module")
def environment(config: Path, finished: Home) -> dict[str, str]:
    return {"SIYU_CONFIG": str(config), "SIYU_HOME": finished.path}


@pytest.fixture(scope="module")
def address(environment: dict[str, str]) -> Iterator[str]:
    """Of a UI that may only be looked at."""
    port = free_port()
    with started_ui(environment, port, "--read-only") as process:
        yield f"http://127.0.0.1:{port}"
        assert_ends(process, signal.SIGTERM)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = browser_path()
    if executable is None:
        pytest.skip(f"needs a browser, and there is no {', '.join(BROWSERS)} here")
    with opened_browser(executable) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must stay on this machine and write no error."""
    page = browser.new_page(viewport={"width": 1600, "height": 1400})
    complaints: list[str] = []
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    yield page
    page.close()
    assert complaints == []
    assert requested
    assert [url for url in requested if not HERE.match(url)] == []


def answer(address: str, query: str, **variables: object) -> dict[str, Any]:
    """What Dagster's GraphQL says; asked directly, whatever proxy the environment names."""
    request = urllib.request.Request(
        f"{address}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as response:
        content = json.load(response)
    assert "errors" not in content, content["errors"]
    return content["data"]


def descendants(process: subprocess.Popen[str]) -> dict[int, str]:
    """The processes below one, by id, with their commands; ended ones left out."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 3) for line in listed.splitlines()]
    alive = [(int(row[0]), int(row[1]), row[3]) for row in rows if not row[2].startswith("Z")]
    found: dict[int, str] = {}
    parents = {process.pid}
    while parents:
        below = {pid: args for pid, parent, args in alive if parent in parents}
        found |= below
        parents = set(below)
    return found


def is_alive(pid: int) -> bool:
    stat = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(stat.strip()) and not stat.startswith("Z")


def assert_ends(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """A signal ends the command well, and everything that it started, in time."""
    started = descendants(process)
    assert started
    began = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=STOP_SECONDS)
    assert process.returncode == 0
    assert re.fullmatch(r"Dagster UI on port \d+ stopped\n", out)
    assert [args for pid, args in started.items() if is_alive(pid)] == []
    assert time.monotonic() - began < STOP_SECONDS


def test_the_lineage_shows_every_stage(address: str, page: Page) -> None:
    page.goto(f"{address}/asset-groups/")
    groups = groups_shown(page)
    expect(groups).to_have_count(len(STAGES) + 1)
    assert set(groups.all_text_contents()) == {*STAGES, PUBLISH}


def test_an_asset_says_what_it_is(address: str, page: Page) -> None:
    page.goto(f"{address}/assets/value/clv")
    expect(page.get_by_text(CLV.comment)).to_be_visible()
    for column in CLV.columns:
        row = page.get_by_role("row").filter(
            has=page.get_by_role("cell", name=column.name, exact=True)
        )
        expect(row.get_by_text(column.comment, exact=True)).to_be_visible()
        expect(row.get_by_text(column.type, exact=True)).to_be_visible()
    for words in ("DuckDB", "Python", CLV.owner.removeprefix("team:")):
        expect(page.get_by_text(words, exact=True).first).to_be_visible()


def test_an_assets_checks_have_passed(address: str, page: Page) -> None:
    page.goto(f"{address}/assets/value/clv?view=checks")
    # Those of its contract, that it has rows, and that value does not depend on frequency.
    expect(page.get_by_text("Succeeded", exact=True)).to_have_count(len(CLV.checks()) + 2)
    for name in CLV.checks():
        # A long name stands there twice: as it is shown, and to be measured.
        expect(page.get_by_text(name, exact=True).first).to_be_attached()
    expect(page.get_by_text("This is a blocking asset check.")).to_be_visible()


def test_the_picture_of_the_lineage_is_drawn(
    address: str, browser: Browser, tmp_path: Path
) -> None:
    picture = tmp_path / "lineage.png"
    draw_lineage(browser, address, picture)
    assert int.from_bytes(picture.read_bytes()[PNG_WIDTH], "big") == 1800


def test_every_asset_is_described_owned_and_of_a_kind(address: str) -> None:
    nodes = answer(
        address,
        "{ assetNodes { assetKey { path } description kinds"
        " owners { ... on TeamAssetOwner { team } ... on UserAssetOwner { email } } } }",
    )["assetNodes"]
    assert len(nodes) > len(STAGES)
    for node in nodes:
        assert node["description"], node
        assert node["owners"], node
        assert node["kinds"], node


def test_the_run_and_its_checks_are_recorded(address: str) -> None:
    said = answer(
        address,
        "{ runsOrError { ... on Runs { results { jobName status } } }"
        " assetNodes { assetKey { path } assetMaterializations(limit: 1) { timestamp }"
        " assetChecksOrError { ... on AssetChecks { checks { name blocking"
        " executionForLatestMaterialization { status } } } } } }",
    )
    runs = {(run["jobName"], run["status"]) for run in said["runsOrError"]["results"]}
    assert runs == {("ingest", "SUCCESS"), ("refresh", "SUCCESS")}
    for node in said["assetNodes"]:
        assert node["assetMaterializations"], node["assetKey"]
        for check in node["assetChecksOrError"]["checks"]:
            execution = check["executionForLatestMaterialization"]
            assert execution, (node["assetKey"], check)
            assert execution["status"] == "SUCCEEDED" or not check["blocking"], check


def test_whoever_only_looks_can_launch_nothing(address: str) -> None:
    said = answer(
        address,
        "mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params)"
        " { __typename } }",
        params={
            "selector": {
                "repositoryLocationName": "siyu",
                "repositoryName": "__repository__",
                "jobName": "refresh",
            },
            "runConfigData": {},
        },
    )
    assert said["launchRun"]["__typename"] == "UnauthorizedError"


def test_ctrl_c_ends_the_daemon_too(environment: dict[str, str]) -> None:
    port = free_port()
    with started_ui(environment, port) as process:
        commands = " ".join(descendants(process).values())
        assert "dagster_webserver" in commands
        assert "dagster._daemon" in commands
        assert_ends(process, signal.SIGINT)


@contextmanager
def begun(environment: dict[str, str], port: int) -> Generator[subprocess.Popen[str]]:
    """`siyu ui`, not waited for."""
    with subprocess.Popen(
        [*SIYU, "ui", "--port", str(port)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def one_line(environment: dict[str, str], port: int) -> str:
    """What `siyu ui` says instead of starting."""
    with begun(environment, port) as process:
        out, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert error.count("\n") == 1
    return error


def test_a_killed_web_server_is_one_line_and_ends_the_daemon(
    environment: dict[str, str], finished: Home
) -> None:
    port = free_port()
    with begun(environment, port) as process:
        started: dict[int, str] = {}
        web: list[int] = []
        while not web:
            assert process.poll() is None
            started = descendants(process)
            web = [pid for pid, args in started.items() if "-m dagster_webserver" in args]
        os.kill(web[0], signal.SIGKILL)
        _, error = process.communicate(timeout=STOP_SECONDS)
    assert process.returncode == 1
    assert [args for pid, args in started.items() if is_alive(pid)] == []
    log = finished.logs / f"ui-{port}.log"
    assert error == (
        f"siyu: Dagster's web server on port {port} ended by itself with exit code -9; "
        f"why, says {log}\n"
    )
    assert log.exists()


def test_a_wrong_configuration_is_one_line(
    environment: dict[str, str], config: Path, tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    shutil.copytree(config, shop)
    (shop / "sources.yaml").write_text("sources: [", encoding="utf-8")
    said = one_line({**environment, "SIYU_CONFIG": str(shop)}, free_port())
    assert said.startswith(f"siyu: {shop / 'sources.yaml'}, line 1: ")


def test_a_taken_port_is_one_line(environment: dict[str, str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        said = one_line(environment, port)
    assert re.fullmatch(
        rf"siyu: port {port} of 127\.0\.0\.1 cannot be used \(.+\); stop what uses it, "
        rf"or choose another: siyu ui --port \d+\n",
        said,
    )
