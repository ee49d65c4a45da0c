"""How much more the messaged did than the held out, and how sure that is.

Counts in, NumPy arrays out; all functions broadcast. A group without members gives NaN.
"""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri  # pyright: ignore[reportMissingTypeStubs]

CONFIDENCE = 0.95

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate with the ends of its confidence interval, each of the inputs' shape."""

    estimate: Floats
    low: Floats
    high: Floats


class Test(NamedTuple):
    """A test statistic and its two-sided p-value, each of the inputs' shape."""

    z: Floats
    p_value: Floats


def wilson(converted: ArrayLike, assigned: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """A rate with Wilson's score interval (Wilson 1927, JASA 22, 209-212), within 0 to 1."""
    n = np.asarray(assigned, dtype=np.float64)
    z = float(ndtri((1 + confidence) / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.asarray(converted, dtype=np.float64) / n
        centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
        reach = z * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    # At no or all conversions an end is exactly 0 or 1, which rounding must not move.
    low = np.where(rate == 0, 0.0, centre - reach)
    high = np.where(rate == 1, 1.0, centre + reach)
    return Interval(rate, low, high)


def newcombe(
    converted: ArrayLike,
    assigned: ArrayLike,
    holdout_converted: ArrayLike,
    holdout_assigned: ArrayLike,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The difference of two rates with Newcombe's hybrid score interval.

    Newcombe 1998, Statistics in Medicine 17, 873-890, method 10. It keeps its coverage where the
    holdout is small or the rates are near 0, where Wald's does not.
    """
    arm = wilson(converted, assigned, confidence)
    held = wilson(holdout_converted, holdout_assigned, confidence)
    lift = arm.estimate - held.estimate
    low = lift - np.hypot(arm.estimate - arm.low, held.high - held.estimate)
    high = lift + np.hypot(arm.high - arm.estimate, held.estimate - held.low)
    return Interval(lift, low, high)


def wald(
    converted: ArrayLike,
    assigned: ArrayLike,
    holdout_converted: ArrayLike,
    holdout_assigned: ArrayLike,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The difference of two rates with Wald's interval, which others report: to compare with."""
    n, m = (np.asarray(size, dtype=np.float64) for size in (assigned, holdout_assigned))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.asarray(converted, dtype=np.float64) / n
        held = np.asarray(holdout_converted, dtype=np.float64) / m
        reach = ndtri((1 + confidence) / 2) * np.sqrt(rate * (1 - rate) / n + held * (1 - held) / m)
    lift = rate - held
    return Interval(lift, lift - reach, lift + reach)


def two_proportion_z(
    converted: ArrayLike,
    assigned: ArrayLike,
    holdout_converted: ArrayLike,
    holdout_assigned: ArrayLike,
) -> Test:
    """The pooled z test of equal rates; NaN where nobody or everybody converted."""
    c, n, d, m = (
        np.asarray(count, dtype=np.float64)
        for count in (converted, assigned, holdout_converted, holdout_assigned)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (c + d) / (n + m)
        z = (c / n - d / m) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return Test(z, 2 * ndtr(-np.abs(z)))


def with_lift(counts: pl.DataFrame) -> pl.DataFrame:
    """Adds rate, lift, ci_low, ci_high, p_value and roi to each arm's counts.

    Columns of `counts`: assigned, converted, holdout_assigned, holdout_converted, cost, revenue,
    holdout_revenue, the latter for the whole group. Incremental revenue is the arm's less what so
    many members of the holdout would have brought. What cannot be computed is NULL.
    """
    converted, assigned, holdout_converted, holdout_assigned = (
        counts[name].to_numpy()
        for name in ("converted", "assigned", "holdout_converted", "holdout_assigned")
    )
    lift = newcombe(converted, assigned, holdout_converted, holdout_assigned)
    test = two_proportion_z(converted, assigned, holdout_converted, holdout_assigned)
    cost, revenue, holdout_revenue = (
        counts[name].cast(pl.Float64).to_numpy() for name in ("cost", "revenue", "holdout_revenue")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        baseline = holdout_revenue * assigned / holdout_assigned
        roi = np.where(cost > 0, (revenue - baseline - cost) / cost, np.nan)
    computed = pl.DataFrame(
        {
            "rate": wilson(converted, assigned).estimate,
            "lift": lift.estimate,
            "ci_low": lift.low,
            "ci_high": lift.high,
            "p_value": test.p_value,
            "roi": roi,
        }
    )
    return counts.hstack(computed.with_columns(pl.all().fill_nan(None)))
