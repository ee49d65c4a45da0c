"""Time the n best products of every member: ours, implicit's recommend, and bare matrix products.

    python -m benchmarks.top_n [--members N] [--products N] [--pairs N] [--factors N]
                               [--listed N] [--repeats N]

The factors are those of ALS on the simulated shop of `benchmarks.als`, whose popularity falls as
1 / rank; what members have seen is left out. Lists are made for `--listed` of the members, spread
evenly: the time of each way grows in proportion to them. implicit is given the same factors and
asked in batches, with BLAS on one thread, as it advises. Square is a product of two square
matrices in numpy on all cores: the most this machine's BLAS does. All take turns; the median of
each counts. CPU is the time of all cores together, which other work on the machine disturbs less.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol, cast

import numpy as np
from implicit.als import (  # pyright: ignore[reportMissingTypeStubs]
    AlternatingLeastSquares,  # pyright: ignore[reportUnknownVariableType]
)
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from assets.recommend.als import AlsSettings, fit
from assets.recommend.matrix import CsrMatrix
from assets.recommend.top_n import top_n
from benchmarks.als import simulated_pairs
from benchmarks.timing import peak_gb, seconds

LENGTH = 20
BATCH = 1000
SQUARE = 4096
# Of the longest member's norm times the longest product's: what single precision may err by.
ROUNDING = 1e-5

Lists = tuple[NDArray[np.int32], NDArray[np.float32]]


class _Model(Protocol):
    """What is used of implicit's model, which publishes no types."""

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]

    def recommend(
        self,
        userid: NDArray[np.int64],
        user_items: CsrMatrix,
        N: int,
        filter_already_liked_items: bool,
    ) -> Lists: ...


@dataclass(frozen=True, eq=False)
class Shop:
    """Factors of members and products, and the pairs that were seen, by member."""

    members: NDArray[np.float32]
    products: NDArray[np.float32]
    seen: CsrMatrix

    @classmethod
    def trained(
        cls, n_members: int, n_products: int, n_pairs: int, factors: int, n_listed: int
    ) -> "Shop":
        """Some of the members of a shop of the given size; the same numbers give the same."""
        matrix = simulated_pairs(n_members, n_products, n_pairs).matrix()
        model = fit(matrix, AlsSettings(factors=factors))
        n_known = len(model.member_factors)
        row = np.linspace(0, n_known, min(n_listed, n_known), endpoint=False, dtype=np.int64)
        return cls(model.member_factors[row], model.product_factors, matrix.weights[row])

    def of_implicit(self) -> Lists:
        """The lists of implicit's recommend, batch by batch."""
        n_members, n_factors = self.members.shape
        model = cast(_Model, AlternatingLeastSquares(factors=n_factors, use_gpu=False))
        model.user_factors, model.item_factors = self.members, self.products
        columns = np.empty((n_members, LENGTH), dtype=np.int32)
        scores = np.empty((n_members, LENGTH), dtype=np.float32)
        for start in range(0, n_members, BATCH):
            rows = slice(start, min(start + BATCH, n_members))
            columns[rows], scores[rows] = model.recommend(
                np.arange(start, rows.stop),
                self.seen[rows],
                N=LENGTH,
                filter_already_liked_items=True,
            )
        return columns, scores


def main(argv: Sequence[str] | None = None) -> int:
    """Make the lists in each way and print what it took.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0, or 1 if the lists differ by more than rounding.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.top_n", description=__doc__)
    parser.add_argument("--members", type=int, default=160_000)
    parser.add_argument("--products", type=int, default=40_000)
    parser.add_argument("--pairs", type=int, default=4_000_000, help="interactions, about")
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--listed", type=int, default=20_000, help="members who get a list")
    parser.add_argument("--repeats", type=int, default=3, help="of each; the median counts")
    arguments = parser.parse_args(argv)
    for name in ("members", "products", "pairs", "factors", "listed", "repeats"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be 1 or more, got {getattr(arguments, name)}")
    shop = Shop.trained(
        arguments.members,
        arguments.products,
        arguments.pairs,
        arguments.factors,
        arguments.listed,
    )
    square = np.random.default_rng(1).normal(size=(SQUARE, SQUARE)).astype(np.float32)

    lists: dict[str, Lists] = {}

    def keep(name: str, run: Callable[[], Lists]) -> None:
        lists[name] = run()

    def theirs() -> None:
        with threadpool_limits(limits=1, user_api="blas"):
            keep("implicit", shop.of_implicit)

    given = (shop.members, shop.products, shop.seen, LENGTH)
    ways: dict[str, Callable[[], object]] = {
        "square": lambda: square @ square,
        "implicit": theirs,
        "whole": lambda: keep("whole", lambda: top_n(*given, stops_early=False)),
        "stopped": lambda: keep("stopped", lambda: top_n(*given)),
    }
    # The first call compiles.
    top_n(shop.members[:1], shop.products, shop.seen[:1], LENGTH)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(arguments.repeats):
        for name, run in ways.items():
            times[name].append(seconds(run))
    took = {name: median(each for each, _ in pairs) for name, pairs in times.items()}
    cpu = {name: median(each for _, each in pairs) for name, pairs in times.items()}

    work = dict.fromkeys(ways, 2 * shop.members.size * len(shop.products))
    work["square"] = 2 * SQUARE**3
    titles = {
        "square": f"numpy, {SQUARE} square",
        "implicit": "implicit",
        "whole": "siyu, no stop",
        "stopped": "siyu, with the stop",
    }
    print(
        f"| {len(shop.members):,} of {arguments.members:,} members,"
        f" {len(shop.products):,} products, {arguments.factors} factors, top {LENGTH}"
        " | time | CPU | GFLOP/s | of square | implicit / this"
        " | of square, CPU | implicit / this, CPU |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, title in titles.items():
        cells = [f"{took[name]:.2f} s", f"{cpu[name]:.2f} s"]
        cells += [f"{work[name] / took[name] / 1e9:.0f}"]
        for spent in (took, cpu):
            of_square = work[name] / spent[name] * spent["square"] / work["square"]
            ratio = "" if name == "square" else f"{spent['implicit'] / spent[name]:.1f}"
            cells += [f"{of_square:.0%}", ratio]
        print(f"| {title} | {' | '.join(cells)} |")
    print()

    are_equal = all(map(np.array_equal, lists["whole"], lists["stopped"]))
    (columns, scores), (their_columns, their_scores) = lists["stopped"], lists["implicit"]
    identical = float(np.all(columns == their_columns, axis=1).mean())
    largest = float(np.linalg.norm(shop.members, axis=1).max())
    largest *= float(np.linalg.norm(shop.products, axis=1).max())
    error = float(np.abs(scores - their_scores).max()) / largest
    print(f"Lists equal with and without the stop: {'yes' if are_equal else 'no'}.")
    print(f"Lists identical to implicit's: {identical:.3%} of the members'.")
    print(f"Largest difference between scores at the same rank: {error:.0e} of the largest bound.")
    print(f"Peak memory of the whole process: {peak_gb():.2f} GB.")
    return 0 if are_equal and error <= ROUNDING else 1


if __name__ == "__main__":
    sys.exit(main())
