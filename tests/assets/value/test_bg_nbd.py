"""BG/NBD against the published CDNOW numbers, the paper's formulas and simulated truths."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from math import exp, lgamma, log, sqrt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from assets.value import bg_nbd
from assets.value.bg_nbd import BgNbd, Likelihood, distinct_histories
from benchmarks.bg_nbd import CALIBRATION_END, Customers, customers, read_orders

Floats = NDArray[np.float64]
PUBLISHED = BgNbd(0.243, 4.414, 0.793, 2.426, -9582.4, True, "Fader, Hardie and Lee 2005", 2357)


@cache
def orders_of(path: Path) -> pl.DataFrame:
    return read_orders(path)


@cache
def cdnow(path: Path) -> Customers:
    return customers(orders_of(path))


def parameters(model: BgNbd) -> list[float]:
    return [model.r, model.alpha, model.a, model.b]


def simulated(
    model: BgNbd, n_members: int, weeks: float, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Draws histories from the model's own story (BG/NBD's)."""
    random = np.random.default_rng(seed)
    age = random.uniform(0.0, weeks, n_members)
    rate = random.gamma(model.r, 1 / model.alpha, n_members)
    leaving = random.beta(model.a, model.b, n_members)
    frequency, recency, clock = np.zeros(n_members), np.zeros(n_members), np.zeros(n_members)
    present = np.arange(n_members)
    while present.size:
        clock[present] += random.exponential(1 / np.maximum(rate[present], 1e-300))
        present = present[clock[present] <= age[present]]
        frequency[present] += 1
        recency[present] = clock[present]
        present = present[random.random(present.size) > leaving[present]]
    return frequency, recency, age


def member_log_likelihood(model: BgNbd, x: float, t_x: float, age: float) -> float:
    """One member's log-likelihood, straight from the paper's equation 6.

    In MBG/NBD she survives one toss of the coin more, that after her first order.
    """
    r, alpha, a, b = parameters(model)
    tosses = x + model.leaves_after_first

    def log_beta(p: float, q: float) -> float:
        return lgamma(p) + lgamma(q) - lgamma(p + q)

    order = lgamma(r + x) - lgamma(r) + r * log(alpha)
    stays = exp(log_beta(a, b + tosses) - log_beta(a, b) - (r + x) * log(alpha + age))
    if tosses == 0:
        return order + log(stays)
    leaves = exp(log_beta(a + 1, b + tosses - 1) - log_beta(a, b) - (r + x) * log(alpha + t_x))
    return order + log(stays + leaves)


def orders_if_alive(model: BgNbd, t: float, x: float, age: float) -> float:
    """Expected orders of a living member, averaged over her leaving probability by hand.

    Given rate l and leaving probability p they are (1 - exp(-l p t)) / p. The average over p runs
    over its log odds, where the density is smooth and the trapezoid rule exact to many digits.
    """
    a, b = model.a, model.b + x + model.leaves_after_first
    centre, width = log(a / b), 12 * sqrt(1 / a + 1 / b)
    odds = np.linspace(centre - width - 40 / a, centre + width + 40 / b, 40_001)
    log_density = -a * np.logaddexp(0, -odds) - b * np.logaddexp(0, odds)
    density = np.exp(log_density - log_density.max())
    leaving = np.exp(-np.logaddexp(0, -odds))
    growth = t / (model.alpha + age)
    orders = -np.expm1(-(model.r + x) * np.log1p(leaving * growth)) / leaving
    return float((density * orders).sum() / density.sum())


positive = st.floats(0.05, 20.0)
models = st.builds(
    BgNbd,
    positive,
    positive,
    positive,
    positive,
    st.just(0.0),
    st.just(True),
    st.just(""),
    st.just(0),
    leaves_after_first=st.booleans(),
)


@st.composite
def shops(draw: st.DrawFn) -> tuple[list[float], list[float], list[float]]:
    """Histories on a coarse grid of days, so that members often share one."""
    rows: list[tuple[float, float, float]] = []
    for _ in range(draw(st.integers(1, 12))):
        age = draw(st.integers(0, 30))
        recency = draw(st.integers(0, age))
        frequency = draw(st.integers(1, 5)) if recency else 0
        rows.append((float(frequency), recency / 7, age / 7))
    frequencies, recencies, ages = zip(*rows, strict=True)
    return list(frequencies), list(recencies), list(ages)


def test_fit_reproduces_the_published_cdnow_sample(shared_data: Callable[[str], Path]) -> None:
    sample = cdnow(shared_data("cdnow/CDNOW_sample.txt"))
    model = bg_nbd.fit(sample.frequency, sample.recency, sample.T)
    assert model.converged and not model.is_ridge and model.n_members == 2357
    assert parameters(model) == pytest.approx(parameters(PUBLISHED), abs=5e-4)
    # CLVTools' tests give one digit more than the paper.
    assert model.log_likelihood == pytest.approx(-9582.429, abs=1e-3)


def test_fit_reproduces_the_cdnow_master(shared_data: Callable[[str], Path]) -> None:
    master = cdnow(shared_data("cdnow/CDNOW_master.txt"))
    model = bg_nbd.fit(master.frequency, master.recency, master.T)
    assert model.converged and model.n_members == 23570
    assert parameters(model) == pytest.approx([0.2516, 4.7889, 0.7234, 2.1611], abs=1e-4)
    assert model.log_likelihood == pytest.approx(-95368.4439, abs=1e-3)
    assert distinct_histories(master.frequency, master.recency, master.T).T.size == 8685


def test_holdout_of_the_cdnow_sample_is_forecast_as_published(
    shared_data: Callable[[str], Path],
) -> None:
    orders = orders_of(shared_data("cdnow/CDNOW_sample.txt"))
    sample = customers(orders)
    model = bg_nbd.fit(sample.frequency, sample.recency, sample.T)
    final = customers(orders, CALIBRATION_END + timedelta(weeks=39))
    assert CALIBRATION_END + timedelta(weeks=39) == date(1998, 6, 30)

    # The paper reports cumulative repeat sales 4 % under by week 78, and a correlation of .626.
    error = model.expected_purchases_new(final.T).sum() / final.frequency.sum() - 1
    assert -0.05 < error < -0.03
    modified = bg_nbd.fit(sample.frequency, sample.recency, sample.T, leaves_after_first=True)
    error = modified.expected_purchases_new(final.T).sum() / final.frequency.sum() - 1
    assert error == pytest.approx(-0.067, abs=1e-3)
    forecast = model.expected_purchases(39.0, sample.frequency, sample.recency, sample.T)
    holdout = final.frequency - sample.frequency
    assert np.corrcoef(forecast, holdout)[0, 1] == pytest.approx(0.626, abs=2e-3)
    assert forecast[sample.frequency == 0].mean() == pytest.approx(0.225, abs=1e-3)


def test_holdout_of_the_cdnow_master_keeps_its_error(shared_data: Callable[[str], Path]) -> None:
    """The published band is the sample's; of all 23,570 customers the Christmas is missed more."""
    orders = orders_of(shared_data("cdnow/CDNOW_master.txt"))
    master = customers(orders)
    model = bg_nbd.fit(master.frequency, master.recency, master.T)
    final = customers(orders, CALIBRATION_END + timedelta(weeks=39))
    error = model.expected_purchases_new(final.T).sum() / final.frequency.sum() - 1
    assert error == pytest.approx(-0.062, abs=1e-3)
    forecast = model.expected_purchases(39.0, master.frequency, master.recency, master.T)
    holdout = final.frequency - master.frequency
    assert np.corrcoef(forecast, holdout)[0, 1] > 0.62
    assert forecast[master.frequency == 0].mean() == pytest.approx(0.231, abs=1e-3)


@pytest.mark.parametrize(
    "file, published, log_likelihood",
    [
        ("sample", [0.5248, 6.1831, 0.8914, 1.6140], -9582.136),
        # The package lifetimes gives the same.
        ("master", [0.6371, 7.3103, 0.8075, 1.2284], -95336.958),
    ],
)
def test_modified_model_of_the_cdnow_customers(
    shared_data: Callable[[str], Path], file: str, published: list[float], log_likelihood: float
) -> None:
    cdnow_file = cdnow(shared_data(f"cdnow/CDNOW_{file}.txt"))
    histories = (cdnow_file.frequency, cdnow_file.recency, cdnow_file.T)
    model = bg_nbd.fit(*histories, leaves_after_first=True)
    assert model.converged and model.leaves_after_first
    assert parameters(model) == pytest.approx(published, abs=1e-4)
    assert model.log_likelihood == pytest.approx(log_likelihood, abs=2e-3)
    # BG/NBD calls everybody alive who ordered once; the longer ago, the less this one does.
    once = cdnow_file.frequency == 0
    alive = model.probability_alive(*(each[once] for each in histories))
    assert (alive < 1).all() and (alive > 0).all()
    assert (bg_nbd.fit(*histories).probability_alive(*histories)[once] == 1).all()


def test_expected_purchases_of_the_published_customer() -> None:
    expected = PUBLISHED.expected_purchases(39.0, [2], [30.43], [38.86])
    assert expected == pytest.approx([1.226], abs=5e-4)


@settings(max_examples=60, deadline=None)
@given(shop=shops(), model=models)
def test_likelihood_of_groups_is_the_sum_over_members(
    shop: tuple[list[float], list[float], list[float]], model: BgNbd
) -> None:
    likelihood = Likelihood(distinct_histories(*shop), leaves_after_first=model.leaves_after_first)
    value, _ = likelihood.evaluate(np.log(parameters(model)))
    members = [member_log_likelihood(model, *member) for member in zip(*shop, strict=True)]
    assert value == pytest.approx(sum(members), rel=1e-9, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(shop=shops(), model=models)
def test_gradient_agrees_with_finite_differences(
    shop: tuple[list[float], list[float], list[float]], model: BgNbd
) -> None:
    likelihood = Likelihood(distinct_histories(*shop), leaves_after_first=model.leaves_after_first)
    at, step = np.log(parameters(model)), 1e-5
    _, gradient = likelihood.evaluate(at)
    for axis in range(4):
        move = step * np.eye(4)[axis]
        slope = (likelihood.evaluate(at + move)[0] - likelihood.evaluate(at - move)[0]) / (2 * step)
        assert gradient[axis] == pytest.approx(slope, rel=1e-5, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(shop=shops(), model=models, t=st.floats(0.0, 60.0))
def test_members_are_predicted_alike_alone_and_together(
    shop: tuple[list[float], list[float], list[float]], model: BgNbd, t: float
) -> None:
    together = model.expected_purchases(t, *shop)
    alive = model.probability_alive(*shop)
    for position, (x, t_x, age) in enumerate(zip(*shop, strict=True)):
        alone = model.expected_purchases(t, [x], [t_x], [age])
        assert together[position] == pytest.approx(alone[0], rel=1e-9, abs=1e-12)
        assert alive[position] == pytest.approx(
            model.probability_alive([x], [t_x], [age])[0], rel=1e-12
        )


@settings(max_examples=60, deadline=None)
@given(shop=shops(), model=models)
def test_predictions_stay_within_their_bounds(
    shop: tuple[list[float], list[float], list[float]], model: BgNbd
) -> None:
    frequency, recency, age = (np.asarray(each) for each in shop)
    alive = model.probability_alive(frequency, recency, age)
    assert ((alive >= 0) & (alive <= 1)).all()
    assert ((alive[frequency == 0] < 1) == model.leaves_after_first).all()
    horizons = np.array([0.0, 1.0, 4.0, 52.0])
    orders = model.expected_purchases(horizons, frequency, recency, age)
    assert orders.shape == (frequency.size, 4)
    assert orders[:, 0] == pytest.approx(np.zeros(frequency.size), abs=1e-9)
    # Where nearly everybody has left, more time adds less than the last digit.
    assert (orders[:, 1:] > 0).all() and (np.diff(orders, axis=1) >= -1e-12 * orders[:, 3:]).all()
    # Leaving can only cost orders: without it the rate is that of the gamma posterior.
    rate = (model.r + frequency) / (model.alpha + age)
    assert (orders <= np.outer(rate, horizons) * (1 + 1e-9) + 1e-9).all()
    # Silence only lowers the odds, and columns are what single horizons give.
    assert (model.probability_alive(frequency, recency, age + 1.0) <= alive).all()
    assert orders[:, 2] == pytest.approx(model.expected_purchases(4.0, *shop), rel=1e-12)


@pytest.mark.parametrize("a", [0.1, 0.5, 1 - 1e-7, 1.0, 1 + 1e-12, 1 + 1e-4, 1.5, 30.0])
@pytest.mark.parametrize("b", [0.5, 1.0, 2.4])
@pytest.mark.parametrize("leaves_after_first", [False, True])
def test_expected_purchases_where_the_formula_has_poles(
    a: float, b: float, leaves_after_first: bool
) -> None:
    model = replace(PUBLISHED, a=a, b=b, leaves_after_first=leaves_after_first)
    for x, age, t in ((0.0, 0.0, 39.0), (0.0, 20.0, 4.0), (3.0, 38.0, 52.0), (40.0, 100.0, 52.0)):
        orders = model.expected_purchases(t, [x], [age if x else 0.0], [age])
        alive = model.probability_alive([x], [age if x else 0.0], [age])
        expected = alive[0] * orders_if_alive(model, t, x, age)
        assert orders[0] == pytest.approx(expected, rel=1e-7)


def test_expected_purchases_where_a_plus_b_is_one() -> None:
    model = replace(PUBLISHED, a=0.25, b=0.75)
    assert model.expected_purchases_new(39.0) == pytest.approx(
        orders_if_alive(model, 39.0, 0.0, 0.0), rel=1e-7
    )


@pytest.mark.parametrize("a, b", [(0.793, 2.426), (1.0, 1.0), (1e3, 1e3), (1.6e5, 1.6e5)])
@pytest.mark.parametrize("x", [0.0, 1.0, 300.0, 3000.0])
def test_expected_purchases_of_extreme_members_and_models_do_not_overflow(
    a: float, b: float, x: float
) -> None:
    model = replace(PUBLISHED, a=a, b=b)
    recency = 99.0 if x else 0.0
    alive = model.probability_alive([x], [recency], [100.0])[0]
    for t in (4.0, 52.0, 520.0):
        orders = model.expected_purchases(t, [x], [recency], [100.0])
        expected = alive * orders_if_alive(model, t, x, 100.0)
        assert orders == pytest.approx([expected], rel=2e-5)


@pytest.mark.parametrize("leaves_after_first", [False, True])
def test_new_members_are_members_without_history(leaves_after_first: bool) -> None:
    model = replace(PUBLISHED, leaves_after_first=leaves_after_first)
    times = np.array([[0.0, 1.0], [10.0, 39.0]])
    orders = model.expected_purchases_new(times)
    assert orders.shape == (2, 2)
    for time, expected in zip(times.ravel(), orders.ravel(), strict=True):
        assert model.expected_purchases(time, [0], [0], [0])[0] == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(shop=shops(), model=models)
def test_next_order_is_as_likely_as_not_by_then(
    shop: tuple[list[float], list[float], list[float]], model: BgNbd
) -> None:
    days = model.next_order(*shop)
    alive = model.probability_alive(*shop)
    assert (np.isinf(days) | (alive > 0.5)).all() and (days > 0).all()
    for t, p, x, age in zip(days, alive, shop[0], shop[2], strict=True):
        if np.isfinite(t):
            silent = (model.r + x) * (log(model.alpha + age) - log(model.alpha + age + t))
            assert p * -np.expm1(silent) == pytest.approx(0.5, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(shop=shops(), model=models, limit=st.floats(0.05, 0.95))
def test_a_silent_member_falls_below_a_limit_at_its_age(
    shop: tuple[list[float], list[float], list[float]], model: BgNbd, limit: float
) -> None:
    ages = model.falls_below(limit, *shop)
    for age, x, t_x in zip(ages, *shop[:2], strict=True):
        if np.isinf(age):
            assert x == 0 and not model.leaves_after_first
        elif age > t_x:
            assert model.probability_alive([x], [t_x], [age]) == pytest.approx([limit], rel=1e-6)
        else:
            assert model.probability_alive([x], [t_x], [t_x])[0] <= limit + 1e-12


def test_nobody_falls_below_zero_and_everybody_below_one() -> None:
    assert np.isinf(PUBLISHED.falls_below(0.0, [1, 5], [9, 9], [30, 90])).all()
    assert (PUBLISHED.falls_below(1.0, [1, 5], [9, 8], [30, 90]) < [9, 8]).all()


@pytest.mark.parametrize("limit", [-0.1, 1.1, np.nan])
def test_a_limit_of_p_alive_must_be_a_share(limit: float) -> None:
    with pytest.raises(ValueError, match="p_alive"):
        PUBLISHED.falls_below(limit, [1], [1], [2])


@pytest.fixture(scope="module")
def shop() -> tuple[Floats, Floats, Floats]:
    """Enough members for all four parameters to show, on a grid of days."""
    frequency, recency, age = simulated(PUBLISHED, 30_000, 52.0, seed=11)
    return frequency, np.ceil(recency * 7) / 7, np.ceil(age * 7) / 7


def test_fit_recovers_the_parameters_it_was_simulated_with(
    shop: tuple[Floats, Floats, Floats],
) -> None:
    model = bg_nbd.fit(*shop)
    assert model.converged
    # Four standard errors at this size, from the paper's sample: about .06 on the log scale for
    # r, .1 for alpha, .25 for a and .3 for b.
    found, truth = np.log(parameters(model)), np.log(parameters(PUBLISHED))
    assert (np.abs(found - truth) < [0.06, 0.1, 0.25, 0.3]).all()
    # No place near the truth may be likelier than the maximum.
    histories = distinct_histories(*shop)
    assert model.log_likelihood >= Likelihood(histories).evaluate(truth)[0]


def test_scouting_finds_what_all_starts_find(
    shop: tuple[Floats, Floats, Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert distinct_histories(*shop).T.size > 4000
    scouted = bg_nbd.fit(*shop)
    monkeypatch.setattr(bg_nbd, "_MANY_HISTORIES", 10**9)
    thorough = bg_nbd.fit(*shop)
    assert parameters(scouted) == pytest.approx(parameters(thorough), rel=1e-4)
    assert scouted.log_likelihood == pytest.approx(thorough.log_likelihood, abs=1e-4)


@pytest.mark.parametrize("starts", [[[-2.2], [2.5]], [[2.5], [-2.2]]])
def test_the_highest_of_two_maxima_is_taken(starts: list[list[float]]) -> None:
    """At -2 the likelihood has a maximum, at 2 a higher one."""

    def negative_mean(at: Floats) -> tuple[float, Floats]:
        value = (at[0] ** 2 - 4) ** 2 / 16 - at[0] / 8
        return float(value), np.array([at[0] * (at[0] ** 2 - 4) / 4 - 1 / 8])

    found = bg_nbd.maximise(negative_mean, np.array(starts), ("x",), 100)
    assert found.converged and found.log_parameters[0] == pytest.approx(2.06, abs=0.01)
    assert found.covariance is not None


def test_a_ridge_above_a_maximum_is_no_maximum() -> None:
    """From one start the hill at 0 is found, from the other that it rises without end."""

    def negative_mean(at: Floats) -> tuple[float, Floats]:
        x = at[0]
        return float(-exp(-x * x) - max(x - 3, 0) ** 2), np.array(
            [2 * x * exp(-x * x) - 2 * max(x - 3, 0)]
        )

    found = bg_nbd.maximise(negative_mean, np.array([[0.3], [4.0]]), ("x",), 100)
    assert found.is_ridge and not found.converged and found.covariance is None


def test_fit_does_not_depend_on_the_order_of_members(shop: tuple[Floats, Floats, Floats]) -> None:
    frequency, recency, age = shop
    order = np.random.default_rng(3).permutation(frequency.size)
    assert bg_nbd.fit(frequency[order], recency[order], age[order]) == bg_nbd.fit(*shop)


def test_fit_to_every_member_twice_is_the_same(shop: tuple[Floats, Floats, Floats]) -> None:
    once = bg_nbd.fit(*shop)
    twice = bg_nbd.fit(*(np.tile(each, 2) for each in shop))
    assert parameters(twice) == pytest.approx(parameters(once), rel=1e-5)
    assert twice.log_likelihood == pytest.approx(2 * once.log_likelihood, rel=1e-9)
    assert twice.n_members == 2 * once.n_members


def test_fit_in_days_is_the_fit_in_weeks(shop: tuple[Floats, Floats, Floats]) -> None:
    frequency, recency, age = shop
    weeks, days = bg_nbd.fit(*shop), bg_nbd.fit(frequency, recency * 7, age * 7)
    assert parameters(days) == pytest.approx([weeks.r, weeks.alpha * 7, weeks.a, weeks.b], rel=1e-5)
    assert days.log_likelihood == pytest.approx(
        weeks.log_likelihood - frequency.sum() * np.log(7), rel=1e-9
    )


def test_penaliser_fades_with_the_number_of_members(shop: tuple[Floats, Floats, Floats]) -> None:
    few = tuple(each[:300] for each in shop)
    shifts: list[float] = []
    for histories in (few, shop):
        plain, weak = bg_nbd.fit(*histories), bg_nbd.fit(*histories, penaliser=1.0)
        assert weak.converged and weak.log_likelihood <= plain.log_likelihood
        shifts.append(float(np.abs(np.log(parameters(weak)) - np.log(parameters(plain))).max()))
    assert shifts[1] < shifts[0] / 5 and shifts[1] < 0.02


@pytest.mark.parametrize("seed", [12, 13, 37])
def test_a_ridge_within_the_bounds_is_flagged_and_held_by_a_prior(seed: int) -> None:
    """Where hardly anybody leaves, an interior maximum may be all but flat."""
    shop = simulated(replace(PUBLISHED, r=1.2, alpha=8.0, a=0.02, b=3.0), 600, 37.0, seed)
    alone, held = bg_nbd.fit(*shop), bg_nbd.fit(*shop, penaliser=1.0)
    assert 1e-4 < alone.a < 1e3 and 1e-4 < alone.b < 1e3
    assert alone.is_ridge and not alone.converged and alone.covariance is None
    assert "flat ridge" in alone.message
    assert held.converged


def test_ridge_is_flagged_where_nobody_leaves() -> None:
    loyal = replace(PUBLISHED, r=2.0, a=1e-9, b=1.0)
    frequency, recency, age = simulated(loyal, 400, 52.0, seed=5)
    model = bg_nbd.fit(frequency, recency, age)
    assert model.is_ridge and not model.converged
    assert "ridge" in model.message and "a" in model.message
    assert bg_nbd.fit(frequency, recency, age, penaliser=1.0).converged
    assert (model.probability_alive(frequency, recency, age) > 0.9).all()


def unit(days: NDArray[np.int64], name: str) -> Floats:
    """Days in weeks, in days, or in a unit that no float holds exactly."""
    return {"weeks": days / 7, "days": days.astype(float), "odd": days * 0.1}[name]


@settings(max_examples=60, deadline=None)
@given(
    members=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(0, 9))),
    name=st.sampled_from(["weeks", "days", "odd"]),
    far=st.sampled_from([0, 10**6]),
)
def test_groups_are_the_distinct_rows(
    members: list[tuple[int, int, int]], name: str, far: int
) -> None:
    numbers = np.array(members, dtype=np.int64).reshape(-1, 3)
    x, t_x = numbers[:, 0].astype(float), unit(numbers[:, 1], name)
    # A span of thousands of years is no reason to count every day of it.
    age = unit(numbers[:, 1] + numbers[:, 2] + far, name)
    groups = distinct_histories(x, t_x, age)
    rows, row, counts = np.unique(
        np.column_stack((x, t_x, age)), axis=0, return_inverse=True, return_counts=True
    )
    found = np.column_stack((groups.frequency, groups.recency, groups.T))
    assert (found == rows).all() and found.shape == rows.shape
    assert (groups.row == row.ravel()).all() and (groups.n_members == counts).all()


DEGENERATE: dict[str, tuple[list[float], list[float], list[float]]] = {
    "no member": ([], [], []),
    "one who never returned": ([0], [0], [20]),
    "one who returned": ([3], [10], [20]),
    "all on the day of observation": ([0, 0, 0], [0, 0, 0], [0, 0, 0]),
    "all on one day": ([0] * 9, [0] * 9, [5] * 9),
    "nobody returned": ([0] * 50, [0] * 50, [float(age) for age in range(50)]),
    "all alike": ([2] * 50, [6] * 50, [9] * 50),
    "last order today": ([1, 4], [7, 9], [7, 9]),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_shops_are_flagged_and_predicted_without_nan(name: str) -> None:
    histories = DEGENERATE[name]
    model = bg_nbd.fit(*histories)
    assert not model.converged and model.is_ridge and model.message
    assert np.isfinite([*parameters(model), model.log_likelihood]).all()
    size = len(histories[0])
    alive = model.probability_alive(*histories)
    orders = model.expected_purchases([4.0, 52.0], *histories)
    assert alive.shape == (size,) and np.isfinite(alive).all()
    assert orders.shape == (size, 2) and np.isfinite(orders).all() and (orders >= 0).all()


@pytest.mark.parametrize(
    "frequency, recency, age, wrong",
    [
        ([1, 2], [1], [2], "one length"),
        ([[1]], [[1]], [[2]], "one dimension"),
        ([1], [np.nan], [2], "finite"),
        ([-1], [0], [2], "count"),
        ([1.5], [1], [2], "count"),
        ([1], [3], [2], "between 0 and T"),
        ([1], [-1], [2], "between 0 and T"),
        ([0], [1], [2], "0 where frequency is 0"),
    ],
)
def test_malformed_histories_are_refused(
    frequency: list[float], recency: list[float], age: list[float], wrong: str
) -> None:
    with pytest.raises(ValueError, match=wrong):
        bg_nbd.fit(frequency, recency, age)
    with pytest.raises(ValueError, match=wrong):
        PUBLISHED.probability_alive(frequency, recency, age)


@pytest.mark.parametrize("t", [-1.0, np.inf, np.nan])
def test_malformed_horizons_are_refused(t: float) -> None:
    with pytest.raises(ValueError, match="horizons"):
        PUBLISHED.expected_purchases(t, [0], [0], [1])
    with pytest.raises(ValueError, match="horizons"):
        PUBLISHED.expected_purchases_new(t)


def test_negative_penaliser_is_refused() -> None:
    with pytest.raises(ValueError, match="penaliser"):
        bg_nbd.fit([0], [0], [1], penaliser=-1.0)
