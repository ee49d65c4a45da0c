"""Files in batches, read and hashed ahead of the database's work on the batch before."""

import hashlib
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import TypeVar

import pyarrow as pa

from resources.config.source import FileSource, Source
from resources.config.web_log_source import WebLogSource
from resources.sources.files import Arrival, unreadable
from resources.sources.lines import NO_LINES, read_lines

_BATCH_BYTES = 512 << 20
_READERS = 4

Step = TypeVar("Step")


@dataclass(frozen=True)
class Batch:
    """Files of one source that are loaded in one transaction.

    `hashes` are those of the files' bytes, in the order of `arrivals`, being worked out; `lines`
    are the lines of all files (see `read_lines`), none for tables (csv, parquet), which DuckDB
    reads.
    """

    arrivals: Sequence[Arrival]
    hashes: Sequence[Future[str]]
    lines: pa.Table

    @property
    def sha256(self) -> list[str]:
        """The hashes; waits for them."""
        return [each.result() for each in self.hashes]


def written_as(source: Source) -> str:
    """How a source's files are written; what was pulled is kept as JSON lines."""
    if isinstance(source, WebLogSource):
        return "log"
    return source.format if isinstance(source, FileSource) else "jsonl"


def ahead(steps: Iterator[Step]) -> Generator[Step]:
    """The same steps; while one is worked on, the next is made in another thread, no more."""
    with ThreadPoolExecutor(1) as maker:
        pending = maker.submit(next, steps, None)
        while (step := pending.result()) is not None:
            pending = maker.submit(next, steps, None)
            yield step


def read_batches(arrivals: Sequence[Arrival]) -> Iterator[Batch]:
    """Arrivals of one source in batches of at most 512 MiB (or one file); tables one by one.

    While a batch is worked on, the next one is read: never more than one ahead.

    Raises:
        SourceError: a file cannot be read; the batches before it were given.
    """
    with ThreadPoolExecutor(_READERS) as hashers, ThreadPoolExecutor(_READERS) as readers:
        yield from ahead(_read(group, readers, hashers) for group in _groups(arrivals))


def _groups(arrivals: Sequence[Arrival]) -> Iterator[list[Arrival]]:
    group: list[Arrival] = []
    n_bytes = 0
    for arrival in arrivals:
        source = arrival.source
        # Several files have one control total only together.
        is_alone = not _is_lines(source) or source.control_total is not None
        if group and (is_alone or n_bytes + arrival.n_bytes_read > _BATCH_BYTES):
            yield group
            group, n_bytes = [], 0
        group.append(arrival)
        n_bytes += arrival.n_bytes_read
    if group:
        yield group


def _is_lines(source: Source) -> bool:
    return written_as(source) in ("jsonl", "log")


def _read(
    group: Sequence[Arrival], readers: ThreadPoolExecutor, hashers: ThreadPoolExecutor
) -> Batch:
    if not _is_lines(group[0].source):
        return Batch(group, [hashers.submit(arrival.sha256) for arrival in group], NO_LINES)
    found = list(readers.map(_read_file, group, repeat(hashers)))
    return Batch(group, [hashed for hashed, _ in found], pa.concat_tables(t for _, t in found))


def _read_file(arrival: Arrival, hashers: ThreadPoolExecutor) -> tuple[Future[str], pa.Table]:
    try:
        stored = arrival.file.read_bytes()
    except OSError as error:
        raise unreadable(arrival.source, arrival.file, error.strerror or str(error)) from error
    # Only the ledger waits for the hash, and it is written last.
    hashed = hashers.submit(lambda: hashlib.sha256(stored).hexdigest())
    return hashed, read_lines(arrival.decompressed(stored), arrival.path)
