"""The forecast and its fits as tables: dates, words and rows for what the models say in numbers."""

import datetime as dt

import numpy as np
import polars as pl

from assets.value.forecast import POOLED, Fit, Forecast, Models

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
) -> pl.DataFrame:
    """Put beside each member's history what is expected of her.

    Args:
        histories: recency and T in days, historic_clv, and whatever else the table has of a
            member, shape (n_members, ...), in the order of the forecast.
        made: the forecast.
        run_date: the first day after the observation.
        risk_bands: churn probabilities from which on the risk is medium, and high.

    Returns:
        The histories with p_alive, expected_orders, predicted_clv, its bounds, total_clv, method,
        converged, is_penalised, parameters_of, churn_probability, churn_risk, next_order_date
        (the day by which an order is as likely as not, NULL where none is within the horizon) and
        churn_risk_date (the first day at whose midnight P(alive) lay, or without an order will
        lie, below the limit).
    """
    fits = made.models.fits if made.p_alive is not None else ()
    of_fit = made.models.fit_of
    alive = pl.Series("p_alive", made.p_alive, pl.Float64) if fits else pl.lit(None, pl.Float64)
    today, yesterday = pl.lit(run_date), pl.lit(run_date - dt.timedelta(days=1))
    medium, high = risk_bands
    churn = pl.col("churn_probability")

    return (
        histories.with_columns(
            p_alive=alive,
            expected_orders=pl.Series(made.expected_orders),
            predicted_clv=pl.Series(made.predicted_clv),
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
            # P(alive) is first told of her on the day after her last order.
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
        .with_columns(
            churn_risk=pl.when(churn.is_not_null()).then(
                pl.when(churn < medium)
                .then(pl.lit("low"))
                .when(churn < high)
                .then(pl.lit("medium"))
                .otherwise(pl.lit("high"))
            )
        )
        .drop("next_order_in", "churn_age", "churn_in")
    )


def parameters_table(models: Models) -> pl.DataFrame:
    """List the parameters of every fit with their intervals.

    Args:
        models: the fits of a shop.

    Returns:
        A row per model, cohort and parameter; none where the data did not suffice for a fit.
    """
    rows = [row for fit in models.fits for row in (*_of_orders(fit), *_of_values(fit))]
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
