"""What is popular: with everybody, within tags, and within the tags that a member likes best."""

from math import ceil, log2
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend.als import AlsSettings, Factors
from assets.recommend.matrix import ids_of, positions

_FAVOURITE_TAGS = 3
# A tie of this quantile of the weights is taken for fresh.
_FRESH = 0.9
_FRESH_TIES = 300.0


def popular_products(
    history: pl.DataFrame, member_ids: NDArray[np.int64], product_ids: NDArray[np.str_]
) -> Factors:
    """Ranks by the weight that all members together give to a product: the baseline.

    Args:
        history: product_id, weight; weights of 0 and less do not count.
        member_ids: whom to rank for, ascending, shape (n_members,).
        product_ids: what to rank, ascending, shape (n_products,).

    Returns:
        A model of one factor, the same for all members.
    """
    return _the_same_for_all(
        summed(history.filter(pl.col("weight") > 0), "product_id"), member_ids, product_ids
    )


def steadied(history: pl.DataFrame) -> pl.DataFrame:
    """History whose recent ties are believed as far as there are enough of them.

    A decayed weight forgets what lies back, which suits a shop with many ties a day and leaves one
    with few to chance. So every tie counts as much more as makes 300 fresh ties of all of them
    together. On four public shops, whole and cut down to 200 members, this came to the best of the
    half-lives from 14 days to all of time, which differed from shop to shop.

    Args:
        history: member_id, product_id, weight (decayed).

    Returns:
        Those with a weight above 0, with more weight.
    """
    ties = history.filter(pl.col("weight") > 0)
    fresh = ties["weight"].quantile(_FRESH, "nearest") or 0.0
    return ties.with_columns(pl.col("weight") + _FRESH_TIES * fresh / max(len(ties), 1))


def popular_by_tags(
    history: pl.DataFrame,
    product_tags: pl.DataFrame,
    member_ids: NDArray[np.int64],
    product_ids: NDArray[np.str_],
) -> Factors:
    """Ranks products that nobody has met by how popular others with their tags are: the baseline.

    A tag is worth the weight of an average product that carries it; a product, the mean of its
    tags, weighted by their scores.

    Args:
        history: product_id, weight; weights of 0 and less do not count.
        product_tags: product_id, tag, score (0 to 1).
        member_ids: whom to rank for, ascending, shape (n_members,).
        product_ids: what to rank, ascending, shape (n_products,).

    Returns:
        A model of one factor, the same for all members; 0 where no tag says anything.
    """
    tags = product_tags.filter(pl.col("score") > 0).sort("tag", "product_id")
    said = pl.col("score")
    worth = (
        tags.join(
            summed(history.filter(pl.col("weight") > 0), "product_id"),
            on="product_id",
            maintain_order="left",
        )
        .group_by("tag", maintain_order=True)
        .agg(worth=(said * pl.col("weight")).sum() / said.sum())
    )
    of_products = (
        tags.sort("product_id", "tag")
        .join(worth, on="tag", maintain_order="left")
        .group_by("product_id", maintain_order=True)
        .agg(weight=(said * pl.col("worth")).sum() / said.sum())
    )
    return _the_same_for_all(of_products, member_ids, product_ids)


def summed(rows: pl.DataFrame, *key: str) -> pl.DataFrame:
    """Positive weights by key, added as whole numbers, so that the order leaves no trace.

    Their unit is the finest with which no sum can overflow.
    """
    bound = len(rows) * (cast(float | None, rows["weight"].max()) or 0.0)
    unit = 2.0 ** (ceil(log2(bound)) - 62) if bound > 0 else 1.0
    return rows.group_by(key).agg(
        (pl.col("weight") / unit).round().cast(pl.Int64).sum().cast(pl.Float64) * unit
    )


def _the_same_for_all(
    weights: pl.DataFrame, member_ids: NDArray[np.int64], product_ids: NDArray[np.str_]
) -> Factors:
    place = positions(product_ids, ids_of(weights["product_id"]))
    popularity = np.zeros((len(product_ids), 1), dtype=np.float32)
    popularity[place[place >= 0], 0] = weights["weight"].to_numpy()[place >= 0]
    everybody = np.ones((len(member_ids), 1), dtype=np.float32)
    return Factors(member_ids, product_ids, everybody, popularity, 0.0, AlsSettings(factors=1))


def favourite_tags(member_tags: pl.DataFrame, product_tags: pl.DataFrame) -> pl.DataFrame:
    """The tags that each member likes best, of those that products carry."""
    return (
        member_tags.filter(pl.col("score") > 0)
        .join(product_tags, on="tag", how="semi")
        .sort("member_id", "score", "tag", descending=[False, True, False])
        .group_by("member_id", maintain_order=True)
        .head(_FAVOURITE_TAGS)
    )
