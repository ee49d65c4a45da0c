"""The recommenders of the pipeline on a public split, by the usual protocol.

    python -m benchmarks.recommend_split --train FILE --validation FILE --test FILE [--factors N]

One line per user: the user's id, then the ids of her items, separated by spaces. Settings are
searched on the validation file; without one, a tenth of the train file is held out for the search.
Then everything but the test is learnt from (train, and validation where it was given), and
everything that was not learnt from is ranked for every user of the test: no sampled candidates,
relevance is binary, recall divides by all test items of a user, ndcg by the best that min(20, test
items) hits could reach. The test is read for these figures alone.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol, cast

import numpy as np
import polars as pl
from implicit.als import (  # pyright: ignore[reportMissingTypeStubs]
    AlternatingLeastSquares,  # pyright: ignore[reportUnknownVariableType]
)
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from assets.recommend.als import AlsSettings, Factors, fit
from assets.recommend.blend import fuse
from assets.recommend.evaluation import evaluate
from assets.recommend.matrix import (
    CsrMatrix,
    InteractionMatrix,
    ids_of,
    positions,
    sparse,
)
from assets.recommend.popularity import popular_products
from assets.recommend.random_walk import Walk, WalkSettings
from assets.recommend.similarity import similar_products
from assets.recommend.tuning import DEPTH, Tuned, tune, unseen_lists

_K = 20
_HELD_OUT = 0.1
_SEED = 0
_LARGEST_FACTORS = 256
_PAIR = ["member_id", "product_id"]
# Users that two items of the cosine baseline must have in common.
_MIN_SUPPORT = 2


@dataclass(frozen=True, eq=False)
class Split:
    """Distinct pairs of member_id and product_id.

    Attributes:
        train: what the search learns from.
        validation: what the search is held against.
        test: what the result is held against.
    """

    train: pl.DataFrame
    validation: pl.DataFrame
    test: pl.DataFrame


def read_pairs(path: Path) -> pl.DataFrame:
    """The pairs of one file: user and product_id as text.

    A user without items, as public splits have them, adds nothing.

    Raises:
        ValueError: the file is not readable text of this layout, or holds no pair.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ValueError(f"{path}: {why}") from error
    for number, line in enumerate(lines, 1):
        if any(mark in line for mark in ",;\t\"'{}[]"):
            raise ValueError(
                f"{path}, line {number}: expected a user id and item ids with spaces between them, "
                f"found {line[:40]!r}"
            )
    pairs = (
        pl.DataFrame({"tokens": lines}, schema={"tokens": pl.String})
        .with_columns(pl.col("tokens").str.extract_all(r"\S+"))
        .filter(pl.col("tokens").list.len() > 1)
        .select(
            user=pl.col("tokens").list.first(),
            product_id=pl.col("tokens").list.slice(1),
        )
        .explode("product_id")
        .unique(maintain_order=True)
    )
    if pairs.is_empty():
        raise ValueError(f"{path}: no line has a user id and an item id")
    return pairs


def read_split(train: Path, validation: Path | None, test: Path) -> Split:
    """Reads the files and numbers the users; what is validation is no longer train.

    Raises:
        ValueError: as ``read_pairs``; the files have no user or no item in common; or nothing
            is left to learn from or to search on.
    """
    files = {"train": train, "test": test} | ({"validation": validation} if validation else {})
    pairs = {name: read_pairs(path) for name, path in files.items()}
    users = (
        pl.concat([each.select("user") for each in pairs.values()])
        .unique()
        .sort("user")
        .with_columns(member_id=pl.int_range(pl.len(), dtype=pl.Int64))
    )
    numbered = {
        name: each.join(users, on="user").select(_PAIR).sort(_PAIR) for name, each in pairs.items()
    }
    for name, later in numbered.items():
        if name == "train":
            continue
        for column in _PAIR:
            if later.join(numbered["train"], on=column, how="semi").is_empty():
                kind = "user" if column == "member_id" else "item"
                raise ValueError(f"{files[name]}: no {kind} of it is in {train}")
    if validation is None:
        return Split(*_held_out(numbered["train"]), numbered["test"])
    # Some splits give all of train and mark the validation within it.
    learnt = numbered["train"].join(numbered["validation"], on=_PAIR, how="anti")
    if learnt.is_empty():
        raise ValueError(f"{validation}: leaves nothing of {train} to learn from")
    return Split(learnt.sort(_PAIR), numbered["validation"], numbered["test"])


def _held_out(pairs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A tenth of the pairs by lot, one of each member stays.

    Raises:
        ValueError: nobody has two pairs.
    """
    drawn = pairs.with_columns(
        lot=pl.Series(np.random.default_rng(_SEED).random(len(pairs)))
    ).with_columns(
        is_held_out=(pl.col("lot") < _HELD_OUT)
        & (pl.col("lot") < pl.col("lot").max().over("member_id"))
    )
    kept, held_out = (
        drawn.filter(pl.col("is_held_out") == wanted).select(_PAIR) for wanted in (False, True)
    )
    if held_out.is_empty():
        raise ValueError("train is too small to hold anything out for the search")
    return kept, held_out


def _matrix(pairs: pl.DataFrame) -> InteractionMatrix:
    return InteractionMatrix.from_pairs(
        pairs["member_id"].to_numpy(), pairs["product_id"], np.ones(len(pairs))
    )


def _cosine(matrix: InteractionMatrix) -> Walk:
    """The article's baseline: a product is as good as it is similar to what she has, summed up."""
    pairs = similar_products(matrix, WalkSettings().neighbours, _MIN_SUPPORT)
    n_products = len(matrix.product_ids)
    similarity = sparse(
        positions(matrix.product_ids, ids_of(pairs["product_id"])),
        positions(matrix.product_ids, ids_of(pairs["similar_product_id"])),
        pairs["score"].to_numpy(),
        (n_products, n_products),
    )
    return Walk(matrix.member_ids, matrix.product_ids, matrix.weights, similarity)


class _Model(Protocol):
    """The part of implicit's untyped model that is used here."""

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]

    def fit(self, user_items: CsrMatrix, show_progress: bool) -> None: ...


def _untuned(matrix: InteractionMatrix) -> Factors:
    """Implicit's ALS as it comes, with the settings of its own defaults."""
    with threadpool_limits(limits=1, user_api="blas"):
        model = cast(_Model, AlternatingLeastSquares(use_gpu=False, random_state=_SEED))
        model.fit(matrix.weights, show_progress=False)
    settings = AlsSettings(factors=model.item_factors.shape[1])
    return Factors(
        matrix.member_ids,
        matrix.product_ids,
        model.user_factors,
        model.item_factors,
        0.0,
        settings,
    )


def search(split: Split, factors: int | None, seconds: float) -> Tuned:
    """Searches on the validation part alone."""
    als = AlsSettings(factors=factors) if factors else AlsSettings()
    return tune(
        _matrix(split.train),
        split.validation,
        als,
        WalkSettings(),
        _K,
        seconds,
        perf_counter,
        largest_factors=factors or max(als.factors, _LARGEST_FACTORS),
    )


def measure(known: pl.DataFrame, test: pl.DataFrame, tuned: Tuned) -> pl.DataFrame:
    """Learns from everything known and holds the lists of each model against the test.

    Args:
        known: member_id, product_id to learn from; these are never listed again.
        test: member_id, product_id; a member who is not known has no list and counts as missed.
        tuned: settings.

    Returns:
        model, recall, ndcg, seconds (learning and listing; of the blend, with both its parts).
    """
    matrix = _matrix(known)
    members = test["member_id"].unique().sort()
    lists: dict[str, pl.DataFrame] = {}
    seconds: dict[str, float] = {}

    def make(name: str, make_lists: Callable[[], pl.DataFrame]) -> None:
        started = perf_counter()
        lists[name] = make_lists()
        seconds[name] = perf_counter() - started

    def of(model: Factors | Walk) -> pl.DataFrame:
        return unseen_lists(model.of_members(members.to_numpy()), matrix, DEPTH * _K)

    def popular() -> pl.DataFrame:
        of_known = np.intersect1d(members.to_numpy(), matrix.member_ids)
        weighed = known.with_columns(weight=pl.lit(1.0))
        return unseen_lists(popular_products(weighed, of_known, matrix.product_ids), matrix, _K)

    make("popularity", popular)
    make("cosine", lambda: of(_cosine(matrix)))
    make("defaults", lambda: of(_untuned(matrix)))
    make("als", lambda: of(fit(matrix, tuned.als)))
    make("similar", lambda: of(Walk.fit(matrix, tuned.walk)))
    parts = {name: lists[name] for name in ("als", "similar")}
    make("blend", lambda: fuse(parts, asdict(tuned.weights), _K))
    seconds["blend"] += seconds["als"] + seconds["similar"]
    found = {
        name: evaluate(ranked, test, _K, len(matrix.product_ids)) for name, ranked in lists.items()
    }
    return pl.DataFrame(
        {
            "model": list(found),
            "recall": [each.recall for each in found.values()],
            "ndcg": [each.ndcg for each in found.values()],
            "seconds": list(seconds.values()),
        }
    )


_NAMES = {
    "defaults": "implicit's defaults",
    "popularity": "popularity",
    "cosine": "cosine",
    "als": "ALS",
    "similar": "RP3beta",
    "blend": "blend",
}


def _said(settings: object) -> str:
    values: dict[str, float] = vars(settings)
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def main(argv: Sequence[str] | None = None) -> int:
    """Searches, learns, and prints the table.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0, or 2 where the input cannot be used.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recommend_split",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--train", type=Path, required=True, help="to learn from")
    parser.add_argument("--validation", type=Path, help="to search on; else a tenth of train")
    parser.add_argument("--test", type=Path, required=True, help="to be held against")
    parser.add_argument("--factors", type=int, help="length of ALS's vectors; else searched")
    parser.add_argument("--seconds", type=float, default=600.0, help="for the search")
    given = parser.parse_args(argv)
    if given.factors is not None and given.factors < 1:
        parser.error(f"--factors must be at least 1, not {given.factors}")
    if not given.seconds >= 0:
        parser.error(f"--seconds must be at least 0, not {given.seconds}")
    try:
        split = read_split(given.train, given.validation, given.test)
    except ValueError as error:
        print(f"recommend_split: {error}", file=sys.stderr)
        return 2
    known = pl.concat([split.train, split.validation]).sort(_PAIR)
    unknown = split.test.join(known, on="member_id", how="anti")["member_id"].n_unique()
    n_met = len(split.test.join(known, on=_PAIR, how="semi"))
    print(
        f"{known['member_id'].n_unique():,} users, {known['product_id'].n_unique():,} items, "
        f"{len(known):,} pairs to learn from; {len(split.test):,} test pairs of "
        f"{split.test['member_id'].n_unique():,} users; "
        f"counted as missed: {unknown:,} unknown users, {n_met:,} pairs met before",
        flush=True,
    )
    started = perf_counter()
    tuned = search(split, given.factors, given.seconds)
    held_out = "the validation file" if given.validation else "a tenth of the train file"
    learnt = "train and validation together" if given.validation else "the whole train file"
    print(f"searched {perf_counter() - started:.0f} s, {len(tuned.trials)} trials on {held_out};")
    print(f"learnt from {learnt}")
    print(f"ALS: {_said(tuned.als)}\nRP3beta: {_said(tuned.walk)}\nblend: {_said(tuned.weights)}\n")
    print(f"| model | recall@{_K} | ndcg@{_K} | seconds |\n| --- | ---: | ---: | ---: |")
    for model, recall, ndcg, seconds in measure(known, split.test, tuned).iter_rows():
        print(f"| {_NAMES[model]} | {recall:.4f} | {ndcg:.4f} | {seconds:.1f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
