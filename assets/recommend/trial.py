"""Every source of lists, tried on what came after a cut.

What members met for the first time after the cut is the truth. Half of the members serve to learn
settings and the mix, the others to measure: no figure is of a member who had a say in what it
measures. The lists as they are served are tried in ``serving``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import fsum
from typing import cast
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend.als import AlsSettings, Factors, fit
from assets.recommend.blend import factor_lists, pairs_of
from assets.recommend.draws import mixed
from assets.recommend.evaluation import COMPARED, compare, evenly, history_segments, new_pairs
from assets.recommend.lists import Shop
from assets.recommend.matrix import InteractionMatrix, ids_of
from assets.recommend.popularity import popular_by_tags, popular_products, summed
from assets.recommend.random_walk import Walk
from assets.recommend.rules import on_offer
from assets.recommend.sources import Popular, foretold, products_met
from assets.recommend.tuning import unseen_lists

# Every fifth product is hidden from a model to see what its tags alone foretell. Few iterations
# tell as much of that as many.
_HIDDEN = 5
_ITERATIONS = 5
# Enough to tell models and mixes apart that a shop would tell apart.
_MEMBERS_TRIED = 4_000
_PAIRS = pl.Schema({"member_id": pl.Int64, "product_id": pl.String})


@dataclass(frozen=True, eq=False)
class Past:
    """The shop as it was at a cut, and what came of it.

    Attributes:
        members: member_id, channel, country: whom lists are made for.
        history: member_id, product_id, weight (as at the cut), n_order_days, first_ordered_at,
            last_ordered_at (null where never ordered by then), each pair once; of others than
            these members too.
        later: member_id, product_id after the cut, each pair once.
        products: as for ``Shop``.
        product_tags: product_id, tag, score (0 to 1), is_sensitive.
        prior_weight: how much a member must have done to be believed against the shop's average.
        cut: the instant, in the time zone of last_ordered_at.
        repurchase_days: as for ``Shop``.
        learns_repurchase: as for ``Shop``.
        horizon_days: from the cut to the end of ``later``.
    """

    members: pl.DataFrame
    history: pl.DataFrame
    later: pl.DataFrame
    products: pl.DataFrame
    product_tags: pl.DataFrame
    prior_weight: float
    cut: datetime
    repurchase_days: int | None
    learns_repurchase: bool
    horizon_days: int

    def met(self) -> pl.DataFrame:
        """The ties that say something in a member's favour: member_id, product_id, weight."""
        return self.history.filter(pl.col("weight") > 0)

    def matrix(self) -> InteractionMatrix:
        """What the models may learn from."""
        met = self.met()
        return InteractionMatrix.from_pairs(
            met["member_id"].to_numpy(), met["product_id"], met["weight"]
        )

    def truth(self) -> pl.DataFrame:
        """member_id, product_id: what known members met first after the cut, of what was known."""
        return new_pairs(self.met(), self._listable())

    def first_truth(self) -> pl.DataFrame:
        """The same of members of whom nothing was known."""
        return self._listable().join(self.met(), on="member_id", how="anti")

    def whole_truth(self) -> pl.DataFrame:
        """member_id, product_id: all that members came to after the cut and that is on offer."""
        return (
            self.later.join(self.members, on="member_id", how="semi")
            .join(on_offer(self.products), on="product_id", how="semi")
            .sort(_PAIRS.names())
        )

    def shop(self, member_ids: pl.Series) -> Shop:
        """The shop at the cut as lists are made from it, for some members.

        What is popular where members are is found among all of them; their tags are of these.
        """
        return Shop(
            self.members,
            self.history,
            self.products,
            self.product_tags,
            self.member_tags(member_ids),
            self.cut,
            self.repurchase_days,
            self.learns_repurchase,
            self.horizon_days,
        )

    def member_tags(self, member_ids: pl.Series) -> pl.DataFrame:
        """What members cared for by then, as in tags.member_tags: member_id, tag, score.

        A member's tie to a tag, moved towards the shop's share of it; that table's share but for
        one number per member. Sensitive tags are left out, as from the lists.
        """
        tied = (
            self.met()
            .join(self.product_tags, on="product_id")
            .select("member_id", "tag", "is_sensitive", weight=pl.col("weight") * pl.col("score"))
        )
        of_shop = summed(tied, "tag")
        prior = self.prior_weight / (fsum(of_shop["weight"].to_list()) or 1.0)
        members = pl.DataFrame({"member_id": member_ids}, schema={"member_id": pl.Int64})
        of_members = tied.filter(~pl.col("is_sensitive")).join(members, on="member_id", how="semi")
        return (
            summed(of_members, "member_id", "tag")
            .join(of_shop.rename({"weight": "of_shop"}), on="tag")
            .select("member_id", "tag", score=pl.col("weight") + prior * pl.col("of_shop"))
        )

    def _listable(self) -> pl.DataFrame:
        return self.later.join(self.members, on="member_id", how="semi").join(
            self.met(), on="product_id", how="semi"
        )


def halves(truth: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The truth of half of the members, to learn from, and that of the others, to measure by.

    Which half a member is in hangs on the id alone: settings learnt one night live on, and who
    taught them must not be measured on another.
    """
    drawn = mixed(truth["member_id"].to_numpy().astype(np.int64).view(np.uint64))
    is_learnt = pl.Series(drawn % 2 == 1)
    return truth.filter(is_learnt), truth.filter(~is_learnt)


def try_sources(
    past: Past, factors: Factors, walk: Walk, champion: Factors | None, k: int
) -> pl.DataFrame:
    """Holds the lists of every source against what members came to that they had not met.

    Segments: all, and of these cold, light and heavy, by the products that a member had met
    (``history_segments``); new_members, of whom nothing was known, by what is popular where they
    are; new_products, a fifth of the catalogue ranked by a model that learnt without them, from
    their tags alone (content), beside what is popular in their tags (the baseline there).

    Args:
        past: the shop at the cut.
        factors: ALS of what lay before the cut.
        walk: the random walk of the same.
        champion: the published model's fit to what lay before the cut; None if there is none.
        k: length of the lists.

    Returns:
        model (als, similar, content, popular, champion), segment, metric (the names of
        ``Evaluation``), k, value, baseline (popularity, the same list for all), n_members.
    """
    _, measured = halves(past.truth())
    measured = evenly(measured, _MEMBERS_TRIED)
    matrix = past.matrix()
    cold = [_of_new_members(past, matrix.product_ids, k)]
    if measured.is_empty():
        return cold[0]
    cold.append(_of_new_products(past, measured, factors.settings, k))
    tried = measured["member_id"].unique().sort()
    theirs = past.met().join(tried.to_frame(), on="member_id", how="semi")
    longest = k + cast(int, products_met(theirs)["n_met"].max())
    popular = Popular.of(past.members, past.met(), past.product_tags, matrix.product_ids, longest)
    nothing = pl.DataFrame(schema=_PAIRS)
    lists = {
        "als": unseen_lists(factors.of_members(tried.to_numpy()), matrix, k),
        "similar": unseen_lists(walk.of_members(tried.to_numpy()), matrix, k),
        **popular.lists(
            tried.to_frame(), past.member_tags(tried), theirs, nothing, k, ("content", "popular")
        ),
    }
    if champion is not None:
        known = champion.of_products(matrix.product_ids).of_members(tried.to_numpy())
        lists["champion"] = unseen_lists(known, matrix, k)
    plain = popular_products(past.met(), tried.to_numpy(), matrix.product_ids)
    of_known = compare(
        lists,
        unseen_lists(plain, matrix, k),
        measured,
        k,
        len(matrix.product_ids),
        seen=past.met(),
        product_tags=past.product_tags,
        segments=history_segments(theirs, tried),
    )
    return pl.concat([of_known, *cold])


def _of_new_members(past: Past, product_ids: NDArray[np.str_], k: int) -> pl.DataFrame:
    """Members of whom nothing was known: what is popular where she is."""
    truth = evenly(past.first_truth(), _MEMBERS_TRIED)
    if truth.is_empty():
        return pl.DataFrame(schema=COMPARED)
    members = truth.select("member_id").unique().sort("member_id")
    nothing = pl.DataFrame(schema=_PAIRS)
    no_tags = past.member_tags(members["member_id"].clear())
    popular = Popular.of(past.members, past.met(), past.product_tags, product_ids, k)
    plain = popular_products(past.met(), members["member_id"].to_numpy(), product_ids)
    return _in_segment(
        "new_members",
        past,
        {"popular": popular.lists(members, no_tags, nothing, nothing, k, ("popular",))["popular"]},
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
    left = past.met().filter(~is_hidden)
    truth = truth.filter(is_hidden).join(left, on="member_id", how="semi")
    if truth.is_empty():
        return pl.DataFrame(schema=COMPARED)
    members = truth["member_id"].unique().sort().to_numpy()
    known = fit(replace(past, history=left).matrix(), replace(settings, iterations=_ITERATIONS))
    new = foretold(known, left, past.product_tags, ids_of(hidden)).of_members(members)
    plain = popular_by_tags(left, past.product_tags, members, new.product_ids)
    met = past.met().filter(is_hidden)
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
        seen=past.met(),
        product_tags=past.product_tags,
    )
    return compared.with_columns(segment=pl.lit(name)).select(COMPARED.names())


def _is_hidden(product_id: str) -> bool:
    """By the name alone: the same products every day. Other ones than are held out in fitting."""
    return crc32(product_id.encode()) // _HIDDEN % _HIDDEN == 0
