"""The value of an order day, days with a loss included, on shops drawn from known parameters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.value import gamma_gamma, order_days
from assets.value.gamma_gamma import GammaGamma
from assets.value.order_days import NO_LOSSES, Losses, RepeatDays

VALUES = GammaGamma(6.0, 4.0, 95.0, 0.0, True, "", 1)
SHARE, CONCENTRATION, LOSS = 0.2, 4.0, -40.0


def drawn(n_members: int, seed: int = 1) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Members of whose order days a fifth brings a loss, and what a day of each truly brings."""
    rng = np.random.default_rng(seed)
    frequency = rng.geometric(0.35, n_members) - 1.0
    level = 1.0 / rng.gamma(VALUES.q, 1.0 / VALUES.v, n_members)
    at_loss = rng.beta(CONCENTRATION * SHARE, CONCENTRATION * (1 - SHARE), n_members)
    n_lost = rng.binomial(frequency.astype(int), at_loss)
    n_profitable = frequency - n_lost
    profits = rng.gamma(np.maximum(VALUES.p * n_profitable, 1e-9)) * level
    losses = np.array([rng.uniform(2 * LOSS, 0, n).sum() for n in n_lost])
    once, some = np.maximum(frequency, 1), np.maximum(n_profitable, 1)
    truth = (1 - at_loss) * VALUES.p * level + at_loss * LOSS
    return {
        "frequency": frequency,
        "monetary_value": np.where(frequency > 0, (profits + losses) / once, 0.0),
        "n_profitable": n_profitable,
        "profitable_value": np.where(n_profitable > 0, profits / some, 0.0),
    }, truth


def test_a_fifth_of_days_with_a_loss_leaves_the_value_unbiased():
    """Gamma-Gamma alone, loss days in the frequency and not in the mean, is a quarter above."""
    columns, truth = drawn(40_000)
    days = RepeatDays.of(**columns)
    values = gamma_gamma.fit(days.n_profitable, days.profit)
    losses = order_days.fit(days)
    found = order_days.expected_value(values, losses, days)
    assert found.mean() / truth.mean() == pytest.approx(1.0, abs=0.01)
    for x in (0, 1, 2, 4):
        of = columns["frequency"] == x
        assert found[of].mean() / truth[of].mean() == pytest.approx(1.0, abs=0.04), x
    # Members who often order at a loss are worth less, and are known to be.
    lossy = days.frequency - days.n_profitable >= 3
    assert found[lossy].mean() == pytest.approx(truth[lossy].mean(), abs=5)
    assert losses.share == pytest.approx(SHARE, abs=3 * losses.share_error)
    assert losses.mean == pytest.approx(LOSS, abs=3 * losses.mean_error)
    assert losses.concentration == pytest.approx(CONCENTRATION, rel=0.1)
    alone = gamma_gamma.fit(days.frequency, days.profit).expected_value(days.frequency, days.profit)
    assert alone.mean() / truth.mean() > 1.2


def test_standard_errors_are_those_of_many_shops():
    fits = [order_days.fit(RepeatDays.of(**drawn(400, seed)[0])) for seed in range(60)]
    for name in ("share", "mean"):
        spread = np.std([getattr(fit, name) for fit in fits])
        assert np.mean([getattr(fit, f"{name}_error") for fit in fits]) == pytest.approx(
            spread, rel=0.25
        )


def test_a_shop_without_losses_has_gamma_gammas_values():
    days = RepeatDays.of([0, 2, 5], [0, 20, 30], [0, 2, 5], [0, 20, 30])
    assert order_days.fit(days) == NO_LOSSES
    expected = VALUES.expected_value([0, 2, 5], [0, 20, 30])
    assert order_days.expected_value(VALUES, NO_LOSSES, days).tolist() == expected.tolist()


def test_single_days_do_not_tell_members_apart():
    days = RepeatDays.of([1, 1, 1, 0], [20, -8, 30, 0], [1, 0, 1, 0], [20, 0, 30, 0])
    losses = order_days.fit(days)
    assert (losses.share, losses.mean, losses.concentration) == (1 / 3, -8, np.inf)
    assert losses.expected_share(days) == pytest.approx([1 / 3] * 4)


def test_a_member_of_losses_is_expected_to_cost():
    days = RepeatDays.of([0, 9], [0, -40], [0, 0], [0, 0])
    expected = order_days.expected_value(VALUES, Losses(0.2, 1.0, -40.0), days)
    assert expected[1] < 0 < expected[0]


days_of_a_member = st.integers(0, 9).flatmap(
    lambda x: st.tuples(st.just(x), st.integers(0, x), st.floats(0.1, 500), st.floats(-500, 0))
)


@settings(max_examples=60, deadline=None)
@given(st.lists(days_of_a_member, min_size=1, max_size=12))
def test_the_value_lies_between_the_mean_loss_and_the_profit(members):
    x, k, profit, loss = np.asarray(members, dtype=np.float64).T
    n = np.maximum(x, 1)
    days = RepeatDays.of(x, (k * profit + (x - k) * loss) / n, k, profit)
    losses = order_days.fit(days)
    assert losses.mean <= 0 <= losses.share <= 1
    at_loss = losses.expected_share(days)
    assert ((at_loss >= 0) & (at_loss <= 1)).all()
    found = order_days.expected_value(VALUES, losses, days)
    of_profit = VALUES.expected_value(days.n_profitable, days.profit)
    assert (found <= of_profit + 1e-9).all() and (found >= losses.mean - 1e-9).all()
    assert days.losses.sum() == pytest.approx(((x - k) * loss).sum(), abs=1e-6)


@pytest.mark.parametrize(
    ("columns", "wrong"),
    [
        (([1], [1, 2]), "one length"),
        (([[1]], [[2]]), "one dimension"),
        (([1], [np.nan]), "monetary_value must be finite"),
        (([1], [2], [2], [2]), "0 to frequency"),
        (([2], [2], [1], [np.nan]), "profitable_value"),
    ],
)
def test_malformed_days_are_refused(columns, wrong):
    with pytest.raises(ValueError, match=wrong):
        RepeatDays.of(*columns)
