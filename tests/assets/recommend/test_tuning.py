"""Climbing by hand, and the search on a small world: same trials, cut by the clock alone."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.recommend import tuning
from assets.recommend.als import AlsSettings, fit
from assets.recommend.evaluation import evaluate
from assets.recommend.matrix import InteractionMatrix
from assets.recommend.random_walk import Walk, WalkSettings
from assets.recommend.tuning import (
    DEPTH,
    Tuned,
    Weights,
    best_weights,
    climb,
    tune,
    unseen_lists,
)

START = AlsSettings(factors=4, regularization=0.5, alpha=0.5, iterations=4)
WALK = WalkSettings(alpha=1.0, beta=0.0, neighbours=20)


class Ticks:
    """A clock that goes on by one second whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def taste_world(seed: int = 0) -> tuple[InteractionMatrix, pl.DataFrame]:
    """120 members of four tastes, 60 products; a fifth of what they met comes later."""
    rng = np.random.default_rng(seed)
    same = np.arange(120)[:, None] % 4 == np.arange(60)[None, :] % 4
    row, column = np.nonzero(rng.random((120, 60)) < np.where(same, 0.5, 0.04))
    is_later = rng.random(len(row)) < 0.2
    names = np.array([f"p{place:02d}" for place in range(60)])
    before = InteractionMatrix.from_pairs(
        row[~is_later], names[column[~is_later]], np.ones(int((~is_later).sum()))
    )
    truth = pl.DataFrame(
        {"member_id": row[is_later], "product_id": names[column[is_later]]},
        schema={"member_id": pl.Int64, "product_id": pl.String},
    )
    return before, truth


@pytest.fixture(scope="module")
def world() -> tuple[InteractionMatrix, pl.DataFrame]:
    return taste_world()


@pytest.fixture(scope="module")
def tuned(world: tuple[InteractionMatrix, pl.DataFrame]) -> Tuned:
    return tune(*world, START, WALK, 5, np.inf, Ticks(), largest_factors=8)


@given(st.integers(-30, 30), st.integers(-30, 30))
def test_a_climb_ends_at_the_top_and_tries_nothing_twice(start: int, top: int):
    tried: list[int] = []

    def quality(place: int) -> float:
        tried.append(place)
        return -abs(place - top)

    moves: list[Callable[[int], int]] = [
        lambda place: place + 1,
        lambda place: place - 1,
        lambda place: place,
    ]
    assert climb(start, moves, quality, lambda: True) == top
    assert len(tried) == len(set(tried))
    assert tried[0] == start


@pytest.mark.parametrize("n_trials", [1, 2, 5])
def test_a_closed_box_cuts_the_climb(n_trials: int):
    tried: list[int] = []

    def quality(place: int) -> float:
        tried.append(place)
        return float(place)

    found = climb(0, [lambda place: place + 1], quality, lambda: len(tried) < n_trials)
    assert tried == list(range(n_trials))
    assert found == n_trials - 1


def test_equal_quality_does_not_move():
    assert climb(0, [lambda place: place + 1], lambda _: 1.0, lambda: True) == 0


def test_the_search_finds_better_settings_than_it_began_with(
    world: tuple[InteractionMatrix, pl.DataFrame], tuned: Tuned
):
    matrix, truth = world
    members = truth["member_id"].to_numpy()

    def quality(model: Callable[[], pl.DataFrame]) -> float:
        found = evaluate(model(), truth, 5, len(matrix.product_ids))
        return (found.recall + found.ndcg) / 2

    def als(settings: AlsSettings) -> pl.DataFrame:
        return unseen_lists(fit(matrix, settings).of_members(members), matrix, 5)

    def walk(settings: WalkSettings) -> pl.DataFrame:
        return unseen_lists(Walk.fit(matrix, settings).of_members(members), matrix, 5)

    assert tuned.als != START
    assert quality(lambda: als(tuned.als)) > quality(lambda: als(START))
    assert quality(lambda: walk(tuned.walk)) >= quality(lambda: walk(WALK))
    assert tuned.als.factors <= 8
    assert (tuned.als.iterations, tuned.als.seed) == (START.iterations, START.seed)
    assert tuned.walk.history_cap == WALK.history_cap


def test_each_model_is_the_best_of_its_trials(tuned: Tuned):
    trials = tuned.trials.with_columns(quality=(pl.col("recall") + pl.col("ndcg")) / 2)
    assert not trials.select("model", "settings").is_duplicated().any()
    best = trials.group_by("model").agg(pl.col("settings").sort_by("quality").last())
    said = dict(best.rows())
    assert f"regularization={tuned.als.regularization:g}" in said["als"]
    assert f"alpha={tuned.walk.alpha:g}, beta={tuned.walk.beta:g}" in said["similar"]


def test_the_box_only_cuts_the_trials(world: tuple[InteractionMatrix, pl.DataFrame], tuned: Tuned):
    """What is tried in little time is the beginning of what is tried in much."""
    shown = ["settings", "recall", "ndcg"]
    lengths: dict[str, set[int]] = {"similar": set(), "als_scan": set()}
    for seconds in range(0, 160, 16):
        found = tune(*world, START, WALK, 5, seconds, Ticks(), largest_factors=8).trials
        assert set(found["model"]) == {"similar", "als_scan", "als"}
        for model, seen in lengths.items():
            cut = found.filter(model=model).select(shown)
            assert cut.equals(tuned.trials.filter(model=model).select(shown).head(len(cut)))
            seen.add(len(cut))
    assert all(len(seen) >= 3 for seen in lengths.values())


def test_no_time_at_all_tries_the_start_of_each(world: tuple[InteractionMatrix, pl.DataFrame]):
    found = tune(*world, START, WALK, 5, 0, Ticks())
    assert (found.als, found.walk) == (START, WALK)
    assert found.trials["model"].to_list() == ["similar", "als_scan", "als"]


def test_the_same_search_twice_is_the_same(
    world: tuple[InteractionMatrix, pl.DataFrame], tuned: Tuned
):
    again = tune(*world, START, WALK, 5, np.inf, Ticks(), largest_factors=8)
    assert (again.als, again.walk, again.weights) == (tuned.als, tuned.walk, tuned.weights)
    assert again.trials.equals(tuned.trials)


def test_a_large_truth_is_tried_on_some_of_its_members(
    world: tuple[InteractionMatrix, pl.DataFrame], monkeypatch: pytest.MonkeyPatch
):
    matrix, truth = world
    monkeypatch.setattr(tuning, "_MEMBERS_TRIED", 10)
    members = truth["member_id"].unique().sort()
    some = members.gather([round(i * (len(members) - 1) / 9 - 0.499) for i in range(10)])
    part = truth.filter(pl.col("member_id").is_in(some.implode()))
    found = tune(matrix, truth, START, WALK, 5, 0, Ticks()).trials
    assert found.equals(tune(matrix, part, START, WALK, 5, 0, Ticks()).trials)


def test_there_must_be_a_truth(world: tuple[InteractionMatrix, pl.DataFrame]):
    matrix, truth = world
    with pytest.raises(ValueError, match="no truth"):
        tune(matrix, truth.clear(), START, WALK, 5, 0, Ticks())


def test_a_power_is_searched_where_ties_differ_in_strength(
    world: tuple[InteractionMatrix, pl.DataFrame],
):
    matrix, truth = world
    strong = matrix.weights.copy()
    strong.data = np.linspace(1, 9, strong.nnz, dtype=np.float32)
    other = InteractionMatrix(matrix.member_ids, matrix.product_ids, strong)
    for each, is_searched in ((matrix, False), (other, True)):
        trials = tune(each, truth, START, WALK, 5, np.inf, Ticks()).trials
        powers = trials.filter(model="als_scan")["settings"].str.extract(r"weight_power=([\d.]+)")
        assert (powers.n_unique() > 1) is is_searched


def blended(als: str, similar: str, n_members: int) -> dict[str, pl.DataFrame]:
    """The same two lists for every member, a letter for each product."""
    members = pl.DataFrame({"member_id": range(n_members)}, schema={"member_id": pl.Int64})
    return {
        name: members.join(
            pl.DataFrame({"rank": range(1, len(letters) + 1), "product_id": list(letters)}),
            how="cross",
        )
        for name, letters in (("als", als), ("similar", similar))
    }


def foreseen(letters: str) -> pl.DataFrame:
    """The truth: every member came to each of these products."""
    return pl.DataFrame(
        [(member, product) for member in range(50) for product in letters],
        schema={"member_id": pl.Int64, "product_id": pl.String},
        orient="row",
    )


def test_lists_are_weighed_by_what_they_foresaw():
    lists = blended("abcd", "xyzw", 50)
    assert best_weights(lists, foreseen("ab"), 2) == Weights(1, 0)
    found = best_weights(lists, foreseen("xy"), 2)
    assert found.similar > found.als


def test_lists_that_complete_each_other_are_mixed():
    lists = blended("abcd", "xyzw", 50)
    found = best_weights(lists, foreseen("ax"), 2)
    assert found.als > 0 < found.similar


def test_what_is_as_good_by_luck_leaves_als_alone():
    """One member of fifty is served better by the walk, one worse."""
    lists = blended("ab", "xy", 50)
    rows = [(member, "a" if member else "x") for member in range(2)]
    rows += [(member, "q") for member in range(2, 50)]
    truth = pl.DataFrame(
        rows, schema={"member_id": pl.Int64, "product_id": pl.String}, orient="row"
    )
    assert best_weights(lists, truth, 1) == Weights(1, 0)


def test_lists_hold_nothing_that_was_met(world: tuple[InteractionMatrix, pl.DataFrame]):
    matrix, _ = world
    met = {
        (int(matrix.member_ids[row]), str(matrix.product_ids[column]))
        for row in range(len(matrix.member_ids))
        for column in matrix.weights[row : row + 1].indices
    }
    for model in (fit(matrix, START), Walk.fit(matrix, WALK)):
        listed = unseen_lists(model, matrix, DEPTH * 5)
        assert len(listed) > 0
        assert met.isdisjoint(listed.select("member_id", "product_id").iter_rows())
