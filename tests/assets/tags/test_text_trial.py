"""What tags from text are worth: judged on texts that neither model nor baseline has seen."""

import random

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from assets.tags.text import normal
from assets.tags.text_methods import BASELINE, MODEL
from assets.tags.text_model import fit, splits
from assets.tags.text_trial import cross_validated


@pytest.fixture(scope="module")
def metrics(catalogue) -> pl.DataFrame:
    return cross_validated(*catalogue(300, seed=1), seed=0)


def overall(metrics: pl.DataFrame, model: str = MODEL) -> dict[str, float]:
    return metrics.row(by_predicate=(pl.col("model") == model) & (pl.col("tag") == ""), named=True)


def test_on_chinese_titles_characters_tell_what_words_do_not(chinese_titles):
    metrics = cross_validated(*chinese_titles(500, seed=1), seed=0)
    model, baseline = overall(metrics), overall(metrics, BASELINE)
    assert model["precision"] > 0.9
    assert model["recall"] > 0.9
    assert baseline["recall"] < 0.2
    assert model["support"] == baseline["support"] == model["n_texts"]


def test_precision_and_recall_of_every_tag_add_up_to_the_whole(metrics: pl.DataFrame):
    assert metrics.select("model", "scope", "tag").is_unique().all()
    for model in (MODEL, BASELINE):
        tags = metrics.filter(model=model, scope="tag")
        whole = overall(metrics, model)
        assert tags["tag"].to_list() == ["猫粮", "礼盒", "绿茶", "连衣裙", "露营"]
        for count in ("support", "n_given", "n_right"):
            assert tags[count].sum() == whole[count]
        assert whole["precision"] == whole["n_right"] / whole["n_given"]
        assert whole["recall"] == whole["n_right"] / whole["support"]
        given = tags.filter(pl.col("n_given") > 0)
        assert (given["precision"] == given["n_right"] / given["n_given"]).all()
        assert tags["recall"].is_between(0, 1).all()


def test_what_has_much_in_common_is_told_apart(metrics: pl.DataFrame):
    expected = overall(metrics)
    assert expected["n_texts"] == 300
    assert expected["precision"] > 0.97
    assert expected["recall"] > 0.95
    assert expected["coverage"] > 0.95


def test_a_fold_is_judged_by_a_model_that_was_made_without_it(chinese_titles):
    """Vocabulary, weights and thresholds are those of `fit` on the other folds' texts alone."""
    texts, tags = chinese_titles(240, seed=9)
    distinct = dict(zip(map(normal, texts), tags, strict=True))
    # Two tags that the text only hints at, so that thresholds matter.
    rng = random.Random(9)
    hinted = {
        title: ["国" if rng.random() < 0.8 and "国" in title else "无", "礼"][: 1 + ("礼" in title)]
        for title in distinct
    }
    names, lists = list(hinted), list(hinted.values())
    truth = np.array([[tag in own for tag in ("国", "无", "礼")] for own in lists])
    n_right = n_given = 0
    for inside, outside in splits(truth, 4):
        unseen = fit([names[row] for row in outside], [lists[row] for row in outside], seed=4)
        found = unseen.predict([names[row] for row in inside])
        n_given += len(found)
        n_right += sum(
            tag in lists[inside[row]] for row, tag in found.select("row", "tag").iter_rows()
        )
    judged = overall(cross_validated(names, lists, seed=4))
    assert (judged["n_given"], judged["n_right"]) == (n_given, n_right)
    assert 0 < n_right < n_given


def test_tags_that_have_nothing_to_do_with_the_text_are_not_given(catalogue):
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


def test_the_same_seed_gives_the_same_judgement_on_any_number_of_threads(
    metrics: pl.DataFrame, catalogue
):
    for n_threads in (1, 4):
        with threadpool_limits(limits=n_threads):
            assert cross_validated(*catalogue(300, seed=1), seed=0).equals(metrics)


@pytest.mark.parametrize("tags", [[[]] * 50, [["everywhere"]] * 50], ids=["untagged", "one tag"])
def test_with_too_little_to_learn_from_nothing_is_judged(tags: list[list[str]]):
    assert cross_validated([f"连衣裙{n}" for n in range(50)], tags, seed=0).is_empty()


def test_texts_and_tags_must_match():
    with pytest.raises(ValueError, match="2 texts, but 1"):
        cross_validated(["a", "b"], [["t"]], seed=0)
