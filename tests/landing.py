"""A shop's landing folder, warehouse and vault, for tests that collect files."""

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.raw.assets import TABLES
from resources.config.source import LandedSource
from resources.keys import Keyring
from resources.sources.collection import changed, collect, read_ledger
from resources.sources.files import find_arrivals
from resources.vault import Vault
from resources.warehouse import Warehouse

SECRET = "0123456789abcdef0123456789abcdef"
LOADED_AT = dt.datetime(2026, 7, 4)  # noqa: DTZ001 - stored timestamps are naive UTC


@dataclass(frozen=True)
class Landing:
    """Files put down in `folder`/landing are collected into `warehouse`; needs SIYU_SECRET."""

    folder: Path
    warehouse: Warehouse

    @property
    def keyring(self) -> Keyring:
        return Keyring(home=str(self.folder), is_simulated=False)

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    def lands(self, path: str, content: str | bytes) -> Path:
        file = self.landing / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def collects(self, *sources: LandedSource, now: dt.datetime | None = None) -> int:
        """Loads what is new; returns how many files that were."""
        vault = Vault(path=str(self.folder / "vault.duckdb"), keyring=self.keyring)
        with self.warehouse.connect() as session:
            ledger = read_ledger(session, TABLES, "Asia/Shanghai")
            arrivals = find_arrivals(sources, self.landing, os.environ, now, ledger)
            new = changed(session, TABLES, arrivals)
            collect(
                session,
                vault,
                TABLES,
                new,
                keys=self.keyring.unlock(),
                base_currency="CNY",
                loaded_at=LOADED_AT,
            )
        return len(new)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as session:
            return session.rows(sql)

    def column(self, sql: str) -> Sequence[Any]:
        return [row[0] for row in self.rows(sql)]
