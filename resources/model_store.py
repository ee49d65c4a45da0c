"""Where fitted models lie: one file per version, the newest few kept."""

from collections.abc import Collection
from pathlib import Path

_KEPT_VERSIONS = 14


def model_path(folder: Path, version: str) -> Path:
    """The file of a version; its folder is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{version}.npz"


def prune(folder: Path, kind: str, in_use: Collection[str] = ()) -> None:
    """Removes all but the newest versions of a kind and those in use; versions sort by name."""
    for path in sorted(folder.glob(f"{kind}-*.npz"))[:-_KEPT_VERSIONS]:
        if path.stem not in in_use:
            path.unlink()
