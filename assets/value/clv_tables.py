"""The forecast and its fits as tables: dates, words and rows for what the models say in numbers."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import polars as pl

from assets.value.fits import POOLED, Fit, Models
from assets.value.forecast import Forecast
from assets.value.intervals import simultaneous_z

_PARAMETERS = {
    "model": pl.String,
    "cohort": pl.String,
    "parameter": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "standard_error": pl.Float64,
    "n_members": pl.Int64,
    "log_likelihood": pl.Float64,
    "converged": pl.Boolean,
    "is_ridge": pl.Boolean,
    "is_penalised": pl.Boolean,
    "message": pl.String,
}


def members_table(
    histories: pl.DataFrame,
    made: Forecast,
    *,
    run_date: dt.date,
    risk_bands: tuple[float, float],
    active_days: int,
) -> pl.DataFrame:
    """Put beside each member's history what is expected of them.

    Args:
        histories: frequency, recency and T in days, historic_clv, silent_days, silent_stage, and
            whatever else the table has of a member, shape (n_members, ...), in the order of the
            forecast.
        made: the forecast.
        run_date: the first day after the observation.
        risk_bands: churn probabilities from which on the risk is medium, and high.
        active_days: days since the last order within which a member is in no stage of risk.

    Returns:
        The histories, without silent_days and silent_stage, with p_alive, expected_orders,
        predicted_clv, its bounds and those of the expectation, total_clv, method, converged,
        is_penalised, parameters_of, churn_probability, churn_risk, churn_risk_by, next_order_date
        (the day by which an order is as likely as not, NULL where none is within the horizon) and
        churn_risk_date (the first day at whose midnight P(alive) lay, or without an order will
        lie, below the limit).
    """
    fits = made.models.fits if made.p_alive is not None else ()
    of_fit = made.models.fit_of
    alive = pl.lit(None, pl.Float64)
    if made.p_alive is not None:
        alive = pl.Series("p_alive", made.p_alive, pl.Float64).fill_nan(None)
    today, yesterday = pl.lit(run_date), pl.lit(run_date - dt.timedelta(days=1))

    return (
        histories.with_columns(
            p_alive=alive,
            expected_orders=pl.Series(made.expected_orders),
            predicted_clv=pl.Series(made.predicted_clv),
            expected_clv_low=pl.Series(made.expected_low).fill_nan(None),
            expected_clv_high=pl.Series(made.expected_high).fill_nan(None),
            predicted_clv_low=pl.Series(made.predicted_low).fill_nan(None),
            predicted_clv_high=pl.Series(made.predicted_high).fill_nan(None),
            method=pl.lit(made.models.method),
            converged=pl.Series(np.array([fit.converged for fit in fits] or [False])[of_fit]),
            is_penalised=pl.Series(np.array([fit.is_penalised for fit in fits] or [False])[of_fit]),
            parameters_of=pl.Series([fit.cohort for fit in fits] or [POOLED])[of_fit],
            next_order_in=pl.Series(made.next_order_days).fill_nan(None).ceil(),
            churn_age=pl.Series(made.churn_age_days).fill_nan(None).floor() + 1,
        )
        .with_columns(
            # P(alive) is first told of a member on the day after the last order.
            churn_in=pl.when(pl.col("churn_age") < pl.col("recency"))
            .then(pl.col("recency"))
            .otherwise(pl.col("churn_age"))
            - pl.col("T")
        )
        .with_columns(
            total_clv=pl.col("historic_clv").cast(pl.Float64) + pl.col("predicted_clv"),
            churn_probability=1.0 - pl.col("p_alive"),
            next_order_date=yesterday + pl.duration(days=pl.col("next_order_in").cast(pl.Int64)),
            churn_risk_date=today + pl.duration(days=pl.col("churn_in").cast(pl.Int64)),
        )
        .with_columns(_by_model(risk_bands), _by_silence(run_date, active_days))
        .with_columns(_risk(has_model=bool(fits)))
        .drop(
            "next_order_in", "churn_age", "churn_in", "by_model", "by_silence", "silent_days",
            "silent_stage",
        )
    )  # fmt: skip


def _by_model(risk_bands: tuple[float, float]) -> pl.Expr:
    """The band of churn_probability as a number, 0 to 2; NULL where it is."""
    medium, high = risk_bands
    churn = pl.col("churn_probability")
    is_medium, is_high = (churn >= medium).cast(pl.Int8), (churn >= high).cast(pl.Int8)
    return (is_medium + is_high).alias("by_model")


def _by_silence(run_date: dt.date, active_days: int) -> pl.Expr:
    """What the stage of value.lifecycle says of a member: lost is 2, churn_risk 1, others NULL."""
    is_due = (pl.col("churn_risk_date") <= run_date) & (pl.col("frequency") > 0)
    return (
        pl.when(pl.col("silent_stage") == "lost")
        .then(pl.lit(2, pl.Int8))
        .when(
            (pl.col("silent_stage") == "churn_risk")
            | (is_due & (pl.col("silent_days") > active_days))
        )
        .then(pl.lit(1, pl.Int8))
        .alias("by_silence")
    )


def _risk(*, has_model: bool) -> Iterator[pl.Expr]:
    """The worse of the two in words, and which of them says so."""
    by_model, by_silence = pl.col("by_model"), pl.col("by_silence")
    is_by_silence = by_silence.is_not_null() & (by_model.is_null() | (by_silence > by_model))
    words = {0: "low", 1: "medium", 2: "high"}
    yield (
        pl.max_horizontal(by_model, by_silence)
        .replace_strict(words, default="unknown", return_dtype=pl.String)
        .alias("churn_risk")
    )
    yield (
        pl.when(is_by_silence)
        .then(pl.lit("silence"))
        .when(by_model.is_not_null())
        .then(pl.lit("model"))
        .otherwise(pl.lit("one_order" if has_model else "no_model"))
        .alias("churn_risk_by")
    )


def parameters_table(models: Models) -> pl.DataFrame:
    """List the parameters of every fit with their intervals.

    Args:
        models: the fits of a shop.

    Returns:
        A row per model, cohort and parameter; none where the data did not suffice for a fit.
    """
    rows = [
        row for fit in models.fits for row in (*_of_orders(fit), *_of_values(fit), *_of_losses(fit))
    ]
    return pl.DataFrame(rows, schema=_PARAMETERS, orient="row")


_Row = tuple[
    str,
    str,
    str,
    float,
    float | None,
    float | None,
    float | None,
    int,
    float,
    bool,
    bool,
    bool,
    str,
]


def _of_orders(fit: Fit) -> list[_Row]:
    model = fit.orders
    return [
        (
            fit.order_model,
            fit.cohort,
            each.name,
            each.value,
            each.low,
            each.high,
            each.standard_error,
            model.n_members,
            model.log_likelihood,
            model.converged and not fit.is_penalised,
            fit.is_ridge,
            fit.is_penalised,
            model.message,
        )
        for each in fit.order_intervals()
    ]


def _of_values(fit: Fit) -> list[_Row]:
    model = fit.values
    return [
        (
            "gamma_gamma",
            fit.cohort,
            each.name,
            each.value,
            each.low,
            each.high,
            each.standard_error,
            model.n_members,
            model.log_likelihood,
            model.converged,
            model.is_ridge,
            False,
            model.message,
        )
        for each in fit.value_intervals()
    ]


def _of_losses(fit: Fit) -> list[_Row]:
    """How many order days bring a loss and how much of one; none where no day did."""
    losses = fit.losses
    if losses.share == 0.0:
        return []
    z = simultaneous_z(1)
    numbers: dict[str, tuple[float, float | None, float | None]] = {
        name: (value, value - z * error, value + z * error)
        for name, value, error in (
            ("share", losses.share, losses.share_error),
            ("mean", losses.mean, losses.mean_error),
        )
    }
    # Members who are all alike have no finite one.
    if np.isfinite(losses.concentration):
        numbers["concentration"] = (losses.concentration, None, None)
    n_members, message = fit.orders.n_members, "counted, and a beta-binomial likelihood"
    return [
        (
            "loss_days", fit.cohort, name, value, low, high, None, n_members, losses.log_likelihood,
            True, False, False, message,
        )
        for name, (value, low, high) in numbers.items()
    ]  # fmt: skip
