"""Lifetime value: what a member will bring within the horizon, discounted to today.

The article's formula, CLV = sum over t of r_t / (1 + r)^t, with the income r_t of period t taken
from the models: orders expected by BG/NBD in that period, times the value of an order day
(order_days.py). A shop too young or too small for the models gets a plain rate instead.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from assets.value.bg_nbd import BgNbd, distinct_histories
from assets.value.intervals import Floats

# How many orders the shop's mean weighs against a member's own.
_PRIOR_ORDERS = 1.0
_STEP = 1e-4


@dataclass(frozen=True)
class DataGate:
    """What a shop must have before the models are trusted with it (Klaviyo's thresholds).

    Attributes:
        min_buyers: members with an order.
        min_days: days from the shop's first order to the observation.
        min_orders: order days that at least one member must have.
        max_idle_days: days that may have passed since the shop's last order.
    """

    min_buyers: int = 500
    min_days: int = 180
    min_orders: int = 3
    max_idle_days: int = 30

    def reason(self, n_buyers: int, n_days: int, max_orders: int, idle_days: int) -> str | None:
        """Say what the shop lacks.

        Args:
            n_buyers: members with an order.
            n_days: days from the shop's first order to the observation.
            max_orders: order days of the most frequent member.
            idle_days: days from the shop's last order to the observation.

        Returns:
            The first thing that is missing, in one line, or None if the models may be used.
        """
        if n_buyers < self.min_buyers:
            return f"{n_buyers} buyers, {self.min_buyers} needed"
        if n_days < self.min_days:
            return f"{n_days} days of orders, {self.min_days} needed"
        if max_orders < self.min_orders:
            return f"no member with {self.min_orders} orders, the most is {max_orders}"
        if idle_days > self.max_idle_days:
            return f"no order for {idle_days} days, {self.max_idle_days} allowed"
        return None


def present_value(cash_flows: ArrayLike, rate: float) -> float:
    """Discount one flow per period to today: sum of r_t / (1 + r)^t, t from 1.

    Args:
        cash_flows: income at the end of period 1, 2, ..., shape (n_periods,).
        rate: discount rate per period, above -1.

    Returns:
        The value today, in the currency of the flows.

    Raises:
        ValueError: the flows have more than one dimension, or the rate is -1 or less.
    """
    flows = np.asarray(cash_flows, dtype=np.float64)
    if flows.ndim != 1:
        raise ValueError(f"cash_flows needs one dimension, got shape {flows.shape}")
    return float(flows @ discount_factors(flows.size, rate))


def discount_factors(n_periods: int, rate: float) -> Floats:
    """Compute what one unit at the end of each period is worth today: 1 / (1 + r)^t.

    Args:
        n_periods: number of periods.
        rate: discount rate per period, above -1.

    Returns:
        Factors of period 1, 2, ..., shape (n_periods,).

    Raises:
        ValueError: the rate is -1 or less.
    """
    if rate <= -1.0:
        raise ValueError(f"a discount rate must be above -1, got {rate}")
    return (1.0 + rate) ** -np.arange(1.0, n_periods + 1.0)


def discounted_orders(
    bg_nbd: BgNbd,
    frequency: ArrayLike,
    recency: ArrayLike,
    T: ArrayLike,
    *,
    periods: int = 12,
    period_length: float,
    monthly_rate: float,
) -> Floats:
    """Compute the orders that the model expects of each member, each at what it is worth today.

    Times the value of an order, they are the member's lifetime value.

    Args:
        bg_nbd: the fitted order model.
        frequency: repeat order days, shape (n_members,).
        recency: time from first to last order, shape (n_members,).
        T: time from first order to the observation, shape (n_members,).
        periods: length of the horizon in months.
        period_length: length of a month in the time unit of bg_nbd (weeks: 4.345).
        monthly_rate: discount rate per month, above -1.

    Returns:
        Discounted numbers of orders, 0 or more, shape (n_members,).

    Raises:
        ValueError: the histories are malformed, or the horizon or rate is out of range.
    """
    _check_horizon(periods, period_length)
    histories = distinct_histories(frequency, recency, T)
    ends = np.arange(1, periods + 1) * period_length
    orders_by = bg_nbd.expected_purchases_of(histories, ends)
    orders = np.diff(orders_by, axis=1, prepend=0.0) @ discount_factors(periods, monthly_rate)
    # Differences of nearly equal expectations may fall short of 0 by a last digit.
    return np.maximum(orders, 0.0)[histories.row]


def log_slopes(
    bg_nbd: BgNbd, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike, *, horizon: float
) -> Floats:
    """Compute how the logarithm of a member's expected orders follows the log-parameters.

    Orders by the end of the horizon stand for the discounted ones, whose slopes are the same but
    for the little that discounting shifts between early and late months; of those it would take
    as many evaluations as there are months.

    Args:
        bg_nbd: the fitted order model.
        frequency: repeat order days, shape (n_members,).
        recency: time from first to last order, shape (n_members,).
        T: time from first order to the observation, shape (n_members,).
        horizon: length of the horizon in the time unit of bg_nbd.

    Returns:
        Slopes by log r, alpha, a, b, shape (n_members, 4).

    Raises:
        ValueError: the histories are malformed, or the horizon is not positive.
    """
    _check_horizon(1, horizon)
    histories = distinct_histories(frequency, recency, T)
    slopes = np.empty((histories.T.size, 4))
    # Where next to nobody is left, nothing is expected whatever the parameters.
    least = np.finfo(np.float64).tiny
    for column, name in enumerate(("r", "alpha", "a", "b")):
        logs: list[Floats] = []
        for step in (_STEP, -_STEP):
            moved = replace(bg_nbd, **{name: getattr(bg_nbd, name) * np.exp(step)})
            logs.append(np.log(np.maximum(moved.expected_purchases_of(histories, horizon), least)))
        slopes[:, column] = (logs[0] - logs[1]) / (2.0 * _STEP)
    return slopes[histories.row]


def fallback(
    frequency: ArrayLike,
    T: ArrayLike,
    monetary_value: ArrayLike,
    *,
    periods: int = 12,
    period_length: float,
    monthly_rate: float,
) -> Floats:
    """Estimate the same without a model, for a shop that the data gate holds back.

    The orders of ``fallback_orders`` times the value of ``fallback_value``, discounted month by
    month. It serves where the history is too short even for an order model that a prior holds.

    Args:
        frequency: repeat order days, shape (n_members,).
        T: time from first order to the observation, shape (n_members,).
        monetary_value: mean value of a repeat order day, shape (n_members,). Ignored, and free
            to be NaN, where frequency is 0.
        periods: length of the horizon in months.
        period_length: length of a month in the time unit of T.
        monthly_rate: discount rate per month, above -1.

    Returns:
        Values in the currency of monetary_value, shape (n_members,); below 0 where orders bring
        a loss.

    Raises:
        ValueError: the numbers are malformed, or the horizon or rate is out of range.
    """
    _check_horizon(periods, period_length)
    orders_by = fallback_orders(np.arange(1, periods + 1) * period_length, frequency, T)
    orders = np.diff(orders_by, axis=1, prepend=0.0) @ discount_factors(periods, monthly_rate)
    return orders * fallback_value(frequency, monetary_value)


def fallback_value(frequency: ArrayLike, monetary_value: ArrayLike) -> Floats:
    """Estimate the value of an order of each member without a model.

    The mean of their repeat orders and one order of the shop's mean value.

    Args:
        frequency: repeat order days, shape (n_members,).
        monetary_value: mean value of a repeat order day, shape (n_members,). Ignored, and free
            to be NaN, where frequency is 0.

    Returns:
        Values in the currency of monetary_value, shape (n_members,).

    Raises:
        ValueError: a value that is needed is not finite.
    """
    x = np.asarray(frequency, dtype=np.float64)
    spend = x * np.where(x > 0, np.asarray(monetary_value, dtype=np.float64), 0.0)
    if not np.isfinite(spend).all():
        raise ValueError("monetary_value must be finite where frequency is above 0")
    n_orders = float(x.sum())
    mean_value = float(spend.sum()) / n_orders if n_orders > 0 else 0.0
    return (spend + _PRIOR_ORDERS * mean_value) / (x + _PRIOR_ORDERS)


def fallback_orders(t: ArrayLike, frequency: ArrayLike, T: ArrayLike) -> Floats:
    """Estimate the orders of each member in the time t after T without a model.

    Her rate is her orders and one order more over her time and the time in which the shop's
    average member orders once: a gamma posterior around the shop's mean rate. So little history
    cannot tell silence from departure, so nobody is written off, but a rate seen for a span S is
    trusted by S / (S + t) only at a time t ahead, S being the longest observation in the shop.
    Fitted to the first 90, 120 and 180 days of the CDNOW master, it came out 25, 17 and 12 % below
    the sales of the year that followed; an undiminished rate is 88, 81 and 61 % above.

    Args:
        t: one horizon, or horizons of shape (n_horizons,), in the time unit of T; 0 or more.
        frequency: repeat order days, shape (n_members,).
        T: time from first order to the observation, shape (n_members,).

    Returns:
        Numbers of orders, shape (n_members,) for one horizon, else (n_members, n_horizons);
        0 for all where nobody has ordered again.

    Raises:
        ValueError: shapes differ, or a number is negative or not finite.
    """
    horizons = np.asarray(t, dtype=np.float64)
    x, age = np.asarray(frequency, dtype=np.float64), np.asarray(T, dtype=np.float64)
    if x.ndim != 1 or x.shape != age.shape:
        raise ValueError(
            f"frequency and T need one dimension and one length, got shapes {x.shape}, {age.shape}"
        )
    for name, values in (("t", horizons), ("frequency", x), ("T", age)):
        if not np.isfinite(values).all() or (values < 0).any():
            raise ValueError(f"{name} must be finite and 0 or more")
    n_orders, time, span = float(x.sum()), float(age.sum()), float(age.max(initial=0.0))
    if n_orders == 0.0 or time == 0.0:
        return np.zeros(x.shape + horizons.shape)
    rate = (x + _PRIOR_ORDERS) / (age + _PRIOR_ORDERS * time / n_orders)
    return np.multiply.outer(rate, span * np.log1p(horizons / span))


def _check_horizon(periods: int, period_length: float) -> None:
    """Refuse a horizon that has no length."""
    if periods < 1 or not 0.0 < period_length < np.inf:
        raise ValueError(
            "a horizon needs 1 or more periods of positive length, "
            f"got {periods} of {period_length}"
        )
