"""Searches settings on a temporal split: those of ALS, those of the walk, and how to blend them.

Every search climbs: from where it stands it tries one move after the other, goes on in a
direction as long as that pays, and stops where no move does. What is tried next follows from what
was found, so that the order of the trials is given by the data; a clock can only cut it short, and
the next search then sets out from the best that the one before had come to.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np
import polars as pl

from assets.recommend.als import AlsSettings, Factors, fit
from assets.recommend.blend import factor_lists, fuse, walk_lists
from assets.recommend.evaluation import evaluate, evenly, plainest, qualities
from assets.recommend.matrix import InteractionMatrix
from assets.recommend.random_walk import Walk, WalkSettings

Place = TypeVar("Place", bound=Hashable)

_LARGEST_SHARE = 0.9
_LARGEST_EXPONENT = 2.0
# Enough to tell settings apart that differ by what a shop would notice.
_MEMBERS_TRIED = 10_000
# Lists go into the blend this many times as long as they come out: a product that both models
# hold in the middle beats one that a single model holds near the top.
DEPTH = 5
# Coarse trials: small models rank the regularisation and the confidence much as large ones do.
_SCAN_FACTORS = 32
_SCAN_ITERATIONS = 8
_MOST_NEIGHBOURS = 1000
_TRIALS = pl.Schema(
    {
        "model": pl.String,
        "settings": pl.String,
        "recall": pl.Float64,
        "ndcg": pl.Float64,
        "seconds": pl.Float64,
    }
)


@dataclass(frozen=True)
class Weights:
    """How much each list counts in the blend.

    Attributes:
        als: of the factor model's, at least 0.
        similar: of the walk's, at least 0.
    """

    als: float = 1.0
    similar: float = 1.0


_RATIOS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
_WEIGHTS = (*(Weights(1.0, ratio) for ratio in _RATIOS), Weights(0.0, 1.0))

_Settings = AlsSettings | WalkSettings


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a search found.

    Attributes:
        als: settings of the factor model.
        walk: settings of the walk.
        weights: of the two lists in the blend.
        trials: model (als_scan for the small ones, als, similar), settings, recall, ndcg,
            seconds; in the order in which they were tried.
    """

    als: AlsSettings
    walk: WalkSettings
    weights: Weights
    trials: pl.DataFrame


def unseen_lists(model: Factors | Walk, seen: InteractionMatrix, k: int) -> pl.DataFrame:
    """The first k products of the model's members that they had not met, for evaluation.

    Args:
        model: of some of the members of `seen`, and its products in its order.
        seen: what they had met.
        k: length of the lists.
    """
    met = seen.weights[seen.member_index(model.member_ids)]
    if isinstance(model, Factors):
        return factor_lists(model, met, k)
    return walk_lists(model, met, k)


def best_weights(lists: Mapping[str, pl.DataFrame], truth: pl.DataFrame, k: int) -> Weights:
    """How the lists of both models are best blended: ALS alone unless more is better beyond chance.

    Either model alone is among what is tried, so that no shop is made worse by the other one.

    Args:
        lists: ``als`` and ``similar``: member_id, rank (from 1), product_id, longer than k.
        truth: member_id, product_id, distinct, not empty.
        k: length of the blend.
    """
    return plainest(_WEIGHTS, lambda weights: qualities(fuse(lists, asdict(weights), k), truth, k))


def climb(
    start: Place,
    moves: Sequence[Callable[[Place], Place]],
    quality: Callable[[Place], float],
    is_open: Callable[[], bool],
) -> Place:
    """The best place that can be reached by moves which each improve on the one before.

    A move that pays is made again, until it does not; what was tried is not tried again. The
    start is tried in any case.

    Args:
        start: where to begin.
        moves: from a place to the next; a move that leads nowhere gives the place back.
        quality: what is to be as high as can be.
        is_open: asked before every trial but the first, whether there is time for it.
    """
    best, highest = start, quality(start)
    tried = {start}
    goes_on = True
    while goes_on:
        goes_on = False
        for move in moves:
            while (place := move(best)) not in tried:
                if not is_open():
                    return best
                tried.add(place)
                found = quality(place)
                if not found > highest:
                    break
                best, highest, goes_on = place, found, True
    return best


@dataclass(eq=False)
class _Trials:
    """Tries settings on the validation window and keeps the lists of the best ones.

    Quality is the mean of recall@k and ndcg@k.
    """

    matrix: InteractionMatrix
    truth: pl.DataFrame
    k: int
    clock: Callable[[], float]
    rows: list[tuple[str, str, float, float, float]] = field(
        default_factory=list[tuple[str, str, float, float, float]]
    )
    qualities: dict[tuple[str, _Settings], float] = field(
        default_factory=dict[tuple[str, _Settings], float]
    )
    best: dict[str, tuple[float, pl.DataFrame]] = field(
        default_factory=dict[str, tuple[float, pl.DataFrame]]
    )

    def als(self, settings: AlsSettings, name: str = "als") -> float:
        return self._quality(name, settings, lambda: self._ranked(fit(self.matrix, settings)))

    def similar(self, settings: WalkSettings) -> float:
        return self._quality(
            "similar", settings, lambda: self._ranked(Walk.fit(self.matrix, settings))
        )

    def _ranked(self, model: Factors | Walk) -> pl.DataFrame:
        known = model.of_members(self.truth["member_id"].to_numpy())
        return unseen_lists(known, self.matrix, DEPTH * self.k)

    def _quality(
        self, model: str, settings: _Settings, make_lists: Callable[[], pl.DataFrame]
    ) -> float:
        if (model, settings) in self.qualities:
            return self.qualities[model, settings]
        started = self.clock()
        ranked = make_lists()
        found = evaluate(ranked, self.truth, self.k, len(self.matrix.product_ids))
        said = ", ".join(f"{name}={value:g}" for name, value in asdict(settings).items())
        self.rows.append((model, said, found.recall, found.ndcg, self.clock() - started))
        quality = (found.recall + found.ndcg) / 2
        self.qualities[model, settings] = quality
        if model not in self.best or quality > self.best[model][0]:
            self.best[model] = quality, ranked
        return quality


def tune(
    matrix: InteractionMatrix,
    truth: pl.DataFrame,
    als: AlsSettings,
    walk: WalkSettings,
    k: int,
    seconds: float,
    clock: Callable[[], float],
    *,
    largest_factors: int | None = None,
) -> Tuned:
    """Searches the settings of both models, then the weights of their lists.

    The walk gets up to a quarter of the time, ALS what is left, and the weights little more; each
    tries at least where it starts, and what one does not need falls to the next.
    ALS climbs with a small model first, then with the one that was asked for. On a large shop
    10,000 members of the truth, evenly spread, stand for all.

    Args:
        matrix: interactions before the cut.
        truth: member_id, product_id that came after it, distinct, not empty.
        als: where to start; its iterations and seed stay.
        walk: where to start; its cap on histories stays.
        k: length of the lists.
        seconds: after which no further trial begins.
        clock: seconds since whenever; it decides nothing but where the trials end.
        largest_factors: up to which the length of the vectors is searched; None to keep it.

    Raises:
        ValueError: there is no truth.
    """
    trials = _Trials(matrix, evenly(truth, _MEMBERS_TRIED), k, clock)
    started = clock()

    def until(share: float) -> Callable[[], bool]:
        return lambda: clock() - started < share * seconds

    walk = climb(walk, _walk_moves(0.2), trials.similar, until(0.25))
    walk = climb(walk, _walk_moves(0.1), trials.similar, until(0.25))
    als = _search_als(als, largest_factors or als.factors, trials, until)
    lists = {name: trials.best[name][1] for name in ("als", "similar")}
    weights = best_weights(lists, trials.truth, k)
    return Tuned(als, walk, weights, pl.DataFrame(trials.rows, schema=_TRIALS, orient="row"))


def _search_als(
    around: AlsSettings,
    largest_factors: int,
    trials: _Trials,
    until: Callable[[float], Callable[[], bool]],
) -> AlsSettings:
    small = replace(
        around,
        factors=min(around.factors, _SCAN_FACTORS),
        iterations=min(around.iterations, _SCAN_ITERATIONS),
    )
    # Where all ties are equally strong, no power tells them apart.
    moves = partial(_als_moves, has_strengths=bool(np.ptp(trials.matrix.weights.data) > 0))
    # By a name of its own: the lists of the small models are not those to blend.
    scan = partial(trials.als, name="als_scan")
    small = climb(small, moves(2), scan, until(0.5))
    small = climb(small, moves(1), scan, until(0.5))
    found = replace(small, factors=around.factors, iterations=around.iterations)
    if found != around and until(1.0)():
        found = max((found, around), key=trials.als)
    longer = partial(_longer, largest=largest_factors)
    found = climb(found, [longer, *moves(1)], trials.als, until(1.0))
    found = climb(found, moves(0.5), trials.als, until(1.0))
    return climb(found, moves(0.15), trials.als, until(1.0))


def _als_moves(
    octaves: float, *, has_strengths: bool
) -> list[Callable[[AlsSettings], AlsSettings]]:
    """More or less of each setting; a weaker tie to the size of the shop first."""
    factor = 2**octaves
    return [
        partial(_confident, factor=factor),
        partial(_regularized, factor=1 / factor),
        partial(_discounted, step=0.1 * octaves),
        partial(_confident, factor=1 / factor),
        partial(_regularized, factor=factor),
        partial(_discounted, step=-0.1 * octaves),
        *([partial(_powered, step=0.25 * octaves * way) for way in (-1, 1)] * has_strengths),
    ]


def _walk_moves(step: float) -> list[Callable[[WalkSettings], WalkSettings]]:
    return [
        partial(_stepped, beta=step),
        partial(_widened, factor=0.5),
        partial(_stepped, alpha=-step),
        partial(_stepped, beta=-step),
        partial(_stepped, alpha=step),
        partial(_widened, factor=2.0),
    ]


def _confident(settings: AlsSettings, factor: float) -> AlsSettings:
    return replace(settings, alpha=_rounded(settings.alpha * factor))


def _regularized(settings: AlsSettings, factor: float) -> AlsSettings:
    share = _rounded(settings.regularization * factor)
    return replace(settings, regularization=min(share, _LARGEST_SHARE))


def _discounted(settings: AlsSettings, step: float) -> AlsSettings:
    discount = min(max(settings.popularity_discount + step, 0.0), 1.0)
    return replace(settings, popularity_discount=_rounded(discount))


def _powered(settings: AlsSettings, step: float) -> AlsSettings:
    power = min(max(settings.weight_power + step, 0.0), _LARGEST_EXPONENT)
    return replace(settings, weight_power=_rounded(power))


def _rounded(value: float) -> float:
    """To six digits, so that there and back is where it began."""
    return float(f"{value:.6g}")


def _longer(settings: AlsSettings, largest: int) -> AlsSettings:
    return replace(settings, factors=max(settings.factors, min(2 * settings.factors, largest)))


def _stepped(settings: WalkSettings, alpha: float = 0.0, beta: float = 0.0) -> WalkSettings:
    return replace(
        settings,
        alpha=round(min(max(settings.alpha + alpha, 0.0), _LARGEST_EXPONENT), 3),
        beta=round(min(max(settings.beta + beta, 0.0), _LARGEST_EXPONENT), 3),
    )


def _widened(settings: WalkSettings, factor: float) -> WalkSettings:
    return replace(
        settings, neighbours=min(max(1, round(settings.neighbours * factor)), _MOST_NEIGHBOURS)
    )
