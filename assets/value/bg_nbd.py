"""BG/NBD: how many orders each member will still place, and whether she is still a customer.

The model is Fader, Hardie and Lee, "Counting Your Customers the Easy Way: An Alternative to the
Pareto/NBD Model", Marketing Science 24(2), 2005. While alive, a member orders at a rate drawn
from Gamma(r, alpha); after every order she leaves for good with a probability drawn from
Beta(a, b).

A member's history is three numbers: ``frequency``, the number of days with a repeat order;
``recency``, the last order day minus the first; ``T``, the day of observation minus the first
order day. Any time unit will do, as long as it is one: ``alpha`` and every horizon share it.
Members with the same history are evaluated once.

The modified model, MBG/NBD (Batislam, Denizel and Filiztekin, "Empirical validation and comparison
of models for customer base analysis", International Journal of Research in Marketing 24(3), 2007),
lets a member leave right after her first order too. BG/NBD calls every one-time buyer alive, so
the modified one is for shops where they dominate. It is BG/NBD with b + 1 in the place of b, and a
first order that may have been the last one; the same code serves both.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import (  # pyright: ignore[reportMissingTypeStubs]
    minimize,  # pyright: ignore[reportUnknownVariableType]
)
from scipy.special import (  # pyright: ignore[reportMissingTypeStubs]
    expit,
    gammaln,
    hyp2f1,
    psi,
)
from threadpoolctl import ThreadpoolController  # pyright: ignore[reportMissingTypeStubs]

from assets.value.intervals import Floats, covariance

# Times are scaled so that the longest observation is this long. It makes the starting points,
# the bounds and the meaning of "runaway" independent of the unit that was given in.
_SCALED_SPAN = 10.0
_BOUND = 12.0
_LARGEST, _SMALLEST = 1e3, 1e-4
_GRADIENT_TOLERANCE = 1e-6
# Of a log-parameter; 2 standard errors either way are then a factor of 50.
_LARGEST_ERROR = 2.0
# Likelihoods per member that differ by less are one and the same maximum.
_SAME_HEIGHT = 1e-9
# Above so many histories the starts are followed for a few steps on so many of them.
_SCOUTED_HISTORIES, _MANY_HISTORIES, _SCOUTED_STEPS = 500, 4_000, 6
# A table of all keys is counted, not sorted, if it is at most so many times as long as the data.
_DENSE = 16
_STARTS = np.log(
    [[0.5, 1.0, 1.0, 2.0], [0.2, 0.3, 0.3, 3.0], [1.0, 5.0, 2.0, 2.0], [2.0, 5.0, 0.1, 1.0]]
)
_POLE_WIDTH = 1e-5


@dataclass(frozen=True)
class Histories:
    """The distinct purchase histories of a shop.

    Attributes:
        frequency: repeat order days, shape (n_histories,).
        recency: time from first to last order, shape (n_histories,).
        T: time from first order to the observation, shape (n_histories,).
        n_members: members who share the history, shape (n_histories,).
        row: for each member the position of her history, shape (n_members,).
    """

    frequency: Floats
    recency: Floats
    T: Floats
    n_members: Floats
    row: NDArray[np.intp]


@dataclass(frozen=True)
class Maximum:
    """Where a likelihood was found to be highest, in log-parameters.

    Attributes:
        log_parameters: the place, shape (n_parameters,).
        is_ridge: whether a parameter ran away, so that the data do not bound it.
        converged: whether this is an interior maximum with a vanishing gradient.
        message: the outcome in one line.
        covariance: of the log-parameters, shape (n_parameters, n_parameters); None where the data
            do not bound them all.
    """

    log_parameters: Floats
    is_ridge: bool
    converged: bool
    message: str
    covariance: Floats | None = None


Objective = Callable[[Floats], tuple[float, Floats]]


class _Minimum(Protocol):
    """The part of scipy's untyped OptimizeResult that is read here."""

    x: Floats
    fun: float
    jac: Floats
    message: object


@cache
def _threadpools() -> ThreadpoolController:
    """Find the loaded BLAS libraries once: looking takes as long as a small fit."""
    return ThreadpoolController()


def _one_thread() -> AbstractContextManager[object]:
    """Hold BLAS to one thread.

    The vectors of L-BFGS-B have three or four entries: handing them to several threads on a busy
    machine costs more than ten times the fit.
    """
    return cast(
        AbstractContextManager[object],
        _threadpools().limit(limits=1, user_api="blas"),  # pyright: ignore[reportUnknownMemberType]
    )


def maximise(
    negative_mean: Objective,
    starts: Floats,
    names: tuple[str, ...],
    n_members: int,
    scout: Objective | None = None,
) -> Maximum:
    """Maximise a log-likelihood over log-parameters from several starting points.

    The highest of all ends is taken. Where the data are many, a scout stands for them: every start
    is followed on it for a few steps, and only from the best place the way goes on, which finds
    the same maximum at the cost of one start. If that leads nowhere, all starts are tried after
    all.

    Args:
        negative_mean: gives the negative log-likelihood per member and its gradient, shape
            (n_parameters,), at log-parameters of shape (n_parameters,).
        starts: starting points, shape (n_starts, n_parameters).
        names: the parameters' names, for the message.
        n_members: members in the likelihood.
        scout: the same for a part of the members.

    Returns:
        The maximum. A parameter that ends below 1e-4 or above 1e3 is a flat ridge: the
        likelihood hardly changes along it, and ``converged`` is False.
    """
    with _one_thread():
        maximum = _highest(negative_mean, starts, names, scout)
        if not maximum.converged:
            return maximum
        curvature = covariance(negative_mean, maximum.log_parameters, n_members)
        return replace(maximum, covariance=curvature)


def _highest(
    negative_mean: Objective, starts: Floats, names: tuple[str, ...], scout: Objective | None
) -> Maximum:
    """Find the highest of the ends that the starts lead to."""
    if scout is not None:
        scouted = [_descend(scout, start, _SCOUTED_STEPS) for start in starts]
        inside = [end for end in scouted if not _runaway(end, names)]
        if inside:
            best = min(inside, key=lambda end: end.fun)
            maximum = _judged(_descend(negative_mean, best.x), names)
            if maximum.converged:
                return maximum
    ends = [_descend(negative_mean, start) for start in starts]
    highest = min(end.fun for end in ends)
    judged = [_judged(end, names) for end in ends if end.fun <= highest + _SAME_HEIGHT]
    return next((maximum for maximum in judged if maximum.converged), judged[0])


def _bounded(maximum: Maximum) -> Maximum:
    """Tell a maximum that the data bound from one on a ridge that is all but flat.

    On such a ridge a parameter's interval spans a factor of hundreds. Of the CDNOW sample the
    largest standard error is .29.
    """
    if maximum.covariance is not None:
        errors = np.sqrt(np.diag(maximum.covariance))
        if float(errors.max()) <= _LARGEST_ERROR:
            return maximum
    message = "flat ridge: the data hardly bound the parameters"
    return replace(maximum, is_ridge=True, converged=False, message=message, covariance=None)


def _descend(objective: Objective, start: Floats, max_steps: int = 500) -> _Minimum:
    """Minimise from one start until the gradient vanishes, or the steps are used up."""
    return cast(
        _Minimum,
        minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-_BOUND, _BOUND)] * start.size,
            options={"gtol": 1e-8, "ftol": 1e-15, "maxiter": max_steps},
        ),
    )


def _runaway(end: _Minimum, names: tuple[str, ...]) -> list[str]:
    """Name the parameters that ended beyond anything believable."""
    parameters: Floats = np.exp(end.x)
    is_away = (parameters <= _SMALLEST) | (parameters >= _LARGEST)
    return [name for name, away in zip(names, is_away, strict=True) if away]


def _judged(end: _Minimum, names: tuple[str, ...]) -> Maximum:
    """Tell an interior maximum from a ridge and from an optimiser that gave up.

    The gradient decides, not the optimiser's own verdict: with so tight a tolerance its line
    search often reports failure when it can improve the last digit no further.
    """
    if runaway := _runaway(end, names):
        message = f"flat ridge: the data do not bound {', '.join(runaway)}"
        return Maximum(end.x, is_ridge=True, converged=False, message=message)
    if float(np.abs(end.jac).max()) > _GRADIENT_TOLERANCE:
        message = f"not converged: {end.message}"
        return Maximum(end.x, is_ridge=False, converged=False, message=message)
    return Maximum(end.x, is_ridge=False, converged=True, message="converged")


def distinct_histories(frequency: ArrayLike, recency: ArrayLike, T: ArrayLike) -> Histories:
    """Group members by history; members are the same only where all three numbers are equal.

    Args:
        frequency: repeat order days per member, shape (n_members,).
        recency: time from first to last order, shape (n_members,).
        T: time from first order to the observation, shape (n_members,).

    Returns:
        The distinct histories in the order of frequency, recency, T.

    Raises:
        ValueError: shapes differ, a value is not finite, frequency is not a count, recency lies
            outside 0 to T, or recency is above 0 where frequency is 0.
    """
    x, t_x, age = _checked(frequency, recency, T)
    recencies, recency_level = _levels(t_x)
    ages, age_level = _levels(age)
    key = x.astype(np.int64) * max(recencies.size, 1) + recency_level
    key = key * max(ages.size, 1) + age_level
    distinct, row = _distinct(key)
    rest, age_level = np.divmod(distinct, max(ages.size, 1))
    count, recency_level = np.divmod(rest, max(recencies.size, 1))
    return Histories(
        frequency=count.astype(np.float64),
        recency=recencies[recency_level],
        T=ages[age_level],
        n_members=np.bincount(row, minlength=distinct.size).astype(np.float64),
        row=row,
    )


def _levels(values: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Find the distinct values in rising order, and for each value its position among them.

    Times are whole or half days as a rule, counted in days or in weeks. Where they are so to the
    last bit, counting them is many times as fast as sorting floats.
    """
    for days_per_unit in (1.0, 7.0, 14.0):
        days = np.rint(values * days_per_unit)
        if (days / days_per_unit == values).all() and days.max(initial=0.0) < 1e15:
            distinct, level = _distinct(days.astype(np.int64))
            return distinct / days_per_unit, level
    return np.unique(values, return_inverse=True)


def _distinct(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Find the distinct keys, 0 or more, in rising order, and each key's position among them."""
    if keys.max(initial=0) >= _DENSE * keys.size:
        return np.unique(keys, return_inverse=True)
    distinct = np.flatnonzero(np.bincount(keys))
    position = np.zeros(int(keys.max(initial=-1)) + 1, np.intp)
    position[distinct] = np.arange(distinct.size)
    return distinct, position[keys]


def _checked(
    frequency: ArrayLike, recency: ArrayLike, T: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Turn the three numbers into float arrays, or say what is wrong with them."""
    x, t_x, age = (np.asarray(each, dtype=np.float64) for each in (frequency, recency, T))
    if x.ndim != 1 or x.shape != t_x.shape or x.shape != age.shape:
        raise ValueError(
            "frequency, recency and T need one dimension and one length, "
            f"got shapes {x.shape}, {t_x.shape}, {age.shape}"
        )
    if not (np.isfinite(x).all() and np.isfinite(t_x).all() and np.isfinite(age).all()):
        raise ValueError("frequency, recency and T must be finite")
    if (x < 0).any() or (x != np.floor(x)).any():
        raise ValueError("frequency must be a count: 0, 1, 2, ...")
    if (t_x < 0).any() or (t_x > age).any():
        raise ValueError("recency must lie between 0 and T")
    if t_x[x == 0].any():
        raise ValueError("recency must be 0 where frequency is 0")
    return x, t_x, age


class Likelihood:
    """The log-likelihood of a shop's histories and its gradient (paper, eq. 6).

    Logarithms are taken once per distinct time and gamma functions once per distinct frequency;
    only what mixes the two is computed per history.
    """

    def __init__(
        self,
        histories: Histories,
        *,
        leaves_after_first: bool = False,
        scale: float = 1.0,
        step: int = 1,
    ) -> None:
        """Sort the histories into levels.

        Args:
            histories: distinct histories, as ``distinct_histories`` gives them.
            leaves_after_first: whether a member may leave after her first order: MBG/NBD.
            scale: what times are multiplied with.
            step: take every so many histories only.
        """
        x, weight = histories.frequency[::step], histories.n_members[::step]
        self.n_members = float(weight.sum())
        self._leaves_after_first = leaves_after_first
        ages, age_level = _levels(histories.T[::step])
        self._ages = ages * scale
        self._age_weights = np.bincount(age_level, weight, ages.size)
        self._age_orders = np.bincount(age_level, weight * x, ages.size)
        # Only who may have left enters from here on: BG/NBD lets nobody go before a repeat.
        may_leave = (x > 0) | leaves_after_first
        self._weights = weight[may_leave]
        self._age_level = age_level[may_leave]
        recencies, self._recency_level = _levels(histories.recency[::step][may_leave])
        self._recencies = recencies * scale
        self._counts, self._count_level = _levels(x[may_leave])
        self._count_weights = np.bincount(self._count_level, self._weights, self._counts.size)

    def evaluate(self, log_parameters: Floats) -> tuple[float, Floats]:
        """Compute the log-likelihood of all members and its gradient.

        Args:
            log_parameters: logarithms of r, alpha, a, b, shape (4,).

        Returns:
            The log-likelihood and its gradient with respect to the log-parameters, shape (4,).
        """
        parameters: Floats = np.exp(log_parameters)
        r, alpha, a, b = (float(each) for each in parameters)
        survived = b + self._counts + self._leaves_after_first
        x, weights = self._counts, self._count_weights
        until_age, until_last = alpha + self._ages, alpha + self._recencies
        log_age, log_last = np.log(until_age), np.log(until_last)
        stays = survived - 1.0
        age_exponents = r * self._age_weights + self._age_orders

        # Every member: she is alive at T and was never seen after recency.
        value = float(
            weights @ (gammaln(r + x) - gammaln(r) + gammaln(survived) - gammaln(b))
            + weights @ (gammaln(a + b) - gammaln(a + survived))
            + self.n_members * r * log_parameters[1]
            - age_exponents @ log_age
        )
        # Who may have left: or she left right after her last order, exp(odds) times as likely.
        # Plain log and not log1p, which numpy does not vectorise: the terms add to numbers
        # around 1.
        gap = log_age[self._age_level] - log_last[self._recency_level]
        exponent = (r + x)[self._count_level]
        odds = (log_parameters[2] - np.log(stays))[self._count_level]
        odds += exponent * gap
        small = np.exp(-np.abs(odds))
        value += float(self._weights @ (np.maximum(odds, 0.0) + np.log(1.0 + small)))

        has_left = self._weights * np.where(odds > 0, 1.0, small) / (1.0 + small)
        shift = (1.0 / until_age)[self._age_level] - (1.0 / until_last)[self._recency_level]
        digamma_sum = psi(a + b) - psi(a + survived)
        gradient = np.array(
            [
                weights @ (psi(r + x) - psi(r))
                + self.n_members * log_parameters[1]
                - self._age_weights @ log_age
                + has_left @ gap,
                self.n_members * r / alpha
                - age_exponents @ (1.0 / until_age)
                + has_left @ (exponent * shift),
                weights @ digamma_sum + has_left.sum() / a,
                weights @ (digamma_sum + psi(survived) - psi(b))
                - has_left @ (1.0 / stays)[self._count_level],
            ]
        )
        return value, gradient * parameters


@dataclass(frozen=True)
class BgNbd:
    """A fitted model: its parameters, and what it says of a member.

    Attributes:
        r: shape of the order rate's gamma distribution.
        alpha: rate of that distribution, in the time unit of the histories.
        a: first shape of the leaving probability's beta distribution.
        b: its second shape.
        log_likelihood: of all members at these parameters, without any penalty.
        converged: whether the parameters are an interior maximum.
        message: the outcome of the fit in one line.
        n_members: members that were fitted.
        is_ridge: whether a parameter ran away because the data do not bound it, as happens where
            nobody leaves (a and b grow together) or nobody returns.
        leaves_after_first: whether a member may leave after her first order: MBG/NBD.
        covariance: of the log-parameters, shape (4, 4); None where they are not an interior
            maximum.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    converged: bool
    message: str
    n_members: int
    is_ridge: bool = False
    leaves_after_first: bool = False
    covariance: Floats | None = field(default=None, compare=False, repr=False)

    def probability_alive(self, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike) -> Floats:
        """Compute the probability that a member is still a customer at T.

        In BG/NBD it is 1 for a member without a repeat order, since there a member can leave only
        right after a repeat order (Fader, Hardie and Lee, "Computing P(alive) Using the BG/NBD
        Model", 2008, brucehardie.com/notes/021).

        Args:
            frequency: repeat order days, shape (n_members,).
            recency: time from first to last order, shape (n_members,).
            T: time from first order to the observation, shape (n_members,).

        Returns:
            Probabilities, shape (n_members,).

        Raises:
            ValueError: the histories are malformed, see ``distinct_histories``.
        """
        return self._alive(*_checked(frequency, recency, T))

    def expected_purchases(
        self, t: ArrayLike, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike
    ) -> Floats:
        """Compute the orders expected of a member in the time t after T (paper, eq. 10).

        Args:
            t: one horizon, or horizons of shape (n_horizons,); 0 or more.
            frequency: repeat order days, shape (n_members,).
            recency: time from first to last order, shape (n_members,).
            T: time from first order to the observation, shape (n_members,).

        Returns:
            Expected numbers of orders, shape (n_members,) for one horizon, else
            (n_members, n_horizons).

        Raises:
            ValueError: the histories are malformed, see ``distinct_histories``, or a horizon is
                negative or not finite.
        """
        histories = distinct_histories(frequency, recency, T)
        return self.expected_purchases_of(histories, t)[histories.row]

    def expected_purchases_of(self, histories: Histories, t: ArrayLike) -> Floats:
        """Compute the same once per history.

        Args:
            histories: distinct histories, as ``distinct_histories`` gives them.
            t: one horizon, or horizons of shape (n_horizons,); 0 or more.

        Returns:
            Expected numbers of orders, shape (n_histories,) for one horizon, else
            (n_histories, n_horizons).

        Raises:
            ValueError: a horizon is negative or not finite.
        """
        horizons = _checked_horizons(t)
        alive = self._alive(histories.frequency, histories.recency, histories.T)
        orders = np.empty((alive.size, horizons.size))
        for column, horizon in enumerate(horizons.ravel()):
            orders[:, column] = alive * self._purchases_alive(
                horizon, histories.frequency, histories.T
            )
        return orders.reshape(-1, *horizons.shape)

    def expected_purchases_new(self, t: ArrayLike) -> Floats:
        """Compute the repeat orders expected of a new member by t after her first (paper, eq. 9).

        Args:
            t: times since the first order, of any shape; 0 or more.

        Returns:
            Expected numbers of repeat orders, in the shape of t.

        Raises:
            ValueError: a time is negative or not finite.
        """
        zero = np.float64(0.0)
        orders = self._purchases_alive(_checked_horizons(t), zero, zero)
        return orders * self._alive(np.zeros(1), np.zeros(1), np.zeros(1))[0]

    def next_order(self, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike) -> Floats:
        """Compute the time after T by which an order is as likely as not.

        She is alive with probability p and then orders at a rate from Gamma(r + x, alpha + T):
        p (1 - ((alpha + T) / (alpha + T + t))^(r + x)) = 1/2, solved for t.

        Args:
            frequency: repeat order days, shape (n_members,).
            recency: time from first to last order, shape (n_members,).
            T: time from first order to the observation, shape (n_members,).

        Returns:
            Times, shape (n_members,); infinite where she has more likely left.

        Raises:
            ValueError: the histories are malformed, see ``distinct_histories``.
        """
        x, t_x, age = _checked(frequency, recency, T)
        with np.errstate(divide="ignore", over="ignore"):
            silent = np.maximum(1.0 - 0.5 / self._alive(x, t_x, age), 0.0)
            return (self.alpha + age) * np.expm1(-np.log(silent) / (self.r + x))

    def falls_below(
        self, p_alive: float, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike
    ) -> Floats:
        """Compute the age at which P(alive) falls below a limit if she stays silent.

        Args:
            p_alive: the limit, 0 to 1.
            frequency: repeat order days, shape (n_members,).
            recency: time from first to last order, shape (n_members,).
            T: time from first order to the observation, shape (n_members,).

        Returns:
            Times since the first order, shape (n_members,); before recency where it lay below right
            after the last order, infinite where it never will.

        Raises:
            ValueError: the histories are malformed, see ``distinct_histories``, or the limit is
                out of range.
        """
        if not 0.0 <= p_alive <= 1.0:
            raise ValueError(f"p_alive must be 0 to 1, got {p_alive}")
        x, t_x, _ = _checked(frequency, recency, T)
        with np.errstate(over="ignore", divide="ignore"):
            odds = np.log(1.0 - p_alive) - np.log(np.float64(p_alive))
            growth = (odds - self._log_odds(x)) / (self.r + x)
            fallen = t_x + (self.alpha + t_x) * np.expm1(growth)
        return np.where(self._may_leave(x), fallen, np.inf)

    def _alive(self, x: Floats, t_x: Floats, age: Floats) -> Floats:
        """Compute P(alive); cheap enough that grouping members first would only slow it down."""
        odds = self._log_odds(x)
        odds += (self.r + x) * np.log((self.alpha + age) / (self.alpha + t_x))
        return np.where(self._may_leave(x), expit(-odds), 1.0)

    def _log_odds(self, x: Floats) -> Floats:
        """Compute the log odds of having left right after the last order, on the day of it.

        Where she cannot have left the number has no meaning, but stays in range.
        """
        stays = np.maximum(x, 0.0 if self.leaves_after_first else 1.0)
        return np.log(self.a) - np.log(self.survived + (stays - 1.0))

    def _may_leave(self, x: Floats) -> NDArray[np.bool_]:
        return (x > 0) | self.leaves_after_first

    @property
    def survived(self) -> float:
        """The b of the paper's formulas: the first order counts as one more that she survived."""
        return self.b + self.leaves_after_first

    def _purchases_alive(
        self, t: Floats | np.float64, x: Floats | np.float64, age: Floats | np.float64
    ) -> Floats:
        """Compute the orders expected in t of members who are alive at T, by broadcasting.

        The paper's 2F1(r+x, b+x; a+b+x-1; z) overflows for frequent buyers. Euler's
        transformation gives the same number through 2F1(a-1, a+b-1-r; a+b+x-1; z), whose terms
        do not grow with x. Both divide by a-1 and have a pole at a+b+x = 1, although the
        expectation itself is smooth there: it is read off between two points beside them.
        """
        at_pole = min(abs(self.a - 1.0), abs(self.a + self.survived - 1.0)) < _POLE_WIDTH
        offsets = (-_POLE_WIDTH, _POLE_WIDTH) if at_pole else (0.0,)
        growth: Floats = np.log1p(t / (self.alpha + age))
        z = t / (self.alpha + age + t)
        orders: Floats = np.zeros(np.broadcast(growth, x).shape)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for offset in offsets:
                left = self.a + offset - 1.0
                c = left + self.survived + x
                series = hyp2f1(left, left + self.survived - self.r, c, z)
                orders += c / left * (1.0 - np.exp(-left * growth) * series) / len(offsets)
        if np.isfinite(orders).all():
            return orders
        return np.where(np.isfinite(orders), orders, self._purchases_alive_by_moments(growth, x))

    def _purchases_alive_by_moments(self, growth: Floats, x: Floats | np.float64) -> Floats:
        """Compute the same from mean and variance of the leaving probability.

        Needed only where a ridge has driven a or r so high that the series overflows. The beta
        distribution is narrow there, and three Gauss-Hermite nodes stand for it.
        """
        total = self.a + self.survived + x
        mean = self.a / total
        deviation = np.sqrt(mean * (1.0 - mean) / (total + 1.0))
        orders: Floats = np.zeros(np.broadcast(growth, x).shape)
        for node, weight in ((-np.sqrt(3.0), 1 / 6), (0.0, 2 / 3), (np.sqrt(3.0), 1 / 6)):
            leaving = np.clip(mean + node * deviation, mean * 1e-3, 1.0)
            rate = np.log1p(leaving * np.expm1(growth))
            orders += weight * -np.expm1(-(self.r + x) * rate) / leaving
        return orders


def fit(
    frequency: ArrayLike,
    recency: ArrayLike,
    T: ArrayLike,
    *,
    penaliser: float = 0.0,
    leaves_after_first: bool = False,
) -> BgNbd:
    """Fit the model by maximum likelihood.

    Args:
        frequency: repeat order days per member, shape (n_members,).
        recency: time from first to last order, shape (n_members,).
        T: time from first order to the observation, shape (n_members,).
        penaliser: precision of a normal prior on each log-parameter around a moderate shop
            (alpha in a tenth of the longest T). 0 is plain maximum likelihood; around 1 keeps a
            small shop off the ridge and fades as members are added.
        leaves_after_first: whether a member may leave after her first order: MBG/NBD.

    Returns:
        The model. Without any time under observation there is nothing to learn from, and the
        model, not converged, expects next to no orders.

    Raises:
        ValueError: the histories are malformed, see ``distinct_histories``, or the penaliser is
            negative.
    """
    if penaliser < 0:
        raise ValueError(f"penaliser must be 0 or more, got {penaliser}")
    histories = distinct_histories(frequency, recency, T)
    n_members = histories.row.size
    span = float(histories.T.max(initial=0.0))
    if span == 0.0:
        message = "nothing to fit: no member has been observed for any time"
        return BgNbd(
            r=np.exp(-_BOUND),
            alpha=1.0,
            a=1.0,
            b=1.0,
            log_likelihood=0.0,
            converged=False,
            message=message,
            n_members=n_members,
            is_ridge=True,
            leaves_after_first=leaves_after_first,
        )
    scale = _SCALED_SPAN / span

    def of_every(step: int) -> tuple[Likelihood, Objective]:
        likelihood = Likelihood(
            histories, leaves_after_first=leaves_after_first, scale=scale, step=step
        )

        def negative_mean(log_parameters: Floats) -> tuple[float, Floats]:
            value, gradient = likelihood.evaluate(log_parameters)
            offset = log_parameters - _STARTS[0]
            value -= penaliser / 2 * float(offset @ offset)
            gradient = gradient - penaliser * offset
            return -value / likelihood.n_members, -gradient / likelihood.n_members

        return likelihood, negative_mean

    likelihood, negative_mean = of_every(1)
    n_histories = histories.T.size
    scout = None
    if n_histories > _MANY_HISTORIES:
        scout = of_every(n_histories // _SCOUTED_HISTORIES)[1]
    maximum = maximise(negative_mean, _STARTS, ("r", "alpha", "a", "b"), n_members, scout)
    if maximum.converged and penaliser == 0.0:
        maximum = _bounded(maximum)
    r, alpha, a, b = (float(each) for each in np.exp(maximum.log_parameters))
    # A density of x order times has the unit time^-x, so scaling time back shifts it.
    n_orders = float(histories.frequency @ histories.n_members)
    log_likelihood = likelihood.evaluate(maximum.log_parameters)[0] + n_orders * np.log(scale)
    return BgNbd(
        r=r,
        alpha=alpha / scale,
        a=a,
        b=b,
        log_likelihood=float(log_likelihood),
        converged=maximum.converged,
        message=maximum.message,
        n_members=n_members,
        is_ridge=maximum.is_ridge,
        leaves_after_first=leaves_after_first,
        covariance=maximum.covariance,
    )


def _checked_horizons(t: ArrayLike) -> Floats:
    """Turn horizons into a float array, or say what is wrong with them."""
    horizons = np.asarray(t, dtype=np.float64)
    if not np.isfinite(horizons).all() or (horizons < 0).any():
        raise ValueError("horizons must be finite and 0 or more")
    return horizons
