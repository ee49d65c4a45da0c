"""The one place that touches DuckDB's API: short-lived connections to the pipeline's files.

DuckDB lets one process write a file and shuts every other one out meanwhile, so a connection is
opened late, waited for when another process holds the file, and always closed; within a run, a
moment after the session that mostly is followed by another at once.
"""

import json
import re
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import dagster as dg
import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import PrivateAttr

from resources.contract import Contract
from resources.failure import Failure

SQL_ROOT = Path(__file__).resolve().parent.parent / "sql"
# The oldest storage format that every DuckDB from 1.0 on can open, for what analysts read.
PUBLISHED_STORAGE_VERSION = "v1.0.0"

# DuckDB's errors under names that say what they mean here.
SqlError = duckdb.Error
FileFormatErrors = (duckdb.IOException, duckdb.InvalidInputException)

# What DuckDB says where another process, or this one in another way, has the file open.
_IN_USE = ("Could not set lock", "different configuration")
# DuckDB begins a file with three headers of 4 KiB.
_HEADER_BYTES = 3 * 4096
# Longer than from one step of a run to the next; a step of another process waits a minute.
LINGER_SECONDS = 0.5
# By how much what a file holds may grow, beside a quarter, before it is closed between two steps.
_GROWTH_BYTES = 64 << 20
_PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")
_COMMENT = re.compile(r"--[^\n]*")


class WarehouseError(Failure):
    """A database file cannot be used; the message says which, why and what to do."""


def read_sql(relative: str) -> str:
    """The text of `sql/<relative>`, e.g. `clean/events.sql`."""
    return (SQL_ROOT / relative).read_text(encoding="utf-8")


def parameters_used(sql: str) -> frozenset[str]:
    """The names of the `$parameters` in a statement."""
    return frozenset(_PARAMETER.findall(_COMMENT.sub("", sql)))


@cache
def tables_read(sql: str) -> frozenset[str]:
    """The qualified tables that one SELECT reads, as `schema.table`.

    Raises:
        ValueError: the text is not exactly one SELECT, or does not parse.
    """
    with duckdb.connect() as connection:
        row = connection.execute("select json_serialize_sql($sql)", {"sql": sql}).fetchone()
    tree = cast("dict[str, Any]", json.loads(row[0])) if row else {}
    if tree.get("error"):
        raise ValueError(f"not one SELECT: {tree.get('error_message', 'it does not parse')}")
    if len(cast("list[object]", tree.get("statements", []))) != 1:
        raise ValueError("not one SELECT: several statements")
    found: set[str] = set()
    pending: list[Any] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            members = cast("dict[str, Any]", node)
            if members.get("type") == "BASE_TABLE" and members.get("schema_name"):
                found.add(f"{members['schema_name']}.{members['table_name']}")
            pending.extend(members.values())
        elif isinstance(node, list):
            pending.extend(cast("list[Any]", node))
    return frozenset(found)


def text_literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Session:
    """One open connection: what assets may do with a database."""

    connection: duckdb.DuckDBPyConnection

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Runs a statement; of `parameters`, only those it names are passed."""
        self._run(sql, parameters)

    def rows(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of a query, for small results."""
        return self._run(sql, parameters).fetchall()

    def scalar(self, sql: str, parameters: Mapping[str, object] | None = None) -> Any:
        """The first column of the first row, or None."""
        rows = self.rows(sql, parameters)
        return rows[0][0] if rows else None

    def table(self, sql: str, limit: int) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The column names and at most `limit` rows of a query."""
        relation = cast("duckdb.DuckDBPyRelation | None", self.connection.sql(sql))
        if relation is None:
            raise duckdb.InvalidInputException("no rows come of this; ask with a SELECT")
        limited = relation.limit(limit)
        return limited.columns, limited.fetchall()

    def frame(self, sql: str, parameters: Mapping[str, object] | None = None) -> pl.DataFrame:
        """A query's result as a polars frame."""
        return self.connection.sql(sql, params=_named(sql, parameters)).pl()

    def arrays(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> dict[str, NDArray[Any]]:
        """A query's columns as NumPy arrays (NULLs filled: use only where there are none)."""
        columns = self._run(sql, parameters).fetchnumpy()
        return {name: np.asarray(np.ma.getdata(values)) for name, values in columns.items()}

    @contextmanager
    def offering(self, **tables: pl.DataFrame | pa.Table) -> Generator[None]:
        """Makes frames or Arrow tables readable by name inside the block, without copying."""
        for name, table in tables.items():
            self.connection.register(name, table)
        try:
            yield
        finally:
            for name in tables:
                # In a failed transaction nothing can be taken back; it goes with the connection,
                # and must not hide why the transaction failed.
                with suppress(duckdb.TransactionException):
                    self.connection.unregister(name)

    @contextmanager
    def beside(self) -> Generator["Session"]:
        """A second session on the same database, for another thread, its temporary tables apart."""
        connection = self.connection.cursor()
        try:
            connection.execute(read_sql("prelude.sql"))
            yield Session(connection)
        finally:
            connection.close()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All of the block or nothing."""
        self.connection.execute("begin")
        try:
            yield
        except BaseException:
            self.connection.execute("rollback")
            raise
        self.connection.execute("commit")

    def exists(self, contract: Contract) -> bool:
        """Whether the contract's table is there."""
        found = self.scalar(
            "select count(*) from duckdb_tables()"
            " where schema_name = $schema_name and table_name = $table_name",
            {"schema_name": contract.schema, "table_name": contract.table},
        )
        return bool(found)

    def has_other_columns(self, contract: Contract) -> bool:
        """Whether the contract's table is there, but with the columns of an earlier version."""
        names = self.rows(
            "select column_name from duckdb_columns()"
            " where schema_name = $schema_name and table_name = $table_name",
            {"schema_name": contract.schema, "table_name": contract.table},
        )
        return bool(names) and {name for (name,) in names} != set(contract.column_names)

    def create_empty(self, contract: Contract) -> None:
        """Creates the contract's table if it is not there.

        Raises:
            WarehouseError: it is there with other columns.
        """
        columns = ", ".join(
            f"{column.quoted} {column.type}{'' if column.nullable else ' not null'}"
            for column in contract.columns
        )
        self.execute(f"create schema if not exists {contract.schema}")
        if self.has_other_columns(contract):
            raise WarehouseError(
                f"{contract.name} was made by an earlier version of Siyu and has other columns; "
                "move warehouse.duckdb away and run again: every file that is still there is "
                "loaded anew"
            )
        if not self.exists(contract):
            self.execute(f"create table {contract.name} ({columns})")
            self.comment(contract)

    def create_table(
        self,
        contract: Contract,
        select_sql: str,
        parameters: Mapping[str, object] | None = None,
    ) -> int:
        """Replaces the contract's table by a SELECT's rows, cast to the declared types.

        Returns the number of rows. Old rows stay until the transaction commits.
        """
        columns = ", ".join(
            f"cast({column.quoted} as {column.type}) as {column.quoted}"
            for column in contract.columns
        )
        self.execute(f"create schema if not exists {contract.schema}")
        self.execute(
            f"create or replace table {contract.name} as select {columns} from ({select_sql}\n)",
            parameters,
        )
        self.comment(contract)
        return self.count(contract)

    def write_frame(self, contract: Contract, frame: pl.DataFrame) -> int:
        """Replaces the contract's table by a frame's rows. Returns the number of rows."""
        with self.offering(incoming=frame):
            return self.create_table(contract, f"select {contract.column_list} from incoming")

    def insert(
        self,
        contract: Contract,
        select_sql: str,
        parameters: Mapping[str, object] | None = None,
    ) -> None:
        """Appends a SELECT's rows, matched to the contract's columns by name."""
        names = contract.column_list
        self.execute(
            f"insert into {contract.name} ({names}) select {names} from ({select_sql}\n)",
            parameters,
        )

    def count(self, contract: Contract) -> int:
        """How many rows the contract's table has."""
        return int(self.scalar(f"select count(*) from {contract.name}"))

    def comment(self, contract: Contract) -> None:
        """Stores the contract's meaning in the database, for whoever opens it."""
        self.execute(f"comment on table {contract.name} is {text_literal(contract.comment)}")
        for column in contract.columns:
            meaning = text_literal(column.comment)
            self.execute(f"comment on column {contract.name}.{column.quoted} is {meaning}")

    def _run(self, sql: str, parameters: Mapping[str, object] | None) -> duckdb.DuckDBPyConnection:
        return self.connection.execute(sql, _named(sql, parameters))


@dataclass(frozen=True)
class Database:
    """A DuckDB file, its limits and how long to wait for its lock."""

    path: Path
    threads: int = 4
    memory_limit: str = "3GB"
    lock_timeout_seconds: float = 60.0

    @contextmanager
    def connect(self, *, read_only: bool = False) -> Generator[Session]:
        """An open session, closed on leaving.

        Raises:
            WarehouseError: the file is missing, damaged, or still locked after the wait.
        """
        connection = self.opened(read_only=read_only)
        try:
            connection.execute(read_sql("prelude.sql"))
            yield Session(connection)
        finally:
            connection.close()

    def opened(self, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        """A bare connection, to be closed by whoever asked; raises as `connect` does."""
        if read_only and not self.path.exists():
            raise WarehouseError(f"{self.path}: no such file; `siyu run` makes it")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {
            "threads": self.threads,
            "memory_limit": self.memory_limit,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        deadline = time.monotonic() + self.lock_timeout_seconds
        delay = 0.05
        while True:
            try:
                return duckdb.connect(self.path, read_only=read_only, config=settings)
            except duckdb.Error as error:
                is_locked = any(each in str(error) for each in _IN_USE)
                if not is_locked and not read_only and self._is_unfinished():
                    self.path.unlink()
                    continue
                if not is_locked:
                    raise WarehouseError(
                        f"{self.path}: cannot be opened ({_first_line(error)}); "
                        "restore it from a backup, or move it away and run `siyu run` again"
                    ) from error
                if time.monotonic() > deadline:
                    raise WarehouseError(
                        f"{self.path}: still locked by {_lock_holder(error)} after "
                        f"{self.lock_timeout_seconds:.0f} s; close that program and run again "
                        "(readers should open analytics.duckdb, which is never locked)"
                    ) from error
            time.sleep(delay)
            delay = min(delay * 1.5, 1.0)

    def _is_unfinished(self) -> bool:
        """Whether the file was never made: killed before its three headers stood, it holds nothing.

        Its maker would hold the lock, which is asked for before the headers are read.
        """
        content = self.path.read_bytes() if self.path.stat().st_size < _HEADER_BYTES else None
        return content is not None and (not content or content[8:12] == b"DUCK")


class _Lingering:
    """Keeps a file open for a moment after its last session, for the next one.

    To open a file, and to fold its log into it at every close, takes longer than many a step's own
    work. Another process gets its turn when this one pauses, as it does where that one holds the
    place in the pool. After a failure, and where replaced tables have made the file grow, it is
    closed at once: a new opening begins with neither settings nor blocks that were left behind.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._n_sessions = 0
        self._most_bytes = 0.0
        self._timer: threading.Timer | None = None

    @contextmanager
    def holding(self, database: Database) -> Generator[None]:
        """Keeps the file open inside the block and a moment longer."""
        with self._lock:
            self._stop_timer()
            if self._connection is None:
                self._connection = database.opened()
                self._most_bytes = 1.25 * self._used_bytes() + _GROWTH_BYTES
            self._n_sessions += 1
        has_failed = True
        try:
            yield
            has_failed = False
        finally:
            with self._lock:
                self._n_sessions -= 1
                if has_failed or self._used_bytes() > self._most_bytes:
                    self._close()
                elif self._n_sessions == 0:
                    self._timer = threading.Timer(LINGER_SECONDS, self.close)
                    self._timer.daemon = True
                    self._timer.start()

    def close(self) -> None:
        """Closes the file, unless a session is open."""
        with self._lock:
            self._close()

    def _used_bytes(self) -> int:
        # What a dropped table held counts until the file is closed, as it does in its size.
        size = "select used_blocks * block_size from pragma_database_size()"
        row = self._connection.execute(size).fetchone() if self._connection else None
        return int(row[0]) if row else 0

    def _close(self) -> None:
        if self._n_sessions == 0:
            self._stop_timer()
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None


class Warehouse(dg.ConfigurableResource[Any]):
    """The pipeline's own database, `warehouse.duckdb`.

    Within a run its file stays open from step to step.
    """

    path: str
    threads: int = 4
    memory_limit: str = "3GB"
    lock_timeout_seconds: float = 60.0
    _lingering: _Lingering | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["Warehouse"]:
        """What Dagster calls around the steps of a run."""
        self._lingering = _Lingering()
        try:
            yield self
        finally:
            self._lingering.close()
            self._lingering = None

    @contextmanager
    def connect(self, *, read_only: bool = False) -> Generator[Session]:
        """An open session on the warehouse (see `Database.connect`)."""
        database = Database(
            Path(self.path), self.threads, self.memory_limit, self.lock_timeout_seconds
        )
        with ExitStack() as held:
            if self._lingering is not None and read_only:
                # DuckDB opens no file in two ways at once.
                self._lingering.close()
            elif self._lingering is not None:
                held.enter_context(self._lingering.holding(database))
            yield held.enter_context(database.connect(read_only=read_only))

    def publish(self, contracts: Sequence[Contract], target: Path) -> int:
        """Copies the contracts' tables to a new file and puts it in `target`'s place.

        Readers of the old file keep it until they reconnect; a failure leaves it untouched.
        Returns the new file's size in bytes.
        """
        beside = target.with_name(f".{target.name}.new")
        beside.unlink(missing_ok=True)
        try:
            with self.connect() as session:
                session.execute(
                    f"attach {text_literal(str(beside))} as published"
                    f" (storage_version {text_literal(PUBLISHED_STORAGE_VERSION)})"
                )
                for contract in contracts:
                    session.execute(f"create schema if not exists published.{contract.schema}")
                    session.execute(
                        f"create table published.{contract.name} as"
                        f" select {contract.column_list} from {contract.name}"
                    )
                session.execute("use published")
                with session.transaction():
                    for contract in contracts:
                        session.comment(contract)
                session.execute(f'use "{Path(self.path).stem}"')
                session.execute("detach published")
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
        return target.stat().st_size


def _named(sql: str, parameters: Mapping[str, object] | None) -> dict[str, object] | None:
    used = parameters_used(sql) if parameters else frozenset[str]()
    return {name: value for name, value in (parameters or {}).items() if name in used} or None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].removeprefix("IO Error: ")


def _lock_holder(error: Exception) -> str:
    found = re.search(r"held in (\S+) \(PID (\d+)\)", str(error))
    return f"process {found[2]} ({Path(found[1]).name})" if found else "another process"
