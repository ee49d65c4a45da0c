"""Dagster's SQLite event log with its connections kept open.

Dagster 1.13 makes a new SQLAlchemy engine for every event, so each statement is compiled anew;
`python -m benchmarks.event_log` prints what keeping the engines is worth. The files are Dagster's
own and either class reads the other's. One thing differs: commits do not wait for the disk, so a
killed process still loses nothing (they are in the write-ahead log), but a power cut may.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import sqlalchemy
from dagster._core.storage.event_log import SqliteEventLogStorage  # Dagster's default
from sqlalchemy import event

_BUSY_SECONDS = 30


class PooledSqliteEventLog(SqliteEventLogStorage):
    """One engine per database file instead of one per event.

    `base_dir` in dagster.yaml may be relative to DAGSTER_HOME, so that a home can be moved.
    """

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._engines: dict[str, sqlalchemy.Engine] = {}
        self._tables_seen: set[str] = set()
        home = Path(os.environ.get("DAGSTER_HOME", "."))
        super().__init__(str(home / base_dir), inst_data)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "PooledSqliteEventLog":
        """The storage as dagster.yaml configures it."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Generator[sqlalchemy.Connection]:
        this = cast(Any, self)
        with this._db_lock:
            engine = self._engines.get(shard)
            if engine is None:
                engine = sqlalchemy.create_engine(
                    self.conn_string_for_shard(shard), connect_args={"timeout": _BUSY_SECONDS}
                )
                event.listen(engine, "connect", _relax)
                self._engines[shard] = engine
            if shard not in this._initialized_dbs:
                this._initdb(engine)
                this._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table; one that is there stays there."""
        if table_name not in self._tables_seen and super().has_table(table_name):
            self._tables_seen.add(table_name)
        return table_name in self._tables_seen

    def dispose(self) -> None:
        """Closes what is open."""
        for engine in self._engines.values():
            engine.dispose()
        super().dispose()


def _relax(connection: Any, _record: Any) -> None:
    connection.execute("pragma synchronous = normal")
