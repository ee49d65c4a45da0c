"""Metrics by hand, and ALS against popularity on a real shop."""

from collections.abc import Callable
from datetime import timedelta
from itertools import combinations
from math import log2
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.recommend.als import AlsSettings, fit
from assets.recommend.evaluation import compare, evaluate, history_segments, new_pairs
from assets.recommend.matrix import InteractionMatrix
from assets.recommend.popularity import popular_products
from tests.ranking import top_products

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
    # Precision at her hits: 1/1 and 2/3; then 1/2; then none.
    assert found.map == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2 + 0) / 3)
    assert (found.novelty, found.diversity) == (None, None)


def test_by_hand_at_1():
    # The best that could be at k = 1 is one hit, but recall still asks for both.
    found = evaluate(lists(LISTS), pairs(TRUTH), k=1, n_products=10)
    assert found.recall == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert found.ndcg == pytest.approx((1 + 0 + 0) / 3)
    assert found.coverage == pytest.approx(2 / 10)
    # At most one hit fits, so one hit is all there is.
    assert found.map == pytest.approx((1 + 0 + 0) / 3)


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
    recalls, ndcgs, precisions = [], [], []
    for member, wanted in truth.items():
        hits = [product in wanted for product in ranked.get(member, [])[:k]]
        recalls.append(sum(hits) / len(wanted))
        gain = sum(hit / log2(place + 2) for place, hit in enumerate(hits))
        ndcgs.append(gain / sum(1 / log2(place + 2) for place in range(min(k, len(wanted)))))
        precisions.append(
            sum(sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit)
            / min(k, len(wanted))
        )
    found = evaluate(lists(ranked), pairs(truth), k, n_products=8)
    assert found.map == pytest.approx(np.mean(precisions))
    assert found.recall == pytest.approx(np.mean(recalls))
    assert found.ndcg == pytest.approx(np.mean(ndcgs))
    assert 0 <= found.coverage <= 1
    assert evaluate(lists(truth), pairs(truth), 8, 8).ndcg == pytest.approx(1)


def test_novelty_is_the_information_in_what_is_listed():
    # Of four members all had met "all", two "half" (one of them twice), nobody "new".
    seen = pairs({1: ["all", "half", "half"], 2: ["all", "half"], 3: ["all"], 4: ["all"]})
    ranked = lists({1: ["all", "half"], 2: ["new"], 9: ["new"]})
    truth = pairs({1: ["x"], 2: ["x"], 3: ["x"]})
    found = evaluate(ranked, truth, 2, 10, seen=seen)
    # 0 and 1 bits; then 2 bits, as if one of four had met it; member 9 has no truth.
    assert found.novelty == pytest.approx(((0 + 1) / 2 + 2) / 2)
    assert evaluate(ranked, truth, 1, 10, seen=seen).novelty == pytest.approx((0 + 2) / 2)
    assert evaluate(lists({}), truth, 1, 10, seen=seen).novelty is None


@given(
    st.dictionaries(
        st.integers(0, 4), st.lists(st.sampled_from("abcdefg"), max_size=6, unique=True)
    ),
    st.dictionaries(
        st.tuples(st.sampled_from("abcde"), st.sampled_from("tuvw")), st.floats(0.01, 1)
    ),
)
@settings(max_examples=40, deadline=None)
def test_diversity_against_cosines_pair_by_pair(
    ranked: dict[int, list[str]], scores: dict[tuple[str, str], float]
):
    tags = pl.DataFrame(
        [(*pair, score) for pair, score in scores.items()],
        schema={"product_id": pl.String, "tag": pl.String, "score": pl.Float64},
        orient="row",
    )
    vectors = {
        product: np.array([scores.get((product, tag), 0) for tag in "tuvw"])
        for product, _ in scores
    }
    unlike = []
    for products in ranked.values():
        known = [vectors[product] for product in products if product in vectors]
        cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in combinations(known, 2)]
        if cosines:
            unlike.append(1 - np.mean(cosines))
    truth = pairs({member: ["x"] for member in [*ranked, 99]})
    found = evaluate(lists(ranked), truth, 6, 7, product_tags=tags).diversity
    assert found == (pytest.approx(np.mean(unlike), abs=1e-9) if unlike else None)


def test_members_stand_in_segments_by_what_they_had_met():
    seen = pairs({1: ["a", "a", "b"], 2: list("abc"), 3: list("abcdef"), 8: ["a"]})
    found = history_segments(seen, pl.Series([3, 4, 2, 1, 2]), light_from=3, heavy_from=6)
    assert found.rows() == [(1, "cold"), (2, "light"), (3, "heavy"), (4, "cold")]
    with pytest.raises(ValueError, match="must rise"):
        history_segments(seen, pl.Series([1]), light_from=3, heavy_from=2)


def test_each_segment_is_measured_by_itself():
    segments = pl.DataFrame({"member_id": [1, 2, 4], "segment": ["heavy", "cold", "cold"]})
    found = compare(
        {"model": lists(LISTS)}, lists(TRUTH), pairs(TRUTH), 3, 10, segments=segments
    ).filter(metric="recall")
    rows = found.select("segment", "value", "baseline", "n_members").rows()
    assert rows == [
        ("all", pytest.approx(2 / 3), 1.0, 3),
        ("cold", 0.5, 1.0, 2),
        ("heavy", 1.0, 1.0, 1),
    ]


def test_what_is_known_of_products_gives_rows_of_its_own():
    tags = pl.DataFrame({"product_id": ["a", "x"], "tag": ["t", "u"], "score": [1.0, 0.5]})
    known = compare(
        {"model": lists(LISTS)},
        lists(LISTS),
        pairs(TRUTH),
        3,
        10,
        seen=pairs(LISTS),
        product_tags=tags,
    )
    assert known["metric"].to_list() == [
        *("recall", "ndcg", "map", "coverage", "novelty", "diversity")
    ]
    assert known["value"].null_count() == 0
    assert known["value"][-1] == 1


def test_new_pairs_are_of_known_members_and_new_to_them():
    seen = pairs({1: ["a", "b"], 2: ["c"]})
    later = pairs({1: ["a", "d", "d"], 2: ["a"], 9: ["a"]})
    assert new_pairs(seen, later).rows() == [(1, "d"), (2, "a")]


def test_models_stand_beside_the_baseline():
    found = compare({"good": lists(TRUTH), "poor": lists(LISTS)}, lists(LISTS), pairs(TRUTH), 3, 10)
    assert found.columns == ["model", "metric", "k", "value", "baseline", "n_members"]
    assert found["metric"].to_list() == ["recall", "ndcg", "map", "coverage"] * 2
    good, poor = found.filter(model="good"), found.filter(model="poor")
    assert good["value"].to_list() == pytest.approx([1, 1, 1, 0.3])
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
