"""The folders are whole, replaceable only where a simulation made them, and the same for a seed."""

import hashlib
from pathlib import Path

import pytest
from pydantic import ValidationError

from resources.simulation import SimulationSettings, simulate

from .conftest import SMALL, Landing


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(landing: Landing, tmp_path: Path) -> None:
    report = simulate(SMALL, tmp_path / "landing", tmp_path / "truth")
    assert report == landing.report
    assert hashes(tmp_path / "landing") == hashes(landing.folder)
    assert hashes(tmp_path / "truth") == hashes(landing.truth)


def test_another_seed_gives_another_shop_in_place_of_the_first(
    landing: Landing, tmp_path: Path
) -> None:
    simulate(SMALL, tmp_path / "landing", tmp_path / "truth")
    other = SMALL.model_copy(update={"seed": 1, "days": 7})
    simulate(other, tmp_path / "landing", tmp_path / "truth")
    before, after = hashes(landing.folder), hashes(tmp_path / "landing")
    assert "events/2026-07-16.jsonl" in before
    assert "events/2026-07-16.jsonl" not in after
    assert all(before.get(name) != after[name] for name in after)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["landing", "truth"]


@pytest.mark.parametrize("place", ["landing", "truth"])
def test_what_no_simulation_wrote_is_left_alone(tmp_path: Path, place: str) -> None:
    theirs = tmp_path / place / "events"
    theirs.parent.mkdir()
    theirs.write_text("real events")
    with pytest.raises(FileExistsError, match="events, which no simulation wrote"):
        simulate(SMALL, tmp_path / "landing", tmp_path / "truth")
    assert theirs.read_text() == "real events"
    assert [path.name for path in tmp_path.iterdir()] == [place]


def test_landing_and_truth_must_not_contain_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="beside each other"):
        simulate(SMALL, tmp_path / "landing", tmp_path / "landing" / "truth")


def test_a_simulation_that_fails_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = SimulationSettings(members=20, days=2, products=40)
    simulate(tiny, tmp_path / "landing", tmp_path / "truth")
    before = hashes(tmp_path)

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            simulate(tiny.model_copy(update={"seed": 2}), tmp_path / "landing", tmp_path / "truth")
    assert {n: h for n, h in hashes(tmp_path).items() if not n.startswith(".")} == before

    simulate(tiny, tmp_path / "landing", tmp_path / "truth")
    assert hashes(tmp_path) == before


def test_the_report_counts_what_is_there(landing: Landing) -> None:
    files = [path for path in landing.folder.rglob("*") if path.is_file()]
    visible = [path for path in files if not path.name.startswith(".")]
    lines = {
        name: sum(
            len(path.read_text(encoding="utf-8").splitlines())
            for path in (landing.folder / name).iterdir()
        )
        for name in ("events", "orders_history", "products", "members", "consents")
    }
    report = landing.report
    assert report.n_files == len(visible)
    assert report.n_bytes == sum(path.stat().st_size for path in visible)
    assert report.n_event_lines == lines["events"]
    assert report.n_order_lines == lines["orders_history"] - 1
    assert report.n_product_lines == lines["products"]
    assert report.n_member_lines == lines["members"] == SMALL.members
    assert report.n_consent_lines == lines["consents"]
    assert (report.last_date - report.first_date).days == SMALL.days - 1


@pytest.mark.parametrize(
    "changes",
    [
        {"members": 10, "days": 1, "products": 40, "history_days": 1},
        {"members": 40, "days": 3, "products": 40, "base_currency": "JPY"},
        {"members": 40, "days": 20, "products": 80, "time_zone": "America/New_York"},
        {
            "members": 30,
            "days": 3,
            "products": 40,
            "dirt": {"n_visitors_per_member": 0, "n_fast_bots": 0, "n_bots_per_member": 0},
        },
    ],
)
def test_the_least_shops_can_be_made(tmp_path: Path, changes: dict[str, object]) -> None:
    settings = SimulationSettings.model_validate(changes)
    report = simulate(settings, tmp_path / "landing", tmp_path / "truth")
    assert report.n_member_lines == settings.members
    assert report.n_event_lines > 0
    assert len(list((tmp_path / "landing" / "events").iterdir())) == settings.days


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        SimulationSettings.model_validate({"member": 10})
