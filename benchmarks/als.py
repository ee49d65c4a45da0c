"""Time training: ALS against implicit's own, RP3beta against ALS, a warm start against a cold one.

    python -m benchmarks.als [--members N] [--products N] [--pairs N] [--factors N]
                             [--iterations N] [--repeats N]

Ours is all that a night takes: the matrix from pairs of ids in no order, the fit with its search
for the penalty, and the model's file. Implicit's is its fit alone, given the finished matrix and
the penalty. RP3beta is the whole of its fit to that matrix, the cap on histories included. All run
on all processors with BLAS on one thread and take turns; the median counts. Processor time is that
of all cores together, which other work on the machine disturbs less.

The shop is simulated: members have one of 50 tastes, popularity falls as 1 / rank. Yesterday is
the same shop without a hundredth of the pairs and without its newest two hundredth of the members.
A warm start from it is as good as a cold one once its loss is as low.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Protocol, cast

import numpy as np
import polars as pl
from implicit.als import (  # pyright: ignore[reportMissingTypeStubs]
    AlternatingLeastSquares,  # pyright: ignore[reportUnknownVariableType]
)
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from assets.recommend.als import AlsSettings, Factors, confidences, fit
from assets.recommend.matrix import CsrMatrix, InteractionMatrix
from assets.recommend.random_walk import Walk, WalkSettings
from benchmarks.timing import peak_gb, seconds

_TASTES = 50
_BLOCK_PAIRS = 1 << 20


class _Model(Protocol):
    """The part of implicit's untyped model that is used here."""

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]

    def fit(self, user_items: CsrMatrix, show_progress: bool) -> None: ...


@dataclass(frozen=True)
class Pairs:
    """Interactions as a table has them: in no order, by id."""

    member_id: NDArray[np.int64]
    product_id: pl.Series
    weight: NDArray[np.float64]

    def where(self, kept: NDArray[np.bool_]) -> "Pairs":
        """Some of them, shape (n_pairs,)."""
        return Pairs(
            self.member_id[kept], self.product_id.filter(pl.Series(kept)), self.weight[kept]
        )

    def matrix(self) -> InteractionMatrix:
        """The matrix of them."""
        return InteractionMatrix.from_pairs(self.member_id, self.product_id, self.weight)


def simulated_pairs(n_members: int, n_products: int, n_pairs: int) -> Pairs:
    """About `n_pairs` distinct pairs of members with tastes and products they like."""
    rng = np.random.default_rng(0)
    drawn = n_pairs * 13 // 10
    member = (n_members * rng.random(drawn) ** 1.5).astype(np.int64)
    rank = (np.exp(rng.random(drawn) * np.log(n_products / _TASTES + 1)) - 1).astype(np.int64)
    taste = np.where(rng.random(drawn) < 0.7, member % _TASTES, rng.integers(0, _TASTES, drawn))
    product = np.minimum(rank * _TASTES + taste, n_products - 1)
    pairs = rng.permutation(np.unique(member * n_products + product))[:n_pairs]
    # Pseudonyms spread over the whole range, as the pipeline's do.
    pseudonym = rng.permutation(np.unique(rng.integers(1, 1 << 62, n_members + 1000)))
    return Pairs(
        pseudonym[pairs // n_products],
        pl.Series(pairs % n_products).cast(pl.String),
        rng.gamma(1.0, 2.0, len(pairs)) + 0.01,
    )


def loss(factors: Factors, matrix: InteractionMatrix) -> float:
    """What ALS minimises: Hu, Koren and Volinsky, ICDM 2008, equation 3, per pair of the matrix."""
    x, y = factors.member_factors, factors.product_factors
    confidence = confidences(matrix.weights, factors.settings).data.astype(np.float64)
    row = np.repeat(np.arange(len(x)), np.diff(matrix.weights.indptr))
    total = float(np.sum((x.T @ x).astype(np.float64) * (y.T @ y)))
    for first in range(0, len(row), _BLOCK_PAIRS):
        part = slice(first, first + _BLOCK_PAIRS)
        score = np.einsum("ij,ij->i", x[row[part]], y[matrix.weights.indices[part]])
        total += float(np.sum(confidence[part] * (1 - score) ** 2 - score.astype(np.float64) ** 2))
    norms = np.sum(x.astype(np.float64) ** 2) + np.sum(y.astype(np.float64) ** 2)
    return (total + factors.penalty * float(norms)) / len(row)


def compare(pairs: Pairs, settings: AlsSettings, repeats: int) -> str:
    """ALS beside implicit's own and RP3beta beside ALS, as a Markdown table."""
    matrix = pairs.matrix()
    # A first, short fit loads the libraries and finds the penalty.
    penalty = fit(matrix, replace(settings, iterations=1)).penalty
    tied = confidences(matrix.weights, settings)
    fitted: list[Factors] = []
    models: list[_Model] = []

    def ours() -> None:
        fitted[:] = [fit(matrix, settings)]

    def theirs() -> None:
        with threadpool_limits(limits=1, user_api="blas"):
            model = cast(
                _Model,
                AlternatingLeastSquares(
                    factors=settings.factors,
                    regularization=penalty,
                    iterations=settings.iterations,
                    use_gpu=False,
                    random_state=settings.seed,
                ),
            )
            model.fit(tied, show_progress=False)
        models[:] = [model]

    with tempfile.TemporaryDirectory(prefix="siyu-benchmark-") as folder:
        path = Path(folder) / "als.npz"
        steps: dict[str, Callable[[], object]] = {
            "implicit, its fit alone": theirs,
            "ours: building": pairs.matrix,
            "ours: fit": ours,
            "ours: storing": lambda: fitted[0].save(path),
            "RP3beta": lambda: Walk.fit(matrix, WalkSettings()),
        }
        times: dict[str, list[tuple[float, float]]] = {
            name: [] for name in (*steps, "ours, together")
        }
        for _ in range(repeats):
            for name, step in steps.items():
                times[name].append(seconds(step))
            parts = [each[-1] for name, each in times.items() if name.startswith("ours: ")]
            together = sum(wall for wall, _ in parts), sum(cpu for _, cpu in parts)
            times["ours, together"].append(together)
    found = {
        name: (median(wall for wall, _ in all_of), median(cpu for _, cpu in all_of))
        for name, all_of in times.items()
    }

    def ratio(one: str, other: str) -> str:
        wall, cpu = (mine / its for mine, its in zip(found[one], found[other], strict=True))
        return f"{wall:.2f} | {cpu:.2f}"

    their = replace(
        fitted[0],
        member_factors=models[0].user_factors,
        product_factors=models[0].item_factors,
    )
    n_members, n_products = matrix.weights.shape
    return "\n".join(
        [
            f"| {n_members:,} members, {n_products:,} products, {matrix.weights.nnz:,} pairs,"
            f" {settings.factors} factors, {settings.iterations} iterations"
            " | time | processor time |",
            "| --- | ---: | ---: |",
            *(f"| {name} | {w:.2f} s | {p:.2f} s |" for name, (w, p) in found.items()),
            f"| ours / implicit | {ratio('ours, together', 'implicit, its fit alone')} |",
            f"| RP3beta / our ALS fit | {ratio('RP3beta', 'ours: fit')} |",
            "",
            f"Loss per pair: implicit {loss(their, matrix):.5f},"
            f" ours {loss(fitted[0], matrix):.5f}.",
        ]
    )


def compare_starts(pairs: Pairs, settings: AlsSettings) -> str:
    """A warm start beside a cold one of the same loss, as a Markdown table."""
    rng = np.random.default_rng(1)
    members = np.unique(pairs.member_id)
    new = rng.choice(members, len(members) // 200, replace=False)
    known = ~np.isin(pairs.member_id, new) & (rng.random(len(pairs.member_id)) >= 0.01)
    yesterday = fit(pairs.where(known).matrix(), settings)
    matrix = pairs.matrix()
    fitted: list[Factors] = []
    cold = seconds(lambda: fitted.append(fit(matrix, settings)))
    goal = loss(fitted.pop(), matrix)
    n_iterations, warm, reached = 0, cold, float("inf")
    while reached > goal and n_iterations < settings.iterations:
        n_iterations += 1
        fewer = replace(settings, iterations=n_iterations)
        warm = seconds(lambda fewer=fewer: fitted.append(fit(matrix, fewer, yesterday)))
        reached = loss(fitted.pop(), matrix)
    return "\n".join(
        [
            "| start | iterations | loss per pair | time | processor time |",
            "| --- | ---: | ---: | ---: | ---: |",
            f"| cold | {settings.iterations} | {goal:.5f} | {cold[0]:.2f} s | {cold[1]:.2f} s |",
            f"| warm | {n_iterations} | {reached:.5f} | {warm[0]:.2f} s | {warm[1]:.2f} s |",
            f"| warm / cold | | | {warm[0] / cold[0]:.2f} | {warm[1] / cold[1]:.2f} |",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparisons and print them.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.als", description=__doc__)
    parser.add_argument("--members", type=int, default=160_000)
    parser.add_argument("--products", type=int, default=40_000)
    parser.add_argument("--pairs", type=int, default=4_000_000, help="interactions, about")
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=1, help="of each; the median counts")
    arguments = parser.parse_args(argv)
    for name in ("members", "products", "pairs", "factors", "iterations", "repeats"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be 1 or more, got {getattr(arguments, name)}")
    pairs = simulated_pairs(arguments.members, arguments.products, arguments.pairs)
    settings = AlsSettings(factors=arguments.factors, iterations=arguments.iterations)
    print(compare(pairs, settings, arguments.repeats), flush=True)
    print()
    print(compare_starts(pairs, settings), flush=True)
    print(f"\nPeak memory of the whole process, simulation included: {peak_gb():.2f} GB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
