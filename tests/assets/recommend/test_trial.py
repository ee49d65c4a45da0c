"""Every source tried on what came later: who taught, who was measured, and what is cold."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.recommend.als import AlsSettings, fit
from assets.recommend.evaluation import COMPARED, evenly, plainest, qualities
from assets.recommend.random_walk import Walk, WalkSettings
from assets.recommend.trial import (
    Past,
    _is_hidden,  # pyright: ignore[reportPrivateUsage]
    halves,
    try_sources,
)

N_MEMBERS, N_PRODUCTS, N_TASTES = 240, 80, 4
N_NEW = 20
SETTINGS = AlsSettings(factors=4, alpha=20.0)
K = 5


@pytest.fixture(scope="module")
def past() -> Past:
    """Members like one of four kinds of product, each kind with a tag; the last 20 are new."""
    rng = np.random.default_rng(3)
    rows: list[tuple[int, str, float]] = []
    later: list[tuple[int, str]] = []
    for member in range(N_MEMBERS):
        liked = np.arange(N_PRODUCTS) % N_TASTES == member % N_TASTES
        met = np.argsort(rng.random(N_PRODUCTS) - 0.7 * liked, kind="stable")[:14]
        for place, product in enumerate(rng.permutation(met).tolist()):
            if place < 9 and member < N_MEMBERS - N_NEW:
                rows.append((member, f"p{product:02}", 1.0 + place % 3))
            else:
                later.append((member, f"p{product:02}"))
    pair = {"member_id": pl.Int64, "product_id": pl.String}
    return Past(
        members=pl.DataFrame(
            {"member_id": range(N_MEMBERS), "channel": "app", "country": "CN"},
            schema={"member_id": pl.Int64, "channel": pl.String, "country": pl.String},
        ),
        history=pl.DataFrame(
            rows, schema={**pair, "weight": pl.Float64}, orient="row"
        ).with_columns(
            n_order_days=pl.lit(0, dtype=pl.Int64),
            first_ordered_at=pl.lit(None, dtype=pl.Datetime("us")),
            last_ordered_at=pl.lit(None, dtype=pl.Datetime("us")),
        ),
        later=pl.DataFrame(later, schema=pair, orient="row"),
        products=pl.DataFrame(
            {"product_id": [f"p{product:02}" for product in range(N_PRODUCTS)]}
        ).with_columns(
            kind=pl.lit("product"),
            category=pl.lit(None, dtype=pl.String),
            stock=pl.lit(None, dtype=pl.Int64),
            is_hidden=pl.lit(value=False),
            repurchase_days=pl.lit(None, dtype=pl.Int32),
        ),
        product_tags=pl.DataFrame(
            {
                "product_id": [f"p{product:02}" for product in range(N_PRODUCTS)],
                "tag": [f"kind {product % N_TASTES}" for product in range(N_PRODUCTS)],
                "score": 1.0,
                "is_sensitive": False,
            }
        ),
        prior_weight=5.0,
        cut=datetime(2026, 6, 1),  # noqa: DTZ001 - stored timestamps are naive UTC
        repurchase_days=30,
        learns_repurchase=True,
        horizon_days=28,
    )


def tried(past: Past, *, with_champion: bool = False) -> pl.DataFrame:
    matrix = past.matrix()
    factors = fit(matrix, SETTINGS)
    champion = fit(matrix, replace(SETTINGS, iterations=1, seed=9)) if with_champion else None
    return try_sources(past, factors, Walk.fit(matrix, WalkSettings()), champion, K)


def values(trial: pl.DataFrame, metric: str) -> dict[tuple[str, str], tuple[float, float, int]]:
    """Value, baseline and members of each model and segment."""
    rows = trial.filter(metric=metric)
    columns = ("model", "segment", "value", "baseline", "n_members")
    return {(row[0], row[1]): row[2:] for row in rows.select(columns).iter_rows()}


def test_every_source_is_measured_on_the_same_members(past: Past):
    trial = tried(past, with_champion=True)
    ndcg = values(trial, "ndcg")
    sources = {"als", "similar", "content", "popular", "champion"}
    assert {model for model, segment in ndcg if segment == "all"} == sources
    n_known = N_MEMBERS - N_NEW
    _, measured = halves(past.truth())
    n_measured = measured["member_id"].n_unique()
    assert 0.4 * n_known < n_measured < 0.6 * n_known
    assert {ndcg[model, "all"][2] for model in sources} == {n_measured}
    assert len({ndcg[model, "all"][1] for model in sources}) == 1
    assert ndcg["als", "all"][0] > 1.5 * ndcg["als", "all"][1]
    assert trial.schema == COMPARED
    # Everybody has met nine products.
    assert {segment for _, segment in ndcg} == {"all", "light", "new_members", "new_products"}
    assert ndcg["als", "light"] == ndcg["als", "all"]


def test_new_members_are_measured_where_nobody_else_met_anything_new(past: Past):
    new = range(N_MEMBERS - N_NEW, N_MEMBERS)
    only_new = past.later.filter(pl.col("member_id").is_in(list(new)))
    found = tried(replace(past, later=only_new))
    assert set(values(found, "ndcg")) == {("popular", "new_members")}


def test_sensitive_tags_propose_nothing(past: Past):
    secret = past.product_tags.with_columns(is_sensitive=pl.col("tag") == "kind 0")
    found, open_to_all = tried(replace(past, product_tags=secret)), tried(past)
    of_content = values(found, "ndcg")["content", "all"][0]
    assert of_content < values(open_to_all, "ndcg")["content", "all"][0]


def test_cold_members_and_cold_products_stand_apart(past: Past):
    ndcg = values(tried(past), "ndcg")
    assert ndcg["popular", "new_members"][2] == N_NEW
    of_new_products, by_tags, _ = ndcg["content", "new_products"]
    assert of_new_products > 1.5 * by_tags > 0


def test_a_new_product_is_ranked_without_having_been_met(past: Past):
    """How strongly members are tied to the hidden products changes nothing."""
    is_hidden = pl.Series([_is_hidden(name) for name in past.history["product_id"]])
    assert 0 < is_hidden.sum() < len(is_hidden) / 2
    stronger = past.history.with_columns(
        weight=pl.when(is_hidden).then(50.0).otherwise(pl.col("weight"))
    )
    found, other = tried(past), tried(replace(past, history=stronger))
    for metric in ("recall", "ndcg"):
        new = values(found, metric)["content", "new_products"]
        assert values(other, metric)["content", "new_products"] == new
    assert values(found, "ndcg")["als", "all"] != values(other, "ndcg")["als", "all"]


def only_first(past: Past, some: pl.DataFrame) -> Past:
    """The same, but some members came to only the first of their products."""
    first = some.unique("member_id", keep="first", maintain_order=True)
    others = past.later.join(first, on="member_id", how="anti")
    return replace(past, later=pl.concat([others, first.select(others.columns)]))


def truths(members: set[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {"member_id": sorted(members), "product_id": "a"},
        schema={"member_id": pl.Int64, "product_id": pl.String},
    )


@given(st.sets(st.integers(0, 2**62), min_size=1, max_size=60), st.data())
def test_a_member_keeps_her_half_whoever_else_comes(members: set[int], data: st.DataObject):
    fewer = data.draw(st.sets(st.sampled_from(sorted(members)), min_size=1))
    for part, of_fewer in zip(halves(truths(members)), halves(truths(fewer)), strict=True):
        assert set(of_fewer["member_id"]) == set(part["member_id"]) & fewer


def test_half_of_the_members_teach():
    teaching, measured = halves(truths(set(range(10_000))))
    assert abs(len(teaching) - len(measured)) < 400


def test_those_who_teach_are_not_measured(past: Past):
    teaching, measured = halves(past.truth())
    assert not set(teaching["member_id"]) & set(measured["member_id"])
    assert len(teaching) + len(measured) == len(past.truth())
    found, other = (values(tried(each), "ndcg") for each in (past, only_first(past, teaching)))
    for model in ("als", "similar", "content", "popular"):
        assert other[model, "all"] == found[model, "all"]


def test_the_order_of_rows_leaves_no_trace(past: Past):
    shuffled = replace(
        past,
        members=past.members.sample(fraction=1, shuffle=True, seed=1),
        history=past.history.sample(fraction=1, shuffle=True, seed=2),
        later=past.later.sample(fraction=1, shuffle=True, seed=3),
        product_tags=past.product_tags.sample(fraction=1, shuffle=True, seed=4),
    )
    found, again = tried(past), tried(shuffled)
    assert again.equals(found)


def test_where_nothing_came_nothing_is_said(past: Past):
    found = tried(replace(past, later=past.later.clear()))
    assert found.is_empty()
    empty = replace(past, history=past.history.clear(), later=past.later.clear())
    assert tried(empty).is_empty()


def test_without_tags_the_rest_is_still_measured(past: Past):
    ndcg = values(tried(replace(past, product_tags=past.product_tags.clear())), "ndcg")
    assert ("content", "new_products") not in ndcg
    assert ndcg["als", "all"][0] > ndcg["als", "all"][1]


def test_some_members_stand_for_all_of_a_large_shop():
    truth = pl.DataFrame({"member_id": [m for m in range(100) for _ in range(2)], "x": range(200)})
    found = evenly(truth, 10)["member_id"].unique().sort().to_list()
    assert found == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]
    assert evenly(truth, 100).equals(truth)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.integers(0, 10_000))
def test_the_plain_wins_unless_the_other_is_better_beyond_chance(plain: list[float], seed: int):
    """By hand: mean gain against its standard error."""
    base = np.array(plain)
    other = base + np.random.default_rng(seed).normal(0.02, 0.1, len(base))
    gain = other - base
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    found = plainest(("plain", "other"), {"plain": base, "other": other}.__getitem__)
    assert found == ("other" if gain.mean() > 2 * error and gain.mean() > 0 else "plain")


def test_one_member_proves_nothing():
    quality = {"plain": np.array([0.0]), "other": np.array([1.0])}
    assert plainest(("plain", "other"), quality.__getitem__) == "plain"


def test_qualities_by_hand():
    """Member 1 has her one product second, member 2 nothing."""
    ranked = pl.DataFrame(
        {"member_id": [1, 1], "rank": [1, 2], "product_id": ["a", "b"]},
        schema={"member_id": pl.Int64, "rank": pl.Int32, "product_id": pl.String},
    )
    truth = pl.DataFrame({"member_id": [2, 1], "product_id": ["a", "b"]})
    assert qualities(ranked, truth, 2).tolist() == pytest.approx([(1 + 1 / np.log2(3)) / 2, 0])
