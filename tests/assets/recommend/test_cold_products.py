"""New products: vectors from tags, near what behaviour would have taught, and never too long."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from assets.recommend.als import AlsSettings, fit
from assets.recommend.cold_products import TagFactors
from assets.recommend.evaluation import evaluate
from assets.recommend.matrix import InteractionMatrix, sparse
from assets.recommend.popularity import popular_products
from tests.ranking import Scorer, top_products

TAGS = {"product_id": pl.String, "tag": pl.String, "score": pl.Float64}
NO_TAGS = pl.DataFrame(schema=TAGS)


def ids(n: int, start: int = 0) -> NDArray[np.str_]:
    return np.array([f"p{i:04}" for i in range(start, start + n)], dtype=np.str_)


def tags_of(product_ids: NDArray[np.str_], carried: NDArray[np.bool_]) -> pl.DataFrame:
    """One row per product (row) and tag (column) that is carried."""
    row, column = np.nonzero(carried)
    return pl.DataFrame(
        {
            "product_id": product_ids[row],
            "tag": [f"t{i:02}" for i in column],
            "score": np.ones(len(row)),
        },
        schema=TAGS,
    )


def test_a_planted_linear_relation_is_recovered() -> None:
    rng = np.random.default_rng(3)
    carried = rng.random((300, 12)) < 0.25
    effects, average = rng.standard_normal((12, 6)), rng.standard_normal(6)
    truth = average + carried @ effects
    known = ids(250)
    noise = 0.05 * rng.standard_normal((250, 6))
    model = TagFactors.fit(
        tags_of(ids(300), carried),
        known,
        (truth[:250] + noise).astype(np.float32),
        rng.integers(0, 50, 250),
    )
    cold = ids(50, start=250)
    predicted = model.predict(tags_of(ids(300), carried), cold)
    within = np.linalg.norm(truth[250:], axis=1) <= model.longest
    assert predicted.shape == (50, 6)
    assert predicted.dtype == np.float32
    assert within.sum() > 35
    np.testing.assert_allclose(predicted[within], truth[250:][within], atol=0.1)
    assert model.penalty == min([0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0])
    assert model.gain == pytest.approx(1, abs=0.01)


def test_the_ridge_is_the_one_of_the_normal_equations() -> None:
    rng = np.random.default_rng(4)
    carried = rng.random((40, 5)) < 0.4
    vectors = rng.standard_normal((40, 3)).astype(np.float32)
    counts = rng.integers(0, 9, 40)
    model = TagFactors.fit(tags_of(ids(40), carried), ids(40), vectors, counts, [2.5], [1.0])
    weights = np.asarray((counts + 1) / (counts + 1).mean(), dtype=np.float64)
    design = np.column_stack([np.ones(40), carried.astype(np.float64)])
    unpunished = np.diag([0.0, 1, 1, 1, 1, 1])
    expected = np.linalg.solve(
        (design * weights[:, None]).T @ design + 2.5 * unpunished,
        (design * weights[:, None]).T @ vectors,
    )
    np.testing.assert_allclose(model.average, expected[0], atol=1e-5)
    np.testing.assert_allclose(model.effects, expected[1:], atol=1e-5)


def test_tags_that_foretell_nothing_are_shrunk_away() -> None:
    rng = np.random.default_rng(5)
    product_tags = tags_of(ids(300), rng.random((300, 40)) < 0.2)
    vectors = rng.standard_normal((300, 8)).astype(np.float32)
    model = TagFactors.fit(product_tags, ids(300), vectors, np.full(300, 3))
    assert model.penalty == 100
    predicted = model.predict(product_tags, ids(300))
    assert np.linalg.norm(predicted, axis=1).max() < 0.3 * np.linalg.norm(vectors, axis=1).mean()


@pytest.mark.parametrize("powers", [[1.0], [0.0, 0.5, 1.0]])
def test_popular_products_do_not_make_new_ones_too_long(powers: list[float]) -> None:
    # Vectors grow with popularity; a new product is an ordinary one.
    rng = np.random.default_rng(6)
    carried = np.eye(4, dtype=np.bool_)[rng.integers(0, 4, 400)]
    counts = (rng.pareto(1.0, 400) * 5).astype(np.int64)
    truth = carried @ rng.standard_normal((4, 8)) * (np.log1p(counts)[:, None] + 0.1)
    model = TagFactors.fit(
        tags_of(ids(400), carried),
        ids(300),
        truth[:300].astype(np.float32),
        counts[:300],
        powers=powers,
    )
    predicted = model.predict(tags_of(ids(400), carried), ids(100, start=300))
    usual = np.linalg.norm(truth[:300], axis=1)
    lengths = np.linalg.norm(predicted, axis=1)
    assert (model.gain < 0.9) == (powers == [1.0])
    assert 0.5 * np.median(usual) < np.median(lengths) < 1.5 * np.median(usual)


def test_no_vector_is_longer_than_most_known_ones() -> None:
    known = np.ones((20, 2), dtype=np.float32)
    known[::2] = [1, 2]
    carried = np.zeros((21, 3), dtype=np.bool_)
    carried[:20:2] = True
    product_tags = tags_of(ids(21), carried).with_columns(score=pl.lit(1.0))
    loud = pl.DataFrame(
        {"product_id": ["p0020"] * 3, "tag": ["t00", "t01", "t02"], "score": [90.0, 90.0, 90.0]}
    )
    model = TagFactors.fit(product_tags, ids(20), known, np.zeros(20, dtype=np.int64))
    (length,) = np.linalg.norm(model.predict(loud, ids(1, start=20)), axis=1)
    assert length == pytest.approx(np.sqrt(5))


def test_without_tags_all_new_products_are_average() -> None:
    vectors = np.random.default_rng(7).standard_normal((30, 4)).astype(np.float32) + 3
    counts = np.arange(30)
    model = TagFactors.fit(NO_TAGS, ids(30), vectors, counts)
    np.testing.assert_allclose(
        model.average, (counts + 1) @ vectors / (counts + 1).sum(), rtol=1e-6
    )
    predicted = model.predict(NO_TAGS, ids(3, start=30))
    assert np.all(predicted == predicted[0])
    assert np.all(predicted[0] > 0)


def test_one_product_is_taken_at_its_word() -> None:
    product_tags = tags_of(ids(2), np.ones((2, 1), dtype=np.bool_))
    model = TagFactors.fit(
        product_tags, ids(1), np.array([[3, 4]], dtype=np.float32), np.array([9])
    )
    np.testing.assert_allclose(model.predict(product_tags, ids(2)), [[3, 4], [3, 4]])


def test_where_all_products_are_new_nothing_is_said() -> None:
    product_tags = tags_of(ids(3), np.ones((3, 2), dtype=np.bool_))
    nothing = np.zeros((0, 5), dtype=np.float32)
    model = TagFactors.fit(product_tags, ids(0), nothing, np.zeros(0, dtype=np.int64))
    assert np.array_equal(model.predict(product_tags, ids(3)), np.zeros((3, 5)))
    assert model.predict(product_tags, ids(0)).shape == (0, 5)


@settings(max_examples=50)
@given(seed=st.integers(0, 99), n_products=st.integers(0, 25), n_tags=st.integers(0, 6))
def test_rows_may_come_in_any_order(seed: int, n_products: int, n_tags: int) -> None:
    rng = np.random.default_rng(seed)
    product_tags = tags_of(ids(n_products + 5), rng.random((n_products + 5, n_tags)) < 0.5)
    vectors = rng.standard_normal((n_products, 3)).astype(np.float32)
    counts = rng.integers(0, 9, n_products)
    shuffled = product_tags.sample(fraction=1, shuffle=True, seed=seed)
    cold = ids(5, start=n_products)
    predicted = TagFactors.fit(product_tags, ids(n_products), vectors, counts).predict(
        product_tags, cold
    )
    again = TagFactors.fit(shuffled, ids(n_products), vectors, counts).predict(shuffled, cold)
    assert np.array_equal(predicted, again)
    assert np.isfinite(predicted).all()


@pytest.mark.parametrize(
    ("vectors", "counts", "penalties", "powers"),
    [
        (np.zeros((3, 2)), np.zeros(2, np.int64), [1.0], [1.0]),
        (np.zeros((2, 2)), np.zeros(3, np.int64), [1.0], [1.0]),
        (np.zeros((2, 2)), np.array([0, -1]), [1.0], [1.0]),
        (np.zeros((2, 2)), np.zeros(2, np.int64), [], [1.0]),
        (np.zeros((2, 2)), np.zeros(2, np.int64), [0.0], [1.0]),
        (np.zeros((2, 2)), np.zeros(2, np.int64), [1.0], []),
    ],
)
def test_what_does_not_fit_together_is_refused(
    vectors: NDArray[np.float64],
    counts: NDArray[np.int64],
    penalties: list[float],
    powers: list[float],
) -> None:
    with pytest.raises(ValueError):
        TagFactors.fit(NO_TAGS, ids(2), vectors.astype(np.float32), counts, penalties, powers)


def test_new_products_are_ranked_better_than_by_the_popularity_of_their_tags() -> None:
    # Members like some of twelve tags, products carry two; a fifth of the products is new.
    rng = np.random.default_rng(8)
    n_members, n_products, n_tags = 600, 250, 12
    likes = rng.gamma(0.3, 1.0, (n_members, n_tags))
    carried = np.zeros((n_products, n_tags), dtype=np.bool_)
    for product in range(n_products):
        carried[product, rng.choice(n_tags, 2, replace=False)] = True
    appeal = likes @ carried.T * rng.lognormal(0, 0.5, n_products)
    is_met = rng.random(appeal.shape) < 12 * appeal / appeal.sum(axis=1, keepdims=True)
    names, is_cold = ids(n_products), np.arange(n_products) % 5 == 0
    member, product = np.nonzero(is_met & ~is_cold)
    matrix = InteractionMatrix.from_pairs(member, names[product], np.ones(len(member)))
    factors = fit(matrix, AlsSettings(factors=16, iterations=10), n_threads=1)
    product_tags = tags_of(names, carried)

    counts = np.bincount(np.unique(names[product], return_inverse=True)[1])
    model = TagFactors.fit(product_tags, factors.product_ids, factors.product_factors, counts)
    cold = names[is_cold]
    foretold = factors.member_factors @ model.predict(product_tags, cold).T

    member, product = np.nonzero(is_met & is_cold)
    truth = pl.DataFrame({"member_id": member, "product_id": names[product]}).filter(
        pl.col("member_id").is_in(factors.member_ids.tolist())
    )
    nothing = np.zeros(0, dtype=np.int64)
    excluded = sparse(nothing, nothing, nothing.astype(np.float64), foretold.shape)
    every = np.ones(len(cold), dtype=np.bool_)

    class Foretold:
        member_ids: NDArray[np.int64] = factors.member_ids
        product_ids: NDArray[np.str_] = cold

        def scores(self, start: int, stop: int) -> NDArray[np.float32]:
            return foretold[start:stop].copy()

    history = pl.DataFrame({"product_id": matrix.product_ids, "weight": counts.astype(np.float64)})
    of_tags = (
        product_tags.join(history, on="product_id").group_by("tag").agg(pl.col("weight").sum())
    )
    of_cold = (
        product_tags.join(of_tags, on="tag").group_by("product_id").agg(pl.col("weight").sum())
    )
    by_tag_popularity = popular_products(of_cold, factors.member_ids, cold)

    def ndcg(scorer: Scorer) -> float:
        lists = top_products(scorer, excluded, 10, every)
        return evaluate(lists, truth, 10, len(cold)).ndcg

    assert ndcg(Foretold()) > 1.3 * ndcg(by_tag_popularity)
