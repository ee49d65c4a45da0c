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


@dataclass(frozen=True)
class Evaluation:
    """What lists are worth, averaged over the members who have a truth.

    Attributes:
        recall: share of what she came to that was among her first k, 0 to 1.
        ndcg: the same with a place worth 1 / log2(1 + rank), over the best that could be, 0 to 1.
        coverage: share of the catalogue that is among anybody's first k, 0 to 1.
        n_members: members with a truth.
    """

    recall: float
    ndcg: float
    coverage: float
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


def evaluate(ranked: pl.DataFrame, truth: pl.DataFrame, k: int, n_products: int) -> Evaluation:
    """Holds lists against what came to pass.

    A member without a list, or with a short one, loses what was not foreseen. Recall divides by
    all of her truth, even where that is more than k.

    Args:
        ranked: member_id, rank (from 1), product_id.
        truth: member_id, product_id, distinct.
        k: places that count.
        n_products: size of the catalogue, for the coverage.

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

    members = (
        truth.group_by("member_id")
        .agg(n_true=pl.len())
        .join(
            first.join(truth, on=_PAIR, how="semi")
            .group_by("member_id")
            .agg(n_hits=pl.len(), gain=(1 / (pl.col("rank") + 1).log(2)).sort().sum()),
            on="member_id",
            how="left",
        )
        .sort("member_id")
        .fill_null(0)
    )
    n_true, n_hits, gain = (members[name].to_numpy() for name in ("n_true", "n_hits", "gain"))
    best_gain = np.cumsum(1 / np.log2(np.arange(2, k + 2)))[np.minimum(n_true, k) - 1]
    return Evaluation(
        recall=float(np.mean(n_hits / n_true)),
        ndcg=float(np.mean(gain / best_gain)),
        coverage=first["product_id"].n_unique() / n_products,
        n_members=len(members),
    )


def compare(
    models: Mapping[str, pl.DataFrame],
    baseline: pl.DataFrame,
    truth: pl.DataFrame,
    k: int,
    n_products: int,
) -> pl.DataFrame:
    """Every model beside the popularity baseline, on the same members.

    Args:
        models: lists (member_id, rank, product_id) by the model's name.
        baseline: the lists that everybody gets without a model.
        truth: member_id, product_id, distinct.
        k: places that count.
        n_products: size of the catalogue.

    Returns:
        model, metric (recall, ndcg, coverage), k, value, baseline, n_members.

    Raises:
        ValueError: as ``evaluate``.
    """
    plain = asdict(evaluate(baseline, truth, k, n_products))
    rows = [
        {
            "model": name,
            "metric": metric,
            "k": k,
            "value": value,
            "baseline": plain[metric],
            "n_members": plain["n_members"],
        }
        for name, ranked in models.items()
        for metric, value in asdict(evaluate(ranked, truth, k, n_products)).items()
        if metric != "n_members"
    ]
    return pl.DataFrame(
        rows,
        schema={
            "model": pl.String,
            "metric": pl.String,
            "k": pl.Int32,
            "value": pl.Float64,
            "baseline": pl.Float64,
            "n_members": pl.Int64,
        },
    )
