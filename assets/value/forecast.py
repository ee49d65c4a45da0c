"""What each member will bring: the models where the data carry them, a plain rate where not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assets.value import bg_nbd, gamma_gamma, lifetime_value
from assets.value.bg_nbd import BgNbd
from assets.value.gamma_gamma import GammaGamma
from assets.value.intervals import Floats, Interval, intervals, simultaneous_z, widened

Method = Literal["bg_nbd_gamma_gamma", "mbg_nbd_gamma_gamma", "fallback"]

POOLED = "pooled"
DAYS_PER_WEEK = 7.0
_WEEKS_PER_MONTH = 365 / 12 / DAYS_PER_WEEK
# What a prior must weigh to bring a shop in which nobody seems to leave off its flat ridge.
_RIDGE_PENALISER = 1.0
_NEVER_WEEKS = 100 * 365 / DAYS_PER_WEEK


@dataclass(frozen=True)
class Terms:
    """When the models may be used, and which.

    Attributes:
        gate: what the data must have for the models.
        one_time_share: from this share of members without a repeat order on, MBG/NBD.
        min_cohort: members that a cohort needs for a fit of its own.
    """

    gate: lifetime_value.DataGate
    one_time_share: float
    min_cohort: int


@dataclass(frozen=True)
class Fit:
    """Both models, fitted to the same members.

    Attributes:
        cohort: whose fit: a cohort's value, or "pooled" for all members.
        orders: the order model, in weeks.
        values: the value model.
        is_penalised: whether the order model lay on a flat ridge and was held by a prior.
        orders_by_moment: the order model as if each order had its own moment, if that was fitted.
    """

    cohort: str
    orders: BgNbd
    values: GammaGamma
    is_penalised: bool
    orders_by_moment: BgNbd | None = None

    @property
    def is_ridge(self) -> bool:
        """Whether the data do not bound a parameter of the order model."""
        return self.is_penalised or self.orders.is_ridge

    @property
    def converged(self) -> bool:
        """Whether the data alone led both models to a believable optimum."""
        return self.is_usable and not self.is_penalised

    @property
    def is_usable(self) -> bool:
        """Whether something can be expected by it, of the data alone or with a prior's help."""
        return self.orders.converged and self.values.converged

    @property
    def order_model(self) -> str:
        """The name of the order model."""
        return "mbg_nbd" if self.orders.leaves_after_first else "bg_nbd"

    def order_intervals(self) -> tuple[Interval, ...]:
        """Parameters of the order model; unbounded where only a prior bounds them.

        An interval reaches as far as those of both fits, since times are known to the day only.
        """
        found, *others = (
            intervals(
                ("r", "alpha", "a", "b"),
                (model.r, model.alpha, model.a, model.b),
                None if self.is_penalised else model.covariance,
            )
            for model in (self.orders, self.orders_by_moment)
            if model is not None
        )
        for other in others:
            found = tuple(map(widened, found, other))
        return found

    def value_intervals(self) -> tuple[Interval, ...]:
        """Parameters of the value model."""
        model = self.values
        return intervals(("p", "q", "v"), (model.p, model.q, model.v), model.covariance)


@dataclass(frozen=True)
class Models:
    """The fits of a shop, or why there are none.

    Attributes:
        method: which models, or the fallback.
        reason: in one line, why the models are used or not.
        fits: the pooled one first, then those of cohorts; none below the gate. Where the fallback
            is used all the same, what became of the fit.
        fit_of: for each member the position of the fit that serves her, shape (n_members,).
        metrics: the pooled fit's parameters and what the data are like, by name.
    """

    method: Method
    reason: str
    fits: tuple[Fit, ...]
    fit_of: NDArray[np.intp]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Forecast:
    """What is expected of each member within the horizon.

    Attributes:
        models: what it was made by.
        p_alive: probability that she will order again, shape (n_members,); None without a model.
        expected_orders: order days within the horizon, shape (n_members,).
        predicted_clv: discounted value within the horizon, shape (n_members,), 0 or more.
        predicted_low: lower end of its 95 % interval, shape (n_members,); NaN where there is none.
            The interval says how sure the expectation is, not how far a member may stray from it.
        predicted_high: the upper end.
        next_order_days: days from the observation by which an order is as likely as not, shape
            (n_members,); NaN where that is not within the horizon.
        churn_age_days: days from her first order after which P(alive) lies below min_p_alive if
            she stays silent, shape (n_members,); less than her recency where it lay below right
            after the last order, NaN where it never will.
        metrics: of the models and of the forecast, by name.
    """

    models: Models
    p_alive: Floats | None
    expected_orders: Floats
    predicted_clv: Floats
    predicted_low: Floats
    predicted_high: Floats
    next_order_days: Floats
    churn_age_days: Floats
    metrics: Mapping[str, float]


def fit_models(
    frequency: ArrayLike,
    recency: ArrayLike,
    T: ArrayLike,
    monetary_value: ArrayLike,
    *,
    terms: Terms,
    cohorts: Sequence[str | None] | None = None,
) -> Models:
    """Fit the models to all members, and again to every cohort that is large enough.

    Times are given in days; the models work in weeks, as their authors do. A cohort whose own fit
    does not settle, or settles on a flat ridge, is served by the pooled one.

    Args:
        frequency: repeat order days, shape (n_members,).
        recency: days from first to last order, shape (n_members,).
        T: days from first order to the observation, shape (n_members,).
        monetary_value: mean value of a repeat order day, shape (n_members,).
        terms: when the models may be used, and which.
        cohorts: each member's cohort or None, n_members of them; None: one fit for all.

    Returns:
        The fits; method "fallback" where the gate holds the shop back or the pooled fit does not
        settle on believable parameters.

    Raises:
        ValueError: the histories or values are malformed.
    """
    x, t_x, age, value = _arrays(frequency, recency, T, monetary_value)
    metrics: dict[str, float] = {
        "n_buyers": float(x.size),
        "n_repeat_buyers": float((x > 0).sum()),
        "n_days": float(age.max(initial=0.0)),
    }
    correlation = gamma_gamma.correlation(x, value)
    if correlation is not None:
        metrics["correlation_of_frequency_and_value"] = correlation
    served_by_pooled = np.zeros(x.size, np.intp)
    shortage = terms.gate.reason(
        x.size,
        int(metrics["n_days"]),
        int(x.max(initial=-1.0)) + 1,
        int((age - t_x).min()) if x.size else 0,
    )
    if shortage:
        return Models("fallback", shortage, (), served_by_pooled, metrics)

    leaves_after_first = bool((x == 0).mean() >= terms.one_time_share)

    def fitted(cohort: str, of: NDArray[np.intp] | slice) -> Fit:
        history = (x[of], t_x[of] / DAYS_PER_WEEK, age[of] / DAYS_PER_WEEK)
        orders = bg_nbd.fit(*history, leaves_after_first=leaves_after_first)
        is_penalised = orders.is_ridge
        if is_penalised:
            held = bg_nbd.fit(
                *history, leaves_after_first=leaves_after_first, penaliser=_RIDGE_PENALISER
            )
            orders = replace(held, message=f"{orders.message}; with a prior: {held.message}")
        by_moment = None if is_penalised else _by_moment(x[of], t_x[of], age[of], orders)
        return Fit(cohort, orders, gamma_gamma.fit(x[of], value[of]), is_penalised, by_moment)

    pooled = fitted(POOLED, slice(None))
    metrics |= _described(pooled)
    for model, found in ((pooled.order_model, pooled.orders), ("gamma_gamma", pooled.values)):
        if not found.converged:
            reason = f"{model}: {found.message}"
            return Models("fallback", reason, (pooled,), served_by_pooled, metrics)
    own = {
        cohort: fit
        for cohort, of in _large(cohorts or (), terms.min_cohort).items()
        if (fit := fitted(cohort, of)).converged
    }
    position: dict[str | None, int] = {cohort: 1 + at for at, cohort in enumerate(own)}
    method: Method = "mbg_nbd_gamma_gamma" if leaves_after_first else "bg_nbd_gamma_gamma"
    return Models(
        method=method,
        reason=(
            "the data suffice, a prior holds the order model on its flat ridge"
            if pooled.is_penalised
            else "the data suffice and both models converged"
        ),
        fits=(pooled, *own.values()),
        fit_of=(
            np.array([position.get(cohort, 0) for cohort in cohorts], np.intp)
            if own and cohorts is not None
            else served_by_pooled
        ),
        metrics=metrics,
    )


def forecast(
    frequency: ArrayLike,
    recency: ArrayLike,
    T: ArrayLike,
    monetary_value: ArrayLike,
    *,
    terms: Terms,
    horizon_months: int,
    monthly_rate: float,
    min_p_alive: float,
    cohorts: Sequence[str | None] | None = None,
) -> Forecast:
    """Forecast orders and discounted value of every member.

    A month is a twelfth of 365 days. A shop that the gate holds back, or on which a model does
    not settle on believable parameters, gets the fallback, which needs no model.

    Args:
        frequency: repeat order days, shape (n_members,).
        recency: days from first to last order, shape (n_members,).
        T: days from first order to the observation, shape (n_members,).
        monetary_value: mean value of a repeat order day, shape (n_members,).
        terms: when the models may be used, and which.
        horizon_months: length of the horizon.
        monthly_rate: discount rate per month, above -1.
        min_p_alive: P(alive) below which a member is about to be lost, 0 to 1.
        cohorts: each member's cohort or None, n_members of them; None: one fit for all.

    Returns:
        The forecast, members in the order given.

    Raises:
        ValueError: the histories or values are malformed, or the horizon, rate or limit is out of
            range.
    """
    x, t_x, age, value = _arrays(frequency, recency, T, monetary_value)
    weeks_to_last, weeks = t_x / DAYS_PER_WEEK, age / DAYS_PER_WEEK
    horizon = horizon_months * _WEEKS_PER_MONTH
    models = fit_models(x, t_x, age, value, terms=terms, cohorts=cohorts)
    low, high, next_order, churn_age = (np.full(x.size, np.nan) for _ in range(4))
    if models.method == "fallback":
        return Forecast(
            models=models,
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
            predicted_low=low,
            predicted_high=high,
            next_order_days=next_order,
            churn_age_days=churn_age,
            metrics=models.metrics,
        )

    alive, orders, expected = (np.empty(x.size) for _ in range(3))
    variance_in_all = 0.0
    for position, fit in enumerate(models.fits):
        of = np.flatnonzero(models.fit_of == position)
        history = (x[of], weeks_to_last[of], weeks[of])
        alive[of] = fit.orders.probability_alive(*history)
        orders[of] = fit.orders.expected_purchases(horizon, *history)
        next_order[of] = fit.orders.next_order(*history)
        churn_age[of] = fit.orders.falls_below(min_p_alive, *history)
        expected_value = lifetime_value.predicted(
            fit.orders,
            fit.values,
            *history,
            value[of],
            periods=horizon_months,
            period_length=_WEEKS_PER_MONTH,
            monthly_rate=monthly_rate,
        )
        # Differences of nearly equal expectations may fall short of 0 by a last digit.
        expected[of] = np.maximum(expected_value, 0.0)
        if fit.is_penalised or fit.orders.covariance is None or fit.values.covariance is None:
            variance_in_all = np.nan
            continue
        by_orders, by_value = lifetime_value.log_slopes(
            fit.orders, fit.values, *history, value[of], horizon=horizon
        )
        variance = np.zeros(of.size)
        for slopes, of_logs in (
            (by_orders, fit.orders.covariance),
            (by_value, fit.values.covariance),
        ):
            variance += np.einsum("mi,ij,mj->m", slopes, of_logs, slopes, optimize=True)
            total = expected[of] @ slopes
            variance_in_all += float(total @ of_logs @ total)
        reach = np.exp(simultaneous_z(1) * np.sqrt(variance))
        low[of], high[of] = expected[of] / reach, expected[of] * reach
    in_all = float(expected.sum())
    metrics = {**models.metrics, "predicted_clv_in_all": in_all}
    if in_all > 0.0 and np.isfinite(variance_in_all):
        reach_in_all = np.exp(simultaneous_z(1) * np.sqrt(variance_in_all) / in_all)
        metrics["predicted_clv_in_all_low"] = float(in_all / reach_in_all)
        metrics["predicted_clv_in_all_high"] = float(in_all * reach_in_all)
    next_order[next_order > horizon] = np.nan
    churn_age[churn_age > _NEVER_WEEKS] = np.nan
    return Forecast(
        models=models,
        p_alive=alive,
        expected_orders=orders,
        predicted_clv=expected,
        predicted_low=low,
        predicted_high=high,
        next_order_days=next_order * DAYS_PER_WEEK,
        churn_age_days=churn_age * DAYS_PER_WEEK,
        metrics=metrics,
    )


def _arrays(
    frequency: ArrayLike, recency: ArrayLike, T: ArrayLike, monetary_value: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats]:
    x, t_x, age, value = (
        np.asarray(each, dtype=np.float64) for each in (frequency, recency, T, monetary_value)
    )
    return x, t_x, age, value


def _by_moment(x: Floats, t_x: Floats, age: Floats, of_days: BgNbd) -> BgNbd:
    """Fit the order model as if each order had its own moment.

    The orders of one day are one, after which nothing is seen for the rest of the day: half a day
    for every repeat order in which she could not order. The model knows no such days. Without them
    it overrates r and alpha by some 5 % at the demo shop's rates.

    Args:
        x: repeat order days, shape (n_members,).
        t_x: days from first to last order, shape (n_members,).
        age: days from first order to the observation, shape (n_members,).
        of_days: the fit to days.
    """
    hidden = x / 2
    return bg_nbd.fit(
        x,
        np.maximum(t_x - hidden, 0.0) / DAYS_PER_WEEK,
        np.maximum(age - hidden, 0.0) / DAYS_PER_WEEK,
        leaves_after_first=of_days.leaves_after_first,
    )


def _large(cohorts: Sequence[str | None], min_members: int) -> dict[str, NDArray[np.intp]]:
    """Find the cohorts that are large enough, in the order of their names, and their members."""
    members: dict[str, list[int]] = {}
    for member, cohort in enumerate(cohorts):
        if cohort is not None and cohort != POOLED:
            members.setdefault(cohort, []).append(member)
    return {
        cohort: np.array(members[cohort], np.intp)
        for cohort in sorted(members)
        if len(members[cohort]) >= min_members
    }


def _described(fit: Fit) -> dict[str, float]:
    """The fit as numbers that Dagster plots over time."""
    orders, values, name = fit.orders, fit.values, fit.order_model
    return {
        f"{name}_r": orders.r,
        f"{name}_alpha_weeks": orders.alpha,
        f"{name}_a": orders.a,
        f"{name}_b": orders.b,
        f"{name}_log_likelihood": orders.log_likelihood,
        f"{name}_converged": float(fit.orders.converged and not fit.is_penalised),
        f"{name}_is_ridge": float(fit.is_ridge),
        "gamma_gamma_p": values.p,
        "gamma_gamma_q": values.q,
        "gamma_gamma_v": values.v,
        "gamma_gamma_log_likelihood": values.log_likelihood,
        "gamma_gamma_converged": float(values.converged),
        "gamma_gamma_n_members": float(values.n_members),
    }
