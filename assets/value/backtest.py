"""How well the models would have done: fitted to what lay before a split, held against the rest."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.value.forecast import DAYS_PER_WEEK, Models, Terms, fit_models
from assets.value.intervals import Floats

ALL = "all"
_LAST_BUCKET = 7
_DAYS = 7
_BUCKETS = {
    "bucket": pl.String,
    "n_members": pl.Int64,
    "calibration_orders": pl.Int64,
    "actual_orders": pl.Int64,
    "expected_orders": pl.Float64,
    "error_rate": pl.Float64,
    "mae": pl.Float64,
    "actual_value": pl.Float64,
    "predicted_value": pl.Float64,
}
_WEEKS = {
    "week": pl.Int32,
    "week_date": pl.Date,
    "actual_repeats": pl.Int64,
    "expected_repeats": pl.Float64,
    "is_holdout": pl.Boolean,
}


@dataclass(frozen=True)
class Backtest:
    """What was expected and what came.

    Attributes:
        buckets: one row per number of repeat orders before the split, 0 to 6 and 7+, and one of
            all: bucket, n_members, calibration_orders, actual_orders, expected_orders, error_rate
            (expected over actual less one, NULL where there is no actual), mae (per member),
            actual_value, predicted_value.
        weeks: cumulative repeat orders by week since the first order: week, week_date (its last
            day), actual_repeats, expected_repeats, is_holdout. The split ends a week, so the first
            and the last one may be shorter.
        reason: in one line, why the models were used or not.
        metrics: errors and correlations, by name.
    """

    buckets: pl.DataFrame
    weeks: pl.DataFrame
    reason: str
    metrics: Mapping[str, float]


def backtest(
    histories: pl.DataFrame,
    order_days: pl.DataFrame,
    *,
    split: dt.date,
    until: dt.date,
    terms: Terms,
    cohorts: Sequence[str | None] | None = None,
) -> Backtest:
    """Fit the models to the histories before a split and hold them against the orders since.

    Only members who had ordered by the split take part, with all their orders.

    Args:
        histories: member_id, frequency, recency, T, monetary_value as of the split, days and base
            currency, a row per member.
        order_days: member_id, date, margin, a row per member and day with an order.
        split: the first day that the models do not know.
        until: the first day after the holdout, later than the split.
        terms: when the models may be used, and which.
        cohorts: as for ``fit_models``.

    Returns:
        The comparison; without a row where the models may not be used at the split.

    Raises:
        ValueError: the histories are malformed, or the holdout has no day.
    """
    if not split < until:
        raise ValueError(f"a holdout needs a day or more, got {split} to {until}")
    models = fit_models(
        *(histories[name] for name in ("frequency", "recency", "T", "monetary_value")),
        terms=terms,
        cohorts=cohorts,
    )
    if models.method == "fallback":
        return Backtest(
            pl.DataFrame(schema=_BUCKETS), pl.DataFrame(schema=_WEEKS), models.reason, {}
        )

    of_known = order_days.join(histories, on="member_id", how="semi").filter(pl.col("date") < until)
    members = _members(histories, of_known, models, split, until)
    buckets = _by_bucket(members)
    weeks = _by_week(histories, of_known, models, split, until)
    metrics: dict[str, float] = {"n_members": float(members.height)}
    total = buckets.filter(pl.col("bucket") == ALL).row(0, named=True)
    last = weeks.row(-1, named=True)
    if total["error_rate"] is not None:
        metrics["holdout_error_rate"] = total["error_rate"]
    if total["actual_value"] > 0:
        metrics["holdout_value_error_rate"] = total["predicted_value"] / total["actual_value"] - 1
    if last["actual_repeats"]:
        metrics["tracking_error_rate"] = last["expected_repeats"] / last["actual_repeats"] - 1
    correlation = _correlation(members["expected"].to_numpy(), members["actual"].to_numpy())
    if correlation is not None:
        metrics["holdout_correlation"] = correlation
    return Backtest(buckets, weeks, models.reason, metrics)


def _members(
    histories: pl.DataFrame,
    order_days: pl.DataFrame,
    models: Models,
    split: dt.date,
    until: dt.date,
) -> pl.DataFrame:
    """Give each member what was expected of her and what came."""
    x, t_x, age, value = (
        histories[name].to_numpy().astype(np.float64)
        for name in ("frequency", "recency", "T", "monetary_value")
    )
    horizon = (until - split).days / DAYS_PER_WEEK
    expected, worth = np.empty(x.size), np.empty(x.size)
    for position, fit in enumerate(models.fits):
        of = np.flatnonzero(models.fit_of == position)
        expected[of] = fit.orders.expected_purchases(
            horizon, x[of], t_x[of] / DAYS_PER_WEEK, age[of] / DAYS_PER_WEEK
        )
        worth[of] = expected[of] * fit.values.expected_value(x[of], value[of])
    came = (
        order_days.filter(pl.col("date") >= split)
        .group_by("member_id")
        .agg(actual=pl.len().cast(pl.Int64), actual_value=pl.col("margin").sum().cast(pl.Float64))
    )
    return (
        histories.select("member_id", frequency=pl.col("frequency").cast(pl.Int64))
        .with_columns(expected=pl.Series(expected), worth=pl.Series(worth))
        .join(came, on="member_id", how="left", maintain_order="left")
        .with_columns(pl.col("actual").fill_null(0), pl.col("actual_value").fill_null(0.0))
    )


def _by_bucket(members: pl.DataFrame) -> pl.DataFrame:
    """Sum up by repeat orders before the split, and over all, adding in the members' order."""
    frequency, actual, expected, actual_value, worth = (
        members[name].to_numpy()
        for name in ("frequency", "actual", "expected", "actual_value", "worth")
    )
    bucket = np.minimum(frequency, _LAST_BUCKET)
    labels = [*(str(number) for number in range(_LAST_BUCKET)), f"{_LAST_BUCKET}+"]
    parts = [(label, bucket == number) for number, label in enumerate(labels)]
    parts.append((ALL, bucket >= 0))
    return pl.DataFrame(
        [
            (
                label,
                int(of.sum()),
                int(frequency[of].sum()),
                int(actual[of].sum()),
                float(expected[of].sum()),
                float(expected[of].sum() / actual[of].sum() - 1) if actual[of].any() else None,
                float(np.abs(expected[of] - actual[of]).mean()),
                float(actual_value[of].sum()),
                float(worth[of].sum()),
            )
            for label, of in parts
            if of.any()
        ],
        schema=_BUCKETS,
        orient="row",
    )


def _by_week(
    histories: pl.DataFrame,
    order_days: pl.DataFrame,
    models: Models,
    split: dt.date,
    until: dt.date,
) -> pl.DataFrame:
    """Add up repeat orders from the first order day on, as they came and as the models have it."""
    age = histories["T"].to_numpy().astype(np.int64)
    # Days are counted from the first order day, which is day 0.
    split_day = int(age.max()) + 1
    n_days = split_day + (until - split).days
    start = split - dt.timedelta(days=split_day)
    first_day = split_day - 1 - age

    expected: Floats = np.zeros(n_days)
    for position, fit in enumerate(models.fits):
        starters = np.bincount(first_day[models.fit_of == position], minlength=n_days)
        by_age = fit.orders.expected_purchases_new(np.arange(n_days) / DAYS_PER_WEEK)
        expected += _convolved(starters.astype(np.float64), by_age)
    day = order_days["date"].to_physical().to_numpy() - (start - dt.date(1970, 1, 1)).days
    # Each member's first order day is no repeat.
    repeats = np.bincount(day, minlength=n_days) - np.bincount(first_day, minlength=n_days)
    actual = np.cumsum(repeats)

    ends = _week_ends(split_day, n_days)
    return pl.DataFrame(
        {
            "week": np.arange(1, ends.size + 1),
            "week_date": [start + dt.timedelta(days=int(end)) for end in ends],
            "actual_repeats": actual[ends],
            "expected_repeats": expected[ends],
            "is_holdout": ends >= split_day,
        },
        schema=_WEEKS,
    )


def _convolved(starters: Floats, by_age: Floats) -> Floats:
    """Sum, for every day, what starters of each earlier day have brought at their age."""
    days = np.flatnonzero(starters)
    total: Floats = np.zeros(starters.size)
    for day in days:
        total[day:] += starters[day] * by_age[: starters.size - day]
    return total


def _week_ends(split_day: int, n_days: int) -> NDArray[np.int64]:
    """Find the last days of the weeks; the day before the split is one, and so is the last day."""
    ends = np.arange((split_day - 1) % _DAYS, n_days, _DAYS)
    return ends if ends[-1] == n_days - 1 else np.append(ends, n_days - 1)


def _correlation(expected: Floats, actual: NDArray[np.int64]) -> float | None:
    """Pearson's, or None where one of the two is the same for all."""
    if expected.size < 2 or np.ptp(expected) == 0 or np.ptp(actual) == 0:
        return None
    return float(np.corrcoef(expected, actual)[0, 1])
