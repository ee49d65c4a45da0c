"""The interaction matrix against a dictionary, in any order, without going dense."""

from collections import defaultdict
from itertools import permutations
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.recommend.matrix import InteractionMatrix, positions, sparse

PAIRS = st.lists(
    st.tuples(
        st.integers(-3, 3),
        st.sampled_from(["a", "b", "连衣裙", "p-10", "p-9"]),
        st.sampled_from([-5.0, -0.3, 0.0, 0.1, 0.2, 0.7, 3.0]),
    ),
    max_size=40,
)


def built(pairs: list[tuple[int, str, float]]) -> InteractionMatrix:
    return InteractionMatrix.from_pairs(
        [member for member, _, _ in pairs],
        [product for _, product, _ in pairs],
        [weight for _, _, weight in pairs],
    )


def cells(matrix: InteractionMatrix) -> dict[tuple[int, str], float]:
    weights = matrix.weights
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    return {
        (int(matrix.member_ids[row]), str(matrix.product_ids[column])): float(value)
        for row, column, value in zip(rows, weights.indices, weights.data, strict=True)
    }


def test_ids_are_sorted_and_repeated_pairs_are_added():
    matrix = built([(7, "b", 1.0), (3, "c", 2.0), (7, "a", 4.0), (7, "b", 0.5)])
    assert matrix.member_ids.tolist() == [3, 7]
    assert matrix.product_ids.tolist() == ["a", "b", "c"]
    assert matrix.weights.toarray().tolist() == [[0, 0, 2], [4, 1.5, 0]]
    assert matrix.weights.data.dtype == np.float32


def test_an_order_that_was_refunded_is_no_tie():
    matrix = built([(1, "a", 5.0), (1, "a", -5.0), (2, "b", 1.0), (3, "c", -1.0)])
    assert cells(matrix) == {(2, "b"): 1.0}


@pytest.mark.parametrize("pairs", [[], [(1, "a", 0.0), (2, "b", -1.0)]])
def test_nothing_positive_makes_an_empty_matrix(pairs: list[tuple[int, str, float]]):
    matrix = built(pairs)
    assert matrix.weights.shape == (0, 0)
    assert matrix.weights.nnz == len(matrix.member_ids) == len(matrix.product_ids) == 0


def test_a_weight_too_small_for_single_precision_is_no_tie():
    assert cells(built([(1, "a", 1e-60), (1, "b", 1.0)])) == {(1, "b"): 1.0}


@given(PAIRS)
def test_it_holds_the_positive_sums(pairs: list[tuple[int, str, float]]):
    sums: dict[tuple[int, str], list[float]] = defaultdict(list)
    for member, product, weight in pairs:
        sums[member, product].append(weight)
    expected = {pair: np.float32(np.sum(np.sort(ws))) for pair, ws in sums.items()}
    found = cells(built(pairs))
    assert found == pytest.approx({p: w for p, w in expected.items() if w > 1e-12 or p in found})
    assert all(weight > 0 for weight in found.values())


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_leaves_no_trace(
    pairs: list[tuple[int, str, float]], random: Random
):
    first = built(pairs)
    shuffled = list(pairs)
    random.shuffle(shuffled)
    second = built(shuffled)
    assert first.member_ids.tolist() == second.member_ids.tolist()
    assert first.product_ids.tolist() == second.product_ids.tolist()
    assert first.weights.indptr.tobytes() == second.weights.indptr.tobytes()
    assert first.weights.indices.tobytes() == second.weights.indices.tobytes()
    assert first.weights.data.tobytes() == second.weights.data.tobytes()


def test_sums_do_not_depend_on_the_order_even_where_rounding_does():
    for weights in permutations([1e17, 1.0, -1e17, 3.0]):
        assert cells(built([(1, "a", weight) for weight in weights])) == {}


def test_product_ids_may_come_as_a_polars_series_or_an_array():
    ids = ["b", "a", "b"]
    for given_ids in (pl.Series(ids), np.array(ids)):
        matrix = InteractionMatrix.from_pairs(np.array([1, 1, 2]), given_ids, np.ones(3))
        assert cells(matrix) == {(1, "a"): 1, (1, "b"): 1, (2, "b"): 1}


def test_ids_are_looked_up():
    matrix = built([(-5, "b", 1.0), (9, "d", 1.0)])
    assert matrix.member_index([9, -5, 0, 10]).tolist() == [1, 0, -1, -1]
    assert positions(np.array([], dtype=np.int64), np.array([3])).tolist() == [-1]


def test_a_shop_of_any_size_stays_sparse():
    n = 300_000
    matrix = InteractionMatrix.from_pairs(
        np.arange(n), pl.Series(np.arange(n)).cast(pl.String), np.ones(n)
    )
    assert matrix.weights.shape == (n, n)
    assert matrix.weights.nnz == n


@pytest.mark.parametrize(
    ("members", "products", "weights", "message"),
    [
        ([1, 2], ["a"], [1.0], "one length"),
        ([1], ["a"], [1.0, 2.0], "one length"),
        ([1], [None], [1.0], "product_id"),
        ([1], ["a"], [float("nan")], "finite"),
        ([1], ["a"], [float("inf")], "finite"),
    ],
)
def test_bad_pairs_are_refused(
    members: list[int], products: list[str], weights: list[float], message: str
):
    with pytest.raises(ValueError, match=message):
        InteractionMatrix.from_pairs(members, products, weights)


def test_a_matrix_that_would_be_misread_is_refused():
    one = sparse(np.array([0]), np.array([0]), np.array([1.0]), (2, 1))
    zero = sparse(np.array([0]), np.array([0]), np.array([0.0]), (1, 1))
    with pytest.raises(ValueError, match="ascending"):
        InteractionMatrix(np.array([2, 1]), np.array(["a"]), one)
    with pytest.raises(ValueError, match="ids ask for"):
        InteractionMatrix(np.array([1]), np.array(["a"]), one)
    with pytest.raises(ValueError, match="positive"):
        InteractionMatrix(np.array([1]), np.array(["a"]), zero)
