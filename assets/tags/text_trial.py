"""What to expect of tags from text: the model and its baseline on texts that neither has seen."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from assets.tags.text_methods import METHODS, Flags, Floats, Terms
from assets.tags.text_model import FOLDS, Lesson, learn, lesson, splits

_METRICS = pl.Schema(
    {
        "model": pl.String,
        "scope": pl.String,
        "tag": pl.String,
        "n_texts": pl.Int64,
        "support": pl.Int64,
        "n_given": pl.Int64,
        "n_right": pl.Int64,
        "precision": pl.Float64,
        "recall": pl.Float64,
        "coverage": pl.Float64,
        "threshold": pl.Float64,
    }
)


def cross_validated(
    texts: Sequence[str | None], tags: Sequence[Sequence[str]], seed: int
) -> pl.DataFrame:
    """What to expect of the model's tags and of the baseline's, on texts neither has seen.

    Three folds, the same for both. On the texts outside of a fold everything is fitted as ``fit``
    does (which terms are known, their weights, lines, and calibration and thresholds by folds of
    their own), and the fold is only predicted. The baseline is the multinomial naive Bayes on
    counts of words, calibrated and cut likewise.

    Args:
        texts: one per product.
        tags: its tags, empty where it has none.
        seed: decides the folds.

    Returns:
        model, scope (tag, or overall: all tags together, tag is then empty), tag, n_texts
        (distinct tagged texts), support (true tags), n_given (predicted tags), n_right (of
        these), precision (null where none was predicted), recall, coverage (share of the texts
        that were given any; null by tag), threshold (the folds' median; null where most folds
        never give the tag, and overall); by model, scope and tag, without rows where there was
        too little to learn from.

    Raises:
        ValueError: texts and tags differ in length.
    """
    known = lesson(texts, tags)
    if known.reason is not None:
        return pl.DataFrame(schema=_METRICS)
    rows: list[tuple[object, ...]] = []
    for name, method in METHODS.items():
        _, counts = Terms.counted(known.texts, method.vectorizer())
        given = np.zeros_like(known.truth)
        thresholds = np.zeros((FOLDS, len(known.tags)))
        for number, (inside, outside) in enumerate(splits(known.truth, seed)):
            learnt = learn(method, counts[outside], known.truth[outside], seed)
            given[inside] = learnt.probabilities(counts[inside]) >= learnt.thresholds
            thresholds[number] = learnt.thresholds
        rows += _judged(name, known, given, np.median(thresholds, axis=0))
    return pl.DataFrame(rows, schema=_METRICS, orient="row").sort("model", "scope", "tag")


def _judged(
    model: str,
    known: Lesson,
    given: Flags,
    thresholds: Floats,
) -> Iterator[tuple[object, ...]]:
    """Rows of the metrics: every tag's, and one of all tags together."""
    n_texts = len(known.texts)
    support, n_given = known.truth.sum(axis=0), given.sum(axis=0)
    n_right = (known.truth & given).sum(axis=0)

    def row(scope: str, tag: str, true: int, predicted: int, right: int) -> tuple[object, ...]:
        precision = right / predicted if predicted else None
        return (model, scope, tag, n_texts, true, predicted, right, precision, right / true)

    for k, tag in enumerate(known.tags):
        threshold = float(thresholds[k]) if np.isfinite(thresholds[k]) else None
        counts = (int(support[k]), int(n_given[k]), int(n_right[k]))
        yield (*row("tag", tag, *counts), None, threshold)
    coverage = float(given.any(axis=1).mean())
    counts = (int(support.sum()), int(n_given.sum()), int(n_right.sum()))
    yield (*row("overall", "", *counts), coverage, None)
