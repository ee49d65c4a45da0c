"""PageRank against its definition as a system of equations, and what must not change it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from assets.social.page_rank import page_rank

Vote = tuple[int, int, float]


def ranked(n_nodes: int, votes: list[Vote], **terms: Any) -> NDArray[np.float64]:
    voters, chosen, weights = (
        np.array([vote[place] for vote in votes], dtype=kind)
        for place, kind in enumerate((np.int64, np.int64, np.float64))
    )
    return page_rank(n_nodes, voters, chosen, weights, **terms)


def solved(n_nodes: int, votes: list[Vote], damping: float) -> NDArray[np.float64]:
    """The stationary distribution by Gaussian elimination on the dense matrix."""
    weight = np.zeros((n_nodes, n_nodes))
    for voter, chosen, each in votes:
        if voter != chosen:
            weight[voter, chosen] += each
    moves = np.full((n_nodes, n_nodes), 1 / n_nodes)
    for voter in range(n_nodes):
        if weight[voter].sum() > 0:
            moves[voter] = weight[voter] / weight[voter].sum()
    jump = np.full(n_nodes, (1 - damping) / n_nodes)
    return np.linalg.solve(np.eye(n_nodes) - damping * moves.T, jump)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[Vote]]:
    n_nodes = draw(st.integers(1, 50))
    node = st.integers(0, n_nodes - 1)
    # A click as old as the oldest is worth next to nothing, but never less than this.
    weight = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))
    return n_nodes, draw(st.lists(st.tuples(node, node, weight), max_size=120))


@given(graphs(), st.sampled_from([0.0, 0.5, 0.85, 0.99]))
def test_it_solves_the_equations(graph, damping):
    n_nodes, votes = graph
    found = ranked(n_nodes, votes, damping=damping, tolerance=1e-13)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert (found > 0).all()
    assert np.abs(found - solved(n_nodes, votes, damping)).sum() < 1e-10


@given(graphs(), st.randoms(use_true_random=False))
def test_the_order_of_votes_changes_no_digit(graph, chance):
    n_nodes, votes = graph
    pairs = {vote[:2]: vote for vote in votes}
    votes = list(pairs.values())
    before = ranked(n_nodes, votes)
    chance.shuffle(votes)
    assert (ranked(n_nodes, votes) == before).all()


@given(graphs(), st.floats(1e-3, 1e3))
def test_only_proportions_count(graph, factor):
    n_nodes, votes = graph
    scaled = [(voter, chosen, weight * factor) for voter, chosen, weight in votes]
    assert ranked(n_nodes, scaled) == pytest.approx(ranked(n_nodes, votes), abs=1e-9)


def test_published_example():
    # Langville and Meyer, figure 4.1 with alpha = 0.9, chapter 4.5 and 5.
    links = [(1, 2), (1, 3), (3, 1), (3, 2), (3, 5), (4, 5), (4, 6), (5, 4), (5, 6), (6, 4)]
    found = ranked(6, [(a - 1, b - 1, 1.0) for a, b in links], damping=0.9)
    expected = [0.03721, 0.05396, 0.04151, 0.3751, 0.206, 0.2862]
    assert found == pytest.approx(expected, abs=5e-5)


def test_a_vote_is_worth_what_the_voter_is():
    # 0 and 1 each have one vote; 1's comes from 2, for whom three others vote.
    votes = [(3, 2, 1.0), (4, 2, 1.0), (5, 2, 1.0), (2, 1, 1.0), (6, 0, 1.0)]
    found = ranked(7, votes)
    assert found[1] > found[0] > found[3]


def test_nobody_votes():
    assert ranked(4, []).tolist() == [0.25] * 4
    assert ranked(1, [(0, 0, 3.0)]).tolist() == [1.0]
    assert ranked(0, []).tolist() == []


@pytest.mark.parametrize(
    ("message", "votes", "terms"),
    [
        ("nodes", [(0, 3, 1.0)], {}),
        ("nodes", [(-1, 0, 1.0)], {}),
        ("weights", [(0, 1, -1.0)], {}),
        ("weights", [(0, 1, np.nan)], {}),
        ("damping", [], {"damping": 1.0}),
        ("tolerance", [], {"tolerance": 0.0}),
    ],
)
def test_what_is_no_graph_is_refused(message, votes, terms):
    with pytest.raises(ValueError, match=message):
        ranked(3, votes, **terms)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="one length"):
        page_rank(2, np.array([0]), np.array([1, 0]), np.array([1.0]))
