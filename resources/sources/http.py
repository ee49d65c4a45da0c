"""One polite, patient request after another to a server that may be slow, busy or broken."""

import datetime as dt
import email.utils
import json
import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from resources.config.rest_api_source import CalledSource
from resources.sources.files import SourceError

_MAXIMUM_BYTES = 64 << 20
# Worth another try; any other status but 200 will not change by asking again.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_ADVICE = {
    400: "correct 'params', 'body' or 'incremental'",
    401: "check 'auth' and the environment variable it names",
    403: "ask the server's owner for the right to read this",
    404: "correct 'url'",
    405: "correct 'method'",
    410: "correct 'url', or begin anew by removing the source's pages",
}

AnswerT = TypeVar("AnswerT")


class Passing(Exception):
    """Something that may be better at the next try; the message says what was wrong.

    `wait_seconds` is how long the server wants to be left alone, where it says so.
    """

    def __init__(self, problem: str, wait_seconds: float | None = None) -> None:
        super().__init__(problem)
        self.wait_seconds = wait_seconds


@dataclass(frozen=True)
class Answer:
    """What a server answered with status 200: to which address, the JSON, links by relation."""

    url: str
    content: object
    links: dict[str, str]


@dataclass
class Caller:
    """Calls a source's server within its rate limit, with retries.

    `now` is seconds since 1970; it, `sleep` and `jitter` are given so that a test need not wait.
    """

    source: CalledSource
    shown_url: str
    client: httpx.Client
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    jitter: Random = field(default_factory=Random)
    _last_began: float | None = field(default=None, init=False)

    def call(
        self,
        request: Callable[[], httpx.Request],
        read: Callable[[Answer], AnswerT],
    ) -> AnswerT:
        """Asks until `read` accepts the answer; each try builds its request anew.

        `read` raises `Passing` where asking again may help.

        Raises:
            SourceError: the server refuses, or all tries are used up.
        """
        retries = self.source.retries
        problem = ""
        for attempt in range(1, retries.attempts + 1):
            self._keep_rate()
            try:
                return read(self._answer(request()))
            except Passing as error:
                problem, wait = str(error), error.wait_seconds
            if wait is not None and wait > retries.longest_wait_seconds:
                raise self.failure(
                    f"{problem} and asks to wait {wait:.0f} seconds",
                    "run again after that; what was pulled so far stays",
                )
            if attempt < retries.attempts:
                ceiling = min(retries.max_seconds, retries.base_seconds * 2 ** (attempt - 1))
                self.sleep(wait if wait is not None else self.jitter.uniform(0, ceiling))
        raise self.failure(
            f"gave up after {retries.attempts} tries, at last: {problem}",
            "run again when the server is well; what was pulled so far stays",
        )

    def failure(self, problem: str, advice: str) -> SourceError:
        """The one line for what went wrong; it never shows more of the address than the file."""
        return SourceError(f"source '{self.source.id}': {self.shown_url}: {problem}; {advice}")

    def _keep_rate(self) -> None:
        began = self.now()
        if self.source.rate_limit is not None and self._last_began is not None:
            interval = 1 / self.source.rate_limit
            # A clock set back must not make this wait for long.
            wait = min(interval, self._last_began + interval - began)
            if wait > 0:
                self.sleep(wait)
        self._last_began = self.now()

    def _answer(self, request: httpx.Request) -> Answer:
        deadline = self.now() + self.source.timeout_seconds
        try:
            response = self.client.send(request, stream=True)
            try:
                status = response.status_code
                if status in _PASSING:
                    raise Passing(f"status {status}", self._retry_after(response))
                if status != 200:
                    raise self._refused(status)
                content = self._content(response, deadline)
            finally:
                response.close()
        except httpx.TimeoutException:
            raise Passing(f"no answer within {self.source.timeout_seconds:g} seconds") from None
        except httpx.RequestError as error:
            # The cause may quote a header: it must not come along into a log.
            raise Passing(f"the connection failed ({type(error).__name__})") from None
        try:
            return Answer(
                str(request.url),
                json.loads(content),
                {
                    relation.lower(): link["url"]
                    for relations, link in response.links.items()
                    for relation in (relations or "").split()
                },
            )
        except (ValueError, RecursionError) as error:
            raise Passing("the answer is not JSON, or was cut off") from error

    def _content(self, response: httpx.Response, deadline: float) -> bytes:
        content = bytearray()
        for part in response.iter_bytes():
            content += part
            if len(content) > _MAXIMUM_BYTES:
                raise self.failure(
                    f"the answer is longer than {_MAXIMUM_BYTES >> 20} MiB", "ask for smaller pages"
                )
            if self.now() > deadline:
                raise Passing(f"no answer within {self.source.timeout_seconds:g} seconds")
        return bytes(content)

    def _refused(self, status: int) -> SourceError:
        if 300 <= status < 400:
            return self.failure(f"status {status}, a redirection", "give the address it leads to")
        advice = _ADVICE.get(status, "correct the source, or ask the server's owner")
        return self.failure(f"refused with status {status}", advice)

    def _retry_after(self, response: httpx.Response) -> float | None:
        """Seconds to wait by `Retry-After`: a number, or an HTTP date (RFC 9110, 10.2.3)."""
        value = response.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            at = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        if at.tzinfo is None:
            at = at.replace(tzinfo=dt.UTC)
        return max(0.0, at.timestamp() - self.now())


@contextmanager
def calling(source: CalledSource, shown_url: str) -> Generator[Caller]:
    """A caller with a connection of its own, closed at the end."""
    # Its log of every request shows the whole address, secrets in the query included.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with httpx.Client(timeout=source.timeout_seconds, follow_redirects=False) as client:
        yield Caller(source, shown_url, client)


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of an address: what a secret may be sent to."""
    parts = urlsplit(url)
    ports = {"https": 443, "http": 80}
    return parts.scheme, parts.hostname, parts.port or ports.get(parts.scheme)
