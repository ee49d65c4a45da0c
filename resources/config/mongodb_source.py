"""Sources that are pulled from a MongoDB collection, document by document behind a cursor field."""

from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator

from resources.config.database_source import DatabaseSource
from resources.config.source import check_is_variable


class MongoSource(DatabaseSource):
    """Documents of one collection, in the order of `cursor`, only what is new at each run.

    `filter` is a MongoDB filter in Extended JSON. `projection` names the fields to fetch; `_id`
    and the cursor come anyway. A document is stamped before it is written: that is what
    `lag_seconds` is for.
    """

    kind: Literal["mongodb"]
    sums: ClassVar[str] = "documents come in pages"
    uri: str
    database: str = Field(min_length=1)
    collection: str = Field(min_length=1)
    cursor: str = "_id"
    filter: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    projection: tuple[str, ...] = ()

    # Behind the fields: a mistake found here is told without the value given.
    @model_validator(mode="after")
    def _is_one_collection(self) -> Self:
        check_is_variable("uri", self.uri)
        if not self.cursor or self.cursor.startswith("$"):
            raise ValueError("expected 'cursor' to name a field")
        return self
