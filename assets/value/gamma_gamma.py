"""Gamma-Gamma: what an order of each member is worth on average.

The model is Fader and Hardie, "The Gamma-Gamma Model of Monetary Value", 2013
(brucehardie.com/notes/025). A member's order values are Gamma(p, nu), and nu varies between
members as Gamma(q, v). It takes the value of an order to be independent of how often a member
orders; ``correlation`` checks that.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, psi  # pyright: ignore[reportMissingTypeStubs]

from assets.value.bg_nbd import Objective, maximise
from assets.value.intervals import Floats

_STARTS = np.log([[2.0, 2.0, 1.0], [6.0, 4.0, 0.5], [1.0, 1.5, 1.0], [0.5, 8.0, 8.0]])
# Above so many repeaters the starts are tried on so many of them.
_SCOUTED_MEMBERS, _MANY_MEMBERS = 2_000, 8_000


class Likelihood:
    """The log-likelihood of repeaters' mean order values and its gradient (paper, eq. 1a)."""

    def __init__(self, frequency: Floats, monetary_value: Floats) -> None:
        """Sort the repeaters into levels, so that gamma functions are taken once per frequency.

        Args:
            frequency: repeat order days, above 0, shape (n_repeaters,).
            monetary_value: mean value of a repeat order day, above 0, shape (n_repeaters,).
        """
        self.n_members = frequency.size
        self._frequency = frequency
        self._spend = frequency * monetary_value
        self._counts, level = np.unique(frequency, return_inverse=True)
        self._count_weights = np.bincount(level, minlength=self._counts.size).astype(np.float64)
        self._n_orders = float(frequency.sum())
        self._log_value = float(np.log(monetary_value).sum())
        self._log_spend = float(frequency @ np.log(self._spend))

    def evaluate(self, log_parameters: Floats) -> tuple[float, Floats]:
        """Compute the log-likelihood of all repeaters and its gradient.

        Args:
            log_parameters: logarithms of p, q, v, shape (3,).

        Returns:
            The log-likelihood and its gradient with respect to the log-parameters, shape (3,).
        """
        parameters: Floats = np.exp(log_parameters)
        p, q, v = (float(each) for each in parameters)
        n, log_v = self.n_members, log_parameters[2]
        shape, weights = p * self._counts, self._count_weights
        total = self._spend + v
        log_total, inverse = np.log(total), 1.0 / total
        sum_log_total, sum_inverse = log_total.sum(), inverse.sum()
        orders_log_total = self._frequency @ log_total
        value = float(
            weights @ (gammaln(shape + q) - gammaln(shape) - gammaln(q))
            + n * q * log_v
            + p * (self._log_spend - orders_log_total)
            - q * sum_log_total
            - self._log_value
        )
        digamma = psi(shape + q)
        gradient = np.array(
            [
                weights @ (self._counts * (digamma - psi(shape)))
                + self._log_spend
                - orders_log_total,
                weights @ (digamma - psi(q)) + n * log_v - sum_log_total,
                n * q / v - p * (self._frequency @ inverse) - q * sum_inverse,
            ]
        )
        return value, gradient * parameters


@dataclass(frozen=True)
class GammaGamma:
    """A fitted model: its parameters, and what it says of a member.

    Attributes:
        p: shape of the order values of one member.
        q: shape of the distribution of their rate between members.
        v: rate of that distribution, in the currency of the values.
        log_likelihood: of all repeaters at these parameters.
        converged: whether the parameters are an interior maximum.
        message: the outcome of the fit in one line.
        n_members: repeaters that were fitted.
        is_ridge: whether a parameter ran away because the data do not bound it, as happens where
            all orders have one value.
        covariance: of the log-parameters, shape (3, 3); None where they are not an interior
            maximum.
    """

    p: float
    q: float
    v: float
    log_likelihood: float
    converged: bool
    message: str
    n_members: int
    is_ridge: bool = False
    covariance: Floats | None = field(default=None, compare=False, repr=False)

    def expected_value(self, frequency: ArrayLike, monetary_value: ArrayLike) -> Floats:
        """Compute the expected value of a member's orders (paper, eq. 5).

        It lies between what she paid so far and the population's mean p v / (q - 1), the closer
        to her own the more she has ordered. A member without a repeat order gets the
        population's mean. Where the distribution has no mean, p x + q <= 1, its mode stands in:
        p (v + x m) / (p x + q + 1), finite always, and on the cautious side.

        Args:
            frequency: repeat order days, shape (n_members,).
            monetary_value: mean value of a repeat order day, shape (n_members,). Ignored, and
                free to be NaN, where frequency is 0; counted as 0 where it is negative.

        Returns:
            Expected values in the currency of the values, shape (n_members,).

        Raises:
            ValueError: shapes differ, or a number that is needed is negative or not finite.
        """
        x, m = _checked(frequency, monetary_value)
        spend = self.p * (self.v + x * np.maximum(m, 0.0))
        return spend / self._weight(x)

    def log_slopes(self, frequency: ArrayLike, monetary_value: ArrayLike) -> Floats:
        """Compute how the logarithm of the expected value follows the log-parameters.

        Args:
            frequency: repeat order days, shape (n_members,).
            monetary_value: as for ``expected_value``.

        Returns:
            Slopes by log p, log q and log v, shape (n_members, 3).

        Raises:
            ValueError: shapes differ, or a number that is needed is negative or not finite.
        """
        x, m = _checked(frequency, monetary_value)
        weight, spend = self._weight(x), x * np.maximum(m, 0.0)
        share_of_prior = self.v / np.maximum(self.v + spend, np.finfo(np.float64).tiny)
        return np.column_stack((1.0 - self.p * x / weight, -self.q / weight, share_of_prior))

    def _weight(self, x: Floats) -> Floats:
        """Compute the denominator of the mean, or of the mode where there is no mean."""
        weight = self.p * x + self.q
        return np.where(weight > 1.0, weight - 1.0, weight + 1.0)


def fit(frequency: ArrayLike, monetary_value: ArrayLike) -> GammaGamma:
    """Fit the model by maximum likelihood to the members with a repeat order of value above 0.

    Args:
        frequency: repeat order days, shape (n_members,).
        monetary_value: mean value of a repeat order day, shape (n_members,). Ignored where
            frequency is 0.

    Returns:
        The model. Without a repeater there is nothing to learn from, and the model, not
        converged, expects a value of 0.

    Raises:
        ValueError: shapes differ, or a number that is needed is negative or not finite.
    """
    x, m = _repeaters(*_checked(frequency, monetary_value))
    if x.size == 0:
        message = "nothing to fit: no member has a repeat order of value above 0"
        return GammaGamma(1.0, 2.0, 0.0, 0.0, False, message, 0, is_ridge=True)

    # Values around 1 make the starting points and the bounds independent of the currency.
    scale = 1.0 / float(m.mean())

    def of_every(step: int) -> tuple[Likelihood, Objective]:
        likelihood = Likelihood(x[::step], m[::step] * scale)

        def negative_mean(log_parameters: Floats) -> tuple[float, Floats]:
            value, gradient = likelihood.evaluate(log_parameters)
            return -value / likelihood.n_members, -gradient / likelihood.n_members

        return likelihood, negative_mean

    likelihood, negative_mean = of_every(1)
    scout = None
    if x.size > _MANY_MEMBERS:
        scout = of_every(x.size // _SCOUTED_MEMBERS)[1]
    maximum = maximise(negative_mean, _STARTS, ("p", "q", "v"), x.size, scout)
    p, q, v = (float(each) for each in np.exp(maximum.log_parameters))
    message = maximum.message
    if q <= 1.0:
        message += "; q <= 1: the population has no mean value, its mode stands in"
    log_likelihood = likelihood.evaluate(maximum.log_parameters)[0] + x.size * np.log(scale)
    return GammaGamma(
        p=p,
        q=q,
        v=v / scale,
        log_likelihood=float(log_likelihood),
        converged=maximum.converged,
        message=message,
        n_members=x.size,
        is_ridge=maximum.is_ridge,
        covariance=maximum.covariance,
    )


def correlation(frequency: ArrayLike, monetary_value: ArrayLike) -> float | None:
    """Compute Pearson's correlation of frequency and value over the repeaters that are fitted.

    The model assumes 0; well above, it will rate frequent members too low.

    Args:
        frequency: repeat order days, shape (n_members,).
        monetary_value: mean value of a repeat order day, shape (n_members,).

    Returns:
        The correlation, or None where it is not defined: fewer than two repeaters, or all of
        them alike in one of the two.

    Raises:
        ValueError: shapes differ, or a number that is needed is negative or not finite.
    """
    x, m = _repeaters(*_checked(frequency, monetary_value))
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(m) == 0:
        return None
    return float(np.corrcoef(x, m)[0, 1])


def _checked(frequency: ArrayLike, monetary_value: ArrayLike) -> tuple[Floats, Floats]:
    """Turn both into float arrays, the value 0 without a repeat, or say what is wrong."""
    x = np.asarray(frequency, dtype=np.float64)
    m = np.asarray(monetary_value, dtype=np.float64)
    if x.ndim != 1 or x.shape != m.shape:
        raise ValueError(
            "frequency and monetary_value need one dimension and one length, "
            f"got shapes {x.shape}, {m.shape}"
        )
    if not np.isfinite(x).all() or (x < 0).any():
        raise ValueError("frequency must be finite and 0 or more")
    m = np.where(x > 0, m, 0.0)
    if not np.isfinite(m).all():
        raise ValueError("monetary_value must be finite where frequency is above 0")
    return x, m


def _repeaters(frequency: Floats, monetary_value: Floats) -> tuple[Floats, Floats]:
    """Keep the members that the likelihood is defined for."""
    is_fitted = (frequency > 0) & (monetary_value > 0)
    return frequency[is_fitted], monetary_value[is_fitted]
