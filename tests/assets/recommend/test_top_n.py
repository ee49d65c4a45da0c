"""The search for everybody's best products: brute force, ties, hazards, threads."""

import subprocess
import sys
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from assets.recommend.matrix import CsrMatrix, sparse
from assets.recommend.top_n import top_n

Lists = tuple[NDArray[np.int32], NDArray[np.float32]]
BLAS_BEFORE_AND_AFTER = """
import numpy as np
from threadpoolctl import threadpool_info
from assets.recommend.matrix import sparse
from assets.recommend.top_n import top_n

def loaded():
    return sorted(each["filepath"] for each in threadpool_info() if each["user_api"] == "blas")

before = loaded()
none = np.zeros(0, dtype=np.int64)
ones = np.ones((1, 1), dtype=np.float32)
top_n(ones, ones, sparse(none, none, np.zeros(0), (1, 1)), 1)
assert before and loaded() == before, (before, loaded())
"""


def pairs(is_excluded: ArrayLike) -> CsrMatrix:
    row, column = np.nonzero(is_excluded)
    return sparse(row, column, np.ones(len(row)), np.shape(is_excluded))


def none_excluded(n_members: int, n_products: int) -> CsrMatrix:
    return pairs(np.zeros((n_members, n_products), dtype=bool))


def brute_force(
    members: NDArray[np.float32],
    products: NDArray[np.float32],
    is_excluded: NDArray[np.bool_],
    n: int,
    allowed: NDArray[np.bool_],
) -> Lists:
    """Every score, in double precision and then rounded, sorted whole."""
    scores = (members.astype(np.float64) @ products.astype(np.float64).T).astype(np.float32)
    columns = np.full((len(members), n), -1, dtype=np.int32)
    best = np.full((len(members), n), -np.inf, dtype=np.float32)
    for row, own in enumerate(scores):
        left = np.flatnonzero(allowed & ~is_excluded[row])
        order = left[np.argsort(-own[left], kind="stable")][:n]
        columns[row, : len(order)], best[row, : len(order)] = order, own[order]
    return columns, best


def assert_equal(found: Lists, expected: Lists) -> None:
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert (found[0].dtype, found[1].dtype) == (np.int32, np.float32)


def skewed(n_members: int, n_products: int, n_factors: int) -> tuple[NDArray[np.float32], ...]:
    """Factors whose products' norms fall as popularity does, in no order."""
    rng = np.random.default_rng(4)
    members = rng.normal(size=(n_members, n_factors)).astype(np.float32)
    products = rng.normal(size=(n_products, n_factors)).astype(np.float32)
    norms = (rng.permutation(n_products) + 1.0) ** -0.6
    return members, (products * norms[:, None]).astype(np.float32)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whole_numbers_rank_as_by_brute_force(data: st.DataObject):
    """Whole factors add up exactly in any order, and tie often."""
    n_members = data.draw(st.integers(0, 5))
    n_products = data.draw(st.integers(0, 12))
    factors = data.draw(st.integers(1, 6))
    whole = st.integers(-2, 2).map(float)
    members = data.draw(arrays(np.float32, (n_members, factors), elements=whole))
    products = data.draw(arrays(np.float32, (n_products, factors), elements=whole))
    is_excluded = data.draw(arrays(np.bool_, (n_members, n_products)))
    allowed = data.draw(arrays(np.bool_, n_products))
    n = data.draw(st.integers(1, 14))
    expected = brute_force(members, products, is_excluded, n, allowed)
    for stops_early in (True, False):
        found = top_n(
            members,
            products,
            pairs(is_excluded),
            n,
            allowed=allowed,
            stops_early=stops_early,
            n_threads=1,
        )
        assert_equal(found, expected)


@pytest.mark.parametrize("n", [1, 20, 300])
@pytest.mark.parametrize("n_products", [255, 256, 257, 900])
def test_whole_numbers_over_several_tiles_rank_as_by_brute_force(n: int, n_products: int):
    rng = np.random.default_rng(n + n_products)
    members = rng.integers(-3, 4, (530, 9)).astype(np.float32)
    products = rng.integers(-3, 4, (n_products, 9)).astype(np.float32)
    products *= rng.integers(0, 9, (n_products, 1))
    is_excluded = rng.random((530, n_products)) < rng.random((530, 1))
    allowed = rng.random(n_products) < 0.9
    expected = brute_force(members, products, is_excluded, n, allowed)
    for stops_early in (True, False):
        found = top_n(
            members, products, pairs(is_excluded), n, allowed=allowed, stops_early=stops_early
        )
        assert_equal(found, expected)


@pytest.mark.parametrize("scale", [1.0, 1e-19, 3e-22, 1e-22, 1e18])
@pytest.mark.parametrize("n_factors", [1, 3, 64, 130])
def test_real_numbers_rank_as_by_brute_force(n_factors: int, scale: float):
    """Down to scores that single precision can hardly tell from 0, and up to its largest."""
    members, products = skewed(70, 1500, n_factors)
    members, products = members * np.float32(scale), products * np.float32(scale)
    is_excluded = np.random.default_rng(2).random((70, 1500)) < 0.1
    expected = brute_force(members, products, is_excluded, 20, np.ones(1500, dtype=bool))
    for stops_early in (True, False):
        found = top_n(members, products, pairs(is_excluded), 20, stops_early=stops_early)
        assert_equal(found, expected)


def test_scores_that_single_precision_muddles_rank_as_by_brute_force():
    """Products that differ in their last bits, and members who lie along them.

    Matrix products in single precision err by more than these scores differ by, and every score
    is as high as the Cauchy-Schwarz inequality lets it be.
    """
    rng = np.random.default_rng(6)
    along = rng.normal(size=48).astype(np.float32)
    members = (along * rng.uniform(0.5, 2, (60, 1))).astype(np.float32)
    products = (along * (1 + rng.integers(-3, 4, (1500, 48)) * 2.0**-23)).astype(np.float32)
    is_excluded = rng.random((60, 1500)) < 0.1
    expected = brute_force(members, products, is_excluded, 20, np.ones(1500, dtype=bool))
    for stops_early in (True, False):
        found = top_n(members, products, pairs(is_excluded), 20, stops_early=stops_early)
        assert_equal(found, expected)


def test_equal_products_stand_in_the_order_of_their_columns_wherever_their_tiles_lie():
    members, products = skewed(600, 7, 37)
    kind = np.random.default_rng(8).integers(0, 7, 2000)
    columns, scores = top_n(members, products[kind], none_excluded(600, 2000), 500)
    for own, own_scores in zip(columns, scores, strict=True):
        for each in np.unique(kind[own]):
            alike = own[kind[own] == each]
            np.testing.assert_array_equal(alike, np.flatnonzero(kind == each)[: len(alike)])
            assert len(set(own_scores[kind[own] == each])) == 1


def test_neither_threads_nor_the_stop_nor_other_members_change_a_list():
    members, products = skewed(1300, 3000, 24)
    is_excluded = np.random.default_rng(3).random((1300, 3000)) < 0.02
    lists = top_n(members, products, pairs(is_excluded), 20, n_threads=1)
    for n_threads in (2, 3, 0):
        again = top_n(members, products, pairs(is_excluded), 20, n_threads=n_threads)
        assert_equal(again, lists)
    assert_equal(top_n(members, products, pairs(is_excluded), 20, stops_early=False), lists)
    for some in (np.array([1299]), np.arange(1299, 0, -7)):
        columns, scores = top_n(members[some], products, pairs(is_excluded[some]), 20)
        assert_equal((columns, scores), (lists[0][some], lists[1][some]))


def test_what_is_excluded_never_fills_a_list():
    """The hazard of implicit: it fills lists with what was bought, at a score of -3.4e38."""
    members, products = skewed(3, 40, 5)
    is_excluded = np.ones((3, 40), dtype=bool)
    is_excluded[0, [7, 30]] = is_excluded[1, 4] = False
    columns, scores = top_n(members, products, pairs(is_excluded), 20)
    assert set(columns[0, :2]) == {7, 30}
    assert columns[1, 0] == 4
    assert np.isfinite(scores).sum(axis=1).tolist() == [2, 1, 0]
    assert (columns[~np.isfinite(scores)] == -1).all()
    assert (scores[~np.isfinite(scores)] == -np.inf).all()


def test_an_exclusion_may_be_stored_unsorted_twice_and_as_zero():
    stored = cast(
        CsrMatrix,
        csr_matrix(
            (np.zeros(4, dtype=np.float32), np.array([3, 1, 3, 0]), np.array([0, 3, 4])),
            shape=(2, 5),
        ),
    )
    members = np.ones((2, 1), dtype=np.float32)
    products = np.arange(1, 6, dtype=np.float32)[:, None]
    columns, _ = top_n(members, products, stored, 5)
    assert columns.tolist() == [[4, 2, 0, -1, -1], [4, 3, 2, 1, -1]]


def test_vectors_of_zeros_list_the_lowest_columns():
    members, products = skewed(4, 700, 6)
    members[1] = 0
    products[::2] = 0
    is_excluded = np.zeros((4, 700), dtype=bool)
    is_excluded[1, [0, 3]] = True
    allowed = np.arange(700) != 1
    found = top_n(members, products, pairs(is_excluded), 400, allowed=allowed)
    assert_equal(found, brute_force(members, products, is_excluded, 400, allowed))
    assert found[0][1, :4].tolist() == [2, 4, 5, 6]
    assert (found[1][1] == 0).all()


def test_one_product():
    factors = np.array([[2.0], [-3.0]], dtype=np.float32)
    columns, scores = top_n(factors, factors[:1], pairs([[False], [False]]), 2)
    assert columns.tolist() == [[0, -1], [0, -1]]
    assert scores.tolist() == [[4.0, -np.inf], [-6.0, -np.inf]]


@pytest.mark.parametrize(("n_members", "n_products"), [(0, 3), (3, 0), (0, 0)])
def test_nobody_and_nothing(n_members: int, n_products: int):
    members = np.ones((n_members, 2), dtype=np.float32)
    products = np.ones((n_products, 2), dtype=np.float32)
    columns, scores = top_n(members, products, none_excluded(n_members, n_products), 4)
    assert columns.shape == scores.shape == (n_members, 4)
    assert (columns == -1).all()
    assert (scores == -np.inf).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("of_member", [True, False])
def test_numbers_that_are_not_finite_are_refused(value: float, of_member: bool):
    members, products = np.ones((2, 3), dtype=np.float32), np.ones((4, 3), dtype=np.float32)
    (members if of_member else products)[1, 2] = value
    with pytest.raises(ValueError, match="finite"):
        top_n(members, products, none_excluded(2, 4), 2)


def test_scores_beyond_single_precision_are_refused():
    members, products = np.full((1, 2), 1e20, np.float32), np.full((1, 2), 1e20, np.float32)
    with pytest.raises(ValueError, match="single precision"):
        top_n(members, products, none_excluded(1, 1), 1)


def test_what_does_not_fit_is_refused():
    members, products = np.ones((2, 3), dtype=np.float32), np.ones((4, 3), dtype=np.float32)
    seen = none_excluded(2, 4)
    with pytest.raises(ValueError, match="do not fit"):
        top_n(members, products[:, :2], seen, 1)
    with pytest.raises(ValueError, match="one factor"):
        top_n(members[:, :0], products[:, :0], seen, 1)
    with pytest.raises(ValueError, match="excluded"):
        top_n(products, members, seen, 1)
    with pytest.raises(ValueError, match="allowed"):
        top_n(members, products, seen, 1, allowed=np.ones(2, dtype=bool))
    with pytest.raises(ValueError, match="at least 1"):
        top_n(members, products, seen, 0)


def test_no_blas_is_loaded_out_of_sight_of_the_limit():
    """A BLAS loaded during the call would start threads of its own on every core."""
    subprocess.run([sys.executable, "-c", BLAS_BEFORE_AND_AFTER], check=True)
