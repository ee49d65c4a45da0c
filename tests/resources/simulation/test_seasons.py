"""Shop time runs with the wall clock on average, and never backwards."""

import datetime as dt

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from resources.simulation.markets import (
    DAY,
    MARKETS,
    WorldClock,
    base_rates,
    epoch_day,
    midnights,
    money_text,
)
from resources.simulation.seasons import Seasons

FIRST = dt.date(2026, 1, 1)
SEASONS = Seasons(FIRST, 365)
START = epoch_day(FIRST) * DAY


def test_a_year_of_shop_time_is_a_year() -> None:
    begin, end = SEASONS.shop_time(np.array([START, START + 365 * DAY - 1]))
    assert begin == 0
    assert abs(end - 365 / 7) < 1e-6


@given(st.lists(st.integers(0, 365 * DAY - 1), min_size=2, max_size=50))
def test_both_ways_are_monotone_and_inverse(passed: list[int]) -> None:
    wall = START + np.sort(np.array(passed, dtype=np.int64))
    shop = SEASONS.shop_time(wall)
    assert (np.diff(shop) >= 0).all()
    assert (np.abs(SEASONS.wall(shop) - wall) <= 2).all()


def test_festivals_and_evenings_are_busy() -> None:
    def weeks_of(day: dt.date) -> float:
        midnight = epoch_day(day) * DAY
        begin, end = SEASONS.shop_time(np.array([midnight, midnight + DAY]))
        return end - begin

    assert weeks_of(dt.date(2026, 11, 11)) > 1.5 * weeks_of(dt.date(2026, 11, 25))
    uniform = np.random.default_rng(1).random(20_000) * 52
    hours = SEASONS.wall(uniform) % DAY // 3_600_000
    counts = np.bincount(hours, minlength=24)
    assert counts[21] > 20 * counts[3]


def test_world_clock_follows_daylight_saving() -> None:
    clock = WorldClock(FIRST, 365)
    market = np.arange(len(MARKETS))
    noon = int(dt.datetime(2026, 7, 3, 12, tzinfo=dt.UTC).timestamp() * 1000)
    hours = (clock.wall(market, np.full(5, noon)) - noon) // 3_600_000
    assert hours.tolist() == [8, 9, -4, 8, 1]
    assert (clock.utc(market, clock.wall(market, np.full(5, noon))) == noon).all()


def test_midnights_are_local() -> None:
    shanghai = midnights("Asia/Shanghai", dt.date(2026, 7, 3), 2)
    assert shanghai.tolist() == [
        int(dt.datetime(2026, 7, day, 16, tzinfo=dt.UTC).timestamp() * 1000) for day in (2, 3, 4)
    ]
    new_york = np.diff(midnights("America/New_York", dt.date(2026, 11, 1), 1))
    assert new_york.tolist() == [25 * 3_600_000]
    # Chile's clocks jump over midnight: the day begins at one.
    santiago = np.diff(midnights("America/Santiago", dt.date(2026, 9, 5), 2))
    assert santiago.tolist() == [24 * 3_600_000, 23 * 3_600_000]


def test_money_is_exact() -> None:
    frame = pl.DataFrame({"minor": [1230, 5, 100, 1230], "digits": [2, 2, 2, 0]})
    text = frame.select(money_text(pl.col("minor"), pl.col("digits"))).to_series()
    assert text.to_list() == ["12.30", "0.05", "1.00", "1230"]


def test_rates_are_relative_to_the_base() -> None:
    assert base_rates("CNY").tolist() == [market.yuan for market in MARKETS]
    in_dollars = dict(zip((m.currency for m in MARKETS), base_rates("USD"), strict=True))
    assert in_dollars["USD"] == 1
    assert in_dollars["CNY"] == 1 / 7.1
