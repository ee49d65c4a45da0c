"""Exact ranking of whatever can score products for members: what faster rankings must equal."""

from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend.blend import LISTS
from assets.recommend.matrix import CsrMatrix

_BLOCK_SCORES = 1 << 22


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
                schema=LISTS,
            )
        )
    return pl.concat(frames) if frames else pl.DataFrame(schema=LISTS)


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
