"""Searches settings on a temporal split: those of ALS, those of the walk, and how to blend them.

Every search climbs: from where it stands it tries one move after the other, goes on in a
direction as long as that pays, and stops where no move does. What is tried next follows from what
was found, so that the order of the trials is given by the data; a clock can only cut it short, and
the next search then sets out from the best that the one before had come to.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np
import polars as pl

from assets.recommend.als import AlsSettings, Factors, fit
from assets.recommend.blend import factor_lists, fuse, walk_lists
from assets.recommend.evaluation import evaluate
from assets.recommend.matrix import InteractionMatrix
from assets.recommend.random_walk import Walk, WalkSettings
from assets.recommend.ranking import Scorer, top_products

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
_LARGEST_RATIO = 16.0
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


_Settings = AlsSettings | WalkSettings | Weights


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a search found.

    Attributes:
        als: settings of the factor model.
        walk: settings of the walk.
        weights: of the two lists in the blend.
        trials: model (als_scan for the small ones, als, similar, blend), settings, recall, ndcg,
            seconds; in the order in which they were tried.
    """

    als: AlsSettings
    walk: WalkSettings
    weights: Weights
    trials: pl.DataFrame


def neighbours(settings: AlsSettings) -> Iterator[AlsSettings]:
    """The settings themselves, then each of them with one value halved or doubled."""
    yield settings
    for factor in (0.5, 2.0):
        yield replace(settings, factors=max(1, round(settings.factors * factor)))
        yield _regularized(settings, factor)
        yield _confident(settings, factor)


def unseen_lists(scorer: Scorer, seen: InteractionMatrix, k: int) -> pl.DataFrame:
    """The first k products of the scorer's members that they had not met, for evaluation.

    Args:
        scorer: some of the members of `seen`, and its products in its order.
        seen: what they had met.
        k: length of the lists.
    """
    met = seen.weights[seen.member_index(scorer.member_ids)]
    if isinstance(scorer, Factors):
        return factor_lists(scorer, met, k)
    if isinstance(scorer, Walk):
        return walk_lists(scorer, met, k)
    return top_products(scorer, met, k, np.ones(len(seen.product_ids), dtype=np.bool_))


def search(
    matrix: InteractionMatrix, truth: pl.DataFrame, around: AlsSettings, k: int
) -> AlsSettings:
    """The best of `around` and its neighbours by ndcg@k; the earlier one at a tie.

    Args:
        matrix: interactions before the cut.
        truth: member_id, product_id that came after it, not empty.
        around: where to start.
        k: length of the lists.
    """
    n_products = len(matrix.product_ids)
    members = truth["member_id"].to_numpy()

    def quality(settings: AlsSettings) -> float:
        ranked = unseen_lists(fit(matrix, settings).of_members(members), matrix, k)
        return evaluate(ranked, truth, k, n_products).ndcg

    return max(neighbours(around), key=quality)


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

    def blend(self, weights: Weights) -> float:
        lists = {name: self.best[name][1] for name in ("als", "similar")}
        return self._quality("blend", weights, lambda: fuse(lists, asdict(weights), self.k))

    def _ranked(self, model: Factors | Walk) -> pl.DataFrame:
        scorer = model.of_members(self.truth["member_id"].to_numpy())
        return unseen_lists(scorer, self.matrix, DEPTH * self.k)

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

    The walk gets up to a quarter of the time, ALS what is left but for a tenth, and the weights
    the rest; each tries at least where it starts, and what one does not need falls to the next.
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
    members = truth["member_id"].unique().sort()
    if len(members) > _MEMBERS_TRIED:
        tried = np.linspace(0, len(members) - 1, _MEMBERS_TRIED).astype(np.int64)
        truth = truth.filter(pl.col("member_id").is_in(members.gather(tried).implode()))
    trials = _Trials(matrix, truth, k, clock)
    started = clock()

    def until(share: float) -> Callable[[], bool]:
        return lambda: clock() - started < share * seconds

    walk = climb(walk, _walk_moves(0.2), trials.similar, until(0.25))
    walk = climb(walk, _walk_moves(0.1), trials.similar, until(0.25))
    als = _search_als(als, largest_factors or als.factors, trials, until)
    weights = climb(
        Weights(),
        [partial(_leaning, factor=factor) for factor in (2.0, 0.5, 1.5, 1 / 1.5)],
        trials.blend,
        until(1.0),
    )
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
    # By a name of its own: the lists of the small models are not those to blend.
    scan = partial(trials.als, name="als_scan")
    small = climb(small, _als_moves(4.0), scan, until(0.5))
    small = climb(small, _als_moves(2.0), scan, until(0.5))
    found = replace(around, regularization=small.regularization, alpha=small.alpha)
    if found != around and until(0.9)():
        found = max((found, around), key=trials.als)
    longer = partial(_longer, largest=largest_factors)
    found = climb(found, [longer, *_als_moves(2.0)], trials.als, until(0.9))
    return climb(found, _als_moves(2**0.5), trials.als, until(0.9))


def _als_moves(factor: float) -> list[Callable[[AlsSettings], AlsSettings]]:
    """More or less confidence and regularisation; a weaker tie to the size of the shop first."""
    return [
        partial(_confident, factor=factor),
        partial(_regularized, factor=1 / factor),
        partial(_confident, factor=1 / factor),
        partial(_regularized, factor=factor),
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


def _leaning(weights: Weights, factor: float) -> Weights:
    """More or less weight for the walk."""
    similar = _rounded(weights.similar * factor)
    is_within = 1 / _LARGEST_RATIO <= similar / weights.als <= _LARGEST_RATIO
    return Weights(weights.als, similar) if is_within else weights
