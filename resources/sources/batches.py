"""Files in batches, read and hashed ahead of the database's work on the batch before."""

import hashlib
from codecs import BOM_UTF8
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import TypeVar

import pyarrow as pa

from resources.config.source import FileSource, Source
from resources.config.web_log_source import WebLogSource
from resources.sources.files import Arrival, unreadable
from resources.sources.lines import NO_LINES, read_lines
from resources.sources.tables import CsvTable, ParquetTable, Tables, read_csv, read_parquet

_BATCH_BYTES = 512 << 20
_READERS = 4
# Of both ends of a file, to see what it is.
_GLANCE_BYTES = 100

Step = TypeVar("Step")


@dataclass(frozen=True)
class Batch:
    """Files of one source that are loaded in one transaction.

    `hashes` are those of the files' bytes, in the order of `arrivals`, being worked out; `lines`
    are the lines of all files (see `read_lines`), none for tables (csv, parquet). All tables of a
    batch have the same columns.
    """

    arrivals: Sequence[Arrival]
    hashes: Sequence[Future[str]]
    lines: pa.Table
    tables: Tables = ()

    def only(self, table: CsvTable | ParquetTable) -> "Batch":
        """One of the tables as a batch."""
        place = [each.arrival for each in self.tables].index(table.arrival)
        return Batch([self.arrivals[place]], [self.hashes[place]], NO_LINES, [table])

    def distrusted(self) -> "Batch":
        """The batch with Parquet files read with bytes for texts."""
        tables = [
            replace(table, is_trusted=False) if isinstance(table, ParquetTable) else table
            for table in self.tables
        ]
        return replace(self, tables=tables)

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
    """Arrivals of one source in batches of at most 512 MiB (or one file).

    While a batch is worked on, the next one is read: never more than one ahead.

    Raises:
        SourceError: a file cannot be read; the batches before it were given.
    """
    with ThreadPoolExecutor(_READERS) as hashers, ThreadPoolExecutor(_READERS) as readers:
        read = (_read(group, readers, hashers) for group in _groups(arrivals))
        yield from ahead(chain.from_iterable(read))


def _groups(arrivals: Sequence[Arrival]) -> Iterator[list[Arrival]]:
    group: list[Arrival] = []
    n_bytes = 0
    for arrival in arrivals:
        is_apart = bool(group) and arrival.beside != group[0].beside
        if group and (is_apart or n_bytes + arrival.n_bytes_read > _BATCH_BYTES):
            yield group
            group, n_bytes = [], 0
        group.append(arrival)
        n_bytes += arrival.n_bytes_read
    if group:
        yield group


def _read(
    group: Sequence[Arrival], readers: ThreadPoolExecutor, hashers: ThreadPoolExecutor
) -> Iterator[Batch]:
    format_ = written_as(group[0].source)
    if format_ == "parquet":
        hashes = [hashers.submit(arrival.sha256) for arrival in group]
        yield from _alike(group, hashes, [read_parquet(arrival) for arrival in group])
        return
    contents = list(readers.map(_read_file, group, repeat(hashers)))
    hashes = [hashed for hashed, _ in contents]
    if format_ == "csv":
        tables = [read_csv(each, text) for each, (_, text) in zip(group, contents, strict=True)]
        yield from _alike(group, hashes, tables)
        return
    for arrival, (_, text) in zip(group, contents, strict=True):
        if format_ == "jsonl" and _is_array(text):
            problem = "a JSON array; write one record per line, as `jq -c '.[]'` does"
            raise unreadable(arrival.source, arrival.file, problem)
    lines = readers.map(read_lines, [text for _, text in contents], [each.path for each in group])
    yield Batch(group, hashes, pa.concat_tables(lines))


def _is_array(content: bytes) -> bool:
    first, last = content[:_GLANCE_BYTES], content[-_GLANCE_BYTES:]
    return first.removeprefix(BOM_UTF8).lstrip()[:1] == b"[" and last.rstrip()[-1:] == b"]"


def _alike(
    group: Sequence[Arrival],
    hashes: Sequence[Future[str]],
    tables: Tables,
) -> Iterator[Batch]:
    """A batch per kind of columns, in the order in which each comes first."""
    by_columns: dict[object, list[int]] = {}
    for place, table in enumerate(tables):
        by_columns.setdefault(table.columns, []).append(place)
    for places in by_columns.values():
        yield Batch(
            [group[place] for place in places],
            [hashes[place] for place in places],
            NO_LINES,
            [tables[place] for place in places],
        )


def _read_file(arrival: Arrival, hashers: ThreadPoolExecutor) -> tuple[Future[str], bytes]:
    try:
        stored = arrival.file.read_bytes()
    except OSError as error:
        raise unreadable(arrival.source, arrival.file, error.strerror or str(error)) from error
    # Only the ledger waits for the hash, and it is written last.
    hashed = hashers.submit(lambda: hashlib.sha256(stored).hexdigest())
    return hashed, arrival.text(stored)
