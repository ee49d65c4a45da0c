"""Tags from text: learnt from the products that have tags, or drawn from the titles themselves.

Texts are taken apart into character n-grams, not words: Chinese writes no spaces, and on short
Chinese titles characters classify better than a tokenizer's words (the classical comparison is
Zhang and LeCun, "Which Encoding is the Best for Text Classification in Chinese, English, Japanese
and Korean?", arXiv 1708.02657). Word counts with naive Bayes are kept as the baseline.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit  # pyright: ignore[reportMissingTypeStubs]
from sklearn.feature_extraction.text import (  # pyright: ignore[reportMissingTypeStubs]
    ENGLISH_STOP_WORDS,
    CountVectorizer,  # pyright: ignore[reportUnknownVariableType]
    TfidfVectorizer,  # pyright: ignore[reportUnknownVariableType]
)
from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]
from sklearn.naive_bayes import MultinomialNB  # pyright: ignore[reportMissingTypeStubs]

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


class _Features(Protocol):
    """What is used of a sparse matrix, which publishes no types."""

    shape: tuple[int, int]

    def __matmul__(self, other: NDArray[np.float64], /) -> NDArray[np.float64]: ...


class _Vectorizer(Protocol):
    """What is used of scikit-learn's vectorizers."""

    def fit_transform(self, raw_documents: Sequence[str]) -> _Features: ...
    def transform(self, raw_documents: Sequence[str]) -> _Features: ...


class _Regression(Protocol):
    """What is used of scikit-learn's LogisticRegression."""

    coef_: NDArray[np.float64]
    intercept_: NDArray[np.float64]

    def fit(self, X: _Features, y: NDArray[np.bool_]) -> object: ...


class _Bayes(Protocol):
    """What is used of scikit-learn's MultinomialNB: logarithms, shape (2, n_features) and (2,)."""

    feature_log_prob_: NDArray[np.float64]
    class_log_prior_: NDArray[np.float64]

    def fit(self, X: _Features, y: NDArray[np.bool_]) -> object: ...


class _Line(NamedTuple):
    """Log odds of one tag, linear in the features: shape (n_features,), and where they are 0."""

    coefficients: NDArray[np.float64]
    intercept: float


class _Method(NamedTuple):
    """How texts become numbers, and what one tag is learnt with from them."""

    vectorizer: Callable[[], _Vectorizer]
    line: Callable[[_Features, NDArray[np.bool_], int], _Line]


def _character_ngrams() -> _Vectorizer:
    return cast(
        _Vectorizer,
        TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True),
    )


def _word_counts() -> _Vectorizer:
    return cast(_Vectorizer, CountVectorizer())


def _logistic(features: _Features, has_tag: NDArray[np.bool_], seed: int) -> _Line:
    # A tolerance of 1e-2 gives the same predictions as the default in half the time.
    model = cast(
        _Regression,
        LogisticRegression(C=10, solver="liblinear", dual=True, tol=1e-2, random_state=seed),
    )
    model.fit(features, has_tag)
    return _Line(model.coef_[0], float(model.intercept_[0]))


def _naive_bayes(features: _Features, has_tag: NDArray[np.bool_], seed: int) -> _Line:
    model = cast(_Bayes, MultinomialNB())
    model.fit(features, has_tag)
    words, prior = model.feature_log_prob_, model.class_log_prior_
    return _Line(words[1] - words[0], float(prior[1] - prior[0]))


MODEL = "char_ngrams_logistic"
BASELINE = "word_counts_naive_bayes"
_METHODS: Mapping[str, _Method] = {
    MODEL: _Method(_character_ngrams, _logistic),
    BASELINE: _Method(_word_counts, _naive_bayes),
}


@dataclass(frozen=True, eq=False)
class _Learnt:
    """A line per tag: coefficients (n_features, n_tags), intercepts (n_tags,).

    Without a vectorizer the texts had nothing in common to learn from, and no tag is likely.
    """

    vectorizer: _Vectorizer | None
    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Shape (n_texts, n_tags)."""
        if self.vectorizer is None or not texts:
            return np.zeros((len(texts), len(self.intercepts)))
        features = self.vectorizer.transform(texts)
        return np.asarray(expit(features @ self.coefficients + self.intercepts), dtype=np.float64)


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
        thresholds: the probability from which on a tag is given, shape (n_tags,); inf for tags
            that could not be told from chance.
    """

    report: TagReport
    tags: tuple[str, ...]
    thresholds: NDArray[np.float64]
    _learnt: _Learnt | None

    def predict(self, texts: Sequence[str | None]) -> pl.DataFrame:
        """The tags of texts, where it is sure enough; it abstains otherwise.

        Args:
            texts: title, or title and description, as for ``fit``.

        Returns:
            row (position in ``texts``, from 0), tag, score (probability, 0 to 1); by row, best
            first.
        """
        if self._learnt is None or not texts:
            return pl.DataFrame(schema=_PREDICTED)
        probabilities = self._learnt.probabilities([normal(text) for text in texts])
        row, tag = np.nonzero(probabilities >= self.thresholds)
        return pl.DataFrame(
            {
                "row": row,
                "tag": [self.tags[k] for k in tag],
                "score": probabilities[row, tag],
            },
            schema=_PREDICTED,
        ).sort("row", "score", "tag", descending=[False, True, False])


class _Lesson(NamedTuple):
    """Distinct texts, the tags that can be learnt from them, and which text has which.

    The truth has the shape (n_texts, n_tags). The reason says why there is nothing to learn.
    """

    texts: list[str]
    tags: tuple[str, ...]
    truth: NDArray[np.bool_]
    reason: str | None


def fit(texts: Sequence[str | None], tags: Sequence[Sequence[str]], seed: int) -> TagModel:
    """Learns to give tags from the texts that have some.

    Every tag has its own logistic regression on TF-IDF of character 1- to 3-grams, and its own
    threshold: the one with the best F1 on texts held out by three folds, among those whose
    precision stays at least one half. Equal texts count once, with the tags of all of them, so
    that no text decides on its own copy. What to expect of the model ``cross_validated`` tells.

    Args:
        texts: one per product.
        tags: its tags, empty where it has none (then it is not learnt from).
        seed: decides the folds.

    Returns:
        A model; with too little to learn from, one that predicts nothing and says why.

    Raises:
        ValueError: texts and tags differ in length.
    """
    lesson = _lesson(texts, tags)
    if lesson.reason is not None:
        report = TagReport(len(lesson.texts), 0, lesson.reason)
        return TagModel(report, (), np.zeros(0), None)
    learnt, thresholds = _fitted(_METHODS[MODEL], lesson.texts, lesson.truth, seed)
    report = TagReport(len(lesson.texts), len(lesson.tags), None)
    return TagModel(report, lesson.tags, thresholds, learnt)


def cross_validated(
    texts: Sequence[str | None], tags: Sequence[Sequence[str]], seed: int
) -> pl.DataFrame:
    """What to expect of the model's tags and of the baseline's, on texts neither has seen.

    Three folds, the same for both. On the texts outside of a fold everything is fitted as ``fit``
    does (vocabulary, weights of terms, regressions, and the thresholds by folds of their own), and
    the fold is only predicted. The baseline is the multinomial naive Bayes on counts of words,
    with thresholds found likewise.

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
    lesson = _lesson(texts, tags)
    if lesson.reason is not None:
        return pl.DataFrame(schema=_METRICS)
    shape = (_FOLDS, len(lesson.tags))
    rows: list[tuple[object, ...]] = []
    for name, method in _METHODS.items():
        given = np.zeros_like(lesson.truth)
        thresholds = np.zeros(shape)
        for number, (inside, outside) in enumerate(_splits(lesson.texts, lesson.truth, seed)):
            others = _at(lesson.texts, outside)
            learnt, thresholds[number] = _fitted(method, others, lesson.truth[outside], seed)
            found = learnt.probabilities(_at(lesson.texts, inside))
            given[inside] = found >= thresholds[number]
        rows += _judged(name, lesson, given, np.median(thresholds, axis=0))
    return pl.DataFrame(rows, schema=_METRICS, orient="row").sort("model", "scope", "tag")


def _judged(
    model: str,
    lesson: _Lesson,
    given: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
) -> Iterator[tuple[object, ...]]:
    """Rows of the metrics: every tag's, and one of all tags together."""
    n_texts = len(lesson.texts)
    support, n_given = lesson.truth.sum(axis=0), given.sum(axis=0)
    n_right = (lesson.truth & given).sum(axis=0)

    def row(scope: str, tag: str, true: int, predicted: int, right: int) -> tuple[object, ...]:
        precision = right / predicted if predicted else None
        return (model, scope, tag, n_texts, true, predicted, right, precision, right / true)

    for k, tag in enumerate(lesson.tags):
        threshold = float(thresholds[k]) if np.isfinite(thresholds[k]) else None
        counts = (int(support[k]), int(n_given[k]), int(n_right[k]))
        yield (*row("tag", tag, *counts), None, threshold)
    coverage = float(given.any(axis=1).mean())
    counts = (int(support.sum()), int(n_given.sum()), int(n_right.sum()))
    yield (*row("overall", "", *counts), coverage, None)


def _lesson(texts: Sequence[str | None], tags: Sequence[Sequence[str]]) -> _Lesson:
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
    return _Lesson(list(tagged), learnable, truth, reason)


def normal(text: str | None) -> str:
    """A text without what carries no meaning: full-width forms, case and runs of blanks."""
    return " ".join(unicodedata.normalize("NFKC", text or "").lower().split())


def _splits(
    texts: Sequence[str], truth: NDArray[np.bool_], seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The rows inside and outside of each fold.

    Folds are dealt in turn to the texts of each tag, rare tags first, in random order.
    """
    frequency = truth.sum(axis=0)
    rarest = np.argmin(np.where(truth, frequency, len(truth) + 1), axis=1)
    order = np.lexsort((np.random.default_rng(seed).random(len(texts)), rarest))
    fold = np.empty(len(texts), dtype=np.int64)
    fold[order] = np.arange(len(texts)) % _FOLDS
    for number in range(_FOLDS):
        yield np.flatnonzero(fold == number), np.flatnonzero(fold != number)


def _at(texts: Sequence[str], rows: NDArray[np.int64]) -> list[str]:
    return [texts[int(row)] for row in rows]


def _fitted(
    method: _Method, texts: Sequence[str], truth: NDArray[np.bool_], seed: int
) -> tuple[_Learnt, NDArray[np.float64]]:
    """What all the texts teach, and thresholds chosen on parts of them that were held out."""
    held_out = np.zeros(truth.shape)
    for inside, outside in _splits(texts, truth, seed):
        learnt = _learn(method, _at(texts, outside), truth[outside], seed)
        held_out[inside] = learnt.probabilities(_at(texts, inside))
    return _learn(method, texts, truth, seed), _thresholds(held_out, truth)


def _learn(method: _Method, texts: Sequence[str], truth: NDArray[np.bool_], seed: int) -> _Learnt:
    """A line per tag; a tag that is on all or none of the texts keeps to that."""
    intercepts = np.where(truth.any(axis=0), np.inf, -np.inf)
    vectorizer = method.vectorizer()
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError:  # no term is on enough of the texts
        return _Learnt(None, np.zeros((0, truth.shape[1])), intercepts)
    coefficients = np.zeros((features.shape[1], truth.shape[1]))
    for tag in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
        coefficients[:, tag], intercepts[tag] = method.line(features, truth[:, tag], seed)
    return _Learnt(vectorizer, coefficients, intercepts)


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
        is_cut = np.append(sorted_p[1:] < sorted_p[:-1], True) & (sorted_p > 0)
        is_precise = n_right / (n_given + _IMAGINARY_MISSES) >= _MIN_PRECISION
        f1 = np.where(is_cut & is_precise, 2 * n_right / (n_given + n_right[-1]), 0)
        best = int(np.argmax(f1))
        if f1[best] > 0:
            below = sorted_p[best + 1] if best + 1 < len(sorted_p) else 0.0
            thresholds[tag] = (sorted_p[best] + below) / 2
    return thresholds


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
    titles = [_tokens(normal(text)) for text in texts]
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
