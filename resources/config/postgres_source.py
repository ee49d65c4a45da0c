"""Sources that are pulled from a PostgreSQL database, row by row behind a cursor column."""

import datetime as dt
import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from resources.config.rest_api_source import check_is_variable
from resources.config.source import Source

_TABLE = re.compile(r"[^.\s]+(\.[^.\s]+)?")


def _as_text(value: object) -> object:
    """A date or number as YAML reads it, as the text that stood there."""
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value) if isinstance(value, int | float) else value


Start = Annotated[str, BeforeValidator(_as_text)]


class PostgresSource(Source):
    """Rows of one table or query, in the order of `cursor`, only what is new at each run.

    `tie` is a second column that tells rows of one cursor value apart: without it a page holds all
    rows of its last value. Rows whose cursor is younger than `lag_seconds` are left for the next
    run: a row is stamped before its transaction commits, so one with an older stamp may appear
    later.
    """

    kind: Literal["postgres"]
    format: ClassVar[Literal["jsonl"]] = "jsonl"
    dsn: str
    table: str | None = None
    columns: tuple[str, ...] = ()
    query: str | None = None
    cursor: str
    tie: str | None = None
    start: Start | None = None
    page_size: int = Field(10_000, ge=1, le=1_000_000)
    lag_seconds: int = Field(300, ge=0)
    timeout_seconds: int = Field(300, ge=1)

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
        if self.group_by or self.control_total:
            key = "group_by" if self.group_by else "control_total"
            raise ValueError(f"expected no {key!r}: rows come in pages; compute it in 'query'")
        return self
