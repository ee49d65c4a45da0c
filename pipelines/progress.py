"""What a person sees of a run: one line per stage while it works, the whole log in a file."""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from pipelines.catalogue import PUBLISH, STAGES

_CHECKS = "checks_of__"
_STEP_ENDS = ("STEP_SUCCESS", "STEP_FAILURE", "STEP_SKIPPED")
_COLLECT = "collect"


def stage_of(step_key: str) -> str:
    """The stage that a step belongs to."""
    return "raw" if step_key == _COLLECT else step_key.removeprefix(_CHECKS).split("__")[0]


class StageProgress:
    """One line per stage: a bar over its steps, and the seconds spent in it."""

    def __init__(self, console: Console, step_keys: Iterable[str]) -> None:
        self._totals = Counter(stage_of(key) for key in step_keys)
        self._done: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._began: dict[str, float] = {}
        self._console = console
        self._is_terminal = console.is_terminal
        self._bars = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=28),
            TextColumn("{task.completed:>3.0f} of {task.total:<3.0f}"),
            TextColumn("{task.fields[seconds]:>6.1f} s"),
            TextColumn("[dim]{task.fields[step]}"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {
            stage: self._bars.add_task(stage, total=self._totals[stage], seconds=0.0, step="")
            for stage in (*STAGES, PUBLISH)
            if stage in self._totals
        }

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent in each stage's steps so far."""
        return dict(self._seconds)

    def __enter__(self) -> Self:
        if self._is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def see(self, event: dg.DagsterEvent) -> None:
        """Moves the bar of the stage that an event belongs to."""
        key = event.step_key
        if key is None:
            return
        stage = stage_of(key)
        if event.event_type_value == "STEP_START":
            self._began[key] = time.perf_counter()
            self._bars.update(self._tasks[stage], step=key.split("__")[-1])
        elif event.event_type_value in _STEP_ENDS:
            self._done[stage] += 1
            now = time.perf_counter()
            self._seconds[stage] += now - self._began.pop(key, now)
            self._bars.update(
                self._tasks[stage], completed=self._done[stage], seconds=self._seconds[stage]
            )
            if self._done[stage] == self._totals[stage]:
                self._bars.update(self._tasks[stage], step="")
                if not self._is_terminal:
                    self._console.print(f"{stage:<10} done {self._seconds[stage]:6.1f} s")


def run_logger(path: Path, listen: Callable[[dg.DagsterEvent], None]) -> dg.LoggerDefinition:
    """A Dagster logger that writes everything to `path` and passes events on to `listen`."""

    def run_log(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("siyu")
        written = logging.FileHandler(path, encoding="utf-8")
        written.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(written)
        logger.addHandler(_Listener(listen))
        return logger

    return dg.LoggerDefinition(run_log, description="The whole log of a run, in a file.")


class _Listener(logging.Handler):
    def __init__(self, listen: Callable[[dg.DagsterEvent], None]) -> None:
        super().__init__()
        self._listen = listen

    def emit(self, record: logging.LogRecord) -> None:
        meta = cast("dict[str, Any]", getattr(record, "dagster_meta", {}))
        event = meta.get("dagster_event")
        if isinstance(event, dg.DagsterEvent):
            self._listen(event)
