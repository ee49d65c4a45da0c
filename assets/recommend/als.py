"""Matrix factorisation for implicit feedback: taste as a vector per member and per product.

The model is Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets",
ICDM 2008, equation 3, minimised by alternating least squares in the ``implicit`` package: every
pair has a preference (1 where there was an interaction, else 0) and a confidence (1 where there
was none), and the score of a pair is the dot product of its two vectors.
"""

import json
import os
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Protocol, Self, cast

import numpy as np
from implicit.als import (  # pyright: ignore[reportMissingTypeStubs]
    AlternatingLeastSquares,  # pyright: ignore[reportUnknownVariableType]
)
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from assets.recommend.draws import mixed
from assets.recommend.matrix import CsrMatrix, Id, InteractionMatrix, positions

# Passes over the matrix in search of its norm, and by what share the last one may raise it.
_MOST_PASSES = 100
_CLOSE = 1e-7
# The range of implicit's own random start.
_START_SCALE = 0.01
_BLOCK_VALUES = 1 << 16
# With fewer pairs, or on a busy machine, threads wait for each other longer than they work.
_WORTH_THREADS = 200_000


@dataclass(frozen=True)
class AlsSettings:
    """Hyperparameters.

    The defaults were chosen on Online Retail II, on three windows of 28 days, by recall@20 and
    ndcg@20. Other shops differ, and a search finds by how much.

    Attributes:
        factors: length of the vectors.
        regularization: L2 penalty, as a share of the largest singular value of the confidences.
            That value is what a penalty works against (at a share of 1 every vector is zero),
            so the same share suits a shop of any size, where an absolute penalty does not.
        alpha: confidence is ``alpha * log1p(weight) ** weight_power``, discounted. The logarithm
            keeps one wholesale buyer from outvoting a hundred visitors. Hu's constant 1 is left
            out on purpose: a tie that has faded to nothing becomes unknown instead of staying a
            firm yes.
        weight_power: what is made of a strong tie beside a weak one; at 0 all weigh the same,
            which suits tastes that do not change and traces that hardly fade.
        popularity_discount: the confidence of a product's ties is divided by its members (in
            units of the average product's) to this power, so that what everybody meets does not
            shape the vectors alone; as the regularisation by frequency of Rendle, Krichene, Zhang
            and Koren, "Revisiting the Performance of iALS", RecSys 2022, does from the other side.
        iterations: alternations between members and products.
        seed: seed of the random start.

    Raises:
        ValueError: a value is out of its range.
    """

    factors: int = 64
    regularization: float = 0.1
    alpha: float = 2.0
    weight_power: float = 1.0
    popularity_discount: float = 0.3
    iterations: int = 15
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        if self.factors < 1 or self.iterations < 1:
            raise ValueError("factors and iterations must be at least 1")
        if not 0 < self.regularization < 1:
            raise ValueError("regularization must lie between 0 and 1")
        if not self.alpha > 0:
            raise ValueError("alpha must be above 0")
        if not (self.weight_power >= 0 and 0 <= self.popularity_discount <= 1):
            raise ValueError("weight_power must be at least 0, popularity_discount from 0 to 1")


@dataclass(frozen=True, eq=False)
class Factors:
    """A fitted model, with the ids its rows stand for.

    Attributes:
        member_ids: ascending, shape (n_members,).
        product_ids: ascending, shape (n_products,).
        member_factors: shape (n_members, factors).
        product_factors: shape (n_products, factors).
        penalty: the absolute L2 penalty it was fitted with.
        settings: what it was fitted with.
    """

    member_ids: NDArray[np.int64]
    product_ids: NDArray[np.str_]
    member_factors: NDArray[np.float32]
    product_factors: NDArray[np.float32]
    penalty: float
    settings: AlsSettings

    def scores(self, start: int, stop: int) -> NDArray[np.float32]:
        """Scores of every product for the members from ``start`` to ``stop``.

        Returns:
            Shape (stop - start, n_products): near 1 for what is most like her recent behaviour,
            -inf where nothing speaks for the product. A member whose ties have faded has low
            scores throughout, in an order that still means something.
        """
        scores = self.member_factors[start:stop] @ self.product_factors.T
        scores[scores <= 0] = -np.inf
        return scores

    def may_start(self, settings: AlsSettings) -> bool:
        """Whether a fit with these settings can go on from here: all but iterations are equal."""
        return replace(settings, iterations=self.settings.iterations) == self.settings

    def of_members(self, member_ids: NDArray[np.int64]) -> "Factors":
        """The model of those of the given members that it knows."""
        row = positions(self.member_ids, np.unique(member_ids))
        row = row[row >= 0]
        return Factors(
            self.member_ids[row],
            self.product_ids,
            self.member_factors[row],
            self.product_factors,
            self.penalty,
            self.settings,
        )

    def of_products(self, product_ids: NDArray[np.str_]) -> "Factors":
        """The model over the given products, in their order; one it does not know scores 0."""
        vectors = np.zeros((len(product_ids), self.settings.factors), dtype=np.float32)
        _continue(vectors, product_ids, self.product_ids, self.product_factors)
        return replace(self, product_ids=product_ids, product_factors=vectors)

    def influence_factors(self) -> NDArray[np.float32]:
        """Product vectors whose dot product says how much one product speaks for another.

        A score is a sum over the member's own products j of confidence times
        ``y_i W y_j`` (Hu, Koren and Volinsky, section 5, equation 7). Here W leaves out the part
        that is hers alone, ``W = (Y'Y + penalty I)^-1``, and its root is folded into the vectors.

        Returns:
            Shape (n_products, factors).
        """
        y = self.product_factors.astype(np.float64)
        gram = y.T @ y + max(self.penalty, np.finfo(np.float32).tiny) * np.eye(y.shape[1])
        root = np.linalg.cholesky(np.linalg.inv(gram))
        return (y @ root).astype(np.float32)

    def save(self, path: Path) -> None:
        """Writes one .npz file, whole or not at all; the same model gives the same bytes.

        Raises:
            OSError: the file cannot be written; an older file then stays as it was.
        """
        arrays = {
            "member_ids": self.member_ids,
            "product_ids": self.product_ids,
            "member_factors": self.member_factors,
            "product_factors": self.product_factors,
            "penalty": np.array(self.penalty, dtype=np.float64),
            "settings": np.array(json.dumps(asdict(self.settings), sort_keys=True)),
        }
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                np.savez(file, allow_pickle=False, **arrays)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what ``save`` wrote.

        Raises:
            OSError: the file cannot be read.
            KeyError: it is not a model.
        """
        with np.load(path, allow_pickle=False) as file:
            return cls(
                member_ids=file["member_ids"],
                product_ids=file["product_ids"],
                member_factors=file["member_factors"],
                product_factors=file["product_factors"],
                penalty=float(file["penalty"]),
                settings=AlsSettings(**json.loads(str(file["settings"]))),
            )


class _Model(Protocol):
    """What is used of implicit's model, which publishes no types."""

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]

    def fit(self, user_items: CsrMatrix, show_progress: bool) -> None: ...


def fit(
    matrix: InteractionMatrix,
    settings: AlsSettings,
    start: Factors | None = None,
    n_threads: int = 0,
) -> Factors:
    """Learns the vectors of every member and product of the matrix.

    The result depends on the matrix, the settings and the start alone, not on the number of
    threads. A vector that `start` does not hold begins at random numbers drawn from its id and
    the seed, so that it is the same whoever else is there.

    Args:
        matrix: what to learn from; an empty one gives an empty model.
        settings: hyperparameters.
        start: an earlier model to continue: the vectors of members and products that it knows
            begin where it left them.
        n_threads: threads to use; 0 for all processors, or one where the matrix is small.

    Returns:
        The model, with the ids of the matrix.

    Raises:
        ValueError: `start` was fitted with other settings than these.
    """
    if start is not None and not start.may_start(settings):
        raise ValueError("a model can only be continued with the settings it was fitted with")
    n_members, n_products = matrix.weights.shape
    if not matrix.weights.nnz:
        empty = np.zeros((0, settings.factors), dtype=np.float32)
        return Factors(matrix.member_ids, matrix.product_ids, empty, empty, 0.0, settings)
    tied = confidences(matrix.weights, settings)
    members = _drawn(matrix.member_ids.astype(np.int64).view(np.uint64), settings)
    products = _drawn(_hashed(matrix.product_ids), settings)
    if start is not None:
        _continue(members, matrix.member_ids, start.member_ids, start.member_factors)
        _continue(products, matrix.product_ids, start.product_ids, start.product_factors)
    # A BLAS that starts threads of its own slows implicit down many times over.
    with threadpool_limits(limits=1, user_api="blas"):
        penalty = settings.regularization * _largest_singular_value(tied)
        model = cast(
            _Model,
            AlternatingLeastSquares(
                factors=settings.factors,
                regularization=penalty,
                alpha=1.0,
                iterations=settings.iterations,
                use_gpu=False,
                num_threads=n_threads or int(matrix.weights.nnz < _WORTH_THREADS),
            ),
        )
        model.user_factors, model.item_factors = members, products
        model.fit(tied, show_progress=False)
    return Factors(
        matrix.member_ids,
        matrix.product_ids,
        np.asarray(model.user_factors, dtype=np.float32).reshape(n_members, settings.factors),
        np.asarray(model.item_factors, dtype=np.float32).reshape(n_products, settings.factors),
        penalty,
        settings,
    )


def confidences(weights: CsrMatrix, settings: AlsSettings) -> CsrMatrix:
    """What the model is fitted to, of the shape of the weights; see ``AlsSettings``."""
    n_members = np.maximum(np.bincount(weights.indices, minlength=weights.shape[1]), 1)
    popularity = n_members * (weights.shape[1] / weights.nnz)
    unit = (settings.alpha * popularity**-settings.popularity_discount).astype(np.float32)
    tied = weights.copy()
    tied.data = np.log1p(weights.data) ** np.float32(settings.weight_power)
    tied.data *= unit[weights.indices]
    return tied


def _hashed(ids: NDArray[np.str_]) -> NDArray[np.uint64]:
    """A number for each name, the same in every process."""
    return np.frombuffer(
        b"".join(blake2b(name.encode(), digest_size=8).digest() for name in ids.tolist()),
        dtype="<u8",
    ).astype(np.uint64)


def _drawn(keys: NDArray[np.uint64], settings: AlsSettings) -> NDArray[np.float32]:
    """Random numbers that depend on a row's key, the place in the row and the seed alone.

    Counter-based: SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
    Generators", OOPSLA 2014, figure 17) of each place, one number for two places.

    Returns:
        Uniform from 0 to 0.01, shape (n_keys, factors).
    """
    n_pairs = -(-settings.factors // 2)
    seed = mixed(np.array([settings.seed % (1 << 64)], dtype=np.uint64))
    counters = np.arange(1, n_pairs + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    drawn = np.empty((len(keys), settings.factors), dtype=np.float32)
    # In blocks that stay in the processor's cache.
    step = max(1, _BLOCK_VALUES // n_pairs)
    for first in range(0, len(keys), step):
        block = mixed(keys[first : first + step] ^ seed)
        bits = mixed(block[:, None] + counters).view(np.uint32)[:, : settings.factors]
        np.multiply(bits, _START_SCALE / (1 << 32), out=drawn[first : first + step])
    return drawn


def _continue(
    vectors: NDArray[np.float32],
    ids: NDArray[Id],
    known_ids: NDArray[Id],
    known: NDArray[np.float32],
) -> None:
    """Puts the known vectors in the place of those with the same id."""
    place = positions(known_ids, ids)
    vectors[place >= 0] = known[place[place >= 0]]


def _largest_singular_value(matrix: CsrMatrix) -> float:
    """The spectral norm of a positive matrix, by power iteration.

    Where no value is negative, how much stands in a column is near the first singular vector
    already: it comes close within a few passes, its norm twice as fast as its direction.
    """
    x = np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float32)
    across = matrix.transpose()
    value = 0.0
    for _ in range(_MOST_PASSES):
        y = matrix @ (x / np.linalg.norm(x)).astype(np.float32)
        before, value = value, float(np.linalg.norm(y.astype(np.float64)))
        if value - before <= _CLOSE * value:
            break
        x = across @ y
    return value


def scree(factors: Factors) -> NDArray[np.float64]:
    """How much of what the model predicts each of its directions carries.

    The vectors themselves are not orthogonal, so the directions are the singular vectors of the
    matrix of all scores, found from the two thin factors without building it.

    Returns:
        Shares that fall and sum to 1 (all 0 for an empty model), shape
        (min(factors, n_members, n_products),).
    """
    with threadpool_limits(limits=1, user_api="blas"):
        left = np.linalg.qr(factors.member_factors.astype(np.float64)).R
        right = np.linalg.qr(factors.product_factors.astype(np.float64)).R
        values = np.linalg.svd(left @ right.T, compute_uv=False)
    energy = np.asarray(values**2, dtype=np.float64)
    total = float(energy.sum())
    return energy / total if total > 0 else np.zeros_like(energy)
