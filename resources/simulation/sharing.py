"""Shares, the clicks on them, and the members who signed up because of one."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from resources.simulation.behaviour import Action, Rows
from resources.simulation.draws import Ints, Mask, expand, fill, opaque_ids
from resources.simulation.markets import DAY, HOUR, MINUTE
from resources.simulation.population import Population
from resources.simulation.sessions import Sessions, make_sessions
from resources.simulation.world import World

SHARE_CHANNELS = ("wechat_friend", "wechat_group", "moments", "link")
_INVITED_SHARE = 0.35  # of sign-ups on days with events, if somebody shared in time
_PATIENCE = 5 * DAY  # from share to sign-up
_AT_ONCE_SHARE = 0.6  # of invited members sign up in the session of the click
_RIVAL_SHARE = 0.12  # of invited members clicked somebody else's link before
_MEAN_CLICKS = 0.9
_MEMBER_CLICK_SHARE = 0.25
_MEAN_VIEWS_AFTER_CLICK = 2.5


@dataclass(frozen=True)
class Shares:
    """Shares, and who came through them.

    Attributes:
        codes: share_code, (shares,).
        sharer: Index of the member, (shares,).
        product: (shares,).
        at: UTC instant, (shares,); as `make_sharing` gives them they ascend.
        via: Index into SHARE_CHANNELS, (shares,).
        group: Index of the group order that it invites to, else -1, (shares,).
        referred: Members who signed up because of a share, (referrals,).
        cause: Index of that share, the one clicked last, (referrals,).
        uninvited: Members who signed up on the days with events without one, (others,).
        sign_up: The session of their sign-up, (others,).
    """

    codes: pl.Series
    sharer: Ints
    product: Ints
    at: Ints
    via: Ints
    group: Ints
    referred: Ints
    cause: Ints
    uninvited: Ints
    sign_up: Ints

    def extended(self, rng: np.random.Generator, seed: int, sharer: Ints, product: Ints, at: Ints,
                 group: Ints | None = None) -> "Shares":  # fmt: skip
        """These shares, then others, which brought nobody."""
        n = len(sharer)
        return replace(
            self,
            codes=opaque_ids(seed, "shares", len(self.at) + n),
            sharer=np.append(self.sharer, sharer),
            product=np.append(self.product, product),
            at=np.append(self.at, at),
            via=np.append(self.via, rng.integers(len(SHARE_CHANNELS), size=n)),
            group=np.append(self.group, fill(n) if group is None else group),
        )


def make_sharing(rng: np.random.Generator, world: World, sessions: Sessions,
                 rows: Rows) -> tuple[Shares, Sessions, Rows]:  # fmt: skip
    """Turn shared rows into shares, and draw who follows them.

    A sharer has signed up before she shares, and whom she refers signs up after: so referrals
    have no cycles.

    Returns:
        The shares; the sessions of clicks and of all sign-ups, which follow the given ones; and
        the rows, in which shares carry the index of their share as subject, without those from
        before a sign-up.
    """
    timeline, population = world.timeline, world.population
    person = sessions.person[rows.session]
    is_share = rows.action == Action.SHARE
    signed_up_at = np.full(population.n_people, timeline.horizon)
    signed_up_at[: population.n_members] = population.signed_up_at
    rows = rows[~is_share | (rows.at > signed_up_at[person])]
    shared = np.flatnonzero(rows.action == Action.SHARE)
    shared = shared[np.argsort(rows.at[shared], kind="stable")]
    subject = rows.subject.copy()
    subject[shared] = np.arange(len(shared))
    rows = Rows(rows.session, rows.at, rows.action, rows.product, rows.quantity, subject)
    at, product = rows.at[shared], rows.product[shared]

    newcomer = np.flatnonzero(population.signed_up_at >= timeline.start)
    joined = population.signed_up_at[newcomer]
    cause = earlier(rng, at, joined - 20 * MINUTE)
    cause[rng.random(len(newcomer)) >= _INVITED_SHARE] = -1
    is_invited = cause >= 0
    is_at_once = is_invited & (rng.random(len(newcomer)) < _AT_ONCE_SHARE)
    signing_up = make_sessions(
        rng, newcomer, joined - rng.integers(MINUTE, 10 * MINUTE, len(newcomer)),
        click=np.where(is_at_once, cause, -1), focus=_products(product, cause, is_at_once),
        is_on_first_device=True,
    )  # fmt: skip
    patient = np.flatnonzero(is_invited & ~is_at_once)
    clicked_at = np.where(is_invited, joined - 10 * MINUTE, 0)
    shared_at = at[cause[patient]]
    passed = rng.random(len(patient)) * (joined[patient] - 15 * MINUTE - shared_at)
    clicked_at[patient] = shared_at + MINUTE + passed.astype(np.int64)
    rival = earlier(rng, at, clicked_at - HOUR)
    rival[~is_invited | (rng.random(len(newcomer)) >= _RIVAL_SHARE)] = -1
    rivalled = np.flatnonzero(rival >= 0)
    rival_at = (at[rival[rivalled]] + clicked_at[rivalled]) // 2
    for who, share, instant in (
        (patient, cause[patient], clicked_at[patient]),
        (rivalled, rival[rivalled], rival_at),
    ):
        signing_up += make_sessions(
            rng, newcomer[who], instant, click=share, focus=product[share],
            mean_views=_MEAN_VIEWS_AFTER_CLICK, is_on_first_device=True,
        )  # fmt: skip

    shares = Shares(
        codes=opaque_ids(world.settings.seed, "shares", len(shared)),
        sharer=sessions.person[rows.session[shared]],
        product=product,
        at=at,
        via=rng.integers(len(SHARE_CHANNELS), size=len(shared)),
        group=fill(len(shared)),
        referred=newcomer[is_invited],
        cause=cause[is_invited],
        uninvited=newcomer[~is_invited],
        sign_up=len(sessions.person) + np.flatnonzero(~is_invited),
    )
    return shares, signing_up + _idle_clicks(rng, population, shares, signed_up_at), rows


def _products(product: Ints, share: Ints, chosen: Mask) -> Ints:
    """The shared product where chosen, else -1."""
    products = fill(len(share))
    products[chosen] = product[share[chosen]]
    return products


def earlier(rng: np.random.Generator, at: Ints, before: Ints) -> Ints:
    """For each instant a share from the days before it, at random; -1 where there is none.

    Args:
        rng: The stream to draw from.
        at: When something was shared, ascending, (shares,).
        before: UTC instants, (instants,).

    Returns:
        Indices into at, (instants,).
    """
    low, high = np.searchsorted(at, before - _PATIENCE), np.searchsorted(at, before)
    share = low + np.floor(rng.random(len(before)) * (high - low)).astype(np.int64)
    return np.where(high > low, share, -1)


def _idle_clicks(rng: np.random.Generator, population: Population, shares: Shares,
                 signed_up_at: Ints) -> Sessions:  # fmt: skip
    """Clicks that lead to no sign-up: by visitors, and by people who are members already."""
    share, _ = expand(rng.poisson(_MEAN_CLICKS, len(shares.at)).astype(np.int64))
    at = shares.at[share] + MINUTE + rng.exponential(8 * HOUR, len(share)).astype(np.int64)
    n, n_people = population.n_members, population.n_people
    by_member = (rng.random(len(share)) < _MEMBER_CLICK_SHARE) | (n_people == n)
    member = rng.integers(n, size=len(share))
    visitor = rng.integers(min(n, n_people - 1), n_people, size=len(share))
    person = np.where(by_member, member, visitor)
    happens = ~by_member | (signed_up_at[person] < at)
    return make_sessions(
        rng, person[happens], at[happens], click=share[happens],
        focus=shares.product[share[happens]], mean_views=_MEAN_VIEWS_AFTER_CLICK,
    )  # fmt: skip
