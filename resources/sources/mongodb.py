"""Documents of a MongoDB collection, page by page behind a cursor field."""

import base64
import datetime as dt
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote
from uuid import UUID
from zoneinfo import ZoneInfo

import pymongo
from bson import Code, Decimal128, ObjectId, json_util
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.errors import BSONError
from bson.timestamp import Timestamp
from pymongo.collection import Collection
from pymongo.errors import (
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern

from resources.config.loading import expand
from resources.config.mongodb_source import MongoSource
from resources.sources.files import SourceError
from resources.sources.pages import Page

_Documents = Collection[dict[str, Any]]

# Every BSON value there and back.
_EXTENDED_JSON = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    uuid_representation=UuidRepresentation.STANDARD,
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
_CURSOR_KINDS = ("an ObjectId", "a date", "a number", "a text")
_AUTHENTICATION_FAILED = 18
_SILENCE_MILLISECONDS = 10_000
_PASSWORD = re.compile(r"//[^/@]*?:([^/@]*)@")


def pages(
    source: MongoSource, cursor: str | None, *, environment: Mapping[str, str]
) -> Iterator[Page]:
    """The documents behind `cursor`, in the order of the cursor field, a page at a time.

    Documents of one cursor value are told apart by `_id`. Which documents are old enough is
    settled once, at the beginning. Values come as plain JSON: an ObjectId as its hexadecimal
    text, times as ISO 8601 in UTC, Decimal128 and numbers that JSON lacks as text, UUIDs as their
    text, other binary in base64.

    Args:
        source: what to read.
        cursor: of the last page that was stored, or None to begin.
        environment: holds the connection string.

    Raises:
        ConfigError: the variable of the connection string is not set.
        SourceError: the server cannot be reached or refuses, or documents
            would be lost; pages given before stand.
    """
    uri = expand(source.uri, environment)
    n_pages = 0
    documents = _opened(source, uri)
    try:
        reading = _Reading.begun(source, documents)
        if reading is None:
            return
        position = reading.position(cursor)
        while True:
            found = reading.documents_behind(position)
            if not found:
                return
            last = found[-1]
            position = _Position(reading.checked(last), last["_id"])
            yield Page([_plain(each) for each in found], reading.cursor(position))
            n_pages += 1
            if len(found) < source.page_size:
                return
    # Not chained: what the driver says may repeat the connection string.
    except PyMongoError as error:
        raise _refused(source, error, uri, n_pages) from None
    finally:
        documents.database.client.close()


@dataclass(frozen=True)
class _Position:
    """Where a page ended: the last document's cursor value and its `_id`."""

    value: Any
    id: Any


@dataclass(frozen=True)
class _Reading:
    """One run over a collection: what is asked for, and up to where."""

    source: MongoSource
    collection: _Documents
    filter: dict[str, Any]
    kind: str
    bound: object

    @classmethod
    def begun(cls, source: MongoSource, collection: _Documents) -> "_Reading | None":
        """Makes sure that every document has a place in the order; None: there are none."""
        filter = _filter(source)
        # The order runs by kinds of values: if first and last are of one kind, all are.
        ends = [
            _ends(source, collection, filter, name)
            for name in dict.fromkeys((source.cursor, "_id"))
        ]
        if ends[0] is None:
            return None
        kinds = [[_kind(value) for value in end or ()] for end in ends]
        for name, of_field in zip((source.cursor, "_id"), kinds, strict=False):
            if len(set(of_field)) > 1:
                raise SourceError(
                    f"source '{source.id}': its field {name!r} is {of_field[0]} in some "
                    f"documents and {of_field[1]} in others, which would not all be read; "
                    "leave those of one kind out with 'filter'"
                )
        kind = kinds[0][0]
        if kind not in _CURSOR_KINDS:
            raise SourceError(
                f"source '{source.id}': its cursor {source.cursor!r} is {kind}; expected "
                f"{' or '.join(_CURSOR_KINDS)}"
            )
        bound = _bound(source, collection, kind)
        return cls(source, collection, filter, kind, bound)

    def position(self, cursor: str | None) -> _Position | None:
        """Where the stored cursor says that the last page ended."""
        if cursor is None:
            return None
        stored = cast("dict[str, Any]", json_util.loads(cursor, json_options=_EXTENDED_JSON))
        if (stored["field"], _kind(stored["value"])) != (self.source.cursor, self.kind):
            raise SourceError(
                f"source '{self.source.id}': it was read by {stored['field']} "
                f"({_kind(stored['value'])}), and now says {self.source.cursor} ({self.kind}); "
                "bring that back, or give the source another id to read all of it anew"
            )
        return _Position(stored["value"], stored["_id"])

    def cursor(self, position: _Position) -> str:
        """The position as text, to be stored beside the page."""
        said = {"field": self.source.cursor, "value": position.value, "_id": position.id}
        return json_util.dumps(said, json_options=_EXTENDED_JSON)

    def checked(self, document: Mapping[str, Any]) -> object:
        """A document's cursor value.

        Raises:
            SourceError: it is a list, which has several places in the order.
        """
        value = _value(document, self.source.cursor)
        if _kind(value) != self.kind:
            raise SourceError(
                f"source '{self.source.id}': its cursor {self.source.cursor!r} is {_kind(value)} "
                f"in some documents and {self.kind} in others; leave those of one kind out with "
                "'filter'"
            )
        return value

    def documents_behind(self, position: _Position | None) -> list[dict[str, Any]]:
        """The next page of documents."""
        source, name = self.source, self.source.cursor
        conditions: list[dict[str, Any]] = [self.filter] if self.filter else []
        if position is None and source.start is not None:
            conditions.append({name: {"$gte": _started(source, source.start, self.kind)}})
        if position is not None and name == "_id":
            conditions.append({name: {"$gt": position.value}})
        elif position is not None:
            behind = [{name: {"$gt": position.value}}, {"_id": {"$gt": position.id}}]
            conditions += [{name: {"$gte": position.value}}, {"$or": behind}]
        if self.bound is not None:
            conditions.append({name: {"$lt": self.bound}})
        fields = source.projection
        covered = any(name == each or name.startswith(each + ".") for each in fields)
        names = [*fields, *([] if covered else [name])] if fields else []
        found = self.collection.find(
            {"$and": conditions} if conditions else {},
            dict.fromkeys(names, 1) or None,
            sort=[(each, 1) for each in dict.fromkeys((name, "_id"))],
            limit=source.page_size,
            max_time_ms=_milliseconds(source),
        )
        return list(found)


def _kind(value: object) -> str:
    """What MongoDB orders a value among."""
    match value:
        case None:
            return "missing"
        case bool():
            return "a boolean"
        case int():
            return "a number"
        case float():
            return "a number" if math.isfinite(value) else "NaN or infinite"
        case Decimal128():
            return "a number" if value.to_decimal().is_finite() else "NaN or infinite"
        case ObjectId():
            return "an ObjectId"
        case dt.datetime() | DatetimeMS():
            return "a date"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "a document"
        case _:
            return f"of type {type(value).__name__}"


def _value(document: Mapping[str, Any], path: str) -> object:
    """A field of a document, `a.b` being b within a; a missing one is ordered as null is."""
    value: Any = document
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = cast("dict[str, Any]", value)[part]
    return value


def _ends(
    source: MongoSource, collection: _Documents, filter: dict[str, Any], name: str
) -> tuple[object, object] | None:
    """The first and the last value of a field in its order."""
    first, last = (
        collection.find_one(
            filter, {name: 1}, sort=[(name, direction)], max_time_ms=_milliseconds(source)
        )
        for direction in (1, -1)
    )
    return None if first is None or last is None else (_value(first, name), _value(last, name))


def _bound(source: MongoSource, collection: _Documents, kind: str) -> object:
    """The cursor value from which on documents are left for the next run; None: not a time.

    Without a lag too: a document stamped in the future must not move the cursor there.
    """
    if kind not in ("an ObjectId", "a date"):
        if not source.lag_seconds:
            return None
        raise SourceError(
            f"source '{source.id}': its cursor {source.cursor!r} is {kind}, not a time, so "
            "documents that are written late cannot be waited for and would be lost; take a date "
            "or ObjectId as 'cursor', or give 'lag_seconds: 0' if they are written in its order"
        )
    database = collection.database
    said = database.command(
        "hello",
        read_preference=database.read_preference,
        codec_options=cast("CodecOptions[dict[str, Any]]", database.codec_options),
    )
    settled = cast(dt.datetime, said["localTime"]) - dt.timedelta(seconds=source.lag_seconds)
    return settled if kind == "a date" else ObjectId.from_datetime(settled)


def _started(source: MongoSource, start: str, kind: str) -> object:
    """The declared start as a value of the cursor's kind."""
    try:
        if kind == "a text":
            return start
        if kind == "a number":
            return int(start) if start.lstrip("-").isdigit() else float(start)
        if kind == "an ObjectId" and ObjectId.is_valid(start):
            return ObjectId(start)
        at = dt.datetime.fromisoformat(start)
    except ValueError as error:
        raise SourceError(
            f"source '{source.id}': its cursor {source.cursor!r} is {kind}, and 'start' is "
            f"{start!r}; give such a value"
        ) from error
    at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(source.time_zone))
    return at if kind == "a date" else ObjectId.from_datetime(at)


def _filter(source: MongoSource) -> dict[str, Any]:
    try:
        return cast(
            "dict[str, Any]",
            json_util.loads(json.dumps(source.filter), json_options=_EXTENDED_JSON),
        )
    except (BSONError, TypeError, ValueError) as error:
        raise SourceError(
            f"source '{source.id}': its filter is not Extended JSON "
            f"({str(error).splitlines()[0]}); correct 'filter'"
        ) from error


def _plain(document: Mapping[str, Any]) -> dict[str, object]:
    return {name: _plain_value(value) for name, value in document.items()}


def _plain_value(value: Any) -> object:
    """A BSON value as JSON."""
    match value:
        case Code():
            return _extended(value)
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else _spelt(value)
        case dict():
            return _plain(cast("dict[str, Any]", value))
        case list():
            return [_plain_value(each) for each in cast("list[Any]", value)]
        case dt.datetime():
            return _iso(value)
        case Timestamp():
            return _iso(value.as_datetime())
        case ObjectId() | Decimal128() | UUID():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case DBRef():
            return _plain(value.as_doc())
        case _:
            return _extended(value)


def _extended(value: object) -> object:
    """What JSON has no word for, such as a regular expression or a date after 9999."""
    return json.loads(json_util.dumps(value, json_options=_EXTENDED_JSON))


def _spelt(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _iso(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds")


def _milliseconds(source: MongoSource) -> int:
    return source.timeout_seconds * 1000


def _opened(source: MongoSource, uri: str) -> _Documents:
    try:
        client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            uri,
            appname="siyu",
            tz_aware=True,
            datetime_conversion=DatetimeConversion.DATETIME_AUTO,
            uuidRepresentation="standard",
            unicode_decode_error_handler="replace",
            # Where the network is silent the server's own limit does not arrive.
            socketTimeoutMS=_milliseconds(source) + _SILENCE_MILLISECONDS,
        )
        # What a majority has not taken over may be undone, and the cursor be ahead of it.
        return client[source.database].with_options(read_concern=ReadConcern("majority"))[
            source.collection
        ]
    except (PyMongoError, ValueError):
        # The parser's words may repeat parts of the string.
        raise SourceError(
            f"source '{source.id}': {source.uri} is not a connection string of MongoDB, or "
            "'database' or 'collection' not a name; set it to mongodb://user:password@host/"
        ) from None


def _refused(source: MongoSource, error: PyMongoError, uri: str, n_pages: int) -> SourceError:
    """One line for what the driver or the server said."""
    # A description of the whole topology may follow.
    message = (str(error).splitlines() or [""])[0].split(", full error:")[0]
    message = message.split(", Timeout:")[0].split(" (configured timeouts:")[0]
    for password in _passwords(uri):
        message = message.replace(password, "***")
    so_far = f" after {n_pages} pages, which stand" if n_pages else ""
    code = error.code if isinstance(error, OperationFailure) else None
    is_slow = isinstance(error, ExecutionTimeout | NetworkTimeout)
    if isinstance(error, ConnectionFailure) and not is_slow:
        problem = f"the server of {source.uri} cannot be read ({message}){so_far}"
        advice = "see that it runs and can be reached, and run again: it goes on from there"
    elif is_slow:
        problem = f"a page took longer than {source.timeout_seconds} s ({message}){so_far}"
        advice = "index the cursor and _id, lower 'page_size' or raise 'timeout_seconds'"
    elif code == _AUTHENTICATION_FAILED:
        problem = f"the server refuses the login of {source.uri} ({message})"
        advice = "correct the variable"
    else:
        problem = f"the server refuses the query ({message}){so_far}"
        advice = "correct the source in sources.yaml, or grant its user the right to read"
    return SourceError(f"source '{source.id}': {problem}; {advice}")


def _passwords(uri: str) -> Sequence[str]:
    found = _PASSWORD.search(uri)
    return [each for each in (found[1], unquote(found[1])) if each] if found else []
