"""Key opinion consumers: whose word brings members, and how far it carries."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.social.page_rank import page_rank


@dataclass(frozen=True)
class Score:
    """What an advocate's score is made of.

    Attributes:
        min_referred_buyers: below so many, chance says more than she does: no score.
        revenue: weight of the logarithm of what the members she referred have spent lately.
        conversion: weight of the part of those she reached lately that became members.
        reach: weight of how many she reached lately.
    """

    min_referred_buyers: int
    revenue: float
    conversion: float
    reach: float


def ranked(
    sharers: pl.DataFrame,
    referrals: pl.DataFrame,
    votes: pl.DataFrame,
    score: Score,
    damping: float,
) -> pl.DataFrame:
    """Every advocate with her score, her rank, her part of all standing and who is below her.

    The score adds up, by the weights, how many standard deviations she is above the mean of the
    scored in each respect (0 where all are equal).

    Args:
        sharers: one row per advocate: member_id, referred_buyers, conversion_rate (null without
            reach), recent_revenue, recent_conversions, recent_reach.
        referrals: one row per referred member: member_id, referrer_id, depth.
        votes: one row per pair: member_id votes for referrer_id with weight.
        score: what the score is made of.
        damping: PageRank's.

    Returns:
        `sharers`, sorted by member_id, with page_rank, score and rank (from 1 without a gap, by
        falling score, then member_id; both null below the minimum) and subtree_size.
    """
    rows = sharers.sort("member_id")
    members = rows["member_id"].to_numpy()
    is_scored = (rows["referred_buyers"] >= score.min_referred_buyers).to_numpy()
    of_scored = rows.filter(is_scored)
    # Where all is so long ago that nothing is left of it, the rate of all time.
    lately = of_scored.select(
        pl.when(pl.col("recent_reach") > 0)
        .then(pl.col("recent_conversions") / pl.col("recent_reach"))
        .otherwise(pl.col("conversion_rate"))
        .fill_null(0)
    ).to_series()
    scores = (
        score.revenue * _standard(np.log1p(of_scored["recent_revenue"].clip(0).to_numpy()))
        + score.conversion * _standard(lately.to_numpy())
        + score.reach * _standard(of_scored["recent_reach"].to_numpy())
    )
    places = np.empty(len(scores), dtype=np.int64)
    places[np.lexsort((members[is_scored], -scores))] = np.arange(1, len(scores) + 1)
    by_member = pl.DataFrame({"member_id": members[is_scored], "score": scores, "rank": places})
    return (
        rows.join(by_member, on="member_id", how="left")
        .join(_standing(members, votes, damping), on="member_id", how="left")
        .join(_subtree_sizes(referrals), on="member_id", how="left")
        .with_columns(pl.col("subtree_size").fill_null(0))
        .sort("member_id")
    )


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value's distance from the mean in standard deviations."""
    spread = values.std() if len(values) else 0.0
    # Of equal values rounding can leave a spread.
    if spread == 0 or values.min() == values.max():
        return np.zeros(len(values))
    return (values - values.mean()) / spread


def _standing(members: NDArray[np.int64], votes: pl.DataFrame, damping: float) -> pl.DataFrame:
    """PageRank of the advocates on the graph of them and of all who vote for them."""
    edges = votes.sort("member_id", "referrer_id")
    voters, chosen = edges["member_id"].to_numpy(), edges["referrer_id"].to_numpy()
    nodes = np.unique(np.concatenate((members, voters, chosen)))
    ranks = page_rank(
        len(nodes),
        np.searchsorted(nodes, voters),
        np.searchsorted(nodes, chosen),
        edges["weight"].to_numpy(),
        damping=damping,
    )
    return pl.DataFrame({"member_id": nodes, "page_rank": ranks})


def _subtree_sizes(referrals: pl.DataFrame) -> pl.DataFrame:
    """How many are below each member of the forest of referrals: level by level from the deepest.

    Args:
        referrals: one row per referred member: member_id, referrer_id, depth.
    """
    rows = referrals.sort("depth", "member_id", descending=[True, False])
    children, parents = rows["member_id"].to_numpy(), rows["referrer_id"].to_numpy()
    nodes = np.unique(np.concatenate((children, parents)))
    child, parent = np.searchsorted(nodes, children), np.searchsorted(nodes, parents)
    sizes = np.zeros(len(nodes), dtype=np.int64)
    depths = rows["depth"].to_numpy()
    edges = np.append(np.flatnonzero(np.diff(depths, prepend=-1)), len(rows))
    for start, stop in pairwise(edges):
        np.add.at(sizes, parent[start:stop], sizes[child[start:stop]] + 1)
    return pl.DataFrame({"member_id": nodes, "subtree_size": sizes})
