r"""Keeps direct identifiers out of what is stored in clear.

What an event says keeps all but the values of keys that name a person, e-mail addresses and phone
numbers. What is said of a person (traits, attributes) keeps a short list of keys alone, and the
attributes that the source maps by name. Rejected records, whose form is not known, keep keys,
times, and the values of keys that cannot name one.

A mainland mobile number is taken for one wherever it stands as a word of its own, except as (part
of) the value of a key ending in id, code, sku, barcode or no: shops number their orders so. Numbers
of other countries are known by their plus sign.
"""

import re
from collections.abc import Iterable, Sequence

from resources.warehouse import text_literal

_STRING = r'"(?:[^"\\]|\\.)*"'
_WHOSE = (
    r"(?:(?:shipping|billing|delivery|receiver|recipient|consignee|contact|customer|client|buyer"
    r"|payer|user|member|home|work|mobile|cell|wechat|weixin|wx|client|remote)[_ -]?)"
)
_WHAT = (
    r"e[_-]?mail(?:[_-]?address)?|mail|(?:tele|cell)?phone(?:[_-]?(?:number|num|no))?"
    r"|mobile(?:[_-]?(?:number|num|no))?|tel|ip(?:[_-]?addr(?:ess)?)?|open[_-]?id|union[_-]?id"
    r"|address(?:[_-]?line)?[_-]?\d?|addr|street|id[_-]?(?:card|number|no)"
)
_WHO = (
    r"(?:user|nick|full|first|last|real|family|given|middle|receiver|recipient|consignee|contact"
    r"|customer|client|buyer|payer|member|login|display|shipping|billing)[_-]?name"
    r"|(?:user|customer|member|anonymous|external[_-]?user|device|android|advertising)[_-]?id"
    r"|idfa|idfv|imei|oaid|username|nickname|surname|receiver|recipient|consignee|contacts?"
    r"|passport(?:[_-]?(?:number|no))?|birth[_-]?(?:day|date)|date[_-]?of[_-]?birth|dob"
    r"|latitude|longitude|lat|lng|wechat|weixin|whatsapp"
    r"|password|passwd|pwd|secret|api[_-]?key|authorization|(?:\w+[_-])?token"
    r"|姓名|昵称|手机号?码?|电话|邮箱|地址|收货人|收件人|联系人|身份证号?"
)
# A key that names a person directly, at any depth of a JSON text, however it is spelt.
DIRECT_KEY = rf'(?i)"({_WHOSE}?(?:{_WHAT})|{_WHO})"\s*:'


def _nested(levels: int) -> str:
    """An object or a list down to some levels within; strings may hold any bracket."""
    inner = rf'{_STRING}|[^"{{}}\[\]]'
    if levels:
        inner += "|" + _nested(levels - 1)
    return rf"[{{\[](?:{inner})*[}}\]]"


DIRECT_PAIR = rf'{DIRECT_KEY}\s*(?:{_STRING}|{_nested(3)}|[^",{{}}\[\]\s]+)'
_TOO_DEEP = DIRECT_KEY + r"\s*[{\[]"
# What JSON writes for one character: its letters are not the beginning of a word.
_ESCAPE = r'\\u[0-9a-fA-F]{4}|\\["\\/bfnrt]'
EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_MOBILE = r"1[3-9]\d[ -]?\d{4}[ -]?\d{4}"
_ABROAD = r"\+[1-9]\d{0,2}[ -]?\d[\d -]{5,12}\d"
# Stands before digits that are no phone number while those that are go; no JSON text has it.
_GUARD = "\x01"
_ID_VALUE = rf'(?i)("[^"]*(?:id|code|sku|no)"\s*:\s*"?[^",{{}}\[\]]*?)({_MOBILE}|\+[1-9])'
_BARE_PHONE = r"([:\[,]\s*)-?(?:86)?1[3-9]\d{9}(\s*[,}\]])"
_PHONE = (
    rf"(^|{_ESCAPE}|[^0-9A-Za-z_.+{_GUARD}])(?:{_ABROAD}|(?:(?:00|\+)?86[ -]?)?{_MOBILE})"
    r"($|[^0-9A-Za-z_.]|\.[^0-9]|\.$)"
)
# Keys of traits and attributes that tell what kind of person, not which.
HARMLESS_TRAITS = (
    *("gender", "age_band", "age_group", "locale", "language", "timezone", "time_zone"),
    *("country", "province", "state", "region", "city", "currency", "industry", "plan", "level"),
    *("tier", "vip_level", "membership_level", "source", "channel", "tags"),
    *("created_at", "createdAt", "signed_up_at"),
)


def _masked_phones(sql: str) -> str:
    # A match takes its neighbours with it: of two numbers side by side the second goes second.
    sql = f"regexp_replace({sql}, {text_literal(_ID_VALUE)}, '\\1{_GUARD}\\2', 'g')"
    for pattern, mask in ((_BARE_PHONE, "\\1null\\2"), (_PHONE, "\\1***\\2")):
        for _ in range(2):
            sql = f"regexp_replace({sql}, {text_literal(pattern)}, '{mask}', 'g')"
    return f"replace({sql}, '{_GUARD}', '')"


def names_a_person(key: str) -> bool:
    """Whether a key's value tells which person it is, not what kind."""
    return key.casefold() == "name" or re.fullmatch(DIRECT_KEY, f'"{key}":') is not None


def _keeping(names: Sequence[str]) -> str:
    """SQL for what of the JSON `valid` is kept: these keys, if scalars or plain lists."""
    listed = ", ".join(map(text_literal, names))
    paths = ", ".join(text_literal(f"$.{name}") for name in names)
    return f"""
    without_phones(without_emails(
        '{{' || array_to_string(
            list_transform(
                list_filter(
                    list_zip(
                        [{listed}],
                        json_type(valid, [{paths}]),
                        json_extract(valid, [{paths}])
                    ),
                    lambda trait: trait[2] not in ('OBJECT', 'NULL')
                        and not contains(trait[3]::varchar, '{{')
                ),
                lambda trait: '"' || trait[1] || '":' || trait[3]::varchar
            ),
            ','
        ) || '}}'
    ))"""


def attributes_macro(names: Iterable[str]) -> str:
    """SQL for the macro `kept_attributes`: of attributes, the harmless ones and these."""
    kept = list(dict.fromkeys((*HARMLESS_TRAITS, *names)))
    return f"""
create or replace temp macro kept_attributes_of(valid) as {_keeping(kept)};
create or replace temp macro kept_attributes(said) as
    kept_attributes_of(case when json_valid(said) then said else '{{}}' end);
"""


# Macros for SQL: `redacted` takes persons out of the JSON that an event says (`redacted_text` out
# of a plain text),
# `harmless` leaves of what is said of a person only HARMLESS_TRAITS, scalars and plain lists.
# Each costly step runs on the texts alone that a cheaper look finds something in.
MACROS = f"""
create or replace temp macro without_direct_keys(said) as
    case
        when not regexp_matches(said, {text_literal(DIRECT_KEY)}) then said
        -- Nested deeper than the pattern reaches: nothing of it is kept.
        when regexp_matches(
            regexp_replace(said, {text_literal(DIRECT_PAIR)}, '"\\1":null', 'g'),
            {text_literal(_TOO_DEEP)}
        ) then '{{}}'
        else regexp_replace(said, {text_literal(DIRECT_PAIR)}, '"\\1":null', 'g')
    end;
create or replace temp macro without_emails(said) as
    case
        when contains(said, '@')
            then regexp_replace(said, {text_literal(f"({_ESCAPE})?{EMAIL}")}, '\\1***', 'g')
        else said
    end;
create or replace temp macro without_phones(said) as
    case
        when regexp_matches(said, {text_literal(_MOBILE + "|" + _ABROAD)})
            then {_masked_phones("said")}
        else said
    end;
create or replace temp macro is_suspect(said) as
    regexp_matches(said, {text_literal(f"{DIRECT_KEY}|@|{_MOBILE}|{_ABROAD}")});
create or replace temp macro redacted_text(said) as
    -- A macro's argument is copied wherever the macro names it; a lambda's is worked out once.
    list_transform(
        list_transform([without_direct_keys(said)], lambda bare: without_emails(bare)),
        lambda bare: without_phones(bare)
    )[1];
create or replace temp macro redacted(said) as
    case
        -- What cannot be cut out cleanly goes whole.
        when is_suspect(said) then list_transform(
            [redacted_text(said)], lambda bare: case when json_valid(bare) then bare else '{{}}' end
        )[1]
        else said
    end;
create or replace temp macro harmless_of(valid) as {_keeping(HARMLESS_TRAITS)};
create or replace temp macro harmless(said) as
    harmless_of(case when json_valid(said) then said else '{{}}' end);
"""

_HARMLESS_KEYS = frozenset(
    (
        *("type", "event", "originalTimestamp", "sentAt", "receivedAt", "timestamp"),
        *("product_id", "sku", "category", "brand", "kind", "price", "cost", "currency"),
        *("quantity", "revenue", "channel", "locale", "timezone", "country", "status"),
        *("purpose", "at", "signed_up_at", "ordered_at", "unit_price", "stock"),
    )
)
_TIME = (
    r"(?<![^\W_])\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?"
    r"(?:Z|[+-]\d{2}(?::?\d{2})?)?(?![^\W_])"
)
# A key, with its value if that is a whole one; a time; a tag or literal; any other word.
_TOKEN = re.compile(
    r'"(?P<key>[A-Za-z][A-Za-z_]{0,39})"(?P<colon>\s*:\s*)'
    r'(?:(?P<value>"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*(?=[\s,}\]]|$))|(?=[{\[]))?'
    rf"|(?P<kept>{_TIME}|</?(?:html|head|title|body|center|h1|hr|p)>"
    r"|(?<![^\W_])(?:true|false|null)(?![^\W_]))"
    r"|(?P<word>[0-9A-Za-z\x80-\U0010ffff]+)"
)
_HARMLESS_VALUE = re.compile(rf'"(?:{_TIME}|[^":;=@{{}}\[\]\\]{{0,64}})"|[^"].*')
_NUMBER = re.compile(rf"(?P<time>{_TIME})|\d[\d .:/+()-]{{5,}}\d|\d{{6,}}|[0-9a-fA-F]{{12,}}")
_LONGEST = 2000
_MASK = "***"


def masked(text: str) -> str:
    """A rejected record with everything masked that may identify a person.

    At most 2,000 characters are kept; the whole stays in its source file at its line.
    """

    def number(found: re.Match[str]) -> str:
        return found["time"] or _MASK

    def token(found: re.Match[str]) -> str:
        if found["kept"]:
            return found["kept"]
        if found["word"]:
            return _MASK
        key, value = found["key"], found["value"] or ""
        if value and key in _HARMLESS_KEYS and _HARMLESS_VALUE.fullmatch(value):
            value = _NUMBER.sub(number, value)
        elif value:
            value = f'"{_MASK}"'
        return f'"{key}"{found["colon"]}{value}'

    return _TOKEN.sub(token, text[:_LONGEST].rstrip("\r\n")).replace("\x00", "\\0")
