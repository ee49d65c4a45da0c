"""Group orders (拼团): who order the same product within a day count as ordering together."""

from dataclasses import dataclass
from math import ceil

import numpy as np
import polars as pl

from resources.simulation.behaviour import Action
from resources.simulation.draws import Ints, Mask, fill, opaque_ids
from resources.simulation.markets import DAY, HOUR, MINUTE
from resources.simulation.orders import CANCELLED
from resources.simulation.sharing import Shares
from resources.simulation.visits import Played, looks
from resources.simulation.world import World

GROUP_SIZE = 2
GROUP_SPAN = DAY
_AT_LEAST = 20 * MINUTE  # between the leader's order and another
_THIRD_SHARE = 0.3  # of complete groups, if somebody else ordered it in time
_FAILED_SHARE = 0.2  # of groups, if so many orders were cancelled


@dataclass(frozen=True)
class Groups:
    """Group orders by index.

    Attributes:
        ids: group_id, (groups,).
        leader: Index of the order that opened it, (groups,).
        product: (groups,).
        is_complete: Whether enough joined, (groups,).
        of_order: Index of the group of every order, else -1, (orders,).
    """

    ids: pl.Series
    leader: Ints
    product: Ints
    is_complete: Mask
    of_order: Ints


def _draw(rng: np.random.Generator, world: World, session_of: Ints) -> Groups:
    """Choose orders that were placed, by different members, for the same product within a day."""
    orders, timeline = world.orders, world.timeline
    is_there = timeline.within(orders.at) & (session_of >= 0)
    stands = is_there & (orders.status != CANCELLED)
    line = np.flatnonzero(stands[orders.line_order])
    line = line[np.lexsort((orders.at[orders.line_order[line]], orders.product[line]))]
    order, product = orders.line_order[line], orders.product[line]
    signed_up_at = world.population.signed_up_at[orders.member]

    def follows(by: int) -> Ints:
        """Places whose order is followed, so many places on, by one that could join it."""
        first, other = order[:-by], order[by:]
        gap = orders.at[other] - orders.at[first]
        return np.flatnonzero(
            (product[:-by] == product[by:])
            & (orders.member[first] != orders.member[other])
            & (gap >= _AT_LEAST)
            & (gap < GROUP_SPAN - HOUR)
            & (signed_up_at[other] < orders.at[first])
        )

    wanted = ceil(world.settings.groups.group_share * int(is_there.sum()) / GROUP_SIZE)
    pairs = follows(1)
    has_third = np.isin(np.arange(len(order)), follows(2))
    of_order, leaders, products = fill(len(orders.at)), list[int](), list[int]()
    for place in rng.permutation(pairs).tolist():
        if len(leaders) == wanted:
            break
        n = 3 if has_third[place] and rng.random() < _THIRD_SHARE else 2
        together = order[place : place + n]
        if (of_order[together] >= 0).any() or len(set(orders.member[together].tolist())) < n:
            continue
        of_order[together] = len(leaders)
        leaders.append(int(order[place]))
        products.append(int(product[place]))
    n_complete = len(leaders)

    cancelled = np.flatnonzero(is_there & (orders.status == CANCELLED))
    n_failed = min(len(cancelled), ceil(n_complete * _FAILED_SHARE))
    failed = np.sort(rng.choice(cancelled, n_failed, replace=False))
    of_order[failed] = n_complete + np.arange(n_failed)
    first_line = np.cumsum(orders.n_lines) - orders.n_lines
    return Groups(
        ids="G" + opaque_ids(world.settings.seed, "groups", n_complete + n_failed),
        leader=np.concatenate([np.array(leaders, dtype=np.int64), failed]),
        product=np.concatenate([
            np.array(products, dtype=np.int64), orders.product[first_line[failed]]
        ]),
        is_complete=np.arange(n_complete + n_failed) < n_complete,
        of_order=of_order,
    )  # fmt: skip


def make_groups(rng: np.random.Generator, world: World, played: Played,
                shares: Shares) -> tuple[Played, Shares, Groups]:  # fmt: skip
    """Let leaders share when they have ordered, and the others open their links before they do.

    Returns:
        The log and the shares with these, and the groups.
    """
    orders = world.orders
    session_of = fill(len(orders.at))
    ordering = np.flatnonzero(played.rows.action == Action.ORDER)
    session_of[played.rows.subject[ordering]] = played.rows.session[ordering]
    groups = _draw(rng, world, session_of)
    leader, n = groups.leader, len(groups.leader)

    shared_at = orders.at[leader] + rng.integers(MINUTE, 3 * MINUTE, n)
    shared_at = np.minimum(shared_at, world.timeline.end - 1)
    share = len(shares.at) + np.arange(n)
    shares = shares.extended(
        rng, world.settings.seed, orders.member[leader], groups.product, shared_at, np.arange(n)
    )
    played = played.with_rows(world, looks(
        rng, world, Action.SHARE, session_of[leader], share, groups.product, shared_at
    ))  # fmt: skip

    is_joining = groups.of_order >= 0
    is_joining[leader] = False
    joining = np.flatnonzero(is_joining)
    group = groups.of_order[joining]
    clicked_at = orders.at[joining] - rng.integers(5 * MINUTE, 15 * MINUTE, len(joining))
    session = session_of[joining]
    played = played.with_visits(
        rng, world, Action.CLICK, played.device[session], played.channel[session],
        share[group], groups.product[group], clicked_at,
    )  # fmt: skip
    return played, shares, groups
