"""How sure a fitted model is of its parameters.

A likelihood near its maximum is a normal density in the log-parameters, whose covariance is the
inverse of the curvature there (the observed information). Intervals are simultaneous: in 95 of
100 shops all seven parameters, four of orders and three of values, lie within theirs at once
(Bonferroni), so each one alone does in more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COVERAGE = 0.95
_N_PARAMETERS = 7
_STEP = 1e-4


@dataclass(frozen=True)
class Interval:
    """A parameter and where it may lie.

    Attributes:
        name: of the parameter.
        value: its estimate, above 0.
        low: end of its interval, None where the data do not bound it.
        high: the other end, None likewise.
        standard_error: of its logarithm, None likewise.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    standard_error: float | None


def covariance(
    negative_mean: Callable[[Floats], tuple[float, Floats]], at: Floats, n_members: int
) -> Floats | None:
    """Compute the covariance of the log-parameters at a maximum.

    The curvature is read off the gradient by central differences.

    Args:
        negative_mean: gives the negative log-likelihood per member and its gradient, shape
            (n_parameters,), at log-parameters of shape (n_parameters,).
        at: log-parameters of the maximum, shape (n_parameters,).
        n_members: members in the likelihood.

    Returns:
        The covariance, shape (n_parameters, n_parameters), or None where the likelihood is flat
        in some direction, so that nothing bounds it.
    """
    moves = _STEP * np.eye(at.size)
    curvature = np.array(
        [negative_mean(at + move)[1] - negative_mean(at - move)[1] for move in moves]
    )
    curvature *= n_members / (2.0 * _STEP)
    curvature = (curvature + curvature.T) / 2.0
    heights, directions = np.linalg.eigh(curvature)
    # Below the noise of the differences a direction is flat.
    if not np.isfinite(heights).all() or heights[0] <= 1e-9 * heights[-1]:
        return None
    return (directions / heights) @ directions.T


def simultaneous_z(n_parameters: int) -> float:
    """Find how many standard errors an interval reaches so that all hold at once.

    Args:
        n_parameters: intervals that shall hold at once, 1 or more.

    Returns:
        The standard normal quantile of 1 - 0.05 / (2 n_parameters): 1.960 for one, 2.690 for
        seven.
    """
    return NormalDist().inv_cdf(1.0 - (1.0 - COVERAGE) / (2 * n_parameters))


def intervals(
    names: Sequence[str], values: Sequence[float], of_logs: Floats | None
) -> tuple[Interval, ...]:
    """Give each parameter of a model its interval, at 95 % for all seven at once.

    Args:
        names: of the parameters.
        values: estimates, above 0.
        of_logs: covariance of their logarithms, shape (n_parameters, n_parameters), or None.

    Returns:
        One interval per parameter, in the order given.
    """
    if of_logs is None:
        return tuple(
            Interval(name, value, None, None, None)
            for name, value in zip(names, values, strict=True)
        )
    z = simultaneous_z(_N_PARAMETERS)
    return tuple(
        Interval(
            name,
            value,
            float(value * np.exp(-z * error)),
            float(value * np.exp(z * error)),
            float(error),
        )
        for name, value, error in zip(names, values, np.sqrt(np.diag(of_logs)), strict=True)
    )


def widened(interval: Interval, other: Interval) -> Interval:
    """Widen an interval so that it holds another one of the same parameter, if that has ends."""
    if interval.low is None or interval.high is None or other.low is None or other.high is None:
        return interval
    return replace(interval, low=min(interval.low, other.low), high=max(interval.high, other.high))
