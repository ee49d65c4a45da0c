"""What two models of taste propose, and one list made of both.

The lists are fused by weighted reciprocal rank fusion: Cormack, Clarke and Buettcher, "Reciprocal
Rank Fusion outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009, section 2. It
asks for places alone, so that scores which mean different things need not be made comparable.
"""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from math import isfinite

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend.als import Factors
from assets.recommend.matrix import CsrMatrix, cells, ids_of, positions, sparse
from assets.recommend.random_walk import Walk
from assets.recommend.top_n import top_n

# Members at a time: bounds the memory by the lists of these, whatever the shop's size.
_BLOCK_MEMBERS = 1 << 16
# Ends of walks at a time, met or not.
_BLOCK_STEPS = 1 << 24
LISTS = pl.Schema(
    {
        "member_id": pl.Int64,
        "rank": pl.Int32,
        "product_id": pl.String,
        "score": pl.Float64,
    }
)
FUSED = pl.Schema({**LISTS, "source": pl.String})


def factor_lists(
    factors: Factors, excluded: CsrMatrix, n: int, allowed: NDArray[np.bool_] | None = None
) -> pl.DataFrame:
    """The n best products of every member by their vectors, ties by product_id.

    Args:
        factors: the model of those who get a list.
        excluded: any stored value excludes the pair, shape (n_members, n_products).
        n: length of the lists; shorter where fewer scores are above 0.
        allowed: which products may be listed at all, shape (n_products,); None for all.

    Returns:
        member_id, rank (from 1), product_id, score; ordered by member and rank.
    """
    if not len(factors.member_ids) or not len(factors.product_ids):
        return pl.DataFrame(schema=LISTS)
    column, score = top_n(
        factors.member_factors, factors.product_factors, excluded, n, allowed=allowed
    )
    row, rank = np.nonzero(score > 0)
    return _frame(factors, row, rank, column[row, rank], score[row, rank])


def pairs_of(model: Factors | Walk, pairs: pl.DataFrame) -> CsrMatrix:
    """Those of the pairs (member_id, product_id) that a model knows, aligned with it."""
    row = positions(model.member_ids, pairs["member_id"].to_numpy())
    pairs, row = pairs.filter(pl.Series(row >= 0)), row[row >= 0]
    column = positions(model.product_ids, ids_of(pairs["product_id"]))
    row, column = row[column >= 0], column[column >= 0]
    shape = (len(model.member_ids), len(model.product_ids))
    return sparse(row, column, np.ones(len(row), dtype=np.float32), shape)


def walk_lists(
    walk: Walk, excluded: CsrMatrix, n: int, allowed: NDArray[np.bool_] | None = None
) -> pl.DataFrame:
    """The n products of every member where her walks end most often, ties by product_id.

    Only ends are looked at, never all products. Arguments and result as for ``factor_lists``.
    """
    n_products = len(walk.product_ids)
    n_ends = np.diff(walk.similarity.indptr)[walk.histories.indices].astype(np.int64)
    by_member = np.concatenate([[0], np.cumsum(n_ends)])[walk.histories.indptr].tolist()
    frames = [pl.DataFrame(schema=LISTS)]
    start = 0
    while start < len(walk.member_ids):
        limit = bisect_right(by_member, by_member[start] + _BLOCK_STEPS) - 1
        stop = max(start + 1, min(limit, start + _BLOCK_MEMBERS))
        ends = walk.histories[start:stop] @ walk.similarity
        ends.sort_indices()
        row, column = cells(ends)
        barred_row, barred_column = cells(excluded[start:stop])
        is_open = np.ones(len(row), dtype=np.bool_)
        pair = row * n_products + column
        barred = barred_row * n_products + barred_column
        place = np.searchsorted(pair, barred)
        place = place[np.r_[pair, -1][place] == barred]
        is_open[place] = False
        if allowed is not None:
            is_open &= allowed[column]
        row, column, score = row[is_open], column[is_open], ends.data[is_open]
        best, rank = _best(row, column, score, n, stop - start)
        frames.append(_frame(walk, start + row[best], rank, column[best], score[best]))
        start = stop
    return pl.concat(frames)


def _best(
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    score: NDArray[np.floating],
    n: int,
    n_rows: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions and ranks (from 0) of the n highest positive scores of each row, best first.

    Rows ascend. The bits of a positive float sort as the float does, so that score and column
    fit into one integer that no other equals: a partition then has exactly one answer.
    """
    bits = score.astype(np.float32).view(np.int32).astype(np.int64)
    key = column - (bits << 32)
    starts = np.searchsorted(row, np.arange(n_rows + 1))
    chosen: list[NDArray[np.int64]] = []
    for start, stop in pairwise(starts.tolist()):
        part = key[start:stop]
        order = np.argpartition(part, n)[:n] if len(part) > n else np.arange(len(part))
        chosen.append(start + order[np.argsort(part[order])])
    nothing = np.zeros(0, dtype=np.int64)
    ranks = [np.arange(len(places)) for places in chosen]
    return np.concatenate([nothing, *chosen]), np.concatenate([nothing, *ranks])


def _frame(
    model: Factors | Walk,
    row: NDArray[np.int64],
    rank: NDArray[np.int64],
    column: NDArray[np.integer],
    score: NDArray[np.floating],
) -> pl.DataFrame:
    """Lists with ids instead of places."""
    return pl.DataFrame(
        {
            "member_id": model.member_ids[row],
            "rank": rank + 1,
            "product_id": pl.Series(model.product_ids, dtype=pl.String).gather(column),
            "score": score,
        },
        schema=LISTS,
    )


def fuse(
    lists: Mapping[str, pl.DataFrame],
    weights: Mapping[str, float | pl.DataFrame],
    n: int,
    k: int = 60,
) -> pl.DataFrame:
    """The n products of every member with the highest sum of ``weight / (k + rank)``.

    A product that a list does not hold gets nothing from it. Equal sums stand by product_id. The
    order of rows in the lists leaves no trace.

    Args:
        lists: member_id, rank (from 1), product_id by the name of their source.
        weights: of every source, at least 0; a source of weight 0 has no say. One for all
            members, or a frame of member_id and weight (0 for members who are missing).
        n: length of the fused lists.
        k: how little the first places stand out; the paper's 60 serves everywhere.

    Returns:
        member_id, rank (from 1), product_id, score (the sum), source (the list that gave most
        to it, the one named first at a tie); ordered by member and rank.

    Raises:
        ValueError: n or k below 1, a list without a weight, a weight that is negative or not
            finite, or a list that names a product twice.
    """
    if n < 1 or k < 1:
        raise ValueError("n and k must be at least 1")
    for name in lists:
        if name not in weights:
            raise ValueError(f"list {name} has no weight")
        least, most = _range(weights[name])
        if not (isfinite(least + most) and least >= 0):
            raise ValueError(f"the weight of {name} must be at least 0, not {least}")
    heard = {name: ranked for name, ranked in lists.items() if _range(weights[name])[1] > 0}
    if not heard:
        return pl.DataFrame(schema=FUSED)
    products = pl.concat([ranked["product_id"].unique() for ranked in heard.values()])
    products = products.unique().sort()
    in_order = pl.Enum(products)
    members = pl.concat([ranked["member_id"].unique() for ranked in heard.values()]).unique().sort()
    coded = {
        name: ranked.select(
            "member_id",
            "rank",
            column=pl.col("product_id").cast(in_order).to_physical().cast(pl.Int64),
        )
        for name, ranked in heard.items()
    }
    fused = [pl.DataFrame(schema=FUSED)]
    for start in range(0, len(members), _BLOCK_MEMBERS):
        block = members[start : start + _BLOCK_MEMBERS]
        parts = {
            name: _parts(ranked, block, len(products), weights[name], k)
            for name, ranked in coded.items()
        }
        pair, rank, score, source = _fuse_block(parts, len(products), n)
        fused.append(
            pl.DataFrame(
                {
                    "member_id": block.gather(pair // len(products)),
                    "rank": rank + 1,
                    "product_id": products.gather(pair % len(products)),
                    "score": score,
                    "source": source,
                },
                schema=FUSED,
            )
        )
    return pl.concat(fused)


def _range(weight: float | pl.DataFrame) -> tuple[float, float]:
    """The lowest and the highest weight."""
    if isinstance(weight, pl.DataFrame):
        values = weight["weight"].to_numpy()
        return float(values.min(initial=0.0)), float(values.max(initial=0.0))
    return weight, weight


def _parts(
    ranked: pl.DataFrame,
    block: pl.Series,
    n_products: int,
    weight: float | pl.DataFrame,
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """What a list gives to the members of a block: pairs, ascending, and how much to each.

    A pair is the place of the member in the block times n_products, plus the product's.
    """
    here = ranked.filter(pl.col("member_id").is_between(block[0], block[-1]))
    of_row = np.zeros(len(block))
    if isinstance(weight, pl.DataFrame):
        place = positions(block.to_numpy(), weight["member_id"].to_numpy())
        of_row[place[place >= 0]] = weight["weight"].to_numpy()[place >= 0]
    else:
        of_row[:] = weight
    row = np.searchsorted(block.to_numpy(), here["member_id"].to_numpy())
    pair = row * n_products + here["column"].to_numpy()
    order = np.argsort(pair, kind="stable")
    order = order[of_row[row[order]] > 0]
    pair = pair[order]
    if np.any(pair[1:] == pair[:-1]):
        raise ValueError("a list must name each member_id and product_id once")
    return pair, of_row[row[order]] / (here["rank"].to_numpy()[order] + float(k))


def _fuse_block(
    parts: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]], n_products: int, n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], pl.Series]:
    """The n best pairs of each member, with rank (from 0), score and source.

    Args:
        parts: pairs and what they are given, as from ``_parts``, by source.
        n_products: products in all.
        n: pairs to keep of a member.
    """
    # Parts ascend, so that sorting merges them; a set of hashes takes ten times as long.
    pair = np.sort(np.concatenate([pairs for pairs, _ in parts.values()]), kind="stable")
    pair = pair[np.flatnonzero(np.r_[True, pair[1:] != pair[:-1]][: len(pair)])]
    given = {name: np.zeros(len(pair)) for name in parts}
    for name, (pairs, part) in parts.items():
        given[name][np.searchsorted(pair, pairs)] = part
    score = np.zeros(len(pair))
    # By name: the order in which three parts are added must not depend on the caller's.
    for name in sorted(parts):
        score += given[name]

    # Pairs ascend, and both sorts keep the order of equals: ties stand by product.
    member = pair // n_products
    by_score = np.argsort(-score, kind="stable")
    order = by_score[np.argsort(member[by_score], kind="stable")]
    at = np.arange(len(pair))
    is_first = np.concatenate([[True], member[1:] != member[:-1]])
    rank = at - np.maximum.accumulate(np.where(is_first, at, 0))
    kept = order[rank < n]
    # The first of equals is the source that is named first.
    most = np.argmax([part[kept] for part in given.values()], axis=0)
    source = pl.Series(list(parts), dtype=pl.String).gather(most)
    return pair[kept], rank[rank < n], score[kept], source
