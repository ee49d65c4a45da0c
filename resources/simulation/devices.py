"""Devices: whose they are, when somebody logs in on them, and what they send along."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from resources.simulation.behaviour import Action, Rows
from resources.simulation.draws import Ints, Mask, fill, opaque_ids, pick
from resources.simulation.markets import DAY, MARKETS, MINUTE
from resources.simulation.population import CHANNEL_SHARES, CHANNELS, Population
from resources.simulation.sessions import Sessions
from resources.simulation.world import World

NEVER = 1 << 60
_WECHAT, _BROWSER = ("mini_program", "official_account", "group_chat"), "web"
_SYSTEMS = (
    ("iPhone; iOS 18_5", "Version/18.5 Safari/605.1"),
    ("Android 15", "Chrome/139.0 Mobile"),
    ("Windows NT 10.0", "Chrome/139.0"),
)
_BOTS = (
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
)
FIRST_BOT = len(_SYSTEMS)
_SECOND_DEVICE_SHARE = 0.15  # of members
_SECOND_DEVICE_USE = 0.3  # of their sessions
_REMEMBERED_SHARE = 0.75  # of first devices are logged in before the first day
_USUAL_CHANNEL_SHARE = 0.7


def _agent(system: int, channel: str) -> str:
    if system >= FIRST_BOT:
        return _BOTS[(system - FIRST_BOT) % len(_BOTS)]
    platform, browser = _SYSTEMS[system]
    if channel in _WECHAT:
        suffix = " MiniProgram" if channel == "mini_program" else ""
        return f"({platform}) MicroMessenger/8.0{suffix}"
    if channel == _BROWSER:
        return f"Mozilla/5.0 ({platform}) {browser}"
    return f"DemoShop/3.2 ({platform})"


AGENTS: tuple[str, ...] = tuple(
    f'"userAgent":"{_agent(system, channel)}","channel":"{channel}"'
    for system in range(FIRST_BOT + len(_BOTS))
    for channel in CHANNELS
)
"""The end of `context`, by system * len(CHANNELS) + channel."""


@dataclass(frozen=True)
class Devices:
    """Devices by index: first those of people, then second devices, then bots.

    Attributes:
        ids: anonymousId, (devices,).
        market: Index into MARKETS, (devices,).
        owner: Index of the member, -1 for visitors and bots, (devices,).
        context: The beginning of `context`, (devices,).
        system: Index of the operating system or bot's agent, (devices,).
        skew: What the clock is ahead, in milliseconds, (devices,).
        identified_from: UTC instant of the login; NEVER, or -NEVER if long ago, (devices,).
        is_bot: (devices,).
    """

    ids: pl.Series
    market: Ints
    owner: Ints
    context: pl.Series
    system: Ints
    skew: Ints
    identified_from: Ints
    is_bot: Mask


def session_starts(rows: Rows, n_sessions: int) -> Ints:
    """The instant of each session's first row, NEVER without rows; rows ascend in session."""
    begins = np.searchsorted(rows.session, np.arange(n_sessions))
    ends = np.searchsorted(rows.session, np.arange(n_sessions), side="right")
    return np.where(ends > begins, np.append(rows.at, NEVER)[begins], NEVER)


def assign_devices(rng: np.random.Generator, population: Population, sessions: Sessions,
                   starts: Ints) -> tuple[Ints, Ints]:  # fmt: skip
    """Give every session a device; some members use a second one after their sign-up.

    Returns:
        The device of each session, and the owner of each device, -1 for visitors.
    """
    n, n_people = population.n_members, population.n_people
    second = np.flatnonzero(rng.random(n) < _SECOND_DEVICE_SHARE)
    second_of = fill(n_people)
    second_of[second] = n_people + np.arange(len(second))
    signed_up_at = np.append(population.signed_up_at, fill(n_people - n, NEVER))
    uses_second = (
        (second_of[sessions.person] >= 0)
        & ~sessions.is_on_first_device
        & (starts > signed_up_at[sessions.person])
        & (rng.random(len(starts)) < _SECOND_DEVICE_USE)
    )
    device = np.where(uses_second, second_of[sessions.person], sessions.person)
    return device, np.concatenate([np.arange(n), fill(n_people - n), second])


def log_in(rng: np.random.Generator, world: World, rows: Rows, starts: Ints, device: Ints,
           owner: Ints) -> tuple[Ints, Rows]:  # fmt: skip
    """Let members log in on their devices, at the latest for an order or its refund.

    Newcomers log in with their sign-up; of the others most are logged in before the first day,
    the rest at the beginning of their first or second session on the device.

    Returns:
        The login of each device as UTC instant (NEVER; -NEVER if before the first day), and one
        identifying row per login.
    """
    timeline, population = world.timeline, world.population
    n = population.n_members
    needs_login = np.zeros(len(starts), dtype=np.bool_)
    is_personal = np.isin(rows.action, (Action.ORDER, Action.REFUND, Action.CANCEL))
    needs_login[rows.session[is_personal]] = True
    joins_at = fill(len(owner))
    is_newcomer = population.signed_up_at >= timeline.start
    joins_at[:n][is_newcomer] = population.signed_up_at[is_newcomer]

    session = np.lexsort((starts, device))
    session = session[(starts[session] < NEVER) & (owner[device[session]] >= 0)]
    used, start = device[session], starts[session]
    rank = np.arange(len(session)) - np.searchsorted(used, used)
    logs_in = (rank >= rng.integers(2, size=len(owner))[used]) | needs_login[session]
    logs_in &= joins_at[used] < 0
    joins = np.flatnonzero(joins_at[used] >= start)[::-1]  # newest first

    identified_from = np.where(joins_at >= 0, joins_at, NEVER)
    login_session = fill(len(owner))
    for chosen in (np.flatnonzero(logs_in), joins):
        login_device, first = np.unique(used[chosen], return_index=True)
        login_session[login_device] = session[chosen[first]]
    returns = (joins_at < 0) & (login_session >= 0)
    identified_from[returns] = starts[login_session[returns]]
    is_remembered = ~is_newcomer & (rng.random(n) < _REMEMBERED_SHARE)
    identified_from[:n][is_remembered] = -NEVER
    login_session[:n][is_remembered] = -1

    identifying = np.flatnonzero(login_session >= 0)
    nothing = fill(len(identifying))
    return identified_from, Rows(
        session=login_session[identifying],
        at=identified_from[identifying],
        action=fill(len(identifying), Action.IDENTIFY),
        product=nothing,
        quantity=nothing,
        subject=identifying,
    )


def choose_channels(rng: np.random.Generator, population: Population, sessions: Sessions) -> Ints:
    """The channel of each session: mostly the one that the person prefers."""
    n = len(sessions.person)
    other = pick(rng, CHANNEL_SHARES, n)
    is_usual = rng.random(n) < _USUAL_CHANNEL_SHARE
    return np.where(is_usual, population.channel[sessions.person], other)


def make_devices(rng: np.random.Generator, world: World, owner: Ints, identified_from: Ints,
                 n_agent_bots: int) -> Devices:  # fmt: skip
    """Describe the devices of people, and append those of bots."""
    settings, population = world.settings, world.population
    n_bots = n_agent_bots + settings.dirt.n_fast_bots
    n, n_human = len(owner) + n_bots, len(owner)
    is_bot = np.arange(n) >= n_human
    market = np.zeros(n, dtype=np.int64)
    market[: population.n_people] = population.market
    market[population.n_people : n_human] = population.market[owner[population.n_people :]]
    system = pick(rng, (0.42, 0.46, 0.12), n)
    system[n_human : n_human + n_agent_bots] = FIRST_BOT + np.arange(n_agent_bots) % len(_BOTS)
    is_skewed = ~is_bot & (rng.random(n) < settings.dirt.skewed_device_share)
    size = np.clip(rng.lognormal(np.log(90 * MINUTE), 1.6, n), 5 * MINUTE, 3 * DAY)
    direction = np.where(rng.random(n) < 0.5, -1, 1)
    # 198.18.0.0/15 is set aside for benchmarks: nobody's address.
    address = pl.DataFrame(rng.integers((18, 0, 1), (20, 256, 255), (n, 3)), schema=["b", "c", "d"])
    homes = pl.Series([
        f'"locale":"{home.locale}","timezone":"{home.time_zone}","country":"{home.country}",'
        for home in MARKETS
    ])[market]  # fmt: skip
    context = address.select(pl.format('"ip":"198.{}.{}.{}",{}', "b", "c", "d", homes)).to_series()
    return Devices(
        ids="a" + opaque_ids(settings.seed, "devices", n),
        market=market,
        owner=np.append(owner, fill(n_bots)),
        context=context,
        system=system,
        skew=np.where(is_skewed, direction * size.astype(np.int64), 0),
        identified_from=np.append(identified_from, fill(n_bots, NEVER)),
        is_bot=is_bot,
    )
