"""Every source of lists, tried on what came after a cut; and from that, how to mix them.

What members met for the first time after the cut is the truth. Half of the members serve to learn
the mix, the others to measure: no figure is of a member who had a say in what it measures.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import fsum
from typing import cast
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend.als import AlsSettings, Factors, fit
from assets.recommend.blend import factor_lists, fuse, pairs_of
from assets.recommend.cold_members import give_way, learnt_half
from assets.recommend.draws import mixed
from assets.recommend.evaluation import COMPARED, compare, evenly, history_segments, new_pairs
from assets.recommend.matrix import InteractionMatrix, ids_of
from assets.recommend.popularity import popular_by_tags, popular_products, summed
from assets.recommend.random_walk import Walk
from assets.recommend.sources import (
    CANDIDATES,
    Popular,
    Says,
    foretold,
    popular_fused,
    products_met,
)
from assets.recommend.tuning import best_weights, unseen_lists

# Every fifth product is hidden from a model to see what its tags alone foretell. Few iterations
# tell as much of that as many.
_HIDDEN = 5
_ITERATIONS = 5
# Enough to tell models and mixes apart that a shop would tell apart.
_MEMBERS_TRIED = 4_000
_OF_TASTE = ("als", "similar")
_PAIRS = {"member_id": pl.Int64, "product_id": pl.String}


@dataclass(frozen=True, eq=False)
class Past:
    """The shop as it was at a cut, and what came of it.

    Attributes:
        members: member_id, channel, country: whom lists are made for.
        history: member_id, product_id, weight (above 0, as at the cut), each pair once; of
            others than these members too.
        later: member_id, product_id after the cut, each pair once.
        product_tags: product_id, tag, score (0 to 1), is_sensitive.
        prior_weight: how much a member must have done to be believed against the shop's average.
    """

    members: pl.DataFrame
    history: pl.DataFrame
    later: pl.DataFrame
    product_tags: pl.DataFrame
    prior_weight: float

    def matrix(self) -> InteractionMatrix:
        """What the models may learn from."""
        return InteractionMatrix.from_pairs(
            self.history["member_id"].to_numpy(), self.history["product_id"], self.history["weight"]
        )

    def truth(self) -> pl.DataFrame:
        """member_id, product_id: what known members met first after the cut, of what was known."""
        return new_pairs(self.history, self._listable())

    def first_truth(self) -> pl.DataFrame:
        """The same of members of whom nothing was known."""
        return self._listable().join(self.history, on="member_id", how="anti")

    def _listable(self) -> pl.DataFrame:
        return self.later.join(self.members, on="member_id", how="semi").join(
            self.history, on="product_id", how="semi"
        )


def halves(truth: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The truth of half of the members, to learn from, and that of the others, to measure by.

    Which half is hers hangs on her id alone: settings learnt one night live on, and whoever taught
    them must not be measured on another.
    """
    drawn = mixed(truth["member_id"].to_numpy().astype(np.int64).view(np.uint64))
    is_learnt = pl.Series(drawn % 2 == 1)
    return truth.filter(is_learnt), truth.filter(~is_learnt)


@dataclass(frozen=True, eq=False)
class Trial:
    """What came out.

    Attributes:
        says: the mix that served best; None where there was nothing to learn it from.
        metrics: model (als, similar, content, popular, blend, champion), segment, metric (the
            names of ``Evaluation``), k, value, baseline (popularity, the same list for all), and
            n_members; see ``try_out``.
    """

    says: Says | None
    metrics: pl.DataFrame


def try_out(past: Past, factors: Factors, walk: Walk, champion: Factors | None, k: int) -> Trial:
    """Holds the lists of every source, and of their mix, against what came.

    Segments: all, and of these cold, light and heavy, by the products that a member had met
    (``history_segments``); new_members, of whom nothing was known, by what is popular where she
    is; new_products, a fifth of the catalogue ranked by a model that learnt without them, from
    their tags alone (content), beside what is popular in their tags (the baseline there).

    Args:
        past: the shop at the cut.
        factors: ALS of what lay before the cut.
        walk: the random walk of the same.
        champion: the published model's fit to what lay before the cut; None if there is none.
        k: length of the lists.
    """
    learnt, measured = halves(past.truth())
    learnt, measured = evenly(learnt, _MEMBERS_TRIED), evenly(measured, _MEMBERS_TRIED)
    matrix = past.matrix()
    cold = [_of_new_members(past, matrix.product_ids, k)]
    if measured.is_empty():
        return Trial(None, cold[0])
    cold.append(_of_new_products(past, measured, factors.settings, k))
    tried = pl.concat([learnt, measured])["member_id"].unique().sort()
    theirs = past.history.join(tried.to_frame(), on="member_id", how="semi")
    n_met = products_met(theirs)
    longest = CANDIDATES * k + cast(int, n_met["n_met"].max())
    popular = Popular.of(past.members, past.history, past.product_tags, matrix.product_ids, longest)
    lists = {
        "als": unseen_lists(factors.of_members(tried.to_numpy()), matrix, CANDIDATES * k),
        "similar": unseen_lists(walk.of_members(tried.to_numpy()), matrix, CANDIDATES * k),
        **popular.lists(
            tried.to_frame(), _member_tags(past, tried.to_frame()), theirs, CANDIDATES * k
        ),
    }
    says = _learnt(lists, n_met, learnt, k) if len(learnt) else None
    mix = says or Says()
    lists["blend"] = give_way(*_two_lists(lists, mix), n_met, k, mix.half)
    if champion is not None:
        known = champion.of_products(matrix.product_ids).of_members(tried.to_numpy())
        lists["champion"] = unseen_lists(known, matrix, k)
    plain = popular_products(past.history, tried.to_numpy(), matrix.product_ids)
    of_known = compare(
        lists,
        unseen_lists(plain, matrix, k),
        measured,
        k,
        len(matrix.product_ids),
        seen=past.history,
        product_tags=past.product_tags,
        segments=history_segments(theirs, tried),
    )
    return Trial(says, pl.concat([of_known, *cold]))


def _member_tags(past: Past, members: pl.DataFrame) -> pl.DataFrame:
    """What members cared for by then, in the order of tags.member_tags: member_id, tag, score.

    Her tie to a tag, moved towards the shop's share of it; that table's share but for one number
    per member. Sensitive tags are left out, as from the lists.
    """
    tied = past.history.join(past.product_tags, on="product_id").select(
        "member_id", "tag", "is_sensitive", weight=pl.col("weight") * pl.col("score")
    )
    of_shop = summed(tied, "tag")
    prior = past.prior_weight / max(fsum(of_shop["weight"].to_list()), np.finfo(np.float64).tiny)
    hers = tied.filter(~pl.col("is_sensitive")).join(members, on="member_id", how="semi")
    return (
        summed(hers, "member_id", "tag")
        .join(of_shop.rename({"weight": "of_shop"}), on="tag")
        .select("member_id", "tag", score=pl.col("weight") + prior * pl.col("of_shop"))
    )


def _learnt(
    lists: Mapping[str, pl.DataFrame], n_met: pl.DataFrame, truth: pl.DataFrame, k: int
) -> Says:
    hers = truth.select("member_id").unique()
    known = {name: ranked.join(hers, on="member_id", how="semi") for name, ranked in lists.items()}
    weights = best_weights({name: known[name] for name in _OF_TASTE}, truth, k)
    says = Says(**asdict(weights))
    taste, popular = _two_lists(known, says)
    return replace(says, half=learnt_half(taste, popular, n_met, truth, k))


def _two_lists(lists: Mapping[str, pl.DataFrame], says: Says) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What taste proposes and what is popular, as long as the lists they are made of."""
    n = max(cast(int | None, ranked["rank"].max()) or 1 for ranked in lists.values())
    taste = {name: lists[name] for name in _OF_TASTE}
    popular = {name: lists[name] for name in ("content", "popular")}
    weights = {"als": says.als, "similar": says.similar}
    return fuse(taste, weights, n), popular_fused(popular, n)


def _of_new_members(past: Past, product_ids: NDArray[np.str_], k: int) -> pl.DataFrame:
    """Members of whom nothing was known: what is popular where she is."""
    truth = evenly(past.first_truth(), _MEMBERS_TRIED)
    if truth.is_empty():
        return pl.DataFrame(schema=COMPARED)
    members = truth.select("member_id").unique().sort("member_id")
    nothing = pl.DataFrame(schema=_PAIRS)
    no_tags = _member_tags(past, members.clear())
    popular = Popular.of(past.members, past.history, past.product_tags, product_ids, k)
    plain = popular_products(past.history, members["member_id"].to_numpy(), product_ids)
    return _in_segment(
        "new_members",
        past,
        {"popular": popular.lists(members, no_tags, nothing, k)["popular"]},
        factor_lists(plain, pairs_of(plain, nothing), k),
        truth,
        k,
        len(product_ids),
    )


def _of_new_products(
    past: Past, truth: pl.DataFrame, settings: AlsSettings, k: int
) -> pl.DataFrame:
    """Products that a model has not learnt from, by their tags."""
    tagged = past.product_tags["product_id"].unique().sort()
    hidden = tagged.filter(pl.Series([_is_hidden(name) for name in tagged], dtype=pl.Boolean))
    is_hidden = pl.col("product_id").is_in(hidden.implode())
    left = past.history.filter(~is_hidden)
    truth = truth.filter(is_hidden).join(left, on="member_id", how="semi")
    if truth.is_empty():
        return pl.DataFrame(schema=COMPARED)
    members = truth["member_id"].unique().sort().to_numpy()
    known = fit(replace(past, history=left).matrix(), replace(settings, iterations=_ITERATIONS))
    new = foretold(known, left, past.product_tags, ids_of(hidden)).of_members(members)
    plain = popular_by_tags(left, past.product_tags, members, new.product_ids)
    met = past.history.filter(is_hidden)
    return _in_segment(
        "new_products",
        past,
        {"content": factor_lists(new, pairs_of(new, met), k)},
        factor_lists(plain, pairs_of(plain, met), k),
        truth,
        k,
        len(hidden),
    )


def _in_segment(
    name: str,
    past: Past,
    models: Mapping[str, pl.DataFrame],
    baseline: pl.DataFrame,
    truth: pl.DataFrame,
    k: int,
    n_products: int,
) -> pl.DataFrame:
    compared = compare(
        models,
        baseline,
        truth,
        k,
        n_products,
        seen=past.history,
        product_tags=past.product_tags,
    )
    return compared.with_columns(segment=pl.lit(name)).select(COMPARED.names())


def _is_hidden(product_id: str) -> bool:
    """By the name alone: the same products every day. Other ones than are held out in fitting."""
    return crc32(product_id.encode()) // _HIDDEN % _HIDDEN == 0
