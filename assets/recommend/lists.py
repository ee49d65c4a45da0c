"""The lists: the best products for every member, after the shop's rules, each with a reason."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend.als import Factors
from assets.recommend.blend import FUSED, LISTS, factor_lists, pairs_of, walk_lists
from assets.recommend.matrix import ids_of
from assets.recommend.mix import Mix, mixed
from assets.recommend.popularity import steadied
from assets.recommend.random_walk import Walk
from assets.recommend.reasons import explain_tags, explain_taste, explain_walk
from assets.recommend.repeats import Habits, due_again, explain_repeats
from assets.recommend.rules import arrange, barred, on_offer
from assets.recommend.sources import CANDIDATES, Popular, foretold, members_met, products_met

# Members at a time: bounds the memory by their candidates, whatever the shop's size.
_BLOCK_MEMBERS = 1 << 16
_PAIRS = ("member_id", "product_id")
SOURCES = ("als", "similar", "new", "repeat", "content", "popular", "popular_in_shop")


@dataclass(frozen=True)
class Rules:
    """How the shop has its lists.

    Attributes:
        length: products of a list, at least 1.
        per_category: products of one category in a list, unless nothing else is left.
        diversity: how much a product loses for being like one above it, 0 to 1.
        new_share: share of the places for products that nobody has met yet, 0 to 1.
    """

    length: int
    per_category: int
    diversity: float
    new_share: float


@dataclass(frozen=True, eq=False)
class Shop:
    """What lists are made from.

    Attributes:
        members: member_id, channel, country: whom to make lists for.
        history: member_id, product_id, weight (decayed), n_order_days, first_ordered_at,
            last_ordered_at (null where never ordered), last_at; for reasons also n_views, n_carts,
            n_orders, n_shares.
        products: product_id, kind, title, category, stock (null where it is not counted),
            is_hidden, is_sensitive (no reason names it), repurchase_days (null where none is
            declared).
        product_tags: product_id, tag, score (0 to 1).
        member_tags: member_id, tag, score.
        as_of: the instant of the recommendation, in the time zone of last_ordered_at.
        repurchase_days: before a product that declares none may be listed again; None: never.
        learns_repurchase: whether a product that is seen to be bought again need not wait so long.
        horizon_days: how far lists look ahead.
    """

    members: pl.DataFrame
    history: pl.DataFrame
    products: pl.DataFrame
    product_tags: pl.DataFrame
    member_tags: pl.DataFrame
    as_of: datetime
    repurchase_days: int | None
    learns_repurchase: bool
    horizon_days: int


@dataclass(frozen=True, eq=False)
class Models:
    """The models of taste: an ALS model that passed its gate, if any, and the random walk."""

    factors: Factors | None
    walk: Walk


@dataclass(frozen=True, eq=False)
class Offer:
    """What may be listed, and what is the same for all members.

    Attributes:
        shop: what it is made of.
        models: of taste.
        length: products of a list.
        catalogue: what may be listed: product_id, category, is_new (nobody has met it).
        tags: of these products.
        never: member_id, product_id that may not be listed.
        had: member_id, product_id that the member has ordered: only ``repeat`` and what is popular
            propose them.
        new: vectors of products the ALS model does not know, foretold from their tags.
        popular: in lists that are longer than a member's by what is left out.
        habits: how often products are bought again.
        again: member_id, rank, product_id, score: what members may buy again.
        recent_days: as of the mix: of how many days that is popular which is popular.
    """

    shop: Shop
    models: Models
    length: int
    catalogue: pl.DataFrame
    tags: pl.DataFrame
    never: pl.DataFrame
    had: pl.DataFrame
    new: Factors | None
    popular: Popular
    habits: Habits
    again: pl.DataFrame
    recent_days: int = 0

    @classmethod
    def of(cls, shop: Shop, models: Models, length: int, recent_days: int = 0) -> "Offer":
        """Applies the rules of availability, and finds what is popular and bought again."""
        met = shop.history.filter(pl.col("weight") > 0)["product_id"].unique()
        catalogue = on_offer(shop.products).select(
            "product_id", "category", is_new=~pl.col("product_id").is_in(met.implode())
        )
        tags = shop.product_tags.join(catalogue, on="product_id", how="semi")
        habits = Habits.of(
            shop.history, shop.products, shop.repurchase_days, learns=shop.learns_repurchase
        )
        never = barred(shop.history, habits.products, shop.as_of)
        had = shop.history.filter(pl.col("last_ordered_at").is_not_null()).select(_PAIRS)
        again = (
            due_again(shop.history, habits, shop.as_of, shop.horizon_days, length)
            .join(catalogue, on="product_id", how="semi")
            .join(never, on=_PAIRS, how="anti")
            .sort("member_id", "score", "product_id", descending=[False, True, False])
            .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("member_id"))
            .filter(pl.col("rank") <= CANDIDATES * length)
        )
        offered = ids_of(catalogue["product_id"])
        factors = models.factors
        return cls(
            shop,
            models,
            length,
            catalogue,
            tags,
            never,
            had,
            None if factors is None else foretold(factors, shop.history, tags, offered),
            _popular(shop, tags, offered, length, recent_days),
            habits,
            again.select(LISTS.names()),
            recent_days,
        )

    def looking_back(self, recent_days: int) -> "Offer":
        """The same, where popular is what members came to in so many days (0: ever)."""
        if recent_days == self.recent_days:
            return self
        offered = ids_of(self.catalogue["product_id"])
        popular = _popular(self.shop, self.tags, offered, self.length, recent_days)
        return replace(self, popular=popular, recent_days=recent_days)

    def proposed(
        self, ids: NDArray[np.int64], mix: Mix | None = None, *, unmet: bool = False
    ) -> dict[str, pl.DataFrame]:
        """What the sources propose to some members, of what each of them may be offered.

        Args:
            ids: whom, ascending.
            mix: whose sources to ask; None: all.
            unmet: whether only what members have not met is proposed, but for ``repeat``.

        Returns:
            By source (als, similar, new, repeat, content, popular, popular_in_shop): member_id,
            rank (from 1), product_id, score. If unmet also ``rest``, what is popular and may have
            been met, to fill lists up.
        """
        wanted = SOURCES if mix is None else mix.sources
        members = pl.DataFrame({"member_id": ids}, schema={"member_id": pl.Int64})
        never, had, tags, again, history = (
            rows.join(members, on="member_id", how="semi")
            for rows in (self.never, self.had, self.shop.member_tags, self.again, self.shop.history)
        )
        shut = pl.concat([never, history.select(_PAIRS)]).unique() if unmet else never
        closed = pl.concat([shut, had]).unique()
        width = CANDIDATES * self.length
        offered = ids_of(self.catalogue["product_id"])
        found = self.popular.lists(members, tags, shut, had, width, wanted)
        if unmet:
            rest = self.popular.lists(members, tags, never, had, width, ("popular_in_shop",))
            found["rest"] = rest["popular_in_shop"]
        factors = self.models.factors
        if factors is not None and "als" in wanted:
            known = factors.of_members(ids)
            allowed = np.isin(factors.product_ids, offered)
            found["als"] = factor_lists(known, pairs_of(known, closed), width, allowed)
        if self.new is not None and "new" in wanted:
            new = self.new.of_members(ids)
            found["new"] = factor_lists(new, pairs_of(new, closed), self.length)
        if "similar" in wanted:
            walk = self.models.walk.of_members(ids)
            allowed = np.isin(walk.product_ids, offered)
            found["similar"] = walk_lists(walk, pairs_of(walk, closed), width, allowed)
        if "repeat" in wanted:
            found["repeat"] = again.sort("member_id", "rank")
        return found

    def n_met(self, ids: NDArray[np.int64]) -> pl.DataFrame:
        """How many products some members have met: member_id, n_met."""
        members = pl.DataFrame({"member_id": ids}, schema={"member_id": pl.Int64})
        history = self.shop.history.join(members, on="member_id", how="semi")
        return members.join(products_met(history), on="member_id", how="left").with_columns(
            pl.col("n_met").fill_null(0)
        )


def _popular(
    shop: Shop,
    tags: pl.DataFrame,
    offered: NDArray[np.str_],
    length: int,
    recent_days: int,
) -> Popular:
    history = steadied(shop.history)
    if recent_days:
        since = pl.lit(shop.as_of - timedelta(days=recent_days))
        history = shop.history.filter((pl.col("weight") > 0) & (pl.col("last_at") >= since))
    closed = shop.history.group_by("member_id").len()
    longest = CANDIDATES * length + int(closed["len"].to_numpy().max(initial=0))
    return Popular.of(shop.members, history, tags, offered, longest)


def listed(
    offer: Offer,
    proposed: Mapping[str, pl.DataFrame],
    n_met: pl.DataFrame,
    mix: Mix,
    rules: Rules,
) -> pl.DataFrame:
    """The lists of some members, as they are served: the one way to them.

    Both the lists of today and those that are measured on the past come from here.

    Args:
        offer: what may be listed.
        proposed: what sources propose, as from ``Offer.proposed``, unmet as the mix has it.
        n_met: member_id, n_met, as from ``Offer.n_met``.
        mix: how much each source says.
        rules: how the shop has its lists.

    Returns:
        member_id, rank (from 1), product_id, score, source; ordered by member and rank.
    """
    width = CANDIDATES * rules.length
    candidates = mixed(proposed, mix, n_met, width, offer.had)
    # A member whose taste has few categories is offered others before one stands too often, and
    # a member who has met most of the catalogue gets a full list.
    for place, name in enumerate((mix.popular, "rest"), start=1):
        if name in proposed:
            behind = proposed[name].join(candidates, on=_PAIRS, how="anti")
            behind = behind.with_columns(pl.col("rank") + place * width, source=pl.lit("popular"))
            candidates = pl.concat([candidates, behind.cast(FUSED)])
    factors = offer.models.factors
    return arrange(
        candidates,
        offer.catalogue,
        rules.length,
        product_ids=np.zeros(0, dtype=np.str_) if factors is None else factors.product_ids,
        vectors=np.zeros((0, 1), dtype=np.float32) if factors is None else factors.product_factors,
        diversity=0.0 if factors is None else rules.diversity,
        new_share=rules.new_share,
        per_category=rules.per_category,
    )


def recommend_lists(shop: Shop, models: Models, mix: Mix, rules: Rules) -> pl.DataFrame:
    """The list of every member: exactly as many products as asked for, if the catalogue has them.

    Never listed are content, hidden products, products out of stock, and what the member ordered
    too recently to want it again (``Habits``). Sources propose, a mix weighs them (``Mix``), the
    rules choose (``arrange``). A score is a sum of shares of places, comparable within one
    member's list.

    Args:
        shop: members, history, products and tags.
        models: of taste.
        mix: how much each source says.
        rules: how the shop has its lists.

    Returns:
        member_id, rank (from 1), product_id, score, source, reason (English, said to the
        member); one row per member and rank, ordered by both.
    """
    offer = Offer.of(shop, models, rules.length, mix.recent_days)
    ids = np.unique(shop.members["member_id"].to_numpy())
    found: list[pl.DataFrame] = []
    for start in range(0, max(len(ids), 1), _BLOCK_MEMBERS):
        some = ids[start : start + _BLOCK_MEMBERS]
        proposed = offer.proposed(some, mix, unmet=mix.unmet)
        chosen = listed(offer, proposed, offer.n_met(some), mix, rules)
        found.append(_explained(chosen, offer))
    return pl.concat(found)


def _explained(chosen: pl.DataFrame, offer: Offer) -> pl.DataFrame:
    """The lists with a reason for each product, by its source."""
    shop, models = offer.shop, offer.models
    history, member_tags = (
        rows.join(chosen, on="member_id", how="semi") for rows in (shop.history, shop.member_tags)
    )
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
        for source in ("als", "similar", "content", "popular", "repeat")
    }
    had, popular = offer.had, by_source["popular"]
    again = pl.concat([by_source["repeat"], popular.join(had, on=_PAIRS, how="semi")])
    explained = [
        explain_walk(by_source["similar"], models.walk, history, titles),
        explain_tags(by_source["content"], offer.tags, member_tags, new),
        explain_repeats(again, history, shop.as_of),
        popular.join(had, on=_PAIRS, how="anti").with_columns(
            reason=pl.when(pl.col("product_id").is_in(touched["product_id"].implode()))
            .then(pl.lit("popular with members like you"))
            .otherwise(pl.lit("in the catalogue, waiting to be discovered")),
        ),
    ]
    if models.factors is not None:
        n_members = members_met(shop.history, models.factors.product_ids)
        explained.append(
            explain_taste(by_source["als"], models.factors, history, titles, n_members)
        )
    return pl.concat(explained).sort("member_id", "rank")
