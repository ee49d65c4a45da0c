"""Purchase histories as Fader and Hardie define them, and what the models make of them."""

import datetime as dt
from decimal import Decimal

import polars as pl
import pytest

from assets.features.contracts import MEMBER_DAYS
from assets.raw.contracts import LOADS
from assets.value.assets import clv
from assets.value.contracts import CLV
from resources.shop import ShopConfig
from resources.warehouse import read_sql

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


def test_one_order_is_no_repeat(history):
    row = history(order_days((100, 90)))
    assert (row["frequency"], row["recency"], row["T"]) == (0, 0, 99)
    assert row["monetary_value"] == 0


def test_days_sold_at_a_loss_are_orders_without_a_value(history):
    row = history(order_days((100, 90), (60, 10), (40, -4)))
    assert row["frequency"] == 2
    assert row["monetary_value"] == 10
    assert row["historic_clv"] == 96


def test_days_without_an_order_are_no_order_days(history):
    browsing = {"member_id": 1, "date": dt.date(2026, 1, 1), "n_views": 5}
    given_back = {"member_id": 1, "date": dt.date(2026, 3, 1), "margin": -2}
    row = history([browsing, given_back, *order_days((50, 9))])
    assert (row["frequency"], row["T"], row["historic_clv"]) == (0, 49, 7)


@pytest.fixture
def materialise(tmp_path, warehouse, tables):
    """Runs the asset on given days and returns its table and its metadata."""

    def run(days: pl.DataFrame, load_date: dt.date):
        (tmp_path / "shop.yaml").write_text(
            "name: test\ntime_zone: Asia/Shanghai\nbase_currency: CNY\n"
            "first_load_date: 1990-01-01\n",
            encoding="utf-8",
        )
        tables.given(LOADS, [{"load_date": load_date}])
        tables.given(MEMBER_DAYS)
        with tables.session.offering(days=days):
            tables.session.execute(
                "insert into features.member_days by name"
                " select member_id, date, margin, n_orders, 0 as n_views, 0 as n_carts,"
                " 0 as n_shares, 0 as n_sessions, margin as net_revenue from days"
            )
        result = clv(shop=ShopConfig(folder=str(tmp_path)), warehouse=warehouse)
        assert tables.offending(CLV) == {}
        return tables.session.frame("select * from value.clv order by member_id"), result.metadata

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


def test_a_young_shop_gets_the_fallback(materialise):
    days = frame_of(order_days((100, 90), (60, 10)) + order_days((30, 50), member_id=2))
    rows, metadata = materialise(days, LOAD_DATE)
    assert rows["method"].to_list() == ["fallback", "fallback"]
    assert rows["p_alive"].to_list() == [None, None]
    assert not rows["converged"].any()
    assert (rows["predicted_clv"] > 0).all()
    assert (rows["expected_orders"] > 0).all()
    assert metadata["method"] == "fallback"
    assert metadata["reason"] == "2 buyers, 500 needed"
    assert (metadata["n_buyers"], metadata["n_repeat_buyers"]) == (2, 1)


def test_a_shop_without_orders_has_no_values(materialise):
    rows, metadata = materialise(frame_of([]), LOAD_DATE)
    assert rows.columns == list(CLV.column_names)
    assert rows.is_empty()
    assert metadata["dagster/row_count"] == 0


def test_the_cdnow_sample_gives_the_published_parameters(materialise, shared_data):
    """Fader, Hardie and Lee 2005 and Fader and Hardie 2013, from single orders to parameters."""
    path = shared_data("cdnow/CDNOW_sample.txt")
    purchases = [line.split() for line in path.read_text().splitlines() if line.strip()]
    days = (
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
    rows, metadata = materialise(days, dt.date(1997, 9, 30))
    assert rows.height == 2357
    assert rows["method"].unique().to_list() == ["bg_nbd_gamma_gamma"]
    fitted = [metadata[f"bg_nbd_{name}"] for name in ("r", "alpha_weeks", "a", "b")]
    assert fitted == pytest.approx([0.243, 4.414, 0.793, 2.426], abs=5e-4)
    assert metadata["bg_nbd_log_likelihood"] == pytest.approx(-9582.4, abs=0.05)
    assert metadata["gamma_gamma_n_members"] == 946
    spend = [metadata[f"gamma_gamma_{name}"] for name in ("p", "q", "v")]
    assert spend == pytest.approx([6.25, 3.74, 15.44], abs=5e-3)
    assert rows["p_alive"].is_between(0, 1).all()
    # lifetimes 0.11.3 gives 30.3385 with a month of 30.415 days.
    assert rows["predicted_clv"].mean() == pytest.approx(30.3385, abs=0.01)
