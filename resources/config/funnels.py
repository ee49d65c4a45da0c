"""funnels.yaml: the ways through the shop whose losses are counted, step by step."""

from collections import Counter
from collections.abc import Iterable
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from resources.config.loading import ConfigError, Declared, load
from resources.config.shop import Days

FILE = "funnels.yaml"


def _listed(given: object) -> object:
    return [given] if isinstance(given, str) else given


Name = Annotated[str, Field(pattern=r"\S")]
Id = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
Values = Annotated[tuple[Name, ...], BeforeValidator(_listed), Field(min_length=1)]


class Where(Declared):
    """Which of the events are meant: all of the columns given have one of their values."""

    channel: Values | None = None
    country: Values | None = None
    product_id: Values | None = None

    def allows_some_of(self, other: "Where") -> bool:
        """Whether one event can be what both mean."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in Where.model_fields)
        return all(a is None or b is None or set(a) & set(b) for a, b in pairs)


class Step(Declared):
    """A step is taken by any of these events, where it is what `where` says."""

    name: Name
    events: Values
    where: Where = Where()

    def overlaps(self, other: "Step") -> bool:
        """Whether one event can take both steps."""
        return bool(set(self.events) & set(other.events)) and self.where.allows_some_of(other.where)


class Exclusion(Declared):
    """An event that ends an attempt which is past step `after` and has not reached `before`.

    Without these: past the first step and short of the last.
    """

    events: Values
    where: Where = Where()
    after: Name | None = None
    before: Name | None = None


class Match(NamedTuple):
    """A kind of event that a funnel asks for; None stands for any value.

    `step` counts from 1; -1 is the funnel's first exclusion.
    """

    step: int
    event_name: str
    channel: str | None
    country: str | None
    product_id: str | None


class Funnel(Declared):
    """Steps that members take within `window_days` of the first one.

    `ordered`: one after the other, whatever happens between; `strict`: with no other event
    between; `any`: in any order.
    """

    id: Id
    order: Literal["ordered", "strict", "any"] = "ordered"
    window_days: Days = 14
    steps: Annotated[tuple[Step, ...], Field(min_length=2, max_length=10)]
    exclude: tuple[Exclusion, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> "Funnel":
        names = [step.name for step in self.steps]
        if repeated := _repeated(names):
            raise ValueError(f"expected different names of steps; {repeated!r} stands twice")
        for part in (*self.steps, *self.exclude):
            if repeated := _repeated(part.events):
                raise ValueError(f"{repeated!r} stands twice in 'events'")
            for column in Where.model_fields:
                if repeated := _repeated(getattr(part.where, column) or ()):
                    raise ValueError(f"{repeated!r} stands twice in 'where.{column}'")
        for exclusion in self.exclude:
            self._check_exclusion(exclusion, names)
        if self.order == "any":
            for a, b in combinations(self.steps, 2):
                if a.overlaps(b):
                    raise ValueError(
                        f"one event can be both {a.name!r} and {b.name!r}; in 'any' order expected"
                        " steps that no event shares"
                    )
        return self

    def _check_exclusion(self, exclusion: Exclusion, names: list[str]) -> None:
        if self.order == "strict":
            raise ValueError("expected no 'exclude': in strict order every other event excludes")
        for name in (exclusion.after, exclusion.before):
            if name is not None and self.order == "any":
                raise ValueError("expected no 'after' and 'before': in 'any' order no step is next")
            if name is not None and name not in names:
                raise ValueError(f"{name!r} is no step; expected one of {', '.join(names)}")
        after, before = self._between(exclusion)
        if after >= before:
            raise ValueError(f"expected 'after' an earlier step than 'before', {names[before - 1]}")
        shared = {
            event
            for step in self.steps
            if step.where.allows_some_of(exclusion.where)
            for event in set(step.events) & set(exclusion.events)
        }
        if shared:
            raise ValueError(f"{min(shared)!r} is a step's event; it cannot exclude as well")

    def _between(self, exclusion: Exclusion) -> tuple[int, int]:
        numbers = {step.name: number for number, step in enumerate(self.steps, start=1)}
        return (
            numbers[exclusion.after] if exclusion.after else 1,
            numbers[exclusion.before] if exclusion.before else len(self.steps),
        )

    @property
    def step_names(self) -> tuple[str, ...]:
        """The steps' names; in any order a step is how many of them were taken."""
        if self.order == "any":
            return tuple(f"{n} of {len(self.steps)}" for n in range(1, len(self.steps) + 1))
        return tuple(step.name for step in self.steps)

    @property
    def exclusions(self) -> tuple[tuple[int, int], ...]:
        """Of every exclusion, after which step and before which one it ends an attempt."""
        return tuple(self._between(exclusion) for exclusion in self.exclude)

    @property
    def matches(self) -> tuple[Match, ...]:
        """The kinds of events it asks for; an event is of one kind at most per step."""
        parts = [
            *enumerate(self.steps, start=1),
            *((-number, exclusion) for number, exclusion in enumerate(self.exclude, start=1)),
        ]
        return tuple(
            Match(step, *kind)
            for step, part in parts
            for kind in product(
                part.events,
                part.where.channel or (None,),
                part.where.country or (None,),
                part.where.product_id or (None,),
            )
        )


class Funnels(Declared):
    """All funnels of a shop."""

    funnels: tuple[Funnel, ...] = ()

    @model_validator(mode="after")
    def _ids_differ(self) -> "Funnels":
        if repeated := _repeated(funnel.id for funnel in self.funnels):
            raise ValueError(f"expected different ids; {repeated!r} is declared twice")
        return self


def load_funnels(folder: Path) -> Funnels:
    """The funnels of a configuration folder; none if it has no funnels.yaml.

    Raises:
        ConfigError: the folder is missing or its funnels.yaml is wrong.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; set SIYU_CONFIG to a shop's folder")
    path = folder / FILE
    return load(path, Funnels) if path.exists() else Funnels()


def _repeated(values: Iterable[str]) -> str | None:
    return next((value for value, n in Counter(values).items() if n > 1), None)
