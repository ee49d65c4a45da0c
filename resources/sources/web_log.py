"""nginx's `log_format` texts: which variables a line holds, and the SQL that reads it.

Pure: no clock, no file. The expression is RE2's, for DuckDB's `regexp_extract`.
"""

import itertools
import re
from typing import Literal

from resources.warehouse import text_literal

# nginx's predefined `combined` (ngx_http_log_module) and Apache's CLF (mod_log_config).
FORMATS = {
    "common": '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent',
    "combined": (
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
        ' "$http_referer" "$http_user_agent"'
    ),
    # Apache's, of several hosts.
    "vhost_combined": (
        '$host:$server_port $remote_addr - $remote_user [$time_local] "$request" $status'
        ' $body_bytes_sent "$http_referer" "$http_user_agent"'
    ),
}
# Behind these, and before the end of the line, many servers write fields of their own.
_EXTENDED = ("combined", "vhost_combined")
_VARIABLE = re.compile(r"\$(?:\{([a-z0-9_]+)\}|([a-z0-9_]+))", re.IGNORECASE)
# Within quotes both servers escape a quote, as \x22 or as \".
_QUOTED = r'(?:[^"\\]|\\.)*'
_BRACKETED = r"[^\]]*"
# Of several upstream servers nginx writes a list, and so do proxies of addresses: 0.01, 0.02 : 0.03
_WORD = r"\S+(?:(?:,| :) \S+)*"
# What a visitor or a path says may hold spaces.
_WORDS = r".*?"
_OF_WORDS = re.compile(
    r"remote_user|request|request_uri|uri|document_uri|args|query_string|request_filename"
    r"|http_(?!x_forwarded_for).+|geoip.*|arg_.+"
)
# These look the same wherever they stand.
_SPACED = {
    "time_local": r"\d{1,2}/\w{3}/\d{4}:\d\d:\d\d:\d\d(?:[.,]\d{3}(?:\d{3})?)? [+-]\d{4}",
    "status": r"\d{3}|-",
    "body_bytes_sent": r"\d+|-",
    "bytes_sent": r"\d+|-",
    "msec": r"\d+(?:\.\d+)?",
}
# How servers write a byte that would break the line: \x22.
_ESCAPED = r"'\\x([0-9A-Fa-f]{2})'"
# GET /a page HTTP/1.1; a request of the oldest kind has no protocol.
_REQUEST = r"'^([A-Za-z-]+) +(.*?)(?: +HTTP/[0-9.]+)? *$'"
# An address alone, or as RFC 7239 says it: for="[2001:db8::1]:443";proto=https.
_BEGIN, _END = r"^\s*(?:[^,]*\bfor=)?\"?", r"(?::\d+)?\"?\s*(?:;.*)?$"
_IP_V4 = rf"'(?i){_BEGIN}\[?(?:::ffff:)?(\d{{1,3}}(?:\.\d{{1,3}}){{3}})\]?{_END}'"
_IP_V6 = rf"'(?i){_BEGIN}\[?([0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*)(?:%[\w.-]+)?(?:\]{_END}|\s*$)'"
_PRIVATE = (
    r"'^(?:10|127|0)\.|^192\.168\.|^169\.254\.|^172\.(?:1[6-9]|2\d|3[01])\."
    r"|^100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|^::1?$|^f[cd][0-9a-f]{2}:|^fe[89ab][0-9a-f]:'"
)
# What tells a person, or opens a door: never kept beside what is read here.
_PERSONAL = re.compile(
    r"addr|cookie|auth|user|forwarded|client|token|secret|passw|session|(?:^|_)ip(?:$|_)",
    re.IGNORECASE,
)
_READ = frozenset(
    (
        *("request", "request_method", "request_uri", "uri", "args", "query_string", "is_args"),
        *("status", "body_bytes_sent", "bytes_sent", "http_referer", "http_user_agent"),
        *("time_local", "time_iso8601", "msec"),
    )
)
_TIMES = {
    "msec": "instant_of_number({})",
    "time_iso8601": "utc({})",
    "time_local": (
        "timezone('UTC', try_strptime(replace({}, ',', '.'), ['%d/%b/%Y:%H:%M:%S %z',"
        " '%d/%b/%Y:%H:%M:%S.%g %z', '%d/%b/%Y:%H:%M:%S.%f %z']))"
    ),
}


def _text(log_format: str) -> str:
    return FORMATS.get(log_format, log_format)


def variables(log_format: str) -> list[str]:
    """The variables of a format, in their order in the line, without the dollar sign.

    Args:
        log_format: `combined`, `common`, or the text of an nginx `log_format`.

    Raises:
        ValueError: it has no variable, one twice, or two with nothing in between.
    """
    text = _text(log_format)
    found = [match[1] or match[2] for match in _VARIABLE.finditer(text)]
    if not found:
        raise ValueError(
            "expected 'combined', 'common', or a format with nginx variables ($status)"
        )
    if repeated := sorted({name for name in found if found.count(name) > 1}):
        raise ValueError(f"expected each variable once, found ${repeated[0]} again")
    matches = list(_VARIABLE.finditer(text))
    for before, after in itertools.pairwise(matches):
        if before.end() == after.start():
            raise ValueError(f"expected a space or quote between {before[0]} and {after[0]}")
    return found


def pattern(log_format: str) -> str:
    """The regular expression of a whole line, one group for each of `variables`.

    Raises:
        ValueError: as `variables`.
    """
    variables(log_format)
    text = _text(log_format)
    parts: list[str] = []
    end = 0
    for match in _VARIABLE.finditer(text):
        parts.append(re.escape(text[end : match.start()]))
        name = match[1] or match[2]
        before, after = text[: match.start()][-1:], text[match.end() :][:1]
        if name in _SPACED:
            value = _SPACED[name]
        elif before == after == '"':
            value = _QUOTED
        elif (before, after) == ("[", "]"):
            value = _BRACKETED
        elif after in ("", " "):
            value = _WORDS if _OF_WORDS.fullmatch(name) else _WORD
        else:
            value = f"[^{re.escape(after)}]*"
        parts.append(f"({value})")
        end = match.end()
    parts.append(re.escape(text[end:]))
    rest = r"(?:\s[^\n]*)?\s*" if log_format in _EXTENDED else r"\s*"
    return f"^{''.join(parts)}{rest}$"


def _unescaped(text: str) -> str:
    """SQL of a quoted field as the client said it."""
    # Of what is not UTF-8 the bytes stay as the server wrote them.
    octets = f"regexp_replace(replace(said, '%', '%25'), {_ESCAPED}, '%\\1', 'g')"
    return (
        f"list_transform([replace({text}, '\\\"', '\"')], lambda said: case"
        f" when contains(said, '\\x') then coalesce(try(url_decode({octets})), said)"
        " else said end)[1]"
    )


def _client(text: str) -> str:
    """SQL of the client's address in a list of the addresses of a client and its proxies.

    What is none (unknown, a word of a proxy's) is passed over; an address of a private network
    counts if there is no other. Ports, brackets and quotes are not of an address.
    """
    bare = (
        f"list_transform(string_split({text}, ','), lambda each: lower(coalesce("
        f"nullif(regexp_extract(each, {_IP_V4}, 1), ''),"
        f" nullif(regexp_extract(each, {_IP_V6}, 1), ''))))"
    )
    return (
        f"list_transform([list_filter({bare}, lambda each: each is not null)], lambda found:"
        f" coalesce(list_filter(found, lambda each: not regexp_matches(each, {_PRIVATE}))[1],"
        " found[1]))[1]"
    )


def requests(
    log_format: str,
    *,
    cookie: str | None,
    visitor: Literal["cookie", "ip_and_agent"],
    pixel: str | None,
    user_parameter: str,
    ignore: str,
) -> str:
    """The SELECT that makes `requests` out of `lines`; sql/raw/layouts/web_log.sql reads it.

    Args:
        log_format: see `variables`.
        cookie: the cookie with the visitor's id, logged as `$cookie_<name>` or in `$http_cookie`.
        visitor: whether a request without cookie has a visitor: its address and agent.
        pixel: path of the tracking pixel.
        user_parameter: the pixel's parameter with the user's id.
        ignore: regular expression of paths that are no pages.

    Raises:
        ValueError: as `variables`.
    """
    names = variables(log_format)

    def value(*choices: str) -> str:
        given = [f"nullif(nullif(fields['{name}'], '-'), '')" for name in choices if name in names]
        return f"coalesce({', '.join(given)})" if given else "cast(null as varchar)"

    clock = next(name for name in _TIMES if name in names)
    listed = ", ".join(text_literal(name) for name in names)
    request = value("request")
    target = (
        f"coalesce({value('request_uri')}, nullif(regexp_extract({request}, {_REQUEST}, 2), ''))"
    )
    if "request" not in names and "request_uri" not in names:
        target = f"concat_ws('?', {value('uri')}, {value('args', 'query_string')})"
    # A format that does not tell the method is taken to log pages.
    method = (
        f"coalesce({value('request_method')}, nullif(regexp_extract({request}, {_REQUEST}, 1), ''))"
    )
    if not {"request", "request_method"} & set(names):
        method = "'GET'"
    visited = [value(f"cookie_{cookie}")] if cookie else []
    if cookie and "http_cookie" in names:
        inside = text_literal(rf"(?:^|;\s*){re.escape(cookie)}=([^;]*)")
        visited.append(f"nullif(regexp_extract({value('http_cookie')}, {inside}, 1), '')")
    if visitor == "ip_and_agent":
        headers = ("http_forwarded", "http_x_forwarded_for", "proxy_add_x_forwarded_for")
        sent = [_client(value(name)) for name in headers if name in names]
        plain = value("http_x_real_ip", "remote_addr")
        address = f"coalesce({', '.join([*sent, _client(plain), plain])})"
        agent = _unescaped(value("http_user_agent"))
        visited.append(f"{address} || ' ' || coalesce({agent}, '')")
    others = ", ".join(
        f"{text_literal(name.removeprefix('arg_'))}, {value(name)}"
        for name in names
        if name not in _READ and not _PERSONAL.search(name)
    )
    return f"""
    select
        path, line, text, is_utf8,
        fields['{clock}'] <> '' as is_read,
        try({_TIMES[clock].format(f"fields['{clock}']")}) as requested_at,
        {method} as method,
        regexp_replace(
            regexp_replace({target}, '^https?://[^/?#]*', ''), {_ESCAPED}, '%\\1', 'g'
        ) as target,
        regexp_matches(
            regexp_replace({target}, '[?#].*$', ''), {text_literal(ignore)}
        ) as is_ignored,
        try_cast({value("status")} as integer) as status,
        try_cast({value("body_bytes_sent", "bytes_sent")} as bigint) as n_bytes,
        {_unescaped(value("http_referer"))} as referrer,
        {_unescaped(value("http_user_agent"))} as user_agent,
        coalesce({", ".join([*visited, "cast(null as varchar)"])}) as visitor_key,
        cast(json_object({others}) as varchar) as others,
        {text_literal(pixel) if pixel else "cast(null as varchar)"} as pixel,
        {text_literal(user_parameter)} as user_parameter
    from (
        select *, regexp_extract(text, {text_literal(pattern(log_format))}, [{listed}]) as fields
        from lines
        where trim(text, chr(9) || chr(10) || chr(13) || ' ') <> ''
    )"""
