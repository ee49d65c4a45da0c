"""Sources that are pulled from a database, record by record behind a cursor."""

import datetime as dt
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from resources.config.source import Source


def _as_text(value: object) -> object:
    """A date or number as YAML reads it, as the text that stood there."""
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value) if isinstance(value, int | float) else value


class DatabaseSource(Source):
    """Records in the order of a cursor, from `start` on, only what is new at each run.

    Records whose cursor is younger than `lag_seconds` are left for the next run: a record is
    stamped before it can be seen, so one with an older stamp may still appear. `timeout_seconds`
    is for one page of at most `page_size` records.
    """

    # Why a sum over all of them cannot be asked for, and what can.
    sums: ClassVar[str]
    start: Annotated[str | None, BeforeValidator(_as_text)] = None
    page_size: int = Field(10_000, ge=1, le=1_000_000)
    lag_seconds: int = Field(300, ge=0)
    timeout_seconds: int = Field(300, ge=1)

    @model_validator(mode="after")
    def _sums_nothing(self) -> Self:
        if self.group_by or self.control_total:
            key = "group_by" if self.group_by else "control_total"
            raise ValueError(f"expected no {key!r}: {self.sums}")
        return self
