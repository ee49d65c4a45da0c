"""How far members come on a way of steps, each by her best attempt.

An **attempt** at the first k steps is k different events of one member, the last within the window
of the first (its end included). `ordered`: the i-th meets step i. `strict`: so, and the member has
no other event between the first and the last. `any`: they meet k different steps, in any order. An
attempt that an exclusion interrupts comes no further: by an event that excludes, after step `after`
and before step `before` (in any order: after the first event).

Events stand in the order of time; those of one instant in the order of the first steps they meet,
what excludes last, and then as they are numbered. In a strict funnel they stand as numbered.

A member's best attempt comes furthest; of several, it was there first, and then began last.

One pass over a member's events finds it: of all attempts that are k steps on and may go on, only
the one that began last matters, for it can do whatever the others can. So k starting times are all
that is kept (ClickHouse's windowFunnel does the same without exclusions).
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.compiled import compiled

LOSSES = {
    "funnel": pl.String,
    "step": pl.Int64,
    "step_name": pl.String,
    "entered": pl.Int64,
    "converted": pl.Int64,
    "rate_overall": pl.Float64,
    "rate_step": pl.Float64,
    "median_seconds": pl.Float64,
    "n_open": pl.Int64,
}

_US_PER_DAY = 86_400_000_000
_ORDERS = ("ordered", "strict", "any")
# Before all time, and so far that no window reaches back to it.
_NEVER = np.iinfo(np.int64).min // 4
# Where an event stands that meets no step.
_LAST = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Terms:
    """What counts as an attempt.

    Attributes:
        order: in which order the steps are taken.
        window_days: from the first step to the last.
        n_steps: how many there are, at least 1.
        exclusions: of each, after which step and before which one it interrupts.

    Raises:
        ValueError: an exclusion's steps are no steps, or `after` is not below `before`.
    """

    order: Literal["ordered", "strict", "any"]
    window_days: float
    n_steps: int
    exclusions: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        for after, before in self.exclusions:
            if not 1 <= after < before <= self.n_steps:
                raise ValueError(f"no exclusion lies between step {after} and step {before}")


@dataclass(frozen=True)
class Attempts:
    """The best attempt of every member who took a first step, sorted by member.

    Attributes:
        member_ids: shape (n_members,).
        n_reached: steps of the best attempt, from 1, shape (n_members,).
        seconds: from its first event to each of its steps, NaN past n_reached, shape
            (n_members, n_steps).
        is_open: an attempt of hers may still go on after `as_of`, shape (n_members,).
    """

    member_ids: NDArray[np.int64]
    n_reached: NDArray[np.int64]
    seconds: NDArray[np.float64]
    is_open: NDArray[np.bool_]


def best_attempts(events: pl.DataFrame, terms: Terms, as_of: dt.datetime) -> Attempts:
    """How far each member came, by her best attempt.

    Args:
        events: one row per event and step it meets: member_id, nth (her how manyth of all her
            events), step (from 1; -i meets the i-th exclusion), occurred_at, is_newest (no event
            of hers follows).
        terms: what counts as an attempt.
        as_of: the instant until which events were seen, a naive datetime in UTC.

    Raises:
        ValueError: a step or an exclusion is not among the terms, an event is both, or, in any
            order, an event meets several steps.
    """
    rows = events.sort("member_id", "nth", "step").with_row_index("row")
    steps = rows["step"].to_numpy().astype(np.int64)
    begins = _changes(rows["member_id"].to_numpy(), rows["nth"].to_numpy())
    _check(terms, steps, begins)
    ranked = rows.filter(begins).with_columns(
        end=np.append(np.flatnonzero(begins), len(rows))[1:],
        first_step=np.where(steps > 0, steps, _LAST)[begins],
    )
    if terms.order != "strict":
        ranked = ranked.sort("member_id", "occurred_at", "first_step", "nth")
    members = ranked["member_id"].to_numpy()
    starts = np.flatnonzero(_changes(members))
    reached, times, is_open = _walk(
        np.append(starts, len(ranked)),
        ranked["row"].to_numpy().astype(np.int64),
        ranked["end"].to_numpy(),
        steps,
        _microseconds(ranked["occurred_at"]),
        ranked["nth"].to_numpy(),
        ranked["is_newest"].to_numpy(),
        _ORDERS.index(terms.order),
        terms.n_steps,
        int(terms.window_days * _US_PER_DAY),
        np.array(terms.exclusions, dtype=np.int64).reshape(-1, 2),
        int(_microseconds(pl.Series([as_of]))[0]),
    )
    # Whoever met exclusions alone never began.
    began = reached > 0
    seconds = (times[began] - times[began, :1]) / 1e6
    seconds[np.arange(1, terms.n_steps + 1) > reached[began, None]] = np.nan
    return Attempts(
        member_ids=members[starts][began],
        n_reached=reached[began],
        seconds=seconds,
        is_open=is_open[began],
    )


def losses(funnel: str, step_names: Sequence[str], attempts: Attempts) -> list[tuple[object, ...]]:
    """One row per step, as `LOSSES` names them: who came that far, what part, how long it took.

    The rates are None where nobody was before; the median is in seconds from the first step, None
    for that step and where nobody came; n_open counts who is not that far yet, but may still come.

    Args:
        funnel: its id.
        step_names: one per step.
        attempts: of every member.
    """
    rows: list[tuple[object, ...]] = []
    entered = before = len(attempts.member_ids)
    for step, name in enumerate(step_names, start=1):
        has_come = attempts.n_reached >= step
        converted = int(has_come.sum())
        rows.append(
            (
                funnel,
                step,
                name,
                entered,
                converted,
                converted / entered if entered else None,
                converted / before if before else None,
                float(np.median(attempts.seconds[has_come, step - 1]))
                if step > 1 and converted
                else None,
                int((attempts.is_open & ~has_come).sum()),
            )
        )
        before = converted
    return rows


def _changes(*columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a row differs from the one before; the first does."""
    changes = np.zeros(len(columns[0]), dtype=np.bool_)
    changes[:1] = True
    for values in columns:
        changes[1:] |= values[1:] != values[:-1]
    return changes


def _microseconds(instants: pl.Series) -> NDArray[np.int64]:
    return instants.cast(pl.Datetime("us")).to_physical().to_numpy()


def _check(terms: Terms, steps: NDArray[np.int64], begins: NDArray[np.bool_]) -> None:
    is_known = (steps <= terms.n_steps) & (steps >= -len(terms.exclusions)) & (steps != 0)
    if not is_known.all():
        raise ValueError(f"step {steps[~is_known][0]} is not one of the funnel's")
    is_same = ~begins[1:]
    if (is_same & (steps[:-1] < 0) & (steps[1:] > 0)).any():
        raise ValueError("an event cannot both take a step and exclude")
    if terms.order == "any" and (is_same & (steps[:-1] > 0)).any():
        raise ValueError("in any order an event cannot meet several steps")


@compiled
def _walk(
    first_events: NDArray[np.int64],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    steps: NDArray[np.int64],
    times: NDArray[np.int64],
    nth: NDArray[np.int64],
    is_newest: NDArray[np.bool_],
    order: int,
    n_steps: int,
    window: int,
    exclusions: NDArray[np.int64],
    as_of: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Steps reached, their times and whether more may come, of every member.

    Member m's events are first_events[m] to first_events[m + 1], the steps that event e meets are
    begins[e] to ends[e], rising.
    """
    n_members = len(first_events) - 1
    reached = np.zeros(n_members, dtype=np.int64)
    best = np.zeros((n_members, n_steps), dtype=np.int64)
    is_open = np.zeros(n_members, dtype=np.bool_)
    # Ordered: chains[k] are the times of the attempt that is k + 1 steps on and began last. In any
    # order: chains[k, 0] is when step k + 1 was last taken.
    chains = np.empty((n_steps, n_steps), dtype=np.int64)
    for m in range(n_members):
        chains[:, 0] = _NEVER
        is_alive_at_end = order != 1
        for e in range(first_events[m], first_events[m + 1]):
            t = times[e]
            if order == 1:
                is_alive_at_end = is_newest[e]
                is_next = e > first_events[m] and nth[e] == nth[e - 1] + 1
                # Only what ended with the event before can go on: from the last step down, each
                # attempt moves up by this event or is over.
                row = ends[e] - 1
                for k in range(n_steps - 1, -1, -1):
                    is_met = row >= begins[e] and steps[row] == k + 1
                    if is_met:
                        row -= 1
                    if k == 0:
                        chains[0, 0] = t if is_met else _NEVER
                    elif is_met and is_next and t - chains[k - 1, 0] <= window:
                        chains[k, :k] = chains[k - 1, :k]
                        chains[k, k] = t
                    else:
                        chains[k, 0] = _NEVER
            elif order == 0:
                for row in range(ends[e] - 1, begins[e] - 1, -1):
                    k = steps[row] - 1
                    if k < 0:
                        after, before = exclusions[-steps[row] - 1]
                        chains[after - 1 : before - 1, 0] = _NEVER
                    elif k == 0:
                        chains[0, 0] = t
                    elif t - chains[k - 1, 0] <= window and chains[k - 1, 0] > chains[k, 0]:
                        chains[k, :k] = chains[k - 1, :k]
                        chains[k, k] = t
            elif steps[begins[e]] < 0:
                chains[:, 0] = _NEVER
            else:
                chains[steps[begins[e]] - 1, 0] = t

            if order == 2:
                n_within = 0
                for k in range(n_steps):
                    n_within += t - chains[k, 0] <= window
                if n_within > reached[m]:
                    reached[m] = n_within
                    best[m, :n_within] = np.sort(chains[:, 0])[n_steps - n_within :]
            else:
                for k in range(reached[m], n_steps):
                    if chains[k, 0] != _NEVER:
                        reached[m] = k + 1
                        best[m, : k + 1] = chains[k, : k + 1]
        for k in range(n_steps):
            is_open[m] |= is_alive_at_end and as_of - chains[k, 0] <= window
    return reached, best, is_open
