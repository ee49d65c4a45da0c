"""What is popular: with everybody, and within the tags that a member likes best."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend.matrix import ids_of, positions

_FAVOURITE_TAGS = 3


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
    place = positions(product_ids, ids_of(total["product_id"]))
    popularity = np.zeros(len(product_ids), dtype=np.float32)
    popularity[place[place >= 0]] = total["weight"].to_numpy()[place >= 0]
    return Popularity(member_ids, product_ids, popularity)


def favourite_tags(member_tags: pl.DataFrame, product_tags: pl.DataFrame) -> pl.DataFrame:
    """The tags that each member likes best, of those that products carry."""
    return (
        member_tags.filter(pl.col("score") > 0)
        .join(product_tags, on="tag", how="semi")
        .sort("member_id", "score", "tag", descending=[False, True, False])
        .group_by("member_id", maintain_order=True)
        .head(_FAVOURITE_TAGS)
    )
