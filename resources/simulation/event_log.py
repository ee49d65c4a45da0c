"""The event log of the shop as it really was: every row, with its device, channel and member."""

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np

from resources.simulation.behaviour import Action, Rows, play
from resources.simulation.bots import play_bots
from resources.simulation.devices import (
    Devices,
    assign_devices,
    choose_channels,
    log_in,
    make_devices,
    session_starts,
)
from resources.simulation.draws import Ints, fill, stream
from resources.simulation.frauds import Frauds, plant_frauds
from resources.simulation.groups import Groups, make_groups
from resources.simulation.orders import CANCELLED
from resources.simulation.population import CHANNELS
from resources.simulation.sessions import Sessions, make_browsing, make_sessions
from resources.simulation.sharing import Shares, make_sharing
from resources.simulation.visits import Played
from resources.simulation.world import World


@dataclass(frozen=True)
class EventLog:
    """Rows in time, and who was behind them.

    Attributes:
        rows: Sorted by instant.
        devices: Of people and bots.
        device: Index of the device of each row, (rows,).
        channel: Index into CHANNELS, (rows,).
        member: Index of the member that the row names, -1 if nobody was logged in, (rows,).
    """

    rows: Rows
    devices: Devices
    device: Ints
    channel: Ints
    member: Ints


def _after_sales(
    rng: np.random.Generator, world: World, sessions_before: int
) -> tuple[Sessions, Rows]:
    """Sessions and rows of the refunds and cancellations on days with events."""
    orders = world.orders
    settled = np.flatnonzero(world.timeline.within(orders.settled_at))
    n = len(settled)
    sessions = make_sessions(
        rng, orders.member[settled], orders.settled_at[settled], is_on_first_device=True
    )
    is_cancelled = orders.status[settled] == CANCELLED
    rows = Rows(
        session=sessions_before + np.arange(n),
        at=orders.settled_at[settled],
        action=np.where(is_cancelled, Action.CANCEL, Action.REFUND).astype(np.int64),
        product=fill(n),
        quantity=fill(n),
        subject=settled,
    )
    return sessions, rows


def _shifted(rows: Rows, by: int) -> Rows:
    """The rows with their sessions numbered from by."""
    return Rows(rows.session + by, rows.at, rows.action, rows.product, rows.quantity, rows.subject)


class Sharing(NamedTuple):
    """What was shared, which of its clicks must bind nobody, and the group orders."""

    shares: Shares
    frauds: Frauds
    groups: Groups


def make_event_log(world: World) -> tuple[EventLog, Sharing]:
    """Play the days with events: browsing, orders, shares and what follows, refunds, bots."""
    settings = world.settings
    rng = stream(settings.seed, "behaviour")
    sessions = make_browsing(rng, world)
    rows = play(rng, world, sessions, is_sharing=True)
    rng = stream(settings.seed, "sharing")
    shares, caused, rows = make_sharing(rng, world, sessions, rows)
    played = play(rng, world, caused, is_sharing=False)
    rows += _shifted(played, len(sessions.person))
    sessions += caused
    returns, settled = _after_sales(rng, world, len(sessions.person))
    rows += settled
    sessions += returns

    rng = stream(settings.seed, "devices")
    starts = session_starts(rows, len(sessions.person))
    device, owner = assign_devices(rng, world.population, sessions, starts)
    identified_from, logins = log_in(rng, world, rows, starts, device, owner)
    channel = choose_channels(rng, world.population, sessions)
    played = Played(rows + logins, device, channel, fill(len(device)), identified_from)
    rng = stream(settings.seed, "frauds")
    played, shares, frauds = plant_frauds(rng, world, played, shares)
    rng = stream(settings.seed, "groups")
    played, shares, groups = make_groups(rng, world, played, shares)

    rng = stream(settings.seed, "bots")
    n_agent_bots = ceil(settings.members * settings.dirt.n_bots_per_member)
    crawled, bot = play_bots(rng, world, n_agent_bots)
    rows = played.rows + _shifted(crawled, len(played.device))
    device = np.append(played.device, len(owner) + bot)
    channel = np.append(played.channel, fill(len(bot), CHANNELS.index("web")))
    guest = np.append(played.guest, fill(len(bot)))
    devices = make_devices(rng, world, owner, identified_from, n_agent_bots)

    # Equal instants keep their order: a login after the row that it comes with.
    rows = rows[np.argsort(rows.at, kind="stable")]
    row_device = device[rows.session]
    is_named = rows.at >= devices.identified_from[row_device]
    named = np.where(is_named, devices.owner[row_device], -1)
    row_guest = guest[rows.session]
    joins_at = world.population.signed_up_at[row_guest]
    log = EventLog(
        rows=rows,
        devices=devices,
        device=row_device,
        channel=channel[rows.session],
        member=np.where(
            row_guest < 0, named, np.where(rows.at >= joins_at, row_guest, -1)
        ),
    )  # fmt: skip
    return log, Sharing(shares, frauds, groups)
