"""What goes wrong between the device and the file, in amounts that are counted."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from resources.simulation.behaviour import Action
from resources.simulation.devices import FIRST_BOT
from resources.simulation.draws import Ints, Mask, fill, stream
from resources.simulation.event_log import EventLog
from resources.simulation.markets import DAY, HOUR
from resources.simulation.orders import FULLY_REFUNDED
from resources.simulation.world import World

INTACT, TRUNCATED, NOT_JSON, NO_TYPE, BAD_TIMESTAMP = range(5)
_BREAKS = ("intact", "truncated", "not_json", "no_type", "bad_timestamp")
_LATEST = 3 * DAY
_LATE_AT_LEAST = 2 * HOUR
DEFINITIONS = {
    "lines": "lines of the event files, broken ones included",
    "messages": "distinct whole messages, by the file of their first copy",
    "duplicates": "further copies of a message, by the file that holds the copy",
    "late": "messages sent over an hour after they happened, and received on a later day",
    "clock_skewed": "messages of a device whose clock is wrong by five minutes or more",
    "bot_events_agent": "messages of crawlers with a bot's user agent",
    "bot_events_fast": "messages of bots with an ordinary user agent, over 60 views a minute",
    "broken_lines": "lines cut short, not JSON, without type, or with unreadable timestamps; each "
    "is a failed first attempt at a message that arrived whole as well",
    "refunds_partial": "refunds of part of an order",
    "refunds_full": "refunds of whole orders",
    "cancelled": "cancellations",
    "anonymous_linked": "devices with messages both without and with a userId",
    "bot_visitors": "devices of bots",
    "skewed_devices": "devices with a wrong clock that sent anything",
}


@dataclass(frozen=True)
class Lines:
    """Lines of the event files, sorted by the instant they were received.

    Attributes:
        row: Index of the row of the event log, (lines,).
        happened: What the device calls originalTimestamp, (lines,).
        sent: What the device calls sentAt, (lines,).
        received: receivedAt, (lines,).
        flaw: INTACT or how the line is broken, (lines,).
        is_copy: Whether the message has come whole before, (lines,).
        days: Bounds of each load date in the lines, (days + 1,).
    """

    row: Ints
    happened: Ints
    sent: Ints
    received: Ints
    flaw: Ints
    is_copy: Mask
    days: Ints


@dataclass(frozen=True)
class Dirt:
    """How much of each kind there is.

    Attributes:
        totals: Count by kind, as DEFINITIONS says.
        by_load_date: Counts per load date, one row each with `load_date` first.
    """

    totals: dict[str, int]
    by_load_date: pl.DataFrame


def soil(world: World, log: EventLog) -> tuple[Lines, Dirt]:
    """Send the rows of the log to the files, late, twice, broken or with a wrong clock.

    Bots are spared everything. Nothing is received after the end: what would be is in time.
    """
    settings, timeline = world.settings, world.timeline
    rng = stream(settings.seed, "dirt")
    at, n = log.rows.at, len(log.rows.at)
    is_human = ~log.devices.is_bot[log.device]
    waits = np.minimum(rng.exponential(1500, n), 20_000).astype(np.int64)
    travels = rng.integers(40, 900, n)

    midnight = timeline.midnights[timeline.day(at) + 1]
    shortest = np.maximum(midnight - at, _LATE_AT_LEAST)
    delay = shortest + (rng.random(n) * (_LATEST - 1000 - shortest)).astype(np.int64)
    is_late = is_human & (rng.random(n) < settings.dirt.late_share)
    is_late &= at + delay + travels < timeline.end
    sent = at + np.where(is_late, delay, waits)
    received = np.minimum(sent + travels, timeline.end - 1)
    sent = np.minimum(sent, received)

    doubled = np.flatnonzero(is_human & (rng.random(n) < settings.dirt.duplicate_share))
    again = np.clip(rng.exponential(4 * HOUR, len(doubled)), 1000, 2 * DAY).astype(np.int64)
    # Half are doubled on the server: the very same line again.
    again[(rng.random(len(doubled)) < 0.5) | (received[doubled] + again >= timeline.end)] = 0
    broken = np.flatnonzero(is_human & (rng.random(n) < settings.dirt.broken_share))
    flaw = rng.integers(TRUNCATED, BAD_TIMESTAMP + 1, len(broken))

    row = np.concatenate([np.arange(n), doubled, broken])
    later = np.concatenate([fill(n, 0), again, fill(len(broken), 0)])
    received, sent = received[row] + later, sent[row] + later
    flaw = np.concatenate([fill(n, INTACT), fill(len(doubled), INTACT), flaw])
    is_copy = (np.arange(len(row)) >= n) & (flaw == INTACT)
    order = np.lexsort((is_copy, row, received))
    skew = log.devices.skew[log.device][row]
    lines = Lines(
        row=row[order],
        happened=(at[row] + skew)[order],
        sent=(sent + skew)[order],
        received=received[order],
        flaw=flaw[order],
        is_copy=is_copy[order],
        days=np.searchsorted(received[order], timeline.midnights).astype(np.int64),
    )
    return lines, _count(world, log, lines, is_late)


def _count(world: World, log: EventLog, lines: Lines, is_late: Mask) -> Dirt:
    timeline = world.timeline
    device = log.device[lines.row]
    is_whole = lines.flaw == INTACT
    is_message = is_whole & ~lines.is_copy
    action, subject = log.rows.action[lines.row], log.rows.subject[lines.row]
    is_full = world.orders.status[subject] == FULLY_REFUNDED
    is_refund = is_message & (action == Action.REFUND)
    is_agent = log.devices.system[device] >= FIRST_BOT
    is_bot = log.devices.is_bot[device]
    marks = {
        "lines": np.ones(len(device), dtype=np.bool_),
        "messages": is_message,
        "duplicates": lines.is_copy,
        "late": is_message & is_late[lines.row],
        "clock_skewed": is_message & (log.devices.skew[device] != 0),
        "bot_events_agent": is_message & is_agent,
        "bot_events_fast": is_message & is_bot & ~is_agent,
        "broken_lines": ~is_whole,
        **{f"broken_{name}": lines.flaw == flaw for flaw, name in enumerate(_BREAKS) if flaw},
        "refunds_partial": is_refund & ~is_full,
        "refunds_full": is_refund & is_full,
        "cancelled": is_message & (action == Action.CANCEL),
    }
    day = timeline.day(lines.received)
    counts = {name: np.bincount(day[mark], minlength=timeline.days) for name, mark in marks.items()}
    dates = pl.Series(timeline.load_dates)
    n_devices = len(log.devices.owner)
    has_named = np.bincount(log.device[log.member >= 0], minlength=n_devices) > 0
    has_nameless = np.bincount(log.device[log.member < 0], minlength=n_devices) > 0
    sends = np.bincount(log.device, minlength=n_devices) > 0
    totals = {name: int(count.sum()) for name, count in counts.items()} | {
        "anonymous_linked": int((has_named & has_nameless).sum()),
        "bot_visitors": int((log.devices.is_bot & sends).sum()),
        "skewed_devices": int(((log.devices.skew != 0) & sends).sum()),
    }
    return Dirt(totals, pl.DataFrame({"load_date": dates, **counts}))
