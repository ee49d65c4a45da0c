"""A log that has been played, before bots and dirt, and short visits planted into it."""

from dataclasses import dataclass, replace

import numpy as np

from resources.simulation.behaviour import Action, Rows
from resources.simulation.draws import Ints, fill
from resources.simulation.world import World

_LOOKS = (4_000, 40_000)  # milliseconds between a link or a share and the product's page


@dataclass(frozen=True)
class Played:
    """Rows by session, in any order, and whose sessions they are.

    Attributes:
        rows: Of members and visitors, logins included.
        device: Of each session, (sessions,).
        channel: Index into CHANNELS, (sessions,).
        guest: Member who signs up in the session on a device that is another's, else -1,
            (sessions,).
        identified_from: UTC instant of the login of each device, (devices,).
    """

    rows: Rows
    device: Ints
    channel: Ints
    guest: Ints
    identified_from: Ints

    def shared(self, n_shares: int) -> tuple[Ints, Ints]:
        """The session in which each share was made, -1 if in none, and its device, (shares,)."""
        session, device = fill(n_shares), fill(n_shares)
        row = np.flatnonzero(self.rows.action == Action.SHARE)
        session[self.rows.subject[row]] = self.rows.session[row]
        device[self.rows.subject[row]] = self.device[self.rows.session[row]]
        return session, device

    def with_rows(self, world: World, rows: Rows) -> "Played":
        """With rows of its sessions added, those outside the days with events left out."""
        return replace(self, rows=self.rows + rows[world.timeline.within(rows.at)])

    def with_visits(self, rng: np.random.Generator, world: World, action: Action, device: Ints,
                    channel: Ints, share: Ints, product: Ints, at: Ints) -> "Played":  # fmt: skip
        """With sessions in which a product is shared, or a link to it opened, at the instants."""
        n = len(device)
        session = len(self.device) + np.arange(n)
        more = replace(
            self,
            device=np.append(self.device, device),
            channel=np.append(self.channel, channel),
            guest=np.append(self.guest, fill(n)),
        )
        return more.with_rows(world, looks(rng, world, action, session, share, product, at))


def looks(rng: np.random.Generator, world: World, action: Action, session: Ints, share: Ints,
          product: Ints, at: Ints) -> Rows:  # fmt: skip
    """Links opened (CLICK), then the product seen; or a product seen, then shared (SHARE)."""
    n = len(session)
    gap = rng.integers(*_LOOKS, n)
    seen_at = at + gap if action == Action.CLICK else at - gap
    seen = world.catalogue.available(product, world.timeline.day(seen_at))
    nothing = fill(2 * n)
    return Rows(
        session=np.concatenate([session, session]),
        at=np.concatenate([at, seen_at]),
        action=np.repeat([action, Action.VIEW], n).astype(np.int64),
        product=np.concatenate([product, seen]),
        quantity=nothing,
        subject=np.concatenate([share, fill(n)]),
    )
