"""What an order day of each member is worth: its margin, days with a loss included.

Gamma-Gamma knows values above 0 only. Days with a margin of 0 or less are repeat orders too, so the
value of a day has two parts (a hurdle model): whether it brings a profit, and how much it then
brings. A member's share of days with a loss is beta-binomial around the shop's (Skellam, "A
probability distribution derived from the binomial distribution", 1948), the profit of the others
is Gamma-Gamma's, and a loss is the shop's mean loss.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import (  # pyright: ignore[reportMissingTypeStubs]
    minimize_scalar,  # pyright: ignore[reportUnknownVariableType]
)
from scipy.special import betaln  # pyright: ignore[reportMissingTypeStubs]

from assets.value.gamma_gamma import GammaGamma
from assets.value.intervals import Floats

# Of the logarithm of the concentration, in days: members all unlike each other, or all alike.
_CONCENTRATIONS = (np.log(0.1), np.log(1e6))


@dataclass(frozen=True)
class RepeatDays:
    """The repeat order days of each member, and what they brought.

    Attributes:
        frequency: repeat order days, shape (n_members,).
        n_profitable: of these, days with a margin above 0, shape (n_members,).
        profit: mean margin of these, shape (n_members,); 0 without one.
        losses: sum of the margins of the others, 0 or less, shape (n_members,).
    """

    frequency: Floats
    n_profitable: Floats
    profit: Floats
    losses: Floats

    @classmethod
    def of(
        cls,
        frequency: ArrayLike,
        monetary_value: ArrayLike,
        n_profitable: ArrayLike | None = None,
        profitable_value: ArrayLike | None = None,
    ) -> "RepeatDays":
        """Take the two parts from the columns of value.clv.

        Args:
            frequency: repeat order days, shape (n_members,).
            monetary_value: mean margin of a repeat order day, shape (n_members,). Ignored, and
                free to be NaN, where frequency is 0.
            n_profitable: repeat order days with a margin above 0, shape (n_members,). None: all
                days of a member are alike.
            profitable_value: mean margin of these days, shape (n_members,); None likewise.

        Returns:
            The days of the members, in the order given.

        Raises:
            ValueError: shapes differ, a number that is needed is not finite, or the profitable
                days are more than the days.
        """
        x = np.asarray(frequency, dtype=np.float64)
        mean = np.asarray(monetary_value, dtype=np.float64)
        mean = np.where(x > 0, mean, 0.0) if x.shape == mean.shape else mean
        k = np.where(mean > 0, x, 0.0) if n_profitable is None else np.asarray(n_profitable, float)
        profit = mean if profitable_value is None else np.asarray(profitable_value, np.float64)
        if not x.shape == mean.shape == k.shape == profit.shape or x.ndim != 1:
            raise ValueError(
                "repeat order days need one dimension and one length, got shapes "
                f"{x.shape}, {mean.shape}, {k.shape}, {profit.shape}"
            )
        if not np.isfinite(mean).all():
            raise ValueError("monetary_value must be finite where frequency is above 0")
        if not ((k >= 0) & (k <= x)).all():
            raise ValueError("profitable days must be 0 to frequency")
        profit = np.where(k > 0, profit, 0.0)
        if not np.isfinite(profit).all() or (profit < 0).any():
            raise ValueError("profitable_value must be finite and 0 or more")
        # The sums are rounded apart; without a day with a loss there is none.
        losses = np.where(k < x, np.minimum(x * mean - k * profit, 0.0), 0.0)
        return cls(x, k, profit, losses)

    def part(self, of: NDArray[np.intp] | slice) -> "RepeatDays":
        """Take the members at some positions."""
        return RepeatDays(
            self.frequency[of], self.n_profitable[of], self.profit[of], self.losses[of]
        )


@dataclass(frozen=True)
class Losses:
    """How many order days of a shop bring a loss, and how much of one.

    Attributes:
        share: of the repeat order days, 0 to 1.
        concentration: of the members' shares around it, in days; infinite where all are alike.
        mean: margin of such a day, 0 or less.
        deviation: its standard deviation between members.
        share_error: standard error of share.
        mean_error: standard error of mean.
        log_likelihood: of the members' days with a loss, the constant left out.
    """

    share: float = 0.0
    concentration: float = np.inf
    mean: float = 0.0
    deviation: float = 0.0
    share_error: float = 0.0
    mean_error: float = 0.0
    log_likelihood: float = 0.0

    def trust(self, days: RepeatDays) -> Floats:
        """Compute how much of a member's share is the shop's, not their own.

        Args:
            days: the members' repeat order days.

        Returns:
            Weights 0 to 1, shape (n_members,); 1 without a repeat order.
        """
        if np.isinf(self.concentration):
            return np.ones(days.frequency.size)
        return self.concentration / (self.concentration + days.frequency)

    def expected_share(self, days: RepeatDays) -> Floats:
        """Compute each member's expected share of order days with a loss.

        Args:
            days: the members' repeat order days.

        Returns:
            Shares 0 to 1, shape (n_members,).
        """
        trust = self.trust(days)
        x = np.maximum(days.frequency, 1.0)
        own = (days.frequency - days.n_profitable) / x
        return trust * self.share + (1.0 - trust) * own


NO_LOSSES = Losses()


class _Minimum(Protocol):
    """The part of scipy's untyped OptimizeResult that is read here."""

    x: float
    fun: float


def fit(days: RepeatDays) -> Losses:
    """Find the shop's share of days with a loss, how members differ in it, and the mean loss.

    Args:
        days: the members' repeat order days.

    Returns:
        The losses; ``NO_LOSSES`` where no day brought one. Standard errors take members, not days,
        for independent.
    """
    x, n_losses = days.frequency, days.frequency - days.n_profitable
    n_days, n_lost = float(x.sum()), float(n_losses.sum())
    if n_lost == 0.0:
        return NO_LOSSES
    share, mean = n_lost / n_days, float(days.losses.sum()) / n_lost
    lost = n_losses > 0
    of_members = days.losses[lost] / n_losses[lost]
    deviation = float(np.sqrt(n_losses[lost] @ (of_members - mean) ** 2 / n_lost))
    concentration, log_likelihood = _likeliest(x, n_losses, share)
    return Losses(
        share=share,
        concentration=concentration,
        mean=mean,
        deviation=deviation,
        share_error=float(np.sqrt(((n_losses - share * x) ** 2).sum())) / n_days,
        mean_error=float(np.sqrt(((days.losses - mean * n_losses) ** 2).sum())) / n_lost,
        log_likelihood=log_likelihood,
    )


def expected_value(values: GammaGamma, losses: Losses, days: RepeatDays) -> Floats:
    """Compute the expected margin of an order day of each member.

    P(profit) times Gamma-Gamma's expectation, plus P(loss) times the mean loss.

    Args:
        values: the value model, fitted to the days with a profit.
        losses: the shop's losses.
        days: the members' repeat order days.

    Returns:
        Margins, shape (n_members,); below 0 where a loss is expected.
    """
    at_loss = losses.expected_share(days)
    profit = values.expected_value(days.n_profitable, days.profit)
    return (1.0 - at_loss) * profit + at_loss * losses.mean


def _likeliest(x: Floats, n_losses: Floats, share: float) -> tuple[float, float]:
    """Find the concentration at which the members' days with a loss are likeliest, and how likely.

    The constant that depends on the data alone is left out of the log-likelihood.
    """
    pairs, weights = np.unique(
        np.column_stack((x[x > 0], n_losses[x > 0])), axis=0, return_counts=True
    )
    # One day tells nothing of how members differ, and where all days bring a loss none do.
    if share == 1.0 or pairs[:, 0].max() < 2.0:
        return np.inf, 0.0

    def negative(log_concentration: float) -> float:
        concentration = np.exp(log_concentration)
        a, b = concentration * share, concentration * (1.0 - share)
        of_pair = betaln(a + pairs[:, 1], b + pairs[:, 0] - pairs[:, 1]) - betaln(a, b)
        return -float(weights @ of_pair)

    found = cast(_Minimum, minimize_scalar(negative, bounds=_CONCENTRATIONS, method="bounded"))
    return float(np.exp(found.x)), -float(found.fun)
