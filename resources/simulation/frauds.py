"""Referrals that must not count: sharers' own accounts, rings, device farms, stale clicks.

They are planted into a log that has been played, on newcomers whom nobody invited: no member
and no order is another for it.
"""

from dataclasses import dataclass, replace

import numpy as np

from resources.simulation.behaviour import Action, Rows
from resources.simulation.draws import Ints, Mask, fill
from resources.simulation.markets import DAY, HOUR, MINUTE
from resources.simulation.sharing import Shares, earlier
from resources.simulation.visits import Played, looks
from resources.simulation.world import World

KINDS = ("self_referral", "cycle", "device_farm")
_SELF_REFERRAL, _CYCLE, _DEVICE_FARM = range(len(KINDS))
_OPENINGS = (Action.PAGE, Action.SEARCH, Action.LIST)
_SPAN = 4 * DAY  # between the first and the last sign-up of a farm or ring


@dataclass(frozen=True)
class Frauds:
    """Clicks that must bind nobody; every array is (frauds,).

    Attributes:
        kind: Index into KINDS.
        sharer: Index of the member whose link it is.
        member: Index of the member who would be bound: the sharer herself, or a new account.
        share: Index of the share.
        at: UTC instant of the click.
    """

    kind: Ints
    sharer: Ints
    member: Ints
    share: Ints
    at: Ints


@dataclass(frozen=True)
class _Newcomers:
    """Whom a fraud can be made of, by sign-up; every array is (newcomers,).

    Attributes:
        member: Index of the member.
        session: Session of the sign-up.
        opening: Index of the session's first row.
        opened_at: UTC instant of that row.
        joined_at: UTC instant of the sign-up.
        is_free: Whether nothing is planted on her; changes.
    """

    member: Ints
    session: Ints
    opening: Ints
    opened_at: Ints
    joined_at: Ints
    is_free: Mask

    def take(self, chosen: Ints) -> Ints:
        """The chosen ones, who from now on are not free."""
        self.is_free[chosen] = False
        return chosen

    def rows_of_free(self, size: int) -> Ints:
        """Every size free newcomers in a row who sign up within the span, (rows, size)."""
        free = np.flatnonzero(self.is_free)
        if len(free) < size:
            return np.empty((0, size), dtype=np.int64)
        several = np.lib.stride_tricks.sliding_window_view(free, size)
        spans = self.joined_at[several[:, -1]] - self.joined_at[several[:, 0]]
        return several[spans <= _SPAN]


def _find_newcomers(world: World, played: Played, shares: Shares) -> _Newcomers:
    """Those uninvited who open the shop and sign up in one session on their own device."""
    rows, member, session = played.rows, shares.uninvited, shares.sign_up
    identifying = np.flatnonzero(rows.action == Action.IDENTIFY)
    signs_up = fill(len(played.device))
    signs_up[rows.session[identifying]] = rows.subject[identifying]
    in_time = np.lexsort((rows.at, rows.session))
    begins = np.searchsorted(rows.session[in_time], session)
    opening = in_time[np.minimum(begins, len(in_time) - 1)]
    joined_at = world.population.signed_up_at[member]
    # The first device of a member has her index.
    fits = np.flatnonzero(
        (signs_up[session] == member)
        & (rows.session[opening] == session)
        & np.isin(rows.action[opening], _OPENINGS)
        & (rows.at[opening] < joined_at - MINUTE // 2)
    )
    fits = fits[np.lexsort((member[fits], joined_at[fits]))]
    return _Newcomers(
        member=member[fits],
        session=session[fits],
        opening=opening[fits],
        opened_at=rows.at[opening[fits]],
        joined_at=joined_at[fits],
        is_free=np.ones(len(fits), dtype=np.bool_),
    )


class _Plot:
    """Plants one kind after the other."""

    def __init__(self, rng: np.random.Generator, world: World, played: Played,
                 shares: Shares) -> None:  # fmt: skip
        self._rng, self._world, self._dirt = rng, world, world.settings.dirt
        self.played, self.shares = played, shares
        self._newcomers = _find_newcomers(world, played, shares)
        self._size = len(self._newcomers.member)
        self._session, self._device = played.shared(len(shares.at))
        # Links of members who are logged in, and are no newcomers that frauds are made of.
        known = np.flatnonzero(self._session >= 0)
        is_named = played.identified_from[self._device[known]] <= shares.at[known]
        is_other = ~np.isin(shares.sharer[known], self._newcomers.member)
        self._usable = known[is_named & is_other]
        self._found: list[tuple[Ints, Ints, Ints, Ints, Ints]] = []

    def frauds(self) -> Frauds:
        """All that was planted."""
        return Frauds(*map(np.concatenate, zip(*self._found, strict=True)))

    def _note(self, kind: int, member: Ints, share: Ints, at: Ints) -> None:
        sharer = self.shares.sharer[share]
        self._found.append((fill(len(member), kind), sharer, member, share, at))

    def _link_before(self, instants: Ints) -> Ints:
        """A usable share from the days before each instant, -1 where there is none."""
        found = earlier(self._rng, self.shares.at[self._usable], instants - 2 * MINUTE)
        return np.where(found >= 0, np.append(self._usable, -1)[found], -1)

    def _sign_up_by(self, kind: int, chosen: Ints, share: Ints, device: Ints) -> None:
        """Let newcomers sign up by links on given devices, instead of finding the shop."""
        people, rows = self._newcomers, self.played.rows
        action, product, subject = rows.action.copy(), rows.product.copy(), rows.subject.copy()
        opening, session, member = (
            each[chosen] for each in (people.opening, people.session, people.member)
        )
        action[opening], product[opening], subject[opening] = Action.CLICK, -1, share
        where, guest = self.played.device.copy(), self.played.guest.copy()
        where[session] = device
        guest[session] = np.where(device == member, -1, member)
        self.played = replace(
            self.played,
            rows=Rows(rows.session, rows.at, action, product, rows.quantity, subject),
            device=where,
            guest=guest,
        )
        self._note(kind, member, share, people.opened_at[chosen])

    def plant_farms(self) -> None:
        """Accounts made one after the other on one device, by one link."""
        people = self._newcomers
        size = min(self._dirt.accounts_per_farm, self._size // 3)
        if size < 3:
            return
        for _ in range(min(self._dirt.device_farms, self._size // (3 * size))):
            several = people.rows_of_free(size)
            share = self._link_before(people.opened_at[several[:, 0]])
            possible = np.flatnonzero(share >= 0)
            if not len(possible):
                return
            which = self._rng.choice(possible)
            chosen = people.take(several[which])
            device = fill(size, int(people.member[chosen[0]]))
            self._sign_up_by(_DEVICE_FARM, chosen, fill(size, int(share[which])), device)

    def plant_second_accounts(self) -> None:
        """Sharers who log out, open their own link and sign up again."""
        people = self._newcomers
        free = np.flatnonzero(people.is_free)
        share = self._link_before(people.opened_at[free])
        possible = np.flatnonzero(share >= 0)
        n = min(self._dirt.second_accounts, self._size // 6, len(possible))
        which = np.sort(self._rng.choice(possible, n, replace=False))
        chosen = people.take(free[which])
        self._sign_up_by(_SELF_REFERRAL, chosen, share[which], self._device[share[which]])

    def plant_self_clicks(self) -> None:
        """Sharers who try their own link."""
        n = round(len(self._usable) * self._dirt.self_click_share)
        share = np.sort(self._rng.choice(self._usable, n, replace=False))
        at = self.shares.at[share] + self._rng.integers(MINUTE // 3, 3 * MINUTE, n)
        inside = self._world.timeline.within(at)
        share, at = share[inside], at[inside]
        product = self.shares.product[share]
        self.played = self.played.with_rows(self._world, looks(
            self._rng, self._world, Action.CLICK, self._session[share], share, product, at
        ))  # fmt: skip
        self._note(_SELF_REFERRAL, self.shares.sharer[share], share, at)

    def plant_rings(self) -> None:
        """Newcomers who share and open each other's links before any of them signs up.

        Each comes by the link of the one who signs up after her, which is as it should be; the
        last by the link of the first, which closes the ring.
        """
        people, rng, world = self._newcomers, self._rng, self._world
        visible = np.flatnonzero(~np.isneginf(world.catalogue.browse_appeal))
        for number in range(min(self._dirt.referral_rings, self._size // 6)):
            size = 3 if number % 3 == 2 else 2
            several = people.rows_of_free(size)
            possible = several[people.opened_at[several[:, 0]] > world.timeline.start + 2 * HOUR]
            if not len(possible):
                return
            chosen = people.take(possible[rng.integers(len(possible))])
            member, opened_at = people.member[chosen], int(people.opened_at[chosen[0]])
            begins = max(
                world.timeline.start + HOUR, opened_at - int(rng.integers(HOUR, 20 * HOUR))
            )
            shared_at = begins + np.arange(size) * MINUTE + rng.integers(0, MINUTE // 2, size)
            clicked_at = begins + rng.integers(10 * MINUTE, 30 * MINUTE, size)
            product = world.catalogue.available(
                rng.choice(visible, size), world.timeline.day(shared_at)
            )
            share = len(self.shares.at) + np.arange(size)
            clicked = np.roll(share, -1)
            shares = self.shares.extended(rng, world.settings.seed, member, product, shared_at)
            self.shares = replace(
                shares,
                referred=np.append(shares.referred, member[:-1]),
                cause=np.append(shares.cause, clicked[:-1]),
            )
            channel = world.population.channel[member]
            for action, link, about, at in (
                (Action.SHARE, share, product, shared_at),
                (Action.CLICK, clicked, np.roll(product, -1), clicked_at),
            ):
                self.played = self.played.with_visits(
                    rng, world, action, member, channel, link, about, at
                )
            self._note(_CYCLE, member[-1:], clicked[-1:], clicked_at[-1:])

    def plant_stale_clicks(self) -> None:
        """Newcomers who had opened a link long before, and came by themselves."""
        people, rng = self._newcomers, self._rng
        free = np.flatnonzero(people.is_free)
        chosen = free[rng.random(len(free)) < self._dirt.stale_click_share]
        at = people.opened_at[chosen] - rng.integers(8 * DAY, 20 * DAY, len(chosen))
        share = self._link_before(at)
        happens = (share >= 0) & self._world.timeline.within(at)
        member, share, at = people.member[chosen][happens], share[happens], at[happens]
        self.played = self.played.with_visits(
            rng, self._world, Action.CLICK, member, self._world.population.channel[member], share,
            self.shares.product[share], at,
        )  # fmt: skip


def plant_frauds(rng: np.random.Generator, world: World, played: Played,
                 shares: Shares) -> tuple[Played, Shares, Frauds]:  # fmt: skip
    """Plant what the shop's dirt asks for.

    Returns:
        The log and the shares with what was planted, and the clicks that must bind nobody.
    """
    plot = _Plot(rng, world, played, shares)
    plot.plant_farms()
    plot.plant_rings()
    plot.plant_second_accounts()
    plot.plant_self_clicks()
    plot.plant_stale_clicks()
    return plot.played, plot.shares, plot.frauds()
