"""A run killed at any moment and started again ends where one clean run ends."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from resources.home import Home
from resources.warehouse import Database
from tests.checksums import fingerprints
from tests.small_shop import ROOT, new_home

N_KILLS = 5
# A run of the small shop takes some ten seconds, of which three are imports.
LONGEST_SECONDS = 12.0


def start(config: Path, home: Home) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", "from pipelines.cli import main; main()", "run"],
        env={**os.environ, "SIYU_CONFIG": str(config), "SIYU_HOME": home.path},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_killed_runs_leave_no_trace(
    tmp_path: Path, config: Path, landing: Path, finished: Home
) -> None:
    home = new_home(tmp_path / "home", landing)
    chance = random.Random(20261122)
    n_killed = 0
    for _ in range(N_KILLS):
        process = start(config, home)
        time.sleep(chance.uniform(2.0, LONGEST_SECONDS))
        process.send_signal(signal.SIGKILL)
        n_killed += process.wait() == -signal.SIGKILL
        if home.analytics.exists():
            with Database(home.analytics).connect(read_only=True) as session:
                assert session.scalar("select count(*) from push.push_list") > 0
    assert n_killed > 0
    assert start(config, home).wait(timeout=180) == 0
    stages = ["raw", "clean", "features", "tags", "recommend", "value", "push", "measure"]
    assert fingerprints(home.warehouse, stages) == fingerprints(finished.warehouse, stages)
    left = [path.name for path in home.folder.iterdir() if path.name.startswith(".")]
    assert left == []
