"""The lists: the best products for every member, after the shop's rules, each with a reason."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend.als import Factors
from assets.recommend.blend import factor_lists, fuse, pairs_of, walk_lists
from assets.recommend.cold_members import give_way
from assets.recommend.matrix import ids_of
from assets.recommend.random_walk import Walk
from assets.recommend.reasons import explain_tags, explain_taste, explain_walk
from assets.recommend.rules import arrange, barred, on_offer
from assets.recommend.sources import (
    CANDIDATES,
    Popular,
    Says,
    foretold,
    members_met,
    popular_fused,
    products_met,
)

# Members at a time: bounds the memory by their candidates, whatever the shop's size.
_BLOCK_MEMBERS = 1 << 16
# Beside a model of taste that has seen the product's members, what its tags foretell.
_SAY_OF_TAGS = 0.5
_PAIRS = ("member_id", "product_id")


@dataclass(frozen=True)
class ListSettings:
    """The shop's rules, and what each source has to say.

    Attributes:
        length: products of a list, at least 1.
        says: of the sources.
        per_category: products of one category in a list, unless nothing else is left.
        diversity: how much a product loses for being like one above it, 0 to 1.
        new_share: share of the places for products that nobody has met yet, 0 to 1.
    """

    length: int
    says: Says
    per_category: int
    diversity: float
    new_share: float


@dataclass(frozen=True, eq=False)
class Shop:
    """What lists are made from.

    Attributes:
        members: member_id, channel, country: whom to make lists for.
        history: member_id, product_id, weight (decayed), n_views, n_carts, n_orders, n_shares,
            last_ordered_at (null where never).
        products: product_id, kind, title, category, stock (null where it is not counted),
            is_hidden, is_sensitive (no reason names it), repurchase_days (null where it is not
            bought again).
        product_tags: product_id, tag, score (0 to 1).
        member_tags: member_id, tag, score.
    """

    members: pl.DataFrame
    history: pl.DataFrame
    products: pl.DataFrame
    product_tags: pl.DataFrame
    member_tags: pl.DataFrame


def recommend_lists(
    shop: Shop, factors: Factors, walk: Walk, as_of: datetime, settings: ListSettings
) -> pl.DataFrame:
    """The list of every member: exactly as many products as asked for, if the catalogue has them.

    Never listed are content, hidden products, products out of stock, and what she ordered less
    than ``repurchase_days`` ago (for good where a product has none: it is bought once).

    Two models of taste propose, ``als`` and ``similar`` (the random walk), and for products that
    nobody has met their tags do (``content``). For members of whom little is known, what is
    popular in their favourite tags (``content``) and where they are (``popular``) counts more.
    The rules then choose: see ``arrange``. A score is a sum of shares of places, comparable
    within one member's list.

    Args:
        shop: members, history, products and tags.
        factors: the published ALS model.
        walk: the random walk over all of the history.
        as_of: the instant of the recommendation, in the time zone of last_ordered_at.
        settings: rules and weights.

    Returns:
        member_id, rank (from 1), product_id, score, source, reason (English, said to the
        member); one row per member and rank, ordered by both.
    """
    offer = _Offer.of(shop, factors, as_of, settings)
    ids = np.unique(shop.members["member_id"].to_numpy())
    found = [
        _lists_of(ids[start : start + _BLOCK_MEMBERS], shop, offer, factors, walk, settings)
        for start in range(0, max(len(ids), 1), _BLOCK_MEMBERS)
    ]
    return pl.concat(found)


@dataclass(frozen=True, eq=False)
class _Offer:
    """What is the same for all members.

    Attributes:
        catalogue: what may be listed: product_id, category, is_new (nobody has met it).
        tags: of these products.
        never: pairs that may not be listed.
        new: vectors of the new products, foretold from their tags.
        popular: in lists that are longer than a member's by what she is barred from.
        n_members: how many have met each product of the model.
    """

    catalogue: pl.DataFrame
    tags: pl.DataFrame
    never: pl.DataFrame
    new: Factors
    popular: Popular
    n_members: NDArray[np.int64]

    @classmethod
    def of(cls, shop: Shop, factors: Factors, as_of: datetime, settings: ListSettings) -> "_Offer":
        is_new = ~pl.col("product_id").is_in(pl.Series(factors.product_ids).implode())
        catalogue = on_offer(shop.products).select("product_id", "category", is_new=is_new)
        tags = shop.product_tags.join(catalogue, on="product_id", how="semi")
        never = barred(shop.history, shop.products, as_of)
        offered = ids_of(catalogue["product_id"])
        n_barred = never.group_by("member_id").len()["len"].to_numpy()
        longest = CANDIDATES * settings.length + int(n_barred.max(initial=0))
        return cls(
            catalogue,
            tags,
            never,
            foretold(factors, shop.history, tags, offered),
            Popular.of(shop.members, shop.history, tags, offered, longest),
            members_met(shop.history, factors.product_ids),
        )


def _lists_of(
    ids: NDArray[np.int64],
    shop: Shop,
    offer: _Offer,
    factors: Factors,
    walk: Walk,
    settings: ListSettings,
) -> pl.DataFrame:
    """The lists of some members, ascending."""
    members = pl.DataFrame({"member_id": ids}, schema={"member_id": pl.Int64})
    history = shop.history.join(members, on="member_id", how="semi")
    never = offer.never.join(members, on="member_id", how="semi")
    hers = shop.member_tags.join(members, on="member_id", how="semi")
    width = CANDIDATES * settings.length
    taste = _by_taste(ids, offer, never, factors, walk, width, settings)
    popular = popular_fused(offer.popular.lists(members, hers, never, width), width)
    candidates = give_way(taste, popular, products_met(history), width, settings.says.half)
    # Whose taste has few categories is offered others before one of hers stands too often.
    behind = popular.join(candidates, on=_PAIRS, how="anti").with_columns(pl.col("rank") + width)
    chosen = arrange(
        pl.concat([candidates, behind]),
        offer.catalogue,
        settings.length,
        product_ids=factors.product_ids,
        vectors=factors.product_factors,
        diversity=settings.diversity,
        new_share=settings.new_share,
        per_category=settings.per_category,
    )
    return _explained(chosen, shop, history, hers, factors, walk, offer)


def _by_taste(
    ids: NDArray[np.int64],
    offer: _Offer,
    never: pl.DataFrame,
    factors: Factors,
    walk: Walk,
    width: int,
    settings: ListSettings,
) -> pl.DataFrame:
    """What the models propose to those whom they know."""
    offered = ids_of(offer.catalogue["product_id"])
    by_factors, by_walk = factors.of_members(ids), walk.of_members(ids)
    new = offer.new.of_members(ids)
    says = settings.says
    weights = {
        "als": says.als,
        "similar": says.similar,
        "content": _SAY_OF_TAGS * max(says.als, says.similar),
    }
    lists = {"content": factor_lists(new, pairs_of(new, never), settings.length)}
    if says.als:
        allowed = np.isin(factors.product_ids, offered)
        lists["als"] = factor_lists(by_factors, pairs_of(by_factors, never), width, allowed)
    if says.similar:
        allowed = np.isin(walk.product_ids, offered)
        lists["similar"] = walk_lists(by_walk, pairs_of(by_walk, never), width, allowed)
    # The one that is named first has a product on which two say as much.
    return fuse({name: lists[name] for name in weights if name in lists}, weights, width)


def _explained(
    chosen: pl.DataFrame,
    shop: Shop,
    history: pl.DataFrame,
    member_tags: pl.DataFrame,
    factors: Factors,
    walk: Walk,
    offer: _Offer,
) -> pl.DataFrame:
    """The lists with a reason for each product, by its source."""
    titles = shop.products.select(
        "product_id",
        title=pl.when(~pl.col("is_sensitive")).then(
            pl.coalesce("title", "product_id").str.strip_chars()
        ),
    )
    new = offer.catalogue.filter("is_new")["product_id"]
    touched = shop.history.filter(pl.col("weight") > 0).select("product_id").unique()
    by_source = {
        source: chosen.filter(pl.col("source") == source)
        for source in ("als", "similar", "content", "popular")
    }
    return pl.concat(
        [
            explain_taste(by_source["als"], factors, history, titles, offer.n_members),
            explain_walk(by_source["similar"], walk, history, titles),
            explain_tags(by_source["content"], offer.tags, member_tags, new),
            by_source["popular"].with_columns(
                reason=pl.when(pl.col("product_id").is_in(touched["product_id"].implode()))
                .then(pl.lit("popular with members like you"))
                .otherwise(pl.lit("in the catalogue, waiting to be discovered")),
            ),
        ]
    ).sort("member_id", "rank")
