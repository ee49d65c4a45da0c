"""Tags from text: learnt from the products that have tags, or drawn from the titles themselves.

Texts are taken apart into character n-grams, not words: Chinese writes no spaces, and on short
Chinese titles characters classify better than a tokenizer's words (the classical comparison is
Zhang and LeCun, "Which Encoding is the Best for Text Classification in Chinese, English, Japanese
and Korean?", arXiv 1708.02657).
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit  # pyright: ignore[reportMissingTypeStubs]
from sklearn.feature_extraction.text import (  # pyright: ignore[reportMissingTypeStubs]
    ENGLISH_STOP_WORDS,
    TfidfVectorizer,  # pyright: ignore[reportUnknownVariableType]
)
from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]

_MIN_TEXTS = 20
_MIN_PRODUCTS_PER_TAG = 5
_FOLDS = 3
_MIN_PRECISION = 0.5
_IMAGINARY_MISSES = 5

_WORD_OR_HAN = re.compile(r"[a-z]+(?:[-'&][a-z]+)*|[\u3400-\u9fff]+|[^\s]")
_LONGEST_PHRASE = 2
_LONGEST_HAN_PHRASE = 8
# How often a phrase must stand where its parts do: below, the parts met by chance.
_MIN_COHESION = 0.3
_STOP_WORDS = ENGLISH_STOP_WORDS | {
    *("set", "sets", "pack", "packs", "pcs", "pair", "piece", "pieces", "assorted", "asst"),
    *("small", "large", "medium", "mini", "big", "size", "sizes", "new", "design", "designs"),
    *("colour", "colours", "color", "colors"),
}
_PREDICTED = pl.Schema({"row": pl.Int64, "tag": pl.String, "score": pl.Float64})


@dataclass(frozen=True)
class TagReport:
    """What to expect of the predictions, by cross-validation on texts that were not learnt from.

    Attributes:
        n_texts: distinct tagged texts.
        n_tags: tags that were learnt.
        precision: share of the predicted tags that are right; None where none was predicted.
        recall: share of the true tags that were predicted; None where nothing could be learnt.
        coverage: share of the texts that were given a tag; None where nothing could be learnt.
        reason: why nothing is predicted; None where something is.
    """

    n_texts: int
    n_tags: int
    precision: float | None
    recall: float | None
    coverage: float | None
    reason: str | None


class _Features(Protocol):
    """What is used of a sparse matrix, which publishes no types."""

    shape: tuple[int, int]

    def __getitem__(self, rows: NDArray[np.bool_], /) -> "_Features": ...
    def __matmul__(self, other: NDArray[np.float64], /) -> NDArray[np.float64]: ...


class _Vectorizer(Protocol):
    """What is used of scikit-learn's TfidfVectorizer."""

    def fit_transform(self, raw_documents: Sequence[str]) -> _Features: ...
    def transform(self, raw_documents: Sequence[str]) -> _Features: ...


class _Classifier(Protocol):
    """What is used of scikit-learn's LogisticRegression."""

    coef_: NDArray[np.float64]
    intercept_: NDArray[np.float64]

    def fit(self, X: _Features, y: NDArray[np.bool_]) -> object: ...


@dataclass(frozen=True, eq=False)
class _Weights:
    """One logistic regression per tag: coefficients (n_features, n_tags), intercepts (n_tags,)."""

    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def probabilities(self, features: _Features) -> NDArray[np.float64]:
        return np.asarray(expit(features @ self.coefficients + self.intercepts), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class TagModel:
    """What ``fit`` learnt.

    Attributes:
        report: what to expect of it.
        tags: the tags it can give, ascending, shape (n_tags,).
        thresholds: the probability from which on a tag is given, shape (n_tags,); inf for tags
            that could not be told from chance.
    """

    report: TagReport
    tags: tuple[str, ...]
    thresholds: NDArray[np.float64]
    _vectorizer: _Vectorizer | None
    _weights: _Weights | None

    def predict(self, texts: Sequence[str | None]) -> pl.DataFrame:
        """The tags of texts, where it is sure enough; it abstains otherwise.

        Args:
            texts: title, or title and description, as for ``fit``.

        Returns:
            row (position in ``texts``, from 0), tag, score (probability, 0 to 1); by row, best
            first.
        """
        if self._vectorizer is None or self._weights is None or not texts:
            return pl.DataFrame(schema=_PREDICTED)
        probabilities = self._weights.probabilities(
            self._vectorizer.transform([_normal(text) for text in texts])
        )
        row, tag = np.nonzero(probabilities >= self.thresholds)
        return pl.DataFrame(
            {
                "row": row,
                "tag": [self.tags[k] for k in tag],
                "score": probabilities[row, tag],
            },
            schema=_PREDICTED,
        ).sort("row", "score", "tag", descending=[False, True, False])


def fit(texts: Sequence[str | None], tags: Sequence[Sequence[str]], seed: int) -> TagModel:
    """Learns to give tags from the texts that have some.

    Every tag has its own logistic regression on TF-IDF of character 1- to 3-grams, and its own
    threshold: the one with the best F1 on texts held out by three folds, among those whose
    precision stays at least one half. The report's figures come from folds that took no part in
    choosing the thresholds either. Equal texts count once, with the tags of all of them, so that
    no text is tested on its own copy.

    Args:
        texts: one per product.
        tags: its tags, empty where it has none (then it is not learnt from).
        seed: decides the folds.

    Returns:
        A model; with too little to learn from, one that predicts nothing and says why.

    Raises:
        ValueError: texts and tags differ in length.
    """
    if len(texts) != len(tags):
        raise ValueError(f"{len(texts)} texts, but {len(tags)} lists of tags")
    tagged: dict[str, set[str]] = {}
    for text, given in zip(texts, tags, strict=True):
        normal = _normal(text)
        if normal and given:
            tagged.setdefault(normal, set()).update(given)
    counts = Counter(tag for given in tagged.values() for tag in given)
    learnable = tuple(
        sorted(
            tag
            for tag, count in counts.items()
            if _MIN_PRODUCTS_PER_TAG <= count <= len(tagged) - _MIN_PRODUCTS_PER_TAG
        )
    )
    if len(tagged) < _MIN_TEXTS:
        return _nothing(
            len(tagged), f"{len(tagged)} distinct tagged texts; {_MIN_TEXTS} are needed to learn"
        )
    if not learnable:
        return _nothing(
            len(tagged),
            f"no tag is on at least {_MIN_PRODUCTS_PER_TAG} texts "
            f"and missing on at least {_MIN_PRODUCTS_PER_TAG}",
        )

    vectorizer = cast(
        _Vectorizer,
        TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True),
    )
    features = vectorizer.fit_transform(list(tagged))
    truth = np.array([[tag in given for tag in learnable] for given in tagged.values()])
    fold = _folds(truth, seed)
    held_out = np.zeros(truth.shape)
    for number in range(_FOLDS):
        is_held_out = fold == number
        weights = _learn(features[~is_held_out], truth[~is_held_out], seed)
        held_out[is_held_out] = weights.probabilities(features[is_held_out])
    return TagModel(
        report=_report(held_out, truth, fold),
        tags=learnable,
        thresholds=_thresholds(held_out, truth),
        _vectorizer=vectorizer,
        _weights=_learn(features, truth, seed),
    )


def _nothing(n_texts: int, reason: str) -> TagModel:
    return TagModel(TagReport(n_texts, 0, None, None, None, reason), (), np.zeros(0), None, None)


def _normal(text: str | None) -> str:
    """Full-width forms, case and runs of blanks carry no meaning."""
    return " ".join(unicodedata.normalize("NFKC", text or "").lower().split())


def _folds(truth: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """A fold per text, dealt in turn to the texts of each tag, rare tags first, in random order."""
    frequency = truth.sum(axis=0)
    rarest = np.argmin(np.where(truth, frequency, len(truth) + 1), axis=1)
    order = np.lexsort((np.random.default_rng(seed).random(len(truth)), rarest))
    fold = np.empty(len(truth), dtype=np.int64)
    fold[order] = np.arange(len(truth)) % _FOLDS
    return fold


def _learn(features: _Features, truth: NDArray[np.bool_], seed: int) -> _Weights:
    """A regression per tag; a tag that is on all or none of the texts keeps to that."""
    coefficients = np.zeros((features.shape[1], truth.shape[1]))
    intercepts = np.where(truth.any(axis=0), np.inf, -np.inf)
    for tag in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
        # A tolerance of 1e-2 gives the same predictions as the default in half the time.
        model = cast(
            _Classifier,
            LogisticRegression(C=10, solver="liblinear", dual=True, tol=1e-2, random_state=seed),
        )
        model.fit(features, truth[:, tag])
        coefficients[:, tag] = model.coef_[0]
        intercepts[tag] = model.intercept_[0]
    return _Weights(coefficients, intercepts)


def _thresholds(
    probabilities: NDArray[np.float64], truth: NDArray[np.bool_]
) -> NDArray[np.float64]:
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
        is_cut = np.append(sorted_p[1:] < sorted_p[:-1], True)
        is_precise = n_right / (n_given + _IMAGINARY_MISSES) >= _MIN_PRECISION
        f1 = np.where(is_cut & is_precise, 2 * n_right / (n_given + n_right[-1]), 0)
        best = int(np.argmax(f1))
        if f1[best] > 0:
            below = sorted_p[best + 1] if best + 1 < len(sorted_p) else 0.0
            thresholds[tag] = (sorted_p[best] + below) / 2
    return thresholds


def _report(
    probabilities: NDArray[np.float64], truth: NDArray[np.bool_], fold: NDArray[np.int64]
) -> TagReport:
    given = np.zeros_like(truth)
    for number in range(_FOLDS):
        is_here = fold == number
        thresholds = _thresholds(probabilities[~is_here], truth[~is_here])
        given[is_here] = probabilities[is_here] >= thresholds
    n_right, n_given = int((given & truth).sum()), int(given.sum())
    return TagReport(
        n_texts=truth.shape[0],
        n_tags=truth.shape[1],
        precision=n_right / n_given if n_given else None,
        recall=n_right / int(truth.sum()),
        coverage=float(given.any(axis=1).mean()),
        reason=None,
    )


def keywords(
    texts: Sequence[str | None],
    max_tags: int = 3,
    min_products: int = 10,
    max_share: float = 0.1,
) -> pl.DataFrame:
    """Tags for a catalogue that has none: the words and phrases that divide its titles best.

    Candidates are words, two-word phrases and, in Chinese, strings of 2 to 8 characters; phrases
    only where their parts keep together. Left out are numbers, words of one or two letters, stop
    words, sizes and quantities, and what is on fewer than ``min_products`` titles or on more than
    ``max_share`` of them. A plural counts as its singular. Longer phrases go first, then what
    tells most: a term on a share p of the titles has -p log p; no two tags of a title share a
    word.

    Args:
        texts: one title per product.
        max_tags: most tags per title.
        min_products: fewest titles for a tag.
        max_share: largest share of the titles for a tag.

    Returns:
        row (position in ``texts``, from 0), tag, score (above 0 to 1, how well the tag divides
        the catalogue, phrases above 0.5); by row, best first.
    """
    titles = [_tokens(_normal(text)) for text in texts]
    known = {token for title in titles for token in title}
    terms = [_terms([_singular(token, known) for token in title]) for title in titles]
    frequency = Counter(term for found in terms for term in found)
    salience = {
        term: -share * math.log(share)
        for term, count in frequency.items()
        if min_products <= count <= max_share * len(texts) and _is_cohesive(term, frequency)
        for share in (count / len(texts),)
    }
    most = max(salience.values(), default=1.0)
    rows: list[tuple[int, str, float]] = []
    for row, found in enumerate(terms):
        taken: set[str] = set()
        n_tags = 0
        candidates = sorted(
            found & salience.keys(), key=lambda term: (-len(term), -salience[term], term)
        )
        for term in candidates:
            if n_tags < max_tags and taken.isdisjoint(term):
                taken.update(term)
                n_tags += 1
                is_phrase = len(term) > (2 if _is_han(term[0]) else 1)
                tag = ("" if _is_han(term[0]) else " ").join(term)
                rows.append((row, tag, (salience[term] / most + is_phrase) / 2))
    return pl.DataFrame(rows, schema=_PREDICTED, orient="row").sort(
        "row", "score", "tag", descending=[False, True, False]
    )


def _is_han(token: str) -> bool:
    return "\u3400" <= token <= "\u9fff"


def _tokens(text: str) -> list[str]:
    """Words and single Chinese characters, with an empty token where a run of the latter ends."""
    tokens: list[str] = []
    for token in cast(list[str], _WORD_OR_HAN.findall(text)):
        tokens.extend([*token, ""] if _is_han(token[0]) else [token])
    return tokens


def _singular(token: str, known: set[str]) -> str:
    is_plural = len(token) > 3 and token.endswith("s") and not token.endswith("ss")
    return token[:-1] if is_plural and token[:-1] in known else token


def _terms(tokens: list[str]) -> set[tuple[str, ...]]:
    """Every run of usable tokens that may be a tag, and the single ones it is made of."""
    found: set[tuple[str, ...]] = set()
    for start, first in enumerate(tokens):
        is_han = bool(first) and _is_han(first)
        longest = _LONGEST_HAN_PHRASE if is_han else _LONGEST_PHRASE
        for end in range(start + 1, min(start + longest, len(tokens)) + 1):
            last = tokens[end - 1]
            is_word = len(last) > 2 and last[0].isalpha() and last not in _STOP_WORDS
            if not (is_word if not is_han else last and _is_han(last)):
                break
            found.add(tuple(tokens[start:end]))
    return found


def _is_cohesive(term: tuple[str, ...], frequency: Counter[tuple[str, ...]]) -> bool:
    """Whether its tokens belong together; a single Chinese character says too little."""
    if len(term) == 1:
        return not _is_han(term[0])
    parts = min(frequency[term[:-1]], frequency[term[1:]])
    return frequency[term] >= _MIN_COHESION * parts
