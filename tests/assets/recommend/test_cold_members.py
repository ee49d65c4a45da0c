"""Members of whom little is known: their segment's and their tags' favourites, for a while."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from assets.recommend.cold_members import (
    member_segments,
    popular_in_favourite_tags,
    popular_in_segments,
    segment_lists,
    tag_lists,
)

HISTORY: dict[str, Any] = {"member_id": pl.Int64, "product_id": pl.String, "weight": pl.Float64}
SEGMENTS: dict[str, Any] = {"member_id": pl.Int64, "segment": pl.String}
BARRED: dict[str, Any] = {"member_id": pl.Int64, "product_id": pl.String}
TAGS: dict[str, Any] = {"product_id": pl.String, "tag": pl.String, "score": pl.Float64}
MEMBER_TAGS: dict[str, Any] = {"member_id": pl.Int64, "tag": pl.String, "score": pl.Float64}
NOBODY = pl.DataFrame(schema=BARRED)


def frame(rows: Iterable[tuple[object, ...]], schema: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def listed(found: pl.DataFrame, of: str, name: object) -> str:
    return "".join(found.filter(pl.col(of).eq_missing(pl.lit(name)))["product_id"])


def products(letters: str) -> "np.ndarray[tuple[int], np.dtype[np.str_]]":
    return np.array(list(letters), dtype=np.str_)


def test_small_and_unknown_segments_fall_back() -> None:
    members = frame(
        [
            (1, "app", "CN"),
            (2, "app", "CN"),
            (3, "app", "FR"),
            (4, "app", None),
            (5, "site", "CN"),
            (6, None, "CN"),
        ],
        {"member_id": pl.Int64, "channel": pl.String, "country": pl.String},
    )
    found = member_segments(members, ("channel", "country"), min_members=2)
    assert found.rows() == [
        (1, "app / CN"),
        (2, "app / CN"),
        (3, "app"),
        (4, "app"),
        (5, None),
        (6, None),
    ]
    assert member_segments(members, (), 1)["segment"].null_count() == 6


def test_a_segment_is_shrunk_to_the_shop() -> None:
    # Shop: a 6, b 2, c 2 of 10, by 5 members of weight 2. Segment s: b 2, c 1 of 3.
    history = frame([(1, "b", 2), (2, "c", 1), (3, "a", 3), (4, "a", 3), (5, "c", 1)], HISTORY)
    segments = frame([(1, "s"), (2, "s"), (3, None), (4, None), (5, None)], SEGMENTS)
    found = segment_lists(history, segments, products("abc"), 3, prior_members=1)
    hers = found.filter(pl.col("segment") == "s")
    assert hers["product_id"].to_list() == ["b", "c", "a"]
    expected = [(2 + 2 * 0.2) / 5, (1 + 2 * 0.2) / 5, 2 * 0.6 / 5]
    np.testing.assert_allclose(hers["score"], expected)
    assert listed(found, "segment", None) == "abc"
    swamped = segment_lists(history, segments, products("abc"), 3, prior_members=1000)
    assert listed(swamped, "segment", "s") == "abc"


def test_only_what_may_be_listed_is_and_lists_end_in_what_nobody_has_touched() -> None:
    history = frame([(1, "z", 9), (1, "c", 1), (2, "d", 0), (2, "d", -1)], HISTORY)
    segments = frame([(1, "s"), (2, "s"), (3, "empty")], SEGMENTS)
    found = segment_lists(history, segments, products("acd"), 5)
    for segment in ("s", "empty", None):
        assert listed(found, "segment", segment) == "cad"
    assert (
        listed(segment_lists(history.clear(), segments, products("ab"), 5), "segment", "s") == "ab"
    )


@settings(max_examples=30)
@given(seed=st.integers(0, 200), n=st.integers(1, 8), prior=st.sampled_from([0.1, 2.0, 50.0]))
def test_segment_lists_are_those_of_the_full_matrix(seed: int, n: int, prior: float) -> None:
    rng = np.random.default_rng(seed)
    names = products("abcdefghij")
    history = pl.DataFrame(
        {
            "member_id": rng.integers(0, 12, 40),
            "product_id": names[rng.integers(0, 10, 40)],
            "weight": rng.integers(1, 9, 40) / 4,
        }
    )
    segments = pl.DataFrame(
        {"member_id": np.arange(12), "segment": [("s", "t", None)[i % 3] for i in range(12)]}
    )
    found = segment_lists(history, segments, names, n, prior)
    shuffled = segment_lists(
        history.sample(fraction=1, shuffle=True, seed=seed), segments.reverse(), names, n, prior
    )
    assert_frame_equal(found, shuffled, check_exact=True)

    weights = np.zeros((12, 10))
    np.add.at(
        weights,
        (history["member_id"].to_numpy(), np.searchsorted(names, history["product_id"].to_list())),
        history["weight"].to_numpy(),
    )
    share = weights.sum(axis=0) / weights.sum()
    unit = prior * weights.sum() / history["member_id"].n_unique()
    for place, segment in enumerate(("s", "t")):
        own = weights[place::3].sum(axis=0)
        score = (own + unit * share) / (own.sum() + unit)
        hers = found.filter(pl.col("segment") == segment)
        assert hers["rank"].to_list() == list(range(1, n + 1))
        np.testing.assert_allclose(hers["score"], -np.sort(-score)[:n])
        column = np.searchsorted(names, hers["product_id"].to_list())
        np.testing.assert_allclose(score[column], hers["score"])


def test_members_get_their_segments_list_without_what_they_are_barred_from() -> None:
    history = frame([(1, "a", 3), (1, "b", 2), (2, "c", 9)], HISTORY)
    segments = frame([(1, "s"), (3, "s"), (2, None)], SEGMENTS)
    lists = segment_lists(history, segments, products("abc"), 3, prior_members=0.1)
    found = popular_in_segments(segments, lists, frame([(1, "a"), (9, "b")], BARRED), 2)
    assert found.select("member_id", "rank", "product_id").rows() == [
        (1, 1, "b"),
        (1, 2, "c"),
        (2, 1, "c"),
        (2, 2, "a"),
        (3, 1, "a"),
        (3, 2, "b"),
    ]
    assert popular_in_segments(segments.clear(), lists, NOBODY, 2).is_empty()


def test_blocks_of_members_join_up() -> None:
    n_members = (1 << 16) + 5
    segments = pl.DataFrame(
        {"member_id": np.arange(n_members), "segment": ["s"] * n_members}, schema=SEGMENTS
    )
    history = frame([(0, "a", 2), (1, "b", 1)], HISTORY)
    lists = segment_lists(history, segments, products("ab"), 2)
    found = popular_in_segments(segments, lists, frame([(n_members - 1, "a")], BARRED), 1)
    assert found["member_id"].equals(segments["member_id"])
    assert found["product_id"].value_counts(sort=True).rows() == [("a", n_members - 1), ("b", 1)]


@settings(max_examples=40)
@given(seed=st.integers(0, 200))
def test_favourite_tags_are_ranked_as_by_the_full_matrix(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names, tags = products("abcdefghij"), np.array(["t", "u", "v", "w", "x"])
    carried = rng.random((10, 5)) < 0.4
    score = rng.random((10, 5))
    row, column = np.nonzero(carried)
    product_tags = pl.DataFrame(
        {"product_id": names[row], "tag": tags[column], "score": score[carried]}, schema=TAGS
    )
    row, column = np.nonzero(rng.random((6, 5)) < 0.6)
    member_tags = pl.DataFrame(
        {"member_id": row, "tag": tags[column], "score": rng.random(len(row))}, schema=MEMBER_TAGS
    )
    history = pl.DataFrame(
        {
            "member_id": rng.integers(0, 6, 30),
            "product_id": names[rng.integers(0, 9, 30)],
            "weight": rng.random(30),
        }
    )
    lists = tag_lists(history, product_tags, names, 10)
    found = popular_in_favourite_tags(member_tags, lists, NOBODY, 4)

    total = np.zeros(10)
    np.add.at(
        total,
        np.searchsorted(names, history["product_id"].to_numpy().astype(str)),
        history["weight"].to_numpy(),
    )
    within = np.where(carried, score, 0) * total[:, None]
    best = within.max(axis=0)
    within = np.divide(within, best, out=np.zeros_like(within), where=best > 0)
    expected: list[tuple[int, int, str]] = []
    for member in range(6):
        hers = member_tags.filter(
            (pl.col("member_id") == member) & pl.col("tag").is_in(lists["tag"])
        )
        favourites = hers.sort("score", "tag", descending=[True, False]).head(3)
        columns = np.searchsorted(tags, favourites["tag"].to_numpy().astype(str))
        speaks = within[:, columns] @ favourites["score"].to_numpy()
        order = sorted(np.flatnonzero(speaks > 0), key=lambda place: (-speaks[place], place))[:4]
        expected += [(member, rank, names[place]) for rank, place in enumerate(order, 1)]
    assert found.drop("score").rows() == expected


def test_a_small_tag_is_not_drowned_and_the_barred_stay_out() -> None:
    history = frame([(1, "a", 100), (1, "b", 50), (1, "c", 2), (1, "d", 1)], HISTORY)
    product_tags = frame(
        [("a", "large", 1), ("b", "large", 1), ("c", "small", 1), ("d", "small", 1)], TAGS
    )
    lists = tag_lists(history, product_tags, products("abd"), 9)
    assert lists.rows() == [
        ("large", 1, "a", 1.0),
        ("large", 2, "b", 0.5),
        ("small", 1, "d", 1.0),
    ]
    member_tags = frame([(7, "small", 0.9), (7, "large", 0.5), (8, "none", 1)], MEMBER_TAGS)
    found = popular_in_favourite_tags(member_tags, lists, frame([(7, "a")], BARRED), 3)
    assert found.drop("score").rows() == [(7, 1, "d"), (7, 2, "b")]
    np.testing.assert_allclose(found["score"], [0.9, 0.25])
    assert popular_in_favourite_tags(member_tags.clear(), lists, NOBODY, 3).is_empty()
    assert popular_in_favourite_tags(member_tags, lists.clear(), NOBODY, 3).is_empty()


def test_what_cannot_be_meant_is_refused() -> None:
    history, segments = pl.DataFrame(schema=HISTORY), pl.DataFrame(schema=SEGMENTS)
    with pytest.raises(ValueError, match="n must"):
        segment_lists(history, segments, products("a"), 0)
    with pytest.raises(ValueError, match="prior_members"):
        segment_lists(history, segments, products("a"), 1, 0)
