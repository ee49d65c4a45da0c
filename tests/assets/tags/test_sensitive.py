"""Which tags are sensitive, in Chinese and in English."""

import polars as pl
import pytest

from assets.tags.sensitive import is_sensitive
from resources.config.sensitive_terms import SENSITIVE_TERMS


def sensitive(*tags: str, terms: tuple[str, ...] = SENSITIVE_TERMS) -> set[str]:
    given = pl.Series("tag", tags, dtype=pl.String)
    return set(given.filter(is_sensitive(given, terms)))


@pytest.mark.parametrize(
    "tag",
    [
        *("糖尿病", "糖尿病食品", "孕妈", "防癌体检", "处方药"),
        *("小额贷款", "信用卡还款", "少儿保险", "儿童玩具", "未成年"),
        *("Diabetes", "pregnancy tests", "Mental  Health", "ｌｏａｎ", "baby food", "children's"),
    ],
)
def test_health_money_and_children_are_sensitive_by_default(tag: str):
    assert sensitive(tag) == {tag}


@pytest.mark.parametrize(
    "tag", ["绿茶", "连衣裙", "敏感适用", "猫粮", "健身", "healthy snacks", "minority", "tea light"]
)
def test_what_people_shop_for_is_not(tag: str):
    assert sensitive(tag) == set()


def test_the_shop_s_own_list_stands_alone():
    assert sensitive("孕妈", "wine", "Red Wines", "winery", terms=("Wine",)) == {
        "wine",
        "Red Wines",
    }
    assert sensitive("孕妈", "wine", terms=()) == set()


def test_a_term_is_text_and_no_pattern():
    assert sensitive("a+b", "aab", "c++", terms=("a+b",)) == {"a+b"}
    assert sensitive("anything", terms=("", " ")) == set()


def test_there_may_be_no_tags():
    assert is_sensitive(pl.Series([], dtype=pl.String), SENSITIVE_TERMS).to_list() == []
