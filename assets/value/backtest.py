"""How well a forecast would have done: made of what lay before a split, held against the rest."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.value import order_days as value_of_days
from assets.value.bg_nbd import BgNbd
from assets.value.fits import DAYS_PER_WEEK, Models, Terms, fit_models
from assets.value.intervals import Floats, simultaneous_z
from assets.value.lifetime_value import fallback_orders, fallback_value, log_slopes
from assets.value.order_days import RepeatDays

ALL = "all"
_LAST_BUCKET = 7
_DAYS = 7
_HISTORY = (
    "frequency",
    "recency",
    "T",
    "monetary_value",
    "profitable_repeats",
    "profitable_value",
)
_BUCKETS = {
    "bucket": pl.String,
    "n_members": pl.Int64,
    "calibration_orders": pl.Int64,
    "actual_orders": pl.Int64,
    "expected_orders": pl.Float64,
    "error_rate": pl.Float64,
    "error_rate_low": pl.Float64,
    "error_rate_high": pl.Float64,
    "mae": pl.Float64,
    "actual_value": pl.Float64,
    "predicted_value": pl.Float64,
    "value_error_rate": pl.Float64,
    "value_error_rate_low": pl.Float64,
    "value_error_rate_high": pl.Float64,
    "method": pl.String,
    "verdict": pl.String,
    "reason": pl.String,
}
_WEEKS = {
    "week": pl.Int32,
    "week_date": pl.Date,
    "actual_repeats": pl.Int64,
    "expected_repeats": pl.Float64,
    "is_holdout": pl.Boolean,
}


Verdict = Literal["holds", "off", "cannot_tell"]


@dataclass(frozen=True)
class Backtest:
    """What was expected and what came.

    Attributes:
        buckets: one row per number of repeat orders before the split, 0 to 6 and 7+, and one of
            all, which is always there: bucket, n_members, calibration_orders, actual_orders,
            expected_orders, error_rate (expected over actual less one, NULL where there is no
            actual) and its bounds, mae (per member), actual_value, predicted_value,
            value_error_rate and its bounds, method, verdict and reason (of all members, the same
            in every row).
        weeks: cumulative repeat orders by week since the first order: week, week_date (its last
            day), actual_repeats, expected_repeats, is_holdout. The split ends a week, so the first
            and the last one may be shorter. None where no model was used at the split.
        reason: in one line, why the models were used or not.
        metrics: errors and correlations, by name.
    """

    buckets: pl.DataFrame
    weeks: pl.DataFrame
    reason: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class _Compared:
    """Members, what was expected of them and what came, shapes (n_members,).

    Attributes:
        frequency: repeat order days at the split.
        expected: order days expected since.
        worth: their expected margin.
        actual: order days since.
        actual_value: their margin.
        slopes: by fit, the members it served, and the slopes of their expected orders by the
            log-parameters with their covariance; none where no fit was used or bounded.
    """

    frequency: Floats
    expected: Floats
    worth: Floats
    actual: Floats
    actual_value: Floats
    slopes: Sequence[tuple[NDArray[np.intp], Floats, Floats]]


def backtest(
    histories: pl.DataFrame,
    order_days: pl.DataFrame,
    *,
    split: dt.date,
    until: dt.date,
    terms: Terms,
    largest_error: float,
    served_by: str | None = None,
    cohorts: Sequence[str | None] | None = None,
) -> Backtest:
    """Forecast from the histories before a split and hold that against the orders since.

    Only members who had ordered by the split take part, with all their orders. The fallback is
    tested like the models.

    An error is by chance what members scatter around their expectation (the sum of their squared
    errors) and what the parameters may be off. The verdict: off, if orders or margin are off by
    more than `largest_error` even at the near end of what chance does; holds, if both are off by
    less; cannot_tell, if they are off by more, but chance alone may do it, or if there was nothing
    to compare, or if another method serves the members now.

    Args:
        histories: member_id, frequency, recency, T, monetary_value, profitable_repeats,
            profitable_value as of the split, days and base currency, a row per member.
        order_days: member_id, date, margin, a row per member and day with an order.
        split: the first day that the models do not know.
        until: the first day after the holdout, later than the split.
        terms: when the models may be used, and which.
        largest_error: share of what came by which a forecast that holds may be off.
        served_by: the method that serves the members now; None: the same.
        cohorts: as for ``fit_models``.

    Returns:
        The comparison.

    Raises:
        ValueError: the histories are malformed, or the holdout has no day.
    """
    if not split < until:
        raise ValueError(f"a holdout needs a day or more, got {split} to {until}")
    models = fit_models(*(histories[name] for name in _HISTORY), terms=terms, cohorts=cohorts)
    of_known = order_days.join(histories, on="member_id", how="semi").filter(pl.col("date") < until)
    compared = _compared(histories, of_known, models, split, until)
    total = _row(ALL, compared, np.ones(histories.height, np.bool_))
    will_be_held = (
        models.method == "fallback"
        and models.held is None
        and models.metrics["n_days"] + (until - split).days >= terms.gate.min_days
    )
    verdict, reason = _verdict(
        total, models, split, largest_error, served_by, will_be_held=will_be_held
    )
    buckets = pl.DataFrame(
        [*_by_bucket(compared), total], schema=_BUCKETS, orient="row"
    ).with_columns(
        method=pl.lit(models.method, pl.String),
        verdict=pl.lit(verdict, pl.String),
        reason=pl.lit(reason, pl.String),
    )
    errors = {
        "holdout_error_rate": total["error_rate"],
        "holdout_value_error_rate": total["value_error_rate"],
        "holdout_correlation": _correlation(compared.expected, compared.actual),
    }
    metrics = {"n_members": float(histories.height)}
    metrics |= {name: error for name, error in errors.items() if error is not None}
    if models.method == "fallback":
        return Backtest(buckets, pl.DataFrame(schema=_WEEKS), models.reason, metrics)
    weeks = _by_week(histories, of_known, models, split, until)
    last = weeks.row(-1, named=True)
    if last["actual_repeats"]:
        metrics["tracking_error_rate"] = last["expected_repeats"] / last["actual_repeats"] - 1
    return Backtest(buckets, weeks, models.reason, metrics)


def _compared(
    histories: pl.DataFrame,
    order_days: pl.DataFrame,
    models: Models,
    split: dt.date,
    until: dt.date,
) -> _Compared:
    """Give each member what was expected of them and what came."""
    x, t_x, age, *value = (histories[name].to_numpy().astype(np.float64) for name in _HISTORY)
    days = RepeatDays.of(x, *value)
    weeks_to_last, weeks = t_x / DAYS_PER_WEEK, age / DAYS_PER_WEEK
    horizon = (until - split).days / DAYS_PER_WEEK
    slopes: list[tuple[NDArray[np.intp], Floats, Floats]] = []
    expected, worth = np.empty(x.size), np.empty(x.size)

    def expect(model: BgNbd, of: NDArray[np.intp], value_of: Floats) -> None:
        history = (x[of], weeks_to_last[of], weeks[of])
        expected[of] = model.expected_purchases(horizon, *history)
        worth[of] = expected[of] * value_of
        # Held by a prior, the parameters scatter as far as it lets them.
        if model.covariance is not None:
            slopes.append((of, log_slopes(model, *history, horizon=horizon), model.covariance))

    if models.held is not None:
        expect(models.held, np.arange(x.size), fallback_value(x, value[0]))
    elif models.method == "fallback":
        expected = fallback_orders(horizon, x, weeks)
        worth = expected * fallback_value(x, value[0])
    else:
        for position, fit in enumerate(models.fits):
            of = np.flatnonzero(models.fit_of == position)
            worth_of = value_of_days.expected_value(fit.values, fit.losses, days.part(of))
            expect(fit.orders, of, worth_of)
    came = (
        order_days.filter(pl.col("date") >= split)
        .group_by("member_id")
        .agg(actual=pl.len().cast(pl.Float64), actual_value=pl.col("margin").sum().cast(pl.Float64))
    )
    joined = (
        histories.select("member_id")
        .join(came, on="member_id", how="left", maintain_order="left")
        .with_columns(pl.col("actual", "actual_value").fill_null(0.0))
    )
    actual, actual_value = (joined[name].to_numpy() for name in ("actual", "actual_value"))
    return _Compared(x, expected, worth, actual, actual_value, slopes)


def _by_bucket(compared: _Compared) -> Iterator[dict[str, Any]]:
    """Sum up by repeat orders before the split, adding in the members' order."""
    bucket = np.minimum(compared.frequency, _LAST_BUCKET)
    for number in range(_LAST_BUCKET + 1):
        of = bucket == number
        if of.any():
            yield _row(f"{number}+" if number == _LAST_BUCKET else str(number), compared, of)


def _row(label: str, compared: _Compared, of: NDArray[np.bool_]) -> dict[str, Any]:
    """Sum up some of the members."""
    expected, actual = compared.expected[of], compared.actual[of]
    return {
        "bucket": label,
        "n_members": int(of.sum()),
        "calibration_orders": int(compared.frequency[of].sum()),
        "actual_orders": int(actual.sum()),
        "expected_orders": float(expected.sum()),
        **_errors("error_rate", compared, expected, actual, compared.expected, of),
        "mae": float(np.abs(expected - actual).mean()) if expected.size else None,
        "actual_value": float(compared.actual_value[of].sum()),
        "predicted_value": float(compared.worth[of].sum()),
        **_errors(
            "value_error_rate", compared, compared.worth[of], compared.actual_value[of],
            compared.worth, of,
        ),
    }  # fmt: skip


def _errors(
    name: str,
    compared: _Compared,
    expected: Floats,
    actual: Floats,
    of_all: Floats,
    of: NDArray[np.bool_],
) -> dict[str, float | None]:
    """By what share of what came too much was expected, and where that lies by chance alone."""
    came = float(actual.sum())
    if came <= 0.0:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    variance = float(((actual - expected) ** 2).sum())
    for members, slopes, of_logs in compared.slopes:
        total = (of_all[members] * of[members]) @ slopes
        variance += float(total @ of_logs @ total)
    error, reach = float(expected.sum()) / came - 1.0, simultaneous_z(1) * variance**0.5 / came
    return {name: error, f"{name}_low": error - reach, f"{name}_high": error + reach}


def _verdict(
    total: Mapping[str, Any],
    models: Models,
    split: dt.date,
    largest: float,
    served_by: str | None,
    *,
    will_be_held: bool,
) -> tuple[Verdict, str]:
    """Say whether the forecast holds, and why in one line."""
    if total["n_members"] == 0:
        return "cannot_tell", f"nobody had ordered by {split}: the history is too short for a test"
    if served_by is not None and models.method != served_by:
        return "cannot_tell", (
            f"on {split} it was {models.method} ({models.reason}), today {served_by} serves the "
            "members, which no holdout has tested"
        )
    if served_by == "fallback" and will_be_held:
        return "cannot_tell", (
            f"on {split} the history was too short for any order model ({models.reason}), today a "
            "prior holds one, which no holdout has tested"
        )
    if total["error_rate"] is None or total["value_error_rate"] is None:
        return "cannot_tell", (
            f"{total['actual_orders']} order days of {total['actual_value']:,.0f} came since "
            f"{split}, {total['expected_orders']:,.1f} were expected"
        )
    said = " and ".join(
        f"{what} {total[name]:+.1%} ({total[f'{name}_low']:+.1%} to {total[f'{name}_high']:+.1%})"
        for what, name in (("order days", "error_rate"), ("their margin", "value_error_rate"))
    )
    said = f"expected over actual since {split}: {said}, {largest:.0%} allowed"
    errors = [
        tuple(total[f"{name}{end}"] for end in ("", "_low", "_high"))
        for name in ("error_rate", "value_error_rate")
    ]
    if any(low > largest or high < -largest for _, low, high in errors):
        return "off", said
    if all(abs(error) <= largest for error, _, _ in errors):
        return "holds", said
    return "cannot_tell", f"{said}; chance alone may do that in so small a shop"


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


def _correlation(expected: Floats, actual: Floats) -> float | None:
    """Pearson's, or None where one of the two is the same for all."""
    if expected.size < 2 or np.ptp(expected) == 0 or np.ptp(actual) == 0:
        return None
    return float(np.corrcoef(expected, actual)[0, 1])
