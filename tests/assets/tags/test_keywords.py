"""Keywords stand in for tags: the words and phrases that divide a catalogue's titles."""

import numpy as np
import polars as pl
import pytest

from assets.tags.keywords import keywords

BRANDS = ("棉朵", "山语", "小鹿家", "青禾记", "Lumo", "Nordly")


def gift_shop() -> list[str]:
    """English titles as in Online Retail II: the words stand on so many of 400 titles."""
    fillers = [f"ITEM{number}X" for number in range(400)]
    titles = [[filler] for filler in fillers]
    for start, count, words in (
        (0, 20, "T-LIGHT HOLDER"),
        (10, 25, "HEART"),
        (5, 15, "HANGING"),
        (15, 21, "CANDLE"),
        (40, 12, "CANDLES"),
        (60, 9, "RARE"),
        (70, 90, "COMMON"),
        (200, 20, "SET OF 6 SMALL"),
        (200, 15, "HOT WATER BOTTLE"),
    ):
        for title in titles[start : start + count]:
            title.append(words)
    return [" ".join(title) for title in titles]


def test_keywords_are_the_words_that_divide_the_titles():
    titles = [*gift_shop(), "WHITE HANGING HEART T-LIGHT HOLDER"]
    found = keywords(titles)
    assert found.columns == ["row", "tag", "score"]
    assert found.filter(row=400)["tag"].to_list() == ["t-light holder", "heart", "hanging"]
    tags = set(found["tag"])
    assert {"candle", "hot water"} & tags == {"candle", "hot water"}
    assert not tags & {"candles", "rare", "common", "set", "of", "6", "small", "t-light", "holder"}
    assert found["score"].is_between(0, 1, closed="right").all()
    phrases = found["tag"].str.contains(" ")
    assert found.filter(phrases)["score"].min() > 0.5
    assert found.filter(~phrases)["score"].max() <= 0.5


def test_no_two_keywords_of_a_title_share_a_word_and_none_has_too_many():
    found = keywords(gift_shop(), max_tags=2)
    for _, tags in found.group_by("row").agg("tag").iter_rows():
        words = " ".join(tags).split()
        assert len(words) == len(set(words))
        assert len(tags) <= 2


def test_words_that_meet_by_chance_are_no_phrase():
    titles = [
        f"item{number}x {'green' if number < 40 else ''} {'lamp' if 30 <= number < 70 else ''}"
        for number in range(500)
    ]
    assert set(keywords(titles)["tag"]) == {"green", "lamp"}


def test_chinese_titles_have_keywords_without_a_tokenizer():
    nouns = ("明前龙井绿茶", "连衣裙", "速开露营帐篷", "猫粮")
    titles = [
        f"{brand} {'限量版 ' if number % 3 == 0 else ''}{nouns[number % 4]} {number}"
        for number, brand in enumerate(BRANDS * 10)
    ]
    found = keywords(titles, max_share=0.35)
    by_row = {row: set(tags) for row, tags in found.group_by("row").agg("tag").iter_rows()}
    for number in range(60):
        assert nouns[number % 4] in by_row[number]
        assert ("限量版" in by_row[number]) == (number % 3 == 0)


def test_thresholds_of_keywords_are_counted_in_products():
    titles = ["red hat", "red shoe", "blue hat", "green coat"]
    assert set(keywords(titles, min_products=2, max_share=0.5)["tag"]) == {"red", "hat"}
    assert keywords(titles, min_products=3, max_share=1.0).is_empty()


@pytest.mark.parametrize("titles", [[], [None, ""], ["123 456"] * 20])
def test_titles_that_say_nothing_have_no_keywords(titles: list[str | None]):
    found = keywords(titles)
    assert found.is_empty()
    assert found.schema == pl.Schema({"row": pl.Int64, "tag": pl.String, "score": pl.Float64})


def test_the_order_of_the_titles_does_not_matter():
    titles = gift_shop()
    order = np.random.default_rng(0).permutation(len(titles))
    shuffled = keywords([titles[place] for place in order])
    back = shuffled.with_columns(row=pl.Series(order).gather(shuffled["row"])).sort(
        "row", "score", "tag", descending=[False, True, False]
    )
    assert back.equals(keywords(titles))
