"""A small demo shop, made once, and its files read back without the simulation's own code."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from resources.simulation import SimulationReport, SimulationSettings, simulate
from resources.simulation.settings import DirtModel

SMALL = SimulationSettings(
    members=300,
    days=14,
    products=60,
    dirt=DirtModel(
        broken_share=0.005,
        n_bots_per_member=0.01,
        skewed_device_share=0.05,
        cancelled_share=0.06,
        partly_refunded_share=0.1,
        fully_refunded_share=0.06,
        self_click_share=0.2,
    ),
)


@dataclass(frozen=True)
class Line:
    """A line of an event file; message is None where the line cannot be read as one."""

    load_date: str
    text: str
    message: dict[str, Any] | None


@dataclass(frozen=True)
class Landing:
    """A landing folder and the truth beside it."""

    folder: Path
    truth: Path
    report: SimulationReport
    lines: list[Line]

    def messages(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Load date and content of every whole line."""
        for line in self.lines:
            if line.message is not None:
                yield line.load_date, line.message

    def first_copies(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Load date and content of each message's first whole copy, by messageId."""
        first: dict[str, tuple[str, dict[str, Any]]] = {}
        for load_date, message in self.messages():
            first.setdefault(message["messageId"], (load_date, message))
        return first

    def records(self, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Load date and content of every record of a JSON-lines folder."""
        for path in sorted((self.folder / folder).iterdir()):
            for text in path.read_text(encoding="utf-8").splitlines():
                yield path.stem, json.loads(text)

    def dirt(self) -> dict[str, Any]:
        """What the simulation says it did wrong."""
        return json.loads((self.truth / "dirt.json").read_text(encoding="utf-8"))


def instant(text: str) -> dt.datetime:
    """A timestamp of the files; anything but UTC with milliseconds is refused."""
    return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=dt.UTC)


def _read(text: str) -> dict[str, Any] | None:
    try:
        message = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except json.JSONDecodeError:
        return None
    is_whole = "type" in message and message["receivedAt"].endswith("Z")
    return message if is_whole else None


def simulated(root: Path, settings: SimulationSettings) -> Landing:
    """A shop, made and read back."""
    report = simulate(settings, root / "landing", root / "truth")
    lines = [
        Line(path.stem, text, _read(text))
        for path in sorted((root / "landing" / "events").iterdir())
        for text in path.read_text(encoding="utf-8").splitlines()
    ]
    return Landing(root / "landing", root / "truth", report, lines)


@pytest.fixture(scope="session")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Landing:
    return simulated(tmp_path_factory.mktemp("demo"), SMALL)
