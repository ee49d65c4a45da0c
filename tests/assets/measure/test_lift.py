"""Lift: published numbers, edges, and what every interval must hold."""

import csv
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.measure.lift import newcombe, two_proportion_z, wald, wilson, with_lift

GOLDEN = (540, 9000, 48, 1000)
COUNTS = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def points(interval):
    return [round(100 * float(value), 2) for value in interval]


def test_the_golden_case_is_inconclusive():
    assert points(newcombe(*GOLDEN)) == [1.20, -0.38, 2.47]
    assert points(wald(*GOLDEN)) == [1.20, -0.21, 2.61]
    test = two_proportion_z(*GOLDEN)
    assert (round(float(test.z), 3), round(float(test.p_value), 3)) == (1.530, 0.126)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table II, method 10.
        ((56, 70, 48, 80), (0.2000, 0.0524, 0.3339)),
        ((6, 7, 2, 7), (0.5714, 0.0582, 0.8062)),
        ((0, 10, 0, 20), (0.0000, -0.1611, 0.2775)),
        ((10, 10, 0, 10), (1.0000, 0.6075, 1.0000)),
    ],
)
def test_the_papers_own_cases(counts, expected):
    assert [round(float(value), 4) for value in newcombe(*counts)] == list(expected)


def test_wilson_at_the_edges():
    assert [round(float(v), 4) for v in wilson(0, 10)] == [0.0, 0.0, 0.2775]
    assert [round(float(v), 4) for v in wilson(10, 10)] == [1.0, 0.7225, 1.0]


def test_hillstroms_e_mail_test(shared_data):
    with shared_data("hillstrom/hillstrom.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assigned = Counter(row["segment"] for row in rows)
    visited = Counter(row["segment"] for row in rows if row["visit"] == "1")
    arms = ["Mens E-Mail", "Womens E-Mail"]
    n, c = ([count[arm] for arm in arms] for count in (assigned, visited))
    m, d = assigned["No E-Mail"], visited["No E-Mail"]
    assert points(wilson([*c, d], [*n, m]).estimate) == [18.28, 15.14, 10.62]
    assert np.round(100 * np.array([*c, d]) / np.array([*n, m]), 3).tolist() == [
        18.276,
        15.140,
        10.617,
    ]
    lift = newcombe(c, n, d, m)
    assert np.all(lift.low > 0)
    assert np.round(100 * lift.estimate, 2).tolist() == [7.66, 4.52]
    assert np.all(two_proportion_z(c, n, d, m).p_value < 1e-10)


@given(arm=COUNTS, held=COUNTS)
def test_intervals_hold_their_estimate_and_stay_possible(arm, held):
    interval = newcombe(*arm, *held)
    assert -1 <= interval.low <= interval.estimate <= interval.high <= 1
    rate = wilson(*arm)
    assert 0 <= rate.low <= rate.estimate <= rate.high <= 1


@given(arm=COUNTS, held=COUNTS)
def test_swapping_the_groups_turns_the_interval_round(arm, held):
    there, back = newcombe(*arm, *held), newcombe(*held, *arm)
    assert there.estimate == -back.estimate
    assert there.low == pytest.approx(-back.high, abs=1e-12)


def test_it_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    converted, held = rng.binomial(900, 0.05, 20_000), rng.binomial(100, 0.05, 20_000)
    newcombes, walds = (
        np.mean((i.low <= 0) & (i.high >= 0))
        for i in (newcombe(converted, 900, held, 100), wald(converted, 900, held, 100))
    )
    assert newcombes >= 0.94 > 0.935 > walds


def counts(**columns):
    defaults = {
        "assigned": 9000,
        "converted": 540,
        "holdout_assigned": 1000,
        "holdout_converted": 48,
        "cost": 450.0,
        "revenue": 54_000.0,
        "holdout_revenue": 4_800.0,
    }
    return pl.DataFrame({name: [value] for name, value in {**defaults, **columns}.items()})


def test_roi_is_incremental_revenue_less_cost_over_cost():
    row = with_lift(counts()).row(0, named=True)
    assert row["roi"] == pytest.approx((54_000 - 4_800 * 9 - 450) / 450)
    assert row["rate"] == pytest.approx(0.06)
    assert row["lift"] == pytest.approx(0.012)


def test_without_a_holdout_there_is_no_lift():
    row = with_lift(counts(holdout_assigned=0, holdout_converted=0, holdout_revenue=0.0)).row(
        0, named=True
    )
    assert row["rate"] == pytest.approx(0.06)
    for name in ("lift", "ci_low", "ci_high", "p_value", "roi"):
        assert row[name] is None


def test_without_cost_there_is_no_roi_and_without_conversions_no_p_value():
    row = with_lift(counts(cost=0.0, converted=0, holdout_converted=0)).row(0, named=True)
    assert row["roi"] is row["p_value"] is None
    assert row["lift"] == 0


def test_no_arms_give_no_rows():
    assert with_lift(counts().clear()).is_empty()
