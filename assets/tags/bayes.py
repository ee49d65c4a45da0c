"""From browsing to buying: Bayes' theorem, on probabilities and on counts."""

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv  # pyright: ignore[reportMissingTypeStubs]


def posterior(p_browse_given_buy: float, p_buy: float, p_browse: float) -> float:
    """P(buy | browse) = P(browse | buy) P(buy) / P(browse).

    Args:
        p_browse_given_buy: share of the buyers who browsed.
        p_buy: share of all who bought.
        p_browse: share of all who browsed, above 0.

    Raises:
        ValueError: a value is no probability, or the three cannot hold together: browsers are
            at least the buyers who browsed, and at most those and everybody who did not buy.
    """
    given = {"p_browse_given_buy": p_browse_given_buy, "p_buy": p_buy, "p_browse": p_browse}
    for name, value in given.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be a probability, not {value}")
    if p_browse == 0:
        raise ValueError("p_browse must be above 0: nobody browsed, so nothing can be said")
    both = p_browse_given_buy * p_buy
    slack = 1e-12
    if not both - slack <= p_browse <= both + (1 - p_buy) + slack:
        raise ValueError(
            f"p_browse {p_browse} is impossible: with p_browse_given_buy {p_browse_given_buy} and "
            f"p_buy {p_buy} it lies between {both} and {both + 1 - p_buy}"
        )
    return min(both / p_browse, 1.0)


class BuyGivenBrowse(NamedTuple):
    """P(buy | browse) with its uncertainty, each of the shape of the counts.

    Attributes:
        mean: mean of the posterior.
        ci_low: lower end of the central credible interval, never above the mean.
        ci_high: upper end of it, never below the mean, which a posterior with next to no
            buyers is skewed enough to put there.
    """

    mean: NDArray[np.float64]
    ci_low: NDArray[np.float64]
    ci_high: NDArray[np.float64]


def buy_given_browse(
    n_browsers: ArrayLike,
    n_buyers: ArrayLike,
    prior_strength: float = 10.0,
    confidence: float = 0.95,
) -> BuyGivenBrowse:
    """P(buy | browse) of every product from counts, shrunk towards the shop's own rate.

    The prior is Beta(strength * rate, strength * (1 - rate)) with the rate of all products
    together, so a product with few browsers looks like the shop until it shows otherwise. The
    rate itself has Jeffreys' half a buyer added, which keeps a shop without buyers off 0.

    Args:
        n_browsers: members who browsed it, any shape.
        n_buyers: members among these who bought it, the same shape.
        prior_strength: how many browsers the prior is worth, above 0.
        confidence: mass of the credible interval, between 0 and 1.

    Raises:
        ValueError: shapes differ, a count is negative, there are more buyers than browsers, or
            prior_strength or confidence is out of range.
    """
    browsers = np.asarray(n_browsers, dtype=np.float64)
    buyers = np.asarray(n_buyers, dtype=np.float64)
    if browsers.shape != buyers.shape:
        raise ValueError(f"n_browsers and n_buyers differ: {browsers.shape} and {buyers.shape}")
    if not bool(np.all((buyers >= 0) & (buyers <= browsers) & np.isfinite(browsers))):
        raise ValueError("n_buyers must lie between 0 and n_browsers")
    if not (prior_strength > 0 and 0 < confidence < 1):
        raise ValueError("prior_strength must be above 0 and confidence between 0 and 1")
    rate = (buyers.sum() + 0.5) / (browsers.sum() + 1)
    a = prior_strength * rate + buyers
    b = prior_strength * (1 - rate) + browsers - buyers
    tail = (1 - confidence) / 2
    mean = np.asarray(a / (a + b))
    low = cast(NDArray[np.float64], np.asarray(betaincinv(a, b, tail)))
    high = cast(NDArray[np.float64], np.asarray(betaincinv(a, b, 1 - tail)))
    return BuyGivenBrowse(mean, np.minimum(low, mean), np.maximum(high, mean))
