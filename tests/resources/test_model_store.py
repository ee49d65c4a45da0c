"""The store of models: the newest are kept, and those that are still in use."""

from pathlib import Path

from resources.model_store import model_path, prune


def test_old_versions_go_but_for_those_in_use(tmp_path: Path):
    folder = tmp_path / "models"
    days = [f"als-2026-07-{day:02}" for day in range(1, 21)]
    for version in [*days, "als_tried_28-2026-01-01"]:
        model_path(folder, version).touch()
    prune(folder, "als", {"als-2026-07-02"})
    left = sorted(path.stem for path in folder.iterdir())
    assert left == ["als-2026-07-02", *days[6:], "als_tried_28-2026-01-01"]
