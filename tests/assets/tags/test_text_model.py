"""Tags from text: learnt in Chinese without a tokenizer, silent when unsure."""

import random

import pytest
from threadpoolctl import threadpool_limits

from assets.tags.text_model import TagModel, fit


def given(model: TagModel, text: str) -> set[str]:
    return set(model.predict([text])["tag"])


@pytest.fixture(scope="module")
def model(catalogue) -> TagModel:
    return fit(*catalogue(300, seed=1), seed=0)


def test_tags_of_unseen_titles_are_predicted(model: TagModel, catalogue):
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


def test_a_score_is_the_probability_that_the_tag_is_right(chinese_titles):
    """On tags that the text only hints at, so that none is sure."""
    rng = random.Random(2)
    parts = [chinese_titles(300, seed=seed)[0] for seed in (2, 3)]
    own = [
        [["国"] if rng.random() < (0.85 if "正品" in text else 0.1) else ["无"] for text in texts]
        for texts in parts
    ]
    found = fit(parts[0], own[0], seed=0).predict(parts[1])
    right = [tag in own[1][row] for row, tag in found.select("row", "tag").iter_rows()]
    assert sum(right) / len(right) == pytest.approx(found["score"].mean(), abs=0.06)
    assert 0.8 < found["score"].mean() < 0.95


def test_the_same_seed_gives_the_same_model_on_any_number_of_threads(catalogue):
    texts, tags = catalogue(120, seed=6)
    found: list[TagModel] = []
    for n_threads in (1, 4):
        with threadpool_limits(limits=n_threads):
            found.append(fit(texts, tags, seed=1))
    one, two = found
    assert one.report == two.report == (120, 5, None)
    assert one.predict(texts).equals(two.predict(texts))


def test_untagged_products_are_not_taken_for_products_without_the_tag(catalogue):
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


def test_texts_and_tags_must_match():
    with pytest.raises(ValueError, match="2 texts, but 1"):
        fit(["a", "b"], [["t"]], seed=0)
