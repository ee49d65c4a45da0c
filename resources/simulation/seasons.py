"""Shop time: a clock that runs faster on busy days and at busy hours.

Orders are drawn in shop time, where rates are constant, and mapped to wall time by a monotone
function. So the process is BG/NBD exactly in shop time while wall time shows weekends, shopping
festivals and the rhythm of the day (the time-change theorem for point processes).
"""

from datetime import date, timedelta

import numpy as np

from resources.simulation.draws import Floats, Ints
from resources.simulation.markets import DAY, epoch_day

_WEEKDAYS = np.array([0.95, 0.93, 0.95, 0.97, 1.05, 1.13, 1.02])
# (month, day): factor on the day itself, falling off linearly over three days to either side.
_FESTIVALS = {(1, 1): 1.2, (5, 1): 1.15, (6, 18): 1.6, (8, 8): 1.25, (9, 9): 1.25, (10, 1): 1.15,
              (11, 11): 1.8, (12, 12): 1.3}  # fmt: skip
_FALL_OFF_DAYS = 3
_HOURS = np.array([1.2, 0.6, 0.3, 0.2, 0.2, 0.4, 1.2, 2.6, 3.8, 4.3, 4.6, 4.8, 6.0, 5.4, 4.4, 4.0,
                   4.0, 4.2, 4.8, 6.2, 8.2, 9.4, 7.6, 3.4])  # fmt: skip


def _intensity(day: date) -> float:
    strongest = 1.0
    for offset in range(-_FALL_OFF_DAYS, _FALL_OFF_DAYS + 1):
        near = day + timedelta(days=offset)
        factor = _FESTIVALS.get((near.month, near.day), 1.0)
        strongest = max(strongest, 1 + (factor - 1) * (1 - abs(offset) / (_FALL_OFF_DAYS + 1)))
    return float(_WEEKDAYS[day.weekday()]) * strongest


class Seasons:
    """The map between wall time (milliseconds) and shop time (weeks) over a span of days.

    One week of shop time is one week of wall time on the average of the span.
    """

    def __init__(self, first_date: date, n_days: int) -> None:
        self._first_day = epoch_day(first_date)
        intensity = np.array([_intensity(first_date + timedelta(days=k)) for k in range(n_days)])
        self._cumulated = np.append(0.0, np.cumsum(intensity / intensity.mean())) / 7
        self._rhythm = np.append(0.0, np.cumsum(_HOURS / _HOURS.sum()))
        self._hours = np.linspace(0, 1, 25)

    def shop_time(self, wall: Ints) -> Floats:
        """Shop time in weeks at the given wall times, which must lie within the span."""
        day = np.clip(wall // DAY - self._first_day, 0, len(self._cumulated) - 2)
        passed = np.interp((wall % DAY) / DAY, self._hours, self._rhythm)
        width = self._cumulated[day + 1] - self._cumulated[day]
        return self._cumulated[day] + passed * width

    def wall(self, shop_time: Floats) -> Ints:
        """The wall times at which the shop clock shows the given weeks."""
        day = np.searchsorted(self._cumulated, shop_time, side="right") - 1
        day = np.clip(day, 0, len(self._cumulated) - 2)
        width = self._cumulated[day + 1] - self._cumulated[day]
        passed = np.clip((shop_time - self._cumulated[day]) / width, 0, 1)
        hour = np.interp(passed, self._rhythm, self._hours)
        return (self._first_day + day) * DAY + np.floor(hour * DAY).astype(np.int64)
