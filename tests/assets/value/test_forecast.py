"""Models where the data carry them, the fallback where not; the numbers are others' tests."""

import numpy as np
import pytest

from assets.value import bg_nbd, gamma_gamma, lifetime_value
from assets.value.forecast import forecast
from assets.value.lifetime_value import DataGate

OPEN_GATE = DataGate(min_buyers=1, min_days=1, min_orders=1)


@pytest.fixture(scope="module")
def buyers() -> dict[str, np.ndarray]:
    """Histories drawn from BG/NBD and Gamma-Gamma, in days."""
    rng = np.random.default_rng(11)
    n, days = 1500, 365
    rate = rng.gamma(0.6, 1 / 30, n)
    leaving = rng.beta(0.8, 2.5, n)
    level = 15 / rng.gamma(4, 1, n)
    T = rng.integers(30, days, n).astype(float)
    frequency, recency, value = np.zeros(n), np.zeros(n), np.zeros(n)
    for member in range(n):
        moment = rng.exponential(1 / rate[member])
        ordered = set()
        while moment < T[member]:
            ordered.add(int(moment))
            if rng.random() < leaving[member]:
                break
            moment += rng.exponential(1 / rate[member])
        ordered.discard(0)
        frequency[member], recency[member] = len(ordered), max(ordered, default=0)
        value[member] = rng.gamma(6, level[member], len(ordered)).mean() if ordered else 0
    return {"frequency": frequency, "recency": recency, "T": T, "monetary_value": value}


def run(buyers, gate=OPEN_GATE, months=12, monthly_rate=0.01):
    return forecast(**buyers, gate=gate, horizon_months=months, monthly_rate=monthly_rate)


def test_weeks_are_what_the_models_are_given(buyers):
    made = run(buyers)
    assert made.method == "bg_nbd_gamma_gamma"
    history = (buyers["frequency"], buyers["recency"] / 7, buyers["T"] / 7)
    orders = bg_nbd.fit(*history)
    values = gamma_gamma.fit(buyers["frequency"], buyers["monetary_value"])
    assert made.p_alive == pytest.approx(orders.probability_alive(*history))
    assert made.expected_orders == pytest.approx(orders.expected_purchases(365 / 7, *history))
    assert made.metrics["bg_nbd_log_likelihood"] == pytest.approx(orders.log_likelihood)
    assert made.metrics["gamma_gamma_q"] == pytest.approx(values.q)
    assert made.metrics["bg_nbd_converged"] == 1
    undiscounted = made.expected_orders * values.expected_value(
        buyers["frequency"], buyers["monetary_value"]
    )
    assert run(buyers, monthly_rate=0).predicted_clv == pytest.approx(undiscounted)
    assert (made.predicted_clv < undiscounted).all()
    assert (made.predicted_clv > 0.9 * undiscounted).all()


def test_a_longer_horizon_brings_more(buyers):
    assert (run(buyers, months=24).predicted_clv > run(buyers).predicted_clv).all()


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (DataGate(2000, 1, 1), "1500 buyers, 2000 needed"),
        (DataGate(1, 400, 1), "364 days of orders, 400 needed"),
        (DataGate(1, 1, 99), "no member with 99 orders"),
    ],
)
def test_the_gate_leads_to_the_fallback(buyers, gate, reason):
    made = run(buyers, gate)
    assert made.method == "fallback"
    assert made.reason.startswith(reason)
    assert made.p_alive is None
    assert made.expected_orders == pytest.approx(
        lifetime_value.fallback_orders(365 / 7, buyers["frequency"], buyers["T"] / 7)
    )
    assert (made.predicted_clv > 0).all()
    assert made.metrics["n_repeat_buyers"] == (buyers["frequency"] > 0).sum()
    assert "bg_nbd_r" not in made.metrics


def test_a_shop_without_buyers_is_no_failure():
    nobody = {name: np.zeros(0) for name in ("frequency", "recency", "T", "monetary_value")}
    made = run(nobody)
    assert (made.method, made.predicted_clv.size) == ("fallback", 0)


def test_a_shop_without_repeat_orders_gets_the_fallback():
    ones = {name: np.zeros(50) for name in ("frequency", "recency", "monetary_value")}
    made = run({**ones, "T": np.arange(1.0, 51.0)})
    assert made.method == "fallback"
    assert made.reason
    assert (made.predicted_clv == 0).all()


def test_equal_values_everywhere_get_the_fallback_with_its_reason(buyers):
    """Gamma-Gamma cannot tell members apart who all pay the same."""
    made = run({**buyers, "monetary_value": np.where(buyers["frequency"] > 0, 20.0, 0.0)})
    assert made.method == "fallback"
    assert made.reason.startswith("Gamma-Gamma:")
    assert made.predicted_clv.max() > 0
