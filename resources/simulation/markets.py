"""Where members live: country, locale, time zone and currency, and how instants and money convert.

Instants are integers: milliseconds since the epoch, UTC or, where called wall time, local.
"""

from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from resources.simulation.draws import Floats, Ints

DAY = 86_400_000
HOUR = 3_600_000
MINUTE = 60_000


class Market(NamedTuple):
    """A country the shop sells to; yuan is what one unit of its currency is worth in CNY."""

    country: str
    locale: str
    time_zone: str
    currency: str
    digits: int
    yuan: float
    share: float
    phone_prefix: str


MARKETS: tuple[Market, ...] = (
    Market("CN", "zh-CN", "Asia/Shanghai", "CNY", 2, 1.0, 0.92, "1990"),
    Market("JP", "ja-JP", "Asia/Tokyo", "JPY", 0, 0.047, 0.025, "+81900"),
    Market("US", "en-US", "America/New_York", "USD", 2, 7.1, 0.025, "+1555"),
    Market("SG", "en-SG", "Asia/Singapore", "SGD", 2, 5.45, 0.015, "+659"),
    Market("GB", "en-GB", "Europe/London", "GBP", 2, 9.35, 0.015, "+44770"),
)


def base_rates(base_currency: str) -> Floats:
    """What one unit of each market's currency is worth in the base currency, (markets,)."""
    base = next(market.yuan for market in MARKETS if market.currency == base_currency)
    return np.array([market.yuan / base for market in MARKETS])


def currency_digits(currency: str) -> int:
    """Digits after the decimal point of a currency: ISO 4217's minor-unit exponent."""
    return next(market.digits for market in MARKETS if market.currency == currency)


def minor_units() -> Ints:
    """How many minor units one unit of each market's currency has, (markets,)."""
    return np.array([10**market.digits for market in MARKETS], dtype=np.int64)


def money_text(minor: pl.Expr, digits: pl.Expr) -> pl.Expr:
    """An amount in minor units as an exact decimal number: '12.30', or '1230' without digits."""
    cents = (minor % 100).cast(pl.String).str.zfill(2)
    return (
        pl.when(digits == 0)
        .then(minor.cast(pl.String))
        .otherwise(pl.concat_str((minor // 100).cast(pl.String), pl.lit("."), cents))
    )


def epoch_day(day: date) -> int:
    """Days from 1970-01-01 to a date."""
    return (day - date(1970, 1, 1)).days


def midnights(time_zone: str, first_date: date, n_days: int) -> Ints:
    """The UTC instants at which n_days local days begin, and the last ends, (n_days + 1,)."""
    wall = pl.Series((epoch_day(first_date) + np.arange(n_days + 1)) * DAY).cast(pl.Datetime("ms"))
    # Where the clock jumps over midnight, the day begins an hour later.
    starts, jumped = (
        hours.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
        for hours in (wall, wall + timedelta(hours=1))
    )
    return starts.zip_with(starts.is_not_null(), jumped).to_physical().to_numpy().astype(np.int64)


class WorldClock:
    """Converts between UTC and the wall time of each market over a span of days.

    The offset of noon holds for the whole local day: on the two days of a clock change some
    hours are off by one, and no instant is skipped or doubled.
    """

    def __init__(self, first_date: date, n_days: int) -> None:
        self._first_day = epoch_day(first_date)
        noons = (self._first_day + np.arange(n_days)) * DAY + DAY // 2
        naive = pl.Series(noons).cast(pl.Datetime("ms"))
        self._offsets = np.stack([
            noons - naive.dt.replace_time_zone(market.time_zone).to_physical().to_numpy()
            for market in MARKETS
        ])  # fmt: skip

    def _offset(self, market: Ints, instant: Ints) -> Ints:
        day = np.clip(instant // DAY - self._first_day, 0, self._offsets.shape[1] - 1)
        return self._offsets[market, day]

    def utc(self, market: Ints, wall: Ints) -> Ints:
        """The instants at which clocks in the given markets show the given wall times."""
        return wall - self._offset(market, wall)

    def wall(self, market: Ints, instant: Ints) -> Ints:
        """What clocks in the given markets show at the given instants."""
        return instant + self._offset(market, instant)
