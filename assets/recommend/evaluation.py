"""How good lists are: what of the later purchases did they foresee?

Protocol: every product that the lists may hold is ranked (no sampled candidates), what a member
had met before is out of the lists and out of the truth, and relevance is binary. Anything else
flatters: see Krichene and Rendle, "On Sampled Metrics for Item Recommendation", KDD 2020.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

Option = TypeVar("Option")

_PAIR = ["member_id", "product_id"]
COMPARED = pl.Schema(
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
_NO_VALUES = pl.DataFrame(schema={"member_id": pl.Int64, "value": pl.Float64})


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


def evenly(truth: pl.DataFrame, n_members: int) -> pl.DataFrame:
    """The truth of at most so many members, evenly spread."""
    members = truth["member_id"].unique().sort()
    if len(members) <= n_members:
        return truth
    spread = np.linspace(0, len(members) - 1, n_members).astype(np.int64)
    return truth.filter(pl.col("member_id").is_in(members.gather(spread).implode()))


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
    held = _Held.of(ranked, truth, k, n_products, _Known.of(seen, product_tags))
    return held.against(None)


def qualities(ranked: pl.DataFrame, truth: pl.DataFrame, k: int) -> NDArray[np.float64]:
    """The mean of recall@k and ndcg@k of each member with a truth, in the order of their ids.

    Arguments and errors as for ``evaluate``; shape (n_members,).
    """
    values = _Held.of(ranked, truth, k, 1, _Known.of(None, None)).values
    return values.select((pl.col("recall") + pl.col("ndcg")) / 2).to_series().to_numpy()


def plainest(options: Sequence[Option], quality: Callable[[Option], NDArray[np.float64]]) -> Option:
    """The first option that the best one does not beat beyond chance.

    Beyond chance is by more than twice the standard error of the difference on the same members:
    the rule of Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984,
    section 3.4.3, which keeps what is plain from losing to luck; twice, for the best of many
    options is lucky more often than one.

    Args:
        options: the plainest first, at least one.
        quality: of each member under an option, the same members each time.
    """
    found = [quality(option) for option in options]
    best = int(np.argmax([values.mean() for values in found]))
    for option, values in zip(options[:best], found[:best], strict=True):
        gain = found[best] - values
        if len(gain) < 2 or gain.mean() <= 2 * gain.std(ddof=1) / np.sqrt(len(gain)):
            return option
    return options[best]


def without(ranked: pl.DataFrame, had: pl.DataFrame) -> pl.DataFrame:
    """Lists without some products of each member, the others moved up.

    Args:
        ranked: member_id, rank (from 1), product_id.
        had: member_id, product_id.
    """
    return (
        ranked.join(had, on=_PAIR, how="anti")
        .sort("member_id", "rank")
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("member_id"))
    )


def both_ways(
    ranked: pl.DataFrame, truth: pl.DataFrame, had: pl.DataFrame, k: int
) -> dict[str, NDArray[np.float64]]:
    """What lists are worth to each member, repeats allowed and with new products alone.

    New products are those that a member did not have: the others are struck from the first k of
    the list, which is not filled up, and from the truth.

    Args:
        ranked: member_id, rank (from 1), product_id.
        truth: member_id, product_id, distinct.
        had: member_id, product_id.
        k: places that count.

    Returns:
        recall, ndcg, recall_new and ndcg_new, each of shape (n_members,), in the order of their
        ids; NaN in the last two for members who came to nothing new.
    """
    new = truth.join(had, on=_PAIR, how="anti")
    found = _worth(ranked, truth, k)
    members = truth["member_id"].unique().sort().to_numpy()
    for name in ("recall", "ndcg"):
        found[f"{name}_new"] = np.full(len(members), np.nan)
    if len(new):
        first = ranked.filter(pl.col("rank") <= k)
        of_new = _worth(without(first, had), new, k)
        place = np.searchsorted(members, new["member_id"].unique().sort().to_numpy())
        for name, values in of_new.items():
            found[f"{name}_new"][place] = values
    return found


def _worth(ranked: pl.DataFrame, truth: pl.DataFrame, k: int) -> dict[str, NDArray[np.float64]]:
    """Recall and ndcg of each member with a truth, in the order of their ids."""
    values = _Held.of(ranked, truth, k, 1, _Known.of(None, None)).values
    return {name: values[name].to_numpy() for name in ("recall", "ndcg")}


def concentration(ranked: pl.DataFrame, k: int, n_products: int) -> dict[str, float]:
    """How much of the lists' first k places few products hold.

    Args:
        ranked: member_id, rank (from 1), product_id.
        k: places that count.
        n_products: products that could be listed.

    Returns:
        gini: of the places that each product holds, 0 (all alike) to 1 (one has them all);
        first_ten_share: of the places, held by the ten products that hold most;
        first_product_share: of the members, whose first place is held by the same product.
    """
    places = ranked.filter(pl.col("rank") <= k).group_by("product_id").len("n")
    held = np.zeros(max(n_products, len(places), 1))
    held[: len(places)] = places["n"].to_numpy()
    held.sort()
    total = max(float(held.sum()), 1.0)
    at = np.arange(1, len(held) + 1)
    firsts = ranked.filter(pl.col("rank") == 1)["product_id"].value_counts()["count"]
    return {
        "gini": float(((2 * at - len(held) - 1) * held).sum() / (len(held) * total)),
        "first_ten_share": float(held[-10:].sum() / total),
        "first_product_share": float(firsts.to_numpy().max(initial=0) / max(firsts.sum(), 1)),
    }


def falls_short(
    found: NDArray[np.float64], base: NDArray[np.float64], errors: float, *, paired: bool = True
) -> bool:
    """Whether a mean lies below that of a baseline by more than so many standard errors.

    Args:
        found: of each member; NaN where there is none.
        base: of the same members.
        errors: how many.
        paired: of the members' differences; otherwise of the baseline's own mean. Where lists can
            only lose, as new products do by any place given to another, differences have one sign
            and hardly any spread, so that a single loss would count.
    """
    known = ~np.isnan(base)
    if known.sum() < 2:
        return False
    gain = found[known] - base[known]
    spread = (gain if paired else base[known]).std(ddof=1)
    return bool(gain.mean() < -errors * spread / np.sqrt(len(gain)))


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known apart from lists and truth.

    Attributes:
        bits: product_id, bits (of information that somebody met it); None where not asked for.
        most_bits: of a product that nobody had met.
        vectors: product_id, tag, share (unit vectors); None where not asked for.
    """

    bits: pl.DataFrame | None
    most_bits: float
    vectors: pl.DataFrame | None

    @classmethod
    def of(cls, seen: pl.DataFrame | None, product_tags: pl.DataFrame | None) -> Self:
        bits, n_members = None, 1
        if seen is not None:
            met = seen.select(_PAIR).unique()
            n_members = max(1, met["member_id"].n_unique())
            bits = met.group_by("product_id").agg(bits=-(pl.len() / n_members).log(2))
        vectors = None
        if product_tags is not None:
            known = product_tags.filter(pl.col("score") > 0).sort("product_id", "tag")
            lengths = known.group_by("product_id").agg(
                length=(pl.col("score") ** 2).sort().sum().sqrt()
            )
            vectors = known.join(lengths, on="product_id").select(
                "product_id", "tag", share=pl.col("score") / pl.col("length")
            )
        return cls(bits, float(np.log2(n_members)), vectors)


@dataclass(frozen=True, eq=False)
class _Held:
    """Lists held against the truth, member by member.

    Attributes:
        listed: member_id, rank, product_id: the first k of members with a truth.
        values: member_id, recall, ndcg, map, novelty, diversity (the last two null where not
            known); one row per member with a truth, ascending.
        n_products: size of the catalogue.
    """

    listed: pl.DataFrame
    values: pl.DataFrame
    n_products: int

    @classmethod
    def of(
        cls, ranked: pl.DataFrame, truth: pl.DataFrame, k: int, n_products: int, known: _Known
    ) -> Self:
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
            .fill_null(0)
        )
        n_true, n_hits, gain, precision = (
            members[name].to_numpy() for name in ("n_true", "n_hits", "gain", "precision")
        )
        most_hits = np.minimum(n_true, k)
        best_gain = np.cumsum(1 / np.log2(np.arange(2, k + 2)))[most_hits - 1]
        values = members.select(
            "member_id",
            recall=pl.Series(n_hits / n_true),
            ndcg=pl.Series(gain / best_gain),
            map=pl.Series(precision / most_hits),
        )
        for name, found in (
            ("novelty", _novelty(first, known)),
            ("diversity", _diversity(first, known)),
        ):
            values = values.join(found.rename({"value": name}), on="member_id", how="left")
        return cls(first, values.sort("member_id"), n_products)

    def against(self, members: pl.DataFrame | None) -> Evaluation:
        """The means over some of the members (member_id), added in the order of their ids."""
        listed, values = self.listed, self.values
        if members is not None:
            listed = listed.join(members, on="member_id", how="semi")
            values = values.join(members, on="member_id", how="semi", maintain_order="left")
        mean = {
            name: float(np.mean(known.to_numpy()))
            if len(known := values[name].drop_nulls())
            else None
            for name in ("recall", "ndcg", "map", "novelty", "diversity")
        }
        return Evaluation(
            recall=mean["recall"] or 0.0,
            ndcg=mean["ndcg"] or 0.0,
            map=mean["map"] or 0.0,
            coverage=listed["product_id"].n_unique() / self.n_products,
            novelty=mean["novelty"],
            diversity=mean["diversity"],
            n_members=len(values),
        )


def _novelty(listed: pl.DataFrame, known: _Known) -> pl.DataFrame:
    """member_id, value."""
    if known.bits is None:
        return _NO_VALUES
    return (
        listed.join(known.bits, on="product_id", how="left")
        .group_by("member_id")
        .agg(value=pl.col("bits").fill_null(known.most_bits).sort().mean())
    )


def _diversity(listed: pl.DataFrame, known: _Known) -> pl.DataFrame:
    """member_id, value.

    With unit vectors v, the cosines of all pairs add up to ``|sum of v|^2 - n`` (both ways).
    """
    if known.vectors is None:
        return _NO_VALUES
    tagged = listed.select(_PAIR).join(known.vectors, on="product_id")
    n_tagged = tagged.group_by("member_id").agg(n=pl.col("product_id").n_unique())
    return (
        tagged.group_by("member_id", "tag")
        .agg(pl.col("share").sort().sum())
        .group_by("member_id")
        .agg(square=(pl.col("share") ** 2).sort().sum())
        .join(n_tagged.filter(pl.col("n") > 1), on="member_id")
        .select(
            "member_id",
            value=(1 - (pl.col("square") - pl.col("n")) / (pl.col("n") * (pl.col("n") - 1.0))).clip(
                0, 1
            ),
        )
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
    known = _Known.of(seen, product_tags)
    plain, *held = (
        _Held.of(ranked, truth, k, n_products, known) for ranked in (baseline, *models.values())
    )
    groups: dict[str, pl.DataFrame | None] = {"all": None}
    if segments is not None:
        of_truth = segments.join(truth, on="member_id", how="semi")
        groups |= {
            str(name): of_truth.filter(segment=name) for name in of_truth["segment"].unique().sort()
        }
    rows: list[dict[str, object]] = []
    for segment, members in groups.items():
        beside = asdict(plain.against(members))
        rows.extend(
            {
                "model": name,
                "segment": segment,
                "metric": metric,
                "k": k,
                "value": value,
                "baseline": beside[metric],
                "n_members": beside["n_members"],
            }
            for name, each in zip(models, held, strict=True)
            for metric, value in asdict(each.against(members)).items()
            if metric != "n_members" and value is not None
        )
    compared = pl.DataFrame(rows, schema=COMPARED)
    return compared.drop("segment") if segments is None else compared
