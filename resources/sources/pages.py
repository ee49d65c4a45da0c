"""Pages that were pulled from a server, and how far each source has come.

A page is one file, `<folder>/<source>/<load date>/<number>.page`: JSON lines behind a header with
the cursor, compressed, then sealed with AES-256-GCM and bound to its source and number. Records
and cursor thus appear together, in one rename, or not at all; whoever is killed in between goes
on behind the newest page. A page without records only moves the cursor: its name ends in
`.cursor`, it never arrives, and the next page takes its place.
"""

import datetime as dt
import hashlib
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from resources.config.source import Source
from resources.keys import Keys, SecretError
from resources.sources.files import Arrival, SourceError

_VERSION = 1
_PAGE, _CURSOR = ".page", ".cursor"
_LEFTOVER = ".writing"
_LEVEL = 3
# JSON lines of events shrink to about this part.
_COMPRESSION = 8


@dataclass(frozen=True)
class Page:
    """Records as the server gave them (JSON-able), and the cursor behind the last of them."""

    records: Sequence[Mapping[str, object]]
    cursor: str


@dataclass(frozen=True)
class PageArrival(Arrival):
    """A page as a file of its source: reading it unseals it."""

    keys: Keys = field(repr=False)

    @property
    def n_bytes_read(self) -> int:
        """About how many bytes `read` gives."""
        return self.n_bytes * _COMPRESSION

    def decompressed(self, content: bytes) -> bytes:
        """The page's records as JSON lines.

        Raises:
            SourceError: another secret sealed it, or it was moved, cut off or altered.
        """
        return _opened(self.source.id, self.file, content, self.keys)[1]


@dataclass(frozen=True)
class Spool:
    """The pages of all pulled sources of a shop; one process writes at a time."""

    folder: Path
    keys: Keys
    # What this writer wrote last: looking for it among all pages at each one would add up.
    _written: dict[str, tuple[Path, Mapping[str, Any]]] = field(
        default_factory=dict[str, tuple[Path, Mapping[str, Any]]],
        init=False,
        repr=False,
        compare=False,
    )

    def cursor(self, source_id: str) -> str | None:
        """How far a source has come: the cursor of its newest page.

        Raises:
            SourceError: the page cannot be opened.
        """
        newest = self.newest(source_id)
        return None if newest is None else str(self._header(source_id, newest)["cursor"])

    def write(self, source_id: str, load_date: dt.date, page: Page) -> Path:
        """Stores a page behind all others of its source and returns its file.

        A page with the same records and cursor as the newest one is that one again. Of a page
        without records only the cursor is kept.

        Raises:
            SourceError: the newest page cannot be opened, or the disk refuses the new one.
        """
        content = b"".join(
            json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
            + b"\n"
            for record in page.records
        )
        digest = hashlib.sha256(content).hexdigest()
        newest, before = self._written.get(source_id) or self._newest_with_header(source_id)
        if newest is not None:
            is_repeated = before["sha256"] == digest or not page.records
            if is_repeated and before["cursor"] == page.cursor:
                return newest
        number = 1 if newest is None else _number(newest) + 1
        ending = _PAGE if page.records else _CURSOR
        file = self.folder / source_id / load_date.isoformat() / f"{number:08d}{ending}"
        header = {
            "version": _VERSION,
            "source": source_id,
            "number": number,
            "cursor": page.cursor,
            "sha256": digest,
        }
        packed = zlib.compress(json.dumps(header).encode() + b"\n" + content, _LEVEL)
        sealed = self.keys.seal_page(packed, _place(source_id, number))
        try:
            _put(file, self.folder / source_id / _LEFTOVER, sealed)
            if newest is not None and newest.suffix == _CURSOR:
                newest.unlink()
        except OSError as error:
            raise SourceError(
                f"source '{source_id}': {file}: cannot be written ({error.strerror}); "
                "make room or correct the rights of the folder, and run again"
            ) from error
        self._written[source_id] = file, header
        return file

    def prepare(self, source_id: str) -> str | None:
        """Removes what a killed run left behind and returns the cursor; for the one who writes.

        Raises:
            SourceError: the newest page cannot be opened.
        """
        self._written.pop(source_id, None)
        (self.folder / source_id / _LEFTOVER).unlink(missing_ok=True)
        for file in self._files(source_id)[:-1]:
            if file.suffix == _CURSOR:
                file.unlink()
        return self.cursor(source_id)

    def arrivals(self, source: Source) -> list[Arrival]:
        """The pages of a source that hold records, in the order they were pulled."""
        found: list[Arrival] = []
        for file in self._files(source.id):
            if file.suffix == _PAGE:
                status = file.stat()
                found.append(
                    PageArrival(
                        source=source,
                        file=file,
                        path=f"{file.parent.name}/{file.stem}",
                        load_date=dt.date.fromisoformat(file.parent.name),
                        n_bytes=status.st_size,
                        modified_at=dt.datetime.fromtimestamp(status.st_mtime, dt.UTC).replace(
                            tzinfo=None
                        ),
                        keys=self.keys,
                    )
                )
        return found

    def _files(self, source_id: str) -> list[Path]:
        files = (self.folder / source_id).glob("????-??-??/*")
        return sorted((file for file in files if file.suffix in (_PAGE, _CURSOR)), key=_number)

    def _newest_with_header(self, source_id: str) -> tuple[Path | None, Mapping[str, Any]]:
        newest = self.newest(source_id)
        return newest, {} if newest is None else self._header(source_id, newest)

    def newest(self, source_id: str) -> Path | None:
        """The page of a source written last, or None."""
        return next(reversed(self._files(source_id)), None)

    def _header(self, source_id: str, file: Path) -> dict[str, Any]:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise _unreadable(source_id, file, error.strerror or "unknown error") from error
        return _opened(source_id, file, content, self.keys)[0]


def _number(file: Path) -> int:
    return int(file.stem)


def _place(source_id: str, number: int) -> str:
    return f"{source_id}/{number}"


def _opened(source_id: str, file: Path, sealed: bytes, keys: Keys) -> tuple[dict[str, Any], bytes]:
    """A page's header and its records as JSON lines."""
    try:
        packed = keys.open_page(sealed, _place(source_id, _number(file)))
        head, _, content = zlib.decompress(packed).partition(b"\n")
        header = cast(dict[str, Any], json.loads(head))
    except (SecretError, zlib.error, ValueError) as error:
        raise _unreadable(source_id, file, str(error)) from error
    if header["version"] != _VERSION:
        raise _unreadable(source_id, file, f"format {header['version']}, expected {_VERSION}")
    return header, content


def _unreadable(source_id: str, file: Path, problem: str) -> SourceError:
    return SourceError(
        f"source '{source_id}': {file}: cannot be read ({problem}); "
        "bring the secret or the file back, or remove the source's folder to pull all of it anew"
    )


def _put(file: Path, beside: Path, content: bytes) -> None:
    """Writes a file whole or not at all, also when the machine stops."""
    is_new_day = not file.parent.exists()
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)
    for folder in (file.parent, file.parent.parent) if is_new_day else (file.parent,):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
