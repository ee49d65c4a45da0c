"""Which files lie where sources.yaml says, and on which day each arrived."""

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from resources.config.loading import expand
from resources.config.sources import FileSource
from resources.failure import Failure

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_GLOB = re.compile(r"[*?\[]")
_BLOCK_BYTES = 1 << 20


class SourceError(Failure):
    """A source cannot be read; the message says which file, why and what to do."""


@dataclass(frozen=True)
class Arrival:
    """A file of a source: where it is, its name in the ledger, the day it arrived."""

    source: FileSource
    file: Path
    path: str
    load_date: dt.date
    n_bytes: int
    modified_at: dt.datetime

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


def unreadable(source: FileSource, file: Path, problem: str) -> SourceError:
    """The one line for a file that cannot be read."""
    return SourceError(
        f"source '{source.id}': {file}: cannot be read ({problem}); "
        "repair or remove the file, or correct its source in sources.yaml"
    )


def find_arrivals(
    sources: Iterable[FileSource], landing: Path, environment: Mapping[str, str]
) -> list[Arrival]:
    """Every file of every source, by source, load date and path.

    Files whose names begin with a dot are still being written and left alone.

    Raises:
        SourceError: a file that is named outright is missing, or a load date cannot be told.
        ConfigError: a path names an environment variable that is not set.
    """
    arrivals = [
        arrival
        for source in sources
        for arrival in _of_source(source, landing, expand(source.path, environment))
    ]
    return sorted(arrivals, key=lambda each: (each.source.id, each.load_date, each.path))


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


def _of_source(source: FileSource, landing: Path, pattern: str) -> Iterable[Arrival]:
    root = Path(pattern).parent if Path(pattern).is_absolute() else landing
    if _GLOB.search(pattern):
        if Path(pattern).is_absolute():
            root = Path(pattern[: _GLOB.search(pattern).start()]).parent  # pyright: ignore[reportOptionalMemberAccess]
            pattern = str(Path(pattern).relative_to(root))
        found = [file for file in root.glob(pattern) if not file.name.startswith(".")]
    else:
        file = Path(pattern) if Path(pattern).is_absolute() else landing / pattern
        if not file.is_file():
            raise SourceError(
                f"source '{source.id}': {file}: no such file; "
                "put it there or correct 'path' in sources.yaml"
            )
        found = [file]
    for file in found:
        try:
            status = file.stat()
        except OSError as error:
            raise unreadable(source, file, error.strerror or "unknown error") from error
        path = file.relative_to(root).as_posix()
        yield Arrival(
            source,
            file,
            path,
            _load_date(source, file),
            status.st_size,
            dt.datetime.fromtimestamp(status.st_mtime, dt.UTC).replace(tzinfo=None),
        )


def _load_date(source: FileSource, file: Path) -> dt.date:
    if isinstance(source.load_date, dt.date):
        return source.load_date
    found = _DATE.search(file.name)
    try:
        return dt.date.fromisoformat(found[0] if found else "")
    except ValueError as error:
        raise SourceError(
            f"source '{source.id}': {file}: no load date (YYYY-MM-DD) in the file's name; "
            "rename it, or give 'load_date' in sources.yaml"
        ) from error
