"""Exact ranking: the best of what is allowed, ties by product_id, blocks without seams."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from assets.recommend.matrix import sparse
from tests.ranking import top_products


@given(st.integers(0, 10_000), st.integers(1, 12))
@settings(max_examples=60)
def test_the_ranking_is_exact_with_ties_by_product_id(seed: int, n: int):
    rng = np.random.default_rng(seed)
    n_members, n_products = 5, 9
    score = rng.integers(-2, 3, (n_members, n_products)) / 2
    score *= rng.choice([1, -1, 0], score.shape)  # with zeros of either sign
    score[rng.random(score.shape) < 0.1] = -np.inf
    banned = rng.random(score.shape) < 0.3
    allowed = rng.random(n_products) < 0.8

    class Given:
        member_ids = np.arange(n_members) * 10
        product_ids = np.array([f"p{number}" for number in range(n_products)])

        def scores(self, start: int, stop: int):
            return score[start:stop].astype(np.float32)

    rows, columns = np.nonzero(banned)
    excluded = sparse(rows, columns, np.ones(len(rows)), score.shape)
    expected = []
    for member in range(n_members):
        candidates = sorted(
            (-score[member, column], column)
            for column in range(n_products)
            if allowed[column] and not banned[member, column] and np.isfinite(score[member, column])
        )[:n]
        expected += [
            (member * 10, rank, f"p{column}", -negative)
            for rank, (negative, column) in enumerate(candidates, 1)
        ]
    found = top_products(Given(), excluded, n, allowed)
    assert found.columns == ["member_id", "rank", "product_id", "score"]
    assert found.rows() == expected


def test_blocks_leave_no_seam():
    """Two members more than fit into a block of four million scores."""
    n_products = 2000
    n_members = (1 << 22) // n_products + 2
    score = np.random.default_rng(0).permutation(n_products).astype(np.float32)

    class Alike:
        member_ids: NDArray[np.int64] = np.arange(n_members)
        product_ids: NDArray[np.str_] = np.array([f"{number:04d}" for number in range(n_products)])

        def scores(self, start: int, stop: int) -> NDArray[np.float32]:
            return np.tile(score, (stop - start, 1))

    scorer = Alike()
    best = np.argsort(-score)[:3]
    excluded = sparse(
        np.array([0, n_members - 1]), best[[0, 0]], np.ones(2), (n_members, n_products)
    )
    found = top_products(scorer, excluded, 2, np.ones(n_products, dtype=bool))
    assert found["member_id"].to_list() == np.repeat(np.arange(n_members), 2).tolist()
    by_member = found["product_id"].to_numpy().reshape(-1, 2)
    names = scorer.product_ids
    assert (by_member[1:-1] == names[best[:2]]).all()
    assert (by_member[[0, -1]] == names[best[1:]]).all()
