"""Products that nobody has met yet: their vectors, foretold from their tags.

A ridge regression from tags to the vectors of the products that the model knows, as in Gantner et
al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations", ICDM 2010: nothing
new is asked of members, and a new product is scored like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, cast
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from assets.recommend.matrix import CsrMatrix, ids_of, positions, sparse

# Of so many tags the normal equations still fit in memory and are solved in seconds.
_MOST_TAGS = 4096
_HELD_OUT = 5
# A longer vector than nine in ten known products have is taken for extrapolation.
_LONGEST = 0.9
_PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_POWERS = (0.0, 0.5, 1.0)


class _Times(Protocol):
    """A sparse matrix as the left side of a product with a dense one."""

    def __matmul__(self, other: NDArray[np.float64], /) -> NDArray[np.float64]: ...


@dataclass(frozen=True, eq=False)
class TagFactors:
    """What tags say about vectors.

    Attributes:
        tags: ascending, shape (n_tags,).
        average: the vector of a product without tags, shape (d,).
        effects: what a tag adds when its score goes from 0 to 1, shape (n_tags, d).
        penalty: the ridge's, in products of average weight.
        gain: what predictions are multiplied with, 0 to 1: how far held-out products went along
            with theirs. 0 where tags foretell nothing.
        longest: no predicted vector is longer than this.
    """

    tags: NDArray[np.str_]
    average: NDArray[np.float64]
    effects: NDArray[np.float64]
    penalty: float
    gain: float
    longest: float

    @classmethod
    def fit(
        cls,
        product_tags: pl.DataFrame,
        product_ids: NDArray[np.str_],
        product_factors: NDArray[np.float32],
        counts: NDArray[np.integer],
        penalties: Sequence[float] = _PENALTIES,
        powers: Sequence[float] = _POWERS,
    ) -> Self:
        """Learns from the products that the model knows.

        A product counts ``(1 + count) ** power`` times: a vector that few members have shaped
        says little, but one that many have shaped is still one product. Power and penalty are
        those whose predictions are nearest to the vectors of every fifth product (by a checksum
        of its id, so the same ones every day and whatever else is in the catalogue), which were
        kept out and count once each, as a new product does. Where popular products weigh most,
        predictions are too long for others: ``gain`` is the factor that fits the held-out
        products best. Then all products are learnt from.

        With nothing to hold out, or nothing else, the highest penalty, the first power and a gain
        of 1 are taken. Only the tags that most products carry are used, 4096 at most.

        Args:
            product_tags: product_id, tag, score (0 to 1); other products' rows do not matter.
            product_ids: what the model knows, distinct, ascending, shape (n_products,).
            product_factors: shape (n_products, d).
            counts: members, or events, behind each product, at least 0, shape (n_products,).
            penalties: what to choose among, each above 0; the highest of equals is taken.
            powers: what to choose among; the first of equals is taken.

        Raises:
            ValueError: shapes disagree, a count is negative, a penalty is not above 0, or there
                is no penalty or no power to choose.
        """
        n_products = len(product_ids)
        if product_factors.ndim != 2 or not len(product_factors) == len(counts) == n_products:
            raise ValueError(
                f"{n_products} products have factors of shape {product_factors.shape}"
                f" and counts of shape {counts.shape}"
            )
        if np.any(counts < 0):
            raise ValueError("counts must be at least 0")
        if not penalties or min(penalties) <= 0 or not powers:
            raise ValueError("there must be a power and a penalty, and no penalty of 0 or less")
        tags = _most_carried(product_tags, product_ids)
        carried = _carried(product_tags, product_ids, tags)
        vectors = product_factors.astype(np.float64)
        weights = [(counts.astype(np.float64) + 1) ** power for power in powers]

        chosen, penalty, gain = weights[0], max(penalties), 1.0
        checksums = [crc32(product_id.encode()) for product_id in product_ids.tolist()]
        is_held_out = np.array(checksums, dtype=np.int64) % _HELD_OUT == 0
        known, held_out = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
        # The products are small; with one thread their last bit does not hang on the machine.
        with threadpool_limits(limits=1, user_api="blas"):
            if len(known) and len(held_out):
                least = np.inf
                for tried in weights:
                    equations = _Equations.of(carried[known], vectors[known], tried[known])
                    for punished in sorted(penalties, reverse=True):
                        predicted = equations.predictions(punished, carried[held_out])
                        fitting = _gain(predicted, vectors[held_out])
                        error = float(((fitting * predicted - vectors[held_out]) ** 2).sum())
                        if error < least:
                            least, chosen, penalty, gain = error, tried, punished, fitting
            if n_products:
                equations = _Equations.of(carried, vectors, chosen)
                effects = equations.effects(penalty)
                average = equations.average_vector - equations.average_tags @ effects
            else:
                effects = np.zeros((len(tags), vectors.shape[1]))
                average = np.zeros(vectors.shape[1])
        lengths = np.linalg.norm(vectors, axis=1)
        longest = float(np.quantile(lengths, _LONGEST)) if n_products else 0.0
        return cls(tags, average, effects, penalty, gain, longest)

    def predict(
        self, product_tags: pl.DataFrame, product_ids: NDArray[np.str_]
    ) -> NDArray[np.float32]:
        """Vectors for any products; all products without a known tag get the same one.

        Args:
            product_tags: product_id, tag, score (0 to 1).
            product_ids: whose, distinct, ascending, shape (n_wanted,).

        Returns:
            Shape (n_wanted, d); all zero where tags foretell nothing.
        """
        carried = cast(_Times, _carried(product_tags, product_ids, self.tags))
        vectors = self.gain * (self.average + carried @ self.effects)
        lengths = np.linalg.norm(vectors, axis=1)
        shrink = np.ones(len(vectors))
        np.divide(self.longest, lengths, out=shrink, where=lengths > self.longest)
        return (vectors * shrink[:, None]).astype(np.float32)


def _most_carried(product_tags: pl.DataFrame, product_ids: NDArray[np.str_]) -> NDArray[np.str_]:
    known = pl.DataFrame({"product_id": product_ids}, schema={"product_id": pl.String})
    most = (
        product_tags.filter(pl.col("score") > 0)
        .join(known, on="product_id", how="semi")
        .group_by("tag")
        .agg(n_products=pl.col("product_id").n_unique())
        .sort("n_products", "tag", descending=[True, False])
        .head(_MOST_TAGS)
    )
    return ids_of(most["tag"].sort())


def _carried(
    product_tags: pl.DataFrame, product_ids: NDArray[np.str_], tags: NDArray[np.str_]
) -> CsrMatrix:
    """How surely each product carries each tag, shape (n_products, n_tags)."""
    row = positions(product_ids, ids_of(product_tags["product_id"]))
    column = positions(tags, ids_of(product_tags["tag"]))
    score = product_tags["score"].to_numpy()
    stands = (row >= 0) & (column >= 0) & (score > 0)
    shape = (len(product_ids), len(tags))
    return sparse(row[stands], column[stands], score[stands], shape).astype(np.float64)


def _gain(predicted: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    """The factor from 0 to 1 that brings predictions nearest to what they predict."""
    length = float((predicted**2).sum())
    return float(np.clip((predicted * actual).sum() / length, 0, 1)) if length > 0 else 0.0


@dataclass(frozen=True, eq=False)
class _Equations:
    """The ridge's normal equations with averages taken out, so that they go unpunished.

    Attributes:
        gram: shape (n_tags, n_tags).
        moments: shape (n_tags, d).
        average_tags: shape (n_tags,).
        average_vector: shape (d,).
    """

    gram: NDArray[np.float64]
    moments: NDArray[np.float64]
    average_tags: NDArray[np.float64]
    average_vector: NDArray[np.float64]

    @classmethod
    def of(
        cls, carried: CsrMatrix, vectors: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> Self:
        share = weights / weights.mean()
        row = np.repeat(np.arange(len(share)), np.diff(carried.indptr))
        column = carried.indices.astype(np.int64)
        weighted = sparse(row, column, carried.data * share[row], carried.shape)
        turned = weighted.astype(np.float64).transpose().tocsr()
        n = len(share)
        average_tags = cast(_Times, turned) @ np.ones(n) / n
        average_vector = np.asarray(share @ vectors / n, dtype=np.float64)
        gram = (turned @ carried).toarray() - n * np.outer(average_tags, average_tags)
        moments = cast(_Times, turned) @ vectors - n * np.outer(average_tags, average_vector)
        return cls(gram, np.asarray(moments, dtype=np.float64), average_tags, average_vector)

    def effects(self, penalty: float) -> NDArray[np.float64]:
        penalised = self.gram + penalty * np.eye(len(self.gram))
        return np.asarray(np.linalg.solve(penalised, self.moments), dtype=np.float64)

    def predictions(self, penalty: float, carried: CsrMatrix) -> NDArray[np.float64]:
        """For products with these tags, shape (n_products, d)."""
        effects = self.effects(penalty)
        return self.average_vector + (cast(_Times, carried) @ effects - self.average_tags @ effects)
