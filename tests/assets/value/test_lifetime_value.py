"""Discounting, predicted lifetime value, its fallback and the gate between the two."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from assets.value import bg_nbd, gamma_gamma
from assets.value.bg_nbd import BgNbd
from assets.value.gamma_gamma import GammaGamma
from assets.value.lifetime_value import (
    DataGate,
    discount_factors,
    discounted_orders,
    fallback,
    fallback_orders,
    log_slopes,
    present_value,
)
from benchmarks.bg_nbd import customers, read_orders

ORDERS = BgNbd(0.243, 4.414, 0.793, 2.426, -9582.4, True, "", 2357)
VALUES = GammaGamma(6.25, 3.74, 15.44, 0.0, True, "", 946)
MONTH = 4.345


def predicted(
    orders: BgNbd, values: GammaGamma, frequency, recency, T, spent, **terms: float
) -> NDArray[np.float64]:
    """Discounted orders times the value of each, as the forecast has it."""
    return discounted_orders(orders, frequency, recency, T, **terms) * values.expected_value(
        frequency, spent
    )


@cache
def orders_of(path: Path) -> pl.DataFrame:
    return read_orders(path)


def test_present_value_of_the_article() -> None:
    # 90.9091 + 66.1157 + 45.0789; the article prints 236.36.
    assert present_value([100, 80, 60], 0.10) == pytest.approx(202.10, abs=5e-3)
    assert present_value([100, 80, 60], 0.0) == 240.0
    assert present_value([], 0.10) == 0.0


def test_discount_starts_at_the_end_of_the_first_period() -> None:
    assert discount_factors(3, 1.0) == pytest.approx([0.5, 0.25, 0.125])


def test_malformed_flows_are_refused() -> None:
    with pytest.raises(ValueError, match="one dimension"):
        present_value([[1.0]], 0.1)
    with pytest.raises(ValueError, match="above -1"):
        present_value([1.0], -1.0)


@pytest.mark.parametrize("file, mean", [("sample", 30.338546), ("master", 32.58569)])
def test_predicted_value_of_the_cdnow_customers(
    shared_data: Callable[[str], Path], file: str, mean: float
) -> None:
    cdnow = customers(orders_of(shared_data(f"cdnow/CDNOW_{file}.txt")))
    value = predicted(
        bg_nbd.fit(cdnow.frequency, cdnow.recency, cdnow.T),
        gamma_gamma.fit(cdnow.frequency, cdnow.monetary_value),
        cdnow.frequency,
        cdnow.recency,
        cdnow.T,
        cdnow.monetary_value,
        period_length=MONTH,
        monthly_rate=0.01,
    )
    # The mean that the lifetimes package gives for 12 months at 1 % a month.
    assert value.mean() == pytest.approx(mean, abs=1e-4)


def test_predicted_value_is_the_present_value_of_expected_orders() -> None:
    members = ([0.0, 2.0, 2.0, 9.0], [0.0, 30.43, 30.43, 20.0], [3.0, 38.86, 38.86, 38.0])
    spent = [np.nan, 20.0, 90.0, 40.0]
    value = predicted(
        ORDERS, VALUES, *members, spent, periods=6, period_length=MONTH, monthly_rate=0.02
    )
    each = VALUES.expected_value(members[0], spent)
    for position, history in enumerate(zip(*members, strict=True)):
        orders = [
            ORDERS.expected_purchases(month * MONTH, *([number] for number in history))[0]
            for month in range(7)
        ]
        flows = [each[position] * (later - sooner) for sooner, later in pairwise(orders)]
        assert value[position] == pytest.approx(present_value(flows, 0.02))


def test_discounting_and_a_shorter_horizon_cost_value() -> None:
    member = ([2.0], [30.43], [38.86], [20.0])
    free = predicted(ORDERS, VALUES, *member, period_length=MONTH, monthly_rate=0.0)
    dear = predicted(ORDERS, VALUES, *member, period_length=MONTH, monthly_rate=0.05)
    short = predicted(ORDERS, VALUES, *member, periods=6, period_length=MONTH, monthly_rate=0.0)
    year = ORDERS.expected_purchases(12 * MONTH, *member[:3])
    assert free == pytest.approx(year * VALUES.expected_value([2.0], [20.0]))
    assert dear[0] < free[0] and short[0] < free[0]


def test_slopes_are_those_of_the_discounted_value(shared_data: Callable[[str], Path]) -> None:
    """Of every parameter in turn, by moving it; the fit of the sample."""
    cdnow = customers(orders_of(shared_data("cdnow/CDNOW_sample.txt")))
    members = (cdnow.frequency, cdnow.recency, cdnow.T, cdnow.monetary_value)
    by_orders = log_slopes(ORDERS, *members[:3], horizon=12 * MONTH)
    by_value = VALUES.log_slopes(cdnow.frequency, cdnow.monetary_value)
    assert by_orders.shape == (2357, 4) and by_value.shape == (2357, 3)

    def logs(orders: BgNbd, values: GammaGamma) -> NDArray[np.float64]:
        return np.log(predicted(orders, values, *members, period_length=MONTH, monthly_rate=0.01))

    step = np.exp(1e-4)
    for column, name in enumerate(("r", "alpha", "a", "b")):
        value = getattr(ORDERS, name)
        up, down = (replace(ORDERS, **{name: each}) for each in (value * step, value / step))
        expected = (logs(up, VALUES) - logs(down, VALUES)) / 2e-4
        # Months are discounted in the one and not in the other: a little of the standard error.
        assert by_orders[:, column] == pytest.approx(expected, abs=0.02)
    for column, name in enumerate(("p", "q", "v")):
        value = getattr(VALUES, name)
        up, down = (replace(VALUES, **{name: each}) for each in (value * step, value / step))
        expected = (logs(ORDERS, up) - logs(ORDERS, down)) / 2e-4
        assert by_value[:, column] == pytest.approx(expected, abs=1e-6)


def test_slopes_where_values_have_no_mean() -> None:
    values = GammaGamma(0.2, 0.5, 3.0, 0.0, True, "", 9)
    frequency, spent = [0.0, 1.0, 2.0], [np.nan, 0.0, 8.0]
    found = values.log_slopes(frequency, spent)
    for column, name in enumerate(("p", "q", "v")):
        at = getattr(values, name)
        up, down = (
            np.log(replace(values, **{name: at * np.exp(move)}).expected_value(frequency, spent))
            for move in (1e-5, -1e-5)
        )
        assert found[:, column] == pytest.approx((up - down) / 2e-5, abs=1e-6)


DEGENERATE: dict[str, tuple[list[float], list[float], list[float], list[float]]] = {
    "no orders": ([], [], [], []),
    "one order today": ([0], [0], [0], [0.0]),
    "one order": ([0], [0], [20], [np.nan]),
    "one member who returned": ([3], [10], [20], [30.0]),
    "all on one day": ([0] * 9, [0] * 9, [5] * 9, [0.0] * 9),
    "all today": ([0] * 9, [0] * 9, [0] * 9, [0.0] * 9),
    "all alike": ([2] * 9, [6] * 9, [9] * 9, [10.0] * 9),
    "orders of no value": ([1, 2], [3, 4], [5, 6], [0.0, -3.0]),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_shops_get_finite_values(name: str) -> None:
    frequency, recency, age, spent = DEGENERATE[name]
    modelled = predicted(
        bg_nbd.fit(frequency, recency, age),
        gamma_gamma.fit(frequency, spent),
        frequency,
        recency,
        age,
        spent,
        period_length=MONTH,
        monthly_rate=0.01,
    )
    plain = fallback(frequency, age, spent, period_length=MONTH, monthly_rate=0.01)
    for value in (modelled, plain):
        assert value.shape == (len(frequency),)
        assert np.isfinite(value).all()
    assert (modelled >= 0).all()
    # Without a model, orders that bring a loss are expected to bring one.
    assert (plain < 0).any() == (np.nanmean(spent) < 0)


def test_fallback_of_one_shop_by_hand() -> None:
    frequency, age, spent = [0, 1, 3], [10.0, 10.0, 20.0], [np.nan, 8.0, 12.0]
    # The shop orders once in 10 weeks at (8 + 36) / 4 = 11; the longest observation is 20 weeks.
    reach = 20 * np.log(1 + 5 / 20)
    orders = np.array([1 / 20, 2 / 20, 4 / 30]) * reach
    assert fallback_orders(5.0, frequency, age) == pytest.approx(orders)
    value = fallback(frequency, age, spent, periods=1, period_length=5.0, monthly_rate=0.25)
    assert value == pytest.approx(orders * [11, (8 + 11) / 2, (36 + 11) / 4] / 1.25)


@settings(max_examples=80, deadline=None)
@given(
    members=st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 1400), st.floats(-50.0, 1e6)), max_size=12
    )
)
def test_fallback_is_finite_and_grows_with_orders(members: list[tuple[int, int, float]]) -> None:
    frequency, days, spent = np.array(members, dtype=np.float64).reshape(-1, 3).T
    age = days / 7
    value = fallback(frequency, age, spent, period_length=MONTH, monthly_rate=0.01)
    assert value.shape == frequency.shape
    assert np.isfinite(value).all()
    assert (value >= 0).all() or (spent[frequency > 0] < 0).any()
    horizons = np.array([0.0, 4.0, 52.0])
    orders = fallback_orders(horizons, frequency, age)
    assert orders.shape == (frequency.size, 3) and (orders[:, 0] == 0).all()
    assert (np.diff(orders, axis=1) >= 0).all()
    same_age = fallback_orders(52.0, np.sort(frequency), np.full_like(age, 30.0))
    assert (np.diff(same_age) >= 0).all()


def test_fallback_foresees_the_year_after_ninety_days_of_cdnow(
    shared_data: Callable[[str], Path],
) -> None:
    orders = orders_of(shared_data("cdnow/CDNOW_master.txt"))
    seen_until = date(1997, 4, 1)
    young = customers(orders, seen_until)
    followed = orders.filter(
        pl.col("order_date").is_between(
            seen_until, seen_until + timedelta(days=364), closed="right"
        )
    )
    sales = followed["dollars"].sum()
    members = (young.frequency, young.T, young.monetary_value)
    value = fallback(*members, periods=12, period_length=52 / 12, monthly_rate=0.0)
    assert -0.30 < value.sum() / sales - 1 < -0.20
    # Today's rate, if it never faded, would promise nearly twice the sales.
    today = fallback(*members, periods=1, period_length=1e-6, monthly_rate=0.0)
    assert today.sum() / 1e-6 * 52 / sales - 1 > 0.8


@pytest.mark.parametrize(
    "frequency, age, spent, wrong",
    [
        ([1, 2], [1.0], [1.0], "one length"),
        ([1], [-1.0], [1.0], "T must"),
        ([-1], [1.0], [1.0], "frequency must"),
        ([1], [1.0], [np.nan], "monetary_value"),
    ],
)
def test_malformed_members_are_refused(
    frequency: list[float], age: list[float], spent: list[float], wrong: str
) -> None:
    with pytest.raises(ValueError, match=wrong):
        fallback(frequency, age, spent, period_length=MONTH, monthly_rate=0.01)


@pytest.mark.parametrize("periods, length", [(0, 4.0), (12, 0.0), (12, np.inf), (12, np.nan)])
def test_malformed_horizons_are_refused(periods: int, length: float) -> None:
    with pytest.raises(ValueError, match="horizon"):
        fallback([0], [1.0], [0.0], periods=periods, period_length=length, monthly_rate=0.0)
    with pytest.raises(ValueError, match="horizon"):
        predicted(
            ORDERS,
            VALUES,
            [0],
            [0],
            [1],
            [0],
            periods=periods,
            period_length=length,
            monthly_rate=0.0,
        )


@pytest.mark.parametrize(
    "n_buyers, n_days, max_orders, idle_days, wrong",
    [
        (500, 180, 3, 30, None),
        (499, 180, 3, 0, "499 buyers, 500 needed"),
        (500, 179, 3, 0, "179 days of orders, 180 needed"),
        (500, 180, 2, 0, "no member with 3 orders, the most is 2"),
        (500, 180, 3, 31, "no order for 31 days, 30 allowed"),
        (0, 0, 0, 0, "0 buyers, 500 needed"),
    ],
)
def test_gate_names_what_is_missing(
    n_buyers: int, n_days: int, max_orders: int, idle_days: int, wrong: str | None
) -> None:
    assert DataGate().reason(n_buyers, n_days, max_orders, idle_days) == wrong


def test_gate_can_be_lowered() -> None:
    gate = DataGate(min_buyers=10, min_days=30, min_orders=2, max_idle_days=90)
    assert gate.reason(10, 30, 2, 90) is None
