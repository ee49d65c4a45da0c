"""Web logs: every line is a request, a page, what the pixel told, or waits with its reason."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from resources.config.web_log_source import WebLogSource
from resources.sources.times import NO_TIME
from resources.sources.web_log import pattern, variables
from resources.warehouse import Warehouse, text_literal
from tests.landing import SECRET, Landing

AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"
FILE = "2026-07-03.log"
COMBINED = WebLogSource(id="web", kind="web_log", path="*.log")
SHOP = WebLogSource(
    id="web",
    kind="web_log",
    path="*.log",
    log_format=(
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
        ' "$http_referer" "$http_user_agent" "$cookie_siyu_id" $request_time $host'
    ),
    cookie="siyu_id",
    pixel="/p.gif",
    events={"view": "Product Viewed"},
)


@pytest.fixture
def shop(tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Landing:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    return Landing(tmp_path, warehouse)


def combined(request: str = "GET / HTTP/1.1", status: int = 200, **changes: str) -> str:
    given = {"ip": "203.0.113.9", "at": "03/Jul/2026:09:02:03 +0800", "referrer": "-"} | changes
    agent = given.get("agent", AGENT)
    return (
        f'{given["ip"]} - - [{given["at"]}] "{request}" {status} 512'
        f' "{given["referrer"]}" "{agent}"'
    )


def with_cookie(request: str, cookie: str = "c-1", **changes: str) -> str:
    return f'{combined(request, **changes)} "{cookie}" 0.004 shop.example\n'


def test_apaches_log_has_exactly_one_reject(
    shop: Landing, shared_data: Callable[[str], Path]
) -> None:
    path = str(shared_data("weblogs/apache_combined.log"))
    shop.collects(COMBINED.model_copy(update={"path": path, "load_date": dt.date(2015, 5, 20)}))
    assert shop.rows("select n_records, n_rejected from raw.loads") == [(10000, 1)]
    rejected = shop.rows("select line, reason from raw.rejected_records")
    assert rejected == [(8899, "not in the log format")]
    # 83.149.9.216 is the address of the log's first line.
    assert "83.149.9.216" not in str(shop.rows("select * from raw.events"))


def test_a_page_is_told_from_other_requests(shop: Landing) -> None:
    requests = [
        ("GET /cups?utm_source=wx&utm_source=qq HTTP/1.1", 200, "page"),
        ("GET /cups HTTP/1.1", 304, "page"),
        ("GET /cups HTTP/1.1", 404, "request"),
        ("GET /cups HTTP/1.1", 301, "request"),
        ("POST /cups HTTP/1.1", 200, "request"),
        ("GET /style.css?v=3 HTTP/1.1", 200, "request"),
        ("GET /Logo.PNG HTTP/1.1", 200, "request"),
        ("-", 400, "request"),
        ("\\x16\\x03\\x01", 400, "request"),
    ]
    shop.lands(FILE, "".join(combined(text, status) + "\n" for text, status, _ in requests))
    shop.collects(COMBINED)
    found = shop.column("select event_type from raw.events order by line")
    assert found == [kind for _, _, kind in requests]
    (said,) = shop.column("select properties from raw.events where line = 1")
    assert json.loads(said) == {
        "path": "/cups",
        "query": {"utm_source": ["wx", "qq"]},
        "referrer": None,
        "method": "GET",
        "status": 200,
        "bytes": 512,
    }


def test_what_to_ignore_is_the_shops_to_say(shop: Landing) -> None:
    shop.lands(
        FILE, combined("GET /health HTTP/1.1") + "\n" + combined("GET /a.css HTTP/1.1") + "\n"
    )
    shop.collects(COMBINED.model_copy(update={"ignore": "^/health$"}))
    assert shop.column("select event_type from raw.events order by line") == ["request", "page"]


def test_the_pixel_tells_an_event(shop: Landing) -> None:
    query = (
        "e=view&uid=ann&ts=1783040522500&product_id=p1&name=%E8%8B%B9%E6%9E%9C+cup&price=12.5"
        "&tag=a&tag=b%26c&products=%5B%7B%22product_id%22%3A%22p2%22%7D%5D&empty=&flag"
    )
    shop.lands(FILE, with_cookie(f"GET /p.gif?{query} HTTP/1.1"))
    shop.collects(SHOP)
    ((kind, name, visitor, user, occurred_at, sent_at, received_at, said),) = shop.rows(
        "select event_type, event_name, anonymous_id, user_id, occurred_at, sent_at, received_at,"
        " properties from raw.events"
    )
    keys = shop.keyring.unlock()
    assert (kind, name) == ("track", "Product Viewed")
    assert visitor == keys.pseudonym("c-1")
    assert user == keys.pseudonym("ann")
    received = dt.datetime(2026, 7, 3, 1, 2, 3)  # noqa: DTZ001 - stored timestamps are naive UTC
    assert received_at == received
    assert occurred_at == sent_at == received - dt.timedelta(milliseconds=500)
    assert json.loads(said) == {
        "product_id": "p1",
        "name": "苹果 cup",
        "price": "12.5",
        "tag": ["a", "b&c"],
        "products": [{"product_id": "p2"}],
        "empty": "",
        "flag": "",
    }


def test_a_pixel_without_an_event_is_a_request_and_with_a_bad_time_waits(shop: Landing) -> None:
    shop.lands(
        FILE,
        with_cookie("GET /p.gif HTTP/1.1")
        + with_cookie("GET /p.gif?e=view&ts=soon HTTP/1.1")
        + with_cookie("GET /p.gif?e=page&ts=2026-07-03T09:02:03%2B08:00&title=Cups HTTP/1.1"),
    )
    shop.collects(SHOP)
    found = shop.rows("select event_type, event_name, occurred_at from raw.events order by line")
    at = dt.datetime(2026, 7, 3, 1, 2, 3)  # noqa: DTZ001
    assert found == [("request", None, at), ("page", None, at)]
    assert shop.rows("select line, reason from raw.rejected_records") == [(2, f"ts{NO_TIME}")]


def test_the_visitor_is_the_cookie_else_address_and_agent(shop: Landing) -> None:
    shop.lands(
        FILE,
        with_cookie("GET / HTTP/1.1")
        + with_cookie("GET / HTTP/1.1", cookie="-")
        + with_cookie("GET / HTTP/1.1", cookie="-", agent="curl/8")
        + with_cookie("GET / HTTP/1.1", cookie="-", ip="203.0.113.10")
        + with_cookie("GET /b HTTP/1.1", cookie="-"),
    )
    shop.collects(SHOP)
    cookie, first, agent, address, again = shop.column(
        "select anonymous_id from raw.events order by line"
    )
    assert cookie == shop.keyring.unlock().pseudonym("c-1")
    assert first == again
    assert len({cookie, first, agent, address}) == 4
    stored = str(shop.rows("select * from raw.events"))
    assert "203.0.113" not in stored


def test_without_cookie_nobody_where_the_shop_says_so(shop: Landing) -> None:
    shop.lands(FILE, with_cookie("GET / HTTP/1.1") + with_cookie("GET / HTTP/1.1", cookie="-"))
    shop.collects(SHOP.model_copy(update={"visitor": "cookie"}))
    found = shop.column("select anonymous_id is null from raw.events order by line")
    assert found == [False, True]


def test_a_cookie_is_found_among_all_cookies(shop: Landing) -> None:
    text = '$remote_addr [$time_iso8601] "$request" $status "$http_cookie"'
    source = SHOP.model_copy(update={"log_format": text})
    line = '203.0.113.9 [2026-07-03T09:02:03+08:00] "GET / HTTP/1.1" 200 "{}"\n'
    shop.lands(FILE, line.format("xsiyu_id=no; siyu_id=c-1; t=s3cr3t") + line.format("a=b"))
    shop.collects(source)
    visitors = shop.column("select anonymous_id from raw.events order by line")
    assert visitors[0] == shop.keyring.unlock().pseudonym("c-1")
    assert visitors[1] != visitors[0]
    assert shop.column("select distinct occurred_at from raw.events") == [
        dt.datetime(2026, 7, 3, 1, 2, 3)  # noqa: DTZ001
    ]
    assert "s3cr3t" not in str(shop.rows("select * from raw.events"))


def test_other_variables_are_kept_unless_they_tell_a_person(shop: Landing) -> None:
    text = (
        '$remote_addr $upstream_addr $remote_user [$time_local] "$request" $status'
        ' "$http_x_forwarded_for" "$http_authorization" $host $request_time'
    )
    line = '10.0.0.1 10.0.0.2 ann [{}] "GET / HTTP/1.1" 200 "{}" "Basic YW5u" shop.example 0.004\n'
    at = "03/Jul/2026:09:02:03 +0800"
    via = ("203.0.113.9, 10.0.0.7", "203.0.113.9", "-")
    shop.lands(FILE, "".join(line.format(at, each) for each in via))
    shop.collects(COMBINED.model_copy(update={"log_format": text}))
    envelopes = shop.column("select envelope from raw.events")
    assert [json.loads(each) for each in envelopes] == [
        {"host": "shop.example", "request_time": "0.004"}
    ] * 3
    first, second, proxy = shop.column("select anonymous_id from raw.events order by line")
    assert first == second != proxy
    stored = str(shop.rows("select * from raw.events"))
    assert not any(each in stored for each in ("10.0.0", "203.0.113", "'ann'", "YW5u"))


def test_the_common_format_and_seconds_since_1970_are_read(shop: Landing) -> None:
    shop.lands(FILE, '203.0.113.9 - - [03/Jul/2026:09:02:03 +0800] "GET / HTTP/1.0" 200 -\n')
    shop.lands("msec-2026-07-03.txt", "203.0.113.9 1783040523.250 200 /cups page=2\n")
    shop.collects(
        COMBINED.model_copy(update={"log_format": "common"}),
        WebLogSource(
            id="msec",
            kind="web_log",
            path="msec*",
            log_format="$remote_addr $msec $status $uri $args",
        ),
    )
    common, msec = shop.rows(
        "select occurred_at, properties, event_type from raw.events order by path"
    )
    assert common[0] == dt.datetime(2026, 7, 3, 1, 2, 3)  # noqa: DTZ001
    assert json.loads(common[1])["bytes"] is None
    assert msec[0] == dt.datetime(2026, 7, 3, 1, 2, 3, 250000)  # noqa: DTZ001
    assert (msec[2], json.loads(msec[1])["query"]) == ("page", {"page": "2"})


def test_equal_lines_are_two_requests_and_the_same_file_again_is_none(shop: Landing) -> None:
    lines = (combined() + "\n") * 2 + combined("GET /b HTTP/1.1") + "\n"
    shop.lands(FILE, lines)
    shop.collects(COMBINED)
    ids = shop.column("select message_id from raw.events order by line")
    assert len(set(ids)) == 3
    shop.lands("copy-2026-07-03.log", lines)
    shop.collects(COMBINED)
    copied = shop.column("select message_id from raw.events where path like 'copy%' order by line")
    assert copied == ids


def test_an_id_tells_requests_apart_without_hashing_a_person(shop: Landing) -> None:
    phones = ("13812345678", "13912345678")
    lines = [combined(f"GET /a?phone={phone} HTTP/1.1") + "\n" for phone in phones]
    shop.lands(FILE, "".join(lines))
    shop.lands("turned-2026-07-03.log", "".join(reversed(lines)))
    shop.collects(COMBINED)
    ids = shop.column("select message_id from raw.events order by path, line")
    assert ids[0] != ids[1]
    assert ids[2:] == ids[:2]
    assert phones[0] not in str(shop.rows("select * from raw.events"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hello\n", "not in the log format"),
        (combined()[:-20] + "\n", "not in the log format"),
        (combined(at="99/Jul/2026:09:02:03 +0800") + "\n", "the time is not a time"),
        (combined(at="03/Jul/1909:09:02:03 +0800") + "\n", "a time lies outside 1990 to 2100"),
        (combined().encode() + b"\xff\n", "not UTF-8"),
    ],
)
def test_a_bad_line_is_rejected_with_its_reason(
    shop: Landing, line: str | bytes, reason: str
) -> None:
    bad = line if isinstance(line, bytes) else line.encode()
    shop.lands(FILE, combined().encode() + b"\n\n" + bad)
    shop.collects(COMBINED)
    assert shop.rows("select line, reason from raw.rejected_records") == [(3, reason)]
    assert shop.rows("select n_records, n_rejected from raw.loads") == [(2, 1)]


@given(
    values=st.tuples(
        st.ip_addresses(v=4).map(str),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
        st.text(
            st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters='"\\')
        ),
        st.integers(100, 599).map(str),
        st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="]")),
    )
)
def test_a_format_reads_back_what_it_wrote(duck: Any, values: tuple[str, ...]) -> None:
    text = '$remote_addr ${request_uri} "$http_user_agent" $status [$note] end.'
    line = f'{values[0]} {values[1]} "{values[2]}" {values[3]} [{values[4]}] end.'
    names = ", ".join(text_literal(name) for name in variables(text))
    ((found,),) = duck.rows(
        f"select regexp_extract($line, {text_literal(pattern(text))}, [{names}])", {"line": line}
    )
    assert tuple(found.values()) == values


@pytest.fixture(scope="module")
def duck(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("duck") / "warehouse.duckdb"
    with Warehouse(path=str(path), threads=1).connect() as session:
        yield session


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("log_format", "no variable", "expected 'combined', 'common', or a format"),
        ("log_format", '"$request" $status $status [$time_local]', "found $status again"),
        ("log_format", '"$request" $status$msec', "between $status and $msec"),
        ("log_format", "$status [$time_local]", "expected $request or $request_uri"),
        ("log_format", '"$request" $status', "expected $time_local, $time_iso8601 or $msec"),
        ("cookie", "id", "expected $cookie_id or $http_cookie in 'log_format'"),
        ("visitor", "cookie", "expected 'cookie', which 'visitor: cookie' needs"),
        ("pixel", "p.gif?x", "expected the pixel's path, such as /p.gif"),
        ("ignore", "(", "expected a regular expression"),
        ("ignore", "(?=x)", "expected no look-around"),
        ("map", {"event_name": "x"}, "expected no 'map': 'log_format' says how a log is read"),
        ("control_total", "1", "expected no 'control_total'"),
        ("entity", "members", "expected 'entity' to be events"),
    ],
)
def test_a_wrong_declaration_says_what_was_expected(key: str, value: Any, message: str) -> None:
    declared = {"id": "web", "kind": "web_log", "path": "*.log", key: value}
    with pytest.raises(ValidationError) as caught:
        WebLogSource.model_validate(declared)
    assert message in str(caught.value)
