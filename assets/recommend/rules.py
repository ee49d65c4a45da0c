"""The shop's rules: from many candidates per member to the list that she sees.

Some rules only strike out, for everybody (``on_offer``) or for one member (``barred``). The others
weigh products against each other, so they build the list place by place (``arrange``). A rule on
regions is missing on purpose: members have a country, but nothing in the catalogue says where a
product may be sold.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from assets.recommend.matrix import ids_of, positions

# Flattens relevance as it does in the fusion that made the ranks.
_RANK_OFFSET = 60
# Similarities of a block of members, small enough to stay in a processor's cache.
_BLOCK_SIMILARITIES = 1 << 20


def on_offer(products: pl.DataFrame) -> pl.DataFrame:
    """What may be listed at all: products, not content, shown, and in stock.

    Args:
        products: product_id, kind, stock (null where it is not counted), is_hidden, and more.

    Returns:
        Those rows, ordered by product_id.
    """
    return products.filter(
        pl.col("kind") == "product", ~pl.col("is_hidden"), pl.col("stock").fill_null(1) > 0
    ).sort("product_id")


def barred(history: pl.DataFrame, products: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """What a member ordered too recently to want it again.

    Args:
        history: member_id, product_id, last_ordered_at (null where never).
        products: product_id, wait_days (null where it is bought once and for good).
        as_of: the instant of the recommendation, in the time zone of last_ordered_at.

    Returns:
        member_id, product_id.
    """
    wanted_again_at = pl.col("last_ordered_at") + pl.duration(days=pl.col("wait_days"))
    return (
        history.filter(pl.col("last_ordered_at").is_not_null())
        .join(products.select("product_id", "wait_days"), on="product_id")
        .filter((wanted_again_at > as_of).fill_null(value=True))
        .select("member_id", "product_id")
    )


@dataclass(frozen=True, eq=False)
class _Shelf:
    """What the rules look at, one row per product and a last row that stands for no product.

    Attributes:
        category: a product without one has a code of its own, shape (n_products + 1,).
        is_new: shape (n_products + 1,).
        is_placed: has a vector, shape (n_products + 1,).
        directions: vectors of length 1, zero where there is none, shape (n_products + 1, d).
    """

    category: NDArray[np.int32]
    is_new: NDArray[np.bool_]
    is_placed: NDArray[np.bool_]
    directions: NDArray[np.float32]


@dataclass(frozen=True)
class _Rules:
    n: int
    per_category: int
    diversity: float
    n_new: int

    @property
    def new_places(self) -> NDArray[np.int64]:
        """Places from 0, one in the middle of each of n_new equal parts of the list."""
        return ((np.arange(self.n_new) + 0.5) * self.n / max(self.n_new, 1)).astype(np.int64)


def arrange(
    candidates: pl.DataFrame,
    catalogue: pl.DataFrame,
    n: int,
    *,
    product_ids: NDArray[np.str_],
    vectors: NDArray[np.float32],
    diversity: float,
    new_share: float,
    per_category: int = 3,
) -> pl.DataFrame:
    """Chooses each member's n products, place by place.

    A place goes to the candidate with the highest marginal relevance (Carbonell and Goldstein,
    "The Use of MMR, Diversity-Based Reranking", SIGIR 1998, page 335)::

        (1 - diversity) * relevance - diversity * (highest cosine to a product listed above)

    with relevance = 61 / (60 + place among her candidates): 1 for the first, 0.76 for the 20th.
    It comes from the rank alone, for scores of different sources do not compare. A product
    without a vector is held to be as near to any other as her candidates are on average, neither
    favoured nor held back. Ties go to the better rank, then to the lower product_id.

    At most ``per_category`` products share a category. Only where her candidates cannot fill the
    list otherwise does the limit rise, one by one and at the end of the list, for the categories
    that are listed least. So a full list within the limit asks for candidates of enough
    categories, such as what is popular behind what is hers.

    ``floor(new_share * n)`` places belong to new products, where she has as many candidates that
    are new (and within the limit): the best of them keep their room under the limit from the
    start, and each is listed at a fixed place, spread evenly, unless it came higher by itself.

    Work is done in blocks of members, and what it takes grows with candidates times n.

    Args:
        candidates: member_id, rank (best first; gaps and ties are allowed), product_id, and
            columns that are carried through. Three to five times n per member serve well.
        catalogue: what may be listed: product_id, category (null: without limit), is_new. Other
            candidates are struck out.
        n: length of the lists.
        product_ids: whose vectors are given, distinct, ascending, shape (n_vectors,).
        vectors: shape (n_vectors, d); only their directions count.
        diversity: weight of the second part, 0 to 1; 0 keeps the order of the ranks.
        new_share: share of the places that belong to new products, 0 to 1.
        per_category: products of one category in a list.

    Returns:
        The columns of ``candidates`` with rank (from 1) made anew, ordered by member and rank;
        n rows per member, or all her candidates where they are fewer.

    Raises:
        ValueError: a number is out of its range, a product stands twice in the catalogue, a
            member has a product twice, or vectors do not fit product_ids.
    """
    if n < 1 or per_category < 1:
        raise ValueError("n and per_category must be at least 1")
    if not (0 <= diversity <= 1 and 0 <= new_share <= 1):
        raise ValueError("diversity and new_share must lie between 0 and 1")
    if vectors.ndim != 2 or len(vectors) != len(product_ids):
        raise ValueError(f"{len(product_ids)} products have vectors of shape {vectors.shape}")
    # A share such as 0.29 of 100 must not lose a place to its binary rounding.
    rules = _Rules(n, per_category, diversity, int(new_share * n + 1e-9))
    catalogue = catalogue.sort("product_id")
    if catalogue["product_id"].is_duplicated().any():
        raise ValueError("catalogue must name each product once")
    shelf = _shelf(catalogue, product_ids, vectors if diversity else vectors[:, :0])

    rows, codes, starts = _ordered(candidates, catalogue["product_id"])
    counts = np.diff(starts)
    width = int(counts.max(initial=1))
    step = max(1, _BLOCK_SIMILARITIES // (width * max(width, shelf.directions.shape[1])))
    chosen: list[NDArray[np.int64]] = []
    ranks: list[NDArray[np.int32]] = []
    # The products are too small for a BLAS to share out among threads.
    with threadpool_limits(limits=1, user_api="blas"):
        for first in range(0, len(counts), step):
            here = slice(first, min(first + step, len(counts)))
            place = starts[:-1][here, None] + np.arange(width)
            is_there = np.arange(width) < counts[here, None]
            code = np.where(is_there, codes[np.where(is_there, place, 0)], -1)
            _refuse_repeats(code)
            picks = _picks(code, shelf, rules)
            member, rank = np.nonzero(picks >= 0)
            chosen.append(rows[place[member, picks[member, rank]]])
            ranks.append((rank + 1).astype(np.int32))
    taken = np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)
    rank = np.concatenate(ranks) if ranks else np.zeros(0, dtype=np.int32)
    return candidates[taken].with_columns(rank=pl.Series(rank, dtype=pl.Int32))


def _shelf(
    catalogue: pl.DataFrame, product_ids: NDArray[np.str_], vectors: NDArray[np.float32]
) -> _Shelf:
    n_products = len(catalogue)
    named = catalogue["category"].rank("dense").fill_null(0).to_numpy().astype(np.int64)
    alone = n_products + np.arange(n_products)
    names = ids_of(catalogue["product_id"])
    row = positions(product_ids, names)
    directions = np.zeros((n_products + 1, vectors.shape[1]), dtype=np.float32)
    found = np.flatnonzero(row >= 0)
    length = np.linalg.norm(vectors[row[found]].astype(np.float64), axis=1)
    found, length = found[length > 0], length[length > 0]
    directions[found] = vectors[row[found]] / length[:, None]
    is_placed = np.zeros(n_products + 1, dtype=np.bool_)
    is_placed[found] = True
    return _Shelf(
        category=np.r_[np.where(named > 0, named, alone), -1].astype(np.int32),
        is_new=np.r_[catalogue["is_new"].to_numpy(), False].astype(np.bool_),
        is_placed=is_placed,
        directions=directions,
    )


def _ordered(
    candidates: pl.DataFrame, product_ids: pl.Series
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Candidates that are in the catalogue, by member, rank and product.

    Returns:
        Their row among the candidates and the place of their product in the catalogue, both of
        shape (n_kept,), and where each member begins and the last one ends, (n_members + 1,).
    """
    known = pl.DataFrame(
        {"product_id": product_ids, "code": np.arange(len(product_ids), dtype=np.int32)},
        schema={"product_id": pl.String, "code": pl.Int32},
    )
    kept = (
        candidates.select("member_id", "rank", "product_id")
        .with_row_index("row")
        .join(known, on="product_id")
        .select("member_id", "rank", "code", "row")
        .sort("member_id", "rank", "code")
    )
    member = kept["member_id"].to_numpy()
    starts = np.flatnonzero(np.r_[True, member[1:] != member[:-1]][: len(member)])
    return (
        kept["row"].to_numpy().astype(np.int64),
        kept["code"].to_numpy(),
        np.r_[starts, len(member)].astype(np.int64),
    )


def _refuse_repeats(code: NDArray[np.int32]) -> None:
    ascending = np.sort(code, axis=1)
    if np.any((ascending[:, 1:] == ascending[:, :-1]) & (ascending[:, 1:] >= 0)):
        raise ValueError("candidates must name each product of a member once")


def _picks(code: NDArray[np.int32], shelf: _Shelf, rules: _Rules) -> NDArray[np.int64]:
    """Which candidate stands at each place, -1 where none is left.

    Args:
        code: products of the candidates, best first, -1 behind the last; (n_members, width).
        shelf: what is known of the products.
        rules: what to keep to.

    Returns:
        Columns of ``code``, shape (n_members, min(n, width)).
    """
    n_members, width = len(code), code.shape[1]
    every: NDArray[np.int64] = np.arange(n_members)
    left = code >= 0
    category = shelf.category[code]
    # How many products of the candidate's category are listed, or have room kept for them.
    used = np.zeros(code.shape, dtype=np.int32)
    kept = _kept(left & shelf.is_new[code], category, used, rules)
    n_kept, n_kept_listed = kept.sum(axis=1), np.zeros(n_members, dtype=np.int64)
    new_places = rules.new_places

    relevance = (_RANK_OFFSET + 1) / (_RANK_OFFSET + 1 + np.arange(width, dtype=np.float32))
    worth = np.broadcast_to(np.float32(1 - rules.diversity) * relevance, code.shape)
    similarity = _Similarity.of(code, shelf) if rules.diversity else None
    nearest = np.full(code.shape, -np.inf, dtype=np.float32)
    limit = np.full(n_members, rules.per_category, dtype=np.int32)
    picks = np.full((n_members, min(rules.n, width)), -1, dtype=np.int64)
    for place in range(picks.shape[1]):
        eligible = left & (kept | (used < limit[:, None]))
        stuck = np.flatnonzero(~eligible.any(axis=1))
        if len(stuck):
            least = np.where(left[stuck], used[stuck], np.iinfo(np.int32).max - 1).min(axis=1)
            limit[stuck] = least + 1
            eligible[stuck] = left[stuck] & (used[stuck] < limit[stuck, None])
        if place in new_places:
            n_due = np.minimum(np.count_nonzero(new_places <= place), n_kept)
            eligible &= kept | (n_kept_listed >= n_due)[:, None]
        marginal = np.where(eligible, worth, -np.inf)
        if similarity is not None and place:
            marginal -= np.float32(rules.diversity) * nearest
        pick = np.argmax(marginal, axis=1)
        has_one = eligible[every, pick]
        picks[:, place] = np.where(has_one, pick, -1)

        is_kept = kept[every, pick] & has_one
        n_kept_listed += is_kept
        left[every, pick] = False
        kept[every, pick] = False
        used += (category == category[every, pick][:, None]) & (has_one & ~is_kept)[:, None]
        if similarity is not None:
            np.maximum(nearest, similarity.to(pick), out=nearest)
    return picks


def _kept(
    is_new: NDArray[np.bool_],
    category: NDArray[np.int32],
    used: NDArray[np.int32],
    rules: _Rules,
) -> NDArray[np.bool_]:
    """The best new candidates that fit under the limit together; ``used`` counts them already."""
    every: NDArray[np.int64] = np.arange(len(is_new))
    kept = np.zeros_like(is_new)
    for _ in range(rules.n_new):
        eligible = is_new & ~kept & (used < rules.per_category)
        pick = np.argmax(eligible, axis=1)
        has_one = eligible[every, pick]
        if not has_one.any():
            break
        kept[every, pick] |= has_one
        used += (category == category[every, pick][:, None]) & has_one[:, None]
    return kept


@dataclass(frozen=True, eq=False)
class _Similarity:
    """Cosines among the candidates of each member.

    Attributes:
        cosines: shape (n_members, width, width).
        is_placed: has a vector, shape (n_members, width).
        average: over a member's pairs of candidates that have one, shape (n_members, 1).
    """

    cosines: NDArray[np.float32]
    is_placed: NDArray[np.bool_]
    average: NDArray[np.float32]

    @classmethod
    def of(cls, code: NDArray[np.int32], shelf: _Shelf) -> "_Similarity":
        direction = shelf.directions[code]
        is_placed = shelf.is_placed[code]
        n_placed = is_placed.sum(axis=1)
        total = direction.sum(axis=1, dtype=np.float64)
        # The squared length of the sum holds every pair twice, and every product with itself.
        n_pairs = n_placed * (n_placed - 1)
        average = ((total**2).sum(axis=1) - n_placed) / np.maximum(n_pairs, 1)
        return cls(
            np.matmul(direction, direction.transpose(0, 2, 1)),
            is_placed,
            np.where(n_pairs > 0, average, 0).astype(np.float32)[:, None],
        )

    def to(self, pick: NDArray[np.int64]) -> NDArray[np.float32]:
        """Of every candidate to one of them; shape (n_members, width)."""
        every: NDArray[np.int64] = np.arange(len(pick))
        cosine = self.cosines[every, pick]
        if self.is_placed.all():
            return cosine
        is_known = self.is_placed & self.is_placed[every, pick][:, None]
        return np.where(is_known, cosine, self.average)
