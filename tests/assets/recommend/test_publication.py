"""Champion and challenger: the judgement, and what becomes of models night after night."""

import datetime as dt
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from assets.recommend.assets import (
    LIST_LENGTH,
    AlsConfig,
    als_model,
    member_products,
    model_metrics,
)
from assets.recommend.inputs import Published, published
from assets.recommend.publication import decide
from resources.home import Home
from resources.shop import ShopConfig
from resources.warehouse import Database, Warehouse
from tests.calling import called

FIRST = dt.date(2026, 7, 1)
N_MEMBERS, N_PRODUCTS, N_TASTES = 240, 60, 4


@pytest.mark.parametrize(
    ("ndcg", "popularity", "champion", "is_published", "reason"),
    [
        (None, None, None, True, "untried"),
        (0.20, 0.10, None, True, "popularity's 0.1000"),
        (0.10, 0.10, None, True, "popularity's 0.1000"),
        (0.09, 0.10, None, False, "below popularity's 0.1000"),
        (0.09, 0.10, 0.01, False, "below popularity's 0.1000"),
        (0.20, 0.10, 0.21, True, "published model's 0.2100"),
        (0.19, 0.10, 0.21, False, "more than 5% below the published model's 0.2100"),
        (0.00, 0.00, 0.00, True, "published model's 0.0000"),
    ],
)
def test_a_model_is_published_if_it_beats_popularity_and_is_no_step_back(
    ndcg: float | None,
    popularity: float | None,
    champion: float | None,
    is_published: bool,
    reason: str,
):
    decision = decide(ndcg, popularity, champion, margin=0.05)
    assert decision.is_published is is_published
    assert reason in decision.reason


@dataclass(frozen=True)
class Nights:
    """A warehouse with what the recommender reads, and what it makes of it."""

    folder: Path

    @property
    def home(self) -> Home:
        return Home(path=str(self.folder))

    def declare(self, **recommend: float) -> None:
        shop = {
            "name": "t",
            "time_zone": "Asia/Shanghai",
            "base_currency": "CNY",
            "first_load_date": FIRST,
            "recommend": {"factors": 4, "alpha": 20.0, **recommend},
        }
        (self.folder / "shop.yaml").write_text(yaml.safe_dump(shop), encoding="utf-8")

    def data(self, number: int, pairs: pl.DataFrame) -> None:
        with Database(self.home.warehouse).connect() as session, session.offering(pairs=pairs):
            session.execute("create schema if not exists raw")
            session.execute("create schema if not exists features")
            session.execute(
                "create or replace table raw.loads as select $day::date as load_date",
                {"day": FIRST + dt.timedelta(days=number)},
            )
            session.execute(
                "create or replace table features.member_products as"
                " select *, 0 as n_views, 0 as n_carts, 0 as n_orders, 0 as n_shares,"
                " 0::bigint as n_order_days, null::timestamp as first_ordered_at,"
                " null::timestamp as last_ordered_at, null::timestamp as last_at from pairs;"
                "create or replace table features.past_member_products as"
                " select * replace (train_weight as weight) from features.member_products"
                " where train_weight > 0"
            )
            session.execute(
                "create schema if not exists clean; create schema if not exists tags;"
                "create or replace table clean.members as select distinct member_id,"
                " 'app' as channel, 'CN' as country, true as is_identified from pairs;"
                "create or replace table tags.product_tags as select distinct product_id,"
                " 'x' as tag, 1.0::double as score, false as is_sensitive from pairs;"
                "create or replace table clean.products as select distinct product_id,"
                " 'product' as kind, product_id as title, null::varchar as category,"
                " null::integer as stock, false as is_hidden, null::integer as repurchase_days"
                " from pairs;"
                "create or replace table tags.products as"
                " select product_id, false as is_sensitive from clean.products;"
                "create or replace table tags.member_tags as select distinct member_id,"
                " 'x' as tag, 1.0::double as score, false as is_sensitive from pairs"
            )

    def train(self, *, search: bool = False) -> None:
        called(
            als_model,
            AlsConfig(search=search),
            shop=self._shop(),
            home=self.home,
            warehouse=self._warehouse(),
        )

    def judge(self) -> None:
        called(model_metrics, shop=self._shop(), home=self.home, warehouse=self._warehouse())

    def night(self, number: int, pairs: pl.DataFrame) -> None:
        self.data(number, pairs)
        self.train()
        self.judge()

    def serve(self) -> pl.DataFrame:
        member_products(shop=self._shop(), home=self.home, warehouse=self._warehouse())
        with Database(self.home.warehouse).connect() as session:
            return session.frame("from recommend.member_products order by member_id, rank")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with Database(self.home.warehouse).connect() as session:
            return session.rows(sql)

    def models(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "select model_version, started_from, iterations, is_published"
            " from recommend.als_model order by all"
        )

    def published(self) -> Published:
        with Database(self.home.warehouse).connect() as session:
            return published(session, self.home, self._shop().declared.recommend, LIST_LENGTH)

    def newest(self) -> tuple[str, int]:
        """The newest published version, and how many members its model knows."""
        ((version,),) = self.rows(
            "select max(model_version) from recommend.als_model where is_published"
        )
        factors = self.published().factors
        return version or "none", 0 if factors is None else len(factors.member_ids)

    def has_champion(self, version: str) -> bool:
        return ("champion",) in self.rows(
            f"select model from recommend.model_metrics where model_version = '{version}'"
        )

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.home.models.iterdir()}

    def _shop(self) -> ShopConfig:
        return ShopConfig(folder=str(self.folder))

    def _warehouse(self) -> Warehouse:
        return Warehouse(path=str(self.home.warehouse))


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    found = Nights(tmp_path)
    found.declare()
    return found


def met(
    seed: int, tastes: Sequence[int] = range(N_TASTES), members: range = range(N_MEMBERS)
) -> pl.DataFrame:
    """What members met, mostly to their taste; the last three each only inside the holdout."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, str, float, float, float]] = []
    for member in members:
        liked = np.arange(N_PRODUCTS) % N_TASTES == tastes[member % N_TASTES]
        order = np.argsort(rng.random(N_PRODUCTS) - 0.6 * liked, kind="stable")[:11]
        for rank, product in enumerate(rng.permutation(order)):
            is_later = rank >= 8
            rows.append(
                (member, f"p{product:02}", 1.0, 0.0 if is_later else 1.0, 1.0 if is_later else 0.0)
            )
    return pl.DataFrame(
        rows,
        schema=["member_id", "product_id", "weight", "train_weight", "holdout_weight"],
        orient="row",
    )


def mixed_up(pairs: pl.DataFrame) -> pl.DataFrame:
    """The same, but the products before the holdout are anybody's: a feed that went wrong."""
    rng = np.random.default_rng(9)
    before = pairs.filter(pl.col("train_weight") > 0)
    before = before.with_columns(pl.Series("member_id", rng.permutation(before["member_id"])))
    before = before.unique(["member_id", "product_id"], maintain_order=True)
    return pl.concat([before, pairs.filter(pl.col("holdout_weight") > 0)])


def fashion() -> pl.DataFrame:
    """Half the shop met what is popular long ago; in the holdout the other half comes to it."""
    pairs = met(1)
    rng = np.random.default_rng(2)
    popular = [f"p{number}" for number in range(100, 104)]
    rows = [
        (member, name, 9.0, 9.0 * (member < N_MEMBERS // 2), 9.0 * (member >= N_MEMBERS // 2))
        for member in range(N_MEMBERS)
        for name in rng.permutation(popular)[:3].tolist()
    ]
    others = pairs.filter((pl.col("member_id") >= N_MEMBERS // 2) & (pl.col("train_weight") > 0))
    return pl.concat([others, pl.DataFrame(rows, schema=others.schema, orient="row")])


def test_the_first_model_begins_cold_and_the_next_where_it_ended(nights: Nights):
    nights.night(0, met(1))
    nights.night(1, met(1, members=range(1, N_MEMBERS + 1)))
    assert nights.models() == [
        ("als-2026-07-02", None, 15, True),
        ("als-2026-07-03", "als-2026-07-02", 3, True),
    ]
    assert nights.newest() == ("als-2026-07-03", N_MEMBERS)
    metrics = nights.rows(
        "select model_version, model, value > baseline from recommend.model_metrics"
        " where metric = 'ndcg' and segment = 'all' and model in ('als', 'champion') order by all"
    )
    assert metrics == [
        ("als-2026-07-02", "als", True),
        ("als-2026-07-03", "als", True),
        ("als-2026-07-03", "champion", True),
    ]


def test_the_mix_is_learnt_every_night_and_kept_where_there_is_nothing_to_learn_from(
    nights: Nights,
):
    nights.night(0, met(1))
    learnt = nights.published().mix
    nights.night(1, met(1).with_columns(holdout_weight=pl.lit(0.0)))
    assert nights.newest()[0] == "als-2026-07-03"
    assert nights.published().mix == learnt


def test_every_source_is_tried(nights: Nights):
    nights.night(0, met(1))
    found = nights.rows("select distinct model, segment from recommend.model_metrics order by all")
    known = [(model, "all") for model in ("als", "content", "popular", "served", "similar")]
    assert set(known) < set(found)
    assert ("content", "new_products") in found


def test_a_model_that_is_a_step_back_leaves_the_published_one_in_place(nights: Nights):
    nights.night(0, met(1))
    nights.night(1, mixed_up(met(1)))
    assert nights.models()[1] == ("als-2026-07-03", "als-2026-07-02", 3, False)
    assert nights.newest()[0] == "als-2026-07-02"
    nights.night(2, met(1))
    assert nights.models()[2] == ("als-2026-07-04", "als-2026-07-02", 3, True)
    assert nights.newest()[0] == "als-2026-07-04"


def test_a_model_below_popularity_is_not_published_not_even_the_first(nights: Nights):
    nights.night(0, fashion())
    ((decision,),) = nights.rows("select decision from recommend.als_model")
    assert "below popularity" in decision
    assert nights.newest() == ("none", 0)
    # Nothing of it is served, and the walk only as far as it was measured.
    assert nights.published().mix.als == 0
    assert set(nights.serve()["source"]) <= {"popular", "content", "similar"}


def test_until_it_was_tried_a_model_is_not_published(nights: Nights):
    nights.night(0, met(1))
    nights.data(1, met(1))
    nights.train()
    assert nights.newest()[0] == "als-2026-07-02"
    assert nights.rows("select count(*) from recommend.als_model where decision is null") == [(1,)]


def test_without_anything_new_in_the_holdout_there_is_nothing_to_refuse_by(nights: Nights):
    nights.night(0, met(1).with_columns(holdout_weight=pl.lit(0.0)))
    assert nights.newest()[0] == "als-2026-07-02"
    assert nights.rows("select count(*) from recommend.model_metrics") == [(0,)]
    assert "untried" in nights.rows("select decision from recommend.als_model")[0][0]


def test_what_is_tried_has_seen_nothing_of_the_holdout(nights: Nights):
    nights.night(0, met(1))
    one = nights.files()
    later = pl.col("holdout_weight") > 0
    other = met(1).with_columns(
        weight=pl.when(later).then(7.0).otherwise("weight"),
        holdout_weight=pl.when(later).then(7.0).otherwise("holdout_weight"),
    )
    nights.night(0, other)
    two = nights.files()
    assert one["als_tried_28-2026-07-02.npz"] == two["als_tried_28-2026-07-02.npz"]
    assert one["als-2026-07-02.npz"] != two["als-2026-07-02.npz"]


def test_a_night_made_again_is_the_same_byte_for_byte(nights: Nights):
    nights.night(0, met(1))
    nights.night(1, met(2))
    files, models = nights.files(), nights.rows("from recommend.als_model order by all")
    metrics = nights.rows("from recommend.model_metrics order by all")
    nights.night(1, met(2))
    assert nights.files() == files
    assert nights.rows("from recommend.als_model order by all") == models
    assert nights.rows("from recommend.model_metrics order by all") == metrics


@pytest.mark.parametrize("changed", [{"alpha": 10.0}, {"factors": 6}, {"seed": 1}])
def test_other_settings_begin_cold(nights: Nights, changed: dict[str, float]):
    nights.night(0, met(1))
    nights.declare(**changed)
    nights.night(1, met(1))
    assert nights.models()[1][1:3] == (None, 15)


def test_a_search_and_a_lost_file_begin_cold(nights: Nights):
    nights.night(0, met(1))
    nights.data(1, met(1))
    nights.train(search=True)
    assert nights.models()[1][1:3] == (None, 15)
    shutil.rmtree(nights.home.models)
    nights.night(1, met(1))
    assert nights.models()[1][1:] == (None, 15, True)
    assert not nights.has_champion("als-2026-07-03")


def test_what_a_search_found_is_kept_only_if_it_was_published(nights: Nights):
    def alpha(version: str) -> float:
        return nights.rows(
            f"select alpha from recommend.als_model where model_version = '{version}'"
        )[0][0]

    nights.data(0, met(1))
    nights.train(search=True)
    nights.judge()
    found = alpha("als-2026-07-02")
    nights.declare(alpha=5.0, factors=6)
    nights.night(1, met(1))
    assert alpha("als-2026-07-03") == found
    assert nights.rows("select max(factors) from recommend.als_model") == [(6,)]
    with Database(nights.home.warehouse).connect() as session:
        session.execute("update recommend.als_model set is_published = false where is_searched")
    nights.night(2, met(1))
    assert alpha("als-2026-07-04") == 5.0


def test_the_walk_that_is_tried_is_the_one_that_is_listed(nights: Nights):
    nights.data(0, met(1))
    nights.train()
    nights.declare(walk_beta=1.5, walk_neighbours=3)
    nights.judge()
    metrics = nights.rows("from recommend.model_metrics where model = 'similar' order by all")
    nights.declare()
    nights.judge()
    assert (
        nights.rows("from recommend.model_metrics where model = 'similar' order by all") == metrics
    )
    assert nights.published().walk.beta == 0.3


def test_a_longer_holdout_is_not_given_to_a_model_that_has_seen_some_of_it(nights: Nights):
    nights.night(0, met(1))
    nights.declare(holdout_days=60)
    nights.night(1, met(1))
    assert not nights.has_champion("als-2026-07-03")


def test_no_orders_and_no_events_at_all_end_in_an_empty_model(nights: Nights):
    nights.night(0, met(1).clear())
    assert nights.newest() == ("als-2026-07-02", 0)
