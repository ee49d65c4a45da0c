"""Bounds of what a member brings, on futures drawn from the models and on CDNOW's own."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assets.value.bg_nbd import BgNbd
from assets.value.fits import Terms
from assets.value.forecast import forecast
from assets.value.gamma_gamma import GammaGamma
from assets.value.lifetime_value import DataGate
from assets.value.order_days import NO_LOSSES, Losses, RepeatDays
from assets.value.predictive import Purchases, bounds, count_probabilities
from benchmarks.bg_nbd import customers, read_orders

ORDERS = BgNbd(0.85, 6.5, 0.9, 3.6, 0.0, True, "", 1)
VALUES = GammaGamma(6.0, 4.0, 95.0, 0.0, True, "", 1)
LOSSES = Losses(0.2, 4.0, -40.0, deviation=23.0)
YEAR = 365 / 7
OPEN = DataGate(min_buyers=1, min_days=1, min_orders=1, max_idle_days=999)


def drawn(rng, losses: Losses, *, is_modified: bool = False) -> tuple[dict, np.ndarray, np.ndarray]:
    """Histories of 30 to 52 weeks, and the orders and margin of the year that follows."""
    n = 4_000
    T = rng.integers(210, 364, n) / 7
    rate = rng.gamma(ORDERS.r, 1 / ORDERS.alpha, n)
    leaving = rng.beta(ORDERS.a, ORDERS.b, n)
    level = 1 / rng.gamma(VALUES.q, 1 / VALUES.v, n)
    at_loss = np.zeros(n)
    if losses.share:
        a, b = losses.concentration * losses.share, losses.concentration * (1 - losses.share)
        at_loss = rng.beta(a, b, n)
    x, t_x, k, profit, lost, n_later, brought = (np.zeros(n) for _ in range(7))
    clock = np.zeros(n)
    present = np.flatnonzero(rng.random(n) >= leaving) if is_modified else np.arange(n)
    while present.size:
        clock[present] += rng.exponential(1 / rate[present])
        present = present[clock[present] < T[present] + YEAR]
        is_loss = rng.random(present.size) < at_loss[present]
        margin = rng.gamma(VALUES.p, level[present])
        margin[is_loss] = rng.uniform(2 * losses.mean, 0, is_loss.sum())
        known = clock[present] < T[present]
        before, after = present[known], present[~known]
        x[before] += 1
        t_x[before] = clock[before]
        k[before] += ~is_loss[known]
        profit[before] += np.where(is_loss[known], 0, margin[known])
        lost[before] += np.where(is_loss[known], margin[known], 0)
        n_later[after] += 1
        brought[after] += margin[~known]
        present = present[rng.random(present.size) >= leaving[present]]
    days = RepeatDays(x, k, profit / np.maximum(k, 1), lost)
    return {"history": (x, t_x, T), "days": days}, n_later, brought


@pytest.mark.parametrize("is_modified", [False, True])
def test_counts_are_those_of_members_drawn_from_the_model(is_modified):
    model = replace(ORDERS, leaves_after_first=is_modified)
    found, n_later, _ = drawn(np.random.default_rng(1), NO_LOSSES, is_modified=is_modified)
    x, t_x, T = found["history"]
    alive = model.probability_alive(x, t_x, T)
    expected = np.zeros(60)
    for frequency in np.unique(x):
        of = x == frequency
        each = count_probabilities(model, YEAR, frequency, T[of], 400)
        assert each.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
        mean = model.expected_purchases(YEAR, x[of], t_x[of], T[of])
        assert alive[of] * (each @ np.arange(401)) == pytest.approx(mean, rel=1e-4)
        expected += (alive[of][:, None] * each[:, :60]).sum(axis=0)
        expected[0] += (1 - alive[of]).sum()
    for n in range(6):
        came = (n_later == n).sum()
        assert came == pytest.approx(expected[n], abs=4 * np.sqrt(expected[n])), n


@pytest.mark.parametrize("losses", [NO_LOSSES, LOSSES], ids=["profits", "a fifth of losses"])
def test_bounds_hold_what_members_bring(losses):
    found, n_later, brought = drawn(np.random.default_rng(2), losses)
    x, t_x, T = found["history"]
    low, high = bounds(
        Purchases(ORDERS, T, ORDERS.probability_alive(x, t_x, T), YEAR, np.ones(T.size)),
        VALUES,
        losses,
        found["days"],
    )
    assert (low <= high).all()
    is_held = (low <= brought) & (brought <= high)
    # Next to nobody can lie below 0, so that the most part of 97.5 of 100 is held.
    assert 0.965 < is_held.mean() < 0.985
    assert 0.017 < (brought > high).mean() < 0.033
    for group in (x == 0, x == 1, (x > 1) & (x < 6), x >= 6):
        assert is_held[group].mean() > 0.955
    assert (n_later == 0).mean() > 0.3
    if losses is NO_LOSSES:
        assert (low >= 0).all() and (low == 0).mean() > 0.9
        assert (high == 0).any(), "who has left brings nothing"
    else:
        assert (low < 0).mean() > 0.3


def test_bounds_of_a_member_do_not_depend_on_who_else_there_is():
    found, _, _ = drawn(np.random.default_rng(3), LOSSES)
    x, t_x, T = found["history"]
    alive = ORDERS.probability_alive(x, t_x, T)

    def of(members):
        each = Purchases(ORDERS, T[members], alive[members], YEAR, np.ones(members.size))
        return bounds(each, VALUES, LOSSES, found["days"].part(members))

    together, shuffled = np.arange(T.size), np.random.default_rng(4).permutation(T.size)
    for first, second in zip(of(together), of(shuffled), strict=True):
        assert (first[shuffled] == second).all()
    few = np.flatnonzero(x <= 3)[:40]
    for first, second in zip(of(together), of(few), strict=True):
        assert first[few] == pytest.approx(second, rel=0.02, abs=0.01)


def test_nine_months_of_cdnow_lie_within_their_bounds(shared_data: Callable[[str], Path]):
    """39 weeks known, the next 273 days to come; the expectation's bounds hold next to nobody."""
    orders = read_orders(shared_data("cdnow/CDNOW_sample.txt"))
    known = customers(orders)
    end = date(1997, 9, 30)
    made = forecast(
        known.frequency,
        np.round(known.recency * 7),
        np.round(known.T * 7),
        known.monetary_value,
        terms=Terms(OPEN, one_time_share=0.7, min_cohort=10**6),
        horizon_months=9,
        monthly_rate=0.0,
        min_p_alive=0.33,
    )
    came = orders.filter(
        pl.col("order_date").is_between(end, end + timedelta(days=273), closed="right")
    )
    spent = came.group_by("customer").agg(pl.col("dollars").sum())
    by_customer = orders.filter(pl.col("order_date") <= end).select("customer").unique()
    brought = (
        by_customer.sort("customer")
        .join(spent, on="customer", how="left", maintain_order="left")["dollars"]
        .fill_null(0.0)
        .to_numpy()
    )
    assert brought.size == 2357
    held = ((made.predicted_low <= brought) & (brought <= made.predicted_high)).mean()
    # Christmas lies in these months: the orders are 12 % under, and so are the bounds.
    assert 0.95 < held < 0.98
    assert ((made.expected_low <= brought) & (brought <= made.expected_high)).mean() < 0.1
    assert (made.predicted_low == 0).mean() > 0.9
