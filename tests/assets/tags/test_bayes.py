"""Bayes' theorem: the article's numbers, the impossible ones, and the posterior on counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from assets.tags.bayes import buy_given_browse, posterior

COUNTS = st.lists(
    st.integers(0, 10_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    min_size=1,
    max_size=20,
)


def test_the_article_s_numbers():
    assert posterior(0.7, 0.1, 0.3) == pytest.approx(0.7 / 3)
    assert round(posterior(0.7, 0.1, 0.3), 4) == 0.2333


@given(st.integers(1, 1000), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_it_equals_counting(both: int, only_buy: int, only_browse: int, neither: int):
    n = both + only_buy + only_browse + neither
    n_buyers, n_browsers = both + only_buy, both + only_browse
    found = posterior(both / n_buyers, n_buyers / n, n_browsers / n)
    assert found == pytest.approx(both / n_browsers)


@pytest.mark.parametrize(
    ("given_buy", "buy", "browse", "message"),
    [
        (0.7, 0.1, 0.0, "nobody browsed"),
        (1.2, 0.1, 0.3, "p_browse_given_buy must be a probability"),
        (0.7, -0.1, 0.3, "p_buy must be a probability"),
        (0.7, 0.1, float("nan"), "p_browse must be a probability"),
        (0.9, 0.5, 0.3, "impossible"),  # more than 0.3 browsed and bought
        (0.1, 0.9, 0.5, "impossible"),  # 0.81 bought without browsing, so at most 0.19 browsed
    ],
)
def test_what_cannot_be_is_refused(given_buy: float, buy: float, browse: float, message: str):
    with pytest.raises(ValueError, match=message):
        posterior(given_buy, buy, browse)


def test_the_posterior_by_hand():
    """60 of 240 bought: the prior is Beta(10 r, 10 (1 - r)) with r = 60.5 / 241."""
    found = buy_given_browse([200, 40, 0], [40, 20, 0])
    rate = 60.5 / 241
    assert found.mean == pytest.approx(
        [(10 * rate + 40) / 210, (10 * rate + 20) / 50, (10 * rate) / 10]
    )
    exact = beta(10 * rate + 40, 10 * (1 - rate) + 160)
    assert found.ci_low[0] == pytest.approx(exact.ppf(0.025))
    assert found.ci_high[0] == pytest.approx(exact.ppf(0.975))


@given(COUNTS)
def test_the_interval_holds_the_mean_and_stays_a_probability(counts: list[tuple[int, int]]):
    browsers, buyers = np.array(counts).T
    mean, low, high = buy_given_browse(browsers, buyers)
    assert ((low >= 0) & (low <= mean) & (mean <= high) & (high <= 1)).all()


def test_a_shop_that_hardly_sells_keeps_its_interval_around_the_mean():
    """Here the central interval of the posterior, Beta(0.0005, 10), ends below its mean."""
    found = buy_given_browse([10_000, 1], [0, 0])
    assert (found.mean <= found.ci_high).all()
    assert (found.mean > 0).all()


def test_more_browsers_mean_less_pull_and_less_doubt():
    found = buy_given_browse([10, 100, 1000, 10_000], [5, 50, 500, 0])
    distance = np.abs(found.mean - 0.5)
    assert distance[0] > distance[1] > distance[2]
    width = (found.ci_high - found.ci_low)[:3]
    assert width[0] > width[1] > width[2]
    stronger = buy_given_browse([10, 10_000], [5, 0], prior_strength=1000)
    weaker = buy_given_browse([10, 10_000], [5, 0], prior_strength=1)
    assert stronger.mean[0] < weaker.mean[0]


def test_intervals_cover_what_they_promise():
    """Rates drawn from the very prior: 80 % intervals hold about 80 % of them."""
    rng = np.random.default_rng(2)
    rates = rng.beta(2, 8, 4000)
    browsers = rng.integers(5, 60, 4000)
    found = buy_given_browse(browsers, rng.binomial(browsers, rates), confidence=0.8)
    is_covered = (found.ci_low <= rates) & (rates <= found.ci_high)
    assert is_covered.mean() == pytest.approx(0.8, abs=0.02)


def test_shapes_are_kept():
    assert buy_given_browse([[1, 2], [3, 4]], [[0, 1], [1, 2]]).mean.shape == (2, 2)
    assert buy_given_browse(10, 3).mean.shape == ()
    assert buy_given_browse([], []).ci_low.shape == (0,)


@pytest.mark.parametrize(
    ("browsers", "buyers", "options"),
    [
        ([3], [4], {}),
        ([3], [-1], {}),
        ([3, 4], [1], {}),
        ([float("inf")], [1], {}),
        ([3], [1], {"prior_strength": 0.0}),
        ([3], [1], {"confidence": 1.0}),
    ],
)
def test_counts_that_cannot_be_are_refused(
    browsers: list[float], buyers: list[int], options: dict[str, float]
):
    with pytest.raises(ValueError, match=r"must|differ"):
        buy_given_browse(browsers, buyers, **options)
