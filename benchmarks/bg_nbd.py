"""Fit BG/NBD with our code and with the lifetimes package, side by side.

    python -m benchmarks.bg_nbd --orders CDNOW_master.txt [--repeats N]
    python -m benchmarks.bg_nbd --simulated 1000000 [--repeats N]

Both fit the same arrays in the same process, in turn, with BLAS on one thread, which suits both.
Both are timed from the arrays to the parameters and their standard errors. Of simulated customers,
what follows the fit is timed too: Gamma-Gamma and twelve discounted months for each of them.
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

from assets.value import bg_nbd, gamma_gamma, lifetime_value

CALIBRATION_END = date(1997, 9, 30)
_DAYS_PER_WEEK = 7
_NAMES = ("r", "alpha", "a", "b")
# What the CDNOW sample was fitted with: r, alpha in weeks, a, b; p, q, v.
_TRUTH = (0.243, 4.414, 0.793, 2.426)
_SPEND = (6.25, 3.74, 15.44)
_WEEKS_PER_MONTH = 365 / 84


@dataclass(frozen=True)
class Customers:
    """Histories of customers, one entry each, in weeks and dollars."""

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


def simulated(n_customers: int, seed: int = 1) -> Customers:
    """Draw customers by BG/NBD and Gamma-Gamma, as seen on a grid of days within a year.

    Args:
        n_customers: how many.
        seed: of the draws.

    Returns:
        The customers.
    """
    random = np.random.default_rng(seed)
    (r, alpha, a, b), (p, q, v) = _TRUTH, _SPEND
    days = np.ceil(random.uniform(0, 364, n_customers))
    rate = random.gamma(r, 1 / alpha, n_customers) / _DAYS_PER_WEEK
    leaving = random.beta(a, b, n_customers)
    frequency, recency, clock = (np.zeros(n_customers) for _ in range(3))
    present = np.arange(n_customers)
    while present.size:
        clock[present] += random.exponential(1 / np.maximum(rate[present], 1e-300))
        present = present[clock[present] < days[present]]
        frequency[present] += 1
        recency[present] = np.ceil(clock[present])
        present = present[random.random(present.size) >= leaving[present]]
    n_orders = np.maximum(frequency, 1)
    spent = random.gamma(p * n_orders) / n_orders / random.gamma(q, 1 / v, n_customers)
    return Customers(
        frequency=frequency,
        recency=recency / _DAYS_PER_WEEK,
        T=days / _DAYS_PER_WEEK,
        monetary_value=np.where(frequency > 0, spent, 0.0),
    )


def lifetime_values(found: Customers) -> NDArray[np.float64]:
    """Fit both models and give each customer's value: twelve months at 1 % a month."""
    histories = (found.frequency, found.recency, found.T)
    orders = lifetime_value.discounted_orders(
        bg_nbd.fit(*histories),
        *histories,
        periods=12,
        period_length=_WEEKS_PER_MONTH,
        monthly_rate=0.01,
    )
    values = gamma_gamma.fit(found.frequency, found.monetary_value)
    return orders * values.expected_value(found.frequency, found.monetary_value)


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
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--orders", type=Path, help="CDNOW_master.txt")
    source.add_argument("--simulated", type=int, help="customers to draw")
    parser.add_argument("--repeats", type=int, help="timed fits of each; 15, or 3 of --simulated")
    arguments = parser.parse_args(argv)
    repeats: int = arguments.repeats
    if arguments.repeats is None:
        repeats = 15 if arguments.simulated is None else 3
    if repeats < 1:
        parser.error(f"--repeats must be 1 or more, got {repeats}")
    if arguments.simulated is None:
        if not arguments.orders.is_file():
            parser.error(f"--orders: no such file: {arguments.orders}")
        found = customers(read_orders(arguments.orders))
    elif arguments.simulated < 1:
        parser.error(f"--simulated must be 1 or more, got {arguments.simulated}")
    else:
        found = simulated(arguments.simulated)
    histories = (found.frequency, found.recency, found.T)

    # Imported here because the readers above serve tests, which need no lifetimes.
    from lifetimes import BetaGeoFitter  # pyright: ignore[reportMissingTypeStubs]

    fitter = cast(_BetaGeoFitter, BetaGeoFitter())
    ours = bg_nbd.fit(*histories)
    with threadpool_limits(limits=1, user_api="blas"):
        times = [
            (seconds(lambda: bg_nbd.fit(*histories)), seconds(lambda: fitter.fit(*histories)))
            for _ in range(repeats)
        ]
    our_seconds, their_seconds = (median(each) for each in zip(*times, strict=True))

    parameters = {name: (getattr(ours, name), float(fitter.params_[name])) for name in _NAMES}
    are_equal = all(math.isclose(*pair, rel_tol=5e-4) for pair in parameters.values())
    print(f"BG/NBD, {ours.n_members:,} customers, median of {len(times)} fits each")
    print(f"{'':10}{'siyu':>12}{'lifetimes':>12}{'ratio':>8}")
    print(
        f"{'seconds':10}{our_seconds:12.4f}{their_seconds:12.4f}{their_seconds / our_seconds:8.1f}"
    )
    for name, (our_value, their_value) in parameters.items():
        print(f"{name:10}{our_value:12.4f}{their_value:12.4f}")
    print(f"equal to three digits: {'yes' if are_equal else 'no'}")
    if arguments.simulated is not None:
        whole = median(seconds(lambda: lifetime_values(found)) for _ in range(repeats))
        print(f"BG/NBD, Gamma-Gamma and 12 discounted months of each: {whole:.2f} seconds")
    return 0 if are_equal else 1


if __name__ == "__main__":
    sys.exit(main())
