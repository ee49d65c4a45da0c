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

LIST_LENGTH = 20
# What a product does not say of buying it again, the shop says: NULL is never.
PRODUCTS_OF_LISTS = """
select product_id, kind, title, category, stock, is_hidden, is_sensitive,
    coalesce(repurchase_days, cast($repurchase_days as integer)) as repurchase_days
from clean.products
join tags.products using (product_id)
where not regexp_matches(product_id, $adjustment_products)
"""
_SIMILAR_PRODUCTS = 20


class AlsConfig(dg.Config):
    """What a run may ask of training: a search for settings, and for how long."""

    search: bool = False
    search_seconds: float = 600.0


def _searched(
    session: Session, around: "Settings", prior_weight: float, seconds: float
) -> "Settings":
    """The best settings for those members whose truth the metrics leave out."""
    from assets.recommend import inputs
    from assets.recommend.trial import halves
    from assets.recommend.tuning import tune

    past = inputs.past(session, prior_weight)
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
        PRODUCT_TAGS.asset_key,
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
            prior_weight = shop.declared.interest.prior_weight
            settings = _searched(session, settings, prior_weight, config.search_seconds)
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
            **dict.fromkeys(("decision", "als_weight", "similar_weight", "half_products")),
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
        PRODUCT_TAGS.asset_key,
    ],
    kinds={"python", "duckdb"},
    **described(contracts.MODEL_METRICS),
)
def model_metrics(shop: ShopConfig, home: Home, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """Every source of lists, fitted to what lies before the holdout window, tried on the rest.

    The newest ALS model is tried beside popularity and beside the same fit of the version
    published before, which has seen nothing of the window either. By that the model is published
    or not; and how much each source has to say in the lists is learnt here too.
    """
    from assets import pictures
    from assets.recommend import inputs
    from assets.recommend.als import fit
    from assets.recommend.publication import decide
    from assets.recommend.random_walk import Walk
    from assets.recommend.trial import Trial, try_out

    declared = shop.declared.recommend
    findings: dict[str, Any] = {}

    def tried(session: Session, version: str) -> Trial:
        made_with, started_from = inputs.settings_of(session, version)
        settings = made_with.als
        past = inputs.past(session, shop.declared.interest.prior_weight)
        kind, champion = inputs.tried_kind(declared), inputs.champion(session, version)
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
        return try_out(past, factors, walk, rival, LIST_LENGTH)

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        session.create_empty(contracts.MODEL_METRICS)
        version = session.scalar("select max(model_version) from recommend.als_model")
        trial = tried(session, version)
        of_version = {"version": version}
        session.execute(
            "delete from recommend.model_metrics where model_version = $version", of_version
        )
        rows = trial.metrics.with_columns(model_version=pl.lit(version), split=pl.lit("temporal"))
        with session.offering(incoming=rows):
            session.insert(contracts.MODEL_METRICS, "select * from incoming")
        says = trial.says or inputs.earlier_mix(session, version)
        decision = decide(*_ndcgs(trial.metrics), declared.publish_margin)
        session.execute(
            "update recommend.als_model set is_published = $is_published, decision = $reason,"
            " als_weight = $als, similar_weight = $similar, half_products = $half"
            " where model_version = $version",
            {
                **of_version,
                "is_published": decision.is_published,
                "reason": decision.reason,
                **asdict(says),
            },
        )
        findings.update(_numbers(trial.metrics))
        if len(trial.metrics):
            findings["models"] = dg.MetadataValue.md(pictures.models_compared(trial.metrics))
        findings.update({f"say_of_{name}": value for name, value in asdict(says).items()})
        findings["is_published"] = decision.is_published
        findings["decision"] = decision.reason
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
                inputs.published_walk(session),
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
    """The lists: two models of taste, what is popular where they know little, the shop's rules."""
    from assets.recommend import inputs
    from assets.recommend.lists import ListSettings, Shop, recommend_lists
    from assets.recommend.random_walk import Walk

    findings: dict[str, float] = {}
    declared = shop.declared.recommend

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        model = inputs.published(session, home)
        read = Shop(
            members=inputs.members(session),
            history=session.frame(
                "select member_id, product_id, weight, n_views, n_carts, n_orders, n_shares,"
                " last_ordered_at from features.member_products"
            ),
            products=session.frame(
                PRODUCTS_OF_LISTS, {**parameters, "repurchase_days": declared.repurchase_days}
            ),
            product_tags=inputs.product_tags(session),
            member_tags=session.frame(
                "select member_id, tag, score from tags.member_tags where not is_sensitive"
            ),
        )
        settings = ListSettings(
            length=LIST_LENGTH,
            says=model.says,
            per_category=declared.per_category,
            diversity=declared.diversity,
            new_share=declared.new_share,
        )
        walk = Walk.fit(inputs.interactions(session), model.walk)
        lists = recommend_lists(
            read, model.factors, walk, parameters["as_of"], settings
        ).with_columns(model_version=pl.lit(model.version))
        for source, n_rows in lists.group_by("source").len().sort("source").iter_rows():
            findings[f"rows_from_{source}"] = n_rows
        return session.write_frame(contracts.MEMBER_PRODUCTS, lists)

    return report(warehouse, shop, write, findings)
