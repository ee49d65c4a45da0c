"""Models where the data carry them, the fallback where not; the numbers are others' tests."""

from dataclasses import replace

import numpy as np
import pytest

from assets.value import bg_nbd, gamma_gamma, lifetime_value
from assets.value.fits import Terms, fit_models
from assets.value.forecast import forecast
from assets.value.lifetime_value import DataGate

OPEN_GATE = DataGate(min_buyers=1, min_days=1, min_orders=1, max_idle_days=999)
TERMS = Terms(OPEN_GATE, one_time_share=0.7, min_cohort=1000)


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


def run(buyers, terms=TERMS, months=12, monthly_rate=0.01, cohorts=None):
    return forecast(
        **buyers,
        terms=terms,
        horizon_months=months,
        monthly_rate=monthly_rate,
        min_p_alive=0.33,
        cohorts=cohorts,
    )


def test_weeks_are_what_the_models_are_given(buyers):
    made = run(buyers)
    assert made.models.method == "bg_nbd_gamma_gamma"
    history = (buyers["frequency"], buyers["recency"] / 7, buyers["T"] / 7)
    orders = bg_nbd.fit(*history)
    values = gamma_gamma.fit(buyers["frequency"], buyers["monetary_value"])
    again = buyers["frequency"] > 0
    assert made.p_alive[again] == pytest.approx(orders.probability_alive(*history)[again])
    assert np.isnan(made.p_alive[~again]).all()
    assert made.expected_orders == pytest.approx(orders.expected_purchases(365 / 7, *history))
    assert made.metrics["bg_nbd_log_likelihood"] == pytest.approx(orders.log_likelihood)
    assert made.metrics["gamma_gamma_q"] == pytest.approx(values.q)
    assert made.metrics["bg_nbd_converged"] == 1
    assert {type(value) for value in made.metrics.values()} == {float}, "Dagster takes no other"
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
        (DataGate(1, 1, 1, 0), "no order for 1 days, 0 allowed"),
    ],
)
def test_the_gate_leads_to_the_fallback(buyers, gate, reason):
    made = run(buyers, Terms(gate, one_time_share=0.7, min_cohort=1000))
    assert made.models.method == "fallback"
    assert made.models.reason.startswith(reason)
    assert made.models.fits == ()
    assert made.p_alive is None
    for numbers in (
        made.expected_low,
        made.expected_high,
        made.predicted_low,
        made.predicted_high,
        made.next_order_days,
        made.churn_age_days,
    ):
        assert np.isnan(numbers).all() and numbers.shape == buyers["T"].shape
    if gate.min_days == 400:
        assert made.models.held is None
        expected = lifetime_value.fallback_orders(365 / 7, buyers["frequency"], buyers["T"] / 7)
    else:
        history = (buyers["frequency"], buyers["recency"] / 7, buyers["T"] / 7)
        expected = bg_nbd.fit(*history, penaliser=1.0).expected_purchases(365 / 7, *history)
    assert made.expected_orders == pytest.approx(expected)
    assert (made.predicted_clv > 0).all()
    assert made.metrics["n_repeat_buyers"] == (buyers["frequency"] > 0).sum()
    assert "bg_nbd_r" not in made.metrics


def test_a_shop_without_buyers_is_no_failure():
    nobody = {name: np.zeros(0) for name in ("frequency", "recency", "T", "monetary_value")}
    made = run(nobody)
    assert (made.models.method, made.predicted_clv.size) == ("fallback", 0)


def test_a_shop_without_repeat_orders_gets_the_fallback():
    ones = {name: np.zeros(50) for name in ("frequency", "recency", "monetary_value")}
    made = run({**ones, "T": np.arange(1.0, 51.0)})
    assert made.models.method == "fallback"
    assert made.models.reason
    assert (made.predicted_clv == 0).all()


def test_equal_values_everywhere_get_the_fallback_with_its_reason(buyers):
    """Gamma-Gamma cannot tell members apart who all pay the same."""
    made = run({**buyers, "monetary_value": np.where(buyers["frequency"] > 0, 20.0, 0.0)})
    assert made.models.method == "fallback"
    assert made.models.reason.startswith("gamma_gamma:")
    assert made.predicted_clv.max() > 0
    (fit,) = made.models.fits
    assert fit.orders.converged and not fit.converged
    assert all(interval.low is None for interval in fit.value_intervals())


def test_one_time_buyers_in_the_majority_may_have_left(buyers):
    share = float((buyers["frequency"] == 0).mean())
    below, above = (
        run(buyers, Terms(OPEN_GATE, one_time_share=share + move, min_cohort=1000))
        for move in (0.001, -0.001)
    )
    assert below.models.method == "bg_nbd_gamma_gamma"
    assert above.models.method == "mbg_nbd_gamma_gamma"
    once = buyers["frequency"] == 0
    # BG/NBD lets nobody leave after the first order, so it cannot tell of them.
    assert np.isnan(below.p_alive[once]).all() and (above.p_alive[once] < 1).all()
    assert np.isnan(below.churn_age_days[once]).all()
    assert np.isfinite(above.churn_age_days[once]).any()
    assert above.metrics["mbg_nbd_b"] != below.metrics["bg_nbd_b"]


def test_dates_agree_with_the_probabilities(buyers):
    made = run(buyers)
    fit = made.models.fits[0].orders
    has_date = ~np.isnan(made.next_order_days)
    assert 0.1 < has_date.mean() < 0.9
    assert not (made.p_alive[has_date] <= 0.5).any()
    assert made.next_order_days[has_date].max() <= 365
    # Who is expected to order soonest has ordered most for her time.
    rate = (buyers["frequency"] + fit.r) / (buyers["T"] + fit.alpha * 7)
    assert np.corrcoef(rate[has_date], made.next_order_days[has_date])[0, 1] < -0.5
    is_below = made.p_alive < 0.33
    assert 0.05 < is_below.mean() < 0.95
    assert ((made.churn_age_days < buyers["T"]) == is_below).all()


def test_the_interval_of_a_value_is_that_of_its_parameters(buyers):
    """Against forecasts by parameters drawn from the covariance: the bootstrap of a normal."""
    made = run(buyers)
    fit = made.models.fits[0]
    assert (made.expected_low < made.predicted_clv).all()
    assert (made.predicted_clv < made.expected_high).all()
    rng = np.random.default_rng(7)
    history = (buyers["frequency"], buyers["recency"] / 7, buyers["T"] / 7)
    orders_at = np.log([fit.orders.r, fit.orders.alpha, fit.orders.a, fit.orders.b])
    values_at = np.log([fit.values.p, fit.values.q, fit.values.v])
    totals, members = [], []
    for _ in range(300):
        of_orders = np.exp(rng.multivariate_normal(orders_at, fit.orders.covariance))
        of_values = np.exp(rng.multivariate_normal(values_at, fit.values.covariance))
        orders = lifetime_value.discounted_orders(
            replace(fit.orders, **dict(zip(("r", "alpha", "a", "b"), of_orders, strict=True))),
            *history,
            period_length=365 / 84,
            monthly_rate=0.01,
        )
        values = replace(fit.values, **dict(zip(("p", "q", "v"), of_values, strict=True)))
        value = orders * values.expected_value(buyers["frequency"], buyers["monetary_value"])
        totals.append(np.log(value.sum()))
        members.append(np.log(value[:50]))
    width = np.log(made.expected_high / made.expected_low)[:50] / (2 * 1.96)
    assert width == pytest.approx(np.std(members, axis=0), rel=0.25)
    in_all = made.metrics["expected_clv_in_all_high"] / made.metrics["expected_clv_in_all_low"]
    assert np.log(in_all) / (2 * 1.96) == pytest.approx(np.std(totals), rel=0.2)


def test_large_cohorts_get_a_fit_of_their_own(buyers):
    n = buyers["T"].size
    cohorts = ["app"] * 600 + ["web"] * 500 + ["fair"] * 300 + [None] * (n - 1400)
    terms = Terms(OPEN_GATE, one_time_share=0.7, min_cohort=500)
    made = run(buyers, terms, cohorts=cohorts)
    assert [fit.cohort for fit in made.models.fits] == ["pooled", "app", "web"]
    assert made.models.fit_of.tolist() == [1] * 600 + [2] * 500 + [0] * (n - 1100)
    app = {name: numbers[:600] for name, numbers in buyers.items()}
    assert made.predicted_clv[:600] == pytest.approx(run(app).predicted_clv)
    pooled = run(buyers)
    assert made.predicted_clv[1100:] == pytest.approx(pooled.predicted_clv[1100:])
    assert made.models.fits[0].orders == pooled.models.fits[0].orders
    # Cohorts that are all too small leave everything as it is.
    assert run(buyers, cohorts=cohorts).predicted_clv == pytest.approx(pooled.predicted_clv)


def test_a_cohort_that_does_not_settle_is_served_by_all(buyers):
    n = buyers["T"].size
    same = {**buyers, "monetary_value": buyers["monetary_value"].copy()}
    repeats = buyers["frequency"][:600] > 0
    same["monetary_value"][:600] = np.where(repeats, 20.0, 0.0)
    cohorts = ["dull"] * 600 + [None] * (n - 600)
    models = fit_models(
        **same, terms=Terms(OPEN_GATE, one_time_share=0.7, min_cohort=500), cohorts=cohorts
    )
    assert [fit.cohort for fit in models.fits] == ["pooled"]
    assert (models.fit_of == 0).all()


def test_a_shop_nobody_leaves_is_flagged_not_believed():
    """Its parameters lie on a flat ridge: a prior makes values of them, which say so."""
    rng = np.random.default_rng(5)
    T = rng.integers(200, 365, 400).astype(float)
    frequency = rng.poisson(rng.gamma(2.0, 1 / 40, 400) * T).astype(float)
    last = np.ceil(T * rng.random(400) ** (1 / np.maximum(frequency, 1)))
    value = rng.gamma(6, 1, 400) * rng.gamma(5, 2, 400)
    made = run(
        {
            "frequency": frequency,
            "recency": np.where(frequency > 0, np.minimum(last, T), 0.0),
            "T": T,
            "monetary_value": np.where(frequency > 0, value, 0.0),
        }
    )
    (fit,) = made.models.fits
    assert made.models.method == "bg_nbd_gamma_gamma"
    assert fit.is_ridge and fit.is_penalised and fit.is_usable and not fit.converged
    assert "ridge" in made.models.reason
    assert made.metrics["bg_nbd_is_ridge"] == 1 and made.metrics["bg_nbd_converged"] == 0
    assert all(interval.low is None for interval in fit.order_intervals())
    for bound in (made.expected_low, made.expected_high, made.predicted_low, made.predicted_high):
        assert np.isnan(bound).all()
    assert "expected_clv_in_all_low" not in made.metrics
    assert (made.predicted_clv > 0).all()
    assert (made.p_alive[frequency > 0] > 0.5).mean() > 0.9
