"""What each member will bring: the models where the data carry them, a plain rate where not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from assets.value import bg_nbd, gamma_gamma, lifetime_value
from assets.value.bg_nbd import Floats

Method = Literal["bg_nbd_gamma_gamma", "fallback"]

_DAYS_PER_WEEK = 7.0
_WEEKS_PER_MONTH = 365 / 12 / _DAYS_PER_WEEK
# What a prior must weigh to bring a shop in which nobody seems to leave off its flat ridge.
_RIDGE_PENALISER = 1.0


@dataclass(frozen=True)
class Forecast:
    """What is expected of each member within the horizon.

    Attributes:
        p_alive: probability that she will order again, shape (n_members,); None without a model.
        expected_orders: order days within the horizon, shape (n_members,).
        predicted_clv: discounted value within the horizon, shape (n_members,), 0 or more.
        method: which of the two ways made the numbers.
        reason: in one line, why the models were used or not.
        metrics: parameters, log-likelihoods and what the data are like, by name.
    """

    p_alive: Floats | None
    expected_orders: Floats
    predicted_clv: Floats
    method: Method
    reason: str
    metrics: Mapping[str, float]


def forecast(
    frequency: ArrayLike,
    recency: ArrayLike,
    T: ArrayLike,
    monetary_value: ArrayLike,
    *,
    gate: lifetime_value.DataGate,
    horizon_months: int,
    monthly_rate: float,
) -> Forecast:
    """Forecast orders and discounted value of every member.

    Times are given in days; the models work in weeks, as their authors do, and a month is a
    twelfth of 365 days. A shop that the gate holds back, or on which a model does not settle on
    believable parameters, gets the fallback, which needs no model.

    Args:
        frequency: repeat order days, shape (n_members,).
        recency: days from first to last order, shape (n_members,).
        T: days from first order to the observation, shape (n_members,).
        monetary_value: mean value of a repeat order day, shape (n_members,).
        gate: what the data must have for the models.
        horizon_months: length of the horizon.
        monthly_rate: discount rate per month, above -1.

    Returns:
        The forecast, members in the order given.

    Raises:
        ValueError: the histories or values are malformed, or the horizon or rate is out of range.
    """
    x = np.asarray(frequency, dtype=np.float64)
    value = np.asarray(monetary_value, dtype=np.float64)
    days = np.asarray(T, dtype=np.float64)
    weeks = days / _DAYS_PER_WEEK
    weeks_to_last = np.asarray(recency, dtype=np.float64) / _DAYS_PER_WEEK
    horizon = horizon_months * _WEEKS_PER_MONTH

    metrics: dict[str, float] = {
        "n_buyers": float(x.size),
        "n_repeat_buyers": float((x > 0).sum()),
        "n_days": float(days.max(initial=0.0)),
    }
    correlation = gamma_gamma.correlation(x, value)
    if correlation is not None:
        metrics["correlation_of_frequency_and_value"] = correlation

    def without_models(reason: str) -> Forecast:
        return Forecast(
            p_alive=None,
            expected_orders=lifetime_value.fallback_orders(horizon, x, weeks),
            predicted_clv=lifetime_value.fallback(
                x,
                weeks,
                value,
                periods=horizon_months,
                period_length=_WEEKS_PER_MONTH,
                monthly_rate=monthly_rate,
            ),
            method="fallback",
            reason=reason,
            metrics=metrics,
        )

    shortage = gate.reason(x.size, int(metrics["n_days"]), int(x.max(initial=-1.0)) + 1)
    if shortage:
        return without_models(shortage)

    orders = bg_nbd.fit(x, weeks_to_last, weeks)
    if orders.is_ridge:
        orders = bg_nbd.fit(x, weeks_to_last, weeks, penaliser=_RIDGE_PENALISER)
    values = gamma_gamma.fit(x, value)
    metrics |= {
        "bg_nbd_r": orders.r,
        "bg_nbd_alpha_weeks": orders.alpha,
        "bg_nbd_a": orders.a,
        "bg_nbd_b": orders.b,
        "bg_nbd_log_likelihood": orders.log_likelihood,
        "bg_nbd_converged": float(orders.converged),
        "gamma_gamma_p": values.p,
        "gamma_gamma_q": values.q,
        "gamma_gamma_v": values.v,
        "gamma_gamma_log_likelihood": values.log_likelihood,
        "gamma_gamma_converged": float(values.converged),
        "gamma_gamma_n_members": float(values.n_members),
    }
    if not orders.converged:
        return without_models(f"BG/NBD: {orders.message}")
    if not values.converged:
        return without_models(f"Gamma-Gamma: {values.message}")

    expected_value = lifetime_value.predicted(
        orders,
        values,
        x,
        weeks_to_last,
        weeks,
        value,
        periods=horizon_months,
        period_length=_WEEKS_PER_MONTH,
        monthly_rate=monthly_rate,
    )
    return Forecast(
        p_alive=orders.probability_alive(x, weeks_to_last, weeks),
        expected_orders=orders.expected_purchases(horizon, x, weeks_to_last, weeks),
        # Differences of nearly equal expectations may fall short of 0 by a last digit.
        predicted_clv=np.maximum(expected_value, 0.0),
        method="bg_nbd_gamma_gamma",
        reason="the data suffice and both models converged",
        metrics=metrics,
    )
