"""A random walk over who met what: member, product, member, product.

A walker starts at a member, steps to one of her products, on to one of that product's members,
and from there to one of that member's products. Where walkers end is what like-minded members
came to. Two exponents correct what popularity does to the walk: P3alpha raises every step's
probability to alpha (Cooper, Lee, Radzik and Siantos, "Random Walks in Recommender Systems:
Exact Computation and Simulations", WWW 2014), and RP3beta divides each end by its popularity to
the power of beta (Paudel, Christoffel, Newell and Bernstein, "Updatable, Accurate, Diverse, and
Scalable Recommendations for Interactive Applications", ACM TiiS 7(1), 2017).

Ties are binary here: the walk asks who met what, not how strongly.
"""

from dataclasses import dataclass
from typing import Protocol, Self, cast

import numpy as np
import polars as pl
from implicit.nearest_neighbours import (  # pyright: ignore[reportMissingTypeStubs]
    ItemItemRecommender,  # pyright: ignore[reportUnknownVariableType]
)
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # pyright: ignore[reportMissingTypeStubs]

from assets.recommend.matrix import CsrMatrix, InteractionMatrix, cells, positions, sparse
from assets.recommend.similarity import DECIMALS, PAIRS, best_pairs, named_pairs

# With fewer pairs, or on a busy machine, threads wait for each other longer than they work.
_WORTH_THREADS = 200_000
# The kernel counts its results in 32 bits.
_LARGEST_RESULT = 2**31
_BLOCK_PRODUCTS = 64


@dataclass(frozen=True)
class WalkSettings:
    """Hyperparameters.

    The best beta differs between data sets, so that it is worth a search: the lists of Online
    Retail II and of the demo shop got better up to 0.5.

    Attributes:
        alpha: exponent of every step's probability, 0 to 2. At 1 the steps are probabilities;
            below it, members and products with many ties count for more.
        beta: exponent of the popularity by which an end is divided, 0 to 2; 0 is P3alpha.
        neighbours: ends that are kept of every product, the best ones.
        history_cap: products that are kept of a member, those with the highest weight. The cost
            is the sum of the squared lengths of the histories, so that a few members with
            thousands of products would decide it.

    Raises:
        ValueError: a value is out of its range.
    """

    alpha: float = 0.7
    beta: float = 0.3
    neighbours: int = 100
    history_cap: int = 200

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        if not (0 <= self.alpha <= 2 and 0 <= self.beta <= 2):
            raise ValueError("alpha and beta must lie between 0 and 2")
        if self.neighbours < 1 or self.history_cap < 1:
            raise ValueError("neighbours and history_cap must be at least 1")


@dataclass(frozen=True, eq=False)
class Walk:
    """The steps of the walk, with the ids they lead between.

    Attributes:
        member_ids: ascending, shape (n_members,).
        product_ids: ascending, shape (n_products,).
        histories: the first step, from a member to each product of her capped history:
            ``n_products_of_member ** -alpha``; shape (n_members, n_products).
        similarity: the other two steps, from a product over its members to other products:
            ``n_members_of_start ** -alpha * sum(n_products_of_member ** -alpha) /
            n_members_of_end ** beta`` over the members in common; the best ends of each product,
            never the product itself; shape (n_products, n_products).
    """

    member_ids: NDArray[np.int64]
    product_ids: NDArray[np.str_]
    histories: CsrMatrix
    similarity: CsrMatrix

    @classmethod
    def fit(cls, matrix: InteractionMatrix, settings: WalkSettings, n_threads: int = 0) -> Self:
        """Computes the steps for every member and product of the matrix.

        The result depends on the matrix and the settings alone, not on the number of threads.
        Where ends tie at the cut to the best neighbours, the order in which the kernel comes by
        them decides, and that follows from the matrix.

        Args:
            matrix: who met what; an empty one gives a walk that leads nowhere.
            settings: hyperparameters.
            n_threads: threads to use; 0 for all processors, or one where the matrix is small.

        Raises:
            ValueError: products times neighbours exceed what the kernel can count.
        """
        histories = _histories(matrix.weights, settings)
        return cls(
            matrix.member_ids,
            matrix.product_ids,
            histories,
            _similarity(histories, settings, n_threads or int(histories.nnz < _WORTH_THREADS)),
        )

    def of_members(self, member_ids: NDArray[np.int64]) -> "Walk":
        """The walk of those of the given members that it knows."""
        row = positions(self.member_ids, np.unique(member_ids))
        row = row[row >= 0]
        return Walk(self.member_ids[row], self.product_ids, self.histories[row], self.similarity)

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """How likely the walk ends at each product, for members from ``start`` to ``stop``.

        Returns:
            Shape (stop - start, n_products); -inf where no walk leads. A product that she has
            met is reached from her other products only.
        """
        ends = self.histories[start:stop] @ self.similarity
        scores = np.full(ends.shape, -np.inf, dtype=np.float32)
        scores[np.repeat(np.arange(ends.shape[0]), np.diff(ends.indptr)), ends.indices] = ends.data
        return scores


def similar_products(
    matrix: InteractionMatrix, settings: WalkSettings, n: int, min_support: int
) -> pl.DataFrame:
    """The n products to which the walk leads best from every product.

    In the walk's own order, for the factor between its ``similarity`` and this score is one per
    product. Unlike there, support is asked for before the cut to the best, so that a product
    does not lose its list to ends that rest on a single member.

    Args:
        matrix: who met what.
        settings: alpha, beta and the cap on histories; the neighbours do not matter here.
        n: products per product; fewer where fewer have the support.
        min_support: members that two products must have in common, at least 1.

    Returns:
        product_id, rank (from 1), similar_product_id, score, support (members in common, within
        the capped histories); by product and rank, equal scores by similar_product_id. The score,
        0 to 1, is the share of the product's members who met the other too, each counted
        ``n_products_of_member ** -alpha``, over ``n_members_of_other ** beta``.

    Raises:
        ValueError: min_support is below 1.
    """
    if min_support < 1:
        raise ValueError("min_support must be at least 1")
    histories = _histories(matrix.weights, settings)
    weight = _steps(histories, settings.alpha)
    total = np.bincount(histories.indices, weights=weight, minlength=histories.shape[1])
    cost = _popularity(histories) ** settings.beta
    tied = histories.transpose().tocsr().astype(np.float64)
    tied.data = np.ones_like(tied.data)
    # One product of matrices counts and weighs: count in the real part, weight in the other.
    counted = cast(
        CsrMatrix,
        csr_matrix((1 + 1j * weight, histories.indices, histories.indptr), shape=histories.shape),
    )

    frames = [pl.DataFrame(schema=PAIRS)]
    for start in range(0, len(matrix.product_ids), _BLOCK_PRODUCTS):
        met = cast(_Counted, tied[start : start + _BLOCK_PRODUCTS] @ counted)
        one = start + np.repeat(np.arange(met.shape[0]), np.diff(met.indptr))
        is_pair = (met.data.real >= min_support) & (met.indices != one)
        one, other, found = one[is_pair], met.indices[is_pair], met.data[is_pair]
        frame = pl.DataFrame(
            {
                "one": one,
                "other": other,
                "score": np.round(found.imag / (total[one] * cost[other]), DECIMALS),
                "support": found.real.astype(np.int64),
            }
        )
        frames.append(best_pairs(frame, n))
    return named_pairs(pl.concat(frames), matrix.product_ids)


class _Counted(Protocol):
    """A compressed sparse row matrix of members counted (real) and weighed (imaginary)."""

    shape: tuple[int, int]
    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]
    data: NDArray[np.complex128]


class _Model(Protocol):
    """What is used of implicit's model, which publishes no types."""

    similarity: CsrMatrix

    def fit(self, weighted: CsrMatrix, show_progress: bool) -> None: ...


def _histories(weights: CsrMatrix, settings: WalkSettings) -> CsrMatrix:
    """The first step: the capped histories, each product with the same weight."""
    row, column = cells(weights)
    kept = _is_heaviest(row, column, weights.data, settings.history_cap)
    row, column = row[kept], column[kept]
    histories = sparse(row, column, np.ones(len(row)), weights.shape)
    histories.data = _steps(histories, settings.alpha).astype(np.float32)
    return histories


def _steps(histories: CsrMatrix, alpha: float) -> NDArray[np.float64]:
    """``n_products_of_member ** -alpha`` at every product of every member."""
    length = np.diff(histories.indptr).astype(np.float64)
    return np.repeat(length, np.diff(histories.indptr)) ** -alpha


def _similarity(histories: CsrMatrix, settings: WalkSettings, n_threads: int) -> CsrMatrix:
    """The two other steps, for the best ends of every product."""
    n_products = histories.shape[1]
    # The product itself takes a place.
    n_ends = min(settings.neighbours + 1, n_products)
    if n_ends * n_products >= _LARGEST_RESULT:
        raise ValueError(f"{settings.neighbours} neighbours of {n_products} products are too many")
    popularity = _popularity(histories)
    # The kernel multiplies a matrix with itself, so both sides get the same factors here and
    # what the start has too much is taken back below: it is one factor for all of its ends.
    side = histories.astype(np.float64)
    side.data = np.sqrt(_steps(histories, settings.alpha))
    side.data *= popularity[side.indices] ** -settings.beta
    model = cast(_Model, ItemItemRecommender(K=n_ends, num_threads=n_threads))
    model.fit(side, show_progress=False)

    start, end = cells(model.similarity)
    # In single precision, so that what is equal on paper ties.
    value = model.similarity.data.astype(np.float32)
    # Where there are fewer ends the kernel leaves zeros, all from the first product to itself.
    is_end = start != end
    start, end, value = start[is_end], end[is_end], value[is_end]
    kept = _is_heaviest(start, end, value, settings.neighbours)
    start, end, value = start[kept], end[kept], value[kept]
    value = value * popularity[start] ** (settings.beta - settings.alpha)
    return sparse(start, end, value, (n_products, n_products))


def _popularity(histories: CsrMatrix) -> NDArray[np.float64]:
    """Members per product."""
    return np.bincount(histories.indices, minlength=histories.shape[1]).astype(np.float64)


def _is_heaviest(
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    value: NDArray[np.floating],
    n: int,
) -> NDArray[np.bool_]:
    """Whether each value is among the n highest of its row, ties by column; rows ascending."""
    lengths = np.bincount(row)
    kept = np.ones(len(row), dtype=np.bool_)
    # Few rows are too long: only those are sorted.
    at = np.flatnonzero((lengths > n)[row])
    order = at[np.lexsort((column[at], -value[at], row[at]))]
    long = lengths[lengths > n]
    place = np.arange(len(order)) - np.repeat(np.cumsum(long) - long, long)
    kept[order[place >= n]] = False
    return kept
