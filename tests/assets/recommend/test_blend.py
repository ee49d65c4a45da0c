"""Fusion by hand and against a plain loop; lists of both models against the dense ranking."""

from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.recommend import blend
from assets.recommend.als import AlsSettings, Factors, fit
from assets.recommend.blend import factor_lists, fuse, walk_lists
from assets.recommend.matrix import InteractionMatrix, sparse
from assets.recommend.random_walk import Walk, WalkSettings
from tests.ranking import top_products

Lists = dict[int, list[str]]
LISTS = st.dictionaries(
    st.integers(0, 4), st.lists(st.sampled_from("abcdefgh"), max_size=6, unique=True)
)


def lists(by_member: Lists) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (member, rank, product)
            for member, products in by_member.items()
            for rank, product in enumerate(products, 1)
        ],
        schema={"member_id": pl.Int64, "rank": pl.Int32, "product_id": pl.String},
        orient="row",
    )


def random_matrix(seed: int, n_members: int = 60, n_products: int = 40) -> InteractionMatrix:
    rng = np.random.default_rng(seed)
    row, column = np.nonzero(rng.random((n_members, n_products)) < 0.15)
    return InteractionMatrix.from_pairs(row, [f"p{c:02d}" for c in column], np.ones(len(row)))


def test_by_hand():
    found = fuse(
        {"als": lists({1: ["a", "b"]}), "similar": lists({1: ["c", "b"], 2: ["c"]})},
        {"als": 1, "similar": 2},
        n=3,
    )
    assert found.select("member_id", "rank", "product_id", "source").rows() == [
        (1, 1, "b", "similar"),
        (1, 2, "c", "similar"),
        (1, 3, "a", "als"),
        (2, 1, "c", "similar"),
    ]
    assert found["score"].to_list() == pytest.approx([3 / 62, 2 / 61, 1 / 61, 2 / 61])


def test_ties_stand_by_product_and_the_source_named_first():
    both = {"als": lists({1: ["b", "a"]}), "similar": lists({1: ["a", "b"]})}
    found = fuse(both, {"als": 1, "similar": 1}, 2)
    assert found["product_id"].to_list() == ["a", "b"]
    assert found["source"].to_list() == ["similar", "als"]
    same = {"als": lists({1: ["a"]}), "similar": lists({1: ["a"]})}
    assert fuse(same, {"als": 1, "similar": 1}, 2)["source"].to_list() == ["als"]


@given(
    st.dictionaries(st.sampled_from(["x", "y", "z"]), LISTS, min_size=1),
    st.fixed_dictionaries({name: st.sampled_from([0.0, 0.5, 1.0, 2.0]) for name in "xyz"}),
    st.integers(1, 8),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_against_a_plain_loop(
    given_lists: dict[str, Lists], weights: dict[str, float], n: int, random: Random
):
    frames = {name: lists(each) for name, each in given_lists.items()}
    found = fuse(frames, weights, n, k=10)
    wanted: list[tuple[int, int, str]] = []
    for member in sorted({member for each in given_lists.values() for member in each}):
        scores: dict[str, float] = {}
        for name in sorted(given_lists):
            for rank, product in enumerate(given_lists[name].get(member, []), 1):
                if weights[name] > 0:
                    scores[product] = scores.get(product, 0) + weights[name] / (10 + rank)
        best = sorted(scores, key=lambda product: (-scores[product], product))[:n]
        wanted += [(member, place, product) for place, product in enumerate(best, 1)]
    assert found.select("member_id", "rank", "product_id").rows() == wanted

    shuffled = {
        name: frame.sample(fraction=1, shuffle=True, seed=random.randint(0, 99))
        for name, frame in frames.items()
    }
    assert fuse(shuffled, weights, n, k=10).equals(found)


def test_blocks_of_members_leave_no_trace(monkeypatch: pytest.MonkeyPatch):
    frames = {"x": lists({m: ["a", "b", "c"] for m in range(7)}), "y": lists({3: ["c"], 9: ["b"]})}
    whole = fuse(frames, {"x": 1, "y": 2}, 2)
    monkeypatch.setattr(blend, "_BLOCK_MEMBERS", 2)
    assert fuse(frames, {"x": 1, "y": 2}, 2).equals(whole)


def test_nothing_to_fuse_gives_no_rows():
    empty = lists({})
    for frames, weights in (
        ({}, {}),
        ({"x": empty}, {"x": 1.0}),
        ({"x": lists({1: ["a"]})}, {"x": 0.0}),
    ):
        found = fuse(frames, weights, 3)
        assert found.is_empty()
        assert found.columns == ["member_id", "rank", "product_id", "score", "source"]


@pytest.mark.parametrize(
    ("weights", "n", "message"),
    [
        ({}, 3, "no weight"),
        ({"x": -1.0}, 3, "at least 0"),
        ({"x": float("nan")}, 3, "at least 0"),
        ({"x": 1.0}, 0, "at least 1"),
    ],
)
def test_what_cannot_be_fused_is_refused(weights: dict[str, float], n: int, message: str):
    with pytest.raises(ValueError, match=message):
        fuse({"x": lists({1: ["a"]})}, weights, n)


@pytest.mark.parametrize("n", [1, 5, 100])
@pytest.mark.parametrize("block", [1, 1 << 24])
def test_lists_of_the_walk_are_those_of_the_dense_ranking(
    n: int, block: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(blend, "_BLOCK_STEPS", block)
    matrix = random_matrix(1)
    walk = Walk.fit(matrix, WalkSettings(neighbours=7)).of_members(matrix.member_ids[10:50])
    allowed = np.arange(len(matrix.product_ids)) % 5 != 0
    met = matrix.weights[matrix.member_index(walk.member_ids)]
    assert walk_lists(walk, met, n, allowed).equals(top_products(walk, met, n, allowed))
    everything = np.ones_like(allowed)
    assert walk_lists(walk, met, n).equals(top_products(walk, met, n, everything))


def test_lists_of_factors_are_those_of_the_dense_ranking():
    matrix = random_matrix(2)
    factors = fit(matrix, AlsSettings(factors=6, iterations=4))
    allowed = np.arange(len(matrix.product_ids)) % 3 != 0
    found = factor_lists(factors, matrix.weights, 8, allowed)
    dense = top_products(factors, matrix.weights, 8, allowed)
    keys = ["member_id", "rank", "product_id"]
    assert found.select(keys).equals(dense.select(keys))
    # The dense scores are summed in single precision.
    assert found["score"].to_numpy() == pytest.approx(dense["score"].to_numpy(), rel=1e-4)


def test_no_list_holds_what_is_excluded_or_speaks_for_nothing():
    ids = np.array(["a", "b", "c"])
    factors = Factors(
        np.array([1, 2]),
        ids,
        np.array([[1.0], [0.0]], dtype=np.float32),
        np.array([[3.0], [-1.0], [2.0]], dtype=np.float32),
        1.0,
        AlsSettings(factors=1),
    )
    met = sparse(np.array([0]), np.array([0]), np.ones(1), (2, 3))
    assert factor_lists(factors, met, 3).rows() == [(1, 1, "c", 2.0)]
    nobody = factors.of_members(np.array([7]))
    assert factor_lists(nobody, met[0:0], 3).is_empty()


def test_a_walk_of_nobody_or_nowhere_gives_no_rows():
    one = InteractionMatrix.from_pairs([1], ["a"], [1.0])
    walk = Walk.fit(one, WalkSettings())
    assert walk_lists(walk, one.weights, 3).is_empty()
    nobody = walk.of_members(np.array([7]))
    assert walk_lists(nobody, one.weights[0:0], 3).is_empty()


def test_a_list_that_names_a_product_twice_is_refused():
    with pytest.raises(ValueError, match="once"):
        fuse({"x": lists({1: ["a", "a"]}), "y": lists({1: ["b"]})}, {"x": 1, "y": 1}, 3)
