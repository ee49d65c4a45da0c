"""Metrics by hand, and ALS against popularity on a real shop."""

from collections.abc import Callable
from datetime import timedelta
from math import log2
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.recommend.als import AlsSettings, fit
from assets.recommend.evaluation import compare, evaluate, new_pairs
from assets.recommend.matrix import InteractionMatrix
from assets.recommend.ranking import popular_products, top_products

LISTS = {1: ["a", "x", "b"], 2: ["x", "c", "y"], 3: ["x", "y", "z"]}
TRUTH = {1: ["a", "b"], 2: ["c"], 4: ["a"]}


def lists(by_member: dict[int, list[str]]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (member, rank, product)
            for member, products in by_member.items()
            for rank, product in enumerate(products, 1)
        ],
        schema={"member_id": pl.Int64, "rank": pl.Int32, "product_id": pl.String},
        orient="row",
    )


def pairs(by_member: dict[int, list[str]]) -> pl.DataFrame:
    return lists(by_member).drop("rank")


def test_by_hand_at_3():
    # Member 1 has both at ranks 1 and 3, member 2 hers at rank 2, member 4 has no list;
    # member 3 has no truth and does not count.
    found = evaluate(lists(LISTS), pairs(TRUTH), k=3, n_products=10)
    assert found.n_members == 3
    assert found.recall == pytest.approx((1 + 1 + 0) / 3)
    ndcg_1 = (1 + 1 / log2(4)) / (1 + 1 / log2(3))
    assert ndcg_1 == pytest.approx(0.9197207891)
    assert found.ndcg == pytest.approx((ndcg_1 + 1 / log2(3) + 0) / 3)
    assert found.coverage == pytest.approx(5 / 10)


def test_by_hand_at_1():
    # The best that could be at k = 1 is one hit, but recall still asks for both.
    found = evaluate(lists(LISTS), pairs(TRUTH), k=1, n_products=10)
    assert found.recall == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert found.ndcg == pytest.approx((1 + 0 + 0) / 3)
    assert found.coverage == pytest.approx(2 / 10)


@given(
    st.dictionaries(
        st.integers(0, 5),
        st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True),
        min_size=1,
    ),
    st.dictionaries(
        st.integers(0, 5), st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True)
    ),
    st.integers(1, 9),
)
@settings(max_examples=40)
def test_against_a_plain_loop(truth: dict[int, list[str]], ranked: dict[int, list[str]], k: int):
    recalls, ndcgs = [], []
    for member, wanted in truth.items():
        hits = [product in wanted for product in ranked.get(member, [])[:k]]
        recalls.append(sum(hits) / len(wanted))
        gain = sum(hit / log2(place + 2) for place, hit in enumerate(hits))
        ndcgs.append(gain / sum(1 / log2(place + 2) for place in range(min(k, len(wanted)))))
    found = evaluate(lists(ranked), pairs(truth), k, n_products=8)
    assert found.recall == pytest.approx(np.mean(recalls))
    assert found.ndcg == pytest.approx(np.mean(ndcgs))
    assert 0 <= found.coverage <= 1
    assert evaluate(lists(truth), pairs(truth), 8, 8).ndcg == pytest.approx(1)


def test_new_pairs_are_of_known_members_and_new_to_them():
    seen = pairs({1: ["a", "b"], 2: ["c"]})
    later = pairs({1: ["a", "d", "d"], 2: ["a"], 9: ["a"]})
    assert new_pairs(seen, later).rows() == [(1, "d"), (2, "a")]


def test_models_stand_beside_the_baseline():
    found = compare({"good": lists(TRUTH), "poor": lists(LISTS)}, lists(LISTS), pairs(TRUTH), 3, 10)
    assert found.columns == ["model", "metric", "k", "value", "baseline", "n_members"]
    assert found["metric"].to_list() == ["recall", "ndcg", "coverage"] * 2
    good, poor = found.filter(model="good"), found.filter(model="poor")
    assert good["value"].to_list() == pytest.approx([1, 1, 0.3])
    assert poor["value"].to_list() == poor["baseline"].to_list() == good["baseline"].to_list()
    assert found["n_members"].unique().to_list() == [3]


@pytest.mark.parametrize(
    ("ranked", "truth", "k", "message"),
    [
        (lists(LISTS), pairs({}), 3, "no truth"),
        (lists(LISTS), pairs(TRUTH), 0, "at least 1"),
        (lists({1: ["a", "a"]}), pairs(TRUTH), 3, "once"),
        (lists(LISTS).with_columns(rank=1), pairs(TRUTH), 3, "once"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    ranked: pl.DataFrame, truth: pl.DataFrame, k: int, message: str
):
    with pytest.raises(ValueError, match=message):
        evaluate(ranked, truth, k, 10)


def test_als_beats_popularity_on_online_retail(shared_data: Callable[[str], Path]):
    """Trained on all but the last 28 days; neither settings nor baseline were chosen on these."""
    orders = (
        pl.scan_parquet(shared_data("online_retail_ii/online_retail_ii.parquet"))
        .filter(
            pl.col("customer_id").is_not_null(),
            ~pl.col("invoice_no").str.starts_with("C"),
            pl.col("unit_price") > 0,
            pl.col("stock_code").str.contains(r"^\d{5}"),
        )
        .select(
            "invoice_no",
            pl.col("customer_id").cast(pl.Int64).alias("member_id"),
            pl.col("stock_code").str.to_uppercase().alias("product_id"),
            pl.col("invoice_ts").alias("ordered_at"),
        )
        .unique(["invoice_no", "product_id"])
        .collect()
    )
    end = orders["ordered_at"].max()
    cut = end - timedelta(days=28)
    age_days = (cut - pl.col("ordered_at")).dt.total_seconds() / 86400
    before = orders.filter(pl.col("ordered_at") <= cut).with_columns(
        weight=5 * pl.lit(0.5).pow(age_days / 30)
    )
    truth = new_pairs(before, orders.filter(pl.col("ordered_at") > cut))
    assert (truth["member_id"].n_unique(), len(truth)) == (1286, 24801)

    matrix = InteractionMatrix.from_pairs(
        before["member_id"], before["product_id"], before["weight"]
    )
    n_products = len(matrix.product_ids)
    members = truth["member_id"].unique().sort().to_numpy()
    recent = before.filter(pl.col("ordered_at") > cut - timedelta(days=14))
    fashion = recent.unique(["member_id", "product_id"]).with_columns(weight=1.0)
    als_lists, popular_lists, fashion_lists = (
        top_products(
            scorer,
            matrix.weights[matrix.member_index(members)],
            20,
            np.ones(n_products, dtype=bool),
        )
        for scorer in (
            fit(matrix, AlsSettings()).of_members(members),
            popular_products(before, members, matrix.product_ids),
            popular_products(fashion, members, matrix.product_ids),
        )
    )
    metrics = compare({"als": als_lists}, popular_lists, truth, 20, n_products)
    value = dict(metrics.select("metric", "value").iter_rows())
    baseline = dict(metrics.select("metric", "baseline").iter_rows())
    assert value["recall"] > max(0.105, 1.5 * baseline["recall"])
    assert value["ndcg"] > max(0.105, 1.5 * baseline["ndcg"])
    assert value["coverage"] > 0.15
    strongest = evaluate(fashion_lists, truth, 20, n_products)
    assert value["recall"] > 1.2 * strongest.recall
    assert value["ndcg"] > 1.15 * strongest.ndcg
