"""The n best products of every member under a factor model, exactly and without the score matrix.

A tile of members times a tile of products is one matrix product of BLAS; it stays in a core's
cache, is searched for what belongs into the lists, and is forgotten. Nothing of the size of
members times products is ever held.

**The score** of a pair is the dot product of its two vectors, summed in double precision in one
fixed order and rounded to single precision. That makes it a property of the pair alone. What
BLAS gives is not: its rounding depends on the processor, on the shape of the tile, even on the
place within it. So BLAS only nominates. It errs by at most
``factors * 2^-24 / (1 - factors * 2^-24) * |u| |v|`` (Higham, "Accuracy and Stability of Numerical
Algorithms", 2002, equation 3.5, with the Cauchy-Schwarz inequality), whatever the order it sums
in; a pair that could belong into a list within that error is scored as defined, and that score
decides. The lists are therefore those of a brute force that scores every pair as defined, to the
last bit, on any number of threads. A brute force in single precision may differ from them where
two scores are closer than its own error, and nowhere else.

**The stop**: no score exceeds ``|u| |v|``, so with the products sorted by falling norm a member is
done once her n-th score is above her norm times the largest norm left. It changes no list.
"""

from concurrent.futures import ThreadPoolExecutor
from multiprocessing import cpu_count

import numpy as np

# Numba calls scipy's BLAS, which must be loaded before its threads can be limited.
import scipy.linalg.cython_blas  # noqa: F401  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from assets.compiled import compiled
from assets.recommend.matrix import CsrMatrix

# At 64 factors the scores, the products and the members of a tile share a core's cache of 1 MiB.
_TILE_MEMBERS = 512
_TILE_PRODUCTS = 256
# Scores that are looked at together before any is looked at alone.
_RUN = 64
_NO_COLUMN = np.iinfo(np.int32).max
_SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)
_LARGEST_SCORE = float(np.finfo(np.float32).max) / 2


def top_n(
    member_factors: NDArray[np.float32],
    product_factors: NDArray[np.float32],
    excluded: CsrMatrix,
    n: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
    stops_early: bool = True,
    n_threads: int = 0,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The columns and scores of the n best products of every member, best first.

    Equal scores stand in the order of their columns. The result depends neither on ``stops_early``
    nor on ``n_threads``, nor, for one member, on who the others are. Beside the result it holds a
    second copy of the product factors and some MiB per thread.

    Args:
        member_factors: finite, shape (n_members, factors).
        product_factors: finite, shape (n_products, factors).
        excluded: any stored value excludes the pair, shape (n_members, n_products).
        n: length of the lists.
        allowed: which products may be listed at all, shape (n_products,); all if None.
        stops_early: whether to leave out products whose norm is too small to matter.
        n_threads: threads to use; 0 for all processors.

    Returns:
        Columns and scores, both of shape (n_members, n); where a member has fewer than n products
        left, the rest of her row is -1 and -inf.

    Raises:
        ValueError: shapes disagree, a factor is not a finite number, scores could exceed what
            single precision holds, or n is below 1.
    """
    members = np.ascontiguousarray(member_factors, dtype=np.float32)
    products = np.ascontiguousarray(product_factors, dtype=np.float32)
    if members.ndim != 2 or products.ndim != 2 or members.shape[1] != products.shape[1]:
        raise ValueError(f"factors of shapes {members.shape} and {products.shape} do not fit")
    if not members.shape[1]:
        raise ValueError("at least one factor is needed")
    shape = (len(members), len(products))
    if excluded.shape != shape:
        raise ValueError(f"excluded is {excluded.shape}, but the factors ask for {shape}")
    if allowed is not None and allowed.shape != (len(products),):
        raise ValueError(f"allowed is {allowed.shape}, but there are {len(products)} products")
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")

    norms, product_norms = _norms(members), _norms(products)
    if not (np.isfinite(norms).all() and np.isfinite(product_norms).all()):
        raise ValueError("factors must be finite numbers")
    if norms.max(initial=0) * product_norms.max(initial=0) > _LARGEST_SCORE:
        raise ValueError("factors are so large that scores could exceed single precision")

    columns = np.full((len(members), n), -1, dtype=np.int32)
    scores = np.full((len(members), n), -np.inf, dtype=np.float32)
    candidates = np.arange(len(products)) if allowed is None else np.flatnonzero(allowed)
    if not len(members) or not len(candidates):
        return columns, scores

    by_norm = np.argsort(-product_norms[candidates], kind="stable")
    column_of = candidates[by_norm].astype(np.int32)
    place_of = np.full(len(products), -1, dtype=np.int32)
    place_of[column_of] = np.arange(len(column_of), dtype=np.int32)
    tiles = _tiles(products, column_of)
    largest_norms = product_norms[column_of[:: tiles.shape[2]]]
    indptr = excluded.indptr.astype(np.int64, copy=False)
    indices = excluded.indices.astype(np.int32, copy=False)
    # The lists are searched in narrower arrays where there are fewer products than places.
    width = min(n, len(column_of))

    def search(start: int) -> None:
        rows = slice(start, min(start + _TILE_MEMBERS, len(members)))
        columns[rows, :width], scores[rows, :width] = _search(
            members[rows],
            norms[rows],
            products,
            tiles,
            largest_norms,
            column_of,
            place_of,
            indptr[start : rows.stop + 1],
            indices,
            width,
            stops_early,
        )

    # Threads of its own: every core works on a tile of its own, and BLAS must not add to them.
    with (
        threadpool_limits(limits=1, user_api="blas"),
        ThreadPoolExecutor(n_threads or cpu_count()) as threads,
    ):
        for _ in threads.map(search, range(0, len(members), _TILE_MEMBERS)):
            pass
    return columns, scores


def _norms(factors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The length of every row."""
    return np.sqrt(np.einsum("rf,rf->r", factors, factors, dtype=np.float64))


def _tiles(products: NDArray[np.float32], column_of: NDArray[np.int32]) -> NDArray[np.float32]:
    """The products in their order, transposed tile by tile; the last is filled up with zeros.

    Returns:
        Shape (n_tiles, factors, products of a tile).
    """
    width = min(_TILE_PRODUCTS, len(column_of))
    starts = range(0, len(column_of), width)
    tiles = np.zeros((len(starts), products.shape[1], width), dtype=np.float32)
    for tile, start in zip(tiles, starts, strict=True):
        part = products[column_of[start : start + width]]
        tile[:, : len(part)] = part.T
    return tiles


@compiled
def _score(member: NDArray[np.float32], product: NDArray[np.float32]) -> np.float32:
    """The score as defined: four running sums, so that a processor can add them side by side.

    A product of two single precision numbers is exact in double precision.
    """
    a = b = c = d = 0.0
    whole = len(member) // 4 * 4
    for f in range(0, whole, 4):
        a += np.float64(member[f]) * np.float64(product[f])
        b += np.float64(member[f + 1]) * np.float64(product[f + 1])
        c += np.float64(member[f + 2]) * np.float64(product[f + 2])
        d += np.float64(member[f + 3]) * np.float64(product[f + 3])
    for f in range(whole, len(member)):
        a += np.float64(member[f]) * np.float64(product[f])
    return np.float32((a + b) + (c + d))


@compiled
def _error(highest: float, n_factors: int) -> float:
    """How far the nominated score may lie from the score, given the highest there can be.

    Twice the error of the module's text, and the rounding of the score and of the floor.
    """
    if highest > 0:
        return highest * (n_factors + 4) * 2.0**-23 + 2 * n_factors * _SMALLEST_NORMAL
    return 0.0


@compiled
def _next_run(scores: NDArray[np.float32], start: int, floor: np.float32) -> int:
    """The first run from ``start`` on with a score that is not below the floor, or the end."""
    for first in range(start, len(scores), _RUN):
        # A slice counted from 0 is what LLVM turns into vector instructions.
        run = scores[first : min(first + _RUN, len(scores))]
        has_any = False
        for place in range(len(run)):
            has_any |= run[place] >= floor
        if has_any:
            return first
    return len(scores)


@compiled
def _put(
    scores: NDArray[np.float32],
    columns: NDArray[np.int32],
    size: int,
    score: np.float32,
    column: np.int32,
) -> None:
    """Replaces the worst entry, the root of a heap of ``size`` entries, and restores the heap."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        other = child + 1
        if other < size and (
            scores[other] < scores[child]
            or (scores[other] == scores[child] and columns[other] > columns[child])
        ):
            child = other
        if scores[child] > score or (scores[child] == score and columns[child] < column):
            break
        scores[place], columns[place] = scores[child], columns[child]
        place = child
    scores[place], columns[place] = score, column


@compiled
def _sort(scores: NDArray[np.float32], columns: NDArray[np.int32]) -> None:
    """Turns a heap into a list, best first."""
    for last in range(len(scores) - 1, 0, -1):
        score, column = scores[0], columns[0]
        _put(scores, columns, last, scores[last], columns[last])
        scores[last], columns[last] = score, column


@compiled
def _search(
    members: NDArray[np.float32],
    norms: NDArray[np.float64],
    products: NDArray[np.float32],
    tiles: NDArray[np.float32],
    largest_norms: NDArray[np.float64],
    column_of: NDArray[np.int32],
    place_of: NDArray[np.int32],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    n: int,
    stops_early: bool,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The lists of a tile of members.

    Args:
        members: shape (n_members, factors).
        norms: shape (n_members,).
        products: by column, shape (n_products, factors).
        tiles: by place, that is by falling norm, shape (n_tiles, factors, products of a tile).
        largest_norms: the norm of each tile's first product, shape (n_tiles,).
        column_of: the column at each place, shape (n_candidates,).
        place_of: the place of each column, -1 where it has none, shape (n_products,).
        indptr: where each member's excluded columns lie in ``indices``, shape (n_members + 1,).
        indices: excluded columns, in any order.
        n: length of the lists, at most n_candidates.
        stops_early: whether to stop at norms that are too small to matter.

    Returns:
        Columns and scores, shape (n_members, n).
    """
    n_members, n_factors = members.shape
    tile_width = tiles.shape[2]
    best = np.full((n_members, n), -np.inf, dtype=np.float32)
    best_columns = np.full((n_members, n), _NO_COLUMN, dtype=np.int32)

    barred = np.empty(indptr[n_members] - indptr[0], dtype=np.int32)
    barred_at = np.empty(n_members + 1, dtype=np.int64)
    n_barred = 0
    for member in range(n_members):
        barred_at[member] = n_barred
        for index in range(indptr[member], indptr[member + 1]):
            place = place_of[indices[index]]
            if place >= 0:
                barred[n_barred] = place
                n_barred += 1
        barred[barred_at[member] : n_barred].sort()
    barred_at[n_members] = n_barred
    next_barred = barred_at[:n_members].copy()

    # Who still searches, and her vector, moved together as others stop: nobody starts again.
    searching = np.arange(n_members, dtype=np.int64)
    vectors = members.copy()
    n_searching = n_members
    nominated = np.empty((n_members, tile_width), dtype=np.float32)

    for tile in range(len(tiles)):
        if stops_early:
            n_left = 0
            for row in range(n_searching):
                member = searching[row]
                highest = norms[member] * largest_norms[tile]
                if highest + _error(highest, n_factors) >= best[member, 0]:
                    if n_left < row:
                        searching[n_left] = member
                        vectors[n_left] = vectors[row]
                    n_left += 1
            n_searching = n_left
        if n_searching == 0:
            break
        np.dot(vectors[:n_searching], tiles[tile], nominated[:n_searching])

        first = tile * tile_width
        width = min(tile_width, len(column_of) - first)
        for row in range(n_searching):
            member, scores = searching[row], nominated[row, :width]
            error = _error(norms[member] * largest_norms[tile], n_factors)
            while (
                next_barred[member] < barred_at[member + 1]
                and barred[next_barred[member]] < first + width
            ):
                scores[barred[next_barred[member]] - first] = -np.inf
                next_barred[member] += 1

            heap, heap_columns = best[member], best_columns[member]
            floor = np.float32(heap[0] - error)
            start = _next_run(scores, 0, floor)
            while start < len(scores):
                run = scores[start : start + _RUN]
                for place in range(len(run)):
                    if run[place] < floor or run[place] == -np.inf:
                        continue
                    column = np.int32(column_of[first + start + place])
                    if run[place] == floor and column > heap_columns[0]:
                        continue
                    score = _score(members[member], products[column])
                    if score > heap[0] or (score == heap[0] and column < heap_columns[0]):
                        _put(heap, heap_columns, n, score, column)
                        floor = np.float32(heap[0] - error)
                start = _next_run(scores, start + _RUN, floor)

    for member in range(n_members):
        _sort(best[member], best_columns[member])
        for rank in range(n):
            if best_columns[member, rank] == _NO_COLUMN:
                best_columns[member, rank] = -1
    return best_columns, best
