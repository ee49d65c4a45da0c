"""Why a product is on a list, in words that can be said to the member."""

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend.als import Factors
from assets.recommend.matrix import cells, ids_of, positions
from assets.recommend.popularity import favourite_tags
from assets.recommend.random_walk import Walk

_BLOCK_VALUES = 1 << 22
_STRONGEST_PRODUCTS = 10
_PAIRS = ("member_id", "product_id")
_EXPLAINED = ("member_id", "rank", "product_id", "score", "source", "reason")

# How much each of some products (n_rows, n_own) speaks for one more (n_rows,).
Speaks = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.floating]]


def explain_taste(
    found: pl.DataFrame,
    factors: Factors,
    history: pl.DataFrame,
    titles: pl.DataFrame,
    n_members: NDArray[np.int64],
) -> pl.DataFrame:
    """Names the one of the member's own products that speaks most for each listed product.

    What has no title in `titles` is not named.

    A tie speaks with the confidence that the model gives it: the less, the more members have met
    the product (n_members, of the model's products).
    """
    influence = factors.influence_factors()
    discount = factors.settings.popularity_discount
    spoken = influence * (np.maximum(n_members, 1) ** -discount).astype(np.float32)[:, None]

    def speaks(own: NDArray[np.int64], listed: NDArray[np.int64]) -> NDArray[np.floating]:
        return np.einsum("rpf,rf->rp", spoken[own], influence[listed])

    power = factors.settings.weight_power
    return _because(found, factors.product_ids, speaks, _tied(history, power), titles)


def explain_walk(
    found: pl.DataFrame, walk: Walk, history: pl.DataFrame, titles: pl.DataFrame
) -> pl.DataFrame:
    """Names the one of the member's own products from which the walk leads there most often."""
    row, column = cells(walk.similarity)
    width = len(walk.product_ids)
    held = row * width + column

    def speaks(own: NDArray[np.int64], listed: NDArray[np.int64]) -> NDArray[np.floating]:
        """The walk's steps at these places, 0 where it has none."""
        if not len(held):
            return np.zeros(own.shape, dtype=np.float32)
        wanted = own * width + listed[:, None]
        place = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
        return np.where(held[place] == wanted, walk.similarity.data[place], 0)

    # To the walk all of her ties are alike.
    return _because(found, walk.product_ids, speaks, _tied(history, 0.0), titles)


def _tied(history: pl.DataFrame, power: float) -> pl.DataFrame:
    """What members met, with how much a tie of their own says in the model."""
    return history.with_columns(
        tie=pl.when(pl.col("weight") > 0).then(pl.col("weight").log1p().pow(power))
    )


def _because(
    found: pl.DataFrame,
    product_ids: NDArray[np.str_],
    speaks: Speaks,
    history: pl.DataFrame,
    titles: pl.DataFrame,
) -> pl.DataFrame:
    own = history.select(
        *_PAIRS,
        "weight",
        "tie",
        deed=pl.when(pl.col("n_orders") > 0)
        .then(pl.lit("ordered"))
        .when(pl.col("n_carts") > 0)
        .then(pl.lit("put in cart"))
        .when(pl.col("n_shares") > 0)
        .then(pl.lit("shared"))
        .otherwise(pl.lit("viewed")),
    )
    # What has no title here must not be named; what is not here at all has its id for one.
    named = own.join(titles.filter(pl.col("title").is_null()), on="product_id", how="anti")
    causes = (
        found.with_columns(cause_id=_causes(found, product_ids, speaks, named))
        .join(
            own.select("member_id", cause_id="product_id", cause_deed="deed"),
            on=["member_id", "cause_id"],
            how="left",
        )
        .join(titles.rename({"product_id": "cause_id"}), on="cause_id", how="left")
        .with_columns(title=pl.coalesce("title", "cause_id"))
    )
    own_deed, deed = pl.col("deed"), pl.col("cause_deed")
    return (
        causes.join(own.select(*_PAIRS, "deed"), on=_PAIRS, how="left")
        .with_columns(
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
            .otherwise(pl.lit("members with your taste like it"))
        )
        .select(_EXPLAINED)
    )


def _causes(
    found: pl.DataFrame, product_ids: NDArray[np.str_], speaks: Speaks, own: pl.DataFrame
) -> pl.Series:
    """For each row the member's own product with the highest contribution to its score.

    Only her strongest products are looked at. Null where none contributes.
    """
    member_ids = found["member_id"].unique().sort().to_numpy()
    known = pl.DataFrame({"product_id": product_ids}, schema={"product_id": pl.String})
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
    product[place] = positions(product_ids, ids_of(strongest["product_id"]))
    confidence[place] = strongest["tie"].to_numpy()

    row = positions(member_ids, found["member_id"].to_numpy())
    column = positions(product_ids, ids_of(found["product_id"]))
    cause = np.full(len(found), -1, dtype=np.int64)
    step = _BLOCK_VALUES // (_STRONGEST_PRODUCTS * 64)
    for start in range(0, len(found), step):
        part = slice(start, start + step)
        mine = product[row[part]]
        contribution = confidence[row[part]] * speaks(mine, column[part])
        best = np.argmax(contribution, axis=1)
        here = np.arange(len(best))
        cause[part] = np.where(contribution[here, best] > 0, mine[here, best], -1)
    names = pl.Series(product_ids, dtype=pl.String)
    return names.gather(pl.Series(cause).replace(-1, None))


def explain_tags(
    found: pl.DataFrame,
    product_tags: pl.DataFrame,
    member_tags: pl.DataFrame,
    new_products: pl.Series,
) -> pl.DataFrame:
    """Names the favourite tag that speaks most for each listed product."""
    favourites = favourite_tags(member_tags.join(found, on="member_id", how="semi"), product_tags)
    best = (
        found.select(_PAIRS)
        .join(product_tags, on="product_id")
        .join(favourites, on=["member_id", "tag"], suffix="_of_member")
        .with_columns(speaks=pl.col("score") * pl.col("score_of_member"))
        .sort("speaks", "tag", descending=[True, False])
        .unique(_PAIRS, keep="first", maintain_order=True)
        .select(*_PAIRS, "tag")
    )
    return (
        found.join(best, on=_PAIRS, how="left")
        .with_columns(
            reason=pl.when(pl.col("tag").is_null())
            .then(pl.lit("new, and like what you like"))
            .when(pl.col("product_id").is_in(new_products.implode()))
            .then(pl.format("new in {}", "tag"))
            .otherwise(pl.format("popular in {}", "tag"))
        )
        .select(_EXPLAINED)
    )
