"""The lists: the shop's rules, full lists for everybody, reasons that hold."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.recommend.als import AlsSettings, Factors, fit
from assets.recommend.lists import Models, Rules, Shop, recommend_lists
from assets.recommend.matrix import InteractionMatrix
from assets.recommend.mix import Mix
from assets.recommend.random_walk import Walk, WalkSettings

AS_OF = datetime(2026, 6, 1)  # noqa: DTZ001 - stored timestamps are naive UTC
SETTINGS = AlsSettings(factors=4, iterations=10)
HISTORY = {
    "member_id": pl.Int64,
    "product_id": pl.String,
    "weight": pl.Float64,
    "n_views": pl.Int64,
    "n_carts": pl.Int64,
    "n_orders": pl.Int64,
    "n_shares": pl.Int64,
    "n_order_days": pl.Int64,
    "first_ordered_at": pl.Datetime("us"),
    "last_ordered_at": pl.Datetime("us"),
}
PRODUCTS = {
    "product_id": pl.String,
    "kind": pl.String,
    "title": pl.String,
    "category": pl.String,
    "stock": pl.Int64,
    "is_hidden": pl.Boolean,
    "is_sensitive": pl.Boolean,
    "repurchase_days": pl.Int32,
}
PRODUCT_TAGS = {"product_id": pl.String, "tag": pl.String, "score": pl.Float64}
EVERYTHING = Mix(als=1.0, similar=1.0, half=0.1, content=2.0, repeat=2, by_segment=True)
MEMBER_TAGS = {"member_id": pl.Int64, "tag": pl.String, "score": pl.Float64}


def tie(member: int, product: str, weight: float = 1.0, **deeds: Any) -> dict[str, Any]:
    """A row of history; `ordered_days_ago` makes it an order, of several dates with `times`."""
    days = deeds.pop("ordered_days_ago", None)
    times = deeds.pop("times", 1)
    return {
        "member_id": member,
        "product_id": product,
        "weight": weight,
        "n_views": 1,
        "n_carts": 0,
        "n_shares": 0,
        "n_orders": 0 if days is None else times,
        "n_order_days": 0 if days is None else times,
        "first_ordered_at": None
        if days is None
        else AS_OF - timedelta(days=days + 7 * (times - 1)),
        "last_ordered_at": None if days is None else AS_OF - timedelta(days=days),
        **deeds,
    }


def item(product: str, **given_values: Any) -> dict[str, Any]:
    return {
        "product_id": product,
        "kind": "product",
        "title": f"Title of {product}",
        "category": None,
        "stock": None,
        "is_hidden": False,
        "is_sensitive": False,
        "repurchase_days": None,
        **given_values,
    }


def lists(
    members: list[int],
    history: list[dict[str, Any]],
    products: list[dict[str, Any]],
    product_tags: list[tuple[str, str, float]] = [],  # noqa: B006 - never changed
    member_tags: list[tuple[int, str, float]] = [],  # noqa: B006 - never changed
    n: int = 3,
    factors: Factors | None = None,
    mix: Mix = EVERYTHING,
    **given_rules: float,
) -> pl.DataFrame:
    frame = pl.DataFrame(history, schema=HISTORY)
    matrix = InteractionMatrix.from_pairs(frame["member_id"], frame["product_id"], frame["weight"])
    shop = Shop(
        members=pl.DataFrame(
            {"member_id": members, "channel": "app", "country": "CN"},
            schema={"member_id": pl.Int64, "channel": pl.String, "country": pl.String},
        ),
        history=frame,
        products=pl.DataFrame(products, schema=PRODUCTS),
        product_tags=pl.DataFrame(product_tags, schema=PRODUCT_TAGS, orient="row"),
        member_tags=pl.DataFrame(member_tags, schema=MEMBER_TAGS, orient="row"),
        as_of=AS_OF,
        repurchase_days=None,
        learns_repurchase=True,
        horizon_days=28,
    )
    models = Models(factors or fit(matrix, SETTINGS), Walk.fit(matrix, WalkSettings()))
    rules: dict[str, Any] = {
        **{"per_category": 3, "diversity": 0.0, "new_share": 0.05},
        **given_rules,
    }
    return recommend_lists(shop, models, mix, Rules(length=n, **rules))


def two_tastes(n_members: int = 20) -> list[dict[str, Any]]:
    """Even members tie to a, b, c and d, odd ones to w, x, y and z, each without one of them."""
    return [
        tie(member, product)
        for member in range(n_members)
        for place, product in enumerate("abcd" if member % 2 == 0 else "wxyz")
        if place != member // 2 % 4
    ]


CATALOGUE = [item(product) for product in "abcdwxyz"]


def test_taste_comes_from_behaviour_and_the_reason_names_a_product_of_her_own():
    found = lists([0, 1], two_tastes(), CATALOGUE, n=4)
    assert found.columns == ["member_id", "rank", "product_id", "score", "source", "reason"]
    even, odd = found.filter(member_id=0), found.filter(member_id=1)
    assert set(even["product_id"]) == set("abcd")
    assert set(odd["product_id"]) == set("wxyz")
    assert set(found["source"]) == {"als", "similar"}
    reasons = dict(even.select("product_id", "reason").iter_rows())
    assert reasons["b"] == "you viewed it and have not ordered it yet"
    assert reasons["a"] in {f"because you viewed Title of {product}" for product in "bcd"}


@pytest.mark.parametrize(
    ("deeds", "about_it", "because_of_it"),
    [
        ({}, "you viewed it and have not ordered it yet", "because you viewed Title of b"),
        (
            {"n_shares": 2},
            "you shared it and have not ordered it yet",
            "because you shared Title of b",
        ),
        (
            {"n_shares": 1, "n_carts": 1},
            "you put it in your cart and have not ordered it yet",
            "because you put Title of b in your cart",
        ),
        (
            {"n_carts": 1, "ordered_days_ago": 40},
            "you ordered it 40 days ago and may want it again",
            "because you ordered Title of b",
        ),
    ],
)
def test_the_reason_tells_what_she_did(deeds: dict[str, Any], about_it: str, because_of_it: str):
    history = [
        *(row for row in two_tastes() if row["member_id"] != 0),
        tie(0, "b", weight=50.0, **deeds),
    ]
    products = [item(product, repurchase_days=30) for product in "abcd"]
    reasons = dict(lists([0], history, products, n=4).select("product_id", "reason").iter_rows())
    assert reasons["b"] == about_it
    assert reasons["a"] == reasons["c"] == because_of_it


def test_a_product_without_a_title_is_named_by_its_id():
    history = [*(row for row in two_tastes() if row["member_id"] != 0), tie(0, "b", weight=50.0)]
    products = [item(product, title=None) for product in "acd"]  # b has left the catalogue
    found = lists([0], history, products)
    assert found["reason"].to_list() == ["because you viewed b"] * 3


@pytest.mark.parametrize(
    ("is_sensitive", "reason"),
    [(False, "because you viewed Title of b"), (True, "members with your taste like it")],
)
def test_a_sensitive_product_is_named_in_no_reason(is_sensitive, reason):
    history = [*(row for row in two_tastes() if row["member_id"] != 0), tie(0, "b", weight=50.0)]
    found = lists(
        [0], history, [*map(item, "acd"), item("b", is_hidden=True, is_sensitive=is_sensitive)]
    )
    assert found["reason"].to_list() == [reason] * 3


def test_a_member_without_history_gets_her_tags_then_what_is_popular():
    found = lists(
        [500, 501],
        two_tastes(),
        [*CATALOGUE, item("new")],
        [("z", "连衣裙", 1.0), ("a", "shoes", 1.0)],
        [(500, "连衣裙", 0.7)],
    )
    first, second = found.filter(member_id=500), found.filter(member_id=501)
    assert first["rank"].to_list() == second["rank"].to_list() == [1, 2, 3]
    assert first["product_id"][0] == "z"
    assert first["source"].to_list() == ["content", "popular", "popular"]
    assert first["reason"][0] == "popular in 连衣裙"
    assert second["source"].unique().to_list() == ["popular"]
    assert second["reason"].unique().to_list() == ["popular with members like you"]


def test_the_reason_names_the_tag_that_counted_most():
    found = lists(
        [500],
        two_tastes(),
        CATALOGUE,
        [("a", "red", 0.2), ("a", "shoes", 1.0)],
        [(500, "red", 0.6), (500, "shoes", 0.4)],
    )
    assert found.row(0, named=True)["reason"] == "popular in shoes"


def test_no_category_fills_a_list_while_others_are_left():
    products = [item(name, category="hers" if name in "abcd" else name) for name in "abcdwxyz"]
    found = lists([0], two_tastes(), products, n=5, per_category=2)
    hers = [name for name in found["product_id"] if name in "abcd"]
    assert len(found) == 5
    assert len(hers) == 2
    everything = lists([0], two_tastes(), products[:4], n=4, per_category=2)
    assert set(everything["product_id"]) == set("abcd")


def test_a_new_product_has_a_place_where_its_tags_are_liked():
    tags = [(name, "t" if name in "abcd" else "u", 1.0) for name in "abcdwxyz"]
    tags += [("new", "t", 1.0)]
    products = [*CATALOGUE, item("new")]
    found = lists([0], two_tastes(), products, tags, [(0, "t", 0.9)], n=4, new_share=0.25)
    (new,) = found.filter(product_id="new").rows(named=True)
    assert (new["source"], new["reason"]) == ("content", "new in t")
    without = lists([0], two_tastes(), products, tags, [(0, "t", 0.9)], n=4, new_share=0.0)
    assert "new" not in without["product_id"].to_list()


def test_what_nobody_has_touched_fills_the_end_of_a_list():
    found = lists([500], [tie(1, "b")], [item(product) for product in "abc"])
    assert found["product_id"].to_list() == ["b", "a", "c"]
    assert found["reason"].to_list()[1:] == ["in the catalogue, waiting to be discovered"] * 2


def test_what_may_not_be_listed_is_not():
    history = [
        *two_tastes(),
        tie(500, "bought_long_ago", ordered_days_ago=31),
        tie(500, "bought_lately", ordered_days_ago=29),
        tie(500, "bought_for_good", ordered_days_ago=900),
        tie(500, "viewed"),
        tie(500, "hidden"),
        tie(500, "article"),
        tie(500, "sold_out"),
    ]
    products = [
        item("bought_long_ago", repurchase_days=30),
        item("bought_lately", repurchase_days=30),
        item("bought_for_good"),
        item("viewed", stock=1),
        item("hidden", is_hidden=True),
        item("article", kind="content"),
        item("sold_out", stock=0),
    ]
    for member in (500, 501):
        found = set(lists([member], history, products, n=10)["product_id"])
        own = set() if member == 500 else {"bought_lately", "bought_for_good"}
        assert found == {"bought_long_ago", "viewed"} | own


def test_a_member_whom_the_model_does_not_know_yet_is_not_sold_what_she_just_bought():
    old = pl.DataFrame(two_tastes(), schema=HISTORY)
    model = fit(
        InteractionMatrix.from_pairs(old["member_id"], old["product_id"], old["weight"]), SETTINGS
    )
    history = [*two_tastes(), tie(500, "a", ordered_days_ago=1)]
    found = lists([500], history, CATALOGUE, n=8, factors=model)
    assert set(found["product_id"]) == set("bcdwxyz")


def test_nobody_to_reach_and_nothing_to_sell():
    empty = lists([], two_tastes(), CATALOGUE)
    assert empty.is_empty()
    assert empty.schema == lists([0], two_tastes(), CATALOGUE).schema
    assert lists([0], two_tastes(), []).is_empty()


def test_a_shop_on_its_first_day_still_has_lists():
    found = lists([3, 1, 3], [], CATALOGUE)
    assert found["member_id"].to_list() == [1, 1, 1, 3, 3, 3]
    assert found["product_id"].to_list() == ["a", "b", "c"] * 2


@given(st.integers(0, 10_000), st.integers(1, 9))
@settings(max_examples=15, deadline=None)
def test_every_member_gets_as_many_as_the_catalogue_allows(seed: int, n: int):
    rng = np.random.default_rng(seed)
    names = [f"p{number}" for number in range(8)]
    products = [
        item(
            name,
            is_hidden=bool(rng.random() < 0.1),
            stock=int(rng.integers(0, 4)) if rng.random() < 0.5 else None,
            repurchase_days=int(rng.integers(1, 60)) if rng.random() < 0.5 else None,
            kind="content" if rng.random() < 0.1 else "product",
        )
        for name in names
    ]
    history = [
        tie(
            member,
            name,
            float(rng.gamma(1)),
            ordered_days_ago=int(rng.integers(0, 90)) if rng.random() < 0.4 else None,
        )
        for member in range(6)
        for name in [*names, "gone"]
        if rng.random() < 0.4
    ]
    tags = [(name, str(rng.choice(["t", "u"])), float(rng.random())) for name in names]
    tastes = [(member, "t", float(rng.random())) for member in range(3, 9)]
    found = lists(list(range(9)), history, products, tags, tastes, n)

    on_offer = {
        row["product_id"]: row["repurchase_days"]
        for row in products
        if row["kind"] == "product" and not row["is_hidden"] and row["stock"] != 0
    }
    for member in range(9):
        barred = {
            row["product_id"]
            for row in history
            if row["member_id"] == member
            and row["last_ordered_at"] is not None
            and row["product_id"] in on_offer
            and (
                on_offer[row["product_id"]] is None
                or row["last_ordered_at"] + timedelta(days=on_offer[row["product_id"]]) > AS_OF
            )
        }
        hers = found.filter(member_id=member)
        assert hers["rank"].to_list() == list(range(1, min(n, len(on_offer) - len(barred)) + 1))
        assert hers["product_id"].n_unique() == len(hers)
        assert set(hers["product_id"]) <= set(on_offer) - barred
    assert found["reason"].null_count() == 0

    shuffled = [history[place] for place in rng.permutation(len(history))]
    again = lists(list(range(8, -1, -1)), shuffled, products[::-1], tags[::-1], tastes[::-1], n)
    assert again.equals(found)


def test_what_a_member_has_met_fills_the_end_where_only_the_rest_is_proposed():
    """Member 0 knows b, c and d; the first five places are of what is left."""
    found = lists([0], two_tastes(), CATALOGUE, n=8, mix=Mix(unmet=True), per_category=8)
    assert set(found["product_id"][:5]) == set("awxyz")
    assert set(found["product_id"][5:]) == set("bcd")
