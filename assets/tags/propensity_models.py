"""The models of purchase propensity and the baselines that they are held against.

Each is fitted on one part of the snapshots, calibrated on the next in time, and gives
probabilities for a third. Classes are never weighted, because a probability is wanted and not only
an order of members.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import logit  # pyright: ignore[reportMissingTypeStubs]
from sklearn.ensemble import (  # pyright: ignore[reportMissingTypeStubs]
    HistGradientBoostingClassifier,
)
from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from assets.tags.calibration import Calibration, Flags, Floats

# Of MODELS and the base rate the best is published.
BASELINES = ("base_rate", "recency", "bayes")
MODELS = ("logistic", "boosting")
METHODS = ("base_rate", *MODELS)

_RECENCY = ("days_since_last", "days_since_last_order")
# What a shop without any history is taken for: one member in a hundred orders in a week.
_PRIOR_MEMBERS = 100.0
_PRIOR_RATE = 0.01
_BINS = 10


class _Model(Protocol):
    """Anything that gives log-odds of an order."""

    def log_odds(self, features: Floats) -> Floats:
        """Log-odds of members, shape (n,), for their features, shape (n, n_features)."""
        ...


class _Classifier(Protocol):
    """What is used of scikit-learn's classifiers, which have no types."""

    def fit(self, features: Floats, outcomes: Flags) -> Self: ...

    def decision_function(self, features: Floats) -> Floats: ...


@dataclass(frozen=True)
class _BaseRate:
    """Everybody alike."""

    rate: float

    def log_odds(self, features: Floats) -> Floats:
        return np.full(len(features), _log_odds(np.array(self.rate)))


@dataclass(frozen=True)
class _Logistic:
    """Logistic regression on standardised logarithms, with a flag for what is not known.

    Attributes:
        classifier: scikit-learn's.
        is_gappy: features that are not known of every member learnt from, shape (n_features,);
            these have a flag.
        centre: mean of logarithms and flags, shape (n_columns,).
        scale: their deviation.
    """

    classifier: _Classifier
    is_gappy: Flags
    centre: Floats
    scale: Floats

    @classmethod
    def fit(cls, features: Floats, has_order: Flags) -> "_Logistic":
        is_gappy = np.asarray(np.isnan(features).any(axis=0), dtype=np.bool_)
        columns = cls._columns(features, is_gappy)
        centre, deviation = columns.mean(axis=0), columns.std(axis=0)
        # Rounding leaves a constant column a deviation of its own.
        scale = np.where(deviation > 1e-9, deviation, 1.0)
        # There are few columns, so exact Newton steps take a fraction of what L-BFGS takes.
        classifier = cast(_Classifier, LogisticRegression(C=1.0, solver="newton-cholesky"))
        columns = (columns - centre) / scale
        return cls(classifier.fit(columns, has_order), is_gappy, centre, scale)

    @staticmethod
    def _columns(features: Floats, is_gappy: Flags) -> Floats:
        is_unknown = np.isnan(features)
        logs = np.log1p(np.maximum(np.where(is_unknown, 0.0, features), 0.0))
        return np.hstack((logs, is_unknown[:, is_gappy].astype(np.float64)))

    def log_odds(self, features: Floats) -> Floats:
        columns = self._columns(features, self.is_gappy)
        return _decided(self.classifier, (columns - self.centre) / self.scale)


@dataclass(frozen=True)
class _Boosting:
    """Gradient boosting on histograms; deliberately small, as a shop's weeks differ.

    On the demo shop half the rate with twice the trees gains 0.0002 of log-loss for twice the time.
    """

    classifier: _Classifier

    @classmethod
    def fit(cls, features: Floats, has_order: Flags, seed: int) -> "_Boosting":
        classifier = HistGradientBoostingClassifier(
            learning_rate=0.1,
            max_iter=60,
            max_leaf_nodes=15,
            min_samples_leaf=50,
            l2_regularization=1.0,
            # Stopping early would hold out members at random. Taken for a str by pyright.
            early_stopping=False,  # pyright: ignore[reportArgumentType]
            random_state=seed,
        )
        return cls(cast(_Classifier, classifier).fit(features, has_order))

    def log_odds(self, features: Floats) -> Floats:
        return _decided(self.classifier, features)


@dataclass(frozen=True)
class _Bayes:
    """Bayes' theorem on counts: features in ten bins, taken for independent (naive Bayes).

    Attributes:
        prior: log-odds of an order.
        edges: per feature, inner edges of its bins.
        weights: per feature, log P(bin | order) - log P(bin | none), the unknown in the last bin.
    """

    prior: float
    edges: tuple[Floats, ...]
    weights: tuple[Floats, ...]

    @classmethod
    def fit(cls, features: Floats, has_order: Flags) -> "_Bayes":
        edges: list[Floats] = []
        weights: list[Floats] = []
        for column in features.T:
            known = column[~np.isnan(column)]
            cuts = np.quantile(known, np.arange(1, _BINS) / _BINS) if known.size else known
            edges.append(np.unique(cuts))
            bins, n_bins = cls._bins(column, edges[-1]), edges[-1].size + 2
            shares = [
                (np.bincount(bins[is_of], minlength=n_bins) + 1.0) / (is_of.sum() + n_bins)
                for is_of in (has_order, ~has_order)
            ]
            weights.append(np.log(shares[0]) - np.log(shares[1]))
        rate = base_rate(has_order)
        return cls(float(_log_odds(np.array(rate))), tuple(edges), tuple(weights))

    @staticmethod
    def _bins(column: Floats, edges: Floats) -> NDArray[np.int64]:
        found = np.searchsorted(edges, column, side="right")
        return np.where(np.isnan(column), edges.size + 1, found)

    def log_odds(self, features: Floats) -> Floats:
        total = np.full(len(features), self.prior)
        for column, edges, weights in zip(features.T, self.edges, self.weights, strict=True):
            total += weights[self._bins(column, edges)]
        return total


def base_rate(has_order: Flags) -> float:
    """The share of members who ordered, with the little that is taken for granted."""
    bought, n = float(has_order.sum()), has_order.size
    return (bought + _PRIOR_MEMBERS * _PRIOR_RATE) / (n + _PRIOR_MEMBERS)


def predicted(
    name: str,
    learnt: pl.DataFrame,
    calibrated: pl.DataFrame,
    scored: pl.DataFrame,
    features: Sequence[str],
    seed: int,
) -> Floats:
    """Fit on one part, calibrate on the next in time, give probabilities for a third.

    Args:
        name: one of BASELINES or MODELS.
        learnt: snapshots to learn from.
        calibrated: snapshots of a later cut.
        scored: snapshots of whoever is asked about.
        features: columns to use; one that is never known among the learnt is left out.
        seed: for gradient boosting.

    Returns:
        Probability of an order, shape (n_scored,).
    """
    known = [each for each in features if learnt[each].null_count() < len(learnt)]
    used = [each for each in known if name != "recency" or each in _RECENCY]
    fits: Mapping[str, Callable[[Floats, Flags], _Model]] = {
        "base_rate": lambda _, has_order: _BaseRate(base_rate(has_order)),
        "recency": _Logistic.fit,
        "bayes": _Bayes.fit,
        "logistic": _Logistic.fit,
        "boosting": lambda columns, has_order: _Boosting.fit(columns, has_order, seed),
    }
    # Without a feature there is nothing to learn but the rate.
    fit = fits[name if used else "base_rate"]
    # A second thread gains a third on an idle machine and loses tenfold on a busy one.
    with threadpool_limits(limits=1):
        model = fit(matrix(learnt, used), outcomes_of(learnt))
        calibration = Calibration.fit(
            model.log_odds(matrix(calibrated, used)), outcomes_of(calibrated)
        )
        return calibration.probability(model.log_odds(matrix(scored, used)))


def _decided(classifier: _Classifier, features: Floats) -> Floats:
    """Log-odds by a classifier, which refuses to be asked about nobody."""
    return classifier.decision_function(features) if len(features) else np.zeros(0)


def matrix(snapshots: pl.DataFrame, names: Sequence[str]) -> Floats:
    """Features as floats, NaN where not known, shape (n, n_features)."""
    columns = snapshots.select(pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in names)
    return columns.to_numpy() if names else np.zeros((len(snapshots), 0))


def outcomes_of(snapshots: pl.DataFrame) -> Flags:
    """Who ordered in the week from the cut, shape (n,)."""
    return snapshots["has_order"].cast(pl.Boolean).to_numpy().astype(np.bool_)


def _log_odds(p: Floats) -> Floats:
    return cast(Floats, logit(p))
