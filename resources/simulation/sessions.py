"""Who comes when, and what for: sessions before they are played out."""

from dataclasses import dataclass, fields

import numpy as np

from resources.simulation.draws import Ints, Mask, expand, fill
from resources.simulation.markets import DAY, HOUR, MINUTE
from resources.simulation.world import World

_MEAN_VIEWS = 4.7
_MEAN_VIEWS_BEFORE_ORDER = 3.5  # besides the products of the order
_MEAN_SESSIONS_BEFORE_ORDER = 0.9
_MEAN_SESSIONS_BEFORE_SIGN_UP = 0.8
_MEAN_RETURNS_OF_VISITORS = 0.5
_CURIOSITY_AFTER_DROPOUT = 0.12


@dataclass(frozen=True)
class Sessions:
    """Sessions by index; every array is (sessions,), and -1 says none.

    Attributes:
        person: Index into the people of the population.
        started_at: UTC instant; ignored where the session ends in an order.
        order: Index of the order it ends in.
        focus: Product that is looked at in any case.
        click: Index of the share whose link opens it.
        n_views: Further product views.
        is_on_first_device: Whether it cannot be on a second device.
    """

    person: Ints
    started_at: Ints
    order: Ints
    focus: Ints
    click: Ints
    n_views: Ints
    is_on_first_device: Mask

    def __add__(self, other: "Sessions") -> "Sessions":
        """These sessions, then the others."""
        return Sessions(*(
            np.concatenate([getattr(self, field.name), getattr(other, field.name)])
            for field in fields(self)
        ))  # fmt: skip


def make_sessions(rng: np.random.Generator, person: Ints, started_at: Ints, *,
                  order: Ints | None = None, focus: Ints | None = None,
                  click: Ints | None = None, mean_views: float = _MEAN_VIEWS,
                  is_on_first_device: bool = False) -> Sessions:  # fmt: skip
    """Sessions of the given people at the given instants, with drawn lengths."""
    n = len(person)
    return Sessions(
        person=person,
        started_at=started_at,
        order=fill(n) if order is None else order,
        focus=fill(n) if focus is None else focus,
        click=fill(n) if click is None else click,
        n_views=rng.geometric(1 / mean_views, n).astype(np.int64),
        is_on_first_device=np.full(n, is_on_first_device),
    )


def make_browsing(rng: np.random.Generator, world: World) -> Sessions:
    """Sessions of members and visitors that no share caused, on the days with events."""
    timeline, population, orders = world.timeline, world.population, world.orders
    n = population.n_members
    home = population.market[:n]
    start = timeline.shop_time(home, np.maximum(population.signed_up_at, timeline.start))
    end = timeline.shop_time(home, np.full(n, timeline.end))
    member, _ = expand(rng.poisson(population.browse_rate * (end - start)).astype(np.int64))
    clock = start[member] + rng.random(len(member)) * (end - start)[member]
    at = timeline.instant(home[member], clock)
    # Who has dropped out still looks in now and then.
    stays = (at < orders.dropped_at[member]) | (rng.random(len(at)) < _CURIOSITY_AFTER_DROPOUT)
    browsing = make_sessions(rng, member[stays], at[stays])
    browsing += _make_buying(rng, world)

    # Newcomers have looked around before they signed up, without a name.
    newcomer = np.flatnonzero(population.signed_up_at >= timeline.start)
    which, _ = expand(rng.poisson(_MEAN_SESSIONS_BEFORE_SIGN_UP, len(newcomer)).astype(np.int64))
    person = newcomer[which]
    before = rng.integers(HOUR, 7 * DAY, len(person))
    browsing += make_sessions(
        rng, person, population.signed_up_at[person] - before, is_on_first_device=True
    )
    visitor = np.arange(n, population.n_people)
    which, _ = expand(1 + rng.poisson(_MEAN_RETURNS_OF_VISITORS, len(visitor)).astype(np.int64))
    home = population.market[visitor][which]
    start, end = (
        timeline.shop_time(home, fill(len(which), instant))
        for instant in (timeline.start, timeline.end)
    )
    at = timeline.instant(home, start + rng.random(len(which)) * (end - start))
    return browsing + make_sessions(rng, visitor[which], at)


def _make_buying(rng: np.random.Generator, world: World) -> Sessions:
    """Sessions that end in an order, and those that prepare it."""
    timeline, population, orders = world.timeline, world.population, world.orders
    bought = np.flatnonzero(timeline.within(orders.at))
    buying = make_sessions(
        rng, orders.member[bought], orders.at[bought], order=bought,
        mean_views=_MEAN_VIEWS_BEFORE_ORDER,
    )  # fmt: skip
    # Some orders are prepared by earlier sessions around their first line.
    which, _ = expand(rng.poisson(_MEAN_SESSIONS_BEFORE_ORDER, len(bought)).astype(np.int64))
    prepared = bought[which]
    first_line = np.cumsum(orders.n_lines) - orders.n_lines
    earlier = orders.at[prepared] - rng.integers(30 * MINUTE, 6 * DAY, len(prepared))
    is_member = earlier > population.signed_up_at[orders.member[prepared]]
    return buying + make_sessions(
        rng, orders.member[prepared][is_member], earlier[is_member],
        focus=orders.product[first_line[prepared]][is_member],
    )  # fmt: skip
