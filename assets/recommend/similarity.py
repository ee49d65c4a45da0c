"""Products that go together: item-item collaborative filtering by cosine.

Two products are similar when the same members are tied to them with the same relative strength.
The vectors are the columns of the interaction matrix; a similarity that rests on too few members
in common is chance and is left out.
"""

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from assets.recommend.matrix import InteractionMatrix

_BLOCK_PRODUCTS = 256
# Rounded, so that what is equal on paper ties in floating point.
DECIMALS = 9
PAIRS = pl.Schema(
    {
        "one": pl.Int64,
        "other": pl.Int32,
        "score": pl.Float64,
        "support": pl.Int64,
        "rank": pl.Int32,
    }
)


def cosine(u: ArrayLike, v: ArrayLike) -> float:
    """The cosine of the angle between two vectors: 1 same direction, 0 nothing in common.

    Args:
        u: shape (n,).
        v: shape (n,).

    Returns:
        -1 to 1; 0 where a vector is zero and so has no direction.

    Raises:
        ValueError: the vectors differ in length.
    """
    a, b = np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"two vectors of one length are needed, not {a.shape} and {b.shape}")
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length > 0 else 0.0


def similar_products(matrix: InteractionMatrix, n: int, min_support: int) -> pl.DataFrame:
    """The n most similar products of every product.

    Args:
        matrix: who is tied to what.
        n: products per product; fewer where fewer have the support.
        min_support: members that two products must have in common, at least 1.

    Returns:
        product_id, rank (from 1), similar_product_id, score (cosine, 0 to 1), support (members
        in common); by product and rank, equal scores by similar_product_id.

    Raises:
        ValueError: min_support is below 1.
    """
    if min_support < 1:
        raise ValueError("min_support must be at least 1")
    # Doubles, so that no product of two faded weights vanishes and both patterns stay one.
    tied, unit = matrix.weights.astype(np.float64), matrix.weights.astype(np.float64)
    tied.data = np.ones_like(tied.data)
    length = np.sqrt(np.bincount(unit.indices, weights=unit.data**2))
    unit.data = unit.data / length[unit.indices]
    tied_rows, unit_rows = tied.transpose().tocsr(), unit.transpose().tocsr()

    frames = [pl.DataFrame(schema=PAIRS)]
    for start in range(0, len(matrix.product_ids), _BLOCK_PRODUCTS):
        block = slice(start, start + _BLOCK_PRODUCTS)
        support, score = tied_rows[block] @ tied, unit_rows[block] @ unit
        support.sort_indices()
        score.sort_indices()
        one = start + np.repeat(np.arange(support.shape[0]), np.diff(support.indptr))
        is_pair = (support.data >= min_support) & (support.indices != one)
        frame = pl.DataFrame(
            {
                "one": one[is_pair],
                "other": support.indices[is_pair],
                "score": np.minimum(np.round(score.data[is_pair], DECIMALS), 1),
                "support": support.data[is_pair].astype(np.int64),
            }
        )
        frames.append(best_pairs(frame, n))
    return named_pairs(pl.concat(frames), matrix.product_ids)


def best_pairs(pairs: pl.DataFrame, n: int) -> pl.DataFrame:
    """The n highest scores of each product with their rank (from 1), ties by the other product.

    Args:
        pairs: one, other (columns of the matrix), score, support.
        n: pairs per product.
    """
    return (
        pairs.sort("one", "score", "other", descending=[False, True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("one"))
        .filter(pl.col("rank") <= n)
    )


def named_pairs(pairs: pl.DataFrame, product_ids: NDArray[np.str_]) -> pl.DataFrame:
    """The pairs by their products' ids: product_id, rank, similar_product_id, score, support."""
    names = pl.Series(product_ids, dtype=pl.String)
    return pairs.select(
        names.gather(pairs["one"]).alias("product_id"),
        "rank",
        names.gather(pairs["other"]).alias("similar_product_id"),
        "score",
        "support",
    )
