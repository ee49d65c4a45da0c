"""The day on which a file arrived, for the ledger: by its name, its own time, or its records."""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from resources.config.source import FileSource, LandedSource, LoadDateColumn
from resources.sources.csv_text import HeaderError, read_header, read_records

# Their stubs leave types open.
_COMPUTE: Any = pyarrow.compute
_PARQUET: Any = pyarrow.parquet
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# The spellings of names that hold none of that.
_OTHER_DATE = re.compile(r"(?<!\d)(\d{4})[._/]?(\d{2})[._/]?(\d{2})(?!\d)")
_WRITTEN = re.compile(r"(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})")
_N_CHARACTERS = 10


@dataclass(frozen=True)
class LoadedFile:
    """What the ledger says of a file."""

    load_date: dt.date
    n_bytes: int
    modified_at: dt.datetime
    declaration: str
    sha256: str


@dataclass(frozen=True)
class Ledger:
    """The files that were loaded, by source and path, and the zone in which days begin."""

    time_zone: str = "UTC"
    files: Mapping[tuple[str, str], LoadedFile] = field(
        default_factory=dict[tuple[str, str], LoadedFile]
    )


def date_of_path(path: PurePath) -> dt.date | None:
    """The first date in a file's name, else in that of the folder nearest to it."""
    for name in (path.name, *(folder.name for folder in path.parents)):
        found = _DATE.search(name) or _OTHER_DATE.search(name)
        if found and (date := _date(found)):
            return date
    return None


def date_of_arrival(modified_at: dt.datetime, time_zone: str) -> dt.date:
    """The day of a file's own time (naive UTC), in a zone."""
    return modified_at.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(time_zone)).date()


def newest_date(source: LandedSource, content: bytes, told_by: LoadDateColumn) -> dt.date | None:
    """The newest date in a column of a file's records, as it is written there.

    Raises:
        ValueError: the file has no such column, or cannot be read; the message says why.
    """
    format_ = source.format if isinstance(source, FileSource) else "jsonl"
    if format_ == "jsonl":
        key = re.escape(told_by.column).encode()
        pattern = re.compile(rb'"' + key + rb'"\s*:\s*"?(\d{4}[-/.]?\d{2}[-/.]?\d{2})')
        texts = (found.decode() for found in set(pattern.findall(content)))
    else:
        columns = _csv_column if format_ == "csv" else _parquet_column
        texts = _beginnings(columns(source, content, told_by.column))
    dates = (_date(found) for text in texts if (found := _WRITTEN.match(text)))
    return max(filter(None, dates), default=None)


def _csv_column(source: LandedSource, content: bytes, column: str) -> Iterator[Any]:
    assert isinstance(source, FileSource)
    try:
        header = read_header(content, source.delimiter, source.columns)
    except HeaderError as error:
        raise ValueError(str(error)) from error
    if header is None:
        return
    if column not in header.names:
        raise ValueError(f"it has no column {column!r}, by which 'load_date' is told")
    place = str(header.names.index(column))
    for rows, _ in read_records(content, header, source.delimiter):
        yield rows[place]


def _parquet_column(source: LandedSource, content: bytes, column: str) -> Iterator[Any]:
    try:
        file = _PARQUET.ParquetFile(pa.BufferReader(content))
        if column not in file.schema_arrow.names:
            raise ValueError(f"it has no column {column!r}, by which 'load_date' is told")
        yield file.read([column])[column].cast(pa.string())
    except (OSError, pa.ArrowException) as error:
        raise ValueError(str(error).splitlines()[0]) from error


def _beginnings(columns: Iterable[Any]) -> Iterator[str]:
    """The different beginnings of texts that are as long as a date."""
    for column in columns:
        cut = _COMPUTE.utf8_slice_codeunits(column, 0, _N_CHARACTERS)
        yield from cut.unique().drop_null().to_pylist()


def _date(found: re.Match[str]) -> dt.date | None:
    digits = re.sub(r"\D", "", found[0])
    try:
        return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
