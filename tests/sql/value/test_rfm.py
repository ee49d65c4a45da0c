"""Scores by value, ties share them, and the shop's rules name the segments."""

import datetime as dt
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.features.contracts import MEMBER_DAYS
from assets.raw.contracts import LOADS
from assets.value.assets import rfm
from assets.value.contracts import RFM
from resources.shop import ShopConfig
from tests.calling import called

LOAD_DATE = dt.date(2026, 3, 31)
RUN_DATE = dt.date(2026, 4, 1)


def day(member_id: int, ago: int, n_orders: int = 1, net_revenue: float = 10) -> dict[str, object]:
    return {
        "member_id": member_id,
        "date": RUN_DATE - dt.timedelta(days=ago),
        "n_orders": n_orders,
        "net_revenue": net_revenue,
    }


@pytest.fixture
def run(tables, tmp_path, warehouse):
    """Runs the asset on given days, with the rules of shop.yaml if any are given."""

    def materialise(days, rules: str = "") -> pl.DataFrame:
        (tmp_path / "shop.yaml").write_text(
            "name: test\ntime_zone: Asia/Shanghai\nbase_currency: CNY\n"
            f"first_load_date: 2026-01-01\n{rules}",
            encoding="utf-8",
        )
        tables.given(LOADS, [{"load_date": LOAD_DATE}])
        tables.given(MEMBER_DAYS, days)
        called(rfm, shop=ShopConfig(folder=str(tmp_path)), warehouse=warehouse)
        assert tables.offending(RFM) == {}
        return tables.session.frame("select * from value.rfm order by member_id")

    return materialise


def test_nobody_has_scores_before_the_first_order(run):
    assert run([day(1, 3, n_orders=0, net_revenue=0)]).is_empty()


def test_five_different_members_get_five_different_scores(run):
    rows = run([day(n, ago=60 - 10 * n, n_orders=n, net_revenue=100 * n) for n in range(1, 6)])
    for score in ("r", "f", "m"):
        assert rows[score].to_list() == [1, 2, 3, 4, 5]
    assert rows["days_since_last"].to_list() == [50, 40, 30, 20, 10]
    assert rows["spend"].to_list() == [Decimal(100 * n) for n in range(1, 6)]


def test_equal_values_share_a_score(run):
    rows = run([day(n, ago=7 * (n // 4), net_revenue=n // 3) for n in range(3, 12)])
    for value, score in (("days_since_last", "r"), ("spend", "m")):
        pairs = rows.select(value, score).unique()
        assert pairs.height == pairs[value].n_unique() > 1


@pytest.mark.parametrize("n_members", [1, 7])
def test_where_all_are_level_they_are_recent_and_else_score_the_middle(run, n_members):
    rows = run([day(n, ago=7) for n in range(n_members)])
    assert rows.select("r", "f", "m").rows() == [(5, 3, 3)] * n_members
    assert rows["segment"].unique().to_list() == ["recent"]


def test_each_score_finds_its_ties_by_itself(run):
    """One-time buyers all, of one amount, on different days."""
    rows = run([day(n, ago=10 * n) for n in range(1, 6)])
    assert rows["r"].to_list() == [5, 4, 3, 2, 1]
    assert rows.select("f", "m").unique().rows() == [(3, 3)]


def test_buyers_of_the_newest_day_are_recent_however_many_they_are(run):
    newest = [day(n, ago=1, n_orders=1 + n % 4) for n in range(1, 9)]
    rows = run([*newest, day(9, ago=40), day(10, ago=90)])
    assert rows["r"].to_list() == [5] * 8 + [1, 1]
    assert not {"at_risk", "about_to_sleep", "hibernating"} & set(rows["segment"][:8])


def test_one_time_buyers_are_not_frequent_for_being_many(run):
    rows = run([day(n, ago=7) for n in range(1, 9)] + [day(n, 7, n_orders=2) for n in (9, 10)])
    assert rows["f"].to_list() == [1] * 8 + [5] * 2


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_recency_is_the_best_that_members_of_that_day_would_have(run, days):
    rows = run([day(number, ago) for number, ago in enumerate(days)])
    values = sorted(rows["days_since_last"].to_list(), reverse=True)
    # Placed one behind the other, equal members fill places from 1 to n.
    places = {each: place for place, each in enumerate(values, 1)}
    expected = [-(-5 * places[each] // len(values)) for each in rows["days_since_last"]]
    assert rows["r"].to_list() == expected


def test_scores_follow_the_values(run):
    rows = run(
        [
            day(n, ago=1 + n * 7 % 50, n_orders=1 + n % 4, net_revenue=n * 13 % 101)
            for n in range(1, 101)
        ]
    )
    for value, score, descending, best in (
        ("days_since_last", "r", True, 5),
        # A quarter of all are level at the top: 75 % have less than they, not 80 %.
        ("n_orders", "f", False, 4),
        ("spend", "m", False, 5),
    ):
        scores = rows.sort(value, descending=descending)[score]
        assert scores.is_sorted()
        assert (scores.min(), scores.max()) == (1, best)


def test_orders_and_spend_are_summed_over_all_days(run):
    rows = run([day(1, 40, 2, 30), day(1, 12, 1, 20), day(1, 5, 0, -8)])
    (row,) = rows.to_dicts()
    assert (row["days_since_last"], row["n_orders"], row["spend"]) == (12, 3, 42)


def test_the_first_rule_that_fits_names_the_segment(run):
    rules = "rfm: {segments: [{name: best, r: 5, f: 5}, {name: fresh, r: 4}, {name: rich, m: 4}]}\n"
    days = [day(n, ago=60 - 10 * n, n_orders=n, net_revenue=100 * n) for n in range(1, 6)]
    days.append(day(6, ago=70, n_orders=1, net_revenue=700))
    rows = run(days, rules)
    named = dict(rows.select("member_id", "segment").iter_rows())
    assert named == {1: "other", 2: "other", 3: "fresh", 4: "best", 5: "best", 6: "rich"}


def test_the_default_rules_leave_nobody_unnamed(run):
    rows = run(
        [
            day(n, ago=1 + n * 7 % 50, n_orders=1 + n % 4, net_revenue=n * 13 % 101)
            for n in range(1, 101)
        ]
    )
    assert "other" not in rows["segment"]
    best = rows.filter((pl.col("r") >= 4) & (pl.col("f") >= 4) & (pl.col("m") >= 4))
    assert best["segment"].unique().to_list() == ["champions"]
