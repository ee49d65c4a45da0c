"""WeChat: against a server that answers as WeChat does, errors with status 200 included."""

import datetime as dt
import json
import logging
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from resources.config.wechat_source import WechatSource
from resources.sources.files import SourceError
from resources.sources.http import Caller, calling
from resources.sources.pages import Page
from resources.sources.wechat import pages
from tests.servers import Asked, Reply, Server, serving

SECRET = "app-s3cr3t"
ENVIRONMENT = {"WECHAT_SECRET": SECRET}
NOW = dt.datetime(2026, 7, 3, 12, tzinfo=dt.UTC).timestamp()


class Wechat:
    """An account with orders and followers; `errors` are answered once each, by path."""

    def __init__(self) -> None:
        self.tokens = 0
        self.valid = ""
        self.errors: dict[str, list[int]] = {}
        self.orders: list[dict[str, Any]] = []
        self.followers: list[str] = []
        self.n_per_list = 250

    def __call__(self, asked: Asked) -> Reply:
        path = asked.path.lstrip("/")
        if codes := self.errors.get(path):
            code = codes.pop(0)
            return Reply({"errcode": code, "errmsg": f"refused rid: {asked.query}"})
        if path == "cgi-bin/stable_token":
            return self.token(asked)
        if asked.query.get("access_token") != self.valid:
            return Reply({"errcode": 40001, "errmsg": "invalid credential"})
        return {
            "wxa/sec/order/get_order_list": self.order_list,
            "cgi-bin/user/get": self.user_get,
            "cgi-bin/user/info/batchget": self.batchget,
        }[path](asked)

    def token(self, asked: Asked) -> Reply:
        assert asked.method == "POST"
        wanted = {"grant_type": "client_credential", "appid": "wx1", "secret": SECRET}
        if asked.json != wanted:
            return Reply({"errcode": 40125, "errmsg": "invalid appsecret"})
        self.tokens += 1
        self.valid = f"t0k3n-{self.tokens}"
        return Reply({"access_token": self.valid, "expires_in": 7200})

    def order_list(self, asked: Asked) -> Reply:
        wanted: Any = asked.json
        between = wanted["pay_time_range"]
        found = [
            order
            for order in self.orders
            if between["begin_time"] <= order["pay_time"] <= between["end_time"]
        ]
        start = int(wanted.get("last_index", 0))
        end = start + wanted["page_size"]
        more = end < len(found)
        answer = {"errcode": 0, "errmsg": "ok", "last_index": str(end), "has_more": more}
        return Reply(answer | {"order_list": found[start:end]})

    def user_get(self, asked: Asked) -> Reply:
        after = asked.query.get("next_openid")
        if after and after not in self.followers:
            return Reply({"errcode": 40003, "errmsg": "invalid openid"})
        start = self.followers.index(after) + 1 if after else 0
        found = self.followers[start : start + self.n_per_list]
        answer: dict[str, object] = {"total": len(self.followers), "count": len(found)}
        if found:
            answer["data"] = {"openid": found}
        return Reply(answer | {"next_openid": found[-1] if found else ""})

    def batchget(self, asked: Asked) -> Reply:
        wanted: Any = asked.json
        assert len(wanted["user_list"]) <= 100
        people = [{"subscribe": 1, **each, "subscribe_time": 1} for each in wanted["user_list"]]
        return Reply({"user_info_list": people})


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.seconds = NOW
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@pytest.fixture
def wechat() -> Wechat:
    return Wechat()


@pytest.fixture
def server(wechat: Wechat) -> Iterator[Server]:
    with serving(wechat) as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


Pull = Callable[..., Iterator[Page]]


@pytest.fixture
def pulled(server: Server, clock: Clock) -> Pull:
    def pull(data: str, cursor: str | None = None, **changes: Any) -> Iterator[Page]:
        source = declared(server.url, data, **changes)
        with calling(source, source.url) as caller:
            patient = Caller(source, source.url, caller.client, clock.now, clock.sleep, Random(1))
            yield from pages(source, cursor, environment=ENVIRONMENT, caller=patient)

    return pull


def declared(url: str, data: str, **changes: Any) -> WechatSource:
    given = {"id": "mini", "kind": "wechat", "data": data, "app_id": "wx1", "url": url}
    return WechatSource.model_validate(given | {"app_secret": "${WECHAT_SECRET}"} | changes)


def order(number: int, pay_time: float, state: int = 4) -> dict[str, object]:
    return {
        "transaction_id": f"42{number:05d}",
        "openid": f"o{number}",
        "paid_amount": 1990,
        "description": "茶",
        "pay_time": int(pay_time),
        "order_state": state,
    }


ORDERS, FOLLOWERS = "mini_program_orders", "official_account_followers"


def test_orders_become_events(wechat: Wechat, pulled: Pull) -> None:
    wechat.orders = [order(n, NOW - 1000 + n, state=5 if n == 3 else 4) for n in range(150)]
    found = list(pulled(ORDERS))
    assert [len(page.records) for page in found] == [101, 50]
    events = [(each["event"], each["transaction_id"]) for page in found for each in page.records]
    assert events.count(("Order Completed", "4200003")) == 1
    assert events.count(("Order Refunded", "4200003")) == 1
    assert len(set(events)) == 151
    # WeChat does not say when: the instant of asking is when it was seen.
    refund = found[0].records[4]
    assert (refund["event"], refund["at"], refund["pay_time"]) == (
        "Order Refunded",
        int(NOW),
        int(NOW) - 997,
    )


def test_the_next_run_asks_back_for_changed_orders(
    wechat: Wechat, server: Server, pulled: Pull, clock: Clock
) -> None:
    day = 86_400
    wechat.orders = [order(n, NOW - n * day) for n in range(40, 0, -1)]
    first = list(pulled(ORDERS, start="2026-06-01"))
    # From midnight UTC of 1 June.
    assert sum(len(page.records) for page in first) == 32
    clock.seconds += day
    wechat.orders[-5]["order_state"] = 5
    second = list(pulled(ORDERS, first[-1].cursor, look_back_days=7))
    assert [each["event"] for page in second for each in page.records].count("Order Refunded") == 1
    assert sum(len(page.records) for page in second) == 8
    asked: Any = server.asked[-1].json
    assert asked["pay_time_range"] == {
        "begin_time": int(NOW) - 7 * day,
        "end_time": int(NOW) + day,
    }


def test_a_resumed_sweep_keeps_its_window(
    wechat: Wechat, server: Server, pulled: Pull, clock: Clock
) -> None:
    wechat.orders = [order(n, NOW - 1000 + n) for n in range(250)]
    cursor = next(pulled(ORDERS)).cursor
    clock.seconds += 500
    rest = list(pulled(ORDERS, cursor))
    assert [each["transaction_id"] for page in rest for each in page.records] == [
        f"42{n:05d}" for n in range(100, 250)
    ]
    asked: Any = server.asked[-1].json
    assert asked["pay_time_range"]["end_time"] == int(NOW)


def test_followers_a_hundred_at_a_time(wechat: Wechat, server: Server, pulled: Pull) -> None:
    wechat.followers = [f"o{n}" for n in range(530)]
    found = list(pulled(FOLLOWERS))
    assert [len(page.records) for page in found] == [100, 100, 50, 100, 100, 50, 30, 0]
    assert [each["openid"] for page in found for each in page.records] == wechat.followers
    assert wechat.tokens == 1
    # The next run begins anew: it is how those who left are seen.
    assert len(list(pulled(FOLLOWERS, found[-1].cursor))) == 8


def test_a_resumed_list_goes_on_behind_the_last_follower(wechat: Wechat, pulled: Pull) -> None:
    wechat.followers = [f"o{n}" for n in range(530)]
    cursor = list(pulled(FOLLOWERS))[3].cursor
    rest = [each["openid"] for page in pulled(FOLLOWERS, cursor) for each in page.records]
    assert rest == wechat.followers[350:]
    # She left meanwhile: the list begins anew instead of failing for ever.
    wechat.followers.remove("o349")
    again = [each["openid"] for page in pulled(FOLLOWERS, cursor) for each in page.records]
    assert again == wechat.followers


def test_nobody_follows(pulled: Pull) -> None:
    assert [page.records for page in pulled(FOLLOWERS)] == [()]


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_a_refused_token_is_renewed_once(
    wechat: Wechat, pulled: Pull, clock: Clock, code: int
) -> None:
    wechat.orders = [order(1, NOW)]
    wechat.errors = {"wxa/sec/order/get_order_list": [code]}
    (page,) = pulled(ORDERS)
    assert len(page.records) == 1
    assert wechat.tokens == 2
    assert clock.slept == [0]
    wechat.errors = {"wxa/sec/order/get_order_list": [code, code]}
    with pytest.raises(SourceError, match=rf"\(errcode {code}\); "):
        list(pulled(ORDERS))


def test_a_token_is_renewed_before_it_ends(wechat: Wechat, pulled: Pull, clock: Clock) -> None:
    wechat.followers = [f"o{n}" for n in range(250)]
    running = pulled(FOLLOWERS)
    next(running)
    clock.seconds += 6_899
    next(running)
    assert wechat.tokens == 1
    clock.seconds += 2
    next(running)
    assert wechat.tokens == 2


def test_busy_and_too_fast_are_waited_for(wechat: Wechat, pulled: Pull, clock: Clock) -> None:
    wechat.orders = [order(1, NOW)]
    wechat.errors = {"wxa/sec/order/get_order_list": [-1, 45011], "cgi-bin/stable_token": [-1]}
    assert len(list(pulled(ORDERS))) == 1
    assert clock.slept[-1] == 60
    assert len(clock.slept) == 3


DATA, TOKEN = "wxa/sec/order/get_order_list", "cgi-bin/stable_token"


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        (TOKEN, 40013, "WeChat does not know the app id .* correct 'app_id'"),
        (TOKEN, 40125, "refuses the app secret .* the variable named by 'app_secret'"),
        (TOKEN, 40001, "refuses the app secret"),
        (TOKEN, 40164, "this machine's address is not permitted .* IP whitelist"),
        (DATA, 45009, "the day's quota of calls is used up .* run again tomorrow"),
        (DATA, 48001, "no right to this interface .* have it granted"),
        (DATA, 50002, "limited or frozen"),
        (DATA, 61451, "WeChat refuses .*61451.* look the code up"),
    ],
)
def test_a_refusal_is_one_line_without_secrets(
    wechat: Wechat,
    pulled: Pull,
    server: Server,
    caplog: pytest.LogCaptureFixture,
    path: str,
    code: int,
    said: str,
) -> None:
    wechat.errors = {path: [code]}
    with caplog.at_level(logging.INFO), pytest.raises(SourceError, match=said) as caught:
        list(pulled(ORDERS))
    line = str(caught.value)
    assert line.startswith(f"source 'mini': {server.url}: {path}: ")
    assert "\n" not in line
    for hidden in ("t0k3n", SECRET):
        assert hidden not in line + caplog.text


def test_a_server_that_breaks_shows_no_token(
    wechat: Wechat, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    def answer(asked: Asked) -> Reply:
        return wechat(asked) if asked.path.endswith("token") else Reply(content=b"{", sent=0)

    with serving(answer) as server:
        source = declared(server.url, ORDERS)
        with calling(source, source.url) as caller:
            patient = Caller(source, source.url, caller.client, clock.now, clock.sleep, Random(1))
            with caplog.at_level(logging.INFO), pytest.raises(SourceError) as caught:
                list(pages(source, None, environment=ENVIRONMENT, caller=patient))
    assert server.asked[-1].query["access_token"] == "t0k3n-1"
    assert "gave up after 6 tries, at last: the connection failed" in str(caught.value)
    assert "t0k3n" not in str(caught.value) + caplog.text + repr(caught.value.__cause__)


def test_a_list_that_goes_round_in_circles_is_left(wechat: Wechat, clock: Clock) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("token"):
            return wechat(asked)
        return Reply({"errcode": 0, "order_list": [], "has_more": True, "last_index": "7"})

    with serving(answer) as server:
        source = declared(server.url, ORDERS)
        with calling(source, source.url) as caller:
            patient = Caller(source, source.url, caller.client, clock.now, clock.sleep, Random(1))
            with pytest.raises(SourceError, match="has given already"):
                list(pages(source, None, environment=ENVIRONMENT, caller=patient))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"app_secret": SECRET}, "expected 'app_secret' to be"),
        ({"url": "http://api.weixin.qq.com"}, "expected 'url' with https://"),
        ({"entity": "members"}, "expected 'entity: events' of mini_program_orders"),
        ({"data": "visits"}, "mini_program_orders"),
    ],
)
def test_a_wrong_declaration_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        WechatSource.model_validate(
            {
                "id": "mini",
                "kind": "wechat",
                "data": ORDERS,
                "app_id": "wx1",
                "app_secret": "${WECHAT_SECRET}",
            }
            | changes
        )


def test_a_shop_may_map_otherwise() -> None:
    mapped = {"event_name": "record->>'$.event'", "occurred_at": "now()"}
    source = declared("https://api.weixin.qq.com", ORDERS, map=mapped)
    assert source.map == mapped
    assert source.entity == "events"
    assert source.properties == {}
    assert json.loads(source.model_dump_json())["app_secret"] == "${WECHAT_SECRET}"
