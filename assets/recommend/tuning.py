"""Searches ALS settings on a temporal split: one step around what is used now."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl

from assets.recommend.als import AlsSettings, fit
from assets.recommend.evaluation import evaluate
from assets.recommend.matrix import InteractionMatrix
from assets.recommend.ranking import Scorer, top_products

_LARGEST_SHARE = 0.9


def neighbours(settings: AlsSettings) -> Iterator[AlsSettings]:
    """The settings themselves, then each of them with one value halved or doubled."""
    yield settings
    for factor in (0.5, 2.0):
        yield replace(settings, factors=max(1, round(settings.factors * factor)))
        yield replace(
            settings, regularization=min(settings.regularization * factor, _LARGEST_SHARE)
        )
        yield replace(settings, alpha=settings.alpha * factor)


def unseen_lists(scorer: Scorer, seen: InteractionMatrix, k: int) -> pl.DataFrame:
    """The first k products of the scorer's members that they had not met, for evaluation.

    Args:
        scorer: some of the members of `seen`, and its products in its order.
        seen: what they had met.
        k: length of the lists.
    """
    met = seen.weights[seen.member_index(scorer.member_ids)]
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
