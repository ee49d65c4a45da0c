"""Whose tags a product gets: the shop's, the model's, or its title's keywords."""

import polars as pl
import pytest

from assets.tags.catalogue import judged, tagged

SCHEMA = {
    "product_id": pl.String,
    "title": pl.String,
    "description": pl.String,
    "tags": pl.List(pl.String),
}
SEED = 7


def catalogue(*rows: tuple[str, str | None, str | None, list[str | None] | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@pytest.fixture
def mixed() -> pl.DataFrame:
    """Two kinds of products with tags, and two of them without."""
    return catalogue(
        *((f"d{n}", f"long silk dress {n}", "evening wear", ["dress"]) for n in range(20)),
        *((f"s{n}", f"running shoe {n}", "for the marathon", ["shoe"]) for n in range(20)),
        ("x", "short silk dress", "evening wear", []),
        ("y", "trail running shoe", "for the marathon", None),
    )


def test_own_tags_are_trimmed_and_counted_once():
    made = tagged(catalogue(("a", "t", None, ["tea", " tea ", "", None]), ("b", "t", None, [])), 1)
    assert made.tags.rows() == [("a", "tea", 1.0, "catalogue", False)]
    assert made.metrics["n_products_with_own_tags"] == 1


def test_a_catalogue_that_is_tagged_throughout_needs_no_model():
    made = tagged(catalogue(("a", "t", None, ["tea"]), ("b", None, None, ["cup", "tea"])), SEED)
    assert made.tags["source"].unique().to_list() == ["catalogue"]
    assert made.reason is None
    assert "model_n_texts" not in made.metrics
    assert made.metrics["n_tags"] == 2


def test_the_untagged_learn_from_the_tagged(mixed):
    made = tagged(mixed, SEED)
    predicted = made.tags.filter(pl.col("source") == "predicted")
    assert predicted.select("product_id", "tag").rows() == [("x", "dress"), ("y", "shoe")]
    assert predicted["score"].is_between(0.5, 1).all()
    assert made.metrics["n_products_predicted"] == 2
    assert made.metrics["model_n_tags"] == 2


def test_the_order_of_the_catalogue_does_not_matter(mixed):
    shuffled = mixed.sample(fraction=1, shuffle=True, seed=3)
    assert tagged(shuffled, SEED).tags.equals(tagged(mixed, SEED).tags)
    assert judged(shuffled, SEED).equals(judged(mixed, SEED))


def test_predictions_are_judged_on_the_tagged_alone(mixed):
    metrics = judged(mixed, SEED)
    assert set(metrics["n_texts"]) == {40}
    assert set(metrics["tag"]) == {"dress", "shoe", ""}


def test_sensitive_tags_are_marked_wherever_they_come_from(mixed):
    made = tagged(mixed, SEED, ["DRESS"])
    marked = made.tags.filter("is_sensitive")
    assert set(marked["tag"]) == {"dress"}
    assert set(marked["source"]) == {"catalogue", "predicted"}
    assert marked.height == made.tags.filter(tag="dress").height
    assert made.metrics["n_sensitive_tags"] == 1


def test_without_any_tags_the_titles_keywords_stand_in():
    rows = [(f"t{n}", f"tea light holder {n}", None, None) for n in range(12)]
    rows += [
        (f"o{n}", f"thing number {n} of many {'abcdefghij'[n % 10] * 4}", None, [])
        for n in range(188)
    ]
    made = tagged(catalogue(*rows), SEED)
    assert made.tags["source"].unique().to_list() == ["keyword"]
    assert made.tags.filter(pl.col("product_id") == "t3")["tag"].to_list() != []
    assert made.metrics["n_products_keyword"] >= 12
    assert made.metrics["n_products_with_own_tags"] == 0


def test_titles_and_descriptions_may_be_missing():
    made = tagged(catalogue(("a", None, None, ["tea"]), ("b", None, None, [])), SEED)
    assert made.tags["product_id"].to_list() == ["a"]
    assert made.reason is not None


def test_an_empty_catalogue_gives_no_tags():
    made = tagged(catalogue(), SEED)
    assert made.tags.is_empty()
    assert made.tags.columns == ["product_id", "tag", "score", "source", "is_sensitive"]
    assert judged(catalogue(), SEED).is_empty()
