"""Identifiers: one person in many spellings, nobody in as many."""

import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sources.identifiers import Identifiers, canonical

NOBODY = (
    *("", " ", "0", "0.0", "-", "00-00", "-1", "-1.0", "null", "(null)", "<nil>", "\\N", "#N/A"),
    *("N/A", "NaN", "none", "undefined", "anonymous", "Guest", "(not set)", "null null", "userId"),
    *("user_undefined", "anonymousUser", "未登录", "游客", "（匿名）", "ＮＵＬＬ", "true", "False"),
    *("{}", "[]", "[object Object]", '{"id":"ann"}', "{'id': 1}", '["ann"]', "[a, b]", "{a=1}"),
    *("{{user_id}}", "wx_${openid}", "%USER_ID%", "[[user]]", "<%= id %>", "__OAID__", "*|ID|*"),
    *("00000000-0000-0000-0000-000000000000", "#REF!", "1.23457E+14", '{"id": "an', "lmy47d"),
    *("guest_checkout", "Checkout Guest", "Optional(nil)"),
)
SOMEBODY = (
    *("u0", "10", "-10", "nobody", "null-1", "x" * 1000, "007", "1.50", "1e5", "7e10", "Nanna"),
    *("test", "C#", "a[1]", "50%", "#1", "__ann__", "😀", "無名", "游客123", "ann@shop.example"),
    *("{3F2504E0-4F89-11D3-9A0C-0305E82C3301}", "+8613800138000", "9007199254740993", "x²"),
)
SPACES = st.text(" \t\n\r\u00a0\u2003\u3000\u200b\u200d\ufeff", max_size=3)


@pytest.mark.parametrize("said", NOBODY)
def test_nobody(said: str) -> None:
    assert Identifiers().read(said).nobody is not None


@pytest.mark.parametrize("said", SOMEBODY)
def test_what_only_looks_like_nobody_is_a_name_as_it_stands(said: str) -> None:
    assert Identifiers().read(said) == Identifiers().read(canonical(said))
    assert (Identifiers().read(said).nobody, canonical(said)) == (None, said)


@given(st.sampled_from(NOBODY), SPACES, SPACES)
def test_nobody_stays_nobody_in_any_space_and_case(said: str, before: str, after: str) -> None:
    for each in (said, said.upper() if said != "lmy47d" else said):
        assert Identifiers().read(before + each + after).nobody is not None


@given(st.text(max_size=30))
def test_the_one_spelling_is_read_as_itself(said: str) -> None:
    once = canonical(canonical(said))
    assert canonical(once) == once or '"' in said
    assert unicodedata.is_normalized("NFC", once)


@given(st.from_regex(r"[a-z]{2}[A-Z0-9-]{1,12}[1-9]", fullmatch=True), SPACES, SPACES)
def test_width_and_what_cannot_be_seen_do_not_count(name: str, before: str, after: str) -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in name)
    hidden = "\u200b".join(name)
    assert {canonical(before + each + after) for each in (name, wide, hidden)} == {name}


@given(st.integers(2, 2**70))
def test_a_whole_number_is_its_digits_however_it_is_written(number: int) -> None:
    power = f"{Decimal(number):E}"
    written = {str(number), f"{number}.0", f"{number}.000", f'="{number}"'}
    if "." in power:
        written |= {power, power.replace("E+", "e")}
    assert {canonical(each) for each in written} == {str(number)}


@given(st.floats(2, 2**53, allow_nan=False).filter(lambda each: each % 1 == 0))
def test_a_fraction_that_is_whole_is_the_integer(number: float) -> None:
    assert canonical(repr(number)) == str(int(number))


def test_a_shop_says_who_is_nobody_and_who_is_somebody() -> None:
    own = Identifiers(placeholders=["Robot"], persons=["0"])
    assert [own.read(said).nobody for said in ("robot ", "0", "0.0", "00", "null")] == [
        *("robot", None, None, "00", "null"),
    ]
