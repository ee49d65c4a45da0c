"""Texts of messages: which variables they may say, and what they may not hold."""

import difflib
import re
import string
import unicodedata
from collections.abc import Sequence
from typing import get_args

from resources.config.push import VariableName

# What a text can say of a member, and (offer) of the campaign.
VARIABLES: tuple[str, ...] = get_args(VariableName)
# Braces of other widths and shapes, which nothing fills.
OTHER_BRACES = "｛｝﹛﹜︷︸❴❵⦃⦄"
# What a program writes where it has no value.
_NO_VALUES = ("none", "null", "nil", "nan", "nat", "n/a", "<na>", "undefined")
# Regular expressions as DuckDB and Polars read them: any brace, and a whole value that is blank or
# one of these.
BRACE = rf"[{{}}{OTHER_BRACES}]"
NO_VALUE = rf"(?i)[\s\p{{Z}}\p{{Cf}}]*(?:{'|'.join(_NO_VALUES)})?[\s\p{{Z}}\p{{Cf}}]*"
_OTHER_BRACE = re.compile(rf"[{OTHER_BRACES}]")
_QUOTES = ("“”", "‘’", "「」", "『』", "«»", "„“", '""', "''", "``", "＂＂", "＇＇")
_NAME = r"[^\W\d]\w*"
# How other tools write a variable, by what stands around the name; in these marks any name is one.
_MARKED = tuple(
    re.compile(pattern)
    for pattern in (
        rf"%({_NAME})%",
        rf"(?<!\w)\$({_NAME})",
        rf"\[\[\s*({_NAME})\s*\]\]",
        rf"<<\s*({_NAME})\s*>>",
        rf"<%=?\s*({_NAME})\s*%>",
        rf"\*\|\s*({_NAME})\s*\|\*",
    )
)
# In these a name stands that is known, or that nobody writes for a reader.
_BRACKETED = re.compile(rf"[\[<【〈]\s*({_NAME})\s*[\]>】〉]")
_CALLED = ("name", "nickname", "username", "firstname")


def template_variables(text: str) -> tuple[str, ...]:
    """The distinct variables of a template, sorted.

    Raises:
        ValueError: unbalanced braces, something in braces that is no known variable, or a variable
            as another tool writes it, which would be sent as it stands.
    """
    if found := _OTHER_BRACE.search(text):
        start = text[found.start() : found.start() + 16]
        raise ValueError(f"expected braces such as {{tag}}, found {start!r}, which nothing fills")
    if "{{" in text or "}}" in text:
        raise ValueError("expected single braces such as {tag}, found double ones; no text may "
                         "hold a brace of its own")  # fmt: skip
    if found := re.search(r"[$%]\{", text):
        raise ValueError(f"expected {{tag}} alone, found {found[0]!r}")
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"expected {{variable}}: {error}") from error
    names: set[str] = set()
    for _, name, format_spec, conversion in parts:
        if name is None:
            continue
        if conversion or format_spec:
            raise ValueError(f"expected {{{name}}} without a format, found one")
        if name not in VARIABLES:
            raise ValueError(_unknown(name))
        names.add(name)
    _refuse_other_marks(" ".join(literal for literal, *_ in parts))
    return tuple(sorted(names))


def _unknown(name: str) -> str:
    if hidden := next((each for each in name if unicodedata.category(each) == "Cf"), None):
        return (
            f"variable {{{_visible(name)}}} holds the invisible character U+{ord(hidden):04X}; "
            "write it anew"
        )
    meant = _meant(name)
    hint = f"did you mean {{{meant}}}?" if meant else f"expected {listed(VARIABLES)}"
    return f"variable {{{name}}} is not known; {hint}"


def _visible(text: str) -> str:
    return "".join(each for each in text if unicodedata.category(each) != "Cf")


def _meant(name: str) -> str | None:
    """The variable that a name is nearest to; None: to none."""
    plain = unicodedata.normalize("NFKC", _visible(name)).casefold().strip().replace(" ", "_")
    return next(iter(difflib.get_close_matches(plain, VARIABLES, n=1)), None)


def _refuse_other_marks(said: str) -> None:
    plain = unicodedata.normalize("NFKC", _visible(said))
    for variable in VARIABLES:
        if "_" in variable and variable in plain.casefold():
            raise ValueError(f"says {variable} outside of braces; expected {{{variable}}}")
    for pattern in _MARKED:
        if found := pattern.search(plain):
            raise ValueError(_other_mark(found))
    for found in _BRACKETED.finditer(plain):
        name = found[1].casefold()
        if name in VARIABLES or "_" in name or name in _CALLED:
            raise ValueError(_other_mark(found))


def _other_mark(found: re.Match[str]) -> str:
    meant = _meant(found[1])
    hint = f"did you mean {{{meant}}}?" if meant else f"expected {listed(VARIABLES)}, in braces"
    return f"{found[0]!r} is filled by other tools, not here; {hint}"


def sound_text(text: str) -> str:
    """A text as it is, without variables: there is something in it, and it stands in no quotes.

    Raises:
        ValueError: it is empty, or quotes of any kind stand around the whole of it.
    """
    stripped = _visible(text).strip()
    if not stripped:
        raise ValueError("is empty")
    if wrapping := next((pair for pair in _QUOTES if _is_wrapped(stripped, *pair)), None):
        raise ValueError(
            f"stands in {wrapping[0]} and {wrapping[1]}, which would be sent too; write it in "
            "plain \" or in none"
        )  # fmt: skip
    return text


def _is_wrapped(text: str, opening: str, closing: str) -> bool:
    if len(text) < 2 or text[0] != opening or text[-1] != closing:
        return False
    if opening == closing:
        return opening not in text[1:-1]
    depth = 0
    for place, each in enumerate(text):
        depth += (each == opening) - (each == closing)
        if depth == 0:
            return place == len(text) - 1
    return False


def sound_value(value: str) -> str:
    """What is declared as a value for a text: something is said, and no brace.

    Raises:
        ValueError: it is empty, stands in quotes, says that there is none, or holds a brace.
    """
    sound_text(value)
    if re.search(BRACE, value):
        raise ValueError("expected no brace in what is said as it stands")
    if value.strip().casefold() in _NO_VALUES:
        raise ValueError(f"expected what is said to the member, found {value.strip()!r}")
    return value


def listed(names: Sequence[str]) -> str:
    """Names in words: a, b or c."""
    return ", ".join(names[:-1]) + " or " + names[-1] if len(names) > 1 else names[0]
