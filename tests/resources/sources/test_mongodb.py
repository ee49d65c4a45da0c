"""The real driver over a real socket: every document once, whatever happens in between.

No MongoDB server can be installed from the registries that tests may use, so the server here is
ours: it speaks MongoDB's wire protocol and answers only the commands and operators it knows.
"""

import base64
import datetime as dt
import json
import os
import random
import re
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from functools import cmp_to_key
from itertools import count, pairwise
from pathlib import Path
from typing import Any, cast

import bson
import pytest
import yaml
from bson import Binary, Code, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from assets.raw.assets import TABLES
from resources.config.loading import ConfigError, load
from resources.config.mongodb_source import MongoSource
from resources.keys import Keyring, Keys
from resources.sources.collection import changed, collect
from resources.sources.files import SourceError
from resources.sources.mongodb import pages
from resources.sources.pages import Page, Spool
from resources.sources.pulling import pull
from resources.vault import Vault
from resources.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "s3cret-of-the-shop"
SECRET = "0123456789abcdef0123456789abcdef"
NOW = dt.datetime(2026, 7, 3, 12, tzinfo=dt.UTC)
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)

Document = dict[str, Any]


class Refused(Exception):
    """An error that the server sends to its client."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.reply = {"ok": 0.0, "code": code, "errmsg": message}


def rank(value: Any) -> int:
    """MongoDB's order of types: null, numbers, texts, documents, lists and so on."""
    types: list[type | tuple[type, ...]] = [MinKey, type(None), (int, float, Decimal128), str, dict]
    types += [list, bytes, ObjectId, bool, dt.datetime]
    if isinstance(value, bool):
        return types.index(bool)
    return next(n for n, each in enumerate(types) if isinstance(value, each))


def compared(left: Any, right: Any) -> int:
    if rank(left) != rank(right):
        return -1 if rank(left) < rank(right) else 1
    if left is None:
        return 0
    left, right = (v.to_decimal() if isinstance(v, Decimal128) else v for v in (left, right))
    return (left > right) - (left < right)


def field_of(document: Document, path: str) -> Any:
    value: Any = document
    for part in path.split("."):
        value = cast(Document, value).get(part) if isinstance(value, dict) else None
    # A list is found, and sorted, by its elements.
    if isinstance(value, list) and value:
        return min(cast("list[Any]", value), key=cmp_to_key(compared))
    return cast(Any, value)


def matches(document: Document, wanted: Document) -> bool:
    """Whether a document passes a filter; comparisons are among values of one type only."""
    for key, condition in wanted.items():
        if key == "$and":
            found = all(matches(document, each) for each in condition)
        elif key == "$or":
            found = any(matches(document, each) for each in condition)
        elif key.startswith("$"):
            raise Refused(2, f"unknown top level operator: {key}")
        else:
            value = field_of(document, key)
            operators = (
                cast(Document, condition) if isinstance(condition, dict) else {"$eq": condition}
            )
            found = all(meets(value, name, right) for name, right in operators.items())
        if not found:
            return False
    return True


def meets(value: Any, operator: str, right: Any) -> bool:
    if (operator, right) == ("$type", "date"):
        return isinstance(value, dt.datetime)
    if operator not in ("$eq", "$gt", "$gte", "$lt"):
        raise Refused(2, f"unknown operator: {operator}")
    if rank(value) != rank(right):
        return False
    sign = compared(value, right)
    return {"$eq": sign == 0, "$gt": sign > 0, "$gte": sign >= 0, "$lt": sign < 0}[operator]


def projected(document: Document, fields: Document) -> Document:
    if not fields:
        return document
    paths = ["_id", *fields]
    if any(a != b and b.startswith(a + ".") for a in paths for b in paths):
        raise Refused(31249, "Path collision")

    def within(part: Document, prefix: str) -> Document:
        kept: Document = {}
        for key, value in part.items():
            path = prefix + key
            if path in paths:
                kept[key] = value
            elif isinstance(value, dict) and any(each.startswith(path + ".") for each in paths):
                kept[key] = within(cast(Document, value), path + ".")
        return kept

    return within(document, "")


class Server(socketserver.ThreadingTCPServer):
    """One collection, `shop.orders`, and a clock that stands still."""

    allow_reuse_address = True
    daemon_threads = True
    # Real servers send at most 16 MB at once; the rest is asked for with getMore.
    batch_length = 7

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.documents: list[Document] = []
        self.seen: list[Document] = []
        self.fails_at: int | None = None
        self.seconds = 0.0
        self.cursors: dict[int, list[Document]] = {}
        self.numbers = count(1)
        self.sockets: set[socket.socket] = set()
        self.options = ""
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def uri(self) -> str:
        waits = "serverSelectionTimeoutMS=400&heartbeatFrequencyMS=500"
        return f"mongodb://127.0.0.1:{self.server_address[1]}/?{waits}"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for each in list(self.sockets):
            each.close()

    def answered(self, command: Document) -> Document:
        name = next(iter(command))
        try:
            return {"ok": 1.0, **self.answer(name, command)}
        except Refused as refused:
            return refused.reply

    def answer(self, name: str, command: Document) -> Document:
        if name.lower() in ("hello", "ismaster"):
            return {
                "isWritablePrimary": True,
                "ismaster": True,
                "helloOk": True,
                "localTime": NOW,
                "minWireVersion": 0,
                "maxWireVersion": 21,
                "maxBsonObjectSize": 16 << 20,
                "maxMessageSizeBytes": 48_000_000,
                "maxWriteBatchSize": 100_000,
                "logicalSessionTimeoutMinutes": 30,
                "readOnly": False,
            }
        if name == "saslStart":
            # A server that says more than it should.
            raise Refused(18, f"Authentication failed: {PASSWORD}")
        if name == "find":
            return self.find(command)
        if name == "getMore":
            batch = self.batch(command["getMore"])
            return {"cursor": {"nextBatch": batch, "id": self.rest(command["getMore"])}}
        if name in ("endSessions", "killCursors", "ping"):
            return {}
        raise Refused(59, f"no such command: '{name}'")

    def find(self, command: Document) -> Document:
        self.seen.append(command)
        assert (command["find"], command["$db"]) == ("orders", "shop")
        assert command["readConcern"] == {"level": "majority"}
        if self.fails_at is not None and len(self.seen) >= self.fails_at:
            raise ConnectionAbortedError
        if command["maxTimeMS"] < self.seconds * 1000:
            raise Refused(50, "operation exceeded time limit")
        found = [each for each in self.documents if matches(each, command.get("filter", {}))]
        for key, direction in reversed(command.get("sort", {}).items()):
            found.sort(
                key=cmp_to_key(lambda a, b, key=key: compared(field_of(a, key), field_of(b, key))),
                reverse=direction < 0,
            )
        found = found[: command.get("limit") or None]
        number = next(self.numbers)
        self.cursors[number] = [projected(each, command.get("projection", {})) for each in found]
        batch = self.batch(number)
        rest = 0 if command.get("singleBatch") else self.rest(number)
        return {"cursor": {"firstBatch": batch, "id": rest, "ns": "shop.orders"}}

    def batch(self, number: int) -> list[Document]:
        batch = self.cursors[number][: self.batch_length]
        self.cursors[number] = self.cursors[number][self.batch_length :]
        return batch

    def rest(self, number: int) -> Int64:
        return Int64(number if self.cursors[number] else 0)


def decoded(content: bytes) -> Document:
    return bson.decode(content, AWARE)  # pyright: ignore[reportUnknownMemberType]


class Connection(socketserver.BaseRequestHandler):
    """OP_MSG in, OP_MSG out; the driver's first greeting is an OP_QUERY."""

    def handle(self) -> None:
        self.owner.sockets.add(self.request)
        try:
            while head := self.received(16):
                length, request_id, _, code = struct.unpack("<iiii", head)
                body = self.received(length - 16)
                self.answer(request_id, code, body)
        except OSError:
            self.request.close()

    @property
    def owner(self) -> Server:
        return cast(Server, self.server)

    def received(self, length: int) -> bytes:
        parts = b""
        while len(parts) < length and (part := self.request.recv(length - len(parts))):
            parts += part
        return parts

    def answer(self, request_id: int, code: int, body: bytes) -> None:
        if code == OP_QUERY:
            command = decoded(body[body.index(b"\x00", 4) + 9 :])
            said = bson.encode(self.owner.answered(command))
            packed, code = struct.pack("<iqii", 8, 0, 0, 1) + said, OP_REPLY
        else:
            assert code == OP_MSG
            assert body[4] == 0
            command = decoded(body[5:])
            packed = struct.pack("<ib", 0, 0) + bson.encode(self.owner.answered(command))
        self.request.sendall(struct.pack("<iiii", 16 + len(packed), 0, request_id, code) + packed)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def source(**changes: Any) -> MongoSource:
    return MongoSource.model_validate(
        {
            "id": "shop",
            "kind": "mongodb",
            "entity": "events",
            "layout": "segment",
            "uri": "${SHOP_MONGO}",
            "database": "shop",
            "collection": "orders",
            **changes,
        }
    )


def reads(server: Server, declared: MongoSource, cursor: str | None = None) -> list[Page]:
    return list(pages(declared, cursor, environment={"SHOP_MONGO": server.uri}))


def ids(found: list[Page]) -> list[list[Any]]:
    return [[record["_id"] for record in page.records] for page in found]


def at(day: int, hour: int = 0, microsecond: int = 0) -> dt.datetime:
    return dt.datetime(2026, 7, day, hour, microsecond=microsecond, tzinfo=dt.UTC)


BY_NUMBER = {"lag_seconds": 0, "page_size": 2}
BY_TIME = {"cursor": "at", "page_size": 2}


def test_each_run_reads_what_is_new(server: Server) -> None:
    server.documents = [{"_id": 2}, {"_id": 1}, {"_id": 3}]
    first = reads(server, source(**BY_NUMBER))
    assert ids(first) == [[1, 2], [3]]
    assert reads(server, source(**BY_NUMBER), first[-1].cursor) == []
    server.documents.append({"_id": 4})
    assert ids(reads(server, source(**BY_NUMBER), first[-1].cursor)) == [[4]]
    server.documents = []
    assert reads(server, source(**BY_NUMBER), first[-1].cursor) == []


def test_a_document_that_changed_comes_again(server: Server) -> None:
    server.documents = [{"_id": n, "at": at(1, hour=n)} for n in range(1, 4)]
    first = reads(server, source(**BY_TIME))
    server.documents[0]["at"] = at(2)
    assert ids(reads(server, source(**BY_TIME), first[-1].cursor)) == [[1]]


def test_documents_of_one_value_are_told_apart_by_id(server: Server) -> None:
    server.documents = [{"_id": n, "at": at(1 if n < 6 else 2)} for n in range(7, 0, -1)]
    first = reads(server, source(**BY_TIME))
    assert ids(first) == [[1, 2], [3, 4], [5, 6], [7]]
    for before, after in pairwise(first):
        assert reads(server, source(**BY_TIME), before.cursor)[0] == after


def test_a_page_larger_than_one_answer_is_whole(server: Server) -> None:
    server.documents = [{"_id": n} for n in range(30)]
    assert ids(reads(server, source(lag_seconds=0, page_size=20))) == [
        list(range(20)),
        list(range(20, 30)),
    ]


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(st.lists(st.integers(0, 5), max_size=8), min_size=1, max_size=4), st.integers(1, 4))
def test_no_document_is_lost_or_repeated(
    server: Server, batches: list[list[int]], page_size: int
) -> None:
    server.documents = []
    declared = source(cursor="step", page_size=page_size, lag_seconds=0)
    cursor: str | None = None
    found: list[Any] = []
    for number, batch in enumerate(batches):
        for step in batch:
            server.documents.append({"_id": len(server.documents), "step": number * 10 + step})
        for page in reads(server, declared, cursor):
            found += [record["_id"] for record in page.records]
            cursor = page.cursor
    assert sorted(found) == list(range(len(server.documents)))


@pytest.mark.parametrize(
    "values",
    [
        [ObjectId(f"6a00000000000000000000{n:02x}") for n in (1, 2, 255)],
        [at(1, microsecond=1000), at(1, microsecond=2000), at(2)],
        [Int64(2**62), Int64(2**62 + 1), Decimal128("4611686018427387906.5")],
        [-1.5, 0, 10],
        ["", 'a"\\', "雪"],
    ],
)
def test_a_cursor_goes_on_behind_its_very_value(server: Server, values: list[Any]) -> None:
    server.documents = [{"_id": n, "at": value} for n, value in enumerate(values)]
    lag = 0 if isinstance(values[0], int | float | str) else 300
    declared = source(cursor="at", page_size=1, lag_seconds=lag)
    whole = reads(server, declared)
    assert ids(whole) == [[0], [1], [2]]
    for before, after in pairwise(whole):
        assert reads(server, declared, before.cursor)[0] == after


def test_a_cursor_may_lie_within_a_document(server: Server) -> None:
    server.documents = [{"_id": n, "meta": {"at": at(n), "by": "me"}} for n in (1, 2, 3)]
    declared = source(cursor="meta.at", page_size=2, projection=("name",))
    whole = reads(server, declared)
    assert ids(whole) == [[1, 2], [3]]
    assert reads(server, declared, whole[0].cursor) == [whole[1]]
    assert "by" not in str(whole[0].records)
    assert reads(server, source(cursor="meta.at", page_size=2, projection=("meta",)))[1].records[
        0
    ] == {"_id": 3, "meta": {"at": "2026-07-03T00:00:00.000+00:00", "by": "me"}}


@pytest.mark.parametrize("of_id", [True, False])
def test_young_documents_are_left_for_the_next_run(server: Server, of_id: bool) -> None:
    stamps = [NOW - dt.timedelta(seconds=s) for s in (301, 299, -3600)]
    if of_id:
        server.documents = [{"_id": ObjectId.from_datetime(each)} for each in stamps]
        found = reads(server, source())
    else:
        server.documents = [{"_id": n, "at": each} for n, each in enumerate(stamps)]
        found = reads(server, source(**BY_TIME))
    assert [len(page.records) for page in found] == [1]
    # Without a lag, what is stamped in the future still does not carry the cursor away.
    changes = {} if of_id else {"cursor": "at"}
    (page,) = reads(server, source(**changes, lag_seconds=0))
    assert len(page.records) == 2


@pytest.mark.parametrize(
    ("start", "value"),
    [
        (dt.date(2026, 7, 2), at(2)),
        ("2026-07-02T08:00:00+08:00", at(2)),
        ("6a00000000000000000000ff", ObjectId("6a00000000000000000000ff")),
        ("2026-07-02", ObjectId.from_datetime(at(2))),
        (12, 12),
        ("1.5", 1.5),
        ("b", "b"),
    ],
)
def test_a_start_is_a_value_of_the_cursor(server: Server, start: object, value: Any) -> None:
    server.documents = [{"_id": 1, "at": value}]
    lag = 0 if isinstance(value, int | float | str) else 300
    reads(server, source(cursor="at", start=start, lag_seconds=lag))
    assert {"at": {"$gte": value}} in server.seen[-1]["filter"]["$and"]


def test_a_filter_is_extended_json(server: Server) -> None:
    server.documents = [{"_id": n, "at": at(n), "kind": "ab"[n % 2]} for n in range(1, 4)]
    declared = source(
        **BY_TIME,
        filter={"kind": "b", "at": {"$gte": {"$date": "2026-07-02T00:00:00Z"}}},
    )
    assert ids(reads(server, declared)) == [[3]]


def test_values_come_as_json(server: Server) -> None:
    number = ObjectId("6a00000000000000000000ff")
    server.documents = [
        {
            "_id": number,
            "at": dt.datetime(2026, 7, 1, 1, 2, 3, 456000, tzinfo=dt.UTC),
            "price": Decimal128("19.90"),
            "nothing": [None, float("nan"), float("inf"), -float("inf"), 0.1, True],
            "count": Int64(2**62),
            "bytes": b"\x00\xff",
            "md5": Binary(b"12", 5),
            "uuid": Binary(bytes(range(16)), 4),
            "lines": [{"product": number, "tags": ["雪", {"deep": at(2)}]}],
            "pattern": Regex("^a", "i"),
            "code": Code("f()"),
            "stamp": Timestamp(1782867723, 1),
            "ref": DBRef("members", number),
            "least": MinKey(),
        }
    ]
    server.documents[0]["late"] = DatetimeMS(253402300800000)
    ((record,),) = [page.records for page in reads(server, source())]
    assert record == {
        "_id": "6a00000000000000000000ff",
        "at": "2026-07-01T01:02:03.456+00:00",
        "price": "19.90",
        "nothing": [None, "NaN", "Infinity", "-Infinity", 0.1, True],
        "count": 2**62,
        "bytes": base64.b64encode(b"\x00\xff").decode(),
        "md5": base64.b64encode(b"12").decode(),
        "uuid": "00010203-0405-0607-0809-0a0b0c0d0e0f",
        "lines": [
            {
                "product": "6a00000000000000000000ff",
                "tags": ["雪", {"deep": "2026-07-02T00:00:00.000+00:00"}],
            }
        ],
        "pattern": {"$regularExpression": {"pattern": "^a", "options": "i"}},
        "code": {"$code": "f()"},
        "stamp": "2026-07-01T01:02:03.000+00:00",
        "ref": {"$ref": "members", "$id": "6a00000000000000000000ff"},
        "least": {"$minKey": 1},
        "late": {"$date": {"$numberLong": "253402300800000"}},
    }
    json.dumps(record, allow_nan=False)


REFUSALS: dict[str, tuple[list[Document], dict[str, Any], str]] = {
    "missing cursor": (
        [{"_id": 1, "at": at(1)}, {"_id": 2}],
        {"cursor": "at"},
        "its field 'at' is missing in some documents and a date in others, which would not all be "
        "read; leave those of one kind out with 'filter'",
    ),
    "two kinds": (
        [{"_id": 1, "at": at(1)}, {"_id": 2, "at": "2026-07-01"}],
        {"cursor": "at"},
        "its field 'at' is a text in some documents and a date in others",
    ),
    "two kinds of ids": (
        [{"_id": 1, "at": at(1)}, {"_id": "a", "at": at(1)}],
        {"cursor": "at"},
        "its field '_id' is a number in some documents and a text in others",
    ),
    "NaN": (
        [{"_id": 1, "n": float("inf")}],
        {"cursor": "n", "lag_seconds": 0},
        "its cursor 'n' is NaN or infinite; expected an ObjectId or a date or a number or a text",
    ),
    "everywhere missing": (
        [{"_id": 1}],
        {"cursor": "at"},
        "its cursor 'at' is missing; expected an ObjectId",
    ),
    "a list": (
        [{"_id": 1, "at": [at(1), at(2)]}],
        {"cursor": "at"},
        "its cursor 'at' is a list; expected",
    ),
    "a number and a lag": (
        [{"_id": 1}],
        {},
        "its cursor '_id' is a number, not a time, so documents that are written late",
    ),
    "start of another kind": (
        [{"_id": 1, "at": at(1)}],
        {"cursor": "at", "start": "soon"},
        "its cursor 'at' is a date, and 'start' is 'soon'; give such a value",
    ),
    "unknown operator": (
        [{"_id": 1}],
        {"filter": {"a": {"$near": 1}}},
        "the server refuses the query (unknown operator: $near",
    ),
    "not Extended JSON": (
        [{"_id": 1}],
        {"filter": {"a": {"$oid": "xyz"}}},
        "its filter is not Extended JSON (",
    ),
    "no name": ([], {"database": "a b/c"}, "'database' or 'collection' not a name"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_read_is_refused_in_one_line(server: Server, name: str) -> None:
    server.documents, changes, words = REFUSALS[name]
    with pytest.raises(SourceError) as refused:
        reads(server, source(**changes))
    assert str(refused.value).startswith("source 'shop': ")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_cursor_field_does_not_go_on_from_the_first(server: Server) -> None:
    server.documents = [{"_id": 1, "at": at(1)}]
    (page,) = reads(server, source(**BY_TIME))
    with pytest.raises(
        SourceError, match=r"it was read by at .a date., and now says _id .a number"
    ):
        reads(server, source(lag_seconds=0), page.cursor)


def test_a_slow_server_is_not_waited_for_beyond_the_limit(server: Server) -> None:
    server.documents = [{"_id": 1}]
    server.seconds = 3
    with pytest.raises(SourceError, match="a page took longer than 1 s"):
        reads(server, source(lag_seconds=0, timeout_seconds=1))


def test_pages_before_the_server_stopped_stand(server: Server) -> None:
    server.documents = [{"_id": n} for n in range(5)]
    reading = pages(source(**BY_NUMBER), None, environment={"SHOP_MONGO": server.uri})
    first = next(reading)
    server.fails_at = 0
    with pytest.raises(SourceError, match=r"after 1 pages, which stand; .* it goes on from there"):
        next(reading)
    server.fails_at = None
    rest = reads(server, source(**BY_NUMBER), first.cursor)
    assert ids([first, *rest]) == [[0, 1], [2, 3], [4]]


def test_the_password_is_shown_nowhere(server: Server, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = unused.getsockname()[1]
    right = server.uri.replace("//", f"//siyu:{PASSWORD}@")
    wrong = {
        right: "the server refuses the login of ${SHOP_MONGO} (Authentication failed: ***",
        right.replace(str(server.server_address[1]), str(nobody)): "the server of ${SHOP_MONGO}",
        f"siyu:{PASSWORD}@127.0.0.1": "${SHOP_MONGO} is not a connection string of MongoDB",
        f"mongodb://siyu:{PASSWORD}@a@b/": "is not a connection string of MongoDB",
    }
    for uri, words in wrong.items():
        with pytest.raises(SourceError) as refused:
            list(pages(source(), None, environment={"SHOP_MONGO": uri}))
        assert words in str(refused.value)
        assert PASSWORD not in "".join(traceback.format_exception(refused.value))
    with pytest.raises(ConfigError, match="SHOP_MONGO, which is not set or empty; set it"):
        list(pages(source(), None, environment={}))
    declared = source().model_dump(mode="json", exclude_defaults=True) | {"uri": right}
    file = tmp_path / "sources.yaml"
    file.write_text(yaml.safe_dump(declared))
    with pytest.raises(ConfigError, match=re.escape("expected 'uri' to be ${NAME}")) as refused:
        load(file, MongoSource)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cursor": ""}, "expected 'cursor' to name a field"),
        ({"cursor": "$natural"}, "expected 'cursor' to name a field"),
        ({"control_total": "price"}, "expected no 'control_total': documents come in pages"),
        ({"filter": {"at": dt.date(2026, 7, 1)}}, "JSON"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        source(**changes)


# Does its imports once and then gives every pull a process of its own.
PULLER = """
import os, sys
from datetime import date
from pathlib import Path
from resources.config.mongodb_source import MongoSource
from resources.keys import Keys
from resources.sources.mongodb import pages
from resources.sources.pages import Spool
declared, uri, folder, secret = sys.argv[1:]
for _ in sys.stdin:
    child = os.fork()
    if not child:
        source = MongoSource.model_validate_json(declared)
        spool = Spool(Path(folder), Keys.derived_from(secret))
        for page in pages(source, spool.cursor(source.id), environment={"SHOP_MONGO": uri}):
            spool.write(source.id, date(2026, 7, 3), page)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def spooled(spool: Spool, declared: MongoSource) -> list[Mapping[str, Any]]:
    return [
        json.loads(line)
        for arrival in spool.arrivals(declared)
        for line in arrival.read().splitlines()
    ]


def test_killed_pullers_leave_neither_gap_nor_repeat(server: Server, tmp_path: Path) -> None:
    server.documents = [{"_id": n, "at": at(1) + dt.timedelta(minutes=n // 3)} for n in range(400)]
    declared = source(cursor="at", page_size=4)
    spool = Spool(tmp_path, Keys.derived_from(SECRET))
    command = [sys.executable, "-c", PULLER, declared.model_dump_json(exclude_defaults=True)]
    chance = random.Random(7)
    with subprocess.Popen(
        [*command, server.uri, str(tmp_path), SECRET],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as puller:
        assert puller.stdin
        assert puller.stdout
        for number in range(13):
            puller.stdin.write("pull\n")
            puller.stdin.flush()
            child = int(puller.stdout.readline())
            if number < 12:
                n_before = len(list(tmp_path.glob("shop/*/*")))
                n_more = chance.randint(0, 8)
                while len(list(tmp_path.glob("shop/*/*"))) < n_before + n_more:
                    time.sleep(0.001)
                time.sleep(chance.uniform(0, 0.02))
                os.kill(child, signal.SIGKILL)
                assert int(puller.stdout.readline()) == -signal.SIGKILL
                assert len(spooled(spool, declared)) < len(server.documents)
        assert int(puller.stdout.readline()) == 0
        puller.stdin.close()
    assert [record["_id"] for record in spooled(spool, declared)] == list(range(400))


def test_a_missing_driver_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymongo", None)
    monkeypatch.delitem(sys.modules, "resources.sources.mongodb")
    spool = Spool(tmp_path, Keys.derived_from(SECRET))
    environment = {"SHOP_MONGO": "mongodb://127.0.0.1/"}
    (pulled,) = pull([source()], spool, load_date=dt.date(2026, 7, 3), environment=environment)
    assert "pymongo, which is not installed; pip install 'siyu[mongo]'" in str(pulled.failure)


def test_the_examples_of_the_page_are_read(
    server: Server, tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    keyring = Keyring(home=str(tmp_path), is_simulated=False)
    keys = keyring.unlock()
    vault = Vault(path=str(tmp_path / "vault.duckdb"), keyring=keyring)
    spool = Spool(tmp_path / "pages", keys)
    text = (ROOT / "docs/sources/mongodb.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    events, members = map(MongoSource.model_validate, yaml.safe_load(block)["sources"])
    number = ObjectId.from_datetime(at(1))
    viewed = {"name": "Product Viewed", "member": "mei", "product": 7}
    server.documents = [
        {"_id": number, "happened_at": at(1), "env": "production", "secret": "x", **viewed},
        {"_id": ObjectId(), "happened_at": at(1), "env": "test", **viewed},
        {"_id": ObjectId(), "created_at": at(1), "updated_at": at(2), "country": "CN"},
        {"_id": ObjectId(), "created_at": at(1)},
    ]
    for declared in (events, members):
        # The server of the tests has one collection of one name.
        found = declared.model_copy(
            update={
                "database": "shop",
                "collection": "orders",
                "filter": declared.filter or {"updated_at": {"$type": "date"}},
            }
        )
        for page in reads(server, found):
            spool.write(declared.id, dt.date(2026, 7, 3), page)
        with warehouse.connect() as session:
            new = changed(session, TABLES, spool.arrivals(declared))
            loaded_at = dt.datetime(2026, 7, 4)  # noqa: DTZ001 - stored timestamps are naive UTC
            collect(
                session, vault, TABLES, new, keys=keys, base_currency="CNY", loaded_at=loaded_at
            )
    with warehouse.connect() as session:
        happened = dt.datetime(2026, 7, 1)  # noqa: DTZ001 - stored timestamps are naive UTC
        assert session.rows(
            "select message_id, user_id, occurred_at, properties from raw.events"
        ) == [(str(number), keys.pseudonym("mei"), happened, '{"product_id":"7"}')]
        assert session.rows("select country, signed_up_at from raw.members") == [("CN", happened)]
        assert session.rows("select * from raw.rejected_records") == []
