"""PageRank: who is followed by whom others follow.

Brin and Page, "The anatomy of a large-scale hypertextual Web search engine" (1998), in the form of
Langville and Meyer, "Google's PageRank and beyond" (2006), section 4.5: a walker stands on a node,
goes on along a vote with probability `damping`, in proportion to the votes' weights, and else to
any node; from a node that votes for nobody she always goes to any node. The rank of a node is the
part of the time she spends there.
"""

import math
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # pyright: ignore[reportMissingTypeStubs]


class _Votes(Protocol):
    """What is used of scipy's ``csr_matrix``, which publishes no types."""

    T: "_Votes"
    data: NDArray[np.float64]
    indices: NDArray[np.int32]

    def __matmul__(self, other: NDArray[np.float64], /) -> NDArray[np.float64]: ...

    def sort_indices(self) -> None: ...


def page_rank(
    n_nodes: int,
    voters: NDArray[np.integer],
    chosen: NDArray[np.integer],
    weights: NDArray[np.float64],
    *,
    damping: float = 0.85,
    tolerance: float = 1e-10,
) -> NDArray[np.float64]:
    """The rank of every node, found by following the walker step by step.

    Votes for oneself count for nothing. Votes of the same pair are added. If every pair is given
    once, the order of the votes changes no digit.

    Args:
        n_nodes: the nodes are 0 to n_nodes - 1.
        voters: who votes, shape (n_votes,).
        chosen: for whom, shape (n_votes,).
        weights: 0 or more, shape (n_votes,).
        damping: how often she follows a vote, from 0 to below 1.
        tolerance: the ranks' differences from the true ones add up to no more than
            tolerance * damping / (1 - damping).

    Returns:
        Ranks above 0 that add up to 1, shape (n_nodes,).

    Raises:
        ValueError: lengths differ, a node is none, a weight is negative or not finite, or damping
            or tolerance is out of range.
    """
    if not voters.shape == chosen.shape == weights.shape:
        raise ValueError(
            "voters, chosen and weights must be of one length, "
            f"not {voters.shape}, {chosen.shape} and {weights.shape}"
        )
    for nodes in (voters, chosen):
        if len(nodes) and not 0 <= nodes.min() <= nodes.max() < n_nodes:
            raise ValueError(f"nodes must be 0 to {n_nodes - 1}")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("weights must be finite and not negative")
    if not (0 <= damping < 1 and tolerance > 0):
        raise ValueError(f"no walk with damping {damping} and tolerance {tolerance}")
    if not n_nodes:
        return np.zeros(0)

    counts = (voters != chosen) & (weights > 0)
    received = cast(
        _Votes,
        csr_matrix((weights[counts], (chosen[counts], voters[counts])), shape=(n_nodes, n_nodes)),
    )
    received.sort_indices()
    given = received.T @ np.ones(n_nodes)
    votes_for_nobody = given == 0
    received.data /= given[received.indices]

    rank = np.full(n_nodes, 1 / n_nodes)
    # Every step brings two walks nearer to each other by the damping; at first they are 2 apart.
    n_steps = math.ceil(math.log(tolerance / 2) / math.log(damping)) if damping else 1
    for _ in range(max(n_steps, 1)):
        jumps = (1 - damping) + damping * rank[votes_for_nobody].sum()
        following = received @ rank
        following *= damping
        following += jumps / n_nodes
        moved = float(np.abs(following - rank).sum())
        rank = following
        if moved <= tolerance:
            break
    return rank / rank.sum()
