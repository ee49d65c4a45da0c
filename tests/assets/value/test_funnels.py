"""Funnels: each rule by an example, and the one pass against a search of every attempt."""

import datetime as dt
import itertools
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.value.funnels import LOSSES, Attempts, Terms, best_attempts, losses

MIDNIGHT = dt.datetime(2026, 3, 1)  # noqa: DTZ001 - stored timestamps are naive UTC
WINDOW = 10
# After every event of the shops that are drawn.
UNTIL = 17
DAY = 86_400
SCHEMA = {
    "member_id": pl.Int64,
    "nth": pl.Int64,
    "step": pl.Int64,
    "occurred_at": pl.Datetime("us"),
    "is_newest": pl.Boolean,
}
# What an event may meet: nothing, steps (some of them several), or an exclusion.
Event = tuple[int, tuple[int, ...]]


def frame(*members: list[Event]) -> pl.DataFrame:
    """Rows of members with events (day, steps); an event without steps is another one's."""
    rows: list[tuple[Any, ...]] = []
    for member_id, events in enumerate(members):
        # As the SQL numbers them: by time, then message.
        for nth, (day, steps) in enumerate(sorted(events, key=lambda event: event[0]), start=1):
            rows += [
                (
                    member_id,
                    nth,
                    step,
                    MIDNIGHT + dt.timedelta(days=day),
                    nth == len(events),
                )
                for step in steps
            ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def attempts(
    *members: list[Event],
    order: str = "ordered",
    n_steps: int = 3,
    exclusions: tuple[tuple[int, int], ...] = (),
    until: int = 100,
) -> Attempts:
    terms = Terms(order, WINDOW, n_steps, exclusions)  # pyright: ignore[reportArgumentType]
    return best_attempts(frame(*members), terms, MIDNIGHT + dt.timedelta(days=until))


def reached(*events: Event, **terms: Any) -> int:
    """How far one member with these events comes."""
    found = attempts(list(events), **terms).n_reached
    return int(found[0]) if len(found) else 0


def taken(*steps: int) -> list[Event]:
    """One event a day, each meeting one step; 0 meets none."""
    return [(day, (step,) if step else ()) for day, step in enumerate(steps)]


@pytest.mark.parametrize(
    ("steps", "ordered", "strict", "any_order"),
    [
        ((1, 2, 3), 3, 3, 3),
        ((1, 0, 2, 0, 3), 3, 1, 3),
        ((1, 1, 2, 3), 3, 3, 3),
        ((1, 3, 2), 2, 1, 3),
        ((3, 2, 1), 1, 1, 3),
        ((2, 3), 0, 0, 2),
        ((1, 2, 1, 3), 3, 2, 3),
        ((1, 2, 0, 1, 2, 3), 3, 3, 3),
        ((0, 0), 0, 0, 0),
    ],
)
def test_orders(steps, ordered, strict, any_order):
    events = taken(*steps)
    assert reached(*events) == ordered
    assert reached(*events, order="strict") == strict
    assert reached(*events, order="any") == any_order


@pytest.mark.parametrize("order", ["ordered", "strict", "any"])
def test_the_window_includes_its_end(order):
    assert reached((0, (1,)), (WINDOW, (2,)), order=order) == 2
    assert reached((0, (1,)), (WINDOW + 1, (2,)), order=order) == 1


def test_a_later_start_saves_an_attempt_that_began_too_early():
    assert reached((0, (1,)), (5, (1,)), (8, (2,)), (12, (3,))) == 3


def test_one_event_takes_one_step():
    assert reached((0, (1, 2, 3))) == 1
    assert reached((0, (1, 3)), (1, (2,))) == 2
    assert reached((0, (1, 3)), (1, (2,)), (2, (1, 3))) == 3
    assert reached((0, (1, 2)), (1, (1, 2)), order="strict", n_steps=2) == 2


def test_events_of_one_instant_stand_in_the_order_of_their_steps():
    assert reached((0, (3,)), (0, (2,)), (0, (1,))) == 3
    assert reached((0, (-1,)), (0, (2,)), (0, (1,)), exclusions=((1, 2),)) == 2


def test_an_exclusion_ends_the_attempt_and_not_the_member():
    between = {"exclusions": ((2, 3),)}
    assert reached(*taken(1, 2, -1, 3), **between) == 2
    assert reached(*taken(1, -1, 2, 3), **between) == 3
    assert reached(*taken(1, 2, 3, -1), **between) == 3
    assert reached(*taken(1, 2, -1, 3), exclusions=((1, 2),)) == 3
    # The first step still stands: she takes the second one again.
    assert reached(*taken(1, 2, -1, 2, 3), **between) == 3
    assert reached(*taken(1, -1, 2, 3), exclusions=((1, 3),)) == 1
    assert reached(*taken(1, -1, 1, 2, 3), exclusions=((1, 3),)) == 3


def test_in_any_order_an_exclusion_ends_everything_begun():
    alone = {"exclusions": ((1, 3),), "order": "any"}
    assert reached(*taken(3, -1, 2, 1), **alone) == 2
    assert reached(*taken(-1, 3, 2, 1, -1), **alone) == 3


def test_times_are_those_of_the_first_attempt_that_comes_furthest():
    found = attempts([*taken(1, 1, 2, 0, 3), (30, (1,)), (30, (2,)), (31, (3,))])
    assert found.seconds.tolist() == [[0, DAY, 3 * DAY]]
    halfway = attempts(taken(1, 0, 2))
    assert halfway.n_reached.tolist() == [2]
    assert np.isnan(halfway.seconds[0, 2])


@pytest.mark.parametrize("order", ["ordered", "any"])
def test_who_began_within_the_window_may_still_come(order):
    begun = [(0, (1,)), (2, (2,))]
    assert attempts(begun, order=order, until=WINDOW).is_open.tolist() == [True]
    # In any order the second event begins an attempt as well.
    late = WINDOW + (3 if order == "any" else 1)
    assert attempts(begun, order=order, until=late).is_open.tolist() == [False]


def test_what_is_excluded_or_interrupted_may_not_come():
    whole = ((1, 3),)
    assert attempts(taken(1, 2, -1), exclusions=whole, until=4).is_open.tolist() == [False]
    assert attempts(taken(1, 2), order="strict", until=4).is_open.tolist() == [True]
    assert attempts(taken(1, 2, 0), order="strict", until=4).is_open.tolist() == [False]
    assert attempts(taken(1, 2, 2), order="strict", until=4).is_open.tolist() == [False]


def test_losses_of_four_members():
    found = attempts(
        taken(1, 2, 3),
        [(0, (1,)), (4, (2,))],
        taken(1, 1),
        taken(2, 3),
        [(0, (1,)), (0, (2,)), (9, (3,))],
        until=11,
    )
    rows = losses("f", ("view", "cart", "order"), found)
    assert rows == [
        ("f", 1, "view", 4, 4, 1.0, 1.0, None, 0),
        ("f", 2, "cart", 4, 3, 0.75, 0.75, DAY, 1),
        ("f", 3, "order", 4, 2, 0.5, 2 / 3, 5.5 * DAY, 1),
    ]
    assert pl.DataFrame(rows, LOSSES, orient="row")["converted"].sum() == 9


@pytest.mark.parametrize("order", ["ordered", "strict", "any"])
def test_nobody_is_a_row_per_step_that_says_so(order):
    for events in ((), ([],), (taken(0),)):
        found = attempts(*events, order=order)
        assert losses("f", "abc", found) == [
            ("f", step, name, 0, 0, None, None, None, 0) for step, name in enumerate("abc", start=1)
        ]


@pytest.mark.parametrize(
    ("message", "events", "terms"),
    [
        ("not one of", taken(4), {}),
        ("not one of", taken(-1), {}),
        ("not one of", [(0, (0,))], {}),
        ("take a step and exclude", [(0, (-1, 2))], {"exclusions": ((1, 2),)}),
        ("several", [(0, (1, 2))], {"order": "any"}),
        ("no exclusion", taken(1), {"exclusions": ((2, 2),)}),
        ("no exclusion", taken(1), {"exclusions": ((1, 4),)}),
    ],
)
def test_what_is_no_funnel_is_refused(message, events, terms):
    with pytest.raises(ValueError, match=message):
        attempts(events, **terms)


def searched(
    events: list[Event], order: str, n_steps: int, exclusions: tuple[tuple[int, int], ...]
) -> tuple[int, list[int]]:
    """The best attempt by trying every selection of events: steps and days of its events."""
    ranked = _ranked(events, order)
    best: tuple[Any, ...] | None = None
    for k in range(1, n_steps + 1):
        for places in itertools.combinations(range(len(ranked)), k):
            chosen = [ranked[place] for place in places]
            days = [day for day, _, _ in chosen]
            if days[-1] - days[0] > WINDOW or not _is_attempt(places, ranked, order, exclusions):
                continue
            # Furthest, there first, begun last; then, from the back, soonest on the way there,
            # which in any order is the other way round.
            sign = 1 if order == "any" else -1
            merit = (k, -places[-1], days[0], *(sign * day for day in reversed(days)))
            if best is None or merit > best[0]:
                best = (merit, days)
    return (best[0][0], best[1]) if best else (0, [])


def _ranked(events: list[Event], order: str) -> list[tuple[int, int, tuple[int, ...]]]:
    """Day, number and steps of each event, as they stand in a funnel of this order."""
    numbered = [
        (day, nth, steps)
        for nth, (day, steps) in enumerate(sorted(events, key=lambda event: event[0]))
    ]
    if order == "strict":
        return numbered
    return sorted(
        numbered,
        key=lambda event: (event[0], min([s for s in event[2] if s > 0], default=99), event[1]),
    )


def _is_attempt(
    places: tuple[int, ...],
    ranked: list[tuple[int, int, tuple[int, ...]]],
    order: str,
    exclusions: tuple[tuple[int, int], ...],
) -> bool:
    met = [ranked[place][2] for place in places]
    if order == "any":
        steps = [step for steps in met for step in steps]
        if min(steps, default=0) < 1 or len(set(steps)) < len(places) or not all(met):
            return False
    elif not all(step in steps for step, steps in enumerate(met, start=1)):
        return False
    if order == "strict":
        numbers = [ranked[place][1] for place in places]
        return numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    for number, (after, before) in enumerate(exclusions, start=1):
        if len(places) <= after and order != "any":
            continue
        first = places[0] if order == "any" else places[after - 1]
        last = places[-1] if order == "any" else places[min(before, len(places)) - 1]
        if any(-number in ranked[place][2] for place in range(first + 1, last)):
            return False
    return True


def may_come_further(
    events: list[Event], order: str, n_steps: int, exclusions: tuple[tuple[int, int], ...]
) -> bool:
    """Whether a step taken at the end would end an attempt with steps before it."""
    for step in range(1, n_steps + 1):
        ranked = _ranked([*events, (UNTIL, (step,))], order)
        last = len(ranked) - 1
        for k in range(1, n_steps):
            for places in itertools.combinations(range(last), k):
                if UNTIL - ranked[places[0]][0] <= WINDOW and _is_attempt(
                    (*places, last), ranked, order, exclusions
                ):
                    return True
    return False


@st.composite
def shops(draw: st.DrawFn) -> tuple[str, int, tuple[tuple[int, int], ...], list[list[Event]]]:
    order = draw(st.sampled_from(["ordered", "strict", "any"]))
    n_steps = draw(st.integers(2, 4))
    exclusions = ()
    if order != "strict":
        pairs = [(a, b) for a in range(1, n_steps) for b in range(a + 1, n_steps + 1)]
        if order == "any":
            pairs = [(1, n_steps)]
        exclusions = tuple(draw(st.lists(st.sampled_from(pairs), max_size=2)))
    step = st.integers(1, n_steps)
    met = [st.just(()), step.map(lambda each: (each,)), step.map(lambda each: (each,))]
    if order != "any":
        met.append(st.sets(step, min_size=2, max_size=2).map(lambda some: tuple(sorted(some))))
    if exclusions:
        met.append(st.integers(1, len(exclusions)).map(lambda number: (-number,)))
    event = st.tuples(st.integers(0, 16), st.one_of(met))
    members = draw(st.lists(st.lists(event, max_size=8), min_size=1, max_size=3))
    return order, n_steps, exclusions, members


@given(shops(), st.randoms(use_true_random=False))
def test_it_finds_what_a_search_of_every_attempt_finds(shop, chance):
    order, n_steps, exclusions, members = shop
    terms = Terms(order, WINDOW, n_steps, exclusions)
    rows = frame(*members).rows()
    chance.shuffle(rows)
    events = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    found = best_attempts(events, terms, MIDNIGHT + dt.timedelta(days=UNTIL))
    expected = {
        member_id: best
        for member_id, each in enumerate(members)
        if (best := searched(each, order, n_steps, exclusions))[0]
    }
    assert found.member_ids.tolist() == list(expected)
    for row, (n_reached, days) in enumerate(expected.values()):
        assert found.n_reached[row] == n_reached
        seconds = found.seconds[row]
        assert seconds[:n_reached].tolist() == [(day - days[0]) * DAY for day in days]
        assert np.isnan(seconds[n_reached:]).all()
        if n_reached < n_steps:
            member = members[list(expected)[row]]
            assert found.is_open[row] == may_come_further(member, order, n_steps, exclusions)
