"""How an identifier of a person reads, and which identifiers name nobody.

Pure. Every layout and every mapping hands over text; here two spellings become one person, or none.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

LONGEST = 1000

# The usual width of full and half width characters, as RFC 8265 has it for the names of users.
# Other compatible characters stay apart: x² and x2 are two people.
_WIDTHS = {
    code: unicodedata.normalize("NFKC", chr(code))
    for code in (0x3000, *range(0xFF01, 0xFFEF))
    if unicodedata.decomposition(chr(code)).startswith(("<wide>", "<narrow>"))
}
# Not to be seen, and without meaning in an identifier: marks of direction and of bytes, soft
# hyphens, spaces of no width.
_UNSEEN = (0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F))
_UNSEEN_TOO = (*range(0x2060, 0x2070), 0xFEFF)
_TRANSLATION = {**_WIDTHS, 0x2212: "-", **dict.fromkeys((*_UNSEEN, *_UNSEEN_TOO))}
# Spaces, control characters and the joiners of letters, which nothing stands beside.
_EDGES = "".join(
    chr(code)
    for code in (*range(0x2030), 0x205F, 0x3000)
    if chr(code).isspace() or unicodedata.category(chr(code)) == "Cc" or code in (0x200C, 0x200D)
)
# How spreadsheets keep a number a text (="007", '007), and how a JSON text looks as a text.
_QUOTED = re.compile(r'=?"([^"\\]*)"|\'(\d+)')
# How programs write a whole number that they hold as a binary fraction.
_WHOLE = re.compile(r"([+-]?\d+)\.0+")
_POWER = re.compile(r"([+-]?)(\d)(?:(\.\d+)?[eE]\+|\.(\d+)[eE])(\d{1,2})")
# A spreadsheet shows 123456789012345 as 1.23457E+14: many identifiers have become one.
_LONG_DIGITS, _LOST_DIGITS = 12, 6

# A missing value as programs, drivers and spreadsheets write it, and a visitor in many languages.
# After what Segment, Mixpanel, Amplitude and PostHog do not take for a person.
_ABSENT = frozenset(
    """
    null nil none undefined nan nul nullptr dbnull void empty blank missing unset undef false true
    unknown anonymous anon anonym anonyme guest visitor na inf infinity
    gast invité invite inconnu anonimo anónimo anônimo invitado convidado desconocido desconhecido
    unbekannt ospite гость аноним неизвестно
    游客 遊客 访客 訪客 匿名 匿名者 未登录 未登錄 未登陆 未登入 未注册 未註冊 未知 未识别 未设置
    未定义 未填写 空 空值 无 無 暂无 没有 不详 佚名
    ゲスト 未ログイン 不明 なし 게스트 비회원 익명 손님
    """.split()
)
# What the field is called, instead of what stands in it.
_FIELDS = frozenset(
    """
    id uid uuid guid udid userid memberid customerid clientid accountid visitorid distinctid
    anonymousid deviceid personid openid unionid email username loginid 用户id 会员id
    """.split()
)
# What names nobody beside an absent value, as in "unknown user"; alone it may be somebody's name.
_NOUNS = frozenset(
    "user users member customer client account device person 用户 用戶 会员 會員".split()
)
_PHRASES = frozenset(
    """
    notset notavailable notapplicable notprovided notspecified notauthenticated unauthenticated
    notloggedin notlogin notlogined nologin unlogin unlogined loggedout signedout unregistered
    unidentified unauthorized nouser nouserid noid objectobject objectundefined objectnull
    nullnull undefinedundefined nonenone nannan optionalnil
    guestcheckout checkoutguest guestshopper guestbuyer guestorder
    """.split()
)
_JOINED = frozenset(
    absent + field for absent in _ABSENT - {"na", "nan", "nil"} for field in _FIELDS | _NOUNS
) | frozenset(
    field + absent
    for absent in ("null", "none", "undefined", "unknown")
    for field in _FIELDS | _NOUNS
)
_SPREADSHEET_ERRORS = frozenset(("#REF!", "#VALUE!", "#NAME?", "#NUM!", "#DIV/0!"))
# Identifiers of programs and devices that thousands have in common.
_SHARED = frozenset(
    (
        *("-1", "(-1)", "0x0", "lmy47d", "9774d56d682e549c", "02:00:00:00:00:00"),
        *("ffffffff-ffff-ffff-ffff-ffffffffffff", "\\n", "%s", "%d"),
    )
)
_LONGEST_WORDS = 60
_BRACKETS = {"{": "}", "[": "]", "<": ">"}
# In braces as Windows writes a GUID, or in angle brackets as iOS a device's token.
_ENCLOSED_NAME = re.compile(
    r"[{][0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}[}]|<[0-9A-Fa-f ]{32,}>"
)
# A name to be filled in by a program that did not: {{id}}, ${id}, %ID%, __ID__, *|ID|* and others.
_TEMPLATE = re.compile(r"[{]{2}|[}]{2}|[$#@!][{(\[]|<%|%>|\[\[|\]\]|[*][|]|[{]%|%[(]\w+[)]s")
_WHOLE_TEMPLATE = re.compile(r"%+[A-Za-z_][\w.]*%+|__[A-Z][A-Z0-9_]*__|##?[A-Za-z_]+##?")
_OBJECT = re.compile(r"[{\[]\s*[\"'].*|#<.*", re.DOTALL)
# Most identifiers: read as they are at one look.
_ORDINARY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_@:/-]*[1-9][A-Za-z0-9_@:/-]*")
_SUSPECT = re.compile(r"[{}\[\]<>%]|^(?:__|##?[^#])|[*][|]")


@dataclass(frozen=True)
class Identifier:
    """What an identifier reads as; `nobody` says what it is instead where it names nobody."""

    text: str
    nobody: str | None = None
    is_word: bool = False


class Identifiers:
    """How a shop's identifiers read.

    Beside what every shop has, its `placeholders` name nobody, its `persons` somebody.
    """

    def __init__(self, placeholders: Iterable[str] = (), persons: Iterable[str] = ()) -> None:
        self._nobodies = frozenset(canonical(each).casefold() for each in placeholders)
        self._persons = frozenset(canonical(each).casefold() for each in persons)

    def read(self, said: str) -> Identifier:
        """What an identifier reads as."""
        is_ordinary = _ORDINARY.fullmatch(said) is not None
        text = said if is_ordinary else canonical(said)
        own = text.casefold() if self._nobodies or self._persons else ""
        if own in self._persons:
            return Identifier(text)
        if own and own in self._nobodies:
            return Identifier(text, text, is_word=True)
        if is_ordinary and said.lower() not in _SHARED:
            return Identifier(text)
        return _judged(text, said)


def canonical(said: str) -> str:
    """An identifier in its one spelling; its case stays.

    Without spaces around it and what cannot be seen, composed, in usual width; a whole number as
    its digits, however a program wrote it: 20001.0, 2.0001e4.
    """
    text = said
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(_TRANSLATION))
    text = text.strip(_EDGES)
    if found := _QUOTED.fullmatch(text):
        text = (found[1] or found[2] or "").strip(_EDGES)
    if not text[-1:].isdigit() or text.isdigit():
        return text
    if whole := _WHOLE.fullmatch(text):
        return whole[1]
    if power := _POWER.fullmatch(text):
        return _digits(power) or text
    return text


def _digits(power: re.Match[str]) -> str | None:
    """The digits of a number written with a power of ten; None if it is no whole one."""
    fraction = (power[3] or "").removeprefix(".") or power[4] or ""
    fraction = fraction.rstrip("0")
    exponent = int(power[5])
    if len(fraction) > exponent:
        return None
    return power[1] + power[2] + fraction.ljust(exponent, "0")


def _judged(text: str, said: str) -> Identifier:
    if not text:
        return Identifier(text, "empty")
    if _SUSPECT.search(text) and not _ENCLOSED_NAME.fullmatch(text):
        if _OBJECT.fullmatch(text):
            return Identifier(text, "an object or a list")
        if _TEMPLATE.search(text) or _WHOLE_TEMPLATE.fullmatch(text):
            return Identifier(text, "a template that was not filled in")
        is_enclosed = _BRACKETS.get(text[0]) == text[-1] and "@" not in text
        if is_enclosed and not _is_word(text):
            return Identifier(text, "an object or a list")
    if len(text) <= _LONGEST_WORDS and _is_word(text):
        return Identifier(text, text, is_word=True)
    if "E+" in said and _is_rounded(text):
        return Identifier(text, "a number that a spreadsheet rounded")
    return Identifier(text)


def _is_word(text: str) -> bool:
    """Whether it is one of the words, or nothing but zeros and punctuation."""
    folded = text.casefold()
    if folded in _SHARED or text.upper() in _SPREADSHEET_ERRORS:
        return True
    # No other word has a digit but 0.
    if any("1" <= letter <= "9" for letter in text):
        return False
    words = _words(folded)
    joined = "".join(words)
    if not joined.strip("0"):
        return all(letter.isascii() or unicodedata.category(letter)[0] in "PZC" for letter in text)
    if joined in _PHRASES or joined in _JOINED or joined in _ABSENT or joined in _FIELDS:
        return True
    if not any(word in _ABSENT or word in _FIELDS for word in words):
        return False
    return all(word in _ABSENT or word in _FIELDS or word in _NOUNS for word in words)


def _words(folded: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", folded) if word]


def _is_rounded(text: str) -> bool:
    digits = text.lstrip("+-")
    n_lost = len(digits) - len(digits.rstrip("0"))
    return digits.isdigit() and len(digits) >= _LONG_DIGITS and n_lost >= _LOST_DIGITS
