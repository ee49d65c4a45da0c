"""The simulation's stretch of time: history, the days with events, and the year that follows."""

from datetime import timedelta

import numpy as np

from resources.simulation.draws import Floats, Ints, Mask
from resources.simulation.markets import DAY, WorldClock, midnights
from resources.simulation.seasons import Seasons
from resources.simulation.settings import SimulationSettings

HORIZON_MONTHS = 12
MONTH_DAYS = 30  # as the lifetimes package counts
_MARGIN_DAYS = 4


class Timeline:
    """Bounds as UTC instants, and the conversions between UTC, wall time and shop time.

    Attributes:
        opening: When the order history begins.
        start: When the days with events begin: midnight of first_date in the shop's zone.
        end: When they end.
        horizon: Twelve months of 30 days after the end.
        load_dates: The shop's calendar dates, as YYYY-MM-DD, (days,).
        midnights: Beginnings of the shop's days, and the end of the last, (days + 1,).
    """

    def __init__(self, settings: SimulationSettings) -> None:
        self.first_date = settings.first_date
        self.days = settings.days
        self.load_dates = [
            (settings.first_date + timedelta(days=day)).isoformat() for day in range(settings.days)
        ]
        self.midnights = midnights(settings.time_zone, settings.first_date, settings.days)
        self.start, self.end = int(self.midnights[0]), int(self.midnights[-1])
        self.opening = self.start - settings.history_days * DAY
        self.horizon = self.end + HORIZON_MONTHS * MONTH_DAYS * DAY
        span_start = settings.first_date - timedelta(days=settings.history_days + _MARGIN_DAYS)
        n_days = (self.horizon - self.opening) // DAY + 2 * _MARGIN_DAYS
        self._world = WorldClock(span_start, n_days)
        self._seasons = Seasons(span_start, n_days)

    def shop_time(self, market: Ints, instant: Ints) -> Floats:
        """Shop time in weeks at UTC instants, as seen from each market."""
        return self._seasons.shop_time(self._world.wall(market, instant))

    def instant(self, market: Ints, shop_time: Floats) -> Ints:
        """The UTC instants at which the shop clock of each market shows the given weeks."""
        return self._world.utc(market, self._seasons.wall(shop_time))

    def day(self, instant: Ints) -> Ints:
        """Days since first_date of UTC instants, in the shop's zone; negative before it."""
        return np.searchsorted(self.midnights, instant, side="right").astype(np.int64) - 1

    def within(self, instant: Ints) -> Mask:
        """Whether UTC instants lie in the days with events."""
        return (instant >= self.start) & (instant < self.end)
