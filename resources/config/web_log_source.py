"""Access logs of a web server, with the first-party cookie and the tracking pixel."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from resources.config.source import Entity, LandedSource
from resources.sources.web_log import variables


def _log_format(text: str) -> str:
    variables(text)
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"expected a regular expression ({error})") from error
    if re.search(r"\(\?[=!<]|\\[1-9]", text):
        raise ValueError("expected no look-around and no back-reference")
    return text


def _path(text: str) -> str:
    if not text.startswith("/") or "?" in text:
        raise ValueError("expected the pixel's path, such as /p.gif, without its query")
    return text


class WebLogSource(LandedSource):
    """Logs of one web server.

    `log_format` is `combined`, `common`, or nginx's own `log_format` text; `cookie` names the
    cookie that holds the visitor's id; `pixel` is the path whose query tells an event, with the
    user's id in `user_parameter`. Requests of paths that match `ignore` are kept, yet not as pages.
    """

    kind: Literal["web_log"]
    entity: Entity = "events"
    log_format: Annotated[str, AfterValidator(_log_format)] = "combined"
    cookie: str | None = None
    visitor: Literal["cookie", "ip_and_agent"] = "ip_and_agent"
    pixel: Annotated[str, AfterValidator(_path)] | None = None
    user_parameter: str = "uid"
    ignore: Annotated[str, AfterValidator(_pattern)] = (
        r"(?i)\.(css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|eot|otf|mp4|webm|mp3"
        r"|pdf|zip|gz|txt|xml|json)$"
    )

    @model_validator(mode="after")
    def _layout_or_map(self) -> Self:
        for key in ("layout", "map", "properties", "addresses", "where", "group_by"):
            if getattr(self, key):
                raise ValueError(f"expected no '{key}': 'log_format' says how a log is read")
        if self.entity != "events":
            raise ValueError("expected 'entity' to be events, or left out")
        if self.control_total:
            raise ValueError("expected no 'control_total': a log sums nothing")
        found = variables(self.log_format)
        if "request" not in found and not {"request_uri", "uri"} & set(found):
            raise ValueError("expected $request or $request_uri in 'log_format'")
        if not {"time_local", "time_iso8601", "msec"} & set(found):
            raise ValueError("expected $time_local, $time_iso8601 or $msec in 'log_format'")
        if self.cookie and not {f"cookie_{self.cookie}", "http_cookie"} & set(found):
            raise ValueError(f"expected $cookie_{self.cookie} or $http_cookie in 'log_format'")
        if self.visitor == "cookie" and not self.cookie:
            raise ValueError("expected 'cookie', which 'visitor: cookie' needs")
        return self
