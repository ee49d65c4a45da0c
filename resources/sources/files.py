"""Which files lie where sources.yaml says, and on which day each arrived."""

import datetime as dt
import gzip
import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

import pyarrow as pa

from resources.config.loading import expand
from resources.config.source import FileSource, LandedSource, Source
from resources.failure import Failure
from resources.sources.encodings import as_utf8
from resources.sources.load_dates import Ledger, date_of_arrival, date_of_path, newest_date

_GLOB = re.compile(r"[*?\[]")
_BLOCK_BYTES = 1 << 20
# How browsers, FTP clients, rsync, editors and Hadoop name a file until it is whole.
_PARTIAL_NAME = re.compile(
    r"^\.|(?:\.(?:tmp|temp|part|partial|crdownload|filepart|writing)|\._COPYING_|~)$", re.IGNORECASE
)
# A file without its end is waited for as long as this after its last change: a writer that stalls
# longer has stopped, and what it left is taken, or refused if it cannot be read.
_UNFINISHED_SECONDS = 300


def _from_zstd(content: bytes) -> bytes:
    # An Arrow stream takes no bytes at all for an empty archive.
    if not content:
        raise EOFError("no zstd frame")
    with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
        return stream.read()


def _from_gzip(content: bytes) -> bytes:
    if not content:
        raise EOFError("no gzip member")
    return gzip.decompress(content)


# How a compressed file is read, by the ending of its name.
COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {".gz": _from_gzip, ".zst": _from_zstd}


class SourceError(Failure):
    """A source cannot be read; the message says which file, why and what to do."""


@dataclass(frozen=True)
class Arrival:
    """A file of a source: where it is, its name in the ledger, the day it arrived."""

    source: Source
    file: Path
    path: str
    load_date: dt.date
    n_bytes: int
    modified_at: dt.datetime
    beside: Mapping[str, Sequence["Arrival"]] = field(
        default_factory=dict[str, Sequence["Arrival"]], kw_only=True
    )

    @property
    def declaration(self) -> str:
        """Tells what its records mean: the source's fingerprint, and of the files beside it."""
        if not self.beside:
            return self.source.fingerprint
        told = [
            (name, each.path, each.n_bytes, each.modified_at)
            for name, files in sorted(self.beside.items())
            for each in files
        ]
        return f"{self.source.fingerprint}-{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}"

    @property
    def n_bytes_read(self) -> int:
        """About how many bytes of text it holds; an archive or Parquet has a tenth of it."""
        is_packed = self.file.suffix in COMPRESSIONS or _is_parquet(self.source)
        return self.n_bytes * (10 if is_packed else 1)

    def read(self) -> bytes:
        """The file's content, decompressed by the ending of its name, a text in UTF-8.

        Raises:
            SourceError: the file cannot be read, or its archive is damaged or cut off.
        """
        try:
            return self.text(self.file.read_bytes())
        except OSError as error:
            raise unreadable(self.source, self.file, error.strerror or str(error)) from error

    def decompressed(self, content: bytes) -> bytes:
        """The content behind the bytes of the file.

        Raises:
            SourceError: the archive is damaged or cut off.
        """
        try:
            decompress = COMPRESSIONS.get(self.file.suffix)
            return decompress(content) if decompress else content
        except (EOFError, OSError, zlib.error) as error:
            raise unreadable(self.source, self.file, f"damaged archive: {error}") from error

    def text(self, stored: bytes) -> bytes:
        """The content in UTF-8 behind the bytes of the file.

        Raises:
            SourceError: the archive is damaged, or the content is not in the source's encoding.
        """
        encoding = self.source.encoding if isinstance(self.source, LandedSource) else "utf-8"
        try:
            return as_utf8(self.decompressed(stored), encoding)
        except UnicodeError as error:
            problem = f"not in the encoding {encoding}"
            raise unreadable(self.source, self.file, problem) from error

    def sha256(self) -> str:
        """Hash of the file's bytes."""
        digest = hashlib.sha256()
        try:
            with self.file.open("rb") as stream:
                while block := stream.read(_BLOCK_BYTES):
                    digest.update(block)
        except OSError as error:
            raise unreadable(self.source, self.file, error.strerror or "unknown error") from error
        return digest.hexdigest()


def _is_parquet(source: Source) -> bool:
    return isinstance(source, FileSource) and source.format == "parquet"


def unreadable(source: Source, file: Path, problem: str) -> SourceError:
    """The one line for a file that cannot be read."""
    return SourceError(
        f"source '{source.id}': {file}: cannot be read ({problem}); "
        "repair or remove the file, or correct its source in sources.yaml"
    )


@dataclass(frozen=True)
class Unfinished:
    """A file that is left for a later run, and why."""

    source_id: str
    file: Path
    reason: str


def find_arrivals(
    sources: Iterable[LandedSource],
    landing: Path,
    environment: Mapping[str, str],
    now: dt.datetime | None = None,
    ledger: Ledger | None = None,
) -> list[Arrival]:
    """Every finished file of every source, by source, load date and path.

    With `now` (naive UTC) files that are still being written are told by their age and end too,
    without it by their names alone; `find_unfinished` lists what is left out. The `ledger` tells on
    which day a file was loaded before.

    Raises:
        SourceError: a file that is named outright is missing, or a load date cannot be told.
        ConfigError: a path names an environment variable that is not set.
    """
    arrivals = [
        found
        for source in sources
        for found in _dated(source, landing, environment, now, ledger or Ledger())
        if isinstance(found, Arrival)
    ]
    return sorted(arrivals, key=lambda each: (each.source.id, each.load_date, each.path))


def find_unfinished(
    sources: Iterable[LandedSource],
    landing: Path,
    environment: Mapping[str, str],
    now: dt.datetime | None = None,
) -> list[Unfinished]:
    """Every file that `find_arrivals` leaves for a later run, by source and file.

    Raises:
        SourceError: a file that is named outright is missing, or a load date cannot be told.
        ConfigError: a path names an environment variable that is not set.
    """
    waiting = [
        found
        for source in sources
        for found in (
            _dated(source, landing, environment, now, Ledger())
            if isinstance(source, FileSource) and source.beside
            else _of_source(source, landing, expand(source.path, environment), now)
        )
        if isinstance(found, Unfinished)
    ]
    return sorted(waiting, key=lambda each: (each.source_id, each.file))


def check_load_dates(arrivals: Iterable[Arrival], first: dt.date, last: dt.date) -> None:
    """Makes sure that every load date is one on which a file can have arrived.

    The as-of instant is the newest load date's end, so a misnamed file would move it for good.

    Raises:
        SourceError: a load date before `first` (the shop's first) or after `last` (today).
    """
    for arrival in arrivals:
        if not first <= arrival.load_date <= last:
            raise SourceError(
                f"source '{arrival.source.id}': {arrival.file}: load date {arrival.load_date} is "
                f"not between first_load_date {first} of shop.yaml and today, {last}; "
                "rename the file or correct the declaration"
            )


def _dated(
    source: LandedSource,
    landing: Path,
    environment: Mapping[str, str],
    now: dt.datetime | None,
    ledger: Ledger,
) -> Iterator[Arrival | Unfinished]:
    """A source's files with their load dates and the files beside them."""
    beside = _beside(source, landing, environment, now) if isinstance(source, FileSource) else {}
    for found in _of_source(source, landing, expand(source.path, environment), now):
        if isinstance(found, Unfinished):
            yield found
            continue
        date = _load_date(found, ledger)
        missing = [name for name, by_date in beside.items() if date not in by_date]
        if missing:
            reason = f"its file of {missing[0]} of {date} is not there"
            yield Unfinished(source.id, found.file, reason)
            continue
        together = {name: by_date[date] for name, by_date in beside.items()}
        yield replace(found, load_date=date, beside=together)


def _beside(
    source: FileSource, landing: Path, environment: Mapping[str, str], now: dt.datetime | None
) -> dict[str, dict[dt.date, list[Arrival]]]:
    """The finished files beside a source's, by name and load date."""
    beside: dict[str, dict[dt.date, list[Arrival]]] = {}
    for name, declared in source.beside.items():
        other = source.model_copy(update={"path": declared.path, "columns": None, "beside": {}})
        by_date = beside.setdefault(name, {})
        found = _of_source(other, landing, expand(declared.path, environment), now)
        arrivals = [each for each in found if isinstance(each, Arrival)]
        for each in sorted(arrivals, key=lambda arrival: arrival.path):
            by_date.setdefault(_load_date(each, Ledger()), []).append(each)
    return beside


def _of_source(
    source: LandedSource, landing: Path, pattern: str, now: dt.datetime | None
) -> Iterator[Arrival | Unfinished]:
    root = Path(pattern).parent if Path(pattern).is_absolute() else landing
    if magic := _GLOB.search(pattern):
        if Path(pattern).is_absolute():
            root = Path(pattern[: magic.start()] + "_").parent
            pattern = str(Path(pattern).relative_to(root))
        found = [file for file in root.glob(pattern) if file.is_file()]
    else:
        file = Path(pattern) if Path(pattern).is_absolute() else landing / pattern
        if not file.is_file():
            raise SourceError(
                f"source '{source.id}': {file}: no such file; "
                "put it there or correct 'path' in sources.yaml"
            )
        found = [file]
    for file in found:
        if _PARTIAL_NAME.search(file.name):
            yield Unfinished(source.id, file, "its name says that it is still being written")
            continue
        try:
            status = file.stat()
        except OSError as error:
            raise unreadable(source, file, error.strerror or "unknown error") from error
        arrival = Arrival(
            source,
            file,
            file.relative_to(root).as_posix(),
            dt.date.min,
            status.st_size,
            dt.datetime.fromtimestamp(status.st_mtime, dt.UTC).replace(tzinfo=None),
        )
        reason = None if now is None else _why_unfinished(source, arrival, now)
        yield arrival if reason is None else Unfinished(source.id, file, reason)


def _why_unfinished(source: LandedSource, arrival: Arrival, now: dt.datetime) -> str | None:
    # A clock that is ahead tells as little as one behind: either way the file is fresh.
    age = abs((now - arrival.modified_at).total_seconds())
    if age < source.settle_seconds:
        return f"it changed less than {source.settle_seconds} seconds ago"
    if age >= _UNFINISHED_SECONDS:
        return None
    missing = _missing_end(source, arrival)
    return missing and f"{missing}, and it changed less than {_UNFINISHED_SECONDS} seconds ago"


def _missing_end(source: LandedSource, arrival: Arrival) -> str | None:
    """What a whole file of its format has at its end and this one lacks."""
    if not arrival.n_bytes:
        return "it is empty"
    if _is_parquet(source):
        return None if _ends_with(arrival, b"PAR1") else "its Parquet footer is missing"
    if arrival.file.suffix in COMPRESSIONS:
        try:
            arrival.read()
        except SourceError:
            return "its archive cannot be read to the end"
        return None
    is_ended = _ends_with(arrival, b"\n", b"\r", b"\n\0", b"\r\0")
    return None if is_ended else "its last line has no end"


def _ends_with(arrival: Arrival, *endings: bytes) -> bool:
    n_bytes = max(map(len, endings))
    try:
        with arrival.file.open("rb") as stream:
            stream.seek(max(0, arrival.n_bytes - n_bytes))
            return stream.read(n_bytes).endswith(endings)
    except OSError as error:
        raise unreadable(arrival.source, arrival.file, error.strerror or "no reason") from error


def _load_date(arrival: Arrival, ledger: Ledger) -> dt.date:
    source, file = arrival.source, arrival.file
    assert isinstance(source, LandedSource)
    if isinstance(source.load_date, dt.date):
        return source.load_date
    known = ledger.files.get((source.id, arrival.path))
    if source.load_date == "from_arrival":
        # What is sent again later stays on the day on which it came first.
        return known.load_date if known else date_of_arrival(arrival.modified_at, ledger.time_zone)
    if source.load_date == "from_path":
        found = date_of_path(PurePath(arrival.path))
        missing = "no load date (YYYY-MM-DD) in the file's name"
    else:
        as_loaded = (arrival.n_bytes, arrival.modified_at)
        # The shop's own placeholders follow the fingerprint.
        is_same = known is not None and known.declaration.startswith(source.fingerprint)
        if known and is_same and (known.n_bytes, known.modified_at) == as_loaded:
            return known.load_date
        try:
            found = newest_date(source, arrival.read(), source.load_date)
        except ValueError as error:
            raise unreadable(source, file, str(error)) from error
        missing = f"no date in the column {source.load_date.column!r}"
    if found is None:
        raise SourceError(
            f"source '{source.id}': {file}: {missing}; "
            "rename it, or give 'load_date' in sources.yaml"
        )
    return found
