"""Keeps direct identifiers out of what is stored in clear.

Properties lose the keys that name a person; rejected records, whose form is not known, keep only
the values of keys that cannot name one, and lose whatever looks like an address or a number.
"""

import re

# Keys whose values identify a person directly, at any depth of a JSON text.
DIRECT_KEYS = (
    "email|e_mail|mail|phone|phone_number|mobile|tel|telephone|ip|ip_address|openid|open_id|"
    "unionid|union_id|external_userid|first_name|firstName|last_name|lastName|full_name|"
    "real_name|address|street|id_card|id_number|passport|birthday|latitude|longitude"
)
DIRECT_PAIR = (
    r'"(' + DIRECT_KEYS + r')"\s*:\s*("(?:[^"\\]|\\.)*"|\{[^{}]*\}|\[[^\[\]]*\]|[^",{}\[\]\s]+)'
)
EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"

_HARMLESS_KEYS = frozenset(
    (
        *("type", "event", "originalTimestamp", "sentAt", "receivedAt", "timestamp"),
        *("product_id", "sku", "category", "brand", "kind", "price", "cost", "currency"),
        *("quantity", "revenue", "channel", "locale", "timezone", "country", "status"),
        *("purpose", "at", "signed_up_at", "ordered_at", "unit_price", "stock"),
    )
)
_PAIR = re.compile(
    r'"(?P<key>[^"\\]{1,64})"(?P<colon>\s*:\s*)'
    r'(?P<value>"(?:[^"\\]|\\.)*"?|[^\s",{}\[\]]+)'
)
_EMAIL = re.compile(EMAIL)
_NUMBER = re.compile(
    r"(?P<time>\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:?\d{2})?)?)"
    r"|\d[\d .:/+()-]{5,}\d|\d{6,}|[0-9a-fA-F]{12,}"
)
_LONGEST = 2000
_MASK = "***"


def masked(text: str) -> str:
    """A rejected record with everything masked that may identify a person.

    At most 2,000 characters are kept; the whole stays in its source file at its line.
    """

    def pair(found: re.Match[str]) -> str:
        key, value = found["key"], found["value"]
        shown = value if key in _HARMLESS_KEYS else f'"{_MASK}"'
        return f'"{key}"{found["colon"]}{shown}'

    def number(found: re.Match[str]) -> str:
        return found["time"] or _MASK

    kept = text[:_LONGEST].replace("\x00", "\\0").rstrip("\r\n")
    return _NUMBER.sub(number, _EMAIL.sub(_MASK, _PAIR.sub(pair, kept)))
