"""Tags from text: learnt in Chinese without a tokenizer, silent when unsure, or from keywords."""

import random

import numpy as np
import polars as pl
import pytest

from assets.tags import text
from assets.tags.text import BASELINE, MODEL, TagModel, cross_validated, fit, keywords
from resources.simulation.vocabulary import BENEFITS, CATEGORIES, CHINESE_BRANDS

NOUNS = {
    "连衣裙": ("法式碎花连衣裙", "真丝连衣裙", "Silk Midi Dress"),
    "绿茶": ("明前龙井绿茶", "碧螺春绿茶", "Jasmine Green Tea"),
    "猫粮": ("全价冻干猫粮", "无谷猫粮", "Grain-Free Cat Food"),
    "露营": ("速开露营帐篷", "露营折叠椅", "Pop-Up Camping Tent"),
}
BRANDS = ("棉朵", "山语", "小鹿家", "青禾记", "Lumo", "Nordly")
GIFT = ("礼盒装", "Gift Box")


def catalogue(n: int, seed: int) -> tuple[list[str], list[list[str]]]:
    """Titles with one tag for the noun and, on a third of them, one for the gift box."""
    rng = random.Random(seed)
    texts: list[str] = []
    tags: list[list[str]] = []
    for number in range(n):
        tag = rng.choice(list(NOUNS))
        is_gift = rng.random() < 0.3
        gift = [rng.choice(GIFT)] if is_gift else []
        words = [rng.choice(BRANDS), *gift, rng.choice(NOUNS[tag])]
        texts.append(" ".join([*words, f"{number}号"]))
        tags.append([tag, *(["礼盒"] if is_gift else [])])
    return texts, tags


def given(model: TagModel, text: str) -> set[str]:
    return set(model.predict([text])["tag"])


@pytest.fixture(scope="module")
def model() -> TagModel:
    return fit(*catalogue(300, seed=1), seed=0)


def test_tags_of_unseen_titles_are_predicted(model: TagModel):
    texts, tags = catalogue(200, seed=2)
    found = model.predict(texts)
    assert found.columns == ["row", "tag", "score"]
    pairs = set(found.select("row", "tag").iter_rows())
    truth = {(row, tag) for row, own in enumerate(tags) for tag in own}
    assert len(pairs & truth) / len(pairs) > 0.97
    assert len(pairs & truth) / len(truth) > 0.97
    assert found["score"].is_between(0, 1).all()
    assert found.equals(found.sort("row", "score", "tag", descending=[False, True, False]))


def test_new_words_are_known_by_their_characters(model: TagModel):
    assert given(model, "夏季新款连衣裙女") == {"连衣裙"}
    assert given(model, "雨前绿茶 礼盒装") == {"绿茶", "礼盒"}


def test_form_and_case_do_not_matter(model: TagModel):
    assert given(model, "ｌｕｍｏ  JASMINE green TEA") == given(model, "Lumo Jasmine Green Tea")


def test_it_abstains_on_what_it_does_not_know(model: TagModel):
    assert model.predict(["量子力学导论", "", None, "zzz 12345"]).is_empty()
    assert model.predict([]).schema == model.predict(["连衣裙"]).schema


def overall(metrics: pl.DataFrame, model: str = MODEL) -> dict[str, float]:
    return metrics.row(by_predicate=(pl.col("model") == model) & (pl.col("tag") == ""), named=True)


def chinese_titles(n: int, seed: int) -> tuple[list[str], list[list[str]]]:
    """Titles as Chinese shops write them, without a space, tagged with one of ten shelves."""
    rng = random.Random(seed)
    texts: list[str] = []
    tags: list[list[str]] = []
    for _ in range(n):
        shelf = rng.choice(CATEGORIES)
        kind = rng.choice(shelf.kinds)
        season = rng.choice(
            ["春季", "夏季", "秋冬", "2026新款", "热卖", "店长推荐", "百搭", "正品"]
        )
        size = rng.choice(kind.sizes or ("均码",))
        benefit = rng.choice(BENEFITS).chinese
        words = [rng.choice(CHINESE_BRANDS), season, benefit, rng.choice(kind.chinese), size]
        texts.append("".join(words))
        tags.append([shelf.name])
    return texts, tags


def test_on_chinese_titles_characters_tell_what_words_do_not():
    metrics = cross_validated(*chinese_titles(500, seed=1), seed=0)
    model, baseline = overall(metrics), overall(metrics, BASELINE)
    assert model["precision"] > 0.9
    assert model["recall"] > 0.9
    assert baseline["recall"] < 0.2
    assert model["support"] == baseline["support"] == model["n_texts"]


def test_precision_and_recall_of_every_tag_add_up_to_the_whole():
    metrics = cross_validated(*catalogue(300, seed=1), seed=0)
    assert metrics.select("model", "scope", "tag").is_unique().all()
    for model in (MODEL, BASELINE):
        tags = metrics.filter(model=model, scope="tag")
        whole = overall(metrics, model)
        assert tags["tag"].to_list() == sorted([*NOUNS, "礼盒"])
        for count in ("support", "n_given", "n_right"):
            assert tags[count].sum() == whole[count]
        assert whole["precision"] == whole["n_right"] / whole["n_given"]
        assert whole["recall"] == whole["n_right"] / whole["support"]
        given = tags.filter(pl.col("n_given") > 0)
        assert (given["precision"] == given["n_right"] / given["n_given"]).all()
        assert tags["recall"].is_between(0, 1).all()


def test_what_is_expected_holds_on_new_titles(model: TagModel):
    assert model.report == (300, 5, None)
    expected = overall(cross_validated(*catalogue(300, seed=1), seed=0))
    assert expected["n_texts"] == 300
    assert expected["precision"] > 0.97
    assert expected["recall"] > 0.95
    assert expected["coverage"] > 0.95


def test_a_fold_is_judged_by_a_model_that_was_made_without_it():
    """Vocabulary, weights and thresholds are those of `fit` on the other folds' texts alone."""
    texts, tags = chinese_titles(240, seed=9)
    distinct = dict(zip(map(text.normal, texts), tags, strict=True))
    # Two tags that the text only hints at, so that thresholds matter.
    rng = random.Random(9)
    hinted = {
        title: ["国" if rng.random() < 0.8 and "国" in title else "无", "礼"][: 1 + ("礼" in title)]
        for title in distinct
    }
    names, lists = list(hinted), list(hinted.values())
    truth = np.array([[tag in own for tag in ("国", "无", "礼")] for own in lists])
    n_right = n_given = 0
    for inside, outside in text._splits(names, truth, 4):
        unseen = fit([names[row] for row in outside], [lists[row] for row in outside], seed=4)
        found = unseen.predict([names[row] for row in inside])
        n_given += len(found)
        n_right += sum(
            tag in lists[inside[row]] for row, tag in found.select("row", "tag").iter_rows()
        )
    judged = overall(cross_validated(names, lists, seed=4))
    assert (judged["n_given"], judged["n_right"]) == (n_given, n_right)
    assert 0 < n_right < n_given


def test_tags_that_have_nothing_to_do_with_the_text_are_not_given():
    rng = random.Random(3)
    texts, _ = catalogue(300, seed=3)
    tags = [[rng.choice("abc")] for _ in texts]
    assert overall(cross_validated(texts, tags, seed=0))["recall"] < 0.05
    fresh, _ = catalogue(200, seed=4)
    assert len(fit(texts, tags, seed=0).predict(fresh)) < 0.1 * len(fresh)


def test_a_text_is_not_tested_on_its_own_copy():
    """Noise repeated ten times would look perfectly predictable if copies were kept apart."""
    rng = random.Random(5)
    texts = ["".join(rng.choice("天地玄黄宇宙洪荒") for _ in range(12)) for _ in range(60)]
    tags = [[rng.choice("ab")] for _ in texts]
    judged = overall(cross_validated(texts * 10, tags * 10, seed=0))
    assert judged["n_texts"] == 60
    assert judged["recall"] < 0.8


def test_texts_without_anything_in_common_teach_nothing():
    texts = [chr(0x4E00 + number) for number in range(40)]
    tags = [["a" if number % 2 else "b"] for number in range(40)]
    assert fit(texts, tags, seed=0).predict(["一"]).is_empty()
    assert overall(cross_validated(texts, tags, seed=0))["n_given"] == 0


def test_the_same_seed_gives_the_same_model():
    texts, tags = catalogue(120, seed=6)
    one, two = fit(texts, tags, seed=1), fit(texts, tags, seed=1)
    assert one.report == two.report
    assert one.thresholds.tobytes() == two.thresholds.tobytes()
    assert one.predict(texts).equals(two.predict(texts))
    judged = cross_validated(texts, tags, seed=1)
    assert judged.equals(cross_validated(texts, tags, seed=1))


def test_untagged_products_are_not_taken_for_products_without_the_tag():
    texts, tags = catalogue(300, seed=7)
    rng = random.Random(7)
    thinned = [own if rng.random() < 0.4 else [] for own in tags]
    thin = fit(texts, thinned, seed=0)
    bare = [text for text, own in zip(texts, thinned, strict=True) if not own]
    assert thin.report.n_texts == sum(map(bool, thinned))
    assert thin.predict(bare)["row"].n_unique() > 0.95 * len(bare)


@pytest.mark.parametrize(
    ("texts", "tags", "reason"),
    [
        ([], [], "0 distinct tagged texts"),
        (["连衣裙"] * 50, [["a"]] * 50, "1 distinct tagged texts"),
        ([f"连衣裙{n}" for n in range(50)], [[]] * 50, "0 distinct tagged texts"),
        ([None, ""] * 25, [["a"]] * 50, "0 distinct tagged texts"),
        ([f"连衣裙{n}" for n in range(50)], [[f"t{n}"] for n in range(50)], "no tag is on"),
        ([f"连衣裙{n}" for n in range(50)], [["everywhere"]] * 50, "no tag is on"),
    ],
)
def test_too_little_to_learn_from_is_said_and_nothing_predicted(
    texts: list[str | None], tags: list[list[str]], reason: str
):
    found = fit(texts, tags, seed=0)
    assert found.report.reason is not None and reason in found.report.reason
    assert found.predict(["连衣裙"]).is_empty()
    assert cross_validated(texts, tags, seed=0).is_empty()


def test_texts_and_tags_must_match():
    for learn in (fit, cross_validated):
        with pytest.raises(ValueError, match="2 texts, but 1"):
            learn(["a", "b"], [["t"]], seed=0)


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
