"""Sources that are pulled from an HTTP API, page by page."""

import datetime as dt
import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from resources.config.loading import VARIABLE, Declared
from resources.config.source import Source, check_is_variable

# What a header or parameter is called whose value must not stand in a file.
_SECRET_NAME = re.compile(
    r"auth(?!ors?(_|$))|token|secret|passw|cookie|credential|signature|api.?key|access.?key|^key$|^sig$",
    re.IGNORECASE,
)
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

Seconds = Annotated[float, Field(gt=0, le=3600)]


def _as_text(value: object) -> object:
    # YAML reads an unquoted time as one.
    return value.isoformat() if isinstance(value, dt.date) else value


def check_url(url: str, *, allow_http: bool) -> None:
    """Refuses an address over which a secret would travel or stand in clear.

    Raises:
        ValueError: not https (or http on this machine), or user, password or fragment in it.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise ValueError("expected 'url' to begin with https:// and a host")
    if parts.scheme == "http" and parts.hostname not in _LOCAL_HOSTS and not allow_http:
        raise ValueError(
            "expected 'url' with https://: http:// shows every record to whoever listens; give "
            "'allow_http: true' where the network is your own"
        )
    if parts.username or parts.password:
        raise ValueError("expected no user or password in 'url'; give 'auth'")
    if parts.fragment:
        raise ValueError("expected no '#' in 'url'")
    if parts.query:
        raise ValueError("expected no '?' in 'url'; give 'params'")


class CursorPagination(Declared):
    """The answer names the next page: `path` leads to its cursor, sent back as `parameter`.

    `has_more` leads to a boolean that ends the sweep. A lasting cursor (`is_lasting`) stays good
    for ever: the next run goes on behind it instead of beginning anew.
    """

    parameter: str
    path: str
    has_more: str | None = None
    is_lasting: bool = False


class SizedPagination(Declared):
    """Pages of a size that is asked for; an empty page, or `total` records, end the sweep."""

    size_parameter: str | None = None
    size: int | None = Field(default=None, gt=0)
    total: str | None = None

    @model_validator(mode="after")
    def _size_has_a_name(self) -> Self:
        if (self.size_parameter is None) != (self.size is None):
            raise ValueError("expected 'size_parameter' and 'size' together")
        return self


class PagePagination(SizedPagination):
    """Pages are numbered from `start`."""

    parameter: str = "page"
    start: int = Field(default=1, ge=0)


class OffsetPagination(SizedPagination):
    """The next page begins behind the records seen so far."""

    parameter: str = "offset"


class LinkPagination(Declared):
    """The header `Link` names the next page with rel="next" (RFC 8288)."""


class Pagination(Declared):
    """How one page leads to the next: exactly one of the four ways."""

    cursor: CursorPagination | None = None
    page: PagePagination | None = None
    offset: OffsetPagination | None = None
    link: LinkPagination | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        given = [way for way in (self.cursor, self.page, self.offset, self.link) if way is not None]
        if len(given) != 1:
            raise ValueError("expected exactly one of cursor, page, offset or link")
        return self


class Incremental(Declared):
    """Asks only for what is new: the greatest value of a field, sent as `parameter`.

    `path` leads to the field in a record. `overlap_seconds` asks for a little more again, for
    records that the server shows late; repeats are told by their message id later. The first run
    sends `start`, or nothing.
    """

    parameter: str
    path: str
    format: Literal["iso8601", "seconds", "milliseconds", "number", "text"] = "iso8601"
    start: Annotated[str | int | float | None, BeforeValidator(_as_text)] = None
    overlap_seconds: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _only_times_overlap(self) -> Self:
        if self.overlap_seconds and self.format in ("number", "text"):
            raise ValueError(
                "expected 'overlap_seconds' only where 'format' is iso8601, seconds or milliseconds"
            )
        return self


class Bearer(Declared):
    """`Authorization: Bearer <token>`."""

    token: str

    @model_validator(mode="after")
    def _is_hidden(self) -> Self:
        check_is_variable("token", self.token)
        return self


class HeaderSecret(Declared):
    """A secret in a header of its own, such as X-Api-Key."""

    name: str
    value: str

    @model_validator(mode="after")
    def _is_hidden(self) -> Self:
        check_is_variable("value", self.value)
        return self


class Hmac(Declared):
    r"""Every request is signed: HMAC of `METHOD\npath?query\ntimestamp\nsha256 of the body`.

    The signature (hexadecimal), the key's name and the timestamp (seconds since 1970) travel in
    headers of the names given.
    """

    key_id: str
    secret: str
    algorithm: Literal["sha256", "sha512"] = "sha256"
    header: str = "X-Signature"
    key_header: str = "X-Key-Id"
    timestamp_header: str = "X-Timestamp"

    @model_validator(mode="after")
    def _is_hidden(self) -> Self:
        check_is_variable("secret", self.secret)
        return self


class Authentication(Declared):
    """Who we are: exactly one of the three ways."""

    bearer: Bearer | None = None
    hmac: Hmac | None = None
    header: HeaderSecret | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(way is not None for way in (self.bearer, self.hmac, self.header)) != 1:
            raise ValueError("expected exactly one of bearer, hmac or header")
        return self


class Retries(Declared):
    """How often a request is tried and how long is waited in between.

    The wait before try n + 1 is drawn between 0 and `base_seconds * 2 ** (n - 1)`, `max_seconds`
    at most; where the server says how long (Retry-After), that is waited, up to
    `longest_wait_seconds`.
    """

    attempts: int = Field(default=6, ge=1, le=20)
    base_seconds: Seconds = 1.0
    max_seconds: Seconds = 60.0
    longest_wait_seconds: Seconds = 300.0


class CalledSource(Source):
    """A source behind HTTP, and how its server is called, whatever it is asked.

    `rate_limit` is in requests per second; `timeout_seconds` is for one whole answer;
    `max_pages` is what one run takes at most before it suspects a loop.
    """

    rate_limit: float | None = Field(default=None, gt=0)
    retries: Retries = Retries()
    timeout_seconds: Seconds = 30.0
    max_pages: int = Field(default=100_000, gt=0)


class RestApiSource(CalledSource):
    """Records that an HTTP API gives as JSON.

    `records` leads to the list in the answer (`data.items`; empty: the answer is the list).
    `${NAME}` in `url`, `params`, `headers` and `body` is taken from the environment at each run
    and stored nowhere. Of a POST the page and the incremental value go into the body, of a GET
    into the query.
    """

    kind: Literal["rest_api"]
    url: str
    allow_http: bool = False
    method: Literal["GET", "POST"] = "GET"
    params: dict[str, str | int | float | bool] = Field(
        default_factory=dict[str, str | int | float | bool]
    )
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    body: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    records: str = ""
    pagination: Pagination | None = None
    incremental: Incremental | None = None
    auth: Authentication | None = None

    @model_validator(mode="after")
    def _is_asked_safely(self) -> Self:
        check_url(self.url, allow_http=self.allow_http)
        if self.body and self.method == "GET":
            raise ValueError("expected 'body' with 'method: POST' only")
        for place, given in (
            ("headers", self.headers),
            ("params", self.params),
            ("body", self.body),
        ):
            for name, value in given.items():
                if _SECRET_NAME.search(name) and not VARIABLE.search(str(value)):
                    check_is_variable(f"{place}.{name}", str(value))
        return self
