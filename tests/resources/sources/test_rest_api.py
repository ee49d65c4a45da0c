"""Pulling from HTTP APIs: against a real server that misbehaves on purpose."""

import datetime as dt
import email.utils
import hashlib
import hmac
import itertools
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from resources.config.loading import ConfigError
from resources.config.rest_api_source import RestApiSource
from resources.keys import Keys
from resources.sources.files import SourceError
from resources.sources.http import Caller, calling
from resources.sources.pages import Page, Spool
from resources.sources.pulling import Pulled, pull
from resources.sources.rest_api import pages
from tests.servers import Asked, Reply, Server, serving

KEYS = Keys.derived_from("0123456789abcdef0123456789abcdef")
DAY = dt.date(2026, 7, 3)
NOW = dt.datetime(2026, 7, 3, 12, tzinfo=dt.UTC)
SECRET = "s3cr3t-t0k3n"
ENVIRONMENT = {"CRM_TOKEN": SECRET}
ServerOf = Callable[[Callable[[Asked], Reply]], Server]
CURSOR = {"cursor": {"parameter": "after", "path": "next"}}


def declared(url: str, **changes: Any) -> RestApiSource:
    given = {
        "id": "crm",
        "kind": "rest_api",
        "entity": "members",
        "layout": "members",
        "url": url + "/v1/members",
        "records": "data.items",
        "retries": {"attempts": 4},
        "timeout_seconds": 2,
    }
    return RestApiSource.model_validate(given | changes)


@pytest.fixture
def server_of() -> Iterator[ServerOf]:
    """Starts servers that live as long as the test."""
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(serving(answer))


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.seconds = NOW.timestamp()
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def pulled(
    source: RestApiSource,
    cursor: str | None = None,
    clock: Clock | None = None,
    environment: dict[str, str] = ENVIRONMENT,
) -> Iterator[Page]:
    clock = clock or Clock()
    with calling(source, source.url) as caller:
        patient = Caller(source, source.url, caller.client, clock.now, clock.sleep, Random(1))
        yield from pages(source, cursor, environment=environment, caller=patient)


def numbers(found: Iterator[Page] | list[Page]) -> list[Any]:
    return [record["n"] for page in found for record in page.records]


def shelf(n_records: int, size: int = 3) -> Callable[[Asked], Reply]:
    """A server of numbered records, `size` a page, by cursor."""

    def answer(asked: Asked) -> Reply:
        start = int(asked.query.get("after", 0))
        items = [{"n": n} for n in range(start, min(start + size, n_records))]
        end = start + len(items)
        return Reply({"data": {"items": items}, "next": str(end) if end < n_records else None})

    return answer


def misbehaving(good: Callable[[Asked], Reply], *bad: Reply) -> Callable[[Asked], Reply]:
    """The given replies first for every page, then the good one."""
    turns: dict[str, Iterator[Reply]] = {}

    def answer(asked: Asked) -> Reply:
        turn = turns.setdefault(asked.target + asked.body.decode(), iter(bad))
        return next(turn, None) or good(asked)

    return answer


# How one page leads to the next.


def test_cursor(server_of: ServerOf) -> None:
    server = server_of(shelf(8))
    found = list(pulled(declared(server.url, pagination=CURSOR)))
    assert [len(page.records) for page in found] == [3, 3, 2]
    assert numbers(found) == list(range(8))
    assert [asked.query for asked in server.asked] == [{}, {"after": "3"}, {"after": "6"}]


def test_cursor_with_has_more(server_of: ServerOf) -> None:
    def answer(asked: Asked) -> Reply:
        start = int(asked.query.get("after", 0))
        return Reply({"items": [{"n": start}], "next": start + 1, "more": start < 4})

    server = server_of(answer)
    way = {"cursor": {"parameter": "after", "path": "next", "has_more": "more"}}
    assert numbers(pulled(declared(server.url, records="items", pagination=way))) == [0, 1, 2, 3, 4]


def test_cursor_in_the_body_of_a_post(server_of: ServerOf) -> None:
    def answer(asked: Asked) -> Reply:
        start = asked.json.get("after", 0)
        assert isinstance(start, int)
        return Reply({"data": {"items": [{"n": start}]}, "next": start + 1 if start < 2 else ""})

    server = server_of(answer)
    source = declared(
        server.url, method="POST", body={"shop": 7, "key": "${CRM_TOKEN}"}, pagination=CURSOR
    )
    assert numbers(pulled(source)) == [0, 1, 2]
    assert [asked.json for asked in server.asked] == [
        {"shop": 7, "key": SECRET},
        {"shop": 7, "key": SECRET, "after": 1},
        {"shop": 7, "key": SECRET, "after": 2},
    ]
    assert {asked.method for asked in server.asked} == {"POST"}
    assert server.asked[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("total", [None, "total"])
def test_page_numbers(server_of: ServerOf, total: str | None) -> None:
    # The server gives at most 2 a page, whatever is asked: a short page is not the end.
    def answer(asked: Asked) -> Reply:
        page = int(asked.query["page"])
        assert asked.query["size"] == "100"
        return Reply({"items": [{"n": n} for n in range(5)[2 * page : 2 * page + 2]], "total": 5})

    server = server_of(answer)
    way = {"page": {"start": 0, "size_parameter": "size", "size": 100, "total": total}}
    assert numbers(pulled(declared(server.url, records="items", pagination=way))) == list(range(5))
    assert len(server.asked) == (3 if total else 4)


def test_offset(server_of: ServerOf) -> None:
    def answer(asked: Asked) -> Reply:
        start = int(asked.query["offset"])
        return Reply([{"n": n} for n in range(5)[start : start + 2]])

    server = server_of(answer)
    source = declared(server.url, records="", pagination={"offset": {}})
    assert numbers(pulled(source)) == list(range(5))


def test_link_header(server_of: ServerOf) -> None:
    def answer(asked: Asked) -> Reply:
        page = int(asked.query.get("p", 1))
        links = f'</v1/members?p={page + 1}&k=%E4%BD%A0>; title="a, b"; rel="prev next"'
        headers = {"Link": '<https://elsewhere.example/>; rel="help", ' + links}
        return Reply([{"n": page}], headers=headers if page < 3 else {})

    server = server_of(answer)
    source = declared(server.url, records="", pagination={"link": {}}, params={"status": "on"})
    assert numbers(pulled(source)) == [1, 2, 3]
    assert server.asked[0].query == {"status": "on"}
    assert server.asked[2].query == {"p": "3", "k": "你"}


def test_a_link_to_another_server_is_not_followed(server_of: ServerOf) -> None:
    other = server_of(shelf(1))
    server = server_of(
        lambda asked: Reply([{"n": 1}], headers={"Link": f'<{other.url}/x>; rel="next"'})
    )
    source = declared(server.url, records="", pagination={"link": {}})
    with pytest.raises(SourceError, match="leads to another server; nothing is sent there"):
        list(pulled(source))
    assert other.asked == []


def test_pages_that_overlap_lose_nothing(server_of: ServerOf) -> None:
    """Newest first, and a record comes in between two pages: one is seen twice, none is lost."""
    stock = list(range(6))

    def answer(asked: Asked) -> Reply:
        page = int(asked.query["page"])
        items = [{"n": n} for n in sorted(stock, reverse=True)[2 * page - 2 : 2 * page]]
        if page == 1:
            stock.append(6)
        return Reply({"items": items, "total": len(stock)})

    server = server_of(answer)
    way = {"page": {"total": "total"}}
    found = numbers(pulled(declared(server.url, records="items", pagination=way)))
    assert found == [5, 4, 4, 3, 2, 1, 0]


def test_null_for_an_empty_list_and_records_that_are_no_objects(
    server_of: ServerOf,
) -> None:
    server = server_of(lambda asked: Reply({"data": {"items": None}}))
    assert [page.records for page in pulled(declared(server.url))] == [()]
    server = server_of(lambda asked: Reply({"data": {"items": [{"n": 1}, 5, "x"]}}))
    # Nothing is lost: collection rejects them, each with its line.
    assert [page.records for page in pulled(declared(server.url))] == [[{"n": 1}, 5, "x"]]


# What goes wrong for a while.


@pytest.mark.parametrize(
    "bad",
    [
        Reply(status=429),
        Reply(status=500, content=b"<html>"),
        Reply(status=502),
        Reply(status=503),
        Reply(status=504),
        Reply(status=408),
        Reply({"data": {"items": [{"n": 1}] * 50}}, sent=40),
        Reply({"data": {"items": [{"n": 1}] * 50}}, sent=40, has_length=False),
        Reply(content=b""),
        Reply(content=b"<html>please log in</html>"),
        Reply(content=b'{"data": {"items": [{"n": "\xff"}]}}'),
        Reply(content=b"[" * 100_000),
        Reply({"data": {"items": []}}, delay=0.5),
    ],
    ids=lambda reply: f"{reply.status}-{reply.sent}-{reply.delay}-{reply.body[:8]!r}",
)
def test_what_passes_is_tried_again(server_of: ServerOf, bad: Reply) -> None:
    server = server_of(misbehaving(shelf(7), bad, bad))
    clock = Clock()
    source = declared(server.url, pagination=CURSOR, timeout_seconds=0.2)
    assert numbers(pulled(source, clock=clock)) == list(range(7))
    assert len(server.asked) == 9
    # Full jitter: between 0 and 1 second before the second try, 0 and 2 before the third.
    assert len(clock.slept) == 6
    assert all(0 <= wait <= limit for wait, limit in zip(clock.slept, [1, 2] * 3, strict=True))
    assert len(set(clock.slept)) == 6


def test_an_answer_that_trickles_is_cut_off_at_the_timeout(
    server_of: ServerOf,
) -> None:
    """Every byte comes in time, the whole never: only a limit on the whole ends that."""
    server = server_of(shelf(1))
    source = declared(server.url, timeout_seconds=5)
    clock = Clock()

    def hurried() -> float:
        clock.seconds += 6
        return clock.seconds

    with calling(source, source.url) as caller:
        hasty = Caller(source, source.url, caller.client, hurried, clock.sleep, Random(1))
        with pytest.raises(SourceError, match="no answer within 5 seconds"):
            list(pages(source, None, environment={}, caller=hasty))
    assert len(server.asked) == 4


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_waited(server_of: ServerOf, form: str) -> None:
    at = email.utils.format_datetime(NOW + dt.timedelta(seconds=17), usegmt=True)
    headers = {"Retry-After": "17" if form == "seconds" else at}
    server = server_of(misbehaving(shelf(2), Reply(status=429, headers=headers)))
    clock = Clock()
    assert numbers(pulled(declared(server.url), clock=clock)) == [0, 1]
    assert clock.slept == [17]


def test_a_wait_that_is_too_long_is_said(server_of: ServerOf) -> None:
    server = server_of(lambda asked: Reply(status=429, headers={"Retry-After": "86400"}))
    clock = Clock()
    with pytest.raises(SourceError, match="status 429 and asks to wait 86400 seconds; run again"):
        list(pulled(declared(server.url), clock=clock))
    assert clock.slept == []


def test_the_rate_limit_is_kept(server_of: ServerOf) -> None:
    server = server_of(shelf(12))
    clock = Clock()
    assert (
        len(list(pulled(declared(server.url, pagination=CURSOR, rate_limit=4), clock=clock))) == 4
    )
    assert clock.slept == pytest.approx([0.25] * 3)


# What goes wrong for good.


def test_a_server_that_stays_broken_is_given_up(server_of: ServerOf) -> None:
    def answer(asked: Asked) -> Reply:
        return shelf(9)(asked) if asked.query.get("after") != "6" else Reply(status=503)

    server = server_of(answer)
    source = declared(server.url, pagination=CURSOR)
    with pytest.raises(
        SourceError,
        match=r"^source 'crm': http://127.*/v1/members: gave up after 4 tries, at last: "
        "status 503; run again when the server is well; what was pulled so far stays$",
    ):
        list(pulled(source))
    got = list(itertools.islice(pulled(source), 2))
    assert numbers(got) == list(range(6))


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(SourceError, match=r"the connection failed \(ConnectError\)"):
        list(pulled(declared("http://127.0.0.1:1")))


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "correct 'params', 'body' or 'incremental'"),
        (401, "check 'auth' and the environment variable it names"),
        (403, "ask the server's owner"),
        (404, "correct 'url'"),
        (302, "give the address it leads to"),
        (418, "correct the source"),
    ],
)
def test_a_refusal_is_said_at_once_without_secrets(
    server_of: ServerOf,
    status: int,
    advice: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    headers = {"Location": f"/elsewhere?token={SECRET}"}
    server = server_of(lambda asked: Reply({"error": asked.target}, status=status, headers=headers))
    source = declared(
        server.url,
        params={"api_key": "${CRM_TOKEN}"},
        auth={"bearer": {"token": "${CRM_TOKEN}"}},
    )
    with caplog.at_level(logging.INFO), pytest.raises(SourceError) as caught:
        list(pulled(source))
    line = str(caught.value)
    assert line.startswith(f"source 'crm': {server.url}/v1/members: ")
    assert f"status {status}" in line
    assert advice in line
    assert server.asked[0].query == {"api_key": SECRET}
    assert server.asked[0].headers["authorization"] == f"Bearer {SECRET}"
    assert len(server.asked) == 1
    said = line + caplog.text + repr(source) + source.model_dump_json()
    assert SECRET not in said
    assert "\n" not in line


@pytest.mark.parametrize("records", ["items", "data.rows", "data.items.first"])
def test_a_wrong_path_is_said_at_once(server_of: ServerOf, records: str) -> None:
    server = server_of(shelf(3))
    with pytest.raises(SourceError, match=f"no list at '{records}' in the answer; correct 'rec"):
        list(pulled(declared(server.url, records=records)))
    assert len(server.asked) == 1


def test_an_answer_without_end_is_not_read_to_the_end(
    server_of: ServerOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.sources.http._MAXIMUM_BYTES", 1 << 20)
    server = server_of(lambda asked: Reply(content=b"[" + b" " * (3 << 20)))
    with pytest.raises(SourceError, match="longer than 1 MiB; ask for smaller pages"):
        list(pulled(declared(server.url)))


CIRCLES: list[tuple[Callable[[Asked], object], str]] = [
    # The next cursor is the one that was sent.
    (lambda asked: {"items": [{"n": len(asked.target)}], "next": "x"}, "given already"),
    # Two cursors that lead to each other.
    (
        lambda asked: {
            "items": [{"n": asked.query.get("after")}],
            "next": {"a": "b", "b": "a"}.get(asked.query.get("after", ""), "a"),
        },
        "given already",
    ),
    # Always the same records under new cursors.
    (
        lambda asked: {"items": [{"n": 1}], "next": asked.query.get("after", "") + "x"},
        "the same records as on the page before",
    ),
    (lambda asked: {"items": [{"n": 1}], "more": True}, "no cursor leads to it"),
]


@pytest.mark.parametrize(("answer", "said"), CIRCLES)
def test_a_server_that_goes_round_in_circles_is_left(
    server_of: ServerOf, answer: Callable[[Asked], object], said: str
) -> None:
    server = server_of(lambda asked: Reply(answer(asked)))
    way = {"cursor": {"parameter": "after", "path": "next", "has_more": "more"}}
    with pytest.raises(SourceError, match=said):
        list(pulled(declared(server.url, records="items", pagination=way)))


def test_a_page_repeated_once_by_mistake_is_asked_for_again(
    server_of: ServerOf,
) -> None:
    given: list[Reply] = []
    good = shelf(9)

    def answer(asked: Asked) -> Reply:
        # The third answer is the second one once more.
        given.append(given[1] if len(given) == 2 else good(asked))
        return given[-1]

    server = server_of(answer)
    assert numbers(pulled(declared(server.url, pagination=CURSOR))) == list(range(9))
    assert len(server.asked) == 4


def test_a_page_number_that_the_server_does_not_know(server_of: ServerOf) -> None:
    server = server_of(lambda asked: Reply([{"n": 1}, {"n": 2}]))
    source = declared(server.url, records="", pagination={"page": {"parameter": "seite"}})
    with pytest.raises(SourceError, match="'pagination' is not what the server expects"):
        list(pulled(source))


def test_pages_without_end_end(server_of: ServerOf) -> None:
    server = server_of(shelf(1_000_000))
    source = declared(server.url, pagination=CURSOR, max_pages=5)
    found: list[Page] = []
    with pytest.raises(SourceError, match=r"gave 5 pages and has still more; run again to go on"):
        for page in pulled(source):
            found.append(page)  # noqa: PERF402 - extend loses what came before the failure
    assert numbers(found) == list(range(15))
    more: list[Page] = []
    with pytest.raises(SourceError):
        for page in pulled(source, found[-1].cursor):
            more.append(page)  # noqa: PERF402
    assert numbers(more) == list(range(15, 30))


# Who we are.


def test_a_signed_request(server_of: ServerOf) -> None:
    def answer(asked: Asked) -> Reply:
        headers = asked.headers
        signed = "\n".join(
            (
                asked.method,
                asked.target,
                headers["x-timestamp"],
                hashlib.sha256(asked.body).hexdigest(),
            )
        )
        expected = hmac.new(SECRET.encode(), signed.encode(), "sha256").hexdigest()
        good = hmac.compare_digest(headers["x-signature"], expected)
        return shelf(7)(asked) if good and headers["x-key-id"] == "shop-7" else Reply(status=401)

    server = server_of(misbehaving(answer, Reply(status=500)))
    given = {"key_id": "shop-7", "secret": "${CRM_TOKEN}"}
    source = declared(
        server.url, pagination=CURSOR, auth={"hmac": given}, params={"name": "李 & co", "x": True}
    )
    clock = Clock()
    assert numbers(pulled(source, clock=clock)) == list(range(7))
    stamps = [asked.headers["x-timestamp"] for asked in server.asked]
    assert stamps[0] == str(int(NOW.timestamp()))
    assert len(set(stamps)) > 1  # signed anew at each try
    with pytest.raises(SourceError, match="status 401; check 'auth'"):
        list(pulled(source, environment={"CRM_TOKEN": "wrong"}))


def test_a_secret_in_a_header_of_its_own(server_of: ServerOf) -> None:
    server = server_of(shelf(1))
    given = {"header": {"name": "X-Api-Key", "value": "${CRM_TOKEN}"}}
    list(pulled(declared(server.url, auth=given, headers={"X-Tenant": "7"})))
    headers = server.asked[0].headers
    assert (headers["x-api-key"], headers["x-tenant"]) == (SECRET, "7")


def test_a_secret_that_is_not_set_or_cannot_be_sent(server_of: ServerOf) -> None:
    server = server_of(shelf(1))
    source = declared(server.url, auth={"bearer": {"token": "${CRM_TOKEN}"}})
    with pytest.raises(ConfigError, match="needs the environment variable CRM_TOKEN"):
        list(pulled(source, environment={}))
    with pytest.raises(ConfigError, match=r"'\$\{CRM_TOKEN\}' holds a line break") as caught:
        list(pulled(source, environment={"CRM_TOKEN": SECRET + "\n"}))
    assert SECRET not in str(caught.value)
    assert server.asked == []


# Only what is new.


def record(number: int, at: str) -> dict[str, object]:
    return {"n": number, "at": at}


def dated(stock: list[dict[str, object]]) -> Callable[[Asked], Reply]:
    """Records by time of change, from `since` on, two a page."""

    def answer(asked: Asked) -> Reply:
        since = asked.query.get("since", "")
        start = int(asked.query.get("after", 0))
        items = [each for each in stock if str(each["at"]) >= since]
        end = start + 2 if start + 2 < len(items) else None
        return Reply({"data": {"items": items[start : start + 2]}, "next": end})

    return answer


def test_the_next_run_asks_only_for_what_is_new(server_of: ServerOf) -> None:
    stock = [record(n, f"2026-07-0{n}T00:00:00Z") for n in (1, 2, 3)]
    server = server_of(dated(stock))
    new = {"parameter": "since", "path": "at", "start": "2026-07-02T00:00:00Z"}
    source = declared(server.url, pagination=CURSOR, incremental=new)
    first = list(pulled(source))
    assert numbers(first) == [2, 3]
    stock.append(record(4, "2026-07-03T08:00:00Z"))
    second = list(pulled(source, first[-1].cursor))
    # The server counts the boundary in: the repeat is told by its message id later.
    assert numbers(second) == [3, 4]
    assert [asked.query["since"] for asked in server.asked] == [
        "2026-07-02T00:00:00Z",
        "2026-07-03T00:00:00Z",
    ]
    assert json.loads(second[-1].cursor) == {"high": "2026-07-03T08:00:00Z"}


def test_a_resumed_sweep_goes_on_at_its_page_with_its_beginning(
    server_of: ServerOf,
) -> None:
    stock = [record(n, f"2026-07-01T00:00:0{n}Z") for n in range(6)]
    server = server_of(dated(stock))
    new = {"parameter": "since", "path": "at", "start": "2026-07-01"}
    source = declared(server.url, pagination=CURSOR, incremental=new)
    (first,) = itertools.islice(pulled(source), 1)
    assert numbers(pulled(source, first.cursor)) == [2, 3, 4, 5]
    assert server.asked[-1].query == {"since": "2026-07-01", "after": "4"}


@pytest.mark.parametrize(
    ("form", "value", "asked_for"),
    [
        ("iso8601", "2026-07-03T11:00:00+02:00", "2026-07-03T08:58:20Z"),
        ("iso8601", "2026-07-03 09:00:00", "2026-07-03T08:58:20Z"),
        ("seconds", 1_783_069_200, "1783069100"),
        ("milliseconds", "1783069200000", "1783069100000"),
    ],
)
def test_an_overlap_catches_what_the_server_shows_late(
    server_of: ServerOf, form: str, value: str | int, asked_for: str
) -> None:
    server = server_of(lambda asked: Reply({"data": {"items": [{"n": 1, "x": {"at": value}}]}}))
    new = {"parameter": "since", "path": "x.at", "format": form, "overlap_seconds": 100}
    source = declared(server.url, incremental=new)
    (page,) = pulled(source)
    list(pulled(source, page.cursor))
    assert [asked.query for asked in server.asked] == [{}, {"since": asked_for}]


@pytest.mark.parametrize(
    ("form", "values", "high"),
    [
        ("iso8601", ["2026-07-01", None, 5, "soon", "2099-01-01"], "2026-07-03T12:00:00Z"),
        ("seconds", [10, "30", 20, True, "x"], "30"),
        ("milliseconds", [4e15], int(NOW.timestamp() * 1000)),
        ("number", [9, 10, float("nan")], 10),
        ("text", ["a9", "a10"], "a9"),
        ("text", [None], None),
    ],
)
def test_the_greatest_value_is_the_cursor_but_never_the_future(
    server_of: ServerOf, form: str, values: list[object], high: object
) -> None:
    items = [{"n": 1, "at": value} for value in values]
    server = server_of(lambda asked: Reply({"data": {"items": items}}))
    new = {"parameter": "since", "path": "at", "format": form}
    (page,) = pulled(declared(server.url, incremental=new))
    assert json.loads(page.cursor).get("high") == high


def test_a_lasting_cursor_goes_on_behind_what_was_seen(server_of: ServerOf) -> None:
    stock = [4]

    def answer(asked: Asked) -> Reply:
        return shelf(stock[0])(asked)

    server = server_of(answer)
    lasting = {"cursor": {"parameter": "after", "path": "next", "is_lasting": True}}
    source = declared(server.url, pagination=lasting)
    first = list(pulled(source))
    assert numbers(first) == [0, 1, 2, 3]
    # Nothing new: the last page once more, which is known.
    second = list(pulled(source, first[-1].cursor))
    assert numbers(second) == []
    assert second[-1].cursor == first[-1].cursor
    stock[0] = 8
    third = list(pulled(source, second[-1].cursor))
    # The page that was not full comes again with what joined it.
    assert numbers(third) == [3, 4, 5, 6, 7]
    assert [asked.query.get("after") for asked in server.asked] == [None, "3", "3", "3", "6"]


# Into the spool.


def spooled(spool: Spool, source: RestApiSource) -> list[Any]:
    return [
        json.loads(line)["n"]
        for arrival in spool.arrivals(source)
        for line in arrival.read().splitlines()
    ]


def test_what_was_pulled_before_a_failure_stays_and_the_next_run_goes_on(
    server_of: ServerOf, tmp_path: Path
) -> None:
    is_broken = [True]

    def answer(asked: Asked) -> Reply:
        is_hit = is_broken[0] and asked.query.get("after") == "6"
        return Reply(status=404) if is_hit else shelf(11)(asked)

    server = server_of(answer)
    source = declared(server.url, pagination=CURSOR)
    other = declared(server.url, id="other", pagination=CURSOR, params={"x": 1})
    spool = Spool(tmp_path, KEYS)
    first, _ = pull([source, other], spool, load_date=DAY, environment={})
    assert (first.n_pages, first.n_records) == (2, 6)
    assert isinstance(first.failure, SourceError)
    is_broken[0] = False
    second, third = pull([source, other], spool, load_date=DAY, environment={})
    assert second == Pulled("crm", 2, 5)
    assert third == Pulled("other", 2, 5)
    assert spooled(spool, source) == spooled(spool, other) == list(range(11))


def test_a_run_with_nothing_new_adds_nothing(server_of: ServerOf, tmp_path: Path) -> None:
    stock = [record(1, "2026-07-01")]
    server = server_of(dated(stock))
    new = {"parameter": "since", "path": "at"}
    source = declared(server.url, pagination=CURSOR, incremental=new)
    spool = Spool(tmp_path, KEYS)
    assert pull([source], spool, load_date=DAY, environment={}) == [Pulled("crm", 1, 1)]
    assert pull([source], spool, load_date=DAY, environment={}) == [Pulled("crm", 0, 0)]
    stock.append(record(2, "2026-07-02"))
    assert pull([source], spool, load_date=DAY, environment={}) == [Pulled("crm", 1, 2)]
    assert spooled(spool, source) == [1, 1, 2]
