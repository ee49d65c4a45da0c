"""Lists for members of whom little is known: what is popular where she is, and in her tags.

A list is made once per segment and per tag and joined to members afterwards, some of them at a
time, so that nothing of the size of all members by all products is ever held.
"""

from collections.abc import Iterator, Sequence
from math import fsum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend.blend import LISTS
from assets.recommend.matrix import CsrMatrix, ids_of, positions, sparse
from assets.recommend.popularity import favourite_tags, summed

# Members at a time: bounds the memory by the lists of these, whatever the shop's size.
_BLOCK_MEMBERS = 1 << 16
_BLOCK_ROWS = 1 << 23
_PAIR = ("member_id", "product_id")


def member_segments(
    members: pl.DataFrame, traits: Sequence[str], min_members: int = 100
) -> pl.DataFrame:
    """The segment of each member: by all traits, or by fewer where too few share them all.

    Args:
        members: member_id, distinct, and the traits as text (null where unknown).
        traits: names of columns, the most telling first, e.g. channel and country: a member of a
            small or unknown country falls back to those of her channel who did so too.
        min_members: a segment of fewer falls back.

    Returns:
        member_id, segment (null: the whole shop), in the order of ``members``.
    """
    found = members.with_columns(segment=pl.lit(None, dtype=pl.String))
    for depth in range(len(traits), 0, -1):
        name = pl.concat_str(list(traits[:depth]), separator=" / ")
        candidate = pl.when(pl.col("segment").is_null()).then(name)
        found = (
            found.with_columns(candidate=candidate)
            .with_columns(n_sharing=pl.len().over("candidate"))
            .with_columns(
                segment=pl.when(
                    pl.col("candidate").is_not_null() & (pl.col("n_sharing") >= min_members)
                )
                .then(pl.col("candidate"))
                .otherwise(pl.col("segment"))
            )
        )
    return found.select("member_id", "segment")


def segment_lists(
    history: pl.DataFrame,
    segments: pl.DataFrame,
    product_ids: NDArray[np.str_],
    n: int,
    prior_members: float = 100.0,
) -> pl.DataFrame:
    """The n most popular products of every segment, and of the whole shop.

    Popularity is a share of weight, shrunk to the shop's by a prior that weighs as much as
    ``prior_members`` average members::

        (weight in segment + prior * share in shop) / (weight of segment + prior)

    Only what a segment has touched and the shop's own n best are compared; no other product can
    be among a segment's n best, for the prior alone ranks it behind n others.

    Args:
        history: member_id, product_id, weight; weights of 0 and less do not count.
        segments: member_id, segment (null: the whole shop), as from ``member_segments``.
        product_ids: what may be listed, distinct, shape (n_products,).
        n: length of the lists; they are shorter only where fewer products may be listed, and end
            in products that nobody has touched where there are not enough others. Longer than
            the final lists, to leave room for what a member is barred from.
        prior_members: how many members' say a segment must outweigh.

    Returns:
        segment (null: the whole shop), rank (from 1), product_id, score; ordered by segment and
        rank, ties by product_id.

    Raises:
        ValueError: n is below 1, or prior_members not above 0.
    """
    if n < 1:
        raise ValueError("n must be at least 1")
    if not prior_members > 0:
        raise ValueError("prior_members must be above 0")
    products = _product_frame(product_ids)
    met = history.filter(pl.col("weight") > 0).join(products, on="product_id", how="semi")
    total = summed(met, "product_id")
    all_weight = fsum(total["weight"].to_list())
    prior = prior_members * all_weight / max(met["member_id"].n_unique(), 1)
    shop = (
        products.join(total, on="product_id", how="left")
        .select("product_id", share=pl.col("weight").fill_null(0.0) / (all_weight or 1.0))
        .sort("share", "product_id", descending=[True, False])
    )
    best_of_shop = shop.head(n)

    in_segment = summed(
        met.join(segments.filter(pl.col("segment").is_not_null()), on="member_id"),
        "segment",
        "product_id",
    )
    names = segments.select(pl.col("segment").drop_nulls().unique().sort())
    weighed = (
        pl.concat(
            [
                in_segment.select("segment", "product_id"),
                names.join(best_of_shop.select("product_id"), how="cross"),
            ]
        )
        .unique()
        .join(in_segment, on=["segment", "product_id"], how="left")
        .join(summed(in_segment, "segment").rename({"weight": "of_segment"}), "segment", how="left")
        .join(shop, on="product_id")
        .with_columns(pl.col("weight", "of_segment").fill_null(0.0))
        .select(
            "segment",
            "product_id",
            # Without any history at all every share is 0, and so is the prior.
            score=(pl.col("weight") + prior * pl.col("share"))
            / pl.max_horizontal(pl.col("of_segment") + prior, np.finfo(np.float64).tiny),
        )
    )
    everybody = best_of_shop.select(
        pl.lit(None, dtype=pl.String).alias("segment"), "product_id", score="share"
    )
    return _first(pl.concat([everybody, weighed]), "segment", n)


def tag_lists(
    history: pl.DataFrame, product_tags: pl.DataFrame, product_ids: NDArray[np.str_], n: int
) -> pl.DataFrame:
    """The n most popular products of every tag, the first with score 1.

    So a small tag that a member loves is not drowned by a large one that she tolerates.

    Args:
        history: product_id, weight; weights of 0 and less do not count.
        product_tags: product_id, tag, score (0 to 1, how surely the product carries the tag).
        product_ids: what may be listed, distinct, shape (n_products,).
        n: length of the lists, longer than the final ones; products that nobody has touched are
            not listed.

    Returns:
        tag, rank (from 1), product_id, score; ordered by tag and rank, ties by product_id.
    """
    total = summed(history.filter(pl.col("weight") > 0), "product_id")
    within = (
        product_tags.filter(pl.col("score") > 0)
        .join(_product_frame(product_ids), on="product_id", how="semi")
        .join(total, on="product_id")
        .with_columns(score=pl.col("score") * pl.col("weight"))
        .select("tag", "product_id", score=pl.col("score") / pl.col("score").max().over("tag"))
    )
    return _first(within, "tag", n)


def popular_in_segments(
    segments: pl.DataFrame, lists: pl.DataFrame, barred: pl.DataFrame, n: int
) -> pl.DataFrame:
    """Each member's list: her segment's, without what she is barred from.

    Args:
        segments: member_id, segment (null: the whole shop).
        lists: segment, rank, product_id, score, as from ``segment_lists``.
        barred: member_id, product_id.
        n: length of the lists; shorter where her segment's is used up.

    Returns:
        member_id, rank (from 1), product_id, score; ordered by member and rank.
    """
    names = _in_order(lists["product_id"])
    lists = lists.with_columns(pl.col("product_id").cast(names))
    barred = barred.with_columns(pl.col("product_id").cast(names, strict=False))
    found = [
        _first(
            some.join(lists, on="segment", nulls_equal=True).join(barred, on=_PAIR, how="anti"),
            "member_id",
            n,
        )
        for some in _blocks(segments, len(lists) // max(1, lists["segment"].n_unique()))
    ]
    return pl.concat([pl.DataFrame(schema=LISTS), *(part.cast(LISTS) for part in found)])


def popular_in_favourite_tags(
    member_tags: pl.DataFrame, lists: pl.DataFrame, barred: pl.DataFrame, n: int
) -> pl.DataFrame:
    """Each member's list: the best of her three favourite tags, by taste times popularity.

    A product of several of them has the sum.

    Args:
        member_tags: member_id, tag, score; members without a tag of ``lists`` get no list.
        lists: tag, rank, product_id, score, as from ``tag_lists``.
        barred: member_id, product_id.
        n: length of the lists; shorter where her tags' are used up.

    Returns:
        member_id, rank (from 1), product_id, score; ordered by member and rank.
    """
    favourites = favourite_tags(member_tags, lists).sort("member_id", "tag")
    tags, names = lists["tag"].unique().sort(), lists["product_id"].unique().sort()
    if favourites.is_empty():
        return pl.DataFrame(schema=LISTS)
    tag_ids, product_ids = ids_of(tags), ids_of(names)
    popularity = sparse(
        positions(tag_ids, ids_of(lists["tag"])),
        positions(product_ids, ids_of(lists["product_id"])),
        lists["score"].to_numpy(),
        (len(tags), len(names)),
    )
    found: list[pl.DataFrame] = []
    for some in _blocks(favourites, 3 * len(lists) // len(tags)):
        member_ids = some["member_id"].unique().sort()
        taste = sparse(
            positions(member_ids.to_numpy(), some["member_id"].to_numpy()),
            positions(tag_ids, ids_of(some["tag"])),
            some["score"].to_numpy(),
            (len(member_ids), len(tags)),
        )
        speaks = taste @ popularity
        speaks.sort_indices()
        hers = barred.join(some, on="member_id", how="semi")
        hers = hers.join(names.to_frame(), on="product_id", how="semi")
        row, rank, column, score = _best_of_rows(
            speaks,
            positions(member_ids.to_numpy(), hers["member_id"].to_numpy()),
            positions(product_ids, ids_of(hers["product_id"])),
            n,
        )
        columns = {
            "member_id": member_ids.gather(row),
            "rank": rank + 1,
            "product_id": names.gather(column),
            "score": score,
        }
        found.append(pl.DataFrame(columns, schema=LISTS))
    return pl.concat(found)


def _best_of_rows(
    scores: CsrMatrix,
    barred_row: NDArray[np.int64],
    barred_column: NDArray[np.int64],
    n: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Row, rank from 0, column and score of the n highest scores of each row, ties by column.

    A positive score and its place in the row are packed into one integer that sorts by falling
    score, then by place: no two are equal, so that a partition has exactly one answer.
    """
    n_rows, n_columns = scores.shape
    counts = np.diff(scores.indptr)
    row = np.repeat(np.arange(n_rows), counts)
    column, score = scores.indices.astype(np.int64), scores.data.astype(np.float32)
    pair, barred = row * n_columns + column, barred_row * n_columns + barred_column
    place = np.searchsorted(pair, barred)
    score[place[np.r_[pair, -1][place] == barred]] = 0
    place = np.arange(len(row)) - scores.indptr[row]
    width = max(int(counts.max(initial=0)), 1)
    keys = np.full((n_rows, width), np.iinfo(np.int64).max)
    keys[row, place] = place - (score.view(np.int32).astype(np.int64) << 32)
    if n < width:
        keys = np.partition(keys, n - 1, axis=1)[:, :n]
    keys = np.sort(keys, axis=1)
    # A score of 0 leaves a key of 0 and more, as does a place that is not filled.
    row, rank = np.nonzero(keys < 0)
    best = scores.indptr[row] + (keys[row, rank] & 0xFFFFFFFF)
    return row, rank, column[best], score[best]


def _product_frame(product_ids: NDArray[np.str_]) -> pl.DataFrame:
    return pl.DataFrame({"product_id": product_ids}, schema={"product_id": pl.String})


def _in_order(*product_ids: pl.Series) -> pl.Enum:
    """A type for products that compares and sorts as their ids do, only faster."""
    return pl.Enum(pl.concat(product_ids).unique().sort())


def _first(scored: pl.DataFrame, of: str, n: int) -> pl.DataFrame:
    """The n products with the highest scores of each, ordered, with their rank."""
    return (
        scored.sort(of, "score", "product_id", descending=[False, True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(of))
        .filter(pl.col("rank") <= n)
        .select(of, "rank", "product_id", "score", *({"source"} & set(scored.columns)))
    )


def _blocks(rows: pl.DataFrame, n_each: int) -> Iterator[pl.DataFrame]:
    """All rows of some members at a time, members ascending; fewer where each makes many rows."""
    ids = rows["member_id"].unique().sort()
    step = max(1, min(_BLOCK_MEMBERS, _BLOCK_ROWS // max(1, n_each)))
    for start in range(0, len(ids), step):
        stop = min(start + step, len(ids))
        yield rows.filter(pl.col("member_id").is_between(ids[start], ids[stop - 1]))
