"""Advocates: who is scored and ranked, and who stands below whom."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.social.advocates import Score, ranked

SCORE = Score(min_referred_buyers=2, revenue=0.5, conversion=0.3, reach=0.2)
SHARERS = {
    "member_id": pl.Int64,
    "referred_buyers": pl.Int64,
    "conversion_rate": pl.Float64,
    "recent_revenue": pl.Float64,
    "recent_conversions": pl.Float64,
    "recent_reach": pl.Float64,
}
REFERRALS = {"member_id": pl.Int64, "referrer_id": pl.Int64, "depth": pl.Int64}
VOTES = {"member_id": pl.Int64, "referrer_id": pl.Int64, "weight": pl.Float64}
Row = tuple[Any, ...]


def rows_of(
    sharers: list[Row],
    referrals: list[Row] | None = None,
    votes: list[Row] | None = None,
    score: Score = SCORE,
) -> dict[int, dict[str, Any]]:
    """Advocates by member; a sharer is (id, buyers, rate, revenue, conversions, reach)."""
    found = ranked(
        pl.DataFrame(sharers, SHARERS, orient="row"),
        pl.DataFrame(referrals or [], REFERRALS, orient="row"),
        pl.DataFrame(votes or [], VOTES, orient="row"),
        score,
        0.85,
    )
    return {row["member_id"]: row for row in found.to_dicts()}


def test_no_advocates():
    assert rows_of([]) == {}


def test_the_score_adds_standard_deviations():
    # Two scored: in each respect one is a standard deviation above the mean, one below.
    found = rows_of(
        [(1, 2, 0.5, 100.0, 1.0, 10.0), (2, 3, 0.5, 10.0, 2.0, 4.0), (3, 1, 1.0, 900.0, 9.0, 9.0)]
    )
    assert found[1]["score"] == pytest.approx(0.5 - 0.3 + 0.2)
    assert found[2]["score"] == pytest.approx(-0.5 + 0.3 - 0.2)
    assert (found[1]["rank"], found[2]["rank"]) == (1, 2)


def test_too_few_buyers_say_nothing():
    found = rows_of([(1, 1, 0.5, 100.0, 1.0, 2.0), (2, 2, 0.5, 10.0, 1.0, 2.0)])
    assert (found[1]["score"], found[1]["rank"]) == (None, None)
    assert (found[2]["score"], found[2]["rank"]) == (0, 1)


def test_equals_are_ranked_by_id_and_score_nothing():
    # Three equal thirds do not add up to their mean exactly.
    found = rows_of([(member, 2, 1 / 3, 0.1, 0.1, 0.3) for member in (3, 1, 2)])
    assert [found[member]["rank"] for member in (1, 2, 3)] == [1, 2, 3]
    assert {row["score"] for row in found.values()} == {0}


def test_refunds_beyond_revenue_are_no_revenue():
    found = rows_of([(1, 2, 0.5, -50.0, 1.0, 2.0), (2, 2, 0.5, 0.0, 1.0, 2.0)])
    assert {row["score"] for row in found.values()} == {0}


def test_what_is_forgotten_counts_at_its_old_rate():
    forgotten = (1, 2, 0.9, 0.0, 0.0, 0.0)
    found = rows_of([forgotten, (2, 2, 0.1, 0.0, 0.1, 1.0)], score=Score(2, 0, 1, 0))
    assert found[1]["score"] > found[2]["score"]


def test_page_rank_is_of_all_standing_on_the_graph():
    # 1 is voted for by two who are no advocates.
    found = rows_of(
        [(1, 0, 0.0, 0, 0, 0), (2, 0, 0.0, 0, 0, 0)], votes=[(8, 1, 1.0), (9, 1, 0.5), (8, 2, 1.0)]
    )
    assert found[1]["page_rank"] > found[2]["page_rank"]
    assert found[1]["page_rank"] + found[2]["page_rank"] < 1
    alone = rows_of([(1, 0, None, 0, 0, 0)])
    assert alone[1]["page_rank"] == 1


def test_everybody_below_is_in_the_subtree():
    referrals = [(2, 1, 1), (3, 2, 2), (4, 2, 2), (5, 4, 3), (7, 6, 1)]
    found = rows_of(
        [(member, 0, None, 0, 0, 0) for member in (1, 2, 3, 4, 6, 8)], referrals=referrals
    )
    assert {member: row["subtree_size"] for member, row in found.items()} == {
        1: 4,
        2: 3,
        3: 0,
        4: 1,
        6: 1,
        8: 0,
    }


@st.composite
def shops(draw: st.DrawFn) -> tuple[list[Row], list[Row], list[Row]]:
    """Advocates, a forest in which nobody's referrer joined after her, and votes."""
    n_members = draw(st.integers(1, 20))
    thousandths = st.integers(0, 20_000).map(lambda number: number / 1000)
    sharers: list[Row] = []
    for member in range(n_members):
        reach = draw(thousandths)
        conversions = min(reach, draw(thousandths))
        revenue = draw(st.floats(-1e4, 1e6))
        buyers, rate = draw(st.integers(0, 5)), draw(st.floats(0, 1))
        sharers.append((member, buyers, rate, revenue, conversions, reach))
    depths = {0: 0}
    referrals: list[Row] = []
    for member in range(1, n_members):
        referrer = draw(st.none() | st.integers(0, member - 1))
        depths[member] = 0 if referrer is None else depths[referrer] + 1
        if referrer is not None:
            referrals.append((member, referrer, depths[member]))
    pairs = draw(
        st.dictionaries(
            st.tuples(st.integers(0, 25), st.integers(0, 25)), st.floats(0, 9), max_size=30
        )
    )
    return sharers, referrals, [(*pair, weight) for pair, weight in pairs.items()]


@given(shops(), st.randoms(use_true_random=False))
def test_ranks_and_subtrees_of_any_shop(shop, chance):
    sharers, referrals, votes = shop
    found = rows_of(sharers, referrals, votes)
    scored = [row for row in found.values() if row["score"] is not None]
    assert {row["member_id"] for row in scored} == {row[0] for row in sharers if row[1] >= 2}
    by_rank = sorted(scored, key=lambda row: row["rank"])
    assert [row["rank"] for row in by_rank] == list(range(1, len(scored) + 1))
    assert by_rank == sorted(by_rank, key=lambda row: (-row["score"], row["member_id"]))

    referrer_of = {member: referrer for member, referrer, _ in referrals}
    below = dict.fromkeys(found, 0)
    for member in referrer_of:
        above = referrer_of.get(member)
        while above is not None:
            below[above] += 1
            above = referrer_of.get(above)
    assert {member: row["subtree_size"] for member, row in found.items()} == below

    for rows in (sharers, referrals, votes):
        chance.shuffle(rows)
    assert rows_of(sharers, referrals, votes) == found
