"""Between which bounds a member's margin of the horizon will lie: the predictive distribution.

An expectation says what members of one history bring on average. What one of them brings is that
many orders, mostly few and often none, each of its own value. Both are known in closed form:

- orders of a member who is alive follow the mass function of BG/NBD (Fader, Hardie and Lee 2005,
  eq. 8) at the member's own parameters: rate Gamma(r + x, alpha + T), leaving Beta(a, b + x);
- the sum of n profitable orders is (v + k m) times a beta prime variable of shapes p n and p k + q,
  k the profitable orders so far (Gamma-Gamma, eq. 5 and its derivation: a gamma sum whose rate is
  Gamma(p k + q, v + k m));
- an order is profitable with a probability from the member's beta distribution (order_days.py), so
  the profitable ones among n are beta-binomial.

So the distribution depends on x, k and T alone, but for P(alive), which thins it, and for the
factor v + k m: it is worked out once for every x, k and T and read off for every member.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import (  # pyright: ignore[reportMissingTypeStubs]
    betainc,
    betaincinv,
    betaln,
    gammaln,
)

from assets.value.bg_nbd import BgNbd
from assets.value.gamma_gamma import GammaGamma
from assets.value.intervals import COVERAGE, Floats
from assets.value.order_days import Losses, RepeatDays

# Counts of orders up to this one stand alone; above, they are taken together by a tenth.
_SINGLE_COUNTS = 24
_GROWTH = 1.1
# Points at which the distribution of a sum is known, evenly over its logarithm.
_POINTS = 160
_TAIL = (1.0 - COVERAGE) / 2.0


@dataclass(frozen=True)
class Purchases:
    """What the order model says of members, all of whom it serves.

    Attributes:
        model: the order model.
        T: time from first order to the observation, shape (n_members,).
        p_alive: probability of being alive at T, shape (n_members,).
        horizon: time after T.
        discount: what an expected order of the horizon is worth today, shape (n_members,).
    """

    model: BgNbd
    T: Floats
    p_alive: Floats
    horizon: float
    discount: Floats


def count_probabilities(model: BgNbd, horizon: float, x: float, T: Floats, n: int) -> Floats:
    """Compute how likely each number of orders is of members who are alive.

    Args:
        model: the order model.
        horizon: time after T, above 0.
        x: repeat order days so far.
        T: times from first order to the observation, shape (n_times,).
        n: the highest number.

    Returns:
        Probabilities of 0 to n orders, shape (n_times, n + 1).
    """
    orders = np.arange(n + 1.0)
    r, b = model.r + x, model.survived + x
    z = (horizon / (model.alpha + T + horizon))[:, None]
    of_rate = np.exp(
        gammaln(r + orders) - gammaln(r) - gammaln(orders + 1.0)
        + r * np.log1p(-z) + orders * np.log(z)
    )  # fmt: skip
    stays = np.exp(betaln(model.a, b + orders) - betaln(model.a, b))
    found: Floats = stays * of_rate
    later = orders[1:]
    leaves = np.exp(betaln(model.a + 1.0, b + later - 1.0) - betaln(model.a, b))
    found[:, 1:] += leaves * betainc(later, r, z)
    return found


def bounds(
    purchases: Purchases, values: GammaGamma, losses: Losses, days: RepeatDays
) -> tuple[Floats, Floats]:
    """Find the bounds within which 95 of 100 such members' discounted margins will lie.

    2.5 of 100 lie below and 2.5 above, fewer where many bring the same: of members of whom more
    than 2.5 of 100 bring nothing, the lower bound is 0, and nobody lies below. Where more than 2.5
    bring nothing but losses, it is the loss of as many days as 97.5 of 100 do not exceed. The
    parameters are taken for known, and a member's orders are all discounted like an expected one.

    Args:
        purchases: what the order model says of the members.
        values: the value model, fitted to the days with a profit.
        losses: the shop's losses.
        days: the members' repeat order days.

    Returns:
        Lower and upper bounds in the currency of the values, shape (n_members,) each.
    """
    low, high = np.zeros(purchases.T.size), np.zeros(purchases.T.size)
    width = days.frequency.max(initial=0.0) + 1.0
    keys, group = np.unique(days.frequency * width + days.n_profitable, return_inverse=True)
    by_group = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=keys.size))
    for key, of in zip(keys, np.split(by_group, ends[:-1]), strict=True):
        x, k = divmod(float(key), float(width))
        scale = values.v + k * days.profit[of]
        low[of], high[of] = _of_group(purchases, values, losses, x, k, of, scale)
    # No days with a loss are 0, not minus 0.
    return low * purchases.discount + 0.0, high * purchases.discount


def _of_group(
    purchases: Purchases,
    values: GammaGamma,
    losses: Losses,
    x: float,
    k: float,
    of: NDArray[np.intp],
    scale: Floats,
) -> tuple[Floats, Floats]:
    """Find the bounds of the members with x repeat order days, k of them profitable."""
    T, row = np.unique(purchases.T[of], return_inverse=True)
    alive = purchases.p_alive[of]
    each = count_probabilities(
        purchases.model, purchases.horizon, x, T, _highest(purchases, x, float(T.min()))
    )
    has_losses = losses.share > 0.0
    profitable = each @ _split(each.shape[1], *_shapes(losses, x, k)) if has_losses else each
    counts, starts = _binned(profitable.shape[1] - 1)
    together = np.add.reduceat(profitable[:, 1:], starts, axis=1)
    sums, cumulative = _sums(values, k, counts)
    distribution = profitable[:, :1] + together @ cumulative

    def quantile(levels: Floats) -> Floats:
        """Of the sum of profits, at levels of all such members, dead ones included."""
        of_alive = 1.0 - (1.0 - levels) / np.maximum(alive, np.finfo(np.float64).tiny)
        return scale * _read(distribution, sums, row, of_alive, profitable[row, 0])

    low = quantile(np.full(of.size, _TAIL))
    high = quantile(np.full(of.size, 1.0 - _TAIL))
    if not has_losses:
        return low, high
    at_loss = losses.expected_share(
        RepeatDays(np.array([x]), np.array([k]), np.zeros(1), np.zeros(1))
    )
    profit = values.expected_value(np.full(of.size, k), (scale - values.v) / max(k, 1.0))
    split = _split(each.shape[1], *reversed(_shapes(losses, x, k)))
    # A profit makes up for a loss of half its size; where losses are larger, all of them count.
    is_small = profit >= -2.0 * losses.mean
    n_lost = np.where(
        is_small, _most(each * np.diag(split), row, alive), _most(each @ split, row, alive)
    )
    loss = n_lost * losses.mean - 2.0 * losses.deviation * np.sqrt(n_lost)
    # Who orders often orders at a loss now and then: less of their profits, not a loss.
    remains = 1.0 + at_loss * losses.mean / np.maximum((1.0 - at_loss) * profit, 1e-300)
    return np.where(low > 0.0, np.maximum(low * remains, loss), loss), high


def _highest(purchases: Purchases, x: float, T: float) -> int:
    """A number of orders that next to nobody exceeds: six standard deviations if nobody leaves."""
    rate = purchases.horizon / (purchases.model.alpha + T)
    mean = (purchases.model.r + x) * rate
    return int(mean + 6.0 * np.sqrt(mean * (1.0 + rate))) + 12


def _shapes(losses: Losses, x: float, k: float) -> tuple[float, float]:
    """Shapes of the beta distribution of a member's share of profitable order days."""
    concentration = min(losses.concentration, 1e9)
    return concentration * (1.0 - losses.share) + k, concentration * losses.share + x - k


def _split(size: int, a: float, b: float) -> Floats:
    """How likely j of n orders are of a kind whose share is Beta(a, b), shape (n, j)."""
    n = np.arange(size)[:, None]
    j = n.T
    others = np.maximum(n - j, 0)
    # Gamma functions once per number, not per pair of numbers.
    numbers = np.arange(size, dtype=np.float64)
    choose, of_a, of_b = (gammaln(shift + numbers) for shift in (1.0, a, b))
    of_both = gammaln(a + b + numbers)
    logs = choose[n] - choose[j] - choose[others] + of_a[j] + of_b[others] - of_both[n]
    logs -= of_a[0] + of_b[0] - of_both[0]
    return np.exp(np.where(j <= n, logs, -np.inf))


def _binned(highest: int) -> tuple[Floats, NDArray[np.intp]]:
    """Counts from 1 to the highest taken together: their means, and where each bin begins."""
    edges = list(range(min(_SINGLE_COUNTS, highest)))
    while edges[-1] + 1 < highest:
        edges.append(max(edges[-1] + 1, min(int(edges[-1] * _GROWTH), highest - 1)))
    starts = np.array(edges, np.intp)
    ends = np.append(starts[1:], highest)
    return (starts + 1 + ends) / 2.0, starts


def _sums(values: GammaGamma, k: float, counts: Floats) -> tuple[Floats, Floats]:
    """Sums of profits, over v + k m, and how likely each number of orders brings no more.

    Returns:
        Logarithms of the sums, shape (n_points,), and shape (n_counts, n_points).
    """
    shape = values.p * k + values.q
    ends = betaincinv(values.p * counts[[0, -1]], shape, np.array([1e-4, 1.0 - 1e-4]))
    ends = np.clip(ends, 1e-12, 1.0 - 1e-12)
    first, last = (float(each) for each in np.log(ends / (1.0 - ends)))
    logs: Floats = np.linspace(first, last, _POINTS)
    share: Floats = 1.0 / (1.0 + np.exp(-logs))
    return logs, betainc(values.p * counts[:, None], shape, share[None, :])


def _read(
    distribution: Floats, logs: Floats, row: NDArray[np.intp], levels: Floats, at_zero: Floats
) -> Floats:
    """Read quantiles off rows of a distribution, 0 where the level lies within what 0 has."""
    # A row's levels lie within 0 and 1: one sorted array of all rows, two apart.
    n_rows, n_points = distribution.shape
    apart: Floats = 2.0 * np.arange(n_rows, dtype=np.float64)
    flat = np.ravel(distribution + apart[:, None])
    position = np.searchsorted(flat, levels + 2.0 * row) - row * n_points
    right = np.clip(position, 1, n_points - 1)
    before, after = distribution[row, right - 1], distribution[row, right]
    step = np.clip(
        (levels - before) / np.maximum(after - before, np.finfo(np.float64).tiny), 0.0, 1.0
    )
    found = np.exp(logs[right - 1] + step * (logs[right] - logs[right - 1]))
    return np.where(levels <= at_zero, 0.0, found)


def _most(lost: Floats, row: NDArray[np.intp], alive: Floats) -> Floats:
    """Find how many days with a loss 97.5 of 100 members do not exceed.

    Args:
        lost: probabilities of 0, 1, 2, ... such days of members alive, shape (n_times, n + 1).
        row: for each member the row.
        alive: probabilities of being alive, shape (n_members,).
    """
    n_rows, n_counts = lost.shape
    exceed = np.maximum(lost.sum(axis=1, keepdims=True) - np.cumsum(lost, axis=1), 0.0)
    # As in _read; nobody exceeds the last number, so that every member finds one.
    exceed[:, -1] = 0.0
    apart: Floats = 2.0 * np.arange(n_rows, dtype=np.float64)
    flat = np.ravel(apart[:, None] - exceed)
    most = np.minimum(_TAIL / np.maximum(alive, np.finfo(np.float64).tiny), 1.0)
    return (np.searchsorted(flat, 2.0 * row - most) - row * n_counts).astype(np.float64)
