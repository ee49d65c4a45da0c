"""A pull that is killed at any moment and started again has every record once."""

import json
import multiprocessing
import signal
import time
from pathlib import Path
from random import Random

import pytest

from resources.config.rest_api_source import RestApiSource
from resources.keys import Keys
from resources.sources.pages import Spool
from tests.pulling import SECRET, pull_once
from tests.servers import Asked, Reply, serving

N_RECORDS = 600


def shelf(asked: Asked, n_records: int) -> Reply:
    """Ten records a page by every way of paging, those of the batches behind `since`.

    All of a batch have the same value: it alone could not tell where in a sweep to go on.
    """
    since = int(asked.query.get("since", -1))
    start = int(asked.query.get("after", 10 * (int(asked.query.get("page", 1)) - 1)))
    new = range((since + 1) * N_RECORDS, n_records)
    items = [{"n": n, "at": n // N_RECORDS} for n in new[start : start + 10]]
    following = start + 10 if start + 10 < len(new) else None
    page = f'</v1?page={start // 10 + 2}&since={since}>; rel="next"'
    headers = {"Link": page} if following else {}
    return Reply({"items": items, "next": following}, headers=headers, delay=0.002)


@pytest.mark.parametrize(
    ("pagination", "n_kills"),
    [
        ({"cursor": {"parameter": "after", "path": "next"}}, 20),
        ({"page": {}}, 7),
        ({"offset": {"parameter": "after"}}, 7),
        ({"link": {}}, 7),
    ],
    ids=["cursor", "page", "offset", "link"],
)
def test_a_killed_pull_goes_on_without_gap_or_repeat(
    tmp_path: Path, pagination: dict[str, object], n_kills: int
) -> None:
    random = Random(7)
    n_records = N_RECORDS
    # Not forked from here, where the server's threads are; and without importing anew each time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.pulling", "resources.sources.rest_api"])
    with serving(lambda asked: shelf(asked, n_records)) as server:
        source = RestApiSource.model_validate(
            {
                "id": "crm",
                "kind": "rest_api",
                "entity": "members",
                "layout": "members",
                "url": server.url + "/v1",
                "records": "items",
                "pagination": pagination,
                "incremental": {"parameter": "since", "path": "at", "format": "number"},
                "retries": {"attempts": 1},
            }
        )
        n_killed = 0
        while n_killed < n_kills:
            process = context.Process(target=pull_once, args=(source, tmp_path))
            n_asked = len(server.asked)
            process.start()
            while len(server.asked) == n_asked and process.is_alive():
                time.sleep(0.001)
            process.join(random.uniform(0, 0.1))
            process.kill()
            process.join()
            assert process.exitcode in (0, -signal.SIGKILL)
            n_killed += process.exitcode == -signal.SIGKILL
            if process.exitcode == 0:
                n_records += N_RECORDS
        pull_once(source, tmp_path)
    spool = Spool(tmp_path, Keys.derived_from(SECRET))
    pages = [arrival.read().splitlines() for arrival in spool.arrivals(source)]
    found = [json.loads(line)["n"] for page in pages for line in page]
    assert found == list(range(n_records))
    assert not (tmp_path / "crm" / ".writing").exists()
