"""The form in which texts are compared."""

import pytest

from assets.tags.text import normal


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("ｌｕｍｏ  JASMINE\ngreen TEA ", "lumo jasmine green tea"),
        ("连衣裙　Ｌ", "连衣裙 l"),
        (" \t", ""),
        (None, ""),
    ],
)
def test_width_case_and_blanks_carry_no_meaning(text: str | None, form: str):
    assert normal(text) == form
