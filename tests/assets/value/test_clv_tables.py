"""Dates, words and rows for the models' numbers."""

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from assets.value.bg_nbd import BgNbd
from assets.value.clv_tables import members_table, parameters_table
from assets.value.fits import Fit, Models
from assets.value.forecast import Forecast
from assets.value.gamma_gamma import GammaGamma
from assets.value.order_days import Losses

RUN_DATE = dt.date(2026, 4, 1)
ORDERS = BgNbd(0.2, 4.0, 0.8, 2.4, -9.0, True, "converged", 40, covariance=np.eye(4) * 0.01)
VALUES = GammaGamma(6.0, 4.0, 15.0, -5.0, True, "converged", 30, covariance=np.eye(3) * 0.04)
POOLED = Fit("pooled", ORDERS, VALUES, is_penalised=False)
RIDGE = Fit("app", replace(ORDERS, message="flat ridge"), VALUES, is_penalised=True)


def made(fits: tuple[Fit, ...], fit_of: list[int], **numbers: list[float]) -> Forecast:
    """A forecast of the given numbers, others without meaning."""
    n = len(fit_of)
    given = {
        "p_alive": np.full(n, 0.5),
        **{
            name: np.full(n, np.nan)
            for name in (
                *("expected_low", "expected_high", "predicted_low", "predicted_high"),
                *("next_order_days", "churn_age_days"),
            )
        },
        "expected_orders": np.ones(n),
        "predicted_clv": np.full(n, 10.0),
        **{name: np.array(values) for name, values in numbers.items()},
    }
    models = Models("bg_nbd_gamma_gamma", "", fits, np.array(fit_of, np.intp), {})
    return Forecast(models=models, metrics={}, **given)


def table(
    forecast: Forecast, T: list[float] | None = None, recency: float = 0.0, **columns: list[object]
) -> pl.DataFrame:
    n = forecast.predicted_clv.size
    histories = pl.DataFrame(
        {
            "frequency": [1] * n,
            "recency": [recency] * n,
            "T": T or [50.0] * n,
            "historic_clv": [3.5] * n,
            "silent_days": [10] * n,
            "silent_stage": [None] * n,
            **columns,
        },
        schema_overrides={"historic_clv": pl.Decimal(18, 4), "silent_stage": pl.String},
    )
    return members_table(
        histories, forecast, run_date=RUN_DATE, risk_bands=(0.33, 0.66), active_days=30
    )


def test_churn_in_words():
    alive = [1.0, 0.68, 0.66, 0.5, 0.35, 0.33, 0.0]
    rows = table(made((POOLED,), [0] * 7, p_alive=alive))
    assert rows["churn_probability"].to_list() == pytest.approx([1 - p for p in alive])
    words = ["low", "low", "medium", "medium", "medium", "high", "high"]
    assert rows["churn_risk"].to_list() == words
    assert set(rows["churn_risk_by"]) == {"model"}


@pytest.mark.parametrize(
    ("alive", "stage", "risk"),
    [
        (0.9, None, ("low", "model")),
        (0.9, "churn_risk", ("medium", "silence")),
        (0.9, "lost", ("high", "silence")),
        (0.5, "churn_risk", ("medium", "model")),
        (0.1, "churn_risk", ("high", "model")),
        (0.1, "lost", ("high", "model")),
        (np.nan, "lost", ("high", "silence")),
        (np.nan, None, ("unknown", "one_order")),
    ],
)
def test_no_risk_says_less_than_the_stage(alive, stage, risk):
    rows = table(made((POOLED,), [0], p_alive=[alive]), silent_stage=[stage])
    assert rows.select("churn_risk", "churn_risk_by").row(0) == risk
    assert rows["p_alive"].to_list() == [None if np.isnan(alive) else alive]


@pytest.mark.parametrize(
    ("silent_days", "frequency", "risk"), [(31, 1, "medium"), (30, 1, "low"), (31, 0, "low")]
)
def test_who_fell_below_the_limit_of_the_stages_is_no_low_risk(silent_days, frequency, risk):
    """P(alive) below min_p_alive makes a repeat buyer a churn risk once they are not active."""
    forecast = made((POOLED,), [0], p_alive=[0.7], churn_age_days=[20.0])
    rows = table(forecast, silent_days=[silent_days], frequency=[frequency])
    assert rows["churn_risk"].to_list() == [risk]


def test_next_order_is_within_so_many_days_of_the_run_date():
    days = [0.2, 1.0, 1.5, 30.0, np.nan]
    rows = table(made((POOLED,), [0] * 5, next_order_days=days))
    # The observation ends with March: the next day is the first that counts.
    assert rows["next_order_date"].to_list() == [
        dt.date(2026, 4, 1),
        dt.date(2026, 4, 1),
        dt.date(2026, 4, 2),
        dt.date(2026, 4, 30),
        None,
    ]


def test_churn_risk_begins_on_the_first_midnight_below_the_limit():
    """At midnight of run_date she is T days old; she lies below from an age over churn_age on."""
    ages = [49.9, 50.0, 50.5, 51.0, 10.0, np.nan]
    rows = table(made((POOLED,), [0] * 6, churn_age_days=ages))
    assert rows["churn_risk_date"].to_list() == [
        dt.date(2026, 4, 1),
        dt.date(2026, 4, 2),
        dt.date(2026, 4, 2),
        dt.date(2026, 4, 3),
        dt.date(2026, 2, 21),
        None,
    ]


def test_who_was_a_risk_right_after_her_order_is_one_from_the_next_midnight():
    rows = table(made((POOLED,), [0] * 3, churn_age_days=[-3.0, 47.2, 48.0]), recency=48.0)
    assert rows["churn_risk_date"].to_list() == [
        dt.date(2026, 3, 30),
        dt.date(2026, 3, 30),
        dt.date(2026, 3, 31),
    ]


def test_each_member_has_the_flags_of_her_own_fit():
    ends = {"predicted_low": [0.0, np.nan], "expected_low": [8.0, np.nan]}
    rows = table(made((POOLED, RIDGE), [0, 1], **ends))
    assert rows["parameters_of"].to_list() == ["pooled", "app"]
    assert rows["converged"].to_list() == [True, False]
    assert rows["is_penalised"].to_list() == [False, True]
    assert rows["predicted_clv_low"].to_list() == [0.0, None]
    assert rows["expected_clv_low"].to_list() == [8.0, None]
    assert rows["total_clv"].to_list() == [13.5, 13.5]


@pytest.mark.parametrize("n_members", [0, 2])
def test_the_fallback_knows_no_probabilities(n_members):
    forecast = replace(made((RIDGE,), [0] * n_members), p_alive=None)
    rows = table(forecast, T=[50.0] * n_members)
    assert rows.height == n_members
    assert rows["parameters_of"].to_list() == ["pooled"] * n_members
    assert not rows["converged"].any() and not rows["is_penalised"].any()
    for name in ("p_alive", "churn_probability", "churn_risk_date"):
        assert rows[name].null_count() == n_members
    assert rows["churn_risk"].to_list() == ["unknown"] * n_members
    assert rows["churn_risk_by"].to_list() == ["no_model"] * n_members
    silent = table(forecast, T=[50.0] * n_members, silent_stage=["lost"] * n_members)
    assert silent["churn_risk"].to_list() == ["high"] * n_members
    assert rows.schema["next_order_date"] == pl.Date
    assert rows.schema["churn_risk"] == pl.String


def test_parameters_with_their_intervals():
    rows = parameters_table(made((POOLED, RIDGE), [0, 1]).models)
    assert rows.height == 14
    (alpha,) = rows.filter(parameter="alpha", cohort="pooled").to_dicts()
    assert (alpha["model"], alpha["value"], alpha["standard_error"]) == ("bg_nbd", 4.0, 0.1)
    assert alpha["ci_high"] == pytest.approx(4 * np.exp(0.269), rel=1e-3)
    assert (alpha["n_members"], alpha["log_likelihood"], alpha["converged"]) == (40, -9.0, True)
    # A prior's parameters are given, but not as if the data had bounded them.
    held = rows.filter(model="bg_nbd", cohort="app")
    assert held["ci_low"].null_count() == 4 and held["value"].null_count() == 0
    assert held["is_ridge"].all() and held["is_penalised"].all() and not held["converged"].any()
    values = rows.filter(model="gamma_gamma", cohort="app")
    assert values["converged"].all() and not values["is_penalised"].any()
    assert values["n_members"].to_list() == [30, 30, 30]


def test_days_with_a_loss_are_parameters_too():
    losses = Losses(0.2, 4.0, -40.0, share_error=0.01, mean_error=2.0, log_likelihood=-7.0)
    rows = parameters_table(made((replace(POOLED, losses=losses),), [0]).models)
    of = {row["parameter"]: row for row in rows.filter(model="loss_days").to_dicts()}
    assert {name: row["value"] for name, row in of.items()} == {
        "share": 0.2,
        "mean": -40.0,
        "concentration": 4.0,
    }
    assert of["mean"]["ci_low"] == pytest.approx(-43.92, abs=1e-2)
    assert of["share"]["ci_high"] == pytest.approx(0.2196, abs=1e-4)
    alike = parameters_table(
        made((replace(POOLED, losses=replace(losses, concentration=np.inf)),), [0]).models
    )
    assert alike.filter(model="loss_days").height == 2


def test_no_fit_no_parameters():
    assert parameters_table(made((), []).models).is_empty()


def test_the_modified_model_is_named():
    modified = replace(POOLED, orders=replace(ORDERS, leaves_after_first=True))
    rows = parameters_table(made((modified,), [0]).models)
    assert set(rows["model"]) == {"mbg_nbd", "gamma_gamma"}
