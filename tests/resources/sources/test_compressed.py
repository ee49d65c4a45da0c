"""Archives are read as what they hold, or not at all; files still being written are left alone."""

import datetime as dt
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from resources.config.source import FileSource, LandedSource
from resources.config.web_log_source import WebLogSource
from resources.sources.files import SourceError, find_arrivals, find_unfinished
from resources.warehouse import Warehouse
from tests.landing import SECRET, Landing

EVENTS = FileSource(
    id="events", kind="files", entity="events", format="jsonl", layout="sensors", path="2026*"
)
ORDERS = FileSource(
    id="orders",
    kind="files",
    entity="events",
    format="csv",
    path="orders*",
    load_date=dt.date(2026, 7, 3),
    map={"event_name": "'Order Completed'", "user_id": "customer", "occurred_at": '"when"'},
    properties={"order_id": "order_id"},
    control_total="price",
)
LOGS = WebLogSource(id="web", kind="web_log", path="web*", load_date=dt.date(2026, 7, 3))

RECORD = '{"type":"track","event":"e%d","distinct_id":"d","time":1783040523000}\n'
RECORDS = "".join(RECORD % number for number in range(2000)).encode()
ROWS = b"order_id,customer,when,price\n" + b"".join(
    b"%d,ann,2026-07-01 08:00:00,1.5\n" % number for number in range(2000)
)
REQUESTS = b'203.0.113.9 - - [03/Jul/2026:09:02:03 +0800] "GET / HTTP/1.1" 200 5 "-" "x"\n' * 2000
CASES: list[tuple[LandedSource, str, bytes]] = [
    (EVENTS, "2026-07-03.jsonl", RECORDS),
    (ORDERS, "orders.csv", ROWS),
    (LOGS, "web.log", REQUESTS),
]


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


PACKED: list[tuple[str, Callable[[bytes], bytes]]] = [(".gz", gzip.compress), (".zst", zstd)]


@pytest.fixture
def shop(tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Landing:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    return Landing(tmp_path, warehouse)


@pytest.mark.parametrize(("ending", "pack"), PACKED)
@pytest.mark.parametrize(("source", "name", "content"), CASES)
def test_an_archive_gives_what_the_plain_file_gives(
    shop: Landing,
    source: LandedSource,
    name: str,
    content: bytes,
    ending: str,
    pack: Callable[[bytes], bytes],
) -> None:
    shop.lands(name, content)
    # Archives put one behind the other are one.
    half = content.index(b"\n", len(content) // 2) + 1
    shop.lands(name + ending, pack(content[:half]) + pack(content[half:]))
    assert shop.collects(source) == 2
    ledger = shop.rows("select n_records, n_rejected, control_total from raw.loads order by path")
    assert ledger[0] == ledger[1]
    assert ledger[0][:2] == (2000, 0)
    columns = "line, event_type, event_name, user_id, anonymous_id, occurred_at, properties"
    plain, packed = (
        shop.rows(f"select {columns} from raw.events where path = '{path}' order by line")
        for path in (name, name + ending)
    )
    assert plain == packed


@pytest.mark.parametrize(("ending", "pack"), PACKED)
@pytest.mark.parametrize(("source", "name", "content"), CASES)
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999, None])
def test_a_cut_or_foreign_archive_is_one_line_and_nothing_of_it_is_loaded(
    shop: Landing,
    source: LandedSource,
    name: str,
    content: bytes,
    ending: str,
    pack: Callable[[bytes], bytes],
    kept: float | None,
) -> None:
    whole = pack(content)
    shop.lands(name + ending, content if kept is None else whole[: int(len(whole) * kept)])
    with pytest.raises(SourceError) as caught:
        shop.collects(source)
    message = str(caught.value)
    assert f"{name}{ending}: cannot be read (damaged archive: " in message
    assert "\n" not in message
    assert shop.rows("select count(*) from raw.loads") == [(0,)]
    assert shop.rows("select count(*) from raw.events") == [(0,)]


@pytest.mark.parametrize(
    "name",
    [
        ".2026-07-03.jsonl",
        "2026-07-03.jsonl.tmp",
        "2026-07-03.jsonl.part",
        "2026-07-03.jsonl.PARTIAL",
        "2026-07-03.jsonl.crdownload",
        "2026-07-03.jsonl.filepart",
        "2026-07-03.jsonl.writing",
        "2026-07-03.jsonl~",
        "2026-07-03.jsonl._COPYING_",
    ],
)
def test_a_name_can_say_that_a_file_is_not_whole(shop: Landing, name: str) -> None:
    file = shop.lands(name, RECORDS)
    source = EVENTS.model_copy(update={"path": "*"})
    assert shop.collects(source) == 0
    (waiting,) = find_unfinished([source], shop.landing, os.environ)
    assert (waiting.source_id, waiting.file) == ("events", file)
    assert waiting.reason == "its name says that it is still being written"


NOW = dt.datetime(2026, 7, 4, 12)  # noqa: DTZ001 - stored timestamps are naive UTC


def modified(file: Path, seconds_ago: int) -> None:
    at = NOW.replace(tzinfo=dt.UTC).timestamp() - seconds_ago
    os.utime(file, (at, at))


@pytest.mark.parametrize(
    ("source", "name", "content", "reason"),
    [
        (EVENTS, "2026-07-03.jsonl", RECORDS[:-1], "its last line has no end"),
        (EVENTS, "2026-07-03.jsonl", b"", "it is empty"),
        (EVENTS, "2026-07-03.jsonl.gz", gzip.compress(RECORDS)[:-9], "its archive cannot be read"),
        (EVENTS, "2026-07-03.jsonl.zst", zstd(RECORDS)[:-9], "its archive cannot be read"),
        (ORDERS, "orders.csv", ROWS[:-1], "its last line has no end"),
        (LOGS, "web.log", REQUESTS[:-20], "its last line has no end"),
        (
            ORDERS.model_copy(update={"format": "parquet"}),
            "orders.parquet",
            b"PAR1 rows without a footer",
            "its Parquet footer is missing",
        ),
    ],
)
def test_a_fresh_file_without_its_end_is_left_for_a_later_run(
    shop: Landing, source: LandedSource, name: str, content: bytes, reason: str
) -> None:
    file = shop.lands(name, content)
    modified(file, 299)
    assert find_arrivals([source], shop.landing, {}, NOW) == []
    (waiting,) = find_unfinished([source], shop.landing, {}, NOW)
    assert waiting.reason.startswith(reason)
    assert waiting.reason.endswith("and it changed less than 300 seconds ago")
    modified(file, 300)
    assert len(find_arrivals([source], shop.landing, {}, NOW)) == 1
    assert find_unfinished([source], shop.landing, {}, NOW) == []


@pytest.mark.parametrize(("source", "name", "content"), CASES)
def test_a_fresh_file_with_its_end_is_taken_at_once(
    shop: Landing, source: LandedSource, name: str, content: bytes
) -> None:
    modified(shop.lands(name, content), 0)
    modified(shop.lands(name + ".gz", gzip.compress(content[:-1])), 0)
    assert shop.collects(source, now=NOW) == 2


def test_a_shop_can_have_files_settle(shop: Landing) -> None:
    modified(shop.lands("2026-07-03.jsonl", RECORDS), 899)
    modified(shop.lands("2026-07-04.jsonl", RECORDS), 900)
    source = EVENTS.model_copy(update={"settle_seconds": 900})
    found = find_arrivals([source], shop.landing, {}, NOW)
    assert [each.path for each in found] == ["2026-07-04.jsonl"]
    (waiting,) = find_unfinished([source], shop.landing, {}, NOW)
    assert waiting.reason == "it changed less than 900 seconds ago"


def test_what_was_half_there_is_replaced_when_it_is_whole(shop: Landing) -> None:
    half = RECORDS.index(b"\n", len(RECORDS) // 2) + 1
    shop.lands("2026-07-03.jsonl", RECORDS[:half])
    shop.collects(EVENTS)
    shop.lands("2026-07-03.jsonl", RECORDS)
    assert shop.collects(EVENTS) == 1
    assert shop.rows("select count(*), count(distinct message_id) from raw.events") == [
        (2000, 2000)
    ]


def test_settling_does_not_load_anew() -> None:
    settled = EVENTS.model_copy(update={"settle_seconds": 60})
    assert settled.fingerprint == EVENTS.fingerprint
    other = EVENTS.model_copy(update={"events": {"e1": "Product Viewed"}})
    assert other.fingerprint != EVENTS.fingerprint
