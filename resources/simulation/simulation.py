"""Makes a demo shop and puts it into place, whole or not at all."""

import shutil
from pathlib import Path

from resources.simulation.dirt import soil
from resources.simulation.event_log import make_event_log
from resources.simulation.landing import FOLDERS, write_landing
from resources.simulation.messages import Messages
from resources.simulation.settings import SimulationReport, SimulationSettings
from resources.simulation.truth import write_truth
from resources.simulation.world import make_world

_MARKER = ".simulated.json"
_TRUTHS = (
    "members.parquet", "orders.parquet", "shares.parquet", "frauds.parquet", "groups.parquet",
    "products.parquet", "dirt.json",
)  # fmt: skip


def simulate(settings: SimulationSettings, landing: Path, truth: Path) -> SimulationReport:
    """Write a simulated shop's landing folder, and beside it what is true of the shop.

    Each folder is made under another name and then renamed: it is there whole, or not there.
    What an earlier simulation left in either folder is replaced. Equal settings give equal bytes.

    Args:
        settings: The shop to make.
        landing: The folder the pipeline reads: events, orders_history, products, members and
            consents, with one file per load date.
        truth: The folder it must not read.

    Returns:
        What was written into the landing folder.

    Raises:
        FileExistsError: If a folder holds anything that no simulation wrote.
        ValueError: If one folder lies within the other.
    """
    landing, truth = landing.absolute(), truth.absolute()
    if landing.is_relative_to(truth) or truth.is_relative_to(landing):
        raise ValueError(f"landing {landing} and truth {truth} must lie beside each other")
    _check_replaceable(landing, FOLDERS)
    _check_replaceable(truth, _TRUTHS)

    world = make_world(settings)
    log, sharing = make_event_log(world)
    lines, dirt = soil(world, log)
    new_landing, new_truth = _begin(landing), _begin(truth)
    report = write_landing(new_landing, world, Messages(world, log, sharing, lines))
    write_truth(new_truth, world, sharing, dirt)
    for new, folder in ((new_truth, truth), (new_landing, landing)):
        (new / _MARKER).write_text(settings.model_dump_json(), encoding="utf-8")
        _put_in_place(new, folder)
    return report


def _check_replaceable(folder: Path, own: tuple[str, ...]) -> None:
    if not folder.exists():
        return
    names = {path.name for path in folder.iterdir()}
    foreign = names if _MARKER not in names else names - {*own, _MARKER}
    if foreign:
        raise FileExistsError(
            f"{folder} holds {min(foreign)}, which no simulation wrote: choose another folder"
        )


def _aside(folder: Path, state: str) -> Path:
    return folder.with_name(f".{folder.name}.{state}")


def _begin(folder: Path) -> Path:
    """A new, empty folder beside the given one, on the same file system."""
    new = _aside(folder, "new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    return new


def _put_in_place(new: Path, folder: Path) -> None:
    old = _aside(folder, "old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
