"""Two ways to learn tags from a text's terms: least squares on characters, naive Bayes on words.

Characters, as Chinese writes no spaces: on short Chinese titles their n-grams classify better than
a tokenizer's words (the classical comparison is Zhang and LeCun, "Which Encoding is the Best for
Text Classification in Chinese, English, Japanese and Korean?", arXiv 1708.02657). Least squares on
TF-IDF is as good as a support vector machine (Rifkin and Klautau, "In Defense of One-Vs-All
Classification", JMLR 5, 2004) and finds the lines of all tags at once. Word counts with naive
Bayes are the baseline.

Counting terms looks at one text at a time, so texts are counted once; whatever depends on other
texts (which terms are known, their weights, the lines) is learnt from the rows that are given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # pyright: ignore[reportMissingTypeStubs]
from sklearn.feature_extraction.text import (  # pyright: ignore[reportMissingTypeStubs]
    CountVectorizer,  # pyright: ignore[reportUnknownVariableType]
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_MIN_TEXTS_PER_NGRAM = 2
# On the demo shop 0.1 to 1 give the same precision and recall to 0.003.
_PENALTY = 0.3
# Of a tag's residual; exact solutions predict the same to 0.001 in precision and recall.
_TOLERANCE = 0.03
_MAX_ITERATIONS = 100


class Counts(Protocol):
    """What is used of scipy's ``csr_matrix``, which publishes no types: (n_texts, n_terms)."""

    shape: tuple[int, int]
    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]
    data: NDArray[np.floating]

    def __getitem__(self, rows: NDArray[np.int64], /) -> "Counts":
        """Some of the rows."""
        ...

    def __matmul__(self, other: NDArray[np.floating], /) -> NDArray[np.floating]:
        """The product with a dense matrix, one row after another on one thread."""
        ...

    def transpose(self) -> "Counts":
        """Rows for columns, in a layout that ``tocsr`` puts right."""
        ...

    def tocsr(self) -> "Counts":
        """The same in compressed rows."""
        ...


class _Vectorizer(Protocol):
    """What is used of scikit-learn's CountVectorizer."""

    def fit_transform(self, raw_documents: Sequence[str]) -> Counts: ...
    def transform(self, raw_documents: Sequence[str]) -> Counts: ...


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms that are counted in texts; without a vectorizer there are none."""

    _vectorizer: _Vectorizer | None

    @classmethod
    def counted(cls, texts: Sequence[str], vectorizer: _Vectorizer) -> tuple["Terms", Counts]:
        """The terms of texts, and how often each stands in each, shape (n_texts, n_terms)."""
        try:
            counts = vectorizer.fit_transform(texts)
        except ValueError:  # no term is on enough of the texts
            nothing = cls(None)
            return nothing, nothing.count(texts)
        return cls(vectorizer), counts

    def count(self, texts: Sequence[str]) -> Counts:
        """The same terms in other texts, shape (n_texts, n_terms)."""
        if self._vectorizer is None or not texts:
            return cast(Counts, csr_matrix((len(texts), 0)))
        return self._vectorizer.transform(texts)


class Lines(Protocol):
    """Log-odds of every tag, linear in what is made of the counts."""

    def log_odds(self, counts: Counts) -> Floats:
        """Shape (n_texts, n_tags); -inf for a text of which no term is known."""
        ...


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """Regularised least squares on TF-IDF, all tags at once.

    TF-IDF is scikit-learn's: (1 + log tf) (1 + log((1 + n) / (1 + df))), rows of length 1. What is
    fitted to 0 and 1 estimates a probability p, and 4 (p - 1/2) is the tangent to its log-odds.

    Attributes:
        weights: of the terms, shape (n_terms,); 0 for those that are on fewer than two texts.
        coefficients: shape (n_terms, n_tags).
        shares: the tags' shares of the texts, shape (n_tags,).
    """

    weights: Floats
    coefficients: NDArray[np.float32]
    shares: Floats

    @classmethod
    def fit(cls, counts: Counts, truth: Flags) -> "LeastSquares":
        """Learns from counts, shape (n_texts, n_terms), and tags, shape (n_texts, n_tags)."""
        n_texts, n_terms = counts.shape
        n_with = np.bincount(counts.indices, minlength=n_terms)
        weights = np.log((1 + n_texts) / (1 + n_with)) + 1
        weights[n_with < _MIN_TEXTS_PER_NGRAM] = 0
        shares = truth.mean(axis=0)
        features = _tf_idf(counts, weights)
        coefficients = _least_squares(features, (truth - shares).astype(np.float32))
        return cls(weights, coefficients, shares)

    def log_odds(self, counts: Counts) -> Floats:
        """See ``Lines``."""
        p = _tf_idf(counts, self.weights) @ self.coefficients + self.shares
        return _where_known(counts, self.weights > 0, 4 * (p - 0.5))


def _tf_idf(counts: Counts, weights: Floats) -> Counts:
    row = _rows(counts)
    values = (1 + np.log(counts.data)) * weights[counts.indices]
    length = np.sqrt(np.bincount(row, values**2, counts.shape[0]))
    length[length == 0] = 1
    values = (values / length[row]).astype(np.float32)
    return cast(Counts, csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape))


def _least_squares(features: Counts, targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coefficients W, shape (n_terms, n_tags), of least |XW - Y|^2 + penalty |W|^2.

    W = X'A with (XX' + penalty) A = Y, which is smaller, as there are more terms than texts. It is
    solved by conjugate gradients (Hestenes and Stiefel, 1952) with a step of its own for each
    tag, all tags in the same two passes over X.
    """
    transposed = features.transpose().tocsr()
    solution = np.zeros_like(targets)
    residual, direction = targets.copy(), targets.copy()
    squares = _column_products(residual, residual)
    enough = _TOLERANCE**2 * squares
    for _ in range(_MAX_ITERATIONS):
        if bool((squares <= enough).all()):
            break
        image = features @ (transposed @ direction) + np.float32(_PENALTY) * direction
        step = _ratio(squares, _column_products(direction, image))
        solution += step * direction
        residual -= step * image
        before, squares = squares, _column_products(residual, residual)
        direction = residual + _ratio(squares, before) * direction
    return (transposed @ solution).astype(np.float32)


def _column_products(one: NDArray[np.floating], other: NDArray[np.floating]) -> Floats:
    return (one * other).sum(axis=0, dtype=np.float64)


def _ratio(over: Floats, under: Floats) -> NDArray[np.float32]:
    """The quotient, 0 where there is nothing left to divide."""
    return np.divide(over, under, out=np.zeros_like(over), where=under > 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class NaiveBayes:
    """Multinomial naive Bayes with one imaginary word of each kind, all tags at once.

    Attributes:
        is_known: words that are on a text, shape (n_terms,).
        coefficients: log P(word | tag) - log P(word | no tag), shape (n_terms, n_tags).
        priors: log-odds of the tags, shape (n_tags,).
    """

    is_known: Flags
    coefficients: Floats
    priors: Floats

    @classmethod
    def fit(cls, counts: Counts, truth: Flags) -> "NaiveBayes":
        """Learns from counts, shape (n_texts, n_terms), and tags, shape (n_texts, n_tags)."""
        by_term = counts.transpose().tocsr()
        of_tag = np.asarray(by_term @ truth.astype(np.float64), dtype=np.float64)
        of_none = np.asarray(by_term @ (~truth).astype(np.float64), dtype=np.float64)
        is_known = np.bincount(counts.indices, minlength=counts.shape[1]).astype(np.bool_)
        coefficients = _log_shares(of_tag, is_known) - _log_shares(of_none, is_known)
        coefficients[~is_known] = 0
        # A tag on all texts or none would have infinite odds; half a text stands for none.
        n_with = np.clip(truth.sum(axis=0), 0.5, len(truth) - 0.5)
        return cls(is_known, coefficients, np.log(n_with / (len(truth) - n_with)))

    def log_odds(self, counts: Counts) -> Floats:
        """See ``Lines``."""
        return _where_known(counts, self.is_known, counts @ self.coefficients + self.priors)


def _log_shares(of_class: Floats, is_known: Flags) -> Floats:
    return np.log((of_class + 1) / (of_class.sum(axis=0) + is_known.sum()))


def _rows(counts: Counts) -> NDArray[np.int64]:
    """The row of every stored value."""
    return np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))


def _where_known(counts: Counts, is_known: Flags, values: NDArray[np.floating]) -> Floats:
    n_known = np.bincount(_rows(counts), is_known[counts.indices], counts.shape[0])
    return np.where(n_known[:, None] > 0, values, -np.inf)


class Method(NamedTuple):
    """What terms are counted, and how tags are learnt from them."""

    vectorizer: Callable[[], _Vectorizer]
    fit: Callable[[Counts, Flags], Lines]


def _character_ngrams() -> _Vectorizer:
    # Terms of one text alone are known to no part of the texts, and only take memory.
    return cast(
        _Vectorizer,
        CountVectorizer(analyzer="char", ngram_range=(1, 3), min_df=_MIN_TEXTS_PER_NGRAM),
    )


def _words() -> _Vectorizer:
    return cast(_Vectorizer, CountVectorizer())


MODEL = "char_ngrams_ridge"
BASELINE = "word_counts_naive_bayes"
METHODS: Mapping[str, Method] = {
    MODEL: Method(_character_ngrams, LeastSquares.fit),
    BASELINE: Method(_words, NaiveBayes.fit),
}
