"""The lists as served, measured on the past: what is measured is served, and nothing worse."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from assets.recommend.als import AlsSettings, fit
from assets.recommend.evaluation import both_ways, concentration, falls_short
from assets.recommend.lists import Models, Rules, recommend_lists
from assets.recommend.mix import Mix
from assets.recommend.random_walk import Walk, WalkSettings
from assets.recommend.serving import Served, try_served
from assets.recommend.trial import Past, halves

CUT = datetime(2026, 6, 1)  # noqa: DTZ001 - stored timestamps are naive UTC
N_MEMBERS, N_PRODUCTS = 300, 60
RULES = Rules(5, 3, 0.1, 0.05)
PAIR = {"member_id": pl.Int64, "product_id": pl.String}
Buys = Callable[[np.random.Generator, int], tuple[list[int], list[int]]]


def past_of(buys: Buys, *, order_days: int = 1, n_members: int = N_MEMBERS) -> Past:
    """Members buy some products before the cut, each on so many dates, and some after."""
    rng = np.random.default_rng(5)
    before: list[tuple[int, str, int]] = []
    after: list[tuple[int, str]] = []
    for member in range(n_members):
        first, then = buys(rng, member)
        before += [(member, f"p{product:02}", order_days) for product in first]
        after += [(member, f"p{product:02}") for product in then]
    names = [f"p{product:02}" for product in range(N_PRODUCTS)]
    return Past(
        members=pl.DataFrame(
            {"member_id": range(n_members), "channel": "app", "country": "CN"},
            schema={"member_id": pl.Int64, "channel": pl.String, "country": pl.String},
        ),
        history=pl.DataFrame(
            before, schema={**PAIR, "n_order_days": pl.Int64}, orient="row"
        ).with_columns(
            pl.col("n_order_days").alias("n_orders"),
            *(pl.lit(0).alias(deed) for deed in ("n_views", "n_carts", "n_shares")),
            weight=pl.lit(5.0),
            first_ordered_at=pl.lit(CUT) - timedelta(days=40 + 10 * order_days),
            last_ordered_at=pl.lit(CUT) - timedelta(days=10),
            last_at=pl.lit(CUT) - timedelta(days=10),
        ),
        later=pl.DataFrame(after, schema=PAIR, orient="row"),
        products=pl.DataFrame(
            {
                "product_id": names,
                "kind": "product",
                "title": names,
                "category": [f"c{place % 3}" for place in range(N_PRODUCTS)],
                "stock": None,
                "is_hidden": False,
                "is_sensitive": False,
                "repurchase_days": None,
            },
            schema_overrides={"stock": pl.Int64, "repurchase_days": pl.Int32},
        ),
        product_tags=pl.DataFrame(
            schema={
                "product_id": pl.String,
                "tag": pl.String,
                "score": pl.Float64,
                "is_sensitive": pl.Boolean,
            }
        ),
        prior_weight=5.0,
        cut=CUT,
        repurchase_days=30,
        learns_repurchase=True,
        horizon_days=28,
    )


def fashion(rng: np.random.Generator, member: int) -> tuple[list[int], list[int]]:
    """What all buy now and nobody twice, whatever a member bought before."""
    popular = 1 / np.arange(1, N_PRODUCTS + 1)
    drawn = rng.choice(N_PRODUCTS, 7, replace=False, p=popular / popular.sum()).tolist()
    return drawn[:4], drawn[4:]


def taste(rng: np.random.Generator, member: int) -> tuple[list[int], list[int]]:
    """Each of four kinds of members keeps to a quarter of the products."""
    own = rng.permutation(np.arange(N_PRODUCTS)[np.arange(N_PRODUCTS) % 4 == member % 4]).tolist()
    return own[:8], own[8:12]


def grocer(rng: np.random.Generator, member: int) -> tuple[list[int], list[int]]:
    """Everybody buys what they always buy, and it is another thing for each."""
    own = rng.choice(N_PRODUCTS, 4, replace=False).tolist()
    return own, [*own[:3], int(rng.integers(N_PRODUCTS))]


def models_of(past: Past) -> Models:
    matrix = past.matrix()
    factors = fit(matrix, AlsSettings(factors=4, alpha=20.0))
    return Models(factors, Walk.fit(matrix, WalkSettings()))


def tried(past: Past, models: Models, **given: frozenset[str]) -> Served:
    kept = given.get("kept", frozenset[str]())
    return try_served(past, models, RULES, kept, None)


def row(found: Served, metric: str, segment: str = "all") -> tuple[float, float]:
    ((value, base),) = (
        found.metrics.filter(metric=metric, segment=segment).select("value", "baseline").rows()
    )
    return value, base


@pytest.mark.parametrize(("buys", "days"), [(fashion, 1), (taste, 1), (grocer, 4)])
def test_what_is_measured_is_what_is_served(buys: Buys, days: int):
    """The lists of today's function, made for the cut and held against what came, by hand."""
    past = past_of(buys, order_days=days)
    models = models_of(past)
    found = tried(past, models)
    everybody = past.members["member_id"]
    served = recommend_lists(past.shop(everybody), models, found.mix, found.rules)
    known = past.whole_truth().join(past.met(), on="member_id", how="semi")
    _, measured = halves(known)
    had = past.history.select("member_id", "product_id")
    lists = served.join(measured, on="member_id", how="semi")
    for name, values in both_ways(lists, measured, had, RULES.length).items():
        assert row(found, name)[0] == pytest.approx(np.nanmean(values)), name
    on_offer = len(past.products)
    for name, value in concentration(lists, RULES.length, on_offer).items():
        assert row(found, name)[0] == pytest.approx(value), name


def test_where_popularity_is_best_it_is_served_alone():
    found = tried(past := past_of(fashion), models := models_of(past))
    assert (found.mix.als, found.mix.similar, found.mix.repeat) == (0, 0, 0)
    for name in ("recall", "ndcg", "recall_new", "ndcg_new"):
        value, base = row(found, name)
        assert value > 0.97 * base
    lists = recommend_lists(past.shop(past.members["member_id"]), models, Mix(), found.rules)
    assert set(lists["source"]) == {"popular"}


def test_popularity_looks_back_as_far_as_it_foresees():
    """Long ago all bought p10 to p19, of late some buy p00 to p03, and so will the others."""

    def turning(rng: np.random.Generator, member: int) -> tuple[list[int], list[int]]:
        now = member % 4
        then = rng.choice(range(10, 20), 2, replace=False).tolist()
        return [now, *then], [each for each in range(4) if each != now]

    past = past_of(turning)
    is_old = pl.col("product_id") >= "p10"
    history = past.history.with_columns(
        weight=pl.when(is_old).then(5.0).otherwise(1.0),
        last_at=pl.when(is_old).then(pl.lit(CUT) - timedelta(days=60)).otherwise("last_at"),
    )
    found = tried(replace(past, history=history), models_of(past))
    assert found.mix.recent_days == 30
    assert row(found, "recall") == (1, 1)


def test_taste_is_served_where_it_foresees_more():
    found = tried(past := past_of(taste), models_of(past))
    assert found.mix.als + found.mix.similar > 0
    assert not found.fell_back
    value, base = row(found, "ndcg")
    assert value > 1.5 * base
    gini, of_popularity = row(found, "gini")
    assert gini < of_popularity


def test_what_is_bought_again_is_served_where_it_is():
    found = tried(past := past_of(grocer, order_days=4), models := models_of(past))
    assert found.mix.repeat > 0
    value, base = row(found, "recall")
    assert value > 1.5 * base
    shop = past.shop(past.members["member_id"])
    lists = recommend_lists(shop, models, found.mix, found.rules)
    again = lists.filter(source="repeat")
    assert len(again) >= found.mix.repeat * N_MEMBERS
    assert again["reason"][0].endswith("last 10 days ago, and may want it again")
    once = past_of(grocer, order_days=1)
    assert tried(once, models_of(once)).mix.repeat == 0, "no shop is taken for a grocer's"


def test_without_als_nothing_of_it_is_served():
    past = past_of(taste)
    found = tried(past, Models(None, models_of(past).walk))
    assert found.mix.als == 0
    assert found.mix.similar > 0, "the walk was measured, and is good"


def test_the_rules_yield_where_they_cost_unless_the_shop_asks_for_them():
    """All that anybody buys is of one category, of which three may be in a list."""

    def one_category(rng: np.random.Generator, member: int) -> tuple[list[int], list[int]]:
        own = rng.permutation(np.arange(0, 18, 3)).tolist()
        return own[:1], own[1:]

    past = past_of(one_category)
    models = models_of(past)
    found = tried(past, models)
    assert found.rules == Rules(5, 5, 0.0, 0.0)
    kept = tried(past, models, kept=frozenset({"per_category"}))
    assert kept.rules.per_category == 3
    assert row(kept, "recall")[0] < row(found, "recall")[0]


def test_lists_that_turn_out_worse_give_way_to_popularity():
    """Those who choose are of four tastes, those who measure buy what is popular."""
    past = past_of(taste)
    choosing, measured = halves(past.whole_truth())
    popular = pl.DataFrame({"product_id": ["p00", "p01", "p02", "p03"]})
    others = measured.select("member_id").unique().join(popular, how="cross")
    turned = replace(
        past,
        later=pl.concat([choosing, others.select(choosing.columns)]),
        history=past.history.with_columns(
            weight=pl.when(pl.col("product_id") < "p04").then(90.0).otherwise("weight")
        ),
    )
    found = tried(turned, models_of(past))
    assert found.fell_back
    assert found.mix == Mix()
    assert "worse than popularity in" in found.reason
    assert row(found, "recall") == row(found, "recall")[::-1]


def test_of_few_members_the_count_decides():
    past = past_of(grocer, order_days=4, n_members=30)
    found = tried(past, models_of(past))
    assert found.mix.als == found.mix.similar == 0
    assert found.mix.repeat > 0
    assert "too few" in found.reason


def test_what_nobody_came_to_keeps_the_mix_of_before():
    past = past_of(taste)
    nothing = replace(past, later=past.later.clear())
    before = Mix(als=1.0, similar=2.0)
    found = try_served(nothing, models_of(past), RULES, frozenset(), before)
    assert found.mix == before
    assert found.metrics.is_empty()
    assert "as chosen before" in found.reason


def test_the_measured_have_no_say():
    past = past_of(taste)
    _, measured = halves(past.whole_truth())
    first = measured.unique("member_id", keep="first", maintain_order=True)
    others = past.later.join(first, on="member_id", how="anti")
    fewer = replace(past, later=pl.concat([others, first.select(others.columns)]))
    models = models_of(past)
    assert tried(fewer, models).mix == tried(past, models).mix


def test_concentration_by_hand():
    """Three lists of two: a has three of six places, b two, c one, d none."""
    lists = pl.DataFrame(
        {
            "member_id": [1, 1, 2, 2, 3, 3],
            "rank": [1, 2, 1, 2, 1, 2],
            "product_id": ["a", "b", "a", "c", "b", "a"],
        }
    )
    found = concentration(lists, 2, 4)
    # Sorted 0, 1, 2, 3: sum of (2 i - 5) x = -1 + 2 + 9 = 10, over 4 * 6.
    assert found == {
        "gini": pytest.approx(10 / 24),
        "first_ten_share": 1.0,
        "first_product_share": pytest.approx(2 / 3),
    }
    assert concentration(lists, 1, 1)["gini"] == pytest.approx(1 / 6)


def test_worse_is_what_lies_beyond_the_error():
    base = np.array([2.0, 2.2, 1.8, 2.1, np.nan])
    gain = np.array([-1.0, -1.2, -0.8, -1.1, np.nan])
    assert falls_short(base + gain, base, 2)
    assert not falls_short(base - gain, base, 2)
    assert not falls_short(base + np.array([-1.0, 1.0, -1.0, 0.9, np.nan]), base, 2)
    assert not falls_short(np.array([0.0]), np.array([1.0]), 2), "one member proves nothing"
    # A twentieth less for each is a loss beyond its own spread, and within that of the figure.
    assert falls_short(0.95 * base, base, 2)
    assert not falls_short(0.95 * base, base, 2, paired=False)
