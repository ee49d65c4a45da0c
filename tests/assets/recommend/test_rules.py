"""The shop's rules: full lists, few of a kind, near things apart, room for what is new."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from assets.recommend.rules import arrange, barred, on_offer

AS_OF = datetime(2026, 6, 1)  # noqa: DTZ001 - stored timestamps are naive UTC
NO_VECTORS: dict[str, Any] = {
    "product_ids": np.array([], dtype=np.str_),
    "vectors": np.zeros((0, 2), np.float32),
}


def candidates_of(*lists: list[str]) -> pl.DataFrame:
    """One list of candidates per member, best first; members count from 1."""
    return pl.DataFrame(
        [
            {"member_id": member, "rank": rank, "product_id": product, "score": 1 / rank}
            for member, products in enumerate(lists, start=1)
            for rank, product in enumerate(products, start=1)
        ],
        schema={
            "member_id": pl.Int64,
            "rank": pl.Int32,
            "product_id": pl.String,
            "score": pl.Float64,
        },
    )


def catalogue_of(categories: Mapping[str, str | None], new: Sequence[str] = ()) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "product_id": list(categories),
            "category": list(categories.values()),
            "is_new": [product in new for product in categories],
        },
        schema={"product_id": pl.String, "category": pl.String, "is_new": pl.Boolean},
    )


def listed(found: pl.DataFrame, member: int = 1) -> list[str]:
    return found.filter(pl.col("member_id") == member)["product_id"].to_list()


def test_without_reasons_to_change_it_the_order_of_the_ranks_stays() -> None:
    found = arrange(
        candidates_of(["c", "a", "b"], ["b", "c"]),
        catalogue_of(dict.fromkeys("abc")),
        2,
        diversity=0,
        new_share=0,
        **NO_VECTORS,
    )
    assert found.rows() == [(1, 1, "c", 1.0), (1, 2, "a", 0.5), (2, 1, "b", 1.0), (2, 2, "c", 0.5)]
    assert found.schema["rank"] == pl.Int32


def test_no_more_than_three_of_a_category_while_there_are_others() -> None:
    found = arrange(
        candidates_of(["a1", "a2", "a3", "a4", "a5", "b1", "n1"]),
        catalogue_of({f"a{i}": "a" for i in range(1, 6)} | {"b1": "b", "n1": None}),
        5,
        diversity=0,
        new_share=0,
        **NO_VECTORS,
    )
    assert listed(found) == ["a1", "a2", "a3", "b1", "n1"]


def test_products_without_a_category_are_not_of_one_kind() -> None:
    names = [f"n{i}" for i in range(6)]
    found = arrange(
        candidates_of([*names, "b"]),
        catalogue_of(dict.fromkeys(names) | {"b": "b"}),
        6,
        diversity=0,
        new_share=0,
        **NO_VECTORS,
    )
    assert listed(found) == names


def test_the_limit_rises_only_to_fill_the_list_and_evenly() -> None:
    names = ["a1", "a2", "a3", "a4", "b1", "b2", "b3"]
    found = arrange(
        candidates_of(names),
        catalogue_of({name: name[0] for name in names}),
        6,
        per_category=1,
        diversity=0,
        new_share=0,
        **NO_VECTORS,
    )
    assert listed(found) == ["a1", "b1", "a2", "b2", "a3", "b3"]


def test_near_products_are_spread_by_marginal_relevance() -> None:
    # a and b are one thing, c is another. With weights of a half, b is worth
    # 61/62/2 - 1/2 < 0 and c is worth 61/63/2 - 0.
    found = arrange(
        candidates_of(["a", "b", "c"]),
        catalogue_of(dict.fromkeys("abc")),
        3,
        product_ids=np.array(["a", "b", "c"]),
        vectors=np.array([[2, 0], [1, 0], [0, 5]], dtype=np.float32),
        diversity=0.5,
        new_share=0,
    )
    assert listed(found) == ["a", "c", "b"]


def test_a_product_without_a_vector_is_neither_favoured_nor_held_back() -> None:
    # Both known pairs of candidates stand at a right angle or are the same: 1/3 on average.
    # Against a: b costs 1, the unknown 1/3, c nothing.
    found = arrange(
        candidates_of(["a", "b", "unknown", "c"]),
        catalogue_of(dict.fromkeys(["a", "b", "c", "unknown"])),
        4,
        product_ids=np.array(["a", "b", "c"]),
        vectors=np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32),
        diversity=0.5,
        new_share=0,
    )
    assert listed(found) == ["a", "c", "unknown", "b"]


def test_new_products_have_places_that_are_spread_over_the_list() -> None:
    old, new = [f"o{i:02}" for i in range(20)], ["x1", "x2", "x3"]
    found = arrange(
        candidates_of(old + new),
        catalogue_of(dict.fromkeys(old + new), new),
        10,
        diversity=0,
        new_share=0.29,
        **NO_VECTORS,
    )
    assert [listed(found).index(name) for name in ("x1", "x2")] == [2, 7]
    assert "x3" not in listed(found)


def test_new_products_that_come_higher_by_themselves_take_no_second_place() -> None:
    found = arrange(
        candidates_of(["x1", "x2", "o1", "o2", "o3", "x3"]),
        catalogue_of(dict.fromkeys(["x1", "x2", "x3", "o1", "o2", "o3"]), ["x1", "x2", "x3"]),
        5,
        diversity=0,
        new_share=0.4,
        **NO_VECTORS,
    )
    assert listed(found) == ["x1", "x2", "o1", "o2", "o3"]


def test_new_products_keep_their_room_under_the_limit() -> None:
    names = ["a1", "a2", "a3", "b1", "b2", "x"]
    found = arrange(
        candidates_of(names),
        catalogue_of({name: name[0] for name in names} | {"x": "a"}, ["x"]),
        4,
        per_category=2,
        diversity=0,
        new_share=0.25,
        **NO_VECTORS,
    )
    assert listed(found) == ["a1", "b1", "x", "b2"]


def test_what_the_catalogue_does_not_name_is_struck_out() -> None:
    found = arrange(
        candidates_of(["gone", "a"], ["gone"]),
        catalogue_of({"a": None}),
        2,
        diversity=0,
        new_share=0,
        **NO_VECTORS,
    )
    assert found.select("member_id", "rank", "product_id").rows() == [(1, 1, "a")]


@pytest.mark.parametrize("rows", [[], [[]]])
def test_nobody_gets_nothing(rows: list[list[str]]) -> None:
    candidates = candidates_of(*rows)
    for categories in ({}, {"a": "a"}):
        found = arrange(
            candidates,
            catalogue_of(categories),
            3,
            diversity=0.3,
            new_share=0.1,
            **NO_VECTORS,
        )
        assert found.is_empty()
        assert found.schema == candidates.schema


@pytest.mark.parametrize(
    "changed",
    [
        {"n": 0},
        {"per_category": 0},
        {"diversity": 1.1},
        {"new_share": -0.1},
        {"vectors": np.zeros((1, 2), np.float32)},
        {"candidates": candidates_of(["a", "b", "a"])},
        {"catalogue": pl.concat([catalogue_of({"a": "x"}), catalogue_of({"a": "y"})])},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_cannot_be_meant_is_refused(changed: dict[str, Any]) -> None:
    given_values: dict[str, Any] = {
        "candidates": candidates_of(["a", "b"]),
        "catalogue": catalogue_of({"a": "x", "b": "x"}),
        "n": 2,
        "diversity": 0.0,
        "new_share": 0.0,
        **NO_VECTORS,
    }
    arrange(**given_values)
    with pytest.raises(ValueError):
        arrange(**(given_values | changed))


def by_hand(
    products: list[str],
    categories: dict[str, str | None],
    new: list[str],
    n: int,
    per_category: int,
    diversity: float,
    new_share: float,
    vectors: dict[str, NDArray[np.float32]],
) -> list[str]:
    """The list of one member, said plainly and slowly."""

    def is_full(chosen: list[str], product: str, limit: int) -> bool:
        category = categories[product]
        return category is not None and [categories[c] for c in chosen].count(category) >= limit

    kept: list[str] = []
    for product in products:
        if product in new and len(kept) < int(new_share * n + 1e-9):
            kept += [] if is_full(kept, product, per_category) else [product]
    n_new = int(new_share * n + 1e-9)
    new_places = [int((i + 0.5) * n / n_new) for i in range(n_new)]

    direction = {p: vectors[p] / np.linalg.norm(vectors[p]) for p in products}
    chosen: list[str] = []
    while len(chosen) < min(n, len(products)):
        left = [product for product in products if product not in chosen]
        counted = chosen + [product for product in kept if product not in chosen]
        limit = per_category
        while not (eligible := [p for p in left if p in kept or not is_full(counted, p, limit)]):
            limit += 1
        n_due = sum(place <= len(chosen) for place in new_places)
        if len(set(kept) & set(chosen)) < min(n_due, len(kept)):
            eligible = [product for product in eligible if product in kept]

        def worth(product: str) -> float:
            relevance = 61 / (61 + products.index(product))
            nearest = max((direction[product] @ direction[c] for c in chosen), default=0.0)
            return (1 - diversity) * relevance - diversity * float(nearest)

        chosen.append(max(eligible, key=worth))
    return chosen


CATALOGUE = {f"p{i:02}": "abcd"[i % 4] if i % 5 else None for i in range(30)}
NAMES = np.array(sorted(CATALOGUE))
VECTORS = np.random.default_rng(5).standard_normal((30, 3)).astype(np.float32)
products_of_a_member = st.lists(st.sampled_from(NAMES.tolist()), max_size=30, unique=True)


@settings(max_examples=60)
@given(
    lists=st.lists(products_of_a_member, max_size=5),
    new=st.lists(st.sampled_from(NAMES.tolist()), max_size=10, unique=True),
    n=st.integers(1, 12),
    per_category=st.integers(1, 4),
    diversity=st.sampled_from([0.0, 0.3, 0.9]),
    new_share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_blocks_do_what_the_plain_procedure_does_in_whatever_order_rows_come(
    lists: list[list[str]],
    new: list[str],
    n: int,
    per_category: int,
    diversity: float,
    new_share: float,
    seed: int,
) -> None:
    candidates = candidates_of(*lists)
    found = arrange(
        candidates.sample(fraction=1, shuffle=True, seed=seed),
        catalogue_of(CATALOGUE, new).sample(fraction=1, shuffle=True, seed=seed),
        n,
        product_ids=NAMES,
        vectors=VECTORS,
        per_category=per_category,
        diversity=diversity,
        new_share=new_share,
    )
    vectors = dict(zip(NAMES.tolist(), VECTORS, strict=True))
    for member, products in enumerate(lists, start=1):
        hers = listed(found, member)
        assert hers == by_hand(
            products, CATALOGUE, new, n, per_category, diversity, new_share, vectors
        )
        assert len(hers) == min(n, len(products))
        n_new_offered = len(set(new) & set(products))
        if per_category >= n:
            assert len(set(new) & set(hers)) >= min(int(new_share * n + 1e-9), n_new_offered)
        categories = [CATALOGUE[product] for product in products]
        room = categories.count(None) + sum(
            min(per_category, categories.count(category)) for category in "abcd"
        )
        if room >= len(hers):
            mine = [CATALOGUE[product] for product in hers]
            assert all(mine.count(category) <= per_category for category in "abcd")
    carried = found.join(candidates, on=["member_id", "product_id"])
    assert carried["score"].equals(carried["score_right"])
    assert found.rows() == found.sort("member_id", "rank").rows()


def test_members_of_many_blocks_each_get_what_they_would_alone() -> None:
    rng = np.random.default_rng(1)
    lists = [rng.permutation(NAMES)[: rng.integers(1, 30)].tolist() for _ in range(3000)]
    rules: dict[str, Any] = {
        "catalogue": catalogue_of(CATALOGUE, ["p03", "p17"]),
        "n": 8,
        "product_ids": NAMES,
        "vectors": VECTORS,
        "diversity": 0.4,
        "new_share": 0.2,
    }
    together = arrange(candidates_of(*lists), **rules)
    for member in (1, 1457, 3000):
        alone = arrange(candidates_of(lists[member - 1]), **rules)
        assert listed(together, member) == listed(alone)


def test_only_products_that_can_be_had_are_on_offer() -> None:
    def item(product: str, **given_values: object) -> dict[str, object]:
        return {
            "product_id": product,
            "kind": "product",
            "stock": None,
            "is_hidden": False,
            **given_values,
        }

    products = pl.DataFrame(
        [
            item("sold out", stock=0),
            item("last one", stock=1),
            item("article", kind="content"),
            item("hidden", is_hidden=True),
            item("endless"),
        ],
        schema_overrides={"stock": pl.Int64},
    )
    assert on_offer(products)["product_id"].to_list() == ["endless", "last one"]


def test_what_was_ordered_is_barred_until_it_is_wanted_again() -> None:
    def order(product: str, days_ago: int | None) -> dict[str, object]:
        at = None if days_ago is None else AS_OF - timedelta(days=days_ago)
        return {"member_id": 7, "product_id": product, "last_ordered_at": at}

    history = pl.DataFrame(
        [order("tea", 29), order("soap", 30), order("sofa", 9999), order("seen", None)],
        schema_overrides={"last_ordered_at": pl.Datetime("us")},
    )
    products = pl.DataFrame(
        {"product_id": ["seen", "soap", "sofa", "tea"], "wait_days": [30, 30, None, 30]},
        schema_overrides={"wait_days": pl.Int32},
    )
    found = barred(history, products, AS_OF)
    assert sorted(found.rows()) == [(7, "sofa"), (7, "tea")]
