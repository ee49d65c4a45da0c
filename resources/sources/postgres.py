"""Rows of a PostgreSQL table or query, page by page behind a cursor column."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from resources.config.loading import expand
from resources.config.postgres_source import PostgresSource
from resources.sources.files import SourceError
from resources.sources.pages import Page

_Connection = psycopg.Connection[tuple[Any, ...]]

# Given before what stands in the connection string, which may say otherwise.
_CONNECTION = {
    "application_name": "siyu",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
# Within each transaction, so that it also holds behind a pooler that changes servers in between.
_SETTINGS = (
    "select set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO, YMD', true),"
    " set_config('intervalstyle', 'iso_8601', true), set_config('extra_float_digits', '1', true),"
    " set_config('statement_timeout', $1, true)"
)
# What has committed up to this instant has come: transactions that have written and still run are
# waited for where the role may see them, others for the lag. A standby knows what it has replayed.
_SETTLED = (
    "least(case when pg_is_in_recovery() then pg_last_xact_replay_timestamp() else now() end"
    " - make_interval(secs => $1), (select min(xact_start) from pg_stat_activity"
    " where backend_xid is not null and datname = current_database()))"
)
# How the last settled value of a cursor is told, by its type.
_BOUNDS = {
    "timestamp with time zone": f"({_SETTLED})::text",
    "timestamp without time zone": f"(({_SETTLED}) at time zone $2)::text",
    "date": f"(({_SETTLED}) at time zone $2)::date::text",
}
# Values behind which, in their type's order, no other can come.
_LAST = {
    **dict.fromkeys(_BOUNDS, "infinity"),
    **dict.fromkeys(("numeric", "real", "double precision"), "NaN"),
}
_BYTEA = 17
_LEAST_BIGINT, _GREATEST_BIGINT = -(1 << 63), (1 << 63) - 1


def pages(
    source: PostgresSource, cursor: str | None, *, environment: Mapping[str, str]
) -> Iterator[Page]:
    """The rows behind `cursor`, in the order of the cursor column, a page at a time.

    Each page is read in a short read-only transaction of its own; which rows are old enough is
    settled once, at the beginning. Values come as PostgreSQL's own JSON of them: times in UTC,
    numbers that a float cannot hold as text, bytea in base64, json as it stands.

    Args:
        source: what to read.
        cursor: of the last page that was stored, or None to begin.
        environment: holds the connection string.

    Raises:
        ConfigError: the variable of the connection string is not set.
        SourceError: the server cannot be reached or refuses, or rows would be
            lost; pages given before stand.
    """
    conninfo = expand(source.dsn, environment)
    given = _parsed(source, conninfo)
    n_pages = 0
    try:
        with _connected(given) as connection:
            table = _Table.described(source, connection)
            position = table.position(cursor)
            bound = table.bound(connection)
            while True:
                rows = table.rows(connection, position, bound)
                if not rows:
                    return
                position = _Position(str(rows[-1][-2]), rows[-1][-1])
                yield Page([table.record(row) for row in rows], table.cursor(position))
                n_pages += 1
                if len(rows) < source.page_size:
                    return
    # Not chained: what libpq says of a connection may repeat the connection string.
    except psycopg.Error as error:
        raise _refused(source, error, given.get("password"), n_pages) from None


@dataclass(frozen=True)
class _Position:
    """Where a page ended: the last row's cursor and, if there is a column for it, tie."""

    value: str
    tie: str | None
    is_inclusive: bool = False


@dataclass(frozen=True)
class _Table:
    """A source's rows as the server describes them."""

    source: PostgresSource
    names: Sequence[str]
    cells: str
    cursor_type: str
    tie_type: str | None

    @classmethod
    def described(cls, source: PostgresSource, connection: _Connection) -> "_Table":
        """Asks for the columns, and makes sure that every row has a place in their order."""
        with connection.transaction(), connection.cursor() as asked:
            asked.execute(_SETTINGS, [_milliseconds(source)])
            # With a parameter, because only then the server refuses several statements in one.
            asked.execute(f"select * from {_from(source)} limit $1".encode(), [0])
            columns = asked.description or []
            names = [column.name for column in columns]
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise SourceError(
                    f"source '{source.id}': its query gives several columns {repeated[0]!r}; "
                    "name them apart with 'as'"
                )
            types: list[str] = []
            ordering = [("cursor", source.cursor)] + ([("tie", source.tie)] if source.tie else [])
            for key, name in ordering:
                if name not in names:
                    raise SourceError(
                        f"source '{source.id}': its {key} {name!r} is not among the columns "
                        f"{', '.join(names)}; correct '{key}' or select the column"
                    )
                code = columns[names.index(name)].type_code
                types.append(str(_scalar(asked, "select format_type($1, -1)", [code])))
                last = _LAST.get(types[0]) if key == "cursor" else None
                lost = f"s.{_quoted(name)} is null"
                if last:
                    lost += f" or s.{_quoted(name)} = '{last}'"
                if _scalar(asked, f"select exists (select from {_from(source)} where {lost})", []):
                    found = f"NULL or {last}" if last else "NULL"
                    raise SourceError(
                        f"source '{source.id}': its {key} {name!r} is {found} in some rows, which "
                        "have no place in its order; correct them, or leave them out with a 'query'"
                    )
        cells = ", ".join(
            f"to_json({_plain(column.name, column.type_code)})::text" for column in columns
        )
        return cls(source, names, cells, types[0], types[1] if source.tie else None)

    def position(self, cursor: str | None) -> _Position | None:
        """Where the stored cursor says that the last page ended."""
        if cursor is None:
            return None
        stored = cast("dict[str, str | None]", json.loads(cursor))
        if (stored["column"], stored["type"]) != (self.source.cursor, self.cursor_type):
            raise SourceError(
                f"source '{self.source.id}': it was read by {stored['column']} "
                f"({stored['type']}), and now says {self.source.cursor} ({self.cursor_type}); "
                "bring that back, or give the source another id to read all of it anew"
            )
        if stored["tie_column"] in (None, self.source.tie):
            return _Position(str(stored["value"]), stored["tie"])
        # It was read by another tie: the rows of the last value may not all have come.
        return _Position(str(stored["value"]), None, is_inclusive=True)

    def cursor(self, position: _Position) -> str:
        """The position as text, to be stored beside the page."""
        return json.dumps(
            {
                "column": self.source.cursor,
                "type": self.cursor_type,
                "value": position.value,
                "tie_column": self.source.tie,
                "tie": position.tie,
            },
            ensure_ascii=False,
        )

    def bound(self, connection: _Connection) -> str | None:
        """The cursor value from which on rows are left for the next run; None: not a time.

        Without a lag too: a row stamped in the future must not move the cursor there.
        """
        source = self.source
        if self.cursor_type not in _BOUNDS:
            if not source.lag_seconds:
                return None
            raise SourceError(
                f"source '{source.id}': its cursor {source.cursor!r} is {self.cursor_type}, not a "
                "time, so rows that commit late cannot be waited for and would be lost; take a "
                "time as 'cursor', or give 'lag_seconds: 0' if rows commit in its order"
            )
        select = _BOUNDS[self.cursor_type]
        values = [float(source.lag_seconds), source.time_zone]
        with connection.transaction(), connection.cursor() as asked:
            asked.execute(_SETTINGS, [_milliseconds(source)])
            bound = _scalar(asked, f"select {select}", values[: 1 + ("$2" in select)])
        # A standby that has replayed nothing yet: all of it may be incomplete.
        return "-infinity" if bound is None else str(bound)

    def rows(
        self,
        connection: _Connection,
        position: _Position | None,
        bound: str | None,
    ) -> list[tuple[str | None, ...]]:
        """The next page: every column as JSON text, then cursor and tie as text."""
        source = self.source
        cursor = f"s.{_quoted(source.cursor)}"
        tie = f"s.{_quoted(source.tie)}" if source.tie else None
        values: list[str] = []

        def value(text: str, of_type: str | None) -> str:
            values.append(text)
            return f"${len(values)}::{of_type}"

        conditions: list[str] = []
        if position is None and source.start is not None:
            conditions.append(f"{cursor} >= {value(source.start, self.cursor_type)}")
        if position is not None:
            last = value(position.value, self.cursor_type)
            if position.tie is None:
                conditions.append(f"{cursor} {'>=' if position.is_inclusive else '>'} {last}")
            else:
                last_tie = value(position.tie, self.tie_type)
                conditions.append(f"({cursor}, {tie}) > ({last}, {last_tie})")
        if bound is not None:
            conditions.append(f"{cursor} < {value(bound, self.cursor_type)}")
        where = f" where {' and '.join(conditions)}" if conditions else ""
        # With ties: the next page begins behind the last value, so that none of it may be left.
        select = (
            f"select {self.cells}, {cursor}::text, {tie or 'null'}::text"
            f" from {_from(source)}{where} order by {f'{cursor}, {tie}' if tie else cursor}"
            f" fetch first {source.page_size} rows with ties"
        )
        with connection.transaction(), connection.cursor() as asked:
            asked.execute(_SETTINGS, [_milliseconds(source)])
            asked.execute(select.encode(), values)
            return asked.fetchall()

    def record(self, row: Sequence[str | None]) -> dict[str, object]:
        """A row as the server's JSON of each column says."""
        cells = row[: len(self.names)]
        return {name: _value(cell) for name, cell in zip(self.names, cells, strict=True)}


def _value(cell: str | None) -> object:
    if cell is None:
        return None
    try:
        return _JSON.decode(cell)
    except RecursionError:
        # Nested deeper than anyone can read by keys; the text loses nothing.
        return cell


def _fraction(text: str) -> float | str:
    """A JSON number as a float where that is the same number, else as its text."""
    number = float(text)
    return number if Decimal(repr(number)) == Decimal(text) else text


def _integer(text: str) -> int | str:
    """A JSON number as an integer where every reader of JSON keeps it, else as its text."""
    if len(text) > len(str(_LEAST_BIGINT)):
        return text
    number = int(text)
    return number if _LEAST_BIGINT <= number <= _GREATEST_BIGINT else text


# Made once: making one costs more than reading a cell.
_JSON = json.JSONDecoder(parse_float=_fraction, parse_int=_integer)


def _plain(name: str, type_code: int) -> str:
    column = f"s.{_quoted(name)}"
    if type_code == _BYTEA:
        return f"translate(encode({column}, 'base64'), e'\\n', '')"
    return column


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _from(source: PostgresSource) -> str:
    if source.query is not None:
        # On lines of its own: it may end in a comment.
        return f"(\n{source.query.rstrip().rstrip(';')}\n) as s"
    columns = ", ".join(map(_quoted, source.columns)) or "*"
    table = ".".join(map(_quoted, (source.table or "").split(".")))
    return f"(select {columns} from {table}) as s"


def _milliseconds(source: PostgresSource) -> str:
    return str(source.timeout_seconds * 1000)


def _scalar(asked: psycopg.Cursor[tuple[Any, ...]], sql: str, values: Sequence[object]) -> object:
    row = asked.execute(sql.encode(), values).fetchone()
    return row[0] if row else None


def _parsed(source: PostgresSource, conninfo: str) -> dict[str, str]:
    """The parts of a connection string, over our own."""
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.Error:
        # The parser's words repeat parts of the string.
        raise SourceError(
            f"source '{source.id}': {source.dsn} is not a connection string of PostgreSQL; "
            "set it to postgresql://user:password@host/database"
        ) from None
    return {**_CONNECTION, **{key: str(part) for key, part in given.items()}}


def _connected(given: Mapping[str, str]) -> _Connection:
    connection = psycopg.connect(
        make_conninfo(**{**given, "client_encoding": "utf8"}),
        autocommit=True,
        prepare_threshold=None,
        cursor_factory=psycopg.RawCursor[tuple[Any, ...]],
    )
    connection.read_only = True
    return connection


def _refused(
    source: PostgresSource, error: psycopg.Error, password: str | None, n_pages: int
) -> SourceError:
    """One line for what the driver or the server said."""
    state = error.sqlstate or ""
    said = (error.diag.message_primary or str(error)).splitlines()
    message = said[0] if said else type(error).__name__
    if password:
        message = message.replace(password, "***")
    so_far = f" after {n_pages} pages, which stand" if n_pages else ""
    if state == "57014":
        problem = f"a page took longer than {source.timeout_seconds} s{so_far}"
        advice = "index the cursor and tie, lower 'page_size' or raise 'timeout_seconds'"
    elif state == "22021":
        problem = f"its database holds text that is not UTF-8{so_far}"
        advice = "correct the rows, or leave the column out"
    elif state.startswith("22"):
        # The server's words would repeat the value.
        problem = f"a value does not fit its type ({type(error).__name__}){so_far}"
        advice = "correct 'start' or 'query' in sources.yaml"
    elif state.startswith(("25", "42")):
        problem = f"the server refuses the query ({message}){so_far}"
        advice = "correct the source in sources.yaml, or grant its role the right to read"
    elif state.startswith("28"):
        problem = f"the server refuses the login of {source.dsn} ({message})"
        advice = "correct the variable"
    else:
        problem = f"the server of {source.dsn} cannot be read ({message}){so_far}"
        advice = "see that it runs and can be reached, and run again: it goes on from there"
    return SourceError(f"source '{source.id}': {problem}; {advice}")
