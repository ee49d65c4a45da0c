"""Time the n best products of every member: ours, implicit's recommend, and bare matrix products.

    python -m benchmarks.top_n [--members N] [--products N] [--factors F] [--repeats R]

The factors are random: directions of a normal distribution, norms of the products that fall with
the root of their rank in popularity, as the norms of trained factors do roughly. What members have
seen is drawn by popularity and left out by both. implicit is given the same factors and asked in
batches, with BLAS on one thread, as it advises. Square is a product of two square matrices in
numpy on all cores: the most this machine's BLAS does. All take turns; the median of each counts.
CPU is the time of all cores together, which other work on the machine disturbs less.
"""

import argparse
import sys
import time
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

from assets.recommend.matrix import CsrMatrix, sparse
from assets.recommend.top_n import top_n

LENGTH = 20
SEEN = 30
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
    """Factors of members and products, and the pairs that were seen."""

    members: NDArray[np.float32]
    products: NDArray[np.float32]
    seen: CsrMatrix

    @classmethod
    def random(cls, n_members: int, n_products: int, factors: int) -> "Shop":
        """A shop of the given size; the same size gives the same shop."""
        rng = np.random.default_rng(0)
        members = rng.normal(size=(n_members, factors)).astype(np.float32)
        products = rng.normal(size=(n_products, factors)).astype(np.float32)
        rank = rng.permutation(n_products)
        products *= (rank[:, None] + 1.0).astype(np.float32) ** -0.5
        # Ranks whose logarithm is uniform follow Zipf's law.
        n_seen = min(SEEN, n_products) * n_members
        seen = np.floor((n_products + 1.0) ** rng.random(n_seen)).astype(np.int64) - 1
        column = np.argsort(rank)[np.minimum(seen, n_products - 1)]
        row = np.repeat(np.arange(n_members), min(SEEN, n_products))
        shape = (n_members, n_products)
        return cls(members, products, sparse(row, column, np.ones(n_seen), shape))

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


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Time one call, by the clock and on all cores together."""
    start, cpu_start = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - cpu_start


def main(argv: Sequence[str] | None = None) -> int:
    """Make the lists in each way and print what it took.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0, or 1 if the lists differ by more than rounding.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.top_n", description=__doc__)
    parser.add_argument("--members", type=int, default=50_000)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3, help="of each; the median counts")
    arguments = parser.parse_args(argv)
    for name, least in (
        ("members", 1),
        ("products", LENGTH + SEEN),
        ("factors", 1),
        ("repeats", 1),
    ):
        if getattr(arguments, name) < least:
            parser.error(f"--{name} must be {least} or more, got {getattr(arguments, name)}")
    shop = Shop.random(arguments.members, arguments.products, arguments.factors)
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
        f"| {arguments.members:,} members, {arguments.products:,} products,"
        f" {arguments.factors} factors, top {LENGTH} | time | CPU | GFLOP/s"
        " | of square | implicit / this | of square, CPU | implicit / this, CPU |"
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
    return 0 if are_equal and error <= ROUNDING else 1


if __name__ == "__main__":
    sys.exit(main())
