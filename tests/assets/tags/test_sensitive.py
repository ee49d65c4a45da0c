"""Which tags are sensitive, in Chinese and in English."""

import polars as pl
import pytest

from assets.tags.sensitive import is_sensitive, sensitive_products, terms_in
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


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("抗cancer茶", True),
        ("anti-cancer tea", True),
        ("CANCER2 test", True),
        ("ＣＡＮＣＥＲ", True),
        ("can\u200bcer", True),
        ("cancers", True),
        ("cancer_care", True),
        ("cancerian", False),
        ("precancer", False),
        ("cáncer", False),
        ("适合糖\u200b尿病人的低糖饼干", True),
        ("憂鬱症自我檢測", True),
        ("mental   health journal", True),
        ("mental healthy", False),
        (None, False),
        ("", False),
    ],
)
def test_words_end_where_their_script_ends_them(text: str | None, is_one: bool):
    given = pl.Series([text], dtype=pl.String)
    assert is_sensitive(given, SENSITIVE_TERMS).to_list() == [is_one]


def test_terms_of_other_scripts():
    texts = pl.Series(["диабету", "диабет", "糖尿病の方へ", "암을 이기는", "สำหรับเบาหวาน"])
    found = terms_in(texts, ("диабет", "糖尿病の", "암", "เบาหวาน"))
    assert found.to_list() == [None, "диабет", "糖尿病の", "암", "เบาหวาน"]


def test_a_product_is_sensitive_by_any_text_of_its_own_or_a_tag():
    products = pl.DataFrame(
        {
            "product_id": ["p6", "p1", "p2", "p3", "p4", "p5"],
            "category": [None, "孕婴", None, None, None, None],
            "brand": [None, None, "Medical Ltd", None, None, None],
            "title": ["Tea", "枕头", "Mat", "ＢＡＢＹ soap", None, "Green tea"],
            "description": [None, "孕妇适用", None, None, "适合高血压人群", "healthy"],
        }
    )
    product_tags = pl.DataFrame(
        {
            "product_id": ["p5", "p6", "p6"],
            "tag": ["茶", "孕妈", "茶"],
            "is_sensitive": [False, True, False],
        }
    )
    assert sensitive_products(products, product_tags, SENSITIVE_TERMS).rows() == [
        ("p1", True, "孕", ["category", "description"]),
        ("p2", True, "medical", ["brand"]),
        ("p3", True, "baby", ["title"]),
        ("p4", True, "高血压", ["description"]),
        ("p5", False, None, []),
        ("p6", True, "孕妈", ["tag"]),
    ]


def test_no_products_are_no_sensitive_ones():
    texts = dict.fromkeys(("product_id", "category", "brand", "title", "description"), pl.String)
    tags = {"product_id": pl.String, "tag": pl.String, "is_sensitive": pl.Boolean}
    found = sensitive_products(pl.DataFrame(schema=texts), pl.DataFrame(schema=tags), ("a",))
    assert found.is_empty()
