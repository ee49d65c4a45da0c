"""Cosine: the article's example done right, and the sparse kernel against the definition."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from assets.recommend.matrix import InteractionMatrix
from assets.recommend.similarity import cosine, similar_products


def matrix_of(weights: NDArray[np.generic]) -> InteractionMatrix:
    members, products = np.indices(weights.shape)
    return InteractionMatrix.from_pairs(
        members.ravel(), [f"p{number}" for number in products.ravel()], weights.ravel()
    )


def test_the_article_s_example():
    """It prints 0.67; (4, 5, 0) and (5, 0, 4) have 20 in common and a squared length of 41."""
    assert cosine((4, 5, 0), (5, 0, 4)) == pytest.approx(float(Fraction(20, 41)))
    assert round(cosine((4, 5, 0), (5, 0, 4)), 3) == 0.488
    found = similar_products(matrix_of(np.array([[4, 5], [5, 0], [0, 4]])), 5, 1)
    assert found.rows() == [
        ("p0", 1, "p1", pytest.approx(20 / 41), 1),
        ("p1", 1, "p0", pytest.approx(20 / 41), 1),
    ]


def test_directions():
    assert cosine([1, 2], [2, 4]) == pytest.approx(1)
    assert cosine([1, 0], [-1, 0]) == -1
    assert cosine([1, 0], [0, 1]) == 0
    assert cosine([0, 0], [1, 1]) == 0
    assert cosine([], []) == 0


@pytest.mark.parametrize(("u", "v"), [([1], [1, 2]), ([[1]], [[1]]), (1.0, 1.0)])
def test_vectors_must_match(u: ArrayLike, v: ArrayLike):
    with pytest.raises(ValueError, match="one length"):
        cosine(u, v)


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=30)
def test_against_the_definition(seed: int, n: int, min_support: int):
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 4, (7, 9)) * (rng.random((7, 9)) < 0.4)
    matrix = matrix_of(weights)
    dense = matrix.weights.toarray().astype(np.float64)
    expected = []
    for one, product in enumerate(matrix.product_ids):
        others = sorted(
            (
                (-round(cosine(dense[:, one], dense[:, other]), 9), str(name), int(support))
                for other, name in enumerate(matrix.product_ids)
                if other != one
                and (support := np.sum((dense[:, one] > 0) & (dense[:, other] > 0))) >= min_support
            ),
        )[:n]
        expected += [
            (str(product), rank, name, pytest.approx(-score), support)
            for rank, (score, name, support) in enumerate(others, 1)
        ]
    assert similar_products(matrix, n, min_support).rows() == expected


def test_equal_scores_go_by_product_id_across_blocks():
    """600 products with the same members: more than a block, and every similarity is 1."""
    found = similar_products(matrix_of(np.ones((3, 600))), 2, 3)
    assert found.height == 1200
    assert found["score"].unique().to_list() == [1.0]
    assert found.filter(product_id="p599")["similar_product_id"].to_list() == ["p0", "p1"]
    assert found.filter(product_id="p0")["similar_product_id"].to_list() == ["p1", "p10"]


def test_too_little_in_common_is_left_out():
    weights = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1]])
    found = similar_products(matrix_of(weights), 5, 2)
    assert found.select("product_id", "similar_product_id").rows() == [("p0", "p1"), ("p1", "p0")]
    assert similar_products(matrix_of(weights), 5, 3).is_empty()


def test_faded_weights_still_compare():
    found = similar_products(matrix_of(np.array([[1e-30, 1e-30], [1e-30, 1e-30]])), 1, 2)
    assert found["score"].to_list() == pytest.approx([1, 1])


def test_an_empty_matrix_has_no_similar_products():
    found = similar_products(InteractionMatrix.from_pairs([], [], []), 5, 1)
    assert found.columns == ["product_id", "rank", "similar_product_id", "score", "support"]
    assert found.is_empty()


def test_support_of_nobody_is_refused():
    with pytest.raises(ValueError, match="min_support"):
        similar_products(matrix_of(np.ones((2, 2))), 5, 0)
