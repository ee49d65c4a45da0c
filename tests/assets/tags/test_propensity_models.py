"""Each model by itself: what it looks at, and what scikit-learn or a pencil makes of the same."""

import numpy as np
import polars as pl
import pytest
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from assets.tags.calibration import Calibration
from assets.tags.propensity_models import BASELINES, MODELS, base_rate, matrix, predicted

FEATURES = ("n_views", "days_since_last", "days_since_last_order")


def snapshots(n_members: int, seed: int) -> pl.DataFrame:
    """Who views much and was here lately orders; half have never ordered before."""
    rng = np.random.default_rng(seed)
    views, since = rng.poisson(2, n_members), rng.integers(1, 60, n_members)
    p = 1 / (1 + np.exp(2.5 - 0.7 * views + 0.05 * since))
    has_ordered = rng.random(n_members) < 0.5
    return pl.DataFrame(
        {
            "n_views": views,
            "days_since_last": since,
            "days_since_last_order": since + 3,
            "has_order": rng.random(n_members) < p,
        }
    ).with_columns(
        days_since_last_order=pl.when(pl.Series(has_ordered)).then("days_since_last_order")
    )


@pytest.fixture(scope="module")
def parts() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """To learn from, to calibrate on, to score."""
    return snapshots(900, 1), snapshots(400, 2), snapshots(300, 3)


def test_the_base_rate_takes_one_in_a_hundred_for_granted() -> None:
    assert base_rate(np.arange(100) < 3) == (3 + 1) / (100 + 100)
    assert base_rate(np.zeros(0, dtype=np.bool_)) == 0.01


def test_logistic_is_scikit_learns_on_logarithms_and_a_flag(parts) -> None:
    def columns(part: pl.DataFrame):
        values = matrix(part, FEATURES)
        return np.column_stack((np.log1p(np.nan_to_num(values)), np.isnan(values[:, 2])))

    learnt, calibrated, scored = parts
    centre, scale = columns(learnt).mean(axis=0), columns(learnt).std(axis=0)
    model = LogisticRegression(tol=1e-8, max_iter=10_000)
    model.fit((columns(learnt) - centre) / scale, learnt["has_order"].to_numpy())
    odds = [model.decision_function((columns(part) - centre) / scale) for part in parts]
    expected = Calibration.fit(odds[1], calibrated["has_order"].to_numpy()).probability(odds[2])
    assert predicted("logistic", *parts, FEATURES, 1) == pytest.approx(expected, abs=1e-4)
    assert len(expected) == len(scored)


def test_bayes_by_hand() -> None:
    learnt = pl.DataFrame({"n": [0] * 85 + [1] * 15, "has_order": [False] * 90 + [True] * 10})
    others = pl.DataFrame({"n": [0, 1], "has_order": [False, True]})
    # Ten who ordered and ninety who did not, and one imaginary member of each in all four bins.
    odds = logit((10 + 1) / 200) + np.log(
        [(0 + 1) / (10 + 4) / ((85 + 1) / (90 + 4)), (10 + 1) / (10 + 4) / ((5 + 1) / (90 + 4))]
    )
    expected = Calibration.fit(odds, np.array([False, True])).probability(odds)
    assert predicted("bayes", learnt, others, others, ["n"], 1) == pytest.approx(expected)


@pytest.mark.parametrize("name", [*BASELINES, *MODELS])
def test_a_feature_that_was_never_known_is_left_out(parts, name: str) -> None:
    learnt, *others = parts
    wider = [learnt.with_columns(new=pl.lit(None, pl.Float64))]
    wider += [part.with_columns(new=pl.lit(3.0)) for part in others]
    found = predicted(name, *wider, [*FEATURES, "new"], 1)
    assert found.tobytes() == predicted(name, *parts, FEATURES, 1).tobytes()


def test_recency_looks_at_nothing_else(parts) -> None:
    blind = [part.with_columns(n_views=pl.col("n_views").reverse()) for part in parts]
    for name in ("base_rate", "recency"):
        found = predicted(name, *blind, FEATURES, 1)
        assert found.tobytes() == predicted(name, *parts, FEATURES, 1).tobytes()
    for name in ("bayes", *MODELS):
        found = predicted(name, *blind, FEATURES, 1)
        assert not np.allclose(found, predicted(name, *parts, FEATURES, 1), atol=0.01)


@pytest.mark.parametrize("name", [*BASELINES, *MODELS])
def test_of_nobody_nothing_is_said(parts, name: str) -> None:
    learnt, calibrated, scored = parts
    assert predicted(name, learnt, calibrated, scored.clear(), FEATURES, 1).shape == (0,)
    assert predicted(name, learnt, calibrated, scored, [], 1).std() == pytest.approx(0)
