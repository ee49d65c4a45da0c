"""What people do in a session: the rows of the event log, before anything goes wrong with them."""

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from resources.simulation.draws import Floats, Ints, Mask, choose, expand, fill
from resources.simulation.orders import Orders
from resources.simulation.sessions import Sessions
from resources.simulation.vocabulary import KINDS, SEARCH_SUFFIXES
from resources.simulation.world import World

_OPENINGS = (0.45, 0.2, 0.35)  # page, search, list
_LIST_SHARE = 0.2  # of views come from another list
_CART_SHARE = 0.05  # of views without an order
_REMOVED_SHARE = 0.15  # of those carts
_WISH_SHARE = 0.03
_GAP_SECONDS = (1.7, 14.0, 0.9, 600.0)  # least, median, log deviation, most


class Action(IntEnum):
    """What a row of the event log is."""

    PAGE = 0
    CLICK = 1
    SEARCH = 2
    LIST = 3
    VIEW = 4
    ADD = 5
    REMOVE = 6
    WISH = 7
    SHARE = 8
    CART = 9
    CHECKOUT = 10
    ORDER = 11
    REFUND = 12
    CANCEL = 13
    IDENTIFY = 14


@dataclass(frozen=True)
class Rows:
    """Rows of the event log; every array is (rows,), and -1 says none.

    Attributes:
        session: Index of the session.
        at: UTC instant at which it happens.
        action: Action.
        product: Product, or category for lists, or kind and suffix for searches.
        quantity: Pieces put into or taken out of the cart.
        subject: Index of the order, share or device it is about.
    """

    session: Ints
    at: Ints
    action: Ints
    product: Ints
    quantity: Ints
    subject: Ints

    def __add__(self, other: "Rows") -> "Rows":
        """These rows, then the others."""
        return Rows(*(
            np.concatenate([getattr(self, field.name), getattr(other, field.name)])
            for field in fields(self)
        ))  # fmt: skip

    def __getitem__(self, chosen: Mask | Ints) -> "Rows":
        """The chosen rows, by mask or index."""
        return Rows(*(getattr(self, field.name)[chosen] for field in fields(self)))


class _Script:
    """Collects rows with their place in the session."""

    def __init__(self) -> None:
        self._rows: list[Rows] = []
        self._places: list[Floats] = []

    def add(self, session: Ints, place: Floats | float, action: Action | Ints, *,
            product: Ints | None = None, quantity: Ints | None = None,
            subject: Ints | None = None) -> None:  # fmt: skip
        n = len(session)
        self._places.append(np.broadcast_to(np.asarray(place, dtype=np.float64), (n,)))
        self._rows.append(Rows(
            session=session,
            at=np.zeros(n, dtype=np.int64),
            action=np.broadcast_to(np.asarray(action, dtype=np.int64), (n,)),
            product=fill(n) if product is None else product,
            quantity=fill(n) if quantity is None else quantity,
            subject=fill(n) if subject is None else subject,
        ))  # fmt: skip

    def ordered(self) -> Rows:
        rows = self._rows[0]
        for more in self._rows[1:]:
            rows = rows + more
        return rows[np.lexsort((np.concatenate(self._places), rows.session))]


def play(rng: np.random.Generator, world: World, sessions: Sessions, *, is_sharing: bool) -> Rows:
    """Play sessions out, row by row in time; rows outside the days with events are left out.

    Members share what they look at only where is_sharing.
    """
    catalogue, script = world.catalogue, _Script()
    every = np.arange(len(sessions.person))
    session, place = expand(sessions.n_views)
    viewed = choose(
        rng, world.population.tastes, catalogue.vectors, catalogue.browse_appeal,
        sessions.person[session],
    )  # fmt: skip
    place = place.astype(np.float64)
    script.add(session, place, Action.VIEW, product=viewed)
    _add_reactions(rng, script, world, sessions, session, place, viewed, is_sharing)

    focused = np.flatnonzero(sessions.focus >= 0)
    script.add(focused, -0.5, Action.VIEW, product=sessions.focus[focused])
    opening = np.array([Action.PAGE, Action.SEARCH, Action.LIST])[
        np.searchsorted(np.cumsum(_OPENINGS), rng.random(len(every)), side="right").clip(max=2)
    ]
    first = viewed[np.cumsum(sessions.n_views) - sessions.n_views]
    suffix = rng.integers(len(SEARCH_SUFFIXES), size=len(every))
    about = np.where(
        opening == Action.SEARCH,
        suffix * len(KINDS) + catalogue.kind[first],
        np.where(opening == Action.LIST, catalogue.category[first], -1),
    )
    is_click = sessions.click >= 0
    script.add(every, -1.0, np.where(is_click, Action.CLICK, opening),
               product=np.where(is_click, -1, about), subject=sessions.click)  # fmt: skip
    _add_orders(script, world.orders, sessions)

    rows = script.ordered()
    at = _times(rng, rows, world.orders, sessions)
    is_view = np.isin(rows.action, (Action.VIEW, Action.WISH, Action.SHARE))
    product = rows.product.copy()
    product[is_view] = catalogue.available(product[is_view], world.timeline.day(at[is_view]))
    rows = Rows(rows.session, at, rows.action, product, rows.quantity, rows.subject)
    return rows[world.timeline.within(at)]


def _add_reactions(rng: np.random.Generator, script: _Script, world: World, sessions: Sessions,
                   session: Ints, place: Floats, viewed: Ints,
                   is_sharing: bool) -> None:  # fmt: skip
    """What follows from looking at a product: lists, carts, wishes, shares."""
    catalogue, population = world.catalogue, world.population
    is_listed = rng.random(len(session)) < _LIST_SHARE
    script.add(session[is_listed], place[is_listed] - 0.2, Action.LIST,
               product=catalogue.category[viewed[is_listed]])  # fmt: skip
    is_goods = ~catalogue.is_content[viewed]
    carted = np.flatnonzero(is_goods & (rng.random(len(session)) < _CART_SHARE)
                            & (sessions.order[session] < 0))  # fmt: skip
    one = np.ones(len(carted), dtype=np.int64)
    script.add(session[carted], place[carted] + 0.1, Action.ADD,
               product=viewed[carted], quantity=one)  # fmt: skip
    is_removed = rng.random(len(carted)) < _REMOVED_SHARE
    script.add(session[carted[is_removed]], place[carted[is_removed]] + 0.3, Action.REMOVE,
               product=viewed[carted[is_removed]], quantity=one[is_removed])  # fmt: skip
    wished = np.flatnonzero(is_goods & (rng.random(len(session)) < _WISH_SHARE))
    script.add(session[wished], place[wished] + 0.2, Action.WISH, product=viewed[wished])
    if is_sharing:
        person = sessions.person[session]
        share_rate = np.zeros(population.n_people)
        share_rate[: population.n_members] = population.share_rate
        shared = np.flatnonzero(rng.random(len(session)) < share_rate[person])
        script.add(session[shared], place[shared] + 0.25, Action.SHARE, product=viewed[shared])


def _add_orders(script: _Script, orders: Orders, sessions: Sessions) -> None:
    """The way through the cart: view and add every line, then cart, checkout, order."""
    buying = np.flatnonzero(sessions.order >= 0)
    order = sessions.order[buying]
    first_line = np.cumsum(orders.n_lines) - orders.n_lines
    which, line = expand(orders.n_lines[order])
    session, product = buying[which], orders.product[first_line[order[which]] + line]
    quantity = orders.quantity[first_line[order[which]] + line]
    place = line.astype(np.float64) + 1e6
    script.add(session, place, Action.VIEW, product=product)
    script.add(session, place + 0.5, Action.ADD, product=product, quantity=quantity)
    for end, action in ((2e6, Action.CART), (3e6, Action.CHECKOUT), (4e6, Action.ORDER)):
        script.add(buying, end, action, subject=order)


def _times(rng: np.random.Generator, rows: Rows, orders: Orders, sessions: Sessions) -> Ints:
    """When each row happens: sessions begin at their start, or end with their order."""
    least, median, deviation, most = _GAP_SECONDS
    gaps = np.clip(rng.lognormal(np.log(median), deviation, len(rows.session)), least, most)
    passed = np.cumsum((gaps * 1000).astype(np.int64))
    begins = np.searchsorted(rows.session, np.arange(len(sessions.person)))
    start = sessions.started_at - passed[begins]
    is_order = rows.action == Action.ORDER
    start[rows.session[is_order]] = orders.at[rows.subject[is_order]] - passed[is_order]
    return start[rows.session] + passed
