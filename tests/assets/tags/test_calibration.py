"""Log-odds become probabilities that come true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assets.tags.calibration import Calibration

FINITE = st.floats(-20, 20)


def test_calibration_finds_what_was_bent() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(-2, 1, 40_000)
    came = rng.random(truth.size) < 1 / (1 + np.exp(-truth))
    found = Calibration.fit((truth - 0.7) / 2.0, came)
    assert found.slope == pytest.approx(2.0, abs=0.1)
    assert found.shift == pytest.approx(0.7, abs=0.1)
    p = found.probability((truth - 0.7) / 2.0)
    assert p.mean() == pytest.approx(came.mean(), abs=1e-3)


@given(
    log_odds=arrays(np.float64, st.integers(1, 30), elements=FINITE),
    seed=st.integers(0, 99),
)
def test_no_other_slope_or_shift_is_more_probable(log_odds, seed: int) -> None:
    came = np.random.default_rng(seed).random(log_odds.size) < 0.3

    def loss(slope: float, shift: float) -> float:
        z = slope * log_odds + shift
        prior = 0.5 * ((slope - 1) ** 2 + shift**2)
        return float((np.logaddexp(0, z) - came * z).sum()) + prior

    found = Calibration.fit(log_odds, came)
    least = loss(found.slope, found.shift)
    for slope, shift in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)):
        assert least <= loss(found.slope + slope, found.shift + shift)


def test_calibration_without_members_changes_nothing() -> None:
    assert Calibration.fit(np.zeros(0), np.zeros(0, dtype=np.bool_)) == Calibration(1.0, 0.0)


@given(
    log_odds=arrays(np.float64, st.integers(1, 30), elements=FINITE),
    seed=st.integers(0, 99),
    share=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_calibration_is_always_finite(log_odds, seed: int, share: float) -> None:
    came = np.random.default_rng(seed).random(log_odds.size) < share
    found = Calibration.fit(log_odds, came)
    p = found.probability(log_odds)
    assert np.isfinite([found.slope, found.shift]).all()
    assert ((p > 0) & (p < 1)).all()
