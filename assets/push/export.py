"""Private files: readable by their owner alone, and either the old one or the new one, whole."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import polars as pl


def write_lists(folder: Path, lists: Mapping[str, pl.DataFrame]) -> list[Path]:
    """Writes each list as `<name>.csv` and `<name>.jsonl`, and removes what else is in the folder.

    Raises:
        OSError: a file cannot be written; the one it was to replace is unharmed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o700)
    folder.chmod(0o700)
    written: list[Path] = []
    for name, rows in lists.items():
        written += [folder / f"{name}.csv", folder / f"{name}.jsonl"]
        _write_private(written[-2], rows.write_csv)
        _write_private(written[-1], rows.write_ndjson)
    for path in set(folder.iterdir()) - set(written):
        path.unlink()
    return written


def _write_private(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
