"""The benchmark on a small public-split-like world: its figures, its protocol, its refusals."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assets.recommend.als import AlsSettings
from assets.recommend.random_walk import WalkSettings
from assets.recommend.tuning import Tuned, Weights
from benchmarks.recommend_split import main, measure, read_pairs, read_split, search


def write(path: Path, by_user: dict[str, list[str]]) -> Path:
    path.write_text(
        "".join(f"{user} {' '.join(items)}\n" for user, items in by_user.items()), encoding="utf-8"
    )
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """200 users of five tastes, 100 items; 7 tenths train, 1 tenth validation, 2 tenths test."""
    folder = tmp_path_factory.mktemp("split")
    rng = np.random.default_rng(5)
    parts: dict[str, dict[str, list[str]]] = {"train": {}, "validation": {}, "test": {}}
    names = list(parts)
    for user in range(200):
        same = np.arange(100) % 5 == user % 5
        met = np.flatnonzero(rng.random(100) < np.where(same, 0.6, 0.04))
        for item, part in zip(met, rng.choice(3, len(met), p=[0.7, 0.1, 0.2]), strict=True):
            parts[names[part]].setdefault(str(user), []).append(str(item))
    return {name: write(folder / f"{name}.txt", by_user) for name, by_user in parts.items()}


def figures(printed: str) -> dict[str, tuple[float, float]]:
    row = r"^\| ([\w' ]+) \| ([\d.]+) \| ([\d.]+) \| [\d.]+ \|$"
    rows = re.findall(row, printed, re.MULTILINE)
    return {model: (float(recall), float(ndcg)) for model, recall, ndcg in rows}


def test_models_find_the_tastes(files: dict[str, Path], capsys: pytest.CaptureFixture[str]):
    arguments = [f"--{name}={path}" for name, path in files.items()]
    assert main([*arguments, "--factors=8", "--seconds=1"]) == 0
    printed = capsys.readouterr().out
    found = figures(printed)
    assert list(found) == [
        "popularity",
        "cosine",
        "implicit's defaults",
        "ALS",
        "RP3beta",
        "blend",
    ]
    assert "ALS: factors 8," in printed
    assert "learnt from train and validation together" in printed
    for model in ("ALS", "RP3beta", "blend"):
        assert found[model][0] > 1.5 * found["popularity"][0]
        assert found[model][1] > 1.5 * found["popularity"][1]


def test_without_validation_an_inner_split_serves(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
):
    arguments = [f"--train={files['train']}", f"--test={files['test']}", "--seconds=0"]
    assert main([*arguments, "--factors=8"]) == 0
    printed = capsys.readouterr().out
    assert "a tenth of the train file" in printed
    assert "learnt from the whole train file" in printed
    split = read_split(files["train"], None, files["test"])
    together = pl.concat([split.train, split.validation]).sort("member_id", "product_id")
    whole = read_split(files["train"], files["validation"], files["test"]).train
    assert together.equals(whole)
    assert len(split.validation) / len(whole) == pytest.approx(0.1, abs=0.03)
    assert set(split.train["member_id"]) == set(whole["member_id"])
    assert read_split(files["train"], None, files["test"]).train.equals(split.train)


def test_figures_by_hand(tmp_path: Path):
    """Popularity with what was seen masked; recall over all test items, ndcg over the best."""
    train = write(tmp_path / "train", {"u": ["a", "b"], "v": ["a", "c"], "w": ["a", "b", "d"]})
    validation = write(tmp_path / "validation", {"v": ["d"]})
    test = write(tmp_path / "test", {"u": ["c", "x"], "v": ["b"], "n": ["a"]})
    split = read_split(train, validation, test)
    known = pl.concat([split.train, split.validation])
    settings = Tuned(AlsSettings(factors=2), WalkSettings(), Weights(), pl.DataFrame())
    found = measure(known, split.test, settings).row(0, named=True)
    # Left for u: d (2 users) before c (1), so c is second; for v: b alone; n is unknown.
    assert found["recall"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    best = 1 + 1 / np.log2(3)
    assert found["ndcg"] == pytest.approx((1 / np.log2(3) / best + 1 + 0) / 3)


def test_the_search_never_sees_the_test(files: dict[str, Path], tmp_path: Path):
    split = read_split(files["train"], files["validation"], files["test"])
    other = write(tmp_path / "other", {"0": ["0", "5", "new"]})
    other_split = read_split(files["train"], files["validation"], other)
    found, again = (search(each, 4, 0) for each in (split, other_split))
    shown = ["model", "settings", "recall", "ndcg"]
    assert found.trials.select(shown).equals(again.trials.select(shown))


def test_validation_within_train_is_taken_out_of_it(tmp_path: Path):
    train = write(tmp_path / "train", {"0": ["1", "2"], "1": ["2"]})
    validation = write(tmp_path / "validation", {"0": ["2"]})
    split = read_split(train, validation, write(tmp_path / "test", {"1": ["1"]}))
    assert split.train.rows() == [(0, "1"), (1, "2")]
    assert split.validation.rows() == [(0, "2")]
    with pytest.raises(ValueError, match="leaves nothing"):
        read_split(train, train, train)


def test_lines_of_public_splits_are_read_as_they_are(tmp_path: Path):
    path = tmp_path / "train"
    path.write_bytes(b"0 7 8 7\r\n1 \n\n2 9 \n")
    assert read_pairs(path).rows() == [("0", "7"), ("0", "8"), ("2", "9")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no line has a user id and an item id"),
        (b"0\n1\n", "no line has a user id and an item id"),
        (b"0 1\n0,1,5\n", "line 2: expected a user id and item ids with spaces"),
        (b"\xff\xfe0 1", "not UTF-8 text"),
        (None, "No such file"),
    ],
)
def test_a_file_of_another_layout_is_one_clear_line(
    content: bytes | None,
    message: str,
    files: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    path = tmp_path / "odd.txt"
    if content is not None:
        path.write_bytes(content)
    assert main(["--train", str(path), "--test", str(files["test"])]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(path) in said
    assert message in said


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"zero": ["1"]}, "no user of it is in"),
        ({"0": ["one"]}, "no item of it is in"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(
    test: dict[str, list[str]], message: str, tmp_path: Path
):
    train = write(tmp_path / "train", {"0": ["1", "2"], "1": ["2"]})
    with pytest.raises(ValueError, match=message):
        read_split(train, None, write(tmp_path / "test", test))


def test_a_train_file_of_single_items_cannot_be_split(tmp_path: Path):
    train = write(tmp_path / "train", {"0": ["1"], "1": ["2"]})
    with pytest.raises(ValueError, match="too small"):
        read_split(train, None, write(tmp_path / "test", {"0": ["2"]}))
