"""Who orders when, what, and for how much: the true past and the true future.

Orders follow BG/NBD (Fader, Hardie, Lee 2005) in shop time, their values Gamma-Gamma (Fader,
Hardie 2013). Baskets are filled by taste to about the drawn value, then the line prices are
scaled to it.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from resources.simulation.catalogue import Catalogue
from resources.simulation.draws import Floats, Ints, choose, expand, fill, stream
from resources.simulation.markets import DAY, MINUTE, base_rates, minor_units
from resources.simulation.population import Population
from resources.simulation.settings import SimulationSettings
from resources.simulation.timeline import Timeline

_CANDIDATES = 24
_MAX_LINES = 4
_MAX_QUANTITY = 4
_LEAST_PER_LINE = 45.0  # yuan, on the average of an order's lines
_HABIT_SHARE = 0.35
_QUICK_SHARE = 0.4  # of first orders follow the sign-up at once
_QUICK_WEEKS = 0.005
_SLOW_WEEKS = 3.0

KEPT, PARTLY_REFUNDED, FULLY_REFUNDED, CANCELLED = range(4)
STATUSES = ("completed", "partly_refunded", "refunded", "cancelled")


@dataclass(frozen=True)
class Orders:
    """Orders sorted by instant, from the opening to the horizon, and their lines.

    Attributes:
        ids: order_id, (orders,).
        member: Index of the member, (orders,).
        at: UTC instant, (orders,).
        status: Index into STATUSES, (orders,).
        settled_at: When it was refunded or cancelled, else -1, (orders,).
        revenue: In minor units of the member's currency, the sum of its lines, (orders,).
        net_margin: In the base currency, after refunds and cancellation, (orders,).
        n_lines: (orders,).
        line_order: Index of the order, (lines,), ascending.
        product: (lines,).
        quantity: (lines,).
        unit_price: In minor units of the member's currency, (lines,).
        refunded_quantity: (lines,).
        dropped_at: UTC instant after which the member orders no more, else the horizon, (members,).
        first_at: UTC instant of the first order, else the horizon, (members,).
    """

    ids: pl.Series
    member: Ints
    at: Ints
    status: Ints
    settled_at: Ints
    revenue: Ints
    net_margin: Floats
    n_lines: Ints
    line_order: Ints
    product: Ints
    quantity: Ints
    unit_price: Ints
    refunded_quantity: Ints
    dropped_at: Ints
    first_at: Ints


def draw_purchases(
    settings: SimulationSettings, timeline: Timeline, population: Population
) -> tuple[Ints, Ints, Ints]:
    """Draw order instants by BG/NBD.

    Returns:
        member and UTC instant of every order up to the horizon, sorted by instant; and for
        every member the instant of dropout, the horizon if later.
    """
    rng = stream(settings.seed, "purchases")
    n = population.n_members
    home = population.market[:n]
    horizon = timeline.shop_time(home, np.full(n, timeline.horizon))
    delay = np.where(
        rng.random(n) < _QUICK_SHARE,
        rng.exponential(_QUICK_WEEKS, n),
        rng.exponential(_SLOW_WEEKS, n),
    )
    clock = timeline.shop_time(home, population.signed_up_at) + delay
    dropped = horizon.copy()
    active = np.flatnonzero(population.is_buyer & (clock < horizon))
    members, times = [active], [clock[active]]
    while len(active):
        clock[active] += rng.exponential(1, len(active)) / population.order_rate[active]
        active = active[clock[active] < horizon[active]]
        members.append(active)
        times.append(clock[active])
        leaves = rng.random(len(active)) < population.dropout[active]
        dropped[active[leaves]] = clock[active[leaves]]
        active = active[~leaves]
    member = np.concatenate(members)
    at = timeline.instant(home[member], np.concatenate(times))
    # A clock change must not put the first order before the sign-up.
    at = np.maximum(at, population.signed_up_at[member] + MINUTE)
    by_time = np.lexsort((member, at))
    dropped_at = np.where(dropped < horizon, timeline.instant(home, dropped), timeline.horizon)
    return member[by_time], at[by_time], dropped_at


def _habits(rng: np.random.Generator, catalogue: Catalogue, population: Population,
            mean_order: Floats) -> Ints:  # fmt: skip
    """One consumable per member that she comes back for, near her usual spend; else -1."""
    n = population.n_members
    appeal = np.where(catalogue.is_consumable, catalogue.buy_appeal, -np.inf)
    if np.isneginf(appeal).all():
        return fill(n)
    persons = np.repeat(np.arange(n), _CANDIDATES)
    drawn = choose(rng, population.tastes[:n], catalogue.vectors, appeal, persons)
    drawn = drawn.reshape(n, _CANDIDATES)
    distance = np.abs(np.log(catalogue.prices[0][drawn] / mean_order[:, None]))
    return drawn[np.arange(n), distance.argmin(axis=1)]


def _fill_baskets(rng: np.random.Generator, settings: SimulationSettings, timeline: Timeline,
                  catalogue: Catalogue, population: Population, member: Ints, at: Ints,
                  value: Floats) -> tuple[Ints, Ints, Ints, Floats]:  # fmt: skip
    """Choose products and quantities for every order: n_lines, product, quantity, list price."""
    n = len(member)
    day = timeline.day(at)
    snapshot = catalogue.snapshot(day)
    drawn = choose(
        rng, population.tastes[: population.n_members], catalogue.vectors, catalogue.buy_appeal,
        np.repeat(member, _CANDIDATES),
    )  # fmt: skip
    drawn = catalogue.available(drawn, np.repeat(day, _CANDIDATES)).reshape(n, _CANDIDATES)
    habit = _habits(
        rng, catalogue, population, settings.spend.p / population.spend_rate
    )[member]  # fmt: skip
    is_repeat = np.ones(n, dtype=np.bool_)
    is_repeat[np.unique(member, return_index=True)[1]] = False
    least = _LEAST_PER_LINE * base_rates(settings.base_currency)[0]
    n_lines = np.minimum(1 + rng.poisson(0.85, n), _MAX_LINES)
    n_lines = np.clip(n_lines, 1, np.maximum(value // least, 1)).astype(np.int64)
    target = value / rng.uniform(0.76, 0.98, n) / n_lines  # before the discount
    is_affordable = (catalogue.prices[0][habit] < 1.2 * target) & (habit >= 0)
    has_habit = is_repeat & is_affordable & (rng.random(n) < _HABIT_SHARE)
    price = catalogue.prices[snapshot[:, None], drawn]
    bought = np.clip(np.round(target[:, None] / price), 1, _MAX_QUANTITY)
    distance = np.abs(np.log(bought * price / target[:, None])) + 0.1 * (bought - 1)
    every = np.arange(n)
    product = np.empty((n, _MAX_LINES), dtype=np.int64)
    for line in range(_MAX_LINES):
        product[:, line] = drawn[every, distance.argmin(axis=1)]
        if line == 0:
            product[has_habit, 0] = catalogue.available(habit, day)[has_habit]
        distance[drawn == product[:, [line]]] = np.inf
    order, line = expand(n_lines)
    product = product[order, line]
    list_price = catalogue.prices[snapshot[order], product]
    quantity = np.clip(np.round(target[order] / list_price), 1, _MAX_QUANTITY).astype(np.int64)
    # Few candidates can run out: the same product twice becomes one line.
    key = order * len(catalogue.ids) + product
    kept = np.sort(np.unique(key, return_index=True)[1])
    return np.bincount(order[kept], minlength=n), product[kept], quantity[kept], list_price[kept]


def make_orders(settings: SimulationSettings, timeline: Timeline, catalogue: Catalogue,
                population: Population) -> Orders:  # fmt: skip
    """Draw every order from the opening to the horizon."""
    member, at, dropped_at = draw_purchases(settings, timeline, population)
    rng = stream(settings.seed, "baskets")
    n = len(member)
    value = rng.gamma(settings.spend.p, 1 / population.spend_rate[member])
    n_lines, product, quantity, list_price = _fill_baskets(
        rng, settings, timeline, catalogue, population, member, at, value
    )
    line_order, line = expand(n_lines)
    market = population.market[member]
    rate, minor = base_rates(settings.base_currency)[market], minor_units()[market]
    discount = value / np.bincount(line_order, quantity * list_price, n)
    unit_price = np.round((discount / rate * minor)[line_order] * list_price).astype(np.int64)
    unit_price = np.maximum(unit_price, 1)
    revenue = np.bincount(line_order, quantity * unit_price, n).astype(np.int64)

    dirt = settings.dirt
    shares = (dirt.partly_refunded_share, dirt.fully_refunded_share, dirt.cancelled_share)
    status = np.searchsorted(np.cumsum(shares), rng.random(n), side="right").astype(np.int64)
    status = np.where(status == len(shares), KEPT, status + 1)
    # Part of an order can come back only where it has two pieces.
    n_pieces = np.bincount(line_order, quantity, n)
    status[(status == PARTLY_REFUNDED) & (n_pieces < 2)] = KEPT
    refund_delay = rng.uniform(1, 14, n) * DAY
    delay = np.where(status == CANCELLED, rng.uniform(0.01, 1, n) * DAY, refund_delay)
    settled_at = np.where(status == KEPT, -1, at + delay.astype(np.int64))
    # The history knows no refunds: its export holds what the customers kept.
    is_forgotten = (status != KEPT) & (settled_at < timeline.start)
    status[is_forgotten], settled_at[is_forgotten] = KEPT, -1

    returns = np.where(status[line_order] == PARTLY_REFUNDED, (line == 0).astype(np.int64), 0)
    is_whole = (status == FULLY_REFUNDED) | (status == CANCELLED)
    refunded_quantity = np.where(is_whole[line_order], quantity, returns)
    kept = (quantity - refunded_quantity).astype(np.float64)
    unit_margin = unit_price * (rate / minor)[line_order] - catalogue.costs[product]
    first_at = np.full(population.n_members, timeline.horizon)
    np.minimum.at(first_at, member, at)
    return Orders(
        ids="SO" + pl.Series(np.arange(n) + 10_000_001).cast(pl.String),
        member=member,
        at=at,
        status=status,
        settled_at=settled_at,
        revenue=revenue,
        net_margin=np.bincount(line_order, kept * unit_margin, n).astype(np.float64),
        n_lines=n_lines,
        line_order=line_order,
        product=product,
        quantity=quantity,
        unit_price=unit_price,
        refunded_quantity=refunded_quantity,
        dropped_at=dropped_at,
        first_at=first_at,
    )
