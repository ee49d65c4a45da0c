"""Sources that are pulled from a MongoDB collection, document by document behind a cursor field."""

from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator

from resources.config.postgres_source import Start
from resources.config.rest_api_source import check_is_variable
from resources.config.source import Source


class MongoSource(Source):
    """Documents of one collection, in the order of `cursor`, only what is new at each run.

    `filter` is a MongoDB filter in Extended JSON. `projection` names the fields to fetch; `_id`
    and the cursor come anyway. Documents whose cursor is younger than `lag_seconds` are left for
    the next run: a document is stamped before it is written, so one with an older stamp may still
    appear.
    """

    kind: Literal["mongodb"]
    format: ClassVar[Literal["jsonl"]] = "jsonl"
    uri: str
    database: str = Field(min_length=1)
    collection: str = Field(min_length=1)
    cursor: str = "_id"
    start: Start | None = None
    filter: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    projection: tuple[str, ...] = ()
    page_size: int = Field(10_000, ge=1, le=1_000_000)
    lag_seconds: int = Field(300, ge=0)
    timeout_seconds: int = Field(300, ge=1)

    # Behind the fields: a mistake found here is told without the value given.
    @model_validator(mode="after")
    def _is_one_collection(self) -> Self:
        check_is_variable("uri", self.uri)
        if not self.cursor or self.cursor.startswith("$"):
            raise ValueError("expected 'cursor' to name a field")
        if self.group_by or self.control_total:
            key = "group_by" if self.group_by else "control_total"
            raise ValueError(f"expected no {key!r}: documents come in pages")
        return self
