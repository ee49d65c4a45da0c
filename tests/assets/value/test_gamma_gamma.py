"""Gamma-Gamma against the published CDNOW numbers, the paper's density and simulated truths."""

from collections.abc import Callable
from functools import cache
from math import exp, lgamma, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from assets.value import gamma_gamma
from assets.value.gamma_gamma import GammaGamma, Likelihood
from benchmarks.bg_nbd import Customers, customers, read_orders

Floats = NDArray[np.float64]
PUBLISHED = GammaGamma(6.25, 3.74, 15.44, 0.0, True, "Fader and Hardie 2013", 946)


@cache
def cdnow(path: Path) -> Customers:
    return customers(read_orders(path))


def parameters(model: GammaGamma) -> list[float]:
    return [model.p, model.q, model.v]


def density(model: GammaGamma, x: float, m: float) -> float:
    """The density of the mean m of x orders, straight from the paper's equation 1a."""
    p, q, v = parameters(model)
    return exp(
        lgamma(p * x + q)
        - lgamma(p * x)
        - lgamma(q)
        + q * log(v)
        + (p * x - 1) * log(m)
        + p * x * log(x)
        - (p * x + q) * log(v + m * x)
    )


positive = st.floats(0.2, 20.0)
models = st.builds(
    GammaGamma, positive, positive, positive, st.just(0.0), st.just(True), st.just(""), st.just(0)
)
repeaters = st.lists(st.tuples(st.integers(1, 6), st.floats(0.1, 500.0)), min_size=1, max_size=10)


def columns(members: list[tuple[int, float]]) -> tuple[Floats, Floats]:
    frequency, monetary_value = np.asarray(members, dtype=np.float64).T
    return frequency, monetary_value


def test_fit_reproduces_the_published_cdnow_sample(shared_data: Callable[[str], Path]) -> None:
    sample = cdnow(shared_data("cdnow/CDNOW_sample.txt"))
    model = gamma_gamma.fit(sample.frequency, sample.monetary_value)
    assert model.converged and model.n_members == 946
    assert parameters(model) == pytest.approx(parameters(PUBLISHED), abs=6e-3)
    independence = gamma_gamma.correlation(sample.frequency, sample.monetary_value)
    assert independence == pytest.approx(0.114, abs=5e-4)


def test_fit_reproduces_the_cdnow_master(shared_data: Callable[[str], Path]) -> None:
    master = cdnow(shared_data("cdnow/CDNOW_master.txt"))
    model = gamma_gamma.fit(master.frequency, master.monetary_value)
    assert model.converged and model.n_members == 9450
    assert parameters(model) == pytest.approx([6.2754, 3.6245, 14.9837], abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(members=repeaters, model=models)
def test_likelihood_is_the_sum_over_members(
    members: list[tuple[int, float]], model: GammaGamma
) -> None:
    value, _ = Likelihood(*columns(members)).evaluate(np.log(parameters(model)))
    expected = sum(log(max(density(model, x, m), 1e-300)) for x, m in members)
    if expected > -600:
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("x", [1, 4])
def test_density_has_mass_one_and_the_mean_that_is_predicted(x: int) -> None:
    # Over the logarithm of m the density is smooth, and a plain sum is exact to many digits.
    log_m, step = np.linspace(-20.0, 20.0, 4001, retstep=True)
    weights = [density(PUBLISHED, x, float(m)) * float(m) * step for m in np.exp(log_m)]
    assert sum(weights) == pytest.approx(1.0, abs=1e-9)
    mean = float(np.exp(log_m) @ weights)
    assert PUBLISHED.expected_value([0], [0]) == pytest.approx([mean], rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(members=repeaters, model=models)
def test_gradient_agrees_with_finite_differences(
    members: list[tuple[int, float]], model: GammaGamma
) -> None:
    likelihood = Likelihood(*columns(members))
    at, step = np.log(parameters(model)), 1e-5
    _, gradient = likelihood.evaluate(at)
    for axis in range(3):
        move = step * np.eye(3)[axis]
        slope = (likelihood.evaluate(at + move)[0] - likelihood.evaluate(at - move)[0]) / (2 * step)
        assert gradient[axis] == pytest.approx(slope, rel=1e-5, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(members=repeaters, model=models)
def test_expected_value_lies_between_her_own_and_the_population(
    members: list[tuple[int, float]], model: GammaGamma
) -> None:
    frequency, own = columns(members)
    expected = model.expected_value(frequency, own)
    assert np.isfinite(expected).all() and (expected > 0).all()
    if model.q > 1.0:
        population = model.p * model.v / (model.q - 1.0)
        low, high = np.minimum(own, population), np.maximum(own, population)
        assert (expected >= low * (1 - 1e-12)).all() and (expected <= high * (1 + 1e-12)).all()
        closer = model.expected_value(frequency + 1, own)
        assert (np.abs(closer - own) <= np.abs(expected - own) + 1e-9).all()


def test_member_without_repeat_gets_the_population_mean() -> None:
    expected = PUBLISHED.expected_value([0, 0], [np.nan, 99.0])
    assert expected == pytest.approx([6.25 * 15.44 / 2.74] * 2)


@pytest.mark.parametrize("q", [1e-6, 0.5, 1.0])
def test_population_without_mean_still_has_a_value(q: float) -> None:
    model = GammaGamma(0.3, q, 10.0, 0.0, True, "", 5)
    expected = model.expected_value([0, 1, 50], [0.0, 20.0, 20.0])
    assert expected[0] == pytest.approx(3.0 / (q + 1.0))
    assert np.isfinite(expected).all() and (expected > 0).all()
    assert expected[2] == pytest.approx(20.0, rel=0.1)


def test_negative_value_counts_as_none() -> None:
    lost, free = PUBLISHED.expected_value([3, 3], [-40.0, 0.0])
    assert lost == free > 0


@pytest.fixture(scope="module")
def shop() -> tuple[Floats, Floats]:
    random = np.random.default_rng(7)
    frequency = random.geometric(0.3, 20_000).astype(np.float64)
    rate = random.gamma(PUBLISHED.q, 1 / PUBLISHED.v, frequency.size)
    return frequency, random.gamma(PUBLISHED.p * frequency, 1 / rate) / frequency


def test_fit_recovers_the_parameters_it_was_simulated_with(shop: tuple[Floats, Floats]) -> None:
    model = gamma_gamma.fit(*shop)
    truth = np.log(parameters(PUBLISHED))
    assert model.converged
    assert np.log(parameters(model)) == pytest.approx(truth, abs=0.08)
    assert model.log_likelihood >= Likelihood(*shop).evaluate(truth)[0]
    assert gamma_gamma.correlation(*shop) == pytest.approx(0.0, abs=0.02)


def test_fit_does_not_depend_on_the_order_of_members(shop: tuple[Floats, Floats]) -> None:
    order = np.random.default_rng(3).permutation(shop[0].size)
    forwards, shuffled = gamma_gamma.fit(*shop), gamma_gamma.fit(*(each[order] for each in shop))
    assert parameters(shuffled) == pytest.approx(parameters(forwards), rel=1e-5)


def test_fit_in_cents_is_the_fit_in_dollars(shop: tuple[Floats, Floats]) -> None:
    frequency, dollars = shop
    model, cents = gamma_gamma.fit(*shop), gamma_gamma.fit(frequency, dollars * 100)
    assert parameters(cents) == pytest.approx([model.p, model.q, model.v * 100], rel=1e-5)
    assert cents.log_likelihood == pytest.approx(
        model.log_likelihood - frequency.size * log(100), rel=1e-9
    )


def test_fit_uses_only_repeaters_of_value(shop: tuple[Floats, Floats]) -> None:
    frequency, value = (each[:500] for each in shop)
    model = gamma_gamma.fit(frequency, value)
    padded = gamma_gamma.fit(
        np.append(frequency, [0.0, 0.0, 2.0, 2.0]), np.append(value, [np.nan, 50.0, 0.0, -5.0])
    )
    assert padded == model


@pytest.mark.parametrize(
    "frequency, value",
    [
        ([], []),
        ([0, 0], [0.0, np.nan]),
        ([2], [0.0]),
        ([1], [30.0]),
        ([1, 1, 1], [30.0, 30.0, 30.0]),
        ([1, 2, 5], [30.0, 30.0, 30.0]),
    ],
)
def test_degenerate_shops_are_flagged_and_predicted_without_nan(
    frequency: list[float], value: list[float]
) -> None:
    model = gamma_gamma.fit(frequency, value)
    assert not model.converged and model.is_ridge and model.message
    expected = model.expected_value([*frequency, 0], [*value, 0.0])
    assert expected.shape == (len(frequency) + 1,)
    # Where all orders had one value, that is what is expected of everybody.
    assert expected == pytest.approx([max(value, default=0.0)] * expected.size, rel=1e-3)
    assert gamma_gamma.correlation(frequency, value) is None


@pytest.mark.parametrize(
    "frequency, value, wrong",
    [
        ([1, 2], [1.0], "one length"),
        ([[1]], [[1.0]], "one dimension"),
        ([-1], [1.0], "frequency"),
        ([np.nan], [1.0], "frequency"),
        ([1], [np.nan], "monetary_value"),
        ([1], [np.inf], "monetary_value"),
    ],
)
def test_malformed_members_are_refused(
    frequency: list[float], value: list[float], wrong: str
) -> None:
    with pytest.raises(ValueError, match=wrong):
        gamma_gamma.fit(frequency, value)
    with pytest.raises(ValueError, match=wrong):
        PUBLISHED.expected_value(frequency, value)
    with pytest.raises(ValueError, match=wrong):
        gamma_gamma.correlation(frequency, value)
