"""Recommend: taste learnt from behaviour, held against popularity, made into lists."""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from assets.clean.contracts import MEMBERS, PRODUCTS
from assets.features.contracts import MEMBER_PRODUCTS, PAST_MEMBER_PRODUCTS
from assets.recommend import contracts
from assets.sql_asset import described, report
from assets.tags.contracts import MEMBER_TAGS, PRODUCT_TAGS
from assets.tags.contracts import PRODUCTS as TAGGED_PRODUCTS
from resources.home import Home
from resources.model_store import model_path, prune
from resources.shop import ShopConfig
from resources.warehouse import Session, Warehouse

if TYPE_CHECKING:
    from assets.recommend.inputs import Settings
    from assets.recommend.trial import Past

LIST_LENGTH = 20
_SIMILAR_PRODUCTS = 20
_TOLD_BY_THE_TRIAL = (
    "decision",
    "als_weight",
    "similar_weight",
    "half_products",
    "content_weight",
    "is_repeat_in_place",
    "repeat_places",
    "is_by_segment",
    "is_unmet",
    "popular_days",
    "per_category",
    "diversity",
    "new_share",
    "is_fallback",
)


class AlsConfig(dg.Config):
    """What a run may ask of training: a search for settings, and for how long."""

    search: bool = False
    search_seconds: float = 600.0


def _searched(around: "Settings", past: "Past", seconds: float) -> "Settings":
    """The best settings for those members whose truth the metrics leave out."""
    from assets.recommend import inputs
    from assets.recommend.trial import halves
    from assets.recommend.tuning import tune

    learnt, _ = halves(past.truth())
    if learnt.is_empty():
        return around
    found = tune(
        past.matrix(), learnt, around.als, around.walk, LIST_LENGTH, seconds, time.monotonic
    )
    return inputs.Settings(found.als, found.walk, is_searched=True)


@dg.asset(
    key=contracts.ALS_MODEL.asset_key,
    deps=[
        MEMBER_PRODUCTS.asset_key,
        PAST_MEMBER_PRODUCTS.asset_key,
        MEMBERS.asset_key,
        PRODUCTS.asset_key,
        PRODUCT_TAGS.asset_key,
        TAGGED_PRODUCTS.asset_key,
    ],
    kinds={"python", "numpy", "duckdb"},
    **described(contracts.ALS_MODEL),
)
def als_model(
    config: AlsConfig, shop: ShopConfig, home: Home, warehouse: Warehouse
) -> dg.MaterializeResult[Any]:
    """Factors of members and products, one version per run date."""
    from assets import pictures
    from assets.recommend import inputs
    from assets.recommend.als import fit, scree

    declared = shop.declared.recommend
    findings: dict[str, Any] = {}

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        session.create_empty(contracts.ALS_MODEL)
        settings = inputs.settings(session, declared)
        if config.search:
            past = inputs.past(session, shop.declared, parameters)
            settings = _searched(settings, past, config.search_seconds)
        matrix = inputs.interactions(session)
        version = f"{inputs.KIND}-{parameters['run_date']}"
        champion = inputs.champion(session, version)
        # A search begins at random, so that no chain of continued fits outlives it.
        start = inputs.stored(home, champion) if champion and not config.search else None
        als = settings.als
        if start is not None and start.may_start(als):
            als = replace(als, iterations=declared.warm_iterations)
        else:
            start = None
        factors = fit(matrix, als, start)
        factors.save(model_path(home.models, version))
        prune(home.models, inputs.KIND, {champion} if champion else ())
        shares = scree(factors)
        findings["share_of_first_8_directions"] = round(float(shares[:8].sum()), 4)
        findings["scree"] = dg.MetadataValue.md(pictures.scree(pl.Series(shares)))
        row = {
            "model_version": version,
            "trained_as_of": parameters["as_of"],
            **asdict(als),
            "n_members": len(matrix.member_ids),
            "n_products": len(matrix.product_ids),
            "n_interactions": matrix.weights.nnz,
            "walk_alpha": settings.walk.alpha,
            "walk_beta": settings.walk.beta,
            "walk_neighbours": settings.walk.neighbours,
            "is_searched": settings.is_searched,
            "started_from": champion if start is not None else None,
            "is_published": False,
            **dict.fromkeys(_TOLD_BY_THE_TRIAL),
        }
        session.execute(
            "delete from recommend.als_model where model_version = $version", {"version": version}
        )
        with session.offering(incoming=pl.DataFrame([row])):
            session.insert(contracts.ALS_MODEL, "select * from incoming")
        return session.count(contracts.ALS_MODEL)

    return report(warehouse, shop, write, findings)


@dg.asset(
    key=contracts.MODEL_METRICS.asset_key,
    deps=[
        contracts.ALS_MODEL.asset_key,
        MEMBER_PRODUCTS.asset_key,
        PAST_MEMBER_PRODUCTS.asset_key,
        MEMBERS.asset_key,
        PRODUCTS.asset_key,
        PRODUCT_TAGS.asset_key,
        TAGGED_PRODUCTS.asset_key,
    ],
    kinds={"python", "duckdb"},
    **described(contracts.MODEL_METRICS),
)
def model_metrics(shop: ShopConfig, home: Home, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """Every source, and the lists as they are served, made for the past and held against what came.

    The newest ALS model is tried beside popularity and beside the same fit of the version
    published before, which has seen nothing of the window either. By that the model is published
    or not. Then the mix of the sources is chosen, of the model that may be served, and the lists
    that it makes are measured; if they are worse than popularity, popularity is served.
    """
    from assets import pictures
    from assets.recommend import inputs
    from assets.recommend.als import fit
    from assets.recommend.lists import Models
    from assets.recommend.publication import decide
    from assets.recommend.random_walk import Walk
    from assets.recommend.serving import try_served
    from assets.recommend.trial import try_sources

    declared = shop.declared.recommend
    findings: dict[str, Any] = {}

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        session.create_empty(contracts.MODEL_METRICS)
        version = session.scalar("select max(model_version) from recommend.als_model")
        made_with, started_from = inputs.settings_of(session, version)
        settings = made_with.als
        past = inputs.past(session, shop.declared, parameters)
        kind, champion = inputs.tried_kind(parameters), inputs.champion(session, version)
        rival = inputs.stored(home, champion.replace(inputs.KIND, kind, 1)) if champion else None
        # Continued where the model was, so that what is tried is made as the model is.
        start = rival if started_from == champion else None
        if start is None or not start.may_start(settings):
            start, settings = None, replace(settings, iterations=declared.iterations)
        matrix = past.matrix()
        factors = fit(matrix, settings, start)
        factors.save(model_path(home.models, version.replace(inputs.KIND, kind, 1)))
        prune(home.models, kind, {champion.replace(inputs.KIND, kind, 1)} if champion else ())
        walk = Walk.fit(matrix, made_with.walk)
        of_sources = try_sources(past, factors, walk, rival, LIST_LENGTH)
        decision = decide(*_ndcgs(of_sources), declared.publish_margin)
        served = try_served(
            past,
            Models(factors if decision.is_published else rival, walk),
            inputs.rules(declared, LIST_LENGTH),
            inputs.kept_rules(declared),
            inputs.earlier_mix(session, version),
        )
        metrics = pl.concat([of_sources, served.metrics])
        of_version = {"version": version}
        session.execute(
            "delete from recommend.model_metrics where model_version = $version", of_version
        )
        rows = metrics.with_columns(model_version=pl.lit(version), split=pl.lit("temporal"))
        with session.offering(incoming=rows):
            session.insert(contracts.MODEL_METRICS, "select * from incoming")
        mix = served.mix
        told = {
            "decision": f"{decision.reason}; lists: {served.reason}",
            "als_weight": mix.als,
            "similar_weight": mix.similar,
            "half_products": mix.half,
            "content_weight": mix.content,
            "is_repeat_in_place": mix.in_place,
            "repeat_places": mix.repeat,
            "is_by_segment": mix.by_segment,
            "is_unmet": mix.unmet,
            "popular_days": mix.recent_days,
            "per_category": served.rules.per_category,
            "diversity": served.rules.diversity,
            "new_share": served.rules.new_share,
            "is_fallback": served.fell_back,
        }
        is_published = decision.is_published and not served.fell_back
        session.execute(
            "update recommend.als_model set is_published = $is_published, "
            + ", ".join(f"{name} = ${name}" for name in told)
            + " where model_version = $version",
            {**of_version, **told, "is_published": is_published},
        )
        findings.update(_numbers(metrics))
        if len(metrics):
            findings["models"] = dg.MetadataValue.md(pictures.models_compared(metrics))
        findings.update(told)
        findings["is_published"] = is_published
        return session.count(contracts.MODEL_METRICS)

    return report(warehouse, shop, write, findings)


def _ndcgs(metrics: pl.DataFrame) -> "tuple[float | None, float | None, float | None]":
    """Of the new ALS model, of popularity and of the champion; None where it was not tried."""
    of_all = metrics.filter(segment="all", metric="ndcg")
    found = {
        model: (value, base)
        for model, value, base in of_all.select("model", "value", "baseline").iter_rows()
    }
    value, baseline = found.get("als", (None, None))
    return value, baseline, found.get("champion", (None, None))[0]


def _numbers(metrics: pl.DataFrame) -> dict[str, float]:
    """What the UI plots over time: every metric of every model, and ndcg by segment."""
    found: dict[str, float] = {}
    columns = ("model", "segment", "metric", "value", "baseline")
    for model, segment, metric, value, baseline in metrics.select(columns).iter_rows():
        name = f"{metric}_at_{LIST_LENGTH}"
        if segment == "all":
            found[f"{name}_of_{model}"] = value
            found[f"{name}_of_popularity"] = baseline
        elif metric in ("recall", "ndcg"):
            found[f"{name}_of_{model}_for_{segment}"] = value
            found[f"{name}_of_popularity_for_{segment}"] = baseline
    return found


@dg.asset(
    key=contracts.SIMILAR_PRODUCTS.asset_key,
    deps=[
        contracts.ALS_MODEL.asset_key,
        contracts.MODEL_METRICS.asset_key,
        MEMBER_PRODUCTS.asset_key,
    ],
    kinds={"python", "duckdb"},
    **described(contracts.SIMILAR_PRODUCTS),
)
def similar_products(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """Where a walk from each product over its members leads: RP3beta."""
    from assets.recommend import inputs, random_walk

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        return session.write_frame(
            contracts.SIMILAR_PRODUCTS,
            random_walk.similar_products(
                inputs.interactions(session),
                inputs.published_walk(session, shop.declared.recommend),
                _SIMILAR_PRODUCTS,
                shop.declared.recommend.min_support,
            ),
        )

    return report(warehouse, shop, write)


@dg.asset(
    key=contracts.MEMBER_PRODUCTS.asset_key,
    deps=[
        contracts.ALS_MODEL.asset_key,
        contracts.MODEL_METRICS.asset_key,
        MEMBER_PRODUCTS.asset_key,
        MEMBERS.asset_key,
        PRODUCTS.asset_key,
        MEMBER_TAGS.asset_key,
        PRODUCT_TAGS.asset_key,
        TAGGED_PRODUCTS.asset_key,
    ],
    kinds={"python", "duckdb"},
    **described(contracts.MEMBER_PRODUCTS),
)
def member_products(
    shop: ShopConfig, home: Home, warehouse: Warehouse
) -> dg.MaterializeResult[Any]:
    """The lists of today, by the mix and the rules that were tried, from all that is known."""
    from assets.recommend import inputs
    from assets.recommend.lists import Models, Shop, recommend_lists
    from assets.recommend.random_walk import Walk

    findings: dict[str, float] = {}
    declared = shop.declared.recommend

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        model = inputs.published(session, home, declared, LIST_LENGTH)
        read = Shop(
            members=inputs.members(session),
            history=session.frame(
                "select member_id, product_id, weight, n_views, n_carts, n_orders, n_shares,"
                " n_order_days, first_ordered_at, last_ordered_at, last_at"
                " from features.member_products"
            ),
            products=inputs.catalogue(session, parameters),
            product_tags=inputs.product_tags(session),
            member_tags=session.frame(
                "select member_id, tag, score from tags.member_tags where not is_sensitive"
            ),
            as_of=parameters["as_of"],
            repurchase_days=declared.repurchase_days,
            learns_repurchase=inputs.learns_repurchase(declared),
            horizon_days=inputs.held_out_days(parameters),
        )
        models = Models(model.factors, Walk.fit(inputs.interactions(session), model.walk))
        rules = model.rules or inputs.rules(declared, LIST_LENGTH)
        lists = recommend_lists(read, models, model.mix, rules).with_columns(
            model_version=pl.lit(model.version)
        )
        for source, n_rows in lists.group_by("source").len().sort("source").iter_rows():
            findings[f"rows_from_{source}"] = n_rows
        return session.write_frame(contracts.MEMBER_PRODUCTS, lists)

    return report(warehouse, shop, write, findings)
