"""What a source of sources.yaml says, whatever its kind; and the kind `files`."""

import datetime as dt
import hashlib
import json
import re
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from resources.config.loading import VARIABLE, Declared
from resources.config.shop import TimeZone
from resources.sources.encodings import known_encoding
from resources.sources.redaction import names_a_person

_ATTRIBUTE = re.compile(r"[^\W\d]\w*")

Entity = Literal["events", "products", "members", "consents"]

# Stands in front of every fingerprint. Raised when records are read in another way than before, so
# that every file is loaded anew: 2, since users and devices have one namespace of pseudonyms.
READING = 2

# What a mapping may give per entity; the starred ones it cannot do without.
FIELDS: dict[Entity, dict[str, bool]] = {
    "events": {
        "message_id": False,
        "event_type": False,
        "event_name": True,
        "anonymous_id": False,
        "user_id": False,
        "occurred_at": True,
        "sent_at": False,
        "received_at": False,
        "user_agent": False,
        "locale": False,
        "time_zone": False,
        "country": False,
        "channel": False,
    },
    "products": {
        "product_id": True,
        "kind": False,
        "title": False,
        "description": False,
        "category": False,
        "brand": False,
        "tags": False,
        "price": False,
        "currency": False,
        "cost": False,
        "stock": False,
        "is_hidden": False,
        "repurchase_days": False,
    },
    "members": {
        "user_id": True,
        "signed_up_at": False,
        "locale": False,
        "time_zone": False,
        "country": False,
        "birth_year": False,
        "channel": False,
        "attributes": False,
    },
    "consents": {
        "user_id": False,
        "channel": False,
        "purpose": False,
        "status": True,
        "at": False,
        "proof": False,
    },
}

# Layouts that need no mapping, by entity; each is one SELECT in sql/raw/layouts.
LAYOUTS: dict[Entity, tuple[str, ...]] = {
    "events": ("segment", "sensors", "ga4"),
    "products": ("catalogue",),
    "members": ("members",),
    "consents": ("consents",),
}


def _one_word(name: str) -> str:
    if not name.replace("_", "").isalnum() or name != name.lower():
        raise ValueError("expected lower-case letters, digits and underscores")
    return name


_DIRECTIVE = re.compile(r"%(-?.|$)")
_OF_A_DATE = ({"Y", "y"}, {"m", "-m", "b", "B"}, {"d", "-d"})
_OF_A_TIME = {"H", "-H", "I", "-I", "p", "M", "-M", "S", "-S", "f", "g", "n", "z", "a", "A", "%"}


def _tells_a_date(time_format: str) -> str:
    used = set(_DIRECTIVE.findall(time_format))
    if "Z" in used:
        raise ValueError(
            "expected no %Z: a zone's abbreviation means several; write it as it stands, beside "
            "'time_zone', or use %z for an offset"
        )
    if unknown := sorted(used.difference(_OF_A_TIME, *_OF_A_DATE)):
        raise ValueError(f"expected directives of strptime, found %{unknown[0]}")
    if not all(used & names for names in _OF_A_DATE):
        raise ValueError("expected a year, a month and a day, such as %d/%m/%Y %H:%M")
    return time_format


def _tells_a_kind(name: str) -> str:
    if not _ATTRIBUTE.fullmatch(name):
        raise ValueError(f"expected letters, digits and underscores, found {name!r}")
    if names_a_person(name):
        raise ValueError(
            f"{name!r} names a person; expected what kind of person it is ('addresses' holds how "
            "to reach them)"
        )
    return name


def _as_column(expression: str) -> str:
    """A single word is a column, also one that SQL keeps for itself, such as at, by or order."""
    word = expression.strip()
    is_column = _ATTRIBUTE.fullmatch(word) and word.lower() not in ("null", "true", "false")
    return f'"{word}"' if is_column else expression


def _listed(given: object) -> object:
    return (given,) if isinstance(given, str) else given


def _encoding(name: str) -> str:
    known_encoding(name)
    return name


def check_is_variable(key: str, value: str) -> None:
    """Refuses a secret that stands in the file itself, without showing it.

    Raises:
        ValueError: the value is not `${NAME}`.
    """
    if not VARIABLE.fullmatch(value):
        raise ValueError(
            f"expected '{key}' to be ${{NAME}}: a secret comes from the environment, not from a "
            "file"
        )


class Source(Declared):
    """What every source says of itself, however its records come.

    Records are read by a built-in `layout`, or by `map`, `properties` and `addresses`: SQL
    expressions over the record's columns (of JSON: its keys, as text, and the whole as `record`).
    Members have `attributes` besides, by name: expressions, or beside their layout the keys of the
    record's own attributes. Beside a layout of events, `events` gives the shop's own event names
    their name in Segment's V2 vocabulary, and `fields` the shop's own properties theirs, at any
    depth. `decimal_mark` says what a comma or a point before three digits is, in numbers that are
    written as texts. Sources of one `order_namespace` share their order numbers, and with no other
    source. `time_format` is the strptime format of texts that are times, or several; without it
    every unambiguous spelling is read. `message_id_placeholders` are ids that name no message, and
    `message_namespace` stands before the others, so that they are no other source's.
    """

    id: Annotated[str, AfterValidator(_one_word)]
    entity: Entity
    layout: str | None = None
    map: dict[str, str] = Field(default_factory=dict[str, str])
    properties: dict[str, str] = Field(default_factory=dict[str, str])
    addresses: dict[str, str] = Field(default_factory=dict[str, str])
    attributes: dict[Annotated[str, AfterValidator(_tells_a_kind)], str] = Field(
        default_factory=dict[str, str]
    )
    events: dict[str, str] = Field(default_factory=dict[str, str])
    fields: dict[str, str] = Field(default_factory=dict[str, str])
    amounts: Literal["major", "minor"] = "major"
    message_id_placeholders: tuple[Annotated[str, Field(pattern=r"\S")], ...] = ()
    message_namespace: Annotated[str, AfterValidator(_one_word)] | None = None
    decimal_mark: Literal[".", ","] = "."
    order_namespace: Annotated[str, AfterValidator(_one_word)] | None = None
    time_zone: TimeZone = "UTC"
    time_format: Annotated[
        tuple[Annotated[str, AfterValidator(_tells_a_date)], ...], BeforeValidator(_listed)
    ] = ()
    where: str | None = None
    group_by: str | None = None
    control_total: str | None = None

    @property
    def fingerprint(self) -> str:
        """Tells one declaration from another by what its records mean."""
        # Without defaults: a new key that a source does not use must not load its files anew.
        said = self.model_dump(mode="json", exclude_defaults=True, exclude={"settle_seconds"})
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
        return f"{READING}-{digest}"

    @model_validator(mode="after")
    def _messages_are_events(self) -> Self:
        if self.entity != "events" and (self.message_id_placeholders or self.message_namespace):
            raise ValueError(
                "expected 'message_id_placeholders' and 'message_namespace' on events only"
            )
        return self

    @field_validator("map", "properties", "addresses", "attributes")
    @classmethod
    def _words_are_columns(cls, given: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        # Beside a layout, attributes are keys.
        if info.data.get("layout") is not None:
            return given
        return {name: _as_column(expression) for name, expression in given.items()}

    @field_validator("group_by")
    @classmethod
    def _groups_are_columns(cls, given: str | None) -> str | None:
        words = [each.strip() for each in (given or "").split(",")]
        is_list = all(map(_ATTRIBUTE.fullmatch, words))
        return ", ".join(map(_as_column, words)) if is_list else given

    @model_validator(mode="after")
    def _time_formats_agree(self) -> Self:
        if len({"%z" in each for each in self.time_format}) > 1:
            raise ValueError("expected every 'time_format' with %z, or none")
        return self

    @model_validator(mode="after")
    def _renaming_is_plain(self) -> Self:
        for key, renamed in (("events", self.events), ("fields", self.fields)):
            if renamed and self.map:
                raise ValueError(f"expected no '{key}' beside 'map', whose expressions can rename")
            if renamed and self.entity != "events":
                raise ValueError(f"expected '{key}' on events only")
            if twice := sorted(set(renamed) & set(renamed.values())):
                raise ValueError(f"expected '{key}' to rename once; {twice[0]!r} is old and new")
        return self

    @model_validator(mode="after")
    def _layout_or_map(self) -> Self:
        if self.layout is not None:
            known = LAYOUTS[self.entity]
            if self.layout not in known:
                raise ValueError(f"expected 'layout' of {self.entity}: {' or '.join(known)}")
            if self.map or self.properties or self.addresses:
                raise ValueError("expected no mapping beside 'layout'")
            for key in self.attributes.values():
                if not _ATTRIBUTE.fullmatch(key):
                    raise ValueError(
                        f"expected a key of the record's own attributes under 'attributes' beside "
                        f"'layout', found {key!r}"
                    )
            return self
        fields = FIELDS[self.entity]
        if unknown := sorted(set(self.map) - set(fields)):
            raise ValueError(f"'map' has no {unknown[0]!r}; expected some of {', '.join(fields)}")
        for name, is_required in fields.items():
            if is_required and name not in self.map:
                raise ValueError(
                    f"expected 'layout', or 'map.{name}': {self.entity} cannot do without it"
                )
        if self.properties and self.entity != "events":
            raise ValueError("expected 'properties' on events only")
        if self.addresses and self.entity not in ("members", "consents"):
            raise ValueError("expected 'addresses' on members and consents only")
        if self.entity == "consents" and "user_id" not in self.map and not self.addresses:
            raise ValueError(
                "expected 'layout', or 'map.user_id' or 'addresses': "
                "a consent that names nobody says nothing"
            )
        if self.attributes and "attributes" in self.map:
            raise ValueError("expected either 'attributes' or 'map.attributes'")
        return self

    @model_validator(mode="after")
    def _attributes_are_members(self) -> Self:
        if self.attributes and self.entity != "members":
            raise ValueError("expected 'attributes' on members only")
        return self


class LoadDateColumn(Declared):
    """The column that holds the day on which a record was handed over; a file's newest counts."""

    column: str


class LandedSource(Source):
    """Files that somebody else puts down.

    `path` is a glob below the landing folder, or absolute; `${NAME}` is taken from the
    environment. `load_date` is the day the files arrived: a date, `from_path` (the date in the
    file's name, else in the folder's), `from_arrival` (of the file's own time when it was first
    loaded), or the newest date in a column of its records. A file changed less than
    `settle_seconds` ago is left for the next run. `encoding` is that of a text; a mark of UTF-16 in
    the file counts before it.
    """

    path: str
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    load_date: dt.date | Literal["from_path", "from_arrival"] | LoadDateColumn = "from_path"
    settle_seconds: Annotated[int, Field(ge=0)] = 0


class Beside(Declared):
    """Files that a source's files need: of the same format and load date, looked up by a key.

    `key` gives the columns of the key, by the source's own names for them. A record that finds none
    is rejected unless it `is_optional`.
    """

    path: str
    key: Annotated[dict[str, str], Field(min_length=1)]
    is_optional: bool = False


class FileSource(LandedSource):
    """Files of one format and meaning; `.gz` and `.zst` are read as what they hold.

    The columns of a CSV are parted by `delimiter`; a field that holds one stands in double quotes,
    and a double quote in it is doubled (RFC 4180). `columns` names them where the file does not.
    `beside` names other files whose records the mapping reads too, as `name.column`.
    """

    kind: Literal["files"]
    format: Literal["jsonl", "csv", "parquet"]
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    columns: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    beside: dict[Annotated[str, AfterValidator(_one_word)], Beside] = Field(
        default_factory=dict[str, Beside]
    )

    @property
    def is_parquet(self) -> bool:
        """Whether the files are Parquet."""
        return self.format == "parquet"

    @model_validator(mode="after")
    def _only_text_is_described(self) -> Self:
        if self.delimiter in '"\r\n':
            raise ValueError("expected a 'delimiter' that is neither a quote nor a line end")
        if self.columns and self.format != "csv":
            raise ValueError("expected 'columns' beside 'format: csv' only")
        if self.beside and (self.layout or self.format == "jsonl"):
            raise ValueError("expected 'beside' with 'map', for csv or parquet")
        if self.encoding != "utf-8" and self.format == "parquet":
            raise ValueError("expected no 'encoding' of parquet, which has its own")
        named = [name.strip().lower() for name in self.columns or ()]
        if "" in named or len(set(named)) < len(named):
            raise ValueError("expected 'columns' to name each column, and none twice")
        return self

    @model_validator(mode="after")
    def _tables_are_mapped(self) -> Self:
        if self.layout is None or self.format == "jsonl":
            return self
        if (self.layout, self.format) != ("ga4", "parquet"):
            raise ValueError(
                f"expected 'map', not 'layout' {self.layout}, for {self.format}"
                " (of layouts, ga4 alone reads parquet)"
            )
        return self
