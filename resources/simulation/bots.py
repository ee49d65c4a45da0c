"""Visitors that are programs: crawlers that say so, and fast ones that do not."""

import numpy as np

from resources.simulation.behaviour import Action, Rows
from resources.simulation.draws import Ints, expand, fill
from resources.simulation.markets import DAY
from resources.simulation.world import World

_VIEWS_PER_DAY = 8.0  # of a crawler
_BURST_EVERY_DAYS = 12
_BURST_VIEWS = (240, 420)
_BURST_GAP_MS = (300, 650)  # 92 to 200 views a minute


def play_bots(rng: np.random.Generator, world: World, n_agent_bots: int) -> tuple[Rows, Ints]:
    """Rows of all bots, one session per bot and day; and the bot of each session.

    The first n_agent_bots are crawlers, the others fast.
    """
    timeline, catalogue = world.timeline, world.catalogue
    n_days = timeline.days
    bot = np.repeat(np.arange(n_agent_bots), n_days)
    day = np.tile(np.arange(n_days), n_agent_bots)
    session, _ = expand(rng.poisson(_VIEWS_PER_DAY, len(bot)).astype(np.int64))
    at = timeline.midnights[day[session]] + rng.integers(0, DAY, len(session))

    n_bursts = 1 + n_days // _BURST_EVERY_DAYS
    burst_bot = n_agent_bots + np.repeat(np.arange(world.settings.dirt.n_fast_bots), n_bursts)
    # Bursts begin early enough to end on the same day.
    begins = timeline.midnights[rng.integers(n_days, size=len(burst_bot))]
    begins = begins + rng.integers(0, DAY * 9 // 10, len(burst_bot))
    burst, _ = expand(rng.integers(*_BURST_VIEWS, len(burst_bot)))
    gaps = np.cumsum(rng.integers(*_BURST_GAP_MS, len(burst)))
    first = np.searchsorted(burst, np.arange(len(burst_bot)))
    burst_at = begins[burst] + gaps - gaps[first][burst]

    session = np.concatenate([session, len(bot) + burst])
    at = np.concatenate([at, burst_at])
    in_time = np.lexsort((at, session))
    session, at = session[in_time], at[in_time]
    visible = np.flatnonzero(~np.isneginf(catalogue.browse_appeal))
    n = len(at)
    product = catalogue.available(visible[rng.integers(len(visible), size=n)], timeline.day(at))
    rows = Rows(session, at, fill(n, Action.VIEW), product, fill(n), fill(n))
    return rows[timeline.within(at)], np.concatenate([bot, burst_bot])
