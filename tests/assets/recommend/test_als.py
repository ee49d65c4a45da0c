"""ALS: implicit's checkerboard, the equations it must satisfy, its hazards, its file."""

import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from assets.recommend.als import (
    AlsSettings,
    Factors,
    _drawn,  # pyright: ignore[reportPrivateUsage]
    _hashed,  # pyright: ignore[reportPrivateUsage]
    fit,
    scree,
)
from assets.recommend.matrix import InteractionMatrix, sparse
from tests.ranking import top_products

SMALL = AlsSettings(factors=4, seed=3)
THREADED_FIT = """
import hashlib, sys
import numpy as np
from assets.recommend.als import AlsSettings, fit
from assets.recommend.matrix import InteractionMatrix
rng = np.random.default_rng(2)
pairs = rng.permutation(300 * 90)[:4000]
matrix = InteractionMatrix.from_pairs(pairs // 90, (pairs % 90).astype(str), rng.random(4000) + 0.1)
factors = fit(matrix, AlsSettings(factors=64, iterations=4), n_threads=int(sys.argv[1]))
content = factors.member_factors.tobytes() + factors.product_factors.tobytes()
print(hashlib.sha256(content).hexdigest())
"""
SILENT_FIT = """
from assets.recommend.als import AlsSettings, fit
from assets.recommend.matrix import InteractionMatrix
fit(InteractionMatrix.from_pairs([1, 1, 2], ["a", "b", "a"], [1, 2, 3]), AlsSettings())
"""


def dense(weights: NDArray[np.float64]) -> InteractionMatrix:
    rows, columns = np.nonzero(weights)
    return InteractionMatrix(
        np.arange(100, 100 + weights.shape[0], dtype=np.int64),
        np.array([f"p{number:03d}" for number in range(weights.shape[1])]),
        sparse(rows, columns, weights[rows, columns], weights.shape),
    )


def checkerboard(n: int) -> NDArray[np.float64]:
    """Members like the products of their own colour; the diagonal is withheld."""
    return ((np.add.outer(np.arange(n), np.arange(n)) % 2 == 0) & ~np.eye(n, dtype=bool)) * 1.0


def random_matrix(n_members: int, n_products: int) -> InteractionMatrix:
    rng = np.random.default_rng(1)
    weights = rng.gamma(1, 2, (n_members, n_products))
    return dense(weights * (rng.random(weights.shape) < 0.3))


@pytest.fixture(scope="module")
def model() -> Factors:
    return fit(random_matrix(40, 25), SMALL)


@pytest.mark.parametrize("settings", [AlsSettings(), replace(AlsSettings(), factors=3, seed=7)])
def test_the_withheld_diagonal_of_a_checkerboard_is_found(settings: AlsSettings):
    matrix = dense(checkerboard(50))
    lists = top_products(fit(matrix, settings), matrix.weights, 1, np.ones(50, dtype=bool))
    assert lists["member_id"].to_list() == matrix.member_ids.tolist()
    assert lists["product_id"].to_list() == matrix.product_ids.tolist()


def test_members_and_products_are_not_swapped():
    taste = np.zeros((30, 7))
    taste[:15, :3] = taste[15:, 3:] = 1
    taste[0, 1] = taste[20, 5] = 0
    factors = fit(dense(taste), SMALL)
    assert factors.member_factors.shape == (30, 4)
    assert factors.product_factors.shape == (7, 4)
    scores = factors.scores(0, 30)
    assert scores[0, 1] > scores[0, 3:].max()
    assert scores[20, 5] > scores[20, :3].max()


def by_hand(matrix: InteractionMatrix, settings: AlsSettings) -> NDArray[np.float64]:
    """Alpha * log1p(weight) ** power / (members / mean members) ** discount."""
    weights = matrix.weights.toarray().astype(np.float64)
    n_members = (weights > 0).sum(axis=0)
    ties = np.where(weights > 0, np.log1p(weights) ** settings.weight_power, 0)
    return settings.alpha * ties / (n_members / n_members.mean()) ** settings.popularity_discount


def test_every_product_solves_its_normal_equations():
    """Hu, Koren and Volinsky, equation 5, with the confidences of AlsSettings."""
    matrix = random_matrix(60, 12)
    settings = AlsSettings(
        factors=3,
        regularization=0.2,
        alpha=3.0,
        weight_power=0.5,
        popularity_discount=0.4,
        iterations=60,
        seed=5,
    )
    factors = fit(matrix, settings)
    confidence = by_hand(matrix, settings)
    assert factors.penalty == pytest.approx(0.2 * np.linalg.norm(confidence, 2), rel=1e-5)
    x = factors.member_factors.astype(np.float64)
    for number, y in enumerate(factors.product_factors):
        c = confidence[:, number]
        weight = np.where(c > 0, c, 1)
        left = x.T @ (weight[:, None] * x) + factors.penalty * np.eye(3)
        assert y == pytest.approx(np.linalg.solve(left, x.T @ c), abs=1e-3)


def test_a_penalty_near_the_largest_singular_value_leaves_nothing():
    matrix = dense(checkerboard(20))
    strong = fit(matrix, AlsSettings(factors=4, regularization=0.999, iterations=100))
    usual = fit(matrix, AlsSettings(factors=4, iterations=100))
    assert np.abs(strong.member_factors @ strong.product_factors.T).max() < 0.05
    assert (usual.member_factors @ usual.product_factors.T).max() > 0.5


def test_the_same_seed_gives_the_same_bits_whatever_the_threads():
    matrix = random_matrix(200, 80)
    one, two = fit(matrix, SMALL, n_threads=1), fit(matrix, SMALL, n_threads=2)
    assert one.member_factors.tobytes() == two.member_factors.tobytes()
    assert one.product_factors.tobytes() == two.product_factors.tobytes()
    other = fit(matrix, replace(SMALL, seed=4))
    assert one.member_factors.tobytes() != other.member_factors.tobytes()


def test_threads_of_blas_and_of_implicit_change_no_byte():
    """In processes of their own: a BLAS takes its number of threads when it is loaded."""
    found = {
        subprocess.run(
            [sys.executable, "-c", THREADED_FIT, n_threads],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "OPENBLAS_NUM_THREADS": n_blas_threads},
            capture_output=True,
            check=True,
        ).stdout
        for n_threads, n_blas_threads in (("1", "1"), ("3", "4"))
    }
    assert len(found) == 1
    assert len(found.pop()) == 65


def test_a_start_is_drawn_from_the_id_not_from_the_place():
    more = _drawn(np.array([1, 5, 7, 9], dtype=np.uint64), SMALL)
    assert _drawn(np.array([9, 5], dtype=np.uint64), SMALL).tobytes() == more[[3, 1]].tobytes()
    assert np.unique(more).size == more.size
    assert ((more >= 0) & (more < 0.01)).all()
    assert (_hashed(np.array(["d", "连衣裙"])) == _hashed(np.array(["连衣裙", "d"]))[::-1]).all()
    other = _drawn(np.array([5], dtype=np.uint64), replace(SMALL, seed=4))
    assert (other != more[1]).all()


@pytest.mark.parametrize("factors", [1, 3, 8])
def test_a_start_is_uniform(factors: int):
    drawn = _drawn(np.arange(20_000, dtype=np.uint64), replace(SMALL, factors=factors)) * 100
    assert drawn.shape == (20_000, factors)
    assert np.abs(drawn.mean(axis=0) - 1 / 2).max() < 0.01
    assert np.abs(drawn.var(axis=0) - 1 / 12).max() < 0.003
    correlation = np.corrcoef(drawn[:-1].T, drawn[1:].T) - np.eye(2 * factors)
    assert np.abs(correlation).max() < 0.04


def loss(factors: Factors, matrix: InteractionMatrix) -> float:
    """Hu, Koren and Volinsky, equation 3, over every pair."""
    confidence = by_hand(matrix, factors.settings)
    x, y = factors.member_factors.astype(np.float64), factors.product_factors.astype(np.float64)
    error = np.where(confidence > 0, confidence, 1) * ((confidence > 0) - x @ y.T) ** 2
    return float(error.sum() + factors.penalty * ((x**2).sum() + (y**2).sum()))


def tomorrow(today: InteractionMatrix) -> InteractionMatrix:
    """One member and one product are gone, one of each is new, and a few ties are others."""
    weights = today.weights.toarray().astype(np.float64)[1:, :-1]
    weights[::9, 3] = 4.0
    weights = np.pad(weights, ((0, 1), (1, 0)))
    weights[-1, :4] = weights[:5, 0] = 2.0
    rows, columns = np.nonzero(weights)
    return InteractionMatrix(
        np.append(today.member_ids[1:], 5000),
        np.insert(today.product_ids[:-1], 0, "new"),
        sparse(rows, columns, weights[rows, columns], weights.shape),
    )


def test_a_warm_start_needs_less_than_half_the_iterations():
    today = random_matrix(300, 60)
    settings = AlsSettings(factors=8, seed=3)
    matrix = tomorrow(today)
    cold = loss(fit(matrix, settings), matrix)
    warm = fit(matrix, replace(settings, iterations=7), fit(today, settings))
    assert loss(warm, matrix) <= cold
    assert loss(fit(matrix, replace(settings, iterations=7)), matrix) > cold


def test_a_start_is_taken_up_by_id_and_left_as_it_was():
    today = random_matrix(60, 20)
    start = fit(today, SMALL)
    before = start.member_factors.tobytes() + start.product_factors.tobytes()
    matrix = tomorrow(today)
    once = fit(matrix, replace(SMALL, iterations=1), start)
    assert start.member_factors.tobytes() + start.product_factors.tobytes() == before
    assert np.abs(once.member_factors[:59] - start.member_factors[1:]).max() < 0.5
    misplaced = replace(start, product_factors=np.roll(start.product_factors, 1, axis=0))
    other = fit(matrix, replace(SMALL, iterations=1), misplaced)
    assert loss(once, matrix) < loss(other, matrix)
    again = fit(matrix, replace(SMALL, iterations=1), start, n_threads=2)
    assert once.member_factors.tobytes() == again.member_factors.tobytes()


@pytest.mark.parametrize(
    "other",
    [{"factors": 5}, {"regularization": 0.2}, {"alpha": 3.0}, {"weight_power": 0.5}, {"seed": 9}],
)
def test_a_model_of_other_settings_is_not_continued(model: Factors, other: dict[str, Any]):
    settings = replace(SMALL, **other)
    assert not model.may_start(settings)
    with pytest.raises(ValueError, match="settings"):
        fit(random_matrix(40, 25), settings, model)
    assert model.may_start(replace(SMALL, iterations=2))


def test_an_empty_model_starts_nothing_and_an_empty_shop_ends_empty(model: Factors):
    nothing = InteractionMatrix.from_pairs([], [], [])
    assert fit(nothing, SMALL, model).member_factors.shape == (0, 4)
    matrix = random_matrix(40, 25)
    assert fit(matrix, SMALL, fit(nothing, SMALL)).member_factors.tobytes() == (
        model.member_factors.tobytes()
    )


def test_a_product_that_a_model_does_not_know_is_never_listed(model: Factors):
    products = np.array(["new", *model.product_ids[:3]])
    other = model.of_products(products)
    scores = other.scores(0, 40)
    assert np.isneginf(scores[:, 0]).all()
    assert scores[:, 1:] == pytest.approx(model.scores(0, 40)[:, :3])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_tiny_shops_are_fitted(shape: tuple[int, int]):
    matrix = dense(np.ones(shape))
    factors = fit(matrix, AlsSettings())
    assert factors.member_factors.shape == (shape[0], 64)
    assert factors.product_factors.shape == (shape[1], 64)
    scores = factors.scores(0, shape[0])
    assert ((scores > 0.2) & (scores < 1.2)).all()


@pytest.mark.parametrize("weights", [[], [0.0, 0.0]])
def test_nothing_to_learn_from_gives_an_empty_model(weights: list[float], tmp_path: Path):
    matrix = InteractionMatrix.from_pairs(
        [1, 2][: len(weights)], ["a", "b"][: len(weights)], weights
    )
    factors = fit(matrix, SMALL)
    assert factors.member_factors.shape == factors.product_factors.shape == (0, 4)
    assert scree(factors).shape == (0,)
    assert top_products(factors, matrix.weights, 5, np.ones(0, dtype=bool)).is_empty()
    factors.save(tmp_path / "model.npz")
    assert Factors.load(tmp_path / "model.npz").product_ids.shape == (0,)


def test_a_list_longer_than_what_is_unseen_holds_nothing_seen():
    """The recommend of implicit would fill it with seen products at a score of -3.4e38."""
    weights = np.ones((4, 6))
    weights[:, 5] = [0, 1, 1, 1]
    matrix = dense(weights)
    lists = top_products(fit(matrix, SMALL), matrix.weights, 10, np.ones(6, dtype=bool))
    assert lists.select("member_id", "rank", "product_id").rows() == [(100, 1, "p005")]
    assert 0 < lists["score"][0] < 1.2


def test_a_member_whom_nothing_speaks_for_gets_no_arbitrary_products(model: Factors):
    blank = replace(model, member_factors=np.zeros_like(model.member_factors))
    nothing = sparse(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), (40, 25))
    assert top_products(blank, nothing, 5, np.ones(25, dtype=bool)).is_empty()


def test_fitting_is_silent():
    """In a process of its own: implicit warns of a many-threaded BLAS only the first time."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SILENT_FIT],
        cwd=Path(__file__).parents[3],
        env={name: value for name, value in os.environ.items() if "NUM_THREADS" not in name},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    "wrong",
    [
        {"factors": 0},
        {"iterations": 0},
        {"regularization": 0.0},
        {"regularization": 1.0},
        {"alpha": 0.0},
        {"alpha": float("nan")},
        {"weight_power": -0.1},
        {"popularity_discount": 1.1},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ValueError, match="must"):
        AlsSettings(**wrong)


def test_a_model_is_read_back_as_it_was(model: Factors, tmp_path: Path):
    path = tmp_path / "model.npz"
    model.save(path)
    found = Factors.load(path)
    assert found.settings == model.settings
    assert found.penalty == model.penalty
    for name in ("member_ids", "product_ids", "member_factors", "product_factors"):
        before, after = getattr(model, name), getattr(found, name)
        assert before.dtype == after.dtype
        assert before.tobytes() == after.tobytes()
    assert [file.name for file in tmp_path.iterdir()] == ["model.npz"]


def test_the_same_model_is_the_same_bytes(model: Factors, tmp_path: Path):
    model.save(tmp_path / "one.npz")
    Factors.load(tmp_path / "one.npz").save(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_write_that_fails_leaves_the_old_model(model: Factors, tmp_path: Path):
    path = tmp_path / "model.npz"
    model.save(path)
    before = path.read_bytes()
    unwritable = replace(model, product_factors=np.array([object()]))
    with pytest.raises(ValueError, match=r"[Oo]bject arrays"):
        unwritable.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.npz"]


def test_scree_is_the_spectrum_of_the_scores(model: Factors):
    scores = model.member_factors.astype(np.float64) @ model.product_factors.T
    energy = np.linalg.svd(scores, compute_uv=False)[:4] ** 2
    shares = scree(model)
    assert shares == pytest.approx(energy / energy.sum())
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares) <= 0).all()


def test_scree_of_a_model_that_learnt_nothing_is_zero(model: Factors):
    assert scree(replace(model, member_factors=np.zeros((40, 4), np.float32))).tolist() == [0] * 4


def test_members_are_picked_by_id(model: Factors):
    some = model.of_members(np.array([130, 102, 7, 102]))
    assert some.member_ids.tolist() == [102, 130]
    assert some.scores(0, 2) == pytest.approx(model.scores(0, 40)[[2, 30]])


def test_influence_is_the_inverse_gram_between_two_products(model: Factors):
    y = model.product_factors.astype(np.float64)
    expected = y @ np.linalg.inv(y.T @ y + model.penalty * np.eye(4)) @ y.T
    influence = model.influence_factors()
    assert influence @ influence.T == pytest.approx(expected, abs=1e-5)
