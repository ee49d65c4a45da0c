"""Templates are filled as they stand, and values are never templates."""

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.push.rendering import BRACE, NO_VALUE, unfit, with_text
from resources.config import templates
from resources.warehouse import read_sql


def text(template, **values):
    messages = pl.DataFrame(
        {"template": [template], "variables": [json.dumps(values, ensure_ascii=False)]}
    )
    return with_text(messages)["text"].to_list()


def test_variables_are_replaced():
    assert text("「{tag}」：{product_title}", tag="茶", product_title="龙井 50g") == [
        "「茶」：龙井 50g"
    ]


def test_a_text_without_variables_stays():
    assert text("Hello") == ["Hello"]


def test_a_value_is_not_read_as_a_template():
    assert text("{tag}{offer}", tag="{offer}", offer="5 %") == ["{offer}5 %"]


def test_a_missing_value_gives_no_text():
    assert text("{tag}") == [None]


def test_every_row_has_its_own_template_and_values_in_order():
    messages = pl.DataFrame(
        {
            "template": ["A {tag}", "B {tag}", "A {tag}"],
            "variables": ['{"tag":"1"}', '{"tag":"2"}', '{"tag":"3"}'],
        }
    )
    assert with_text(messages)["text"].to_list() == ["A 1", "B 2", "A 3"]


def test_no_messages_give_no_texts():
    messages = pl.DataFrame(schema={"template": pl.String, "variables": pl.String})
    assert with_text(messages).columns == ["template", "variables", "text"]


@given(value=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_value_comes_through_unharmed(value):
    assert text("[{tag}]", tag=f"x{value}") == [f"[x{value}]"]


@pytest.mark.parametrize("value", ["", "  ", "None", " nan", "NULL", "\u200b", "\u3000", "N/A"])
def test_a_value_that_says_nothing_gives_no_text(value):
    assert text("Hello {tag}", tag=value) == [None]


@pytest.mark.parametrize(
    ("filled", "is_unfit"),
    [
        ("Hello tea", False),
        ("None of these, a nan bread", False),
        ("Hello {tag}", True),
        ("Hello ｛tag", True),
        ("Hello ﹛tag﹜", True),
        ("\u200b ", True),
        ("None", True),
        (None, True),
    ],
)
def test_a_filled_text_with_a_brace_or_nothing_in_it_is_unfit(filled, is_unfit):
    messages = pl.DataFrame({"text": [filled]}, schema={"text": pl.String})
    assert len(unfit(messages)) == is_unfit


def test_what_is_unfit_is_the_same_where_it_is_declared_decided_handed_out_and_checked():
    assert (BRACE, NO_VALUE) == (templates.BRACE, templates.NO_VALUE)
    question = read_sql("questions/forbidden_messages.sql")
    assert f"'{BRACE}'" in question
    assert f"'{NO_VALUE}'" in question
