"""How good lists are: what of the later purchases did they foresee?

Protocol: every product that the lists may hold is ranked (no sampled candidates), what a member
had met before is out of the lists and out of the truth, and relevance is binary. Anything else
flatters: see Krichene and Rendle, "On Sampled Metrics for Item Recommendation", KDD 2020.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

_PAIR = ["member_id", "product_id"]
_COMPARED = pl.Schema(
    {
        "model": pl.String,
        "segment": pl.String,
        "metric": pl.String,
        "k": pl.Int32,
        "value": pl.Float64,
        "baseline": pl.Float64,
        "n_members": pl.Int64,
    }
)


@dataclass(frozen=True)
class Evaluation:
    """What lists are worth, averaged over the members who have a truth.

    Attributes:
        recall: share of what she came to that was among her first k, 0 to 1.
        ndcg: the same with a place worth 1 / log2(1 + rank), over the best that could be, 0 to 1.
        map: the share of hits among the places down to each hit, summed and divided by the most
            hits that could be, ``min(k, n_true)``, 0 to 1.
        coverage: share of the catalogue that is among anybody's first k, 0 to 1.
        novelty: mean self-information of what is listed, in bits, at least 0: ``-log2 p`` with p
            the share of members who had met the product (Zhou et al., PNAS 2010). None where it
            is not known what had been met, or nothing is listed.
        diversity: 1 minus the mean cosine of the tags of two products of a list, 0 to 1. None
            where no list has two products with tags.
        n_members: members with a truth.
    """

    recall: float
    ndcg: float
    map: float
    coverage: float
    novelty: float | None
    diversity: float | None
    n_members: int


def new_pairs(seen: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
    """The truth: what members who were known by then came to for the first time.

    Args:
        seen: member_id, product_id before the cut.
        later: member_id, product_id after the cut.

    Returns:
        Distinct member_id, product_id of ``later``, of members in ``seen``, without the pairs
        in ``seen``.
    """
    return (
        later.select(_PAIR)
        .unique()
        .join(seen, on="member_id", how="semi")
        .join(seen, on=_PAIR, how="anti")
        .sort(_PAIR)
    )


def history_segments(
    seen: pl.DataFrame, member_ids: pl.Series, light_from: int = 5, heavy_from: int = 20
) -> pl.DataFrame:
    """Sorts members by how many products they had met: cold, light or heavy.

    Args:
        seen: member_id, product_id before the cut.
        member_ids: whom to sort; without any history she is cold.
        light_from: products from which a member is no longer cold.
        heavy_from: products from which she is heavy; about here models of taste begin to beat
            popularity on MovieLens.

    Returns:
        member_id, segment; one row per member, ordered by member.

    Raises:
        ValueError: thresholds that do not rise from 1.
    """
    if not 1 <= light_from <= heavy_from:
        raise ValueError(f"thresholds must rise from 1, not {light_from} and {heavy_from}")
    lengths = seen.group_by("member_id").agg(n_met=pl.col("product_id").n_unique())
    n_met = pl.col("n_met").fill_null(0)
    return (
        pl.DataFrame({"member_id": member_ids.unique()})
        .join(lengths, on="member_id", how="left")
        .sort("member_id")
        .select(
            "member_id",
            segment=pl.when(n_met < light_from)
            .then(pl.lit("cold"))
            .when(n_met < heavy_from)
            .then(pl.lit("light"))
            .otherwise(pl.lit("heavy")),
        )
    )


def evaluate(
    ranked: pl.DataFrame,
    truth: pl.DataFrame,
    k: int,
    n_products: int,
    *,
    seen: pl.DataFrame | None = None,
    product_tags: pl.DataFrame | None = None,
) -> Evaluation:
    """Holds lists against what came to pass.

    A member without a list, or with a short one, loses what was not foreseen. Recall divides by
    all of her truth, even where that is more than k. Novelty and diversity are means over the
    members who have a list (of two products with tags).

    Args:
        ranked: member_id, rank (from 1), product_id.
        truth: member_id, product_id, distinct.
        k: places that count.
        n_products: size of the catalogue, for the coverage.
        seen: member_id, product_id before the cut, for the novelty; a product that nobody had
            met counts as met by one.
        product_tags: product_id, tag, score (at least 0), for the diversity; a product without
            tags is left out of it.

    Raises:
        ValueError: nothing to evaluate, k or n_products below 1, or a list that names a product
            or a rank twice.
    """
    if k < 1 or n_products < 1:
        raise ValueError("k and n_products must be at least 1")
    if truth.is_empty():
        raise ValueError("there is no truth to evaluate against")
    first = ranked.filter(pl.col("rank") <= k).join(truth, on="member_id", how="semi")
    for key in (_PAIR, ["member_id", "rank"]):
        if first.select(key).is_duplicated().any():
            raise ValueError(f"ranked must name each {' and '.join(key)} once")

    hits = (
        first.join(truth, on=_PAIR, how="semi")
        .sort("member_id", "rank")
        .with_columns(hit=pl.int_range(1, pl.len() + 1).over("member_id"))
    )
    members = (
        truth.group_by("member_id")
        .agg(n_true=pl.len())
        .join(
            hits.group_by("member_id").agg(
                n_hits=pl.len(),
                gain=(1 / (pl.col("rank") + 1).log(2)).sort().sum(),
                precision=(pl.col("hit") / pl.col("rank")).sort().sum(),
            ),
            on="member_id",
            how="left",
        )
        .sort("member_id")
        .fill_null(0)
    )
    n_true, n_hits, gain, precision = (
        members[name].to_numpy() for name in ("n_true", "n_hits", "gain", "precision")
    )
    most_hits = np.minimum(n_true, k)
    best_gain = np.cumsum(1 / np.log2(np.arange(2, k + 2)))[most_hits - 1]
    return Evaluation(
        recall=float(np.mean(n_hits / n_true)),
        ndcg=float(np.mean(gain / best_gain)),
        map=float(np.mean(precision / most_hits)),
        coverage=first["product_id"].n_unique() / n_products,
        novelty=None if seen is None else _novelty(first, seen),
        diversity=None if product_tags is None else _diversity(first, product_tags),
        n_members=len(members),
    )


def _mean(by_member: pl.DataFrame, column: str) -> float | None:
    """Mean over members, added up in the order of their ids."""
    values = by_member.sort("member_id")[column].to_numpy()
    return float(np.mean(values)) if len(values) else None


def _novelty(listed: pl.DataFrame, seen: pl.DataFrame) -> float | None:
    met = seen.select(_PAIR).unique()
    bits = met.group_by("product_id").agg(bits=-(pl.len() / met["member_id"].n_unique()).log(2))
    most_bits = float(np.log2(max(1, met["member_id"].n_unique())))
    return _mean(
        listed.join(bits, on="product_id", how="left")
        .group_by("member_id")
        .agg(pl.col("bits").fill_null(most_bits).sort().mean()),
        "bits",
    )


def _diversity(listed: pl.DataFrame, product_tags: pl.DataFrame) -> float | None:
    """With unit vectors v, the cosines of all pairs add up to ``|sum of v|^2 - n`` (both ways)."""
    known = product_tags.filter(pl.col("score") > 0).sort("product_id", "tag")
    lengths = known.group_by("product_id").agg(length=(pl.col("score") ** 2).sort().sum().sqrt())
    vectors = known.join(lengths, on="product_id").select(
        "product_id", "tag", share=pl.col("score") / pl.col("length")
    )
    n_tagged = listed.join(lengths, on="product_id", how="semi").group_by("member_id").len("n")
    return _mean(
        listed.select(_PAIR)
        .join(vectors, on="product_id")
        .group_by("member_id", "tag")
        .agg(pl.col("share").sort().sum())
        .group_by("member_id")
        .agg(square=(pl.col("share") ** 2).sort().sum())
        .join(n_tagged.filter(pl.col("n") > 1), on="member_id")
        .select(
            "member_id",
            unlike=(
                1 - (pl.col("square") - pl.col("n")) / (pl.col("n") * (pl.col("n") - 1.0))
            ).clip(0, 1),
        ),
        "unlike",
    )


def compare(
    models: Mapping[str, pl.DataFrame],
    baseline: pl.DataFrame,
    truth: pl.DataFrame,
    k: int,
    n_products: int,
    *,
    seen: pl.DataFrame | None = None,
    product_tags: pl.DataFrame | None = None,
    segments: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Every model beside the popularity baseline, on the same members.

    Args:
        models: lists (member_id, rank, product_id) by the model's name.
        baseline: the lists that everybody gets without a model.
        truth: member_id, product_id, distinct.
        k: places that count.
        n_products: size of the catalogue.
        seen: as for ``evaluate``.
        product_tags: as for ``evaluate``.
        segments: member_id, segment; a member stands in at most one.

    Returns:
        model, metric (the names of ``Evaluation``), k, value, baseline, n_members; no row for
        what is not known. With segments also ``segment``: "all", then each that has a truth.

    Raises:
        ValueError: as ``evaluate``.
    """
    groups = {"all": truth}
    if segments is not None:
        of_segment = truth.join(segments, on="member_id", maintain_order="left")
        groups |= {
            str(name): of_segment.filter(segment=name).select(truth.columns)
            for name in of_segment["segment"].unique().sort()
        }
    rows: list[dict[str, object]] = []
    for segment, part in groups.items():
        plain, *found = (
            asdict(evaluate(ranked, part, k, n_products, seen=seen, product_tags=product_tags))
            for ranked in (baseline, *models.values())
        )
        rows.extend(
            {
                "model": name,
                "segment": segment,
                "metric": metric,
                "k": k,
                "value": value,
                "baseline": plain[metric],
                "n_members": plain["n_members"],
            }
            for name, metrics in zip(models, found, strict=True)
            for metric, value in metrics.items()
            if metric != "n_members" and value is not None
        )
    compared = pl.DataFrame(rows, schema=_COMPARED)
    return compared.drop("segment") if segments is None else compared
