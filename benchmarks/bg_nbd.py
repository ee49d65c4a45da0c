"""Fit BG/NBD to the CDNOW orders, with our code and with the lifetimes package, side by side.

    python -m benchmarks.bg_nbd --orders CDNOW_master.txt [--repeats N]

Both fit the same arrays in the same process, in turn, with BLAS on one thread, which suits both.
Both are timed from the arrays to the parameters. For lifetimes that includes the Hessian of its
standard errors, about a quarter of its time, which it always computes.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Protocol, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from assets.value import bg_nbd

CALIBRATION_END = date(1997, 9, 30)
_DAYS_PER_WEEK = 7
_NAMES = ("r", "alpha", "a", "b")


@dataclass(frozen=True)
class Customers:
    """The histories of the CDNOW customers, one entry each, in weeks and dollars."""

    frequency: NDArray[np.float64]
    recency: NDArray[np.float64]
    T: NDArray[np.float64]
    monetary_value: NDArray[np.float64]


class _BetaGeoFitter(Protocol):
    """The part of the untyped lifetimes fitter that is used here."""

    params_: dict[str, float]

    def fit(
        self, frequency: NDArray[np.float64], recency: NDArray[np.float64], T: NDArray[np.float64]
    ) -> object: ...


def read_orders(path: Path) -> pl.DataFrame:
    """Read a CDNOW file, master or sample, and merge the orders of one customer and day.

    Args:
        path: the file; lines end in customer, yyyymmdd, number of CDs, dollars.

    Returns:
        customer (str), order_date (date), dollars (float); sorted by customer and date.

    Raises:
        ValueError: the file holds no such line.
    """
    lines = pl.Series("line", path.read_text(encoding="ascii").splitlines(), dtype=pl.String)
    orders = (
        lines.str.extract_groups(
            r"(?<customer>\d+)\s+(?<order_date>\d{8})\s+\d+\s+(?<dollars>\d+\.\d+)\s*$"
        )
        .struct.unnest()
        .drop_nulls()
        .with_columns(
            pl.col("order_date").str.to_date("%Y%m%d"), pl.col("dollars").cast(pl.Float64)
        )
    )
    if orders.is_empty():
        raise ValueError(f"{path} holds no order lines in CDNOW's layout")
    return (
        orders.group_by("customer", "order_date")
        .agg(pl.col("dollars").sum())
        .sort("customer", "order_date")
    )


def customers(orders: pl.DataFrame, observed_until: date = CALIBRATION_END) -> Customers:
    """Sum up each customer's orders by the rules of Fader and Hardie.

    Args:
        orders: as ``read_orders`` gives them.
        observed_until: the last day that is seen.

    Returns:
        The customers with an order by then, sorted by customer.
    """
    order_date, dollars = pl.col("order_date"), pl.col("dollars")
    histories = (
        orders.filter(order_date <= observed_until)
        .sort("customer", "order_date")
        .group_by("customer", maintain_order=True)
        .agg(
            frequency=pl.len() - 1,
            recency=(order_date.last() - order_date.first()).dt.total_days(),
            T=(pl.lit(observed_until) - order_date.first()).dt.total_days(),
            monetary_value=dollars.slice(1).mean().fill_null(0.0),
        )
        .with_columns(pl.col("frequency", "recency", "T").cast(pl.Float64))
    )
    return Customers(
        frequency=histories["frequency"].to_numpy(),
        recency=histories["recency"].to_numpy() / _DAYS_PER_WEEK,
        T=histories["T"].to_numpy() / _DAYS_PER_WEEK,
        monetary_value=histories["monetary_value"].to_numpy(),
    )


def seconds(run: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison and print it as a table.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0 if all parameters agree to three digits, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bg_nbd", description=__doc__)
    parser.add_argument("--orders", type=Path, required=True, help="CDNOW_master.txt")
    parser.add_argument("--repeats", type=int, default=15, help="timed fits of each")
    arguments = parser.parse_args(argv)
    if arguments.repeats < 1:
        parser.error(f"--repeats must be 1 or more, got {arguments.repeats}")
    if not arguments.orders.is_file():
        parser.error(f"--orders: no such file: {arguments.orders}")
    cdnow = customers(read_orders(arguments.orders))
    histories = (cdnow.frequency, cdnow.recency, cdnow.T)

    # Imported here because the readers above serve tests, which need no lifetimes.
    from lifetimes import BetaGeoFitter  # pyright: ignore[reportMissingTypeStubs]

    fitter = cast(_BetaGeoFitter, BetaGeoFitter())
    ours = bg_nbd.fit(*histories)
    with threadpool_limits(limits=1, user_api="blas"):
        fitter.fit(*histories)
        times = [
            (seconds(lambda: bg_nbd.fit(*histories)), seconds(lambda: fitter.fit(*histories)))
            for _ in range(arguments.repeats)
        ]
    our_seconds, their_seconds = (median(each) for each in zip(*times, strict=True))

    found = {name: (getattr(ours, name), float(fitter.params_[name])) for name in _NAMES}
    are_equal = all(math.isclose(*pair, rel_tol=5e-4) for pair in found.values())
    print(f"BG/NBD, {ours.n_members} customers, median of {len(times)} fits each")
    print(f"{'':10}{'siyu':>12}{'lifetimes':>12}{'ratio':>8}")
    print(
        f"{'seconds':10}{our_seconds:12.4f}{their_seconds:12.4f}{their_seconds / our_seconds:8.1f}"
    )
    for name, (our_value, their_value) in found.items():
        print(f"{name:10}{our_value:12.4f}{their_value:12.4f}")
    print(f"equal to three digits: {'yes' if are_equal else 'no'}")
    return 0 if are_equal else 1


if __name__ == "__main__":
    sys.exit(main())
