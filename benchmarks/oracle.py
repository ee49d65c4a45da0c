"""Holds the demo shop's recommender against its true tastes: `python -m benchmarks.oracle`.

The simulation draws every product that a member sees by her taste, the product's vector and its
popularity, and writes all three beside the landing folder. An oracle that ranks by these foresees
as much of the holdout window as anybody can: the rest is chance. Here the models as they were
tried (fitted to what lies before the window) stand beside it, over all members with enough events;
half of them taught the weights of the last row, and after a search the settings.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from assets.recommend import inputs
from assets.recommend.als import AlsSettings, Factors
from assets.recommend.assets import LIST_LENGTH
from assets.recommend.blend import fuse
from assets.recommend.evaluation import evaluate
from assets.recommend.matrix import InteractionMatrix
from assets.recommend.popularity import popular_products
from assets.recommend.random_walk import Walk
from assets.recommend.sources import CANDIDATES
from assets.recommend.trial import Past
from assets.recommend.tuning import unseen_lists
from pipelines.definitions import DEFAULT_HOME
from resources.home import Home
from resources.keys import Keys, find_secret
from resources.shop import ShopConfig
from resources.warehouse import Database, Session

_EVENTS = """
select member_id
from clean.events
where
    not is_bot
    and member_id is not null
    and product_id is not null
    and occurred_at < $holdout_start
group by member_id
having count(*) >= $n_events
"""


def true_tastes(home: Home, session: Session, product_ids: Sequence[str]) -> Factors:
    """The simulation's own vectors of the members that can be told, and of these products.

    A score is the log of how likely she is to be drawn to the product, but for one number per
    member, raised above 0 for all.
    """
    members = pl.read_parquet(home.truth / "members.parquet")
    products = pl.read_parquet(home.truth / "products.parquet")
    keys = Keys.derived_from(find_secret(os.environ, home.folder, is_simulated=True))
    pseudonyms = pl.Series(keys.pseudonyms(members["user_id"].to_list()))
    ids = session.frame("select member_id, identifier from clean.identities where kind = 'user_id'")
    known = (
        members.with_columns(identifier=pseudonyms)
        .join(ids, on="identifier", maintain_order="left")
        .unique("member_id", keep="first", maintain_order=True)
        .sort("member_id")
    )
    listed = pl.DataFrame({"product_id": product_ids}).join(
        products, on="product_id", maintain_order="left"
    )
    ones = np.ones((len(known), 2))
    taste = np.c_[np.array(known["tastes"].to_list()), ones].astype(np.float32)
    above = np.full(len(listed), 100.0)
    vectors = np.c_[np.array(listed["vector"].to_list()), listed["popularity"].to_numpy(), above]
    return Factors(
        known["member_id"].to_numpy(),
        np.array(listed["product_id"].to_list()),
        taste,
        vectors.astype(np.float32),
        0.0,
        AlsSettings(factors=taste.shape[1]),
    )


def compare(home: Home, shop: ShopConfig, n_events: int) -> tuple[int, dict[str, float]]:
    """How many members were measured, and ndcg@20 of the oracle and of each model."""
    with Database(home.warehouse).connect() as session:
        parameters = shop.parameters(session)
        window = {"holdout_start": parameters["holdout_start"]}
        heavy = session.frame(_EVENTS, {**window, "n_events": n_events})
        past = inputs.past(session, shop.declared, parameters)
        published = inputs.published(session, home, shop.declared.recommend, LIST_LENGTH)
        kind = inputs.tried_kind(parameters)
        tried = inputs.stored(home, published.version.replace(inputs.KIND, kind, 1))
        matrix = past.matrix()
        oracle = true_tastes(home, session, matrix.product_ids.tolist())
    if tried is None:
        raise SystemExit("oracle: no model was tried yet; run `siyu run` first")
    told = pl.Series("member_id", oracle.member_ids).to_frame()
    truth = (
        past.truth().join(heavy, on="member_id", how="semi").join(told, on="member_id", how="semi")
    )
    found = _lists(past, matrix, tried, published, oracle, truth["member_id"].unique().sort())
    worth = {
        name: evaluate(ranked, truth, LIST_LENGTH, len(matrix.product_ids)).ndcg
        for name, ranked in found.items()
    }
    return truth["member_id"].n_unique(), worth


def _lists(
    past: Past,
    matrix: InteractionMatrix,
    tried: Factors,
    published: inputs.Published,
    oracle: Factors,
    members: pl.Series,
) -> dict[str, pl.DataFrame]:
    ids = members.to_numpy()
    models = {
        "the oracle": oracle,
        "ALS": tried,
        "RP3beta": Walk.fit(matrix, published.walk),
        "popularity": popular_products(past.met(), ids, matrix.product_ids),
    }
    n = CANDIDATES * LIST_LENGTH
    lists = {name: unseen_lists(model.of_members(ids), matrix, n) for name, model in models.items()}
    says = {"ALS": published.mix.als, "RP3beta": published.mix.similar}
    lists["ALS and RP3beta"] = fuse({name: lists[name] for name in says}, says, n)
    return lists


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the comparison as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.oracle")
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="SIYU_HOME of the demo")
    parser.add_argument("--config", type=Path, default=Path("config/demo"))
    parser.add_argument("--events", type=int, default=20, help="that a member must have had")
    given = parser.parse_args(argv)
    home = Home(path=str(given.home.absolute()))
    shop = ShopConfig(folder=str(given.config))
    n_members, worth = compare(home, shop, given.events)
    print(
        f"| {n_members:,} members with {given.events} events or more | ndcg@20 | of the oracle's |"
    )
    print("| --- | ---: | ---: |")
    for name, ndcg in worth.items():
        print(f"| {name} | {ndcg:.4f} | {ndcg / worth['the oracle']:.1%} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
