"""The models fitted to a shop, for all members and for each large cohort, or why they are not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assets.value import bg_nbd, gamma_gamma, lifetime_value, order_days
from assets.value.bg_nbd import BgNbd
from assets.value.gamma_gamma import GammaGamma
from assets.value.intervals import Floats, Interval, intervals, widened
from assets.value.order_days import NO_LOSSES, Losses, RepeatDays

Method = Literal["bg_nbd_gamma_gamma", "mbg_nbd_gamma_gamma", "fallback"]

POOLED = "pooled"
DAYS_PER_WEEK = 7.0
# What a prior must weigh to bring a shop in which nobody seems to leave off its flat ridge.
_RIDGE_PENALISER = 1.0


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
    """All models, fitted to the same members.

    Attributes:
        cohort: whose fit: a cohort's value, or "pooled" for all members.
        orders: the order model, in weeks.
        values: the value model, of order days with a profit.
        is_penalised: whether the order model lay on a flat ridge and was held by a prior.
        orders_by_moment: the order model as if each order had its own moment, if that was fitted.
        losses: how many order days bring a loss, and how much of one.
    """

    cohort: str
    orders: BgNbd
    values: GammaGamma
    is_penalised: bool
    orders_by_moment: BgNbd | None = None
    losses: Losses = NO_LOSSES

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
        fit_of: for each member the position of the fit that serves them, shape (n_members,).
        metrics: the pooled fit's parameters and what the data are like, by name.
        held: for the fallback, the order model that a prior holds; None where the history is too
            short for it, or without a repeat order.
    """

    method: Method
    reason: str
    fits: tuple[Fit, ...]
    fit_of: NDArray[np.intp]
    metrics: Mapping[str, float]
    held: BgNbd | None = None


def fit_models(
    frequency: ArrayLike,
    recency: ArrayLike,
    T: ArrayLike,
    monetary_value: ArrayLike,
    profitable_repeats: ArrayLike | None = None,
    profitable_value: ArrayLike | None = None,
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
        monetary_value: mean margin of a repeat order day, shape (n_members,).
        profitable_repeats: repeat order days with a margin above 0, shape (n_members,). None: all
            days of a member are alike.
        profitable_value: mean margin of these, shape (n_members,); None likewise.
        terms: when the models may be used, and which.
        cohorts: each member's cohort or None, n_members of them; None: one fit for all.

    Returns:
        The fits; method "fallback" where the gate holds the shop back or the pooled fit does not
        settle on believable parameters.

    Raises:
        ValueError: the histories or values are malformed.
    """
    x, t_x, age = (np.asarray(each, dtype=np.float64) for each in (frequency, recency, T))
    days = RepeatDays.of(x, monetary_value, profitable_repeats, profitable_value)
    metrics: dict[str, float] = {
        "n_buyers": float(x.size),
        "n_repeat_buyers": float((x > 0).sum()),
        "n_days": float(age.max(initial=0.0)),
    }
    correlation = gamma_gamma.correlation(days.n_profitable, days.profit)
    if correlation is not None:
        metrics["correlation_of_frequency_and_value"] = correlation
    served_by_pooled = np.zeros(x.size, np.intp)
    shortage = terms.gate.reason(
        x.size,
        int(metrics["n_days"]),
        int(x.max(initial=-1.0)) + 1,
        int((age - t_x).min()) if x.size else 0,
    )
    leaves_after_first = x.size > 0 and bool((x == 0).mean() >= terms.one_time_share)

    def fallback(reason: str, *fits: Fit) -> Models:
        held = None
        if metrics["n_days"] >= terms.gate.min_days and (x > 0).any():
            history = (x, t_x / DAYS_PER_WEEK, age / DAYS_PER_WEEK)
            held = bg_nbd.fit(
                *history, leaves_after_first=leaves_after_first, penaliser=_RIDGE_PENALISER
            )
            held = held if held.converged else None
        if held is not None:
            reason = f"{reason}; a prior holds the order model"
        return Models("fallback", reason, fits, served_by_pooled, metrics, held)

    if shortage:
        return fallback(shortage)

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
        of_days = days.part(of)
        values = gamma_gamma.fit(of_days.n_profitable, of_days.profit)
        losses = order_days.fit(of_days)
        return Fit(cohort, orders, values, is_penalised, by_moment, losses)

    pooled = fitted(POOLED, slice(None))
    metrics |= _described(pooled)
    for model, found in ((pooled.order_model, pooled.orders), ("gamma_gamma", pooled.values)):
        if not found.converged:
            return fallback(f"{model}: {found.message}", pooled)
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


def _by_moment(x: Floats, t_x: Floats, age: Floats, of_days: BgNbd) -> BgNbd:
    """Fit the order model as if each order had its own moment.

    The orders of one day are one, after which nothing is seen for the rest of the day: half a day
    for every repeat order in which the member could not order. The model knows no such days.
    Without them it overrates r and alpha by some 5 % at the demo shop's rates.

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
    orders, values, losses, name = fit.orders, fit.values, fit.losses, fit.order_model
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
        "loss_days_share": losses.share,
        "loss_days_mean": losses.mean,
    }
