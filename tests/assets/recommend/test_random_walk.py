"""The walk: four members by hand, against dense and scipy products, and at its edges."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, random_array

from assets.recommend.matrix import CsrMatrix, InteractionMatrix, sparse
from assets.recommend.random_walk import Walk, WalkSettings, similar_products
from tests.ranking import top_products


def matrix_of(weights: NDArray[Any]) -> InteractionMatrix:
    members, products = np.indices(weights.shape)
    return InteractionMatrix.from_pairs(
        members.ravel(), [f"p{number:03}" for number in products.ravel()], weights.ravel()
    )


def random_matrix(seed: int, n_members: int, n_products: int, share: float) -> InteractionMatrix:
    rng = np.random.default_rng(seed)
    return matrix_of(
        rng.random((n_members, n_products)) * (rng.random((n_members, n_products)) < share)
    )


def dense(matrix: CsrMatrix) -> NDArray[np.float64]:
    return matrix.toarray().astype(np.float64)


def bytes_of(matrix: CsrMatrix) -> tuple[bytes, bytes, bytes]:
    return matrix.indptr.tobytes(), matrix.indices.tobytes(), matrix.data.tobytes()


# Members have 2, 3, 2 and 1 products; products have 3, 2, 2 and 1 members.
BY_HAND = np.array(
    [
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [0, 0, 1, 1],
        [1, 0, 0, 0],
    ]
)


def test_p3alpha_by_hand():
    """At alpha 1 and beta 0 the steps are probabilities: 1 / members, then 1 / products."""
    walk = Walk.fit(matrix_of(BY_HAND), WalkSettings(alpha=1, beta=0))
    assert dense(walk.similarity) == pytest.approx(
        np.array(
            [
                [0, (1 / 2 + 1 / 3) / 3, (1 / 3) / 3, 0],
                [(1 / 2 + 1 / 3) / 2, 0, (1 / 3) / 2, 0],
                [(1 / 3) / 2, (1 / 3) / 2, 0, (1 / 2) / 2],
                [0, 0, 1 / 2, 0],
            ]
        )
    )
    assert dense(walk.histories) == pytest.approx(BY_HAND / np.array([[2], [3], [2], [1]]))
    # The first member walks to p000 or p001 with 1/2 each, and on.
    assert walk.scores(0, 1)[0].tolist() == pytest.approx(
        [1 / 2 * 5 / 12, 1 / 2 * 5 / 18, 1 / 2 * 1 / 9 + 1 / 2 * 1 / 6, -np.inf]
    )


def test_rp3beta_by_hand():
    """At alpha 1/2 every step has the root of its probability; beta 1 divides by members."""
    walk = Walk.fit(matrix_of(BY_HAND), WalkSettings(alpha=0.5, beta=1))
    two, three = 2**-0.5, 3**-0.5
    assert dense(walk.similarity) == pytest.approx(
        np.array(
            [
                [0, three * (two + three) / 2, three * three / 2, 0],
                [two * (two + three) / 3, 0, two * three / 2, 0],
                [two * three / 3, two * three / 2, 0, two * two / 1],
                [0, 0, 1 * two / 2, 0],
            ]
        )
    )
    assert walk.scores(3, 4)[0].tolist() == pytest.approx(
        [-np.inf, three * (two + three) / 2, three * three / 2, -np.inf]
    )


def test_similar_products_by_hand():
    """p000: all of its weight is 1/2 + 1/3 + 1, of which 1/2 + 1/3 met p001."""
    plain = similar_products(matrix_of(BY_HAND), WalkSettings(alpha=1, beta=0), 2, 1)
    assert plain.rows() == [
        ("p000", 1, "p001", pytest.approx(5 / 11), 2),
        ("p000", 2, "p002", pytest.approx(2 / 11), 1),
        ("p001", 1, "p000", 1, 2),
        ("p001", 2, "p002", pytest.approx(2 / 5), 1),
        ("p002", 1, "p003", pytest.approx(3 / 5), 1),
        ("p002", 2, "p000", pytest.approx(2 / 5), 1),
        ("p003", 1, "p002", 1, 1),
    ]
    corrected = similar_products(matrix_of(BY_HAND), WalkSettings(alpha=1, beta=1), 2, 1)
    # Its ends p000 and p001 tied above; the one with fewer members now comes first.
    assert corrected.filter(product_id="p002").rows() == [
        ("p002", 1, "p003", pytest.approx(3 / 5), 1),
        ("p002", 2, "p001", pytest.approx(2 / 5 / 2), 1),
    ]
    supported = similar_products(matrix_of(BY_HAND), WalkSettings(alpha=1, beta=0), 2, 2)
    assert supported.select("product_id", "similar_product_id").rows() == [
        ("p000", "p001"),
        ("p001", "p000"),
    ]


def steps(
    tied: NDArray[np.bool_], alpha: float, beta: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The definition on dense matrices: the first step, and the two others without staying."""
    per_member = np.maximum(tied.sum(axis=1, keepdims=True), 1).astype(np.float64)
    per_product = np.maximum(tied.sum(axis=0), 1).astype(np.float64)
    to_product = (tied / per_member) ** alpha * tied
    to_member = (tied / per_product).T ** alpha * tied.T
    onward = to_member @ to_product / per_product**beta
    np.fill_diagonal(onward, 0)
    return to_product, onward


def capped(weights: NDArray[np.float64], cap: int) -> NDArray[np.bool_]:
    order = np.argsort(-weights, axis=1, kind="stable")
    tied = np.zeros(weights.shape, dtype=np.bool_)
    np.put_along_axis(tied, order[:, :cap], values=True, axis=1)
    return tied & (weights > 0)


@given(
    seed=st.integers(0, 10_000),
    alpha=st.sampled_from([0.0, 0.4, 1.0, 1.7]),
    beta=st.sampled_from([0.0, 0.1, 0.8]),
    neighbours=st.integers(1, 12),
    cap=st.integers(1, 9),
    share=st.sampled_from([0.1, 0.4, 0.9]),
)
@settings(max_examples=60, deadline=None)
def test_against_the_definition(
    seed: int, alpha: float, beta: float, neighbours: int, cap: int, share: float
):
    matrix = random_matrix(seed, 11, 9, share)
    walk = Walk.fit(matrix, WalkSettings(alpha, beta, neighbours, cap))
    first, onward = steps(capped(dense(matrix.weights), cap), alpha, beta)
    assert dense(walk.histories) == pytest.approx(first, rel=1e-5)

    found = dense(walk.similarity)
    is_kept = found > 0
    assert found[is_kept] == pytest.approx(onward[is_kept], rel=1e-5)
    assert np.all(is_kept.sum(axis=1) == np.minimum((onward > 0).sum(axis=1), neighbours))
    least = np.where(is_kept, onward, np.inf).min(axis=1, initial=np.inf)
    best_left = np.where(is_kept, 0, onward).max(axis=1, initial=0)
    assert np.all(least >= best_left * (1 - 1e-6))

    scores = walk.scores(0, len(matrix.member_ids))
    expected = first @ found
    assert scores.dtype == np.float32
    assert np.array_equal(np.isfinite(scores), expected > 0)
    assert scores[expected > 0] == pytest.approx(expected[expected > 0], rel=1e-5)
    assert np.all(np.isneginf(scores[expected == 0]))


@given(
    seed=st.integers(0, 10_000),
    alpha=st.sampled_from([0.0, 0.4, 1.0, 1.7]),
    beta=st.sampled_from([0.0, 0.1, 0.8]),
    n=st.integers(1, 4),
    min_support=st.integers(1, 3),
)
@settings(max_examples=40, deadline=None)
def test_similar_products_against_the_definition(
    seed: int, alpha: float, beta: float, n: int, min_support: int
):
    matrix = random_matrix(seed, 11, 9, 0.4)
    chosen = WalkSettings(alpha, beta, history_cap=5)
    tied = capped(dense(matrix.weights), 5)
    _, onward = steps(tied, alpha, beta)
    # All that could arrive: every member of the product met the other, which is not popular.
    to_product, _ = steps(tied, alpha, 0)
    most = to_product.sum(axis=0) * np.maximum(tied.sum(axis=0), 1.0) ** -alpha
    support = tied.T.astype(np.int64) @ tied
    expected: list[tuple[object, ...]] = []
    for one, name in enumerate(matrix.product_ids):
        ends = sorted(
            (-round(onward[one, other] / most[one], 9), str(matrix.product_ids[other]), int(count))
            for other, count in enumerate(support[one])
            if other != one and count >= min_support
        )
        expected += [
            (str(name), rank, end, pytest.approx(-score), count)
            for rank, (score, end, count) in enumerate(ends[:n], 1)
        ]
    found = similar_products(matrix, chosen, n, min_support)
    assert found.rows() == expected
    assert found["score"].is_between(0, 1).all()


def test_against_scipy_on_more_products():
    """The same product of matrices without the kernel; ties at the cut are all it may differ in."""
    tied = random_array((400, 300), density=0.05, format="csr", rng=np.random.default_rng(5))
    members, products = tied.nonzero()
    matrix = InteractionMatrix.from_pairs(
        members, [f"p{number:03}" for number in products], np.ones(len(members))
    )
    per_member, per_product = np.diff(tied.indptr), np.bincount(tied.indices, minlength=300)
    assert per_product.min() > 0
    x = csr_matrix((np.ones(tied.nnz), tied.indices, tied.indptr), shape=tied.shape)
    onward = (
        diags(per_product**-0.7)
        @ x.T
        @ diags(np.maximum(per_member, 1) ** -0.7)
        @ x
        @ diags(per_product**-0.1)
    ).toarray()
    np.fill_diagonal(onward, 0)

    every = Walk.fit(matrix, WalkSettings(0.7, 0.1, neighbours=300))
    assert dense(every.similarity) == pytest.approx(onward, rel=1e-6)
    best = Walk.fit(matrix, WalkSettings(0.7, 0.1, neighbours=15))
    kept = -np.sort(-dense(best.similarity), axis=1)[:, :15]
    assert kept == pytest.approx(-np.sort(-onward, axis=1)[:, :15], rel=1e-6)
    assert np.diff(best.similarity.indptr).tolist() == [15] * 300


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_the_same_bytes_whatever_the_threads_and_the_order_of_the_pairs(share: float):
    """At a share of 1 every end ties with every other, so that the cut is nothing but ties."""
    rng = np.random.default_rng(3)
    members, products = np.nonzero(rng.random((60, 80)) < share)
    names = np.array([f"p{number:02}" for number in products])
    chosen = WalkSettings(neighbours=7)
    expected: Walk | None = None
    for n_threads in (1, 2, 3, 4, 4, 0):
        order = rng.permutation(len(members))
        matrix = InteractionMatrix.from_pairs(members[order], names[order], np.ones(len(members)))
        walk = Walk.fit(matrix, chosen, n_threads)
        expected = expected or walk
        assert bytes_of(walk.similarity) == bytes_of(expected.similarity)
        assert bytes_of(walk.histories) == bytes_of(expected.histories)
        assert walk.scores(0, 60).tobytes() == expected.scores(0, 60).tobytes()
    assert expected is not None
    assert np.diff(expected.similarity.indptr).tolist() == [7] * 80


def test_a_history_is_capped_to_the_heaviest_ties_by_product():
    weights = np.array([[1, 5, 2, 2, 2], [1, 1, 0, 0, 0], [0, 0, 3, 2, 1]])
    walk = Walk.fit(matrix_of(weights), WalkSettings(alpha=1, history_cap=3))
    third = 1 / 3
    assert dense(walk.histories) == pytest.approx(
        np.array([[0, third, third, third, 0], [0.5, 0.5, 0, 0, 0], [0, 0, third, third, third]])
    )


def test_a_product_that_the_cap_left_without_members_is_never_reached():
    walk = Walk.fit(matrix_of(np.array([[2, 2, 1], [2, 2, 1]])), WalkSettings(history_cap=2))
    assert dense(walk.similarity)[2].tolist() == [0, 0, 0]
    assert np.all(np.isneginf(walk.scores(0, 2)[:, 2]))
    assert np.all(np.isfinite(walk.scores(0, 2)[:, :2]))
    found = similar_products(matrix_of(np.array([[2, 2, 1]])), WalkSettings(history_cap=2), 5, 1)
    assert found["product_id"].to_list() == ["p000", "p001"]


def test_strength_of_a_tie_does_not_count_below_the_cap():
    weak, strong = BY_HAND * 1e-6, BY_HAND * np.array([[9, 1, 5, 3]])
    walks = [Walk.fit(matrix_of(weights), WalkSettings()) for weights in (weak, strong)]
    assert bytes_of(walks[0].similarity) == bytes_of(walks[1].similarity)
    assert bytes_of(walks[0].histories) == bytes_of(walks[1].histories)


def test_where_nothing_is_shared_the_walk_leads_nowhere():
    walk = Walk.fit(matrix_of(np.eye(3)), WalkSettings())
    assert walk.similarity.nnz == 0
    assert np.all(np.isneginf(walk.scores(0, 3)))
    assert similar_products(matrix_of(np.eye(3)), WalkSettings(), 5, 1).is_empty()


def test_one_product():
    walk = Walk.fit(matrix_of(np.ones((3, 1))), WalkSettings())
    assert walk.scores(0, 3).tolist() == [[-np.inf]] * 3
    assert similar_products(matrix_of(np.ones((3, 1))), WalkSettings(), 5, 1).is_empty()


def test_no_pairs():
    nothing = InteractionMatrix.from_pairs([], [], [])
    walk = Walk.fit(nothing, WalkSettings())
    assert walk.scores(0, 0).shape == (0, 0)
    assert len(walk.of_members(np.array([4])).member_ids) == 0
    found = similar_products(nothing, WalkSettings(), 5, 1)
    assert found.columns == ["product_id", "rank", "similar_product_id", "score", "support"]
    assert found.is_empty()

    no_row = np.zeros(0, dtype=np.int64)
    empty = InteractionMatrix(
        np.array([1, 2]), np.array(["a", "b"]), sparse(no_row, no_row, np.zeros(0), (2, 2))
    )
    assert np.all(np.isneginf(Walk.fit(empty, WalkSettings()).scores(0, 2)))
    assert similar_products(empty, WalkSettings(), 5, 1).is_empty()


def test_members_that_the_walk_does_not_know_are_left_out():
    walk = Walk.fit(matrix_of(BY_HAND), WalkSettings())
    some = walk.of_members(np.array([3, 77, 1, -5, 3]))
    assert some.member_ids.tolist() == [1, 3]
    assert some.product_ids.tolist() == walk.product_ids.tolist()
    assert np.array_equal(some.scores(0, 2), walk.scores(0, 4)[[1, 3]])


def test_scores_of_a_block_are_a_new_array_with_those_rows():
    walk = Walk.fit(random_matrix(1, 30, 20, 0.3), WalkSettings())
    whole = walk.scores(0, 30)
    assert np.array_equal(walk.scores(7, 12), whole[7:12])
    assert walk.scores(5, 5).shape == (0, 20)
    walk.scores(0, 30).fill(0)
    assert np.array_equal(walk.scores(0, 30), whole)


def test_lists_hold_what_the_walk_reaches_and_nothing_else():
    """Two groups with nothing in common: nobody's list crosses over, however long it may be."""
    matrix = matrix_of(np.kron(np.eye(2), np.ones((4, 5))) * (np.indices((8, 10)).sum(axis=0) % 4))
    walk = Walk.fit(matrix, WalkSettings())
    lists = top_products(walk, matrix.weights, 10, np.ones(10, dtype=np.bool_))
    seen = dense(matrix.weights) > 0
    for member, own in enumerate(seen):
        group = slice(0, 5) if member < 4 else slice(5, 10)
        unmet = [str(name) for name in matrix.product_ids[group][~own[group]]]
        found = lists.filter(pl.col("member_id") == member)["product_id"].to_list()
        assert sorted(found) == unmet


def test_a_shop_of_any_size_stays_sparse():
    n = 200_000
    matrix = InteractionMatrix.from_pairs(
        np.repeat(np.arange(n), 2),
        pl.Series(np.column_stack([np.arange(n), (np.arange(n) + 1) % n]).ravel()).cast(pl.String),
        np.ones(2 * n),
    )
    walk = Walk.fit(matrix, WalkSettings(neighbours=3), n_threads=1)
    assert walk.similarity.nnz == 2 * n
    assert walk.scores(n - 2, n).shape == (2, n)
    assert np.isfinite(walk.scores(n - 2, n)).sum() == 8


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"alpha": -0.1}, "alpha"),
        ({"alpha": 2.1}, "alpha"),
        ({"alpha": float("nan")}, "alpha"),
        ({"beta": -0.1}, "beta"),
        ({"neighbours": 0}, "neighbours"),
        ({"history_cap": 0}, "history_cap"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        WalkSettings(**values)


def test_more_neighbours_than_the_kernel_can_count_are_refused():
    n = 50_000
    matrix = InteractionMatrix(
        np.arange(n),
        np.array([f"p{number:05}" for number in range(n)]),
        sparse(np.arange(n), np.arange(n), np.ones(n), (n, n)),
    )
    with pytest.raises(ValueError, match="too many"):
        Walk.fit(matrix, WalkSettings(neighbours=n))


def test_support_of_nobody_is_refused():
    with pytest.raises(ValueError, match="min_support"):
        similar_products(matrix_of(np.ones((2, 2))), WalkSettings(), 5, 0)


def test_equal_scores_go_by_product_id_across_blocks():
    found = similar_products(matrix_of(np.ones((3, 200))), WalkSettings(beta=0), 2, 3)
    assert found.height == 400
    assert found["score"].unique().to_list() == [1.0]
    assert found.filter(product_id="p199")["similar_product_id"].to_list() == ["p000", "p001"]
    assert found.filter(product_id="p000")["similar_product_id"].to_list() == ["p001", "p002"]


def test_what_ties_on_paper_goes_by_product_id():
    """p000 shares members of 3, 4 and 5 products with p001, of 5, 4 and 3 with p002.

    In floating point 1/5 + 1/4 + 1/3 is more than 1/3 + 1/4 + 1/5.
    """
    assert (1 / 5 + 1 / 4) + 1 / 3 > (1 / 3 + 1 / 4) + 1 / 5
    weights = np.zeros((46, 7))
    for member, (end, length) in enumerate([(1, 3), (1, 4), (1, 5), (2, 5), (2, 4), (2, 3)]):
        weights[member, [0, end, *range(3, 1 + length)]] = 1
    # The others are so popular that beta leaves little of them.
    weights[6:, 3:] = 1
    chosen = WalkSettings(alpha=1, beta=2, neighbours=1)
    walk = Walk.fit(matrix_of(weights), chosen)
    assert np.flatnonzero(dense(walk.similarity)[0]).tolist() == [1]
    found = similar_products(matrix_of(weights), chosen, 2, 3).filter(product_id="p000")
    assert found["similar_product_id"].to_list() == ["p001", "p002"]
