"""The split, the buckets and the weeks, by hand and on a shop that follows the models."""

import datetime as dt
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from assets.value.backtest import backtest
from assets.value.fits import Terms, fit_models
from assets.value.lifetime_value import DataGate, fallback_orders

START = dt.date(2025, 1, 1)
TERMS = Terms(DataGate(100, 30, 2, 60), one_time_share=0.9, min_cohort=10**6)


def drawn(n_members: int, n_days: int, seed: int = 4) -> pl.DataFrame:
    """Order days by BG/NBD's own story, from START on; everybody's first in the first 60 days."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, dt.date, float]] = []
    for member in range(n_members):
        first = int(rng.integers(0, 60))
        rate, leaving = rng.gamma(0.8, 1 / 40), rng.beta(0.8, 2.5)
        level = 50 / rng.gamma(4)
        days, moment = {first}, float(first)
        while True:
            moment += rng.exponential(1 / rate)
            if moment >= n_days:
                break
            days.add(int(moment))
            if rng.random() < leaving:
                break
        rows += [
            (member, START + dt.timedelta(days=day), level * rng.gamma(6)) for day in sorted(days)
        ]
    return pl.DataFrame(rows, schema=["member_id", "date", "margin"], orient="row")


def histories_at(order_days: pl.DataFrame, split: dt.date) -> pl.DataFrame:
    """Histories as sql/value/clv.sql defines them."""
    date = pl.col("date")
    return (
        order_days.filter(date < split)
        .sort("member_id", "date")
        .group_by("member_id", maintain_order=True)
        .agg(
            frequency=pl.len().cast(pl.Int64) - 1,
            recency=(date.max() - date.min()).dt.total_days().cast(pl.Float64),
            T=(pl.lit(split) - date.min()).dt.total_days().cast(pl.Float64) - 1,
            monetary_value=pl.col("margin").slice(1).mean().fill_null(0.0),
            profitable_repeats=(pl.col("margin").slice(1) > 0).sum().cast(pl.Int64),
            profitable_value=pl.col("margin")
            .slice(1)
            .filter(pl.col("margin").slice(1) > 0)
            .mean()
            .fill_null(0.0),
        )
    )


@pytest.fixture(scope="module")
def order_days() -> pl.DataFrame:
    """A shop of a year."""
    return drawn(1500, 365)


def run(
    order_days,
    split_day=200,
    until_day=330,
    terms=TERMS,
    cohorts=None,
    served_by=None,
    largest=0.05,
):
    split, until = (START + dt.timedelta(days=day) for day in (split_day, until_day))
    return backtest(
        histories_at(order_days, split),
        order_days,
        split=split,
        until=until,
        terms=terms,
        largest_error=largest,
        served_by=served_by,
        cohorts=cohorts,
    )


def test_buckets_count_what_came(order_days):
    made = run(order_days)
    split, until = START + dt.timedelta(days=200), START + dt.timedelta(days=330)
    histories = histories_at(order_days, split)
    came = order_days.filter(pl.col("date").is_between(split, until, closed="left"))
    joined = histories.join(
        came.group_by("member_id").agg(n=pl.len(), value=pl.col("margin").sum()),
        on="member_id",
        how="left",
    ).fill_null(0)
    rows = {row["bucket"]: row for row in made.buckets.to_dicts()}
    for bucket, row in rows.items():
        whom = {
            "all": pl.lit(True),
            "7+": pl.col("frequency") >= 7,
        }.get(bucket, pl.col("frequency") == int(bucket) if bucket.isdigit() else None)
        members = joined.filter(whom)
        assert row["n_members"] == members.height
        assert row["calibration_orders"] == members["frequency"].sum()
        assert row["actual_orders"] == members["n"].sum()
        assert row["actual_value"] == pytest.approx(members["value"].sum())
        assert row["error_rate"] == pytest.approx(row["expected_orders"] / row["actual_orders"] - 1)
    assert rows["all"]["n_members"] == 1500
    assert list(made.buckets["bucket"]) == sorted(rows)


def test_the_models_foresee_a_shop_that_follows_them(order_days):
    made = run(order_days)
    assert {type(value) for value in made.metrics.values()} == {float}, "Dagster takes no other"
    assert abs(made.metrics["holdout_error_rate"]) < 0.15
    assert abs(made.metrics["holdout_value_error_rate"]) < 0.25
    assert abs(made.metrics["tracking_error_rate"]) < 0.04
    assert made.metrics["holdout_correlation"] > 0.6
    (row,) = made.buckets.filter(pl.col("bucket") == "all").to_dicts()
    # Worse than knowing everything, better than expecting the same of everybody.
    later = order_days.filter(pl.col("date") >= START + dt.timedelta(days=200))
    n = later.filter(pl.col("date") < START + dt.timedelta(days=330)).height
    assert 0 < row["mae"] < 2 * n / 1500


def test_weeks_add_up_and_end_at_the_split_and_at_the_end(order_days):
    made = run(order_days)
    first = order_days["date"].min()
    weeks = made.weeks
    dates = weeks["week_date"].to_list()
    assert weeks["week"].to_list() == list(range(1, weeks.height + 1))
    assert START + dt.timedelta(days=199) in dates and dates[-1] == START + dt.timedelta(days=329)
    steps = {(late - early).days for early, late in pairwise(dates[:-1])}
    assert steps == {7} and 1 <= (dates[0] - first).days + 1 <= 7
    assert 1 <= (dates[-1] - dates[-2]).days <= 7
    split = START + dt.timedelta(days=200)
    assert weeks["is_holdout"].to_list() == [date >= split for date in dates]
    for row in weeks[::9].to_dicts():
        so_far = order_days.filter(pl.col("date") <= row["week_date"])
        assert row["actual_repeats"] == so_far.height - so_far["member_id"].n_unique()
    assert weeks["expected_repeats"].is_sorted()


def test_expected_weeks_are_the_sum_over_members(order_days):
    made = run(order_days)
    split = START + dt.timedelta(days=200)
    histories = histories_at(order_days, split)
    (fit,) = fit_models(
        *(histories[name] for name in ("frequency", "recency", "T", "monetary_value")),
        terms=TERMS,
    ).fits
    row = made.weeks.row(20, named=True)
    # On a day before the split she is younger than T by so much, or not a member yet.
    age = histories["T"].to_numpy() - (split - dt.timedelta(days=1) - row["week_date"]).days
    expected = fit.orders.expected_purchases_new(np.maximum(age, 0) / 7).sum()
    assert row["expected_repeats"] == pytest.approx(expected)


def test_members_who_came_after_the_split_are_left_out(order_days):
    late = pl.DataFrame(
        {
            "member_id": [9001] * 3,
            "date": [START + dt.timedelta(days=day) for day in (210, 220, 230)],
            "margin": [5.0] * 3,
        }
    )
    with_late, without = run(pl.concat([order_days, late])), run(order_days)
    assert with_late.buckets.equals(without.buckets)
    assert with_late.weeks.equals(without.weeks)


def test_the_order_of_rows_changes_nothing(order_days):
    shuffled = run(order_days.sample(fraction=1, shuffle=True, seed=3))
    made = run(order_days)
    assert shuffled.weeks.equals(made.weeks)
    assert shuffled.buckets.drop("actual_value").equals(made.buckets.drop("actual_value"))


def test_cohorts_are_tested_by_their_own_fits(order_days):
    split = START + dt.timedelta(days=200)
    n = histories_at(order_days, split).height
    cohorts = ["app"] * 800 + ["web"] * (n - 800)
    made = run(order_days, terms=Terms(TERMS.gate, 0.9, 500), cohorts=cohorts)
    pooled = run(order_days)
    # Two halves of one kind: apart they are foreseen much as together.
    total, together = (
        each.buckets.filter(pl.col("bucket") == "all")["expected_orders"][0]
        for each in (made, pooled)
    )
    assert total != together and total == pytest.approx(together, rel=0.1)
    assert abs(made.metrics["tracking_error_rate"]) < 0.05


def test_a_shop_too_young_for_models_has_the_backtest_of_the_fallback(order_days):
    made = run(order_days, split_day=20, until_day=110)
    assert made.weeks.is_empty() and made.reason.endswith("days of orders, 30 needed")
    total = made.buckets.row(-1, named=True)
    histories = histories_at(order_days, START + dt.timedelta(days=20))
    assert (total["bucket"], total["n_members"]) == ("all", histories.height)
    expected = fallback_orders(90 / 7, histories["frequency"], histories["T"] / 7).sum()
    assert total["expected_orders"] == pytest.approx(expected)
    assert total["actual_orders"] > 0 and total["method"] == "fallback"
    full = run(order_days)
    assert made.buckets.schema == full.buckets.schema and made.weeks.schema == full.weeks.schema
    # What serves today was not tested then.
    now = run(order_days, split_day=20, until_day=110, served_by="bg_nbd_gamma_gamma")
    assert now.buckets["verdict"].unique().to_list() == ["cannot_tell"]
    assert "no holdout has tested" in now.buckets["reason"][-1]


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_the_fallback_of_a_small_old_shop_knows_who_left(seed):
    """200 buyers, 275 days known, 90 to come. A plain rate, which nobody leaves, was 44 % above."""
    order_days = drawn(200, 365, seed)
    terms = Terms(DataGate(), one_time_share=0.7, min_cohort=1000)
    made = run(order_days, split_day=275, until_day=365, terms=terms, served_by="fallback")
    total = made.buckets.row(-1, named=True)
    assert total["method"] == "fallback" and total["verdict"] in ("holds", "cannot_tell")
    assert "a prior holds the order model" in made.reason
    histories = histories_at(order_days, START + dt.timedelta(days=275))
    plain = fallback_orders(90 / 7, histories["frequency"], histories["T"] / 7).sum()
    actual = total["actual_orders"]
    assert abs(total["expected_orders"] - actual) < 0.5 * abs(plain - actual)


def test_a_history_shorter_than_the_holdout_says_so(order_days):
    made = run(order_days, split_day=-10, until_day=80)
    (total,) = made.buckets.to_dicts()
    assert (total["bucket"], total["n_members"], total["verdict"]) == ("all", 0, "cannot_tell")
    assert total["error_rate"] is None and "the history is too short" in total["reason"]


@pytest.mark.parametrize(
    ("times", "members", "largest", "verdict"),
    [(1, 1500, 0.15, "holds"), (3, 1500, 0.15, "off"), (1, 40, 0.05, "cannot_tell")],
)
def test_the_verdict_tells_chance_from_error(order_days, times, members, largest, verdict):
    """A shop as foreseen; one whose orders bring thrice as much of a sudden; a small one."""
    split = START + dt.timedelta(days=200)
    given = order_days.filter(pl.col("member_id") < members).with_columns(
        margin=pl.when(pl.col("date") < split)
        .then(pl.col("margin"))
        .otherwise(pl.col("margin") * times)
    )
    made = run(given, terms=Terms(DataGate(10, 30, 2, 60), 0.9, 10**6), largest=largest)
    total = made.buckets.row(-1, named=True)
    assert set(made.buckets["verdict"]) == {verdict}, total
    for rate in ("error_rate", "value_error_rate"):
        assert total[f"{rate}_low"] < total[rate] < total[f"{rate}_high"]
    width = total["error_rate_high"] - total["error_rate_low"]
    assert (width > 0.5) == (members == 40)
    assert f"{total['value_error_rate']:+.1%}" in total["reason"]


def test_a_shop_that_nobody_comes_back_to_has_no_rates(order_days):
    split = START + dt.timedelta(days=200)
    made = run(order_days.filter(pl.col("date") < split), until_day=230)
    (row,) = made.buckets.filter(pl.col("bucket") == "all").to_dicts()
    assert row["actual_orders"] == 0 and row["error_rate"] is None and row["expected_orders"] > 0
    assert "holdout_correlation" not in made.metrics
    assert "holdout_error_rate" not in made.metrics


def test_a_holdout_without_value_has_no_rate_of_it(order_days):
    split = START + dt.timedelta(days=200)
    given_away = order_days.with_columns(
        margin=pl.when(pl.col("date") < split).then(pl.col("margin")).otherwise(0.0)
    )
    metrics = run(given_away).metrics
    assert "holdout_value_error_rate" not in metrics and "holdout_error_rate" in metrics


def test_a_holdout_has_a_day_or_more(order_days):
    with pytest.raises(ValueError, match="holdout"):
        run(order_days, split_day=200, until_day=200)
