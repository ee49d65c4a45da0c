"""From log-odds to probabilities: Platt's sigmoid, fitted on what was held out."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit  # pyright: ignore[reportMissingTypeStubs]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_SMALLEST = 1e-6


@dataclass(frozen=True)
class Calibration:
    """Platt's sigmoid on log-odds: logit p = slope * log-odds + shift.

    Platt, "Probabilistic outputs for support vector machines", 1999. The shift alone is the usual
    correction for another base rate.
    """

    slope: float = 1.0
    shift: float = 0.0

    @classmethod
    def fit(cls, log_odds: Floats, has_come: Flags) -> "Calibration":
        """Find slope and shift by maximum a posteriori, around 1 and 0 with deviation 1.

        The prior weighs about as much as a handful of cases: where the outcome came never, or
        always, both stay finite, and without cases they are 1 and 0.

        Args:
            log_odds: as the model gives them, shape (n,).
            has_come: whether the outcome came, shape (n,).

        Returns:
            The calibration.
        """
        slope, shift = 1.0, 0.0
        z = log_odds
        before = _penalised(z, has_come, slope, shift)
        for _ in range(100):
            p = _sigmoid(z)
            weights = p * (1 - p)
            # Newton's step; sums, and no matrix product, whose bytes depend on the threads.
            by_slope = float(((p - has_come) * log_odds).sum()) + slope - 1
            by_shift = float((p - has_come).sum()) + shift
            a = float((weights * log_odds**2).sum()) + 1
            b = float((weights * log_odds).sum())
            c = float(weights.sum()) + 1
            to_slope = (c * by_slope - b * by_shift) / (a * c - b * b)
            to_shift = (a * by_shift - b * by_slope) / (a * c - b * b)
            while True:
                z = (slope - to_slope) * log_odds + (shift - to_shift)
                loss = _penalised(z, has_come, slope - to_slope, shift - to_shift)
                size = max(abs(to_slope), abs(to_shift))
                if loss <= before or size <= 1e-10:
                    break
                to_slope, to_shift = to_slope / 2, to_shift / 2
            slope, shift, before = slope - to_slope, shift - to_shift, loss
            if size <= 1e-10:
                break
        return cls(slope, shift)

    def probability(self, log_odds: Floats) -> Floats:
        """Give the calibrated probability of log-odds, both of shape (n,)."""
        return np.clip(_sigmoid(self.slope * log_odds + self.shift), _SMALLEST, 1 - _SMALLEST)


def _penalised(z: Floats, has_come: Flags, slope: float, shift: float) -> float:
    """Negative log-likelihood and prior, constants left out."""
    likelihood = float((np.logaddexp(0.0, z) - has_come * z).sum())
    return likelihood + 0.5 * ((slope - 1) ** 2 + shift**2)


def _sigmoid(log_odds: Floats) -> Floats:
    return cast(Floats, expit(log_odds))
