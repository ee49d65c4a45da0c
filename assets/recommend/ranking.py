"""The lists: the best products for every member, after the shop's rules, each with a reason.

Whatever can score products for members is a scorer; one function ranks for any of them, in
blocks, so that no matrix of all members by all products is ever held.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend.als import Factors
from assets.recommend.matrix import CsrMatrix, positions, sparse

_BLOCK_SCORES = 1 << 22
_FAVOURITE_TAGS = 3
_STRONGEST_PRODUCTS = 10
_PAIRS = ("member_id", "product_id")
_LISTS = pl.Schema(
    {
        "member_id": pl.Int64,
        "rank": pl.Int32,
        "product_id": pl.String,
        "score": pl.Float64,
    }
)


class Scorer(Protocol):
    """Scores every product for every member, a run of members at a time."""

    @property
    def member_ids(self) -> NDArray[np.int64]:
        """Members in ascending order, shape (n_members,)."""
        ...

    @property
    def product_ids(self) -> NDArray[np.str_]:
        """Products in ascending order, shape (n_products,)."""
        ...

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """A new array of shape (stop - start, n_products); -inf where it has nothing to say."""
        ...


@dataclass(frozen=True, eq=False)
class Popularity:
    """The same scores for everybody.

    Attributes:
        member_ids: ascending, shape (n_members,).
        product_ids: ascending, shape (n_products,).
        popularity: shape (n_products,).
    """

    member_ids: NDArray[np.int64]
    product_ids: NDArray[np.str_]
    popularity: NDArray[np.float32]

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """Popularity, once per member; shape (stop - start, n_products)."""
        return np.tile(self.popularity, (stop - start, 1))


@dataclass(frozen=True, eq=False)
class TagPopularity:
    """Popularity within each member's favourite tags.

    Attributes:
        member_ids: ascending, shape (n_members,).
        product_ids: ascending, shape (n_products,).
        taste: how much a member cares for a tag, shape (n_members, n_tags).
        popularity: how popular a product is within a tag, shape (n_tags, n_products).
    """

    member_ids: NDArray[np.int64]
    product_ids: NDArray[np.str_]
    taste: CsrMatrix
    popularity: CsrMatrix

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """Taste times popularity, summed over tags; -inf without a tag in common."""
        scores = (self.taste[start:stop] @ self.popularity).toarray()
        scores[scores == 0] = -np.inf
        return scores


def popular_products(
    history: pl.DataFrame, member_ids: NDArray[np.int64], product_ids: NDArray[np.str_]
) -> Popularity:
    """Ranks by the weight that all members together give to a product: the baseline.

    Args:
        history: product_id, weight; weights of 0 and less do not count.
        member_ids: whom to rank for, ascending, shape (n_members,).
        product_ids: what to rank, ascending, shape (n_products,).
    """
    total = (
        history.filter(pl.col("weight") > 0)
        .sort("product_id", "weight")
        .group_by("product_id", maintain_order=True)
        .agg(pl.col("weight").sum())
    )
    place = positions(product_ids, _names(total["product_id"]))
    popularity = np.zeros(len(product_ids), dtype=np.float32)
    popularity[place[place >= 0]] = total["weight"].to_numpy()[place >= 0]
    return Popularity(member_ids, product_ids, popularity)


def popular_in_tags(
    member_tags: pl.DataFrame, product_tags: pl.DataFrame, popularity: Popularity
) -> TagPopularity:
    """Ranks by popularity within the three tags that a member likes best.

    The most popular product of a tag counts 1 within it, so that a small tag that she loves is
    not drowned by a large one that she tolerates.

    Args:
        member_tags: member_id, tag, score.
        product_tags: product_id, tag, score (0 to 1, how surely the product carries the tag).
        popularity: members and products to rank, and how popular the products are.
    """
    members, products = popularity.member_ids, popularity.product_ids
    tags = _names(product_tags["tag"].unique().sort())
    row = positions(products, _names(product_tags["product_id"]))
    carried = product_tags.with_columns(column=pl.Series(row)).filter(pl.col("column") >= 0)
    tag = positions(tags, _names(carried["tag"]))
    column = carried["column"].to_numpy()
    within = popularity.popularity[column] * carried["score"].to_numpy()
    best = np.zeros(len(tags), dtype=np.float64)
    np.maximum.at(best, tag, within)
    within = np.divide(within, best[tag], out=np.zeros(len(tag)), where=best[tag] > 0)

    favourites = _favourites(
        member_tags.join(
            pl.DataFrame({"member_id": members}, schema={"member_id": pl.Int64}),
            on="member_id",
            how="semi",
        ),
        product_tags,
    )
    return TagPopularity(
        members,
        products,
        sparse(
            positions(members, favourites["member_id"].to_numpy()),
            positions(tags, _names(favourites["tag"])),
            favourites["score"].to_numpy(),
            (len(members), len(tags)),
        ),
        sparse(tag, column, within, (len(tags), len(products))),
    )


def _favourites(member_tags: pl.DataFrame, product_tags: pl.DataFrame) -> pl.DataFrame:
    """The tags that each member likes best, of those that products carry."""
    return (
        member_tags.filter(pl.col("score") > 0)
        .join(product_tags, on="tag", how="semi")
        .sort("member_id", "score", "tag", descending=[False, True, False])
        .group_by("member_id", maintain_order=True)
        .head(_FAVOURITE_TAGS)
    )


def top_products(
    scorer: Scorer, excluded: CsrMatrix, n: int, allowed: NDArray[np.bool_]
) -> pl.DataFrame:
    """The n best products of every member, best first, ties by product_id.

    A member gets fewer rows where fewer products are left; nothing excluded ever fills the list.

    Args:
        scorer: members and products, and what scores them.
        excluded: any stored value excludes the pair, shape (n_members, n_products).
        n: length of the lists.
        allowed: which products may be listed at all, shape (n_products,).

    Returns:
        member_id, rank (from 1), product_id, score; ordered by member and rank.
    """
    n_members, n_products = len(scorer.member_ids), len(scorer.product_ids)
    step = max(1, _BLOCK_SCORES // max(1, n_products))
    frames: list[pl.DataFrame] = []
    names = pl.Series(scorer.product_ids, dtype=pl.String)
    for start in range(0, n_members, step):
        stop = min(start + step, n_members)
        scores = scorer.scores(start, stop)
        scores[:, ~allowed] = -np.inf
        pairs = excluded[start:stop]
        scores[np.repeat(np.arange(stop - start), np.diff(pairs.indptr)), pairs.indices] = -np.inf
        row, rank, column = _best(scores, n)
        frames.append(
            pl.DataFrame(
                {
                    "member_id": scorer.member_ids[start + row],
                    "rank": rank + 1,
                    "product_id": names.gather(column),
                    "score": scores[row, column],
                },
                schema=_LISTS,
            )
        )
    return pl.concat(frames) if frames else pl.DataFrame(schema=_LISTS)


def _best(
    scores: NDArray[np.float32], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Row, rank from 0 and column of the n highest finite scores of each row, in that order.

    A score and its column are packed into one integer that sorts by falling score, then by
    column: no two are equal, so that a partition has exactly one answer.
    """
    width = min(n, scores.shape[1])
    bits = np.add(scores, 0, dtype=np.float32).view(np.int32)
    rising = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
    keys = np.arange(scores.shape[1], dtype=np.int64) - rising * np.int64(1 << 32)
    if 0 < width < scores.shape[1]:
        keys = np.partition(keys, width - 1, axis=1)
    keys = np.sort(keys[:, :width], axis=1)
    columns = keys & 0xFFFFFFFF
    row, rank = np.nonzero(np.isfinite(np.take_along_axis(scores, columns, axis=1)))
    return row, rank, columns[row, rank]


def recommend_lists(
    members: NDArray[np.int64],
    factors: Factors,
    history: pl.DataFrame,
    products: pl.DataFrame,
    product_tags: pl.DataFrame,
    member_tags: pl.DataFrame,
    as_of: datetime,
    n: int = 20,
) -> pl.DataFrame:
    """The list of every member: exactly n products where the catalogue allows.

    Never listed are content, hidden products, products out of stock, and what she ordered less
    than ``repurchase_days`` ago (for good where a product has none: it is bought once).

    Three sources fill a list, each only what the one before left open: ``als``, taste learnt from
    behaviour, for members whom the model knows; ``content``, what is popular in her favourite
    tags; ``popular``, what is popular with all. So a member without any history starts with her
    tags if she has some. Scores compare within a source only.

    Args:
        members: whom to make lists for, shape (n_members,).
        factors: the model.
        history: member_id, product_id, weight (decayed), n_views, n_carts, n_orders, n_shares,
            last_ordered_at (null where never).
        products: product_id, kind, title, stock (null where it is not counted), is_hidden,
            repurchase_days (null where it is not bought again).
        product_tags: product_id, tag, score (0 to 1).
        member_tags: member_id, tag, score.
        as_of: the instant of the recommendation, in the time zone of last_ordered_at.
        n: length of the lists.

    Returns:
        member_id, rank (from 1), product_id, score, source, reason (English, said to the
        member); one row per member and rank, ordered by both.
    """
    member_ids = np.unique(members)
    catalogue = products.sort("product_id")
    product_ids = _names(catalogue["product_id"])
    on_offer = catalogue.filter(
        pl.col("kind") == "product", ~pl.col("is_hidden"), pl.col("stock").fill_null(1) > 0
    )
    tags = product_tags.join(on_offer, on="product_id", how="semi")
    barred = _barred(history, products, as_of)
    popularity = popular_products(history, member_ids, product_ids)

    lists: dict[str, pl.DataFrame] = {}
    listed = pl.DataFrame(schema=_LISTS)
    for source in ("als", "content", "popular"):
        still_open = _open_places(member_ids, listed, n)
        short = still_open["member_id"].to_numpy()
        scorer: Scorer
        if source == "als":
            scorer = factors.of_members(short)
        else:
            scorer = Popularity(short, product_ids, popularity.popularity)
            if source == "content":
                scorer = popular_in_tags(member_tags, tags, scorer)
        taken = pl.concat([barred, listed.select(_PAIRS)])
        allowed = np.isin(scorer.product_ids, _names(on_offer["product_id"]))
        found = (
            top_products(scorer, _pairs(scorer, taken), n, allowed)
            .join(still_open, on="member_id", maintain_order="left")
            .filter(pl.col("rank") <= pl.col("n_open"))
            .with_columns(rank=(pl.col("rank") + n - pl.col("n_open")).cast(pl.Int32))
            .drop("n_open")
        )
        lists[source] = found
        listed = pl.concat([listed, found])

    titles = products.select(
        "product_id", title=pl.coalesce("title", "product_id").str.strip_chars()
    )
    return pl.concat(
        [
            _explain_als(lists["als"], factors, history, titles),
            _explain_content(lists["content"], tags, member_tags),
            lists["popular"].with_columns(
                source=pl.lit("popular"),
                reason=pl.when(pl.col("score") > 0)
                .then(pl.lit("popular with all members"))
                .otherwise(pl.lit("in the catalogue, waiting to be discovered")),
            ),
        ]
    ).sort("member_id", "rank")


def _names(ids: pl.Series) -> NDArray[np.str_]:
    return np.array(ids.to_list(), dtype=np.str_)


def _barred(history: pl.DataFrame, products: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Pairs that were ordered too recently to be wanted again."""
    wanted_again_at = pl.col("last_ordered_at") + pl.duration(days=pl.col("repurchase_days"))
    return (
        history.filter(pl.col("last_ordered_at").is_not_null())
        .join(products.select("product_id", "repurchase_days"), on="product_id")
        .filter((wanted_again_at > as_of).fill_null(value=True))
        .select(_PAIRS)
    )


def _open_places(member_ids: NDArray[np.int64], listed: pl.DataFrame, n: int) -> pl.DataFrame:
    """Members whose list is not full, ascending, with the number of places left (n_open)."""
    return (
        pl.DataFrame({"member_id": member_ids}, schema={"member_id": pl.Int64})
        .join(listed.group_by("member_id").len(), on="member_id", how="left", maintain_order="left")
        .select("member_id", n_open=n - pl.col("len").fill_null(0).cast(pl.Int64))
        .filter(pl.col("n_open") > 0)
    )


def _pairs(scorer: Scorer, pairs: pl.DataFrame) -> CsrMatrix:
    """The pairs that the scorer knows, as a matrix aligned with it."""
    row = positions(scorer.member_ids, pairs["member_id"].to_numpy())
    pairs, row = pairs.filter(pl.Series(row >= 0)), row[row >= 0]
    column = positions(scorer.product_ids, _names(pairs["product_id"]))
    row, column = row[column >= 0], column[column >= 0]
    shape = (len(scorer.member_ids), len(scorer.product_ids))
    return sparse(row, column, np.ones(len(row), dtype=np.float32), shape)


def _explain_als(
    found: pl.DataFrame, factors: Factors, history: pl.DataFrame, titles: pl.DataFrame
) -> pl.DataFrame:
    """Names the one of the member's own products that speaks most for each listed product."""
    own = history.select(
        *_PAIRS,
        "weight",
        deed=pl.when(pl.col("n_orders") > 0)
        .then(pl.lit("ordered"))
        .when(pl.col("n_carts") > 0)
        .then(pl.lit("put in cart"))
        .when(pl.col("n_shares") > 0)
        .then(pl.lit("shared"))
        .otherwise(pl.lit("viewed")),
    )
    causes = (
        found.with_columns(cause_id=_causes(found, factors, own))
        .join(
            own.select("member_id", cause_id="product_id", cause_deed="deed"),
            on=["member_id", "cause_id"],
            how="left",
        )
        .join(titles.rename({"product_id": "cause_id"}), on="cause_id", how="left")
        .with_columns(title=pl.coalesce("title", "cause_id"))
    )
    own_deed, deed = pl.col("deed"), pl.col("cause_deed")
    return causes.join(own.select(*_PAIRS, "deed"), on=_PAIRS, how="left").select(
        *_LISTS.names(),
        source=pl.lit("als"),
        reason=pl.when(own_deed == "ordered")
        .then(pl.lit("you ordered it before and may want it again"))
        .when(own_deed == "put in cart")
        .then(pl.lit("you put it in your cart and have not ordered it yet"))
        .when(own_deed.is_not_null())
        .then(pl.format("you {} it and have not ordered it yet", own_deed))
        .when(deed == "put in cart")
        .then(pl.format("because you put {} in your cart", "title"))
        .when(deed.is_not_null())
        .then(pl.format("because you {} {}", deed, "title"))
        .otherwise(pl.lit("members with your taste like it")),
    )


def _causes(found: pl.DataFrame, factors: Factors, own: pl.DataFrame) -> pl.Series:
    """For each row the member's own product with the highest contribution to its score.

    Only her strongest products are looked at. Null where none contributes.
    """
    member_ids = found["member_id"].unique().sort().to_numpy()
    known = pl.DataFrame({"product_id": factors.product_ids}, schema={"product_id": pl.String})
    strongest = (
        own.filter(pl.col("weight") > 0)
        .join(found, on="member_id", how="semi")
        .join(known, on="product_id", how="semi")
        .sort("member_id", "weight", "product_id", descending=[False, True, False])
        .with_columns(place=pl.int_range(pl.len()).over("member_id"))
        .filter(pl.col("place") < _STRONGEST_PRODUCTS)
    )
    place = (
        positions(member_ids, strongest["member_id"].to_numpy()),
        strongest["place"].to_numpy(),
    )
    shape = (len(member_ids), _STRONGEST_PRODUCTS)
    product = np.zeros(shape, dtype=np.int64)
    confidence = np.zeros(shape, dtype=np.float32)
    product[place] = positions(factors.product_ids, _names(strongest["product_id"]))
    confidence[place] = np.log1p(strongest["weight"].to_numpy())

    influence = factors.influence_factors()
    row = positions(member_ids, found["member_id"].to_numpy())
    column = positions(factors.product_ids, _names(found["product_id"]))
    cause = np.full(len(found), -1, dtype=np.int64)
    step = max(1, _BLOCK_SCORES // (_STRONGEST_PRODUCTS * influence.shape[1]))
    for start in range(0, len(found), step):
        part = slice(start, start + step)
        mine = product[row[part]]
        contribution = confidence[row[part]] * np.einsum(
            "rpf,rf->rp", influence[mine], influence[column[part]]
        )
        best = np.argmax(contribution, axis=1)
        here = np.arange(len(best))
        cause[part] = np.where(contribution[here, best] > 0, mine[here, best], -1)
    names = pl.Series(factors.product_ids, dtype=pl.String)
    return names.gather(pl.Series(cause).replace(-1, None))


def _explain_content(
    found: pl.DataFrame, product_tags: pl.DataFrame, member_tags: pl.DataFrame
) -> pl.DataFrame:
    """Names the favourite tag that speaks most for each listed product."""
    favourites = _favourites(member_tags.join(found, on="member_id", how="semi"), product_tags)
    best = (
        found.select(_PAIRS)
        .join(product_tags, on="product_id")
        .join(favourites, on=["member_id", "tag"], suffix="_of_member")
        .with_columns(speaks=pl.col("score") * pl.col("score_of_member"))
        .sort("speaks", "tag", descending=[True, False])
        .unique(_PAIRS, keep="first", maintain_order=True)
        .select(*_PAIRS, "tag")
    )
    return found.join(best, on=_PAIRS, how="left").select(
        *_LISTS.names(), source=pl.lit("content"), reason=pl.format("popular in {}", "tag")
    )
