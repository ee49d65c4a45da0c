"""Pulls an HTTP API page by page, from where the last run came to.

The cursor is our own state as JSON: the greatest value of the incremental field so far, and within
a sweep the position of the next page. It is stored with each page, so a killed run goes on at the
page behind the last stored one.
"""

import datetime as dt
import hashlib
import hmac
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Literal, cast
from urllib.parse import urljoin

import httpx
from pydantic import JsonValue

from resources.config.loading import ConfigError, expand
from resources.config.rest_api_source import Incremental, RestApiSource
from resources.sources.http import Answer, Caller, Passing, calling, origin
from resources.sources.pages import Page

Way = Literal["cursor", "page", "offset", "link", "once"]
Position = str | int
Value = str | int | float


@dataclass(frozen=True)
class _State:
    """How far a source has come.

    `high` is the greatest incremental value so far. `way` and `position` are those of the next
    page; between sweeps there is none, but for a cursor that lasts. Of the sweep under way `since`
    is what it asks for, `n_records` what it gave. `digest` is a hash of the page before.
    """

    high: Value | None = None
    way: Way | None = None
    position: Position | None = None
    is_under_way: bool = False
    since: Value | None = None
    n_records: int = 0
    digest: str | None = None

    @classmethod
    def read(cls, cursor: str | None) -> "_State":
        return cls(**json.loads(cursor)) if cursor else cls()

    def text(self) -> str:
        given = {
            each.name: value
            for each in fields(self)
            if (value := getattr(self, each.name)) != each.default
        }
        return json.dumps(given, separators=(",", ":"))


@dataclass(frozen=True)
class _Got:
    """One accepted answer: its records, their hash, what is asked next, whether it is the last."""

    records: Sequence[Mapping[str, object]]
    digest: str
    following: Position | None
    is_last: bool


def pages(
    source: RestApiSource,
    cursor: str | None,
    *,
    environment: Mapping[str, str],
    caller: Caller | None = None,
) -> Iterator[Page]:
    """Every page that the server has behind `cursor`.

    Raises:
        SourceError: the server refuses, stays broken through all tries, or goes round in circles.
        ConfigError: an environment variable is not set or cannot be sent.
    """
    with nullcontext(caller) if caller else calling(source, source.url) as calls:
        yield from _Sweep(source, environment, calls).pages(_State.read(cursor))


@dataclass(frozen=True)
class _Sweep:
    source: RestApiSource
    environment: Mapping[str, str]
    caller: Caller

    def pages(self, state: _State) -> Iterator[Page]:
        if not state.is_under_way or state.way != self._way:
            state = self._begun(state)
        # A lasting cursor may lead to the last page once more; what it gave before is not new.
        known = state.digest if state.n_records == 0 else None
        asked: set[Position | None] = set()
        for _ in range(self.source.max_pages):
            asked.add(state.position)
            got = self.caller.call(
                partial(self._request, state),
                partial(self._got, state, asked, before=None if known else state.digest),
            )
            records = () if got.digest == known else got.records
            known = None
            if got.is_last:
                high = self._highest(state.high, records)
                yield Page(records, self._finished(high, got).text())
                return
            state = replace(
                state,
                high=self._highest(state.high, records),
                position=got.following,
                n_records=state.n_records + len(got.records),
                digest=got.digest,
            )
            if records:
                yield Page(records, state.text())
        raise self.caller.failure(
            f"gave {self.source.max_pages} pages and has still more",
            "run again to go on, and raise 'max_pages' if there are so many; "
            "if not, correct 'pagination'",
        )

    @property
    def _way(self) -> Way:
        given = self.source.pagination
        if given is None:
            return "once"
        if given.cursor:
            return "cursor"
        if given.page:
            return "page"
        return "offset" if given.offset else "link"

    @property
    def _is_lasting(self) -> bool:
        given = self.source.pagination
        return bool(given and given.cursor and given.cursor.is_lasting)

    def _begun(self, state: _State) -> _State:
        begun = _State(
            high=state.high, way=self._way, is_under_way=True, since=self._since(state.high)
        )
        if self._is_lasting and state.way == self._way:
            return replace(begun, position=state.position, digest=state.digest)
        given = self.source.pagination
        if given and given.page:
            return replace(begun, position=given.page.start)
        return replace(begun, position=0) if given and given.offset else begun

    def _finished(self, high: Value | None, got: _Got) -> _State:
        if not self._is_lasting:
            return _State(high=high)
        return _State(high=high, way=self._way, position=got.following, digest=got.digest)

    def _since(self, high: Value | None) -> Value | None:
        given = self.source.incremental
        if given is None:
            return None
        if high is None:
            return given.start
        return _earlier(given, high) if given.overlap_seconds else high

    def _highest(self, high: Value | None, records: Sequence[Mapping[str, object]]) -> Value | None:
        given = self.source.incremental
        if given is None:
            return None
        values = [_at(record, given.path) for record in records]
        keyed = [
            (key, cast(Value, value))
            for value in (high, *values)
            if (key := _key(given, value)) is not None
        ]
        if not keyed:
            return high
        key, value = max(keyed, key=lambda pair: pair[0])
        latest = _latest(given, self.caller.now())
        # A record from the future must not hide all that come before its time.
        is_future = latest is not None and isinstance(key, float) and key > latest[0]
        return latest[1] if latest is not None and is_future else value

    def _request(self, state: _State) -> httpx.Request:
        source = self.source
        moving: dict[str, JsonValue] = {}
        if source.incremental and state.since is not None:
            moving[source.incremental.parameter] = state.since
        moving |= self._paging(state.position)
        params = {name: self._expanded(value) for name, value in source.params.items()}
        body = cast(dict[str, JsonValue], self._expanded(source.body))
        if source.method == "POST":
            body |= moving
        else:
            params |= moving
        content = json.dumps(body).encode() if source.method == "POST" else b""
        try:
            if self._way == "link" and state.position is not None:
                url = httpx.URL(str(state.position))
            else:
                url = httpx.URL(
                    expand(source.url, self.environment),
                    params={name: _in_query(value) for name, value in params.items()},
                )
            request = self.caller.client.build_request(source.method, url, content=content)
        except httpx.InvalidURL:
            raise self.caller.failure("is no address", "correct 'url' and its variables") from None
        request.headers["accept"] = "application/json"
        request.headers["user-agent"] = "siyu"
        if content:
            request.headers["content-type"] = "application/json"
        for name, value in source.headers.items():
            request.headers[name] = self._in_header(value)
        self._sign(request, content)
        return request

    def _paging(self, position: Position | None) -> dict[str, JsonValue]:
        given = self.source.pagination
        if given is None or given.link:
            return {}
        if given.cursor:
            return {} if position is None else {given.cursor.parameter: position}
        sized = given.page or given.offset
        if sized is None:
            return {}
        size = {sized.size_parameter: sized.size} if sized.size_parameter else {}
        return {sized.parameter: position, **size}

    def _sign(self, request: httpx.Request, content: bytes) -> None:
        given = self.source.auth
        if given and given.bearer:
            request.headers["authorization"] = f"Bearer {self._in_header(given.bearer.token)}"
        elif given and given.header:
            request.headers[given.header.name] = self._in_header(given.header.value)
        elif given and given.hmac:
            timestamp = str(int(self.caller.now()))
            signed = "\n".join(
                (
                    request.method,
                    request.url.raw_path.decode("ascii"),
                    timestamp,
                    hashlib.sha256(content).hexdigest(),
                )
            )
            secret = expand(given.hmac.secret, self.environment).encode()
            request.headers[given.hmac.key_header] = self._in_header(given.hmac.key_id)
            request.headers[given.hmac.timestamp_header] = timestamp
            request.headers[given.hmac.header] = hmac.digest(
                secret, signed.encode(), given.hmac.algorithm
            ).hex()

    def _expanded(self, value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return expand(value, self.environment)
        if isinstance(value, list):
            return [self._expanded(each) for each in value]
        if isinstance(value, dict):
            return {name: self._expanded(each) for name, each in value.items()}
        return value

    def _in_header(self, declared: str) -> str:
        value = expand(declared, self.environment)
        if not (value.isascii() and value.isprintable()):
            raise ConfigError(
                f"sources.yaml: source '{self.source.id}': {declared!r} holds a line break or "
                "another character that no header can carry; correct the environment variable"
            )
        return value

    def _got(
        self,
        state: _State,
        asked: set[Position | None],
        answer: Answer,
        *,
        before: str | None,
    ) -> _Got:
        records = self._records(answer.content)
        digest = hashlib.sha256(json.dumps(records).encode()).hexdigest()[:32]
        if records and digest == before:
            raise Passing(
                "the same records as on the page before (if it always gives them, 'pagination' is "
                "not what the server expects)"
            )
        following, is_last = self._following(state, answer, len(records))
        if not is_last and following in asked:
            if records:
                raise Passing("the page to ask for next is one that it has given already")
            is_last = True
        return _Got(records, digest, following, is_last)

    def _records(self, content: object) -> Sequence[Mapping[str, object]]:
        path = self.source.records
        found = _at(content, path)
        if found is None and _has(content, path):
            return ()
        if not isinstance(found, list):
            place = f"at '{path}' in the answer" if path else "in the answer"
            raise self.caller.failure(f"no list {place}", "correct 'records'")
        # What is no object is kept as it is: collection rejects it by its line.
        return cast(list[Mapping[str, object]], found)

    def _following(
        self, state: _State, answer: Answer, n_records: int
    ) -> tuple[Position | None, bool]:
        """What to ask for next, and whether this page is the last."""
        given = self.source.pagination
        if given is None:
            return None, True
        if given.cursor:
            found = _at(answer.content, given.cursor.path)
            following = found if isinstance(found, str | int) and found != "" else None
            has_more = _at(answer.content, given.cursor.has_more) if given.cursor.has_more else None
            if has_more is True and following is None:
                raise Passing("there is more, but no cursor leads to it")
            is_last = following is None or has_more is False
            return (state.position if following is None else following), is_last
        if given.link:
            target = answer.links.get("next")
            return (None, True) if target is None else (self._linked(answer, target), False)
        sized = given.page or given.offset
        total = _at(answer.content, sized.total) if sized and sized.total else None
        is_last = n_records == 0 or (
            isinstance(total, int) and state.n_records + n_records >= total
        )
        step = 1 if given.page else n_records
        return int(state.position or 0) + step, is_last

    def _linked(self, answer: Answer, target: str) -> str:
        url = urljoin(answer.url, target)
        if origin(url) != origin(answer.url):
            raise self.caller.failure(
                "the link to the next page leads to another server",
                "nothing is sent there; correct 'pagination' or ask the server's owner",
            )
        return url


def _has(content: object, path: str) -> bool:
    """Whether the last key of a path stands in the answer, be it null."""
    above, _, key = path.rpartition(".")
    parent = _at(content, above)
    return bool(path) and isinstance(parent, dict) and key in parent


def _at(content: object, path: str) -> object:
    """What a dotted path leads to; None where there is nothing."""
    for key in path.split(".") if path else ():
        content = cast(dict[str, object], content).get(key) if isinstance(content, dict) else None
    return content


def _in_query(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _key(incremental: Incremental, value: object) -> float | str | None:
    """What a value is compared by; None where it is none of its format."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if incremental.format == "text":
        return str(value)
    if incremental.format == "iso8601":
        moment = _moment(str(value))
        return None if moment is None else moment.timestamp()
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _moment(text: str) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def _latest(incremental: Incremental, now: float) -> tuple[float, Value] | None:
    """The present, as key and value of the field; None where it is no time."""
    if incremental.format == "iso8601":
        return now, _iso(now)
    if incremental.format == "seconds":
        return now, int(now)
    return (now * 1000, int(now * 1000)) if incremental.format == "milliseconds" else None


def _iso(seconds: float) -> str:
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _earlier(incremental: Incremental, high: Value) -> Value:
    key = _key(incremental, high)
    if not isinstance(key, float):
        return high
    if incremental.format == "iso8601":
        return _iso(key - incremental.overlap_seconds)
    factor = 1000 if incremental.format == "milliseconds" else 1
    return int(key) - incremental.overlap_seconds * factor
