"""The published file as a catalogue and as answers to questions."""

from pathlib import Path

from resources.failure import Failure
from resources.warehouse import SQL_ROOT, Database, SqlError, read_sql

Listing = tuple[str, list[str], list[tuple[object, ...]]]
_MOST_ROWS = 1000


class QueryError(Failure):
    """A question cannot be answered; the message says why."""


def list_tables(analytics: Path) -> Listing:
    """Every published table with its rows and meaning."""
    with Database(analytics, threads=2).connect(read_only=True) as session:
        rows = session.rows(
            "select schema_name || '.' || table_name, estimated_size, comment"
            " from duckdb_tables() order by table_oid"
        )
    return "", ["table", "rows", "meaning"], rows


def describe_table(analytics: Path, table: str) -> Listing:
    """One table's columns with type and meaning.

    Raises:
        QueryError: there is no such table.
    """
    with Database(analytics, threads=2).connect(read_only=True) as session:
        rows = session.rows(
            "select column_name, lower(data_type), comment from duckdb_columns()"
            " where schema_name || '.' || table_name = $name order by column_index",
            {"name": table},
        )
    if not rows:
        raise QueryError(f"no table {table!r} is published; `siyu tables` lists them")
    return table, ["column", "type", "meaning"], rows


def answer(analytics: Path, query: str) -> Listing:
    """The first 1,000 rows of a SELECT, or of a question in sql/questions.

    Raises:
        QueryError: DuckDB cannot answer it.
    """
    text = query
    if query.isidentifier() and (SQL_ROOT / "questions" / f"{query}.sql").is_file():
        text = read_sql(f"questions/{query}.sql")
    with Database(analytics, threads=4).connect(read_only=True) as session:
        try:
            header, rows = session.table(text, limit=_MOST_ROWS + 1)
        except SqlError as error:
            raise QueryError(f"{str(error).strip().splitlines()[0]} in: {query:.200}") from error
    title = f"the first {_MOST_ROWS:,} rows" if len(rows) > _MOST_ROWS else ""
    return title, header, rows[:_MOST_ROWS]
