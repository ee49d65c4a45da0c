"""Sources that are pulled from a PostgreSQL database, row by row behind a cursor column."""

import re
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from resources.config.database_source import DatabaseSource
from resources.config.source import check_is_variable

_TABLE = re.compile(r"[^.\s]+(\.[^.\s]+)?")


class PostgresSource(DatabaseSource):
    """Rows of one table or query, in the order of `cursor`, only what is new at each run.

    `tie` is a second column that tells rows of one cursor value apart: without it a page holds all
    rows of its last value. A row is stamped before its transaction commits: that is what
    `lag_seconds` is for.
    """

    kind: Literal["postgres"]
    sums: ClassVar[str] = "rows come in pages; compute it in 'query'"
    dsn: str
    table: str | None = None
    columns: tuple[str, ...] = ()
    query: str | None = None
    cursor: str
    tie: str | None = None

    # All in one place behind the fields: a mistake found here is told without the value given.
    @model_validator(mode="after")
    def _is_one_result(self) -> Self:
        check_is_variable("dsn", self.dsn)
        if (self.table is None) == (self.query is None):
            raise ValueError("expected either 'table' or 'query'")
        if self.table is not None and not _TABLE.fullmatch(self.table):
            raise ValueError("expected 'table' to be a name, or schema.name")
        if self.columns and self.query is not None:
            raise ValueError("expected 'columns' beside 'table' only; name them in the query")
        for key, name in (("cursor", self.cursor), ("tie", self.tie)):
            if self.columns and name is not None and name not in self.columns:
                raise ValueError(f"expected '{key}' {name!r} among 'columns'")
        if self.tie == self.cursor:
            raise ValueError("expected 'tie' to be another column than 'cursor'")
        return self
