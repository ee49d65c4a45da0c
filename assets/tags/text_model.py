"""A model that gives texts their tags, and abstains where it is not sure.

Every tag has a line (``text_methods``), a calibration of what the line says, and a threshold of
its own; calibration and threshold come from texts that the line had not seen.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit  # pyright: ignore[reportMissingTypeStubs]

from assets.tags.calibration import Calibration
from assets.tags.text import PREDICTED, normal
from assets.tags.text_methods import METHODS, MODEL, Counts, Flags, Floats, Lines, Method, Terms

FOLDS = 3

_MIN_TEXTS = 20
_MIN_PRODUCTS_PER_TAG = 5
_MIN_PRECISION = 0.5
_IMAGINARY_MISSES = 5


@dataclass(frozen=True, eq=False)
class Learnt:
    """What some texts taught about every tag.

    Attributes:
        lines: log-odds of the tags.
        slopes: what these are multiplied by, from 0 on, shape (n_tags,).
        shifts: what is added then, shape (n_tags,).
        thresholds: the probability from which on a tag is given, shape (n_tags,); inf for tags
            that could not be told from chance.
    """

    lines: Lines
    slopes: Floats
    shifts: Floats
    thresholds: Floats

    def probabilities(self, counts: Counts) -> Floats:
        """Shape (n_texts, n_tags); 0 where no term of a text is known."""
        return _probabilities(self.lines.log_odds(counts), self.slopes, self.shifts)


class TagReport(NamedTuple):
    """What a model was learnt from.

    Attributes:
        n_texts: distinct tagged texts.
        n_tags: tags that were learnt.
        reason: why nothing is predicted; None where something is.
    """

    n_texts: int
    n_tags: int
    reason: str | None


@dataclass(frozen=True, eq=False)
class TagModel:
    """What ``fit`` learnt.

    Attributes:
        report: what it was learnt from.
        tags: the tags it can give, ascending, shape (n_tags,).
    """

    report: TagReport
    tags: tuple[str, ...]
    _terms: Terms
    _learnt: Learnt | None

    def predict(self, texts: Sequence[str | None]) -> pl.DataFrame:
        """The tags of texts, where it is sure enough; it abstains otherwise.

        Args:
            texts: title, or title and description, as for ``fit``.

        Returns:
            row (position in ``texts``, from 0), tag, score (probability, 0 to 1); by row, best
            first.
        """
        if self._learnt is None or not texts:
            return pl.DataFrame(schema=PREDICTED)
        counts = self._terms.count([normal(text) for text in texts])
        probabilities = self._learnt.probabilities(counts)
        row, tag = np.nonzero(probabilities >= self._learnt.thresholds)
        return pl.DataFrame(
            {
                "row": row,
                "tag": [self.tags[k] for k in tag],
                "score": probabilities[row, tag],
            },
            schema=PREDICTED,
        ).sort("row", "score", "tag", descending=[False, True, False])


class Lesson(NamedTuple):
    """Distinct texts, the tags that can be learnt from them, and which text has which.

    The truth has the shape (n_texts, n_tags). The reason says why there is nothing to learn.
    """

    texts: list[str]
    tags: tuple[str, ...]
    truth: Flags
    reason: str | None


def fit(texts: Sequence[str | None], tags: Sequence[Sequence[str]], seed: int) -> TagModel:
    """Learns to give tags from the texts that have some.

    Every tag has its own line on TF-IDF of character 1- to 3-grams. Three folds of the texts are
    each predicted from the others; there its log-odds are calibrated, and its threshold is the one
    with the best F1 among those whose precision stays at least one half. Equal texts count once,
    with the tags of all of them, so that no text decides on its own copy. What to expect of the
    model ``text_trial.cross_validated`` tells.

    Args:
        texts: one per product.
        tags: its tags, empty where it has none (then it is not learnt from).
        seed: decides the folds.

    Returns:
        A model; with too little to learn from, one that predicts nothing and says why.

    Raises:
        ValueError: texts and tags differ in length.
    """
    known = lesson(texts, tags)
    if known.reason is not None:
        return TagModel(TagReport(len(known.texts), 0, known.reason), (), Terms(None), None)
    method = METHODS[MODEL]
    terms, counts = Terms.counted(known.texts, method.vectorizer())
    learnt = learn(method, counts, known.truth, seed)
    report = TagReport(len(known.texts), len(known.tags), None)
    return TagModel(report, known.tags, terms, learnt)


def lesson(texts: Sequence[str | None], tags: Sequence[Sequence[str]]) -> Lesson:
    """What can be learnt from texts and their tags, equal texts together.

    Raises:
        ValueError: texts and tags differ in length.
    """
    if len(texts) != len(tags):
        raise ValueError(f"{len(texts)} texts, but {len(tags)} lists of tags")
    tagged: dict[str, set[str]] = {}
    for text, given in zip(texts, tags, strict=True):
        form = normal(text)
        if form and given:
            tagged.setdefault(form, set()).update(given)
    counts = Counter(tag for given in tagged.values() for tag in given)
    learnable = tuple(
        sorted(
            tag
            for tag, count in counts.items()
            if _MIN_PRODUCTS_PER_TAG <= count <= len(tagged) - _MIN_PRODUCTS_PER_TAG
        )
    )
    reason = None
    if len(tagged) < _MIN_TEXTS:
        reason = f"{len(tagged)} distinct tagged texts; {_MIN_TEXTS} are needed to learn"
    elif not learnable:
        reason = (
            f"no tag is on at least {_MIN_PRODUCTS_PER_TAG} texts "
            f"and missing on at least {_MIN_PRODUCTS_PER_TAG}"
        )
    truth = np.array([[tag in given for tag in learnable] for given in tagged.values()], dtype=bool)
    return Lesson(list(tagged), learnable, truth, reason)


def splits(truth: Flags, seed: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The rows inside and outside of each fold.

    Folds are dealt in turn to the texts of each tag, rare tags first, in random order.
    """
    frequency = truth.sum(axis=0)
    rarest = np.argmin(np.where(truth, frequency, len(truth) + 1), axis=1)
    order = np.lexsort((np.random.default_rng(seed).random(len(truth)), rarest))
    fold = np.empty(len(truth), dtype=np.int64)
    fold[order] = np.arange(len(truth)) % FOLDS
    for number in range(FOLDS):
        yield np.flatnonzero(fold == number), np.flatnonzero(fold != number)


def learn(method: Method, counts: Counts, truth: Flags, seed: int) -> Learnt:
    """What texts teach: lines from all of them, the rest from parts that were held out.

    Args:
        method: what learns.
        counts: of the terms, shape (n_texts, n_terms).
        truth: which text has which tag, shape (n_texts, n_tags).
        seed: decides the folds.
    """
    held_out = np.empty(truth.shape)
    for inside, outside in splits(truth, seed):
        lines = method.fit(counts[outside], truth[outside])
        held_out[inside] = lines.log_odds(counts[inside])
    is_known = np.isfinite(held_out).all(axis=1)
    found = [
        Calibration.fit(log_odds, has_tag)
        for log_odds, has_tag in zip(held_out[is_known].T, truth[is_known].T, strict=True)
    ]
    # Who ranks held-out texts the wrong way round tells nothing.
    slopes = np.array([max(each.slope, 0.0) for each in found])
    shifts = np.array([each.shift for each in found])
    thresholds = _thresholds(_probabilities(held_out, slopes, shifts), truth)
    return Learnt(method.fit(counts, truth), slopes, shifts, thresholds)


def _probabilities(log_odds: Floats, slopes: Floats, shifts: Floats) -> Floats:
    is_known = np.isfinite(log_odds)
    calibrated = slopes * np.where(is_known, log_odds, 0) + shifts
    return np.where(is_known, cast(Floats, expit(calibrated)), 0)


def _thresholds(probabilities: Floats, truth: Flags) -> Floats:
    """Per tag the threshold of the best F1, inf where none is precise enough.

    Precision is counted with a few imaginary misses: the best of many cuts is often a lucky one,
    and five texts in a row, all right, are the least that convinces.
    """
    thresholds = np.full(truth.shape[1], np.inf)
    for tag in range(truth.shape[1]):
        order = np.argsort(-probabilities[:, tag], kind="stable")
        sorted_p = probabilities[order, tag]
        n_right = np.cumsum(truth[order, tag])
        n_given = np.arange(1, len(order) + 1)
        # A threshold cannot part equal probabilities: only the last of each run can be a cut.
        is_cut = np.append(sorted_p[1:] < sorted_p[:-1], True) & (sorted_p > 0)
        is_precise = n_right / (n_given + _IMAGINARY_MISSES) >= _MIN_PRECISION
        f1 = np.where(is_cut & is_precise, 2 * n_right / (n_given + n_right[-1]), 0)
        best = int(np.argmax(f1))
        if f1[best] > 0:
            below = sorted_p[best + 1] if best + 1 < len(sorted_p) else 0.0
            thresholds[tag] = (sorted_p[best] + below) / 2
    return thresholds
