"""Pulls what WeChat's servers tell about a shop's people.

WeChat answers errors with status 200 and an `errcode`; every call carries an `access_token` in its
address, which is fetched with the account's secret, kept in memory and renewed when it expires or
WeChat refuses it. Addresses with a token are never shown.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import httpx

from resources.config.loading import expand
from resources.config.wechat_source import WechatSource
from resources.sources.http import Answer, Caller, Passing, calling
from resources.sources.pages import Page

_ORDERS_PER_PAGE = 100
_FOLLOWERS_PER_PAGE = 100
_REFUNDED = 5
# A token is renewed this long before it ends: calls under way must not outlive it.
_MARGIN_SECONDS = 300
_TOKEN_IS_BAD = frozenset({40001, 40014, 42001})
_TOKEN, _BAD_SECRET = "cgi-bin/stable_token", 40125
_BUSY, _INVALID_OPENID, _TOO_FAST = -1, 40003, 45011
# The minute's quota is counted anew each minute.
_MINUTE, _DAY = 60.0, 86_400
_REFUSALS = {
    40001: (
        "WeChat refuses even a new access token",
        "correct 'app_id' and the variable named by 'app_secret'",
    ),
    40013: ("WeChat does not know the app id", "correct 'app_id'"),
    40125: ("WeChat refuses the app secret", "correct the variable named by 'app_secret'"),
    40164: (
        "this machine's address is not permitted",
        "add it to the IP whitelist (IP 白名单) of the account",
    ),
    45009: (
        "the day's quota of calls is used up",
        "run again tomorrow, or raise the quota; what was pulled so far stays",
    ),
    48001: (
        "the account has no right to this interface",
        "have it granted in the account's administration (接口权限)",
    ),
    50002: ("the account is limited or frozen", "see the account's administration"),
}
AnswerT = TypeVar("AnswerT")


class _OpenidGone(Exception):
    """The follower behind whom the list was to go on is none any more."""


def pages(
    source: WechatSource,
    cursor: str | None,
    *,
    environment: Mapping[str, str],
    caller: Caller | None = None,
) -> Iterator[Page]:
    """Every page that WeChat has behind `cursor`.

    Raises:
        SourceError: WeChat refuses, stays broken through all tries, or the quota is used up.
        ConfigError: an environment variable is not set.
    """
    state = cast(dict[str, object], json.loads(cursor)) if cursor else {}
    with nullcontext(caller) if caller else calling(source, source.url) as calls:
        account = _Account(source, environment, calls)
        if source.data == "mini_program_orders":
            yield from _orders(account, state)
        else:
            yield from _followers(account, state)


@dataclass
class _Account:
    """An account's interfaces, called with a token that is valid."""

    source: WechatSource
    environment: Mapping[str, str]
    caller: Caller
    _token: str | None = field(default=None, init=False, repr=False)
    _ends_at: float = field(default=0.0, init=False)

    def ask(
        self,
        path: str,
        read: Callable[[dict[str, object]], AnswerT],
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> AnswerT:
        """Calls an interface: GET, or POST where there is a body; `read` takes its answer.

        Raises:
            SourceError: WeChat refuses for good.
            _OpenidGone: an openid among the parameters is no follower's.
        """
        is_renewed = False

        def request() -> httpx.Request:
            return self._request(
                path, {"access_token": self._valid_token(), **(params or {})}, body
            )

        def accepted(answer: Answer) -> AnswerT:
            nonlocal is_renewed
            content = _object(answer)
            code = content.get("errcode", 0)
            if code in _TOKEN_IS_BAD and not is_renewed:
                is_renewed = True
                self._token = None
                raise Passing(f"the access token is refused (errcode {code})", wait_seconds=0)
            if code == _INVALID_OPENID and params:
                raise _OpenidGone
            self._check(path, code)
            return read(content)

        return self.caller.call(request, accepted)

    def _valid_token(self) -> str:
        if self._token is None or self.caller.now() >= self._ends_at:
            asked_at = self.caller.now()
            self._token, seconds = self.caller.call(self._token_request, self._token_read)
            self._ends_at = asked_at + max(0.0, seconds - _MARGIN_SECONDS)
        return self._token

    def _token_request(self) -> httpx.Request:
        body = {
            "grant_type": "client_credential",
            "appid": expand(self.source.app_id, self.environment),
            "secret": expand(self.source.app_secret, self.environment),
        }
        return self._request(_TOKEN, {}, body)

    def _token_read(self, answer: Answer) -> tuple[str, float]:
        content = _object(answer)
        code = content.get("errcode", 0)
        # Here there is no token yet that could be wrong: the secret is.
        self._check(_TOKEN, _BAD_SECRET if code in _TOKEN_IS_BAD else code)
        token, seconds = content.get("access_token"), content.get("expires_in")
        if not isinstance(token, str) or not isinstance(seconds, int | float):
            raise Passing("an answer without access_token and expires_in")
        return token, float(seconds)

    def _request(
        self, path: str, params: Mapping[str, str], body: Mapping[str, object] | None
    ) -> httpx.Request:
        return self.caller.client.build_request(
            "GET" if body is None else "POST",
            f"{self.source.url.rstrip('/')}/{path}",
            params=params,
            json=body,
        )

    def _check(self, path: str, code: object) -> None:
        if code in (0, None):
            return
        if code == _BUSY:
            raise Passing("WeChat is busy (errcode -1)")
        if code == _TOO_FAST:
            raise Passing("the minute's quota of calls is used up (errcode 45011)", _MINUTE)
        problem, advice = _REFUSALS.get(
            code if isinstance(code, int) else 0,
            ("WeChat refuses", "look the code up in WeChat's list of return codes (全局返回码)"),
        )
        raise self.caller.failure(f"{path}: {problem} (errcode {code})", advice)


def _orders(account: _Account, state: Mapping[str, object]) -> Iterator[Page]:
    """The mini-program's orders by time of payment, a page of them at a time.

    An order is given as event Order Completed at its payment; a refunded one, too, as Order
    Refunded at the instant of asking, because WeChat does not say when that was.
    """
    source = account.source
    if "end" not in state:
        state = {"begin": _begin(source, state.get("high")), "end": int(account.caller.now())}
    begin, end, position = state["begin"], state["end"], state.get("last_index")
    asked: set[object] = set()
    for _ in range(source.max_pages):
        asked.add(position)

        def read(content: dict[str, object]) -> tuple[list[dict[str, object]], object]:
            orders = _list(content, "order_list")
            following = content.get("last_index") if content.get("has_more") is True else None
            if following is not None and following in asked:
                raise Passing("the page to ask for next is one that WeChat has given already")
            return orders, following

        body: dict[str, object] = {
            "pay_time_range": {"begin_time": begin, "end_time": end},
            "page_size": _ORDERS_PER_PAGE,
        }
        if position is not None:
            body["last_index"] = position
        orders, position = account.ask("wxa/sec/order/get_order_list", read, body=body)
        records = [event for order in orders for event in _events(order, end)]
        if position is None:
            yield Page(records, _text({"high": end}))
            return
        yield Page(records, _text({"begin": begin, "end": end, "last_index": position}))
    raise account.caller.failure(
        f"gave {source.max_pages} pages and has still more", "run again to go on"
    )


def _begin(source: WechatSource, high: object) -> int:
    if isinstance(high, int):
        return max(0, high - source.look_back_days * _DAY)
    if source.start is None:
        return 0
    return int(dt.datetime.combine(source.start, dt.time(), dt.UTC).timestamp())


def _events(order: Mapping[str, object], seen_at: object) -> Iterator[dict[str, object]]:
    yield {"event": "Order Completed", "at": order.get("pay_time"), **order}
    if order.get("order_state") == _REFUNDED:
        yield {"event": "Order Refunded", "at": seen_at, **order}


def _followers(account: _Account, state: Mapping[str, object]) -> Iterator[Page]:
    """Everybody who follows the official account, a hundred at a time.

    The list is asked for behind the last follower given; should she have left meanwhile, it
    begins anew.
    """
    after = state.get("after")
    position = str(after) if after else None
    for openids in _followed(account, position):
        wanted = [{"openid": openid} for openid in openids]

        def read(
            content: dict[str, object], n_wanted: int = len(wanted)
        ) -> list[dict[str, object]]:
            people = _list(content, "user_info_list")
            if len(people) != n_wanted:
                raise Passing(f"{len(people)} of {n_wanted} followers answered for")
            return people

        people = account.ask("cgi-bin/user/info/batchget", read, body={"user_list": wanted})
        yield Page(people, _text({"after": openids[-1]}))
    yield Page((), _text({"finished_at": int(account.caller.now())}))


def _followed(account: _Account, position: str | None) -> Iterator[list[str]]:
    """The openids of all followers behind one, in lists of a hundred."""
    for _ in range(account.source.max_pages):

        def read(content: dict[str, object], position: str | None = position) -> list[str]:
            data = content.get("data")  # missing where nobody is behind `position`
            found = _list(cast(dict[str, object], data), "openid") if data else []
            if position is not None and position in found:
                raise Passing("the list begins anew instead of going on")
            return [str(openid) for openid in found]

        try:
            openids = account.ask(
                "cgi-bin/user/get", read, params={"next_openid": position} if position else None
            )
        except _OpenidGone:
            position = None
            continue
        if not openids:
            return
        for start in range(0, len(openids), _FOLLOWERS_PER_PAGE):
            yield openids[start : start + _FOLLOWERS_PER_PAGE]
        position = openids[-1]
    raise account.caller.failure(
        f"gave {account.source.max_pages} lists and has still more", "run again to go on"
    )


def _object(answer: Answer) -> dict[str, object]:
    content = answer.content
    if not isinstance(content, dict):
        raise Passing("the answer is no JSON object")
    return cast(dict[str, object], content)


def _list(content: dict[str, object], key: str) -> list[Any]:
    found = content.get(key)
    if not isinstance(found, list):
        raise Passing(f"the answer has no list '{key}'")
    return cast(list[Any], found)


def _text(state: Mapping[str, object]) -> str:
    return json.dumps(state, separators=(",", ":"))
