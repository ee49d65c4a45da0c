"""Who is about to order: split by time, calibrated, held against baselines, proof against leaks."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from assets.tags.propensity import (
    METRICS,
    DataGate,
    Trial,
    auc_of,
    deciles,
    implausible,
    log_loss,
    score,
    try_models,
)
from assets.tags.propensity_models import BASELINES, METHODS, MODELS

RUN_DATE = dt.date(2026, 4, 1)


def shop(
    n_members: int = 1500, n_cuts: int = 5, seed: int = 7, rates: tuple[float, ...] = ()
) -> pl.DataFrame:
    """Members with a rate of their own, what they did in the weeks before, what came after.

    `rates` multiplies everybody's orders of a cut's week, oldest first.
    """
    rng = np.random.default_rng(seed)
    taste = rng.gamma(0.5, 0.25, n_members)
    snapshots: list[pl.DataFrame] = []
    for cut in range(n_cuts + 1):
        views = rng.poisson(taste * 10)
        mood = np.where(views > 3, 1.5, 0.5) * (rates[cut] if cut < len(rates) else 1.0)
        orders = rng.poisson(taste * 3)
        since = np.ceil(rng.exponential(7 / (taste + 0.01)))
        snapshots.append(
            pl.DataFrame(
                {
                    "cut_date": [RUN_DATE - dt.timedelta(days=7 * (n_cuts - cut))] * n_members,
                    "member_id": np.arange(n_members),
                    "has_order": [None] * n_members
                    if cut == n_cuts
                    else rng.random(n_members) < 1 - np.exp(-taste * mood),
                    "n_views_7d": views,
                    "n_orders_60d": orders,
                    "days_since_last": np.ceil(since / 3),
                    "days_since_last_order": pl.Series(since).replace(0, None).to_numpy(),
                },
                schema_overrides={"has_order": pl.Boolean},
            ).with_columns(
                days_since_last_order=pl.when(pl.col("n_orders_60d") > 0).then(
                    "days_since_last_order"
                )
            )
        )
    return pl.concat(snapshots)


@pytest.fixture(scope="module")
def snapshots() -> pl.DataFrame:
    return shop()


@pytest.fixture(scope="module")
def trial(snapshots: pl.DataFrame) -> Trial:
    return try_models(snapshots, seed=1)


@pytest.fixture(scope="module")
def scores(snapshots: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """By method."""
    return {method: score(snapshots, method, seed=1) for method in METHODS}


def values(metrics: pl.DataFrame, metric: str) -> dict[str, float]:
    rows = metrics.filter(pl.col("metric") == metric)
    return dict(rows.select("model", "value").iter_rows())


def test_models_beat_the_baselines_and_the_best_is_published(trial: Trial) -> None:
    assert trial.reason is None and trial.leaking == {}
    assert set(trial.metrics["model"]) == {*BASELINES, *MODELS}
    assert set(trial.metrics["metric"]) == set(METRICS)
    losses = values(trial.metrics, "log_loss")
    assert trial.method == min(METHODS, key=lambda name: losses[name])
    assert set(trial.metrics.filter("is_published")["model"]) == {trial.method}
    for baseline in BASELINES:
        assert losses[trial.method] < losses[baseline]
    assert values(trial.metrics, "auc")["base_rate"] == 0.5
    assert min(values(trial.metrics, "auc")[name] for name in MODELS) > 0.7
    assert set(trial.metrics["n_members"]) == {1500}


def test_everybody_is_scored_and_the_sum_is_what_comes(
    snapshots: pl.DataFrame, scores: dict[str, pl.DataFrame]
) -> None:
    made = scores["logistic"]
    assert made["member_id"].to_list() == list(range(1500))
    assert made["p_buy"].is_between(0, 1, closed="none").all()
    assert set(made["method"]) == {"logistic"}
    came = snapshots["has_order"].mean()
    assert made["p_buy"].mean() == pytest.approx(came, rel=0.15)
    assert set(made["decile"]) == set(range(1, 11))


def test_shuffled_labels_teach_nothing(
    snapshots: pl.DataFrame, scores: dict[str, pl.DataFrame]
) -> None:
    shuffled = snapshots.with_columns(
        pl.col("has_order").sample(fraction=1.0, shuffle=True, seed=3).over("cut_date")
    )
    taught = try_models(shuffled, seed=1)
    for auc in values(taught.metrics, "auc").values():
        assert auc == pytest.approx(0.5, abs=0.06)
    spread = score(shuffled, "logistic", seed=1)["p_buy"].std()
    assert isinstance(spread, float)
    assert spread < 0.25 * float(np.std(scores["logistic"]["p_buy"].to_numpy()))


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_feature_from_the_future_is_caught(
    snapshots: pl.DataFrame,
    trial: Trial,
    scores: dict[str, pl.DataFrame],
    noise: float,
    sign: float,
) -> None:
    wrong = np.random.default_rng(5).random(len(snapshots)) < noise
    # At the cut to be scored the future is empty.
    planted = snapshots.with_columns(
        n_orders_later=sign * (pl.col("has_order").fill_null(False) ^ pl.Series(wrong))
    )
    cleaned = try_models(planted, seed=1)
    assert set(cleaned.leaking) == {"n_orders_later"}
    assert cleaned.leaking["n_orders_later"] > 0.9
    assert cleaned.metrics.equals(trial.metrics)
    assert score(planted, trial.method, seed=1).equals(scores[trial.method])


def test_a_feature_known_only_of_buyers_is_caught(snapshots: pl.DataFrame) -> None:
    planted = snapshots.with_columns(hours_to_pay=pl.when("has_order").then(3.0))
    assert set(try_models(planted, seed=1).leaking) == {"hours_to_pay"}


def test_a_strong_honest_feature_stays() -> None:
    came = np.arange(100) < 30
    boxes = pl.DataFrame({"n_boxes": came.astype(np.float64)})
    assert implausible(boxes, came, boxes.sample(fraction=1.0, shuffle=True, seed=1)) == {}
    assert implausible(boxes, came, boxes * 0) == {"n_boxes": 1.0}
    assert implausible(boxes, came, boxes.clear()) == {}
    assert implausible(boxes, ~came & came, boxes * 0) == {}


def test_nothing_of_the_newest_week_reaches_what_is_tried_on_it(
    snapshots: pl.DataFrame, trial: Trial
) -> None:
    last = RUN_DATE - dt.timedelta(days=7)
    inverted = snapshots.with_columns(
        has_order=pl.when(pl.col("cut_date") == last)
        .then(~pl.col("has_order"))
        .otherwise("has_order")
    )
    other = try_models(inverted, seed=1)
    assert values(other.metrics, "mean_p_buy") == values(trial.metrics, "mean_p_buy")
    assert other.calibration.drop("observed").equals(trial.calibration.drop("observed"))


def test_the_newest_slice_sets_the_rate() -> None:
    # Orders treble in the last two weeks: what was learnt before is far too low by itself.
    trial = try_models(shop(rates=(1, 1, 1, 3, 3)), seed=1)
    rate = values(trial.metrics, "order_rate")["boosting"]
    for model, mean in values(trial.metrics, "mean_p_buy").items():
        assert mean == pytest.approx(rate, rel=0.15), model


def test_the_calibration_curve_runs_along_the_diagonal(trial: Trial) -> None:
    curve = trial.calibration.filter(pl.col("model") == trial.method)
    assert curve["n_members"].sum() == 1500
    assert curve["predicted"].is_sorted()
    # Three standard errors of a tenth of the members.
    gap = (curve["predicted"] - curve["observed"]).abs()
    error = (curve["predicted"] * (1 - curve["predicted"]) / curve["n_members"]).sqrt()
    assert (gap <= 3 * error + 0.01).all()


@pytest.mark.parametrize("n_threads", [1, 4])
def test_the_same_seed_gives_the_same_bytes_in_any_order_on_any_number_of_threads(
    snapshots: pl.DataFrame, trial: Trial, scores: dict[str, pl.DataFrame], n_threads: int
) -> None:
    shuffled = snapshots.sample(fraction=1.0, shuffle=True, seed=9)
    with threadpool_limits(limits=n_threads):
        again = try_models(shuffled, seed=1)
        assert again.metrics.equals(trial.metrics)
        assert again.calibration.equals(trial.calibration)
        for method in METHODS:
            assert score(shuffled, method, seed=1).equals(scores[method])


@pytest.mark.parametrize(
    ("n_buyers", "reason"),
    [
        ((50, 10, 10), None),
        ((25, 25, 10, 10), None),
        ((), "0 past weeks with members, 3 needed"),
        ((90, 90), "2 past weeks with members, 3 needed"),
        ((49, 90, 90), "49 members with an order to learn from, 50 needed"),
        ((90, 9, 90), "9 members with an order in one of the last weeks, 10 needed"),
        ((90, 90, 0), "0 members with an order in one of the last weeks, 10 needed"),
        ((900, 90, 90), "0 members without an order to learn from, 50 needed"),
        ((90, 90, 899), "1 members without an order in one of the last weeks, 10 needed"),
    ],
)
def test_the_gate_says_what_is_missing(n_buyers: tuple[int, ...], reason: str | None) -> None:
    assert DataGate().reason(n_buyers, [900 - n for n in n_buyers]) == reason


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "of",
    [
        pytest.param(lambda shop: shop.clear(), id="nobody"),
        pytest.param(lambda shop: shop.filter(pl.col("has_order").is_null()), id="no past"),
        pytest.param(lambda shop: shop.with_columns(has_order=None), id="no outcome"),
        pytest.param(
            lambda shop: shop.with_columns(
                has_order=pl.when(pl.col("has_order").is_not_null()).then(False)
            ),
            id="no orders",
        ),
        pytest.param(
            lambda shop: shop.with_columns(
                pl.col("has_order")
                & (pl.col("member_id") == 3)
                & (pl.col("cut_date") == RUN_DATE - dt.timedelta(days=7))
            ),
            id="one order",
        ),
        pytest.param(
            lambda shop: shop.with_columns(
                has_order=pl.when(pl.col("has_order").is_not_null()).then(True)
            ),
            id="everybody orders",
        ),
        pytest.param(lambda shop: shop.filter(pl.col("member_id") == 3), id="one member"),
        pytest.param(
            lambda shop: shop.filter(pl.col("cut_date") >= RUN_DATE - dt.timedelta(days=14)),
            id="two weeks",
        ),
    ],
)
def test_degenerate_shops_get_the_base_rate(snapshots: pl.DataFrame, of, method: str) -> None:
    given = of(snapshots).with_columns(pl.col("has_order").cast(pl.Boolean))
    trial = try_models(given, seed=1)
    assert trial.method == "base_rate" and trial.reason
    assert trial.metrics.is_empty() and trial.calibration.is_empty()
    made = score(given, method, seed=1)
    past = given.drop_nulls("has_order")
    rate = (past["has_order"].sum() + 1) / (len(past) + 100)
    assert len(made) == given["has_order"].null_count()
    assert made["p_buy"].to_list() == pytest.approx([rate] * len(made))
    assert set(made["method"]) <= {"base_rate"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "of",
    [
        pytest.param(lambda shop: shop.filter(pl.col("has_order").is_not_null()), id="none today"),
        pytest.param(lambda shop: shop.select(*shop.columns[:3]), id="no features"),
        pytest.param(lambda shop: shop.with_columns(pl.col("n_views_7d") * 0), id="constant"),
        pytest.param(
            lambda shop: shop.with_columns(
                days_since_last=pl.lit(None, pl.Int64), days_since_last_order=None
            ),
            id="nothing known",
        ),
        pytest.param(
            lambda shop: shop.with_columns(n_views_7d=-1e12 * pl.col("n_views_7d")), id="huge"
        ),
    ],
)
def test_odd_features_do_no_harm(snapshots: pl.DataFrame, of, method: str) -> None:
    given = of(snapshots)
    made = score(given, method, seed=1)
    assert len(made) == given["has_order"].null_count()
    assert made["p_buy"].is_between(0, 1, closed="none").all()


@given(p=arrays(np.float64, st.integers(0, 60), elements=st.floats(0.001, 0.999)))
def test_deciles_rise_and_alike_stand_together(p) -> None:
    found = deciles(p)
    assert found.shape == p.shape
    assert ((found >= 1) & (found <= 10)).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    for value in np.unique(p):
        assert np.unique(found[p == value]).size == 1


def test_deciles_are_tenths() -> None:
    assert deciles(np.arange(20) / 20).tolist() == [1 + row // 2 for row in range(20)]
    assert set(deciles(np.full(7, 0.2))) == {6}


def test_log_loss_by_hand() -> None:
    p, came = np.array([0.5, 0.25, 0.9]), np.array([True, False, True])
    assert log_loss(p, came) == pytest.approx(-np.log([0.5, 0.75, 0.9]).mean())


@given(score=arrays(np.float64, st.integers(2, 40), elements=st.sampled_from([-1.0, 0.0, 2.5, 7])))
def test_auc_is_scikit_learns(score) -> None:
    came = np.arange(score.size) % 3 == 0
    assert auc_of(score, came) == pytest.approx(roc_auc_score(came, score))
    places = np.where(score > 0, score, -np.inf)
    assert auc_of(places, came) == auc_of(np.maximum(score, 0), came)
