"""Purchase histories as Fader and Hardie define them, and what the models make of them."""

import datetime as dt
from decimal import Decimal

import polars as pl
import pytest

from assets.clean.contracts import MEMBERS
from assets.features.contracts import MEMBER_DAYS
from assets.raw.contracts import LOADS
from assets.value import assets
from assets.value.contracts import CLV, CLV_BACKTEST, CLV_PARAMETERS, CLV_TRACKING
from resources.shop import ShopConfig
from resources.warehouse import read_sql
from tests.calling import called

LOAD_DATE = dt.date(2026, 3, 31)
RUN_DATE = dt.date(2026, 4, 1)


def order_days(*days: tuple[int, float], member_id: int = 1) -> list[dict[str, object]]:
    """Order days, given as days before the run date and margin."""
    return [
        {
            "member_id": member_id,
            "date": RUN_DATE - dt.timedelta(days=ago),
            "n_orders": 1,
            "margin": margin,
        }
        for ago, margin in days
    ]


@pytest.fixture
def history(tables):
    """The one history that the given days make."""

    def run(days):
        tables.given(MEMBER_DAYS, days)
        frame = tables.session.frame(read_sql("value/clv.sql"), tables.shop.parameters(LOAD_DATE))
        (row,) = frame.to_dicts()
        return row

    return run


def test_history_of_a_repeat_buyer(history):
    row = history(order_days((100, 90), (60, 10), (40, 20)))
    assert (row["frequency"], row["recency"], row["T"]) == (2, 60, 99)
    assert row["monetary_value"] == 15, "the first order is left out"
    assert row["historic_clv"] == 120
    assert (row["margin_per_order_day"], row["average_gap_days"]) == (40, 30)


def test_one_order_is_no_repeat(history):
    row = history(order_days((100, 90)))
    assert (row["frequency"], row["recency"], row["T"]) == (0, 0, 99)
    assert row["monetary_value"] == 0
    assert (row["margin_per_order_day"], row["average_gap_days"]) == (90, None)


def test_days_sold_at_a_loss_count_in_frequency_and_in_value(history):
    row = history(order_days((100, 90), (60, 10), (40, -4)))
    assert (row["frequency"], row["monetary_value"]) == (2, 3)
    assert (row["profitable_repeats"], row["profitable_value"]) == (1, 10)
    assert row["historic_clv"] == 96


@pytest.mark.parametrize(
    ("days", "stage"),
    [
        (((91,)), "churn_risk"),
        (((90,)), None),
        (((180,)), "churn_risk"),
        (((181,)), "lost"),
        # Over twice the median gap, 10 days, but never within active_days.
        ((31, 41, 51), "churn_risk"),
        ((30, 40, 50), None),
        ((41, 61, 81), "churn_risk"),
        ((40, 60, 80), None),
    ],
)
def test_silence_alone_makes_a_stage(history, days, stage):
    row = history(order_days(*((ago, 5) for ago in days)))
    assert (row["silent_stage"], row["silent_days"]) == (stage, min(days))


def test_days_without_an_order_are_no_order_days(history):
    browsing = {"member_id": 1, "date": dt.date(2026, 1, 1), "n_views": 5}
    given_back = {"member_id": 1, "date": dt.date(2026, 3, 1), "margin": -2}
    row = history([browsing, given_back, *order_days((50, 9))])
    assert (row["frequency"], row["T"], row["historic_clv"]) == (0, 49, 7)


@pytest.fixture
def materialise(tmp_path, warehouse, tables):
    """Runs the four assets on given days and returns value.clv and everything's metadata."""

    def run(days: pl.DataFrame, load_date: dt.date, terms: str = "", members=()):
        (tmp_path / "shop.yaml").write_text(
            "name: test\ntime_zone: Asia/Shanghai\nbase_currency: CNY\n"
            f"first_load_date: 1990-01-01\nclv: {{{terms}}}\n",
            encoding="utf-8",
        )
        tables.given(LOADS, [{"load_date": load_date}])
        tables.given(MEMBERS, members)
        tables.given(MEMBER_DAYS)
        columns = {
            column.name: "0" if column.type in ("bigint", "integer") else "date"
            for column in MEMBER_DAYS.columns
            if not column.nullable and column.name not in ("member_id", "date")
        }
        columns |= {"margin": "margin", "net_revenue": "margin", "n_orders": "n_orders"}
        picked = ", ".join(f"{value} as {name}" for name, value in columns.items())
        with tables.session.offering(days=days):
            tables.session.execute(
                f"insert into features.member_days by name select member_id, date, {picked}"
                " from days"
            )
        shop, metadata = ShopConfig(folder=str(tmp_path)), {}
        for contract in (CLV, CLV_PARAMETERS, CLV_BACKTEST, CLV_TRACKING):
            result = called(getattr(assets, contract.table), shop=shop, warehouse=warehouse)
            metadata[contract.table] = result.metadata
            assert tables.offending(contract) == {}
        return (
            tables.session.frame("select * from value.clv order by member_id"),
            metadata["clv"],
            metadata,
        )

    return run


def frame_of(rows: list[dict[str, object]]) -> pl.DataFrame:
    schema = {
        "member_id": pl.Int64,
        "date": pl.Date,
        "n_orders": pl.Int64,
        "margin": pl.Decimal(18, 4),
    }
    return pl.DataFrame(
        [{**row, "margin": Decimal(str(row["margin"]))} for row in rows], schema=schema
    )


def test_a_young_shop_gets_the_fallback(materialise, tables):
    days = frame_of(order_days((100, 90), (60, 10)) + order_days((30, 50), member_id=2))
    rows, metadata, _ = materialise(days, LOAD_DATE)
    assert rows["method"].to_list() == ["fallback", "fallback"]
    for unknown in (
        *("p_alive", "churn_probability", "churn_risk_date", "next_order_date"),
        *("predicted_clv_low", "predicted_clv_high", "expected_clv_low", "expected_clv_high"),
    ):
        assert rows[unknown].to_list() == [None, None], unknown
    assert rows["parameters_of"].to_list() == ["pooled", "pooled"]
    assert not rows["is_penalised"].any()
    assert rows["total_clv"].to_list() == pytest.approx(
        [100 + rows["predicted_clv"][0], 50 + rows["predicted_clv"][1]]
    )
    assert set(rows["churn_risk"]) == {"unknown"}
    for table in (CLV_PARAMETERS, CLV_TRACKING):
        assert tables.rows(table) == []
    # The one who had ordered by the split did so once more within its 90 days.
    (tested,) = [row for row in tables.rows(CLV_BACKTEST) if row["bucket"] == "all"]
    assert (tested["n_members"], tested["actual_orders"], tested["method"]) == (1, 1, "fallback")
    assert tested["verdict"] == "cannot_tell" and tested["reason"]
    assert not rows["converged"].any()
    assert (rows["predicted_clv"] > 0).all()
    assert (rows["expected_orders"] > 0).all()
    assert metadata["method"] == "fallback"
    assert metadata["reason"] == "2 buyers, 500 needed"
    assert (metadata["n_buyers"], metadata["n_repeat_buyers"]) == (2, 1)


def test_a_shop_without_orders_has_no_values(materialise):
    rows, metadata, _ = materialise(frame_of([]), LOAD_DATE)
    assert rows.columns == list(CLV.column_names)
    assert rows.is_empty()
    assert metadata["dagster/row_count"] == 0


def each(n_members: int, *days: tuple[int, float]) -> list[dict[str, object]]:
    """The same order days for every member, a little apart so that not all are one."""
    return [
        row
        for member_id in range(n_members)
        for row in order_days(
            *((ago + member_id % 5, margin) for ago, margin in days), member_id=member_id
        )
    ]


DEGENERATE = {
    "one order": order_days((10, 5)),
    "one member": order_days(*((ago, 5 + ago % 3) for ago in range(1, 300, 7))),
    "all on one day": [
        row for member in range(600) for row in order_days((20, 5), member_id=member)
    ],
    "nobody came back": each(600, (200, 5), (1, 5))[::2] + each(600, (3, 5))[:1],
    "all refunded": each(600, (250, 0), (150, 0), (120, 0), (20, 0)),
    "all at a loss": each(600, (250, -5), (150, -2), (120, -2), (20, -9)),
    "all alike": each(600, (250, 5), (150, 5), (120, 5), (20, 5)),
    "nothing sold for long": each(600, (400, 5), (300, 5), (250, 5), (200, 5)),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_shops_have_every_table(materialise, name):
    days = frame_of(DEGENERATE[name])
    rows, metadata, _ = materialise(days, LOAD_DATE)
    assert rows.height == days["member_id"].n_unique()
    assert rows["method"].unique().to_list() == ["fallback"], metadata["reason"]
    assert metadata["reason"]
    for number in ("predicted_clv", "expected_orders", "total_clv", "margin_per_order_day"):
        assert rows[number].is_finite().all()
    assert (rows["predicted_clv"] < 0).any() == (name == "all at a loss")
    assert set(rows["churn_risk_by"]) <= {"no_model", "silence"}


def cdnow_days(path) -> pl.DataFrame:
    """The orders of the sample, by customer and day."""
    purchases = [line.split() for line in path.read_text().splitlines() if line.strip()]
    return (
        pl.DataFrame(
            {
                "member_id": [int(fields[1]) for fields in purchases],
                "date": [dt.datetime.strptime(fields[2], "%Y%m%d").date() for fields in purchases],  # noqa: DTZ007
                "margin": [float(fields[4]) for fields in purchases],
            }
        )
        .group_by("member_id", "date")
        .agg(pl.col("margin").sum().cast(pl.Decimal(18, 4)), n_orders=pl.lit(1))
    )


def test_the_cdnow_sample_gives_the_published_parameters(materialise, shared_data, tables):
    """Fader, Hardie and Lee 2005 and Fader and Hardie 2013, from single orders to parameters."""
    days = cdnow_days(shared_data("cdnow/CDNOW_sample.txt"))
    rows, metadata, _ = materialise(days, dt.date(1997, 9, 30))
    assert rows.height == 2357
    assert rows["method"].unique().to_list() == ["bg_nbd_gamma_gamma"]
    fitted = [metadata[f"bg_nbd_{name}"] for name in ("r", "alpha_weeks", "a", "b")]
    assert fitted == pytest.approx([0.243, 4.414, 0.793, 2.426], abs=5e-4)
    assert metadata["bg_nbd_log_likelihood"] == pytest.approx(-9582.4, abs=0.05)
    assert metadata["gamma_gamma_n_members"] == 946
    spend = [metadata[f"gamma_gamma_{name}"] for name in ("p", "q", "v")]
    assert spend == pytest.approx([6.25, 3.74, 15.44], abs=5e-3)
    assert rows["p_alive"].drop_nulls().is_between(0, 1).all()
    assert ((rows["frequency"] == 0) == rows["p_alive"].is_null()).all()
    # lifetimes 0.11.3 gives 30.3385 with a month of 30.415 days.
    assert rows["predicted_clv"].mean() == pytest.approx(30.3385, abs=0.01)
    assert rows["converged"].all() and not rows["is_penalised"].any()
    expected = rows["historic_clv"].cast(pl.Float64) + rows["predicted_clv"]
    assert rows["total_clv"].to_list() == pytest.approx(expected.to_list())
    # Her dates say the same as her probabilities.
    run_date = dt.date(1997, 10, 1)
    is_due = pl.col("churn_risk_date") <= run_date
    is_below = (pl.col("p_alive") < 0.33).fill_null(False)
    assert rows.filter(is_due.fill_null(False) != is_below).is_empty()
    assert rows.filter(is_due).height > 100
    has_date = rows.filter(pl.col("next_order_date").is_not_null())
    assert has_date.height > 100 and (has_date["p_alive"].fill_null(1) > 0.5).all()
    assert has_date["next_order_date"].is_between(run_date, dt.date(1998, 10, 1)).all()
    bands = (
        rows.filter(churn_risk_by="model")
        .group_by("churn_risk")
        .agg(low=pl.col("churn_probability").min(), high=pl.col("churn_probability").max())
    )
    limits = {name: (low, high) for name, low, high in bands.iter_rows()}
    assert limits["low"][1] < 0.33 <= limits["medium"][0]
    assert limits["medium"][1] < 0.66 <= limits["high"][0]

    fits = {(row["model"], row["parameter"]): row for row in tables.rows(CLV_PARAMETERS)}
    assert len(fits) == 7 and {row["cohort"] for row in fits.values()} == {"pooled"}
    assert all(row["converged"] and not row["is_ridge"] for row in fits.values())
    assert fits["bg_nbd", "alpha"]["value"] == pytest.approx(4.414, abs=5e-4)
    assert fits["bg_nbd", "alpha"]["standard_error"] == pytest.approx(0.0857, abs=1e-4)
    assert fits["gamma_gamma", "q"]["n_members"] == 946
    assert all(row["ci_low"] < row["value"] < row["ci_high"] for row in fits.values())


def test_the_backtest_of_the_cdnow_sample_is_the_published_one(materialise, shared_data, tables):
    """Paper, section 7: 39 weeks known, 39 more; 4 % under by week 78, a correlation of .626."""
    days = cdnow_days(shared_data("cdnow/CDNOW_sample.txt"))
    _, _, metadata = materialise(
        days, dt.date(1998, 6, 30), terms="holdout_days: 273, min_days: 100, max_idle_days: 60"
    )
    weeks = tables.rows(CLV_TRACKING)
    assert [row["week"] for row in weeks] == list(range(1, 79))
    assert sum(not row["is_holdout"] for row in weeks) == 39
    assert (weeks[0]["week_date"], weeks[38]["week_date"], weeks[77]["week_date"]) == (
        dt.date(1997, 1, 7),
        dt.date(1997, 9, 30),
        dt.date(1998, 6, 30),
    )
    assert -0.05 < weeks[77]["expected_repeats"] / weeks[77]["actual_repeats"] - 1 < -0.03
    found = metadata["clv_tracking"]
    assert found["tracking_error_rate"] == pytest.approx(-0.0411, abs=1e-4)
    assert found["holdout_correlation"] == pytest.approx(0.6256, abs=1e-4)
    assert any(type(value).__name__ == "MarkdownMetadataValue" for value in found.values())

    buckets = {row["bucket"]: row for row in tables.rows(CLV_BACKTEST)}
    assert set(buckets) == {*"0123456", "7+", "all"}
    nobody = buckets["0"]
    assert (nobody["n_members"], nobody["calibration_orders"], nobody["actual_orders"]) == (
        1411,
        0,
        334,
    )
    assert nobody["expected_orders"] / 1411 == pytest.approx(0.225, abs=1e-3)
    for measure in ("n_members", "calibration_orders", "actual_orders", "expected_orders"):
        parts = sum(row[measure] for bucket, row in buckets.items() if bucket != "all")
        assert parts == pytest.approx(buckets["all"][measure])
    assert buckets["all"]["n_members"] == 2357
    assert buckets["all"]["error_rate"] == pytest.approx(-0.121, abs=2e-3)


def test_cohorts_of_the_shop_are_fitted_apart(materialise, shared_data, tables):
    days = cdnow_days(shared_data("cdnow/CDNOW_sample.txt"))
    members = [
        {"member_id": member_id, "channel": "app" if member_id % 3 else "web"}
        for member_id in days["member_id"].unique()
    ]
    rows, _, _ = materialise(
        days,
        dt.date(1997, 9, 30),
        terms="cohort_column: channel, min_cohort: 900",
        members=members,
    )
    of = dict(rows.group_by("parameters_of").agg(pl.len()).iter_rows())
    n_app = sum(member["channel"] == "app" for member in members)
    assert of == {"app": n_app, "pooled": len(members) - n_app}
    fits = tables.rows(CLV_PARAMETERS)
    assert {row["cohort"] for row in fits} == {"app", "pooled"} and len(fits) == 14
    assert {row["n_members"] for row in fits if row["model"] == "bg_nbd"} == {n_app, len(members)}
