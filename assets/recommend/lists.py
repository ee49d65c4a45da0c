"""The lists: the best products for every member, after the shop's rules, each with a reason."""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend import cold_members
from assets.recommend.als import Factors
from assets.recommend.blend import factor_lists, fuse, walk_lists
from assets.recommend.cold_products import TagFactors
from assets.recommend.matrix import CsrMatrix, ids_of, positions, sparse
from assets.recommend.random_walk import Walk
from assets.recommend.reasons import explain_tags, explain_taste, explain_walk
from assets.recommend.rules import arrange, barred, on_offer

# So many candidates per place leave the rules something to choose from.
_CANDIDATES = 4
# Beside a model of taste that has seen the product's members, what its tags foretell.
_SAY_OF_TAGS = 0.5
# Her own tags come before what is popular where she is.
_SAYS_OF_POPULAR = {"content": 2.0, "popular": 1.0}
# Where a member's taste is unknown, what she shares with others, the most telling first.
_TRAITS = ("channel", "country")
_PAIRS = ("member_id", "product_id")


@dataclass(frozen=True)
class ListSettings:
    """The shop's rules, and what each model has to say.

    Attributes:
        length: products of a list, at least 1.
        als, similar: weights of the two models of taste in their fusion.
        half: events of a member after which taste says as much as popularity.
        per_category: products of one category in a list, unless nothing else is left.
        diversity: how much a product loses for being like one above it, 0 to 1.
        new_share: share of the places for products that nobody has met yet, 0 to 1.
    """

    length: int = 20
    als: float = 1.0
    similar: float = 1.0
    half: float = 1.0
    per_category: int = 3
    diversity: float = 0.1
    new_share: float = 0.05


@dataclass(frozen=True, eq=False)
class Shop:
    """What lists are made from.

    Attributes:
        members: member_id, channel, country: whom to make lists for.
        history: member_id, product_id, weight (decayed), n_views, n_carts, n_orders, n_shares,
            last_ordered_at (null where never).
        products: product_id, kind, title, category, stock (null where it is not counted),
            is_hidden, repurchase_days (null where it is not bought again).
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
    catalogue = on_offer(shop.products)
    tags = shop.product_tags.join(catalogue, on="product_id", how="semi")
    never = barred(shop.history, shop.products, as_of)
    width = _CANDIDATES * settings.length
    taste = _by_taste(shop, factors, walk, catalogue, tags, never, width, settings)
    popular = _by_popularity(shop, catalogue, tags, never, width)
    n_events = shop.history.group_by("member_id").agg(
        n_events=pl.sum_horizontal("n_views", "n_carts", "n_orders", "n_shares").sum()
    )
    candidates = cold_members.give_way(taste, popular, n_events, width, settings.half)
    chosen = arrange(
        candidates,
        catalogue.select(
            "product_id",
            "category",
            is_new=~pl.col("product_id").is_in(pl.Series(factors.product_ids).implode()),
        ),
        settings.length,
        product_ids=factors.product_ids,
        vectors=factors.product_factors,
        diversity=settings.diversity,
        new_share=settings.new_share,
        per_category=settings.per_category,
    )
    return _explained(chosen, shop, factors, walk, tags)


def _by_taste(
    shop: Shop,
    factors: Factors,
    walk: Walk,
    catalogue: pl.DataFrame,
    tags: pl.DataFrame,
    never: pl.DataFrame,
    width: int,
    settings: ListSettings,
) -> pl.DataFrame:
    """What the models propose to those whom they know."""
    members = shop.members["member_id"].to_numpy()
    offered = ids_of(catalogue["product_id"])
    by_factors, by_walk = factors.of_members(members), walk.of_members(members)
    lists = {
        "als": factor_lists(
            by_factors, _pairs(by_factors, never), width, np.isin(factors.product_ids, offered)
        ),
        "similar": walk_lists(
            by_walk, _pairs(by_walk, never), width, np.isin(walk.product_ids, offered)
        ),
        "content": _new_products(by_factors, shop.history, tags, offered, settings.length),
    }
    most = max(settings.als, settings.similar)
    weights = {
        "als": settings.als,
        "similar": settings.similar,
        "content": _SAY_OF_TAGS * most,
    }
    return fuse(lists, weights, width)


def _new_products(
    by_factors: Factors,
    history: pl.DataFrame,
    tags: pl.DataFrame,
    offered: NDArray[np.str_],
    n: int,
) -> pl.DataFrame:
    """The n best of the products without any history, by the vectors that their tags foretell."""
    told = np.intersect1d(offered, ids_of(tags["product_id"].unique()))
    cold = np.setdiff1d(told, by_factors.product_ids)
    met = history.filter(pl.col("weight") > 0).group_by("product_id").len()
    counts = np.zeros(len(by_factors.product_ids), dtype=np.int64)
    place = positions(by_factors.product_ids, ids_of(met["product_id"]))
    counts[place[place >= 0]] = met["len"].to_numpy()[place >= 0]
    foretold = TagFactors.fit(
        tags, by_factors.product_ids, by_factors.product_factors, counts
    ).predict(tags, cold)
    model = replace(by_factors, product_ids=cold, product_factors=foretold)
    shape = (len(model.member_ids), len(cold))
    nothing = sparse(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), shape)
    return factor_lists(model, nothing, n)


def _by_popularity(
    shop: Shop, catalogue: pl.DataFrame, tags: pl.DataFrame, never: pl.DataFrame, width: int
) -> pl.DataFrame:
    """What is popular in her favourite tags, then where she is; source tells which."""
    members = shop.members.unique("member_id").sort("member_id")
    offered = ids_of(catalogue["product_id"])
    segments = cold_members.member_segments(members, _TRAITS)
    # Room for what one member is barred from.
    longest = width + int(never.group_by("member_id").len()["len"].max() or 0)  # pyright: ignore[reportArgumentType]
    in_segments = cold_members.popular_in_segments(
        segments,
        cold_members.segment_lists(shop.history, segments, offered, longest),
        never,
        width,
    )
    hers = shop.member_tags.join(members, on="member_id", how="semi")
    in_tags = cold_members.popular_in_favourite_tags(
        hers, cold_members.tag_lists(shop.history, tags, offered, longest), never, width
    )
    return fuse({"content": in_tags, "popular": in_segments}, _SAYS_OF_POPULAR, width)


def _explained(
    chosen: pl.DataFrame, shop: Shop, factors: Factors, walk: Walk, tags: pl.DataFrame
) -> pl.DataFrame:
    """The lists with a reason for each product, by its source."""
    titles = shop.products.select(
        "product_id", title=pl.coalesce("title", "product_id").str.strip_chars()
    )
    touched = shop.history.filter(pl.col("weight") > 0).select("product_id").unique()
    by_source = {
        source: chosen.filter(pl.col("source") == source)
        for source in ("als", "similar", "content", "popular")
    }
    return pl.concat(
        [
            explain_taste(by_source["als"], factors, shop.history, titles),
            explain_walk(by_source["similar"], walk, shop.history, titles),
            explain_tags(by_source["content"], tags, shop.member_tags),
            by_source["popular"].with_columns(
                reason=pl.when(pl.col("product_id").is_in(touched["product_id"].implode()))
                .then(pl.lit("popular with members like you"))
                .otherwise(pl.lit("in the catalogue, waiting to be discovered")),
            ),
        ]
    ).sort("member_id", "rank")


def _pairs(model: Factors | Walk, pairs: pl.DataFrame) -> CsrMatrix:
    """The pairs that a model knows, as a matrix aligned with it."""
    row = positions(model.member_ids, pairs["member_id"].to_numpy())
    pairs, row = pairs.filter(pl.Series(row >= 0)), row[row >= 0]
    column = positions(model.product_ids, ids_of(pairs["product_id"]))
    row, column = row[column >= 0], column[column >= 0]
    shape = (len(model.member_ids), len(model.product_ids))
    return sparse(row, column, np.ones(len(row), dtype=np.float32), shape)
