"""Recommend: taste learnt from behaviour, held against popularity, made into lists."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from assets.clean.contracts import MEMBERS
from assets.features.contracts import MEMBER_PRODUCTS
from assets.raw.contracts import PRODUCTS
from assets.recommend import contracts
from assets.sql_asset import described, report
from assets.tags.contracts import MEMBER_TAGS, PRODUCT_TAGS
from resources.config.shop import Recommend
from resources.home import Home
from resources.model_store import model_path, prune
from resources.shop import ShopConfig
from resources.warehouse import Session, Warehouse

if TYPE_CHECKING:
    from assets.recommend.als import AlsSettings, Factors
    from assets.recommend.matrix import InteractionMatrix

LIST_LENGTH = 20
_SIMILAR_PRODUCTS = 20
_KIND = "als"


class AlsConfig(dg.Config):
    """What a run may ask of training."""

    search: bool = False


def _matrix(session: Session, weight: str = "weight") -> "InteractionMatrix":
    from assets.recommend.matrix import InteractionMatrix

    pairs = session.frame(
        f"select member_id, product_id, {weight} as weight from features.member_products"
        f" where {weight} > 0"
    )
    return InteractionMatrix.from_pairs(
        pairs["member_id"].to_numpy(), pairs["product_id"], pairs["weight"].to_numpy()
    )


def _split(session: Session) -> "tuple[InteractionMatrix, pl.DataFrame]":
    """What lies before the holdout window, and whom and what it met inside for the first time."""
    from assets.recommend.evaluation import new_pairs

    before = _matrix(session, "train_weight")
    seen = session.frame(
        "select member_id, product_id from features.member_products where train_weight > 0"
    )
    later = session.frame(
        "select member_id, product_id from features.member_products where holdout_weight > 0"
    )
    known = later.filter(pl.col("product_id").is_in(pl.Series(before.product_ids).implode()))
    return before, new_pairs(seen, known)


def _settings(session: Session, declared: Recommend) -> "tuple[AlsSettings, bool]":
    """The settings last searched for, else those of shop.yaml; and whether they were searched."""
    from assets.recommend.als import AlsSettings

    settings = AlsSettings(
        factors=declared.factors,
        regularization=declared.regularization,
        alpha=declared.alpha,
        iterations=declared.iterations,
        seed=declared.seed,
    )
    if session.exists(contracts.ALS_MODEL):
        searched = session.rows(
            "select factors, regularization, alpha from recommend.als_model where is_searched"
            " order by model_version desc limit 1"
        )
        if searched:
            factors, regularization, alpha = searched[0]
            found = {"factors": factors, "regularization": regularization, "alpha": alpha}
            return replace(settings, **found), True
    return settings, False


def _stored(home: Home, version: str) -> "Factors | None":
    """The factors of a version, or None where its file is missing."""
    from assets.recommend.als import Factors

    path = model_path(home.models, version)
    return Factors.load(path) if path.exists() else None


def _tried_kind(declared: Recommend) -> str:
    """The kind of the models that were fitted to what lies before the holdout window.

    Its length is part of the name: a model that was tried on a shorter window has seen some of a
    longer one.
    """
    return f"{_KIND}_tried_{declared.holdout_days}"


def _champion(session: Session, version: str) -> str | None:
    """The newest published version before the given one."""
    return session.scalar(
        "select max(model_version) from recommend.als_model"
        " where is_published and model_version < $version",
        {"version": version},
    )


def _newest(session: Session, home: Home) -> "tuple[str, Factors]":
    """The newest published model; an empty one called "none" where none was published yet."""
    from assets.recommend.als import AlsSettings, Factors, fit
    from assets.recommend.matrix import InteractionMatrix

    version = session.scalar(
        "select max(model_version) from recommend.als_model where is_published"
    )
    if version is None:
        return "none", fit(InteractionMatrix.from_pairs([], [], []), AlsSettings())
    return version, Factors.load(model_path(home.models, version))


@dg.asset(
    key=contracts.ALS_MODEL.asset_key,
    deps=[MEMBER_PRODUCTS.asset_key],
    kinds={"python", "numpy", "duckdb"},
    **described(contracts.ALS_MODEL),
)
def als_model(
    config: AlsConfig, shop: ShopConfig, home: Home, warehouse: Warehouse
) -> dg.MaterializeResult[Any]:
    """Factors of members and products, one version per run date."""
    from assets import pictures
    from assets.recommend.als import fit, scree
    from assets.recommend.tuning import search

    declared = shop.declared.recommend
    findings: dict[str, Any] = {}

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        session.create_empty(contracts.ALS_MODEL)
        settings, is_searched = _settings(session, declared)
        if config.search:
            before, truth = _split(session)
            if len(truth):
                settings = search(before, truth, settings, LIST_LENGTH)
                is_searched = True
        matrix = _matrix(session)
        version = f"{_KIND}-{parameters['run_date']}"
        champion = _champion(session, version)
        # A search begins at random, so that no chain of continued fits outlives it.
        start = _stored(home, champion) if champion and not config.search else None
        if start is not None and start.may_start(settings):
            settings = replace(settings, iterations=declared.warm_iterations)
        else:
            start = None
        factors = fit(matrix, settings, start)
        factors.save(model_path(home.models, version))
        prune(home.models, _KIND, {champion} if champion else ())
        shares = scree(factors)
        findings["share_of_first_8_directions"] = round(float(shares[:8].sum()), 4)
        findings["scree"] = dg.MetadataValue.md(pictures.scree(pl.Series(shares)))
        row = pl.DataFrame(
            {
                "model_version": [version],
                "trained_as_of": [parameters["as_of"]],
                "factors": [settings.factors],
                "regularization": [settings.regularization],
                "alpha": [settings.alpha],
                "iterations": [settings.iterations],
                "seed": [settings.seed],
                "n_members": [len(matrix.member_ids)],
                "n_products": [len(matrix.product_ids)],
                "n_interactions": [matrix.weights.nnz],
                "is_searched": [is_searched],
                "started_from": [champion if start is not None else None],
                "is_published": [False],
                "decision": [None],
            },
            schema_overrides={"started_from": pl.String, "decision": pl.String},
        )
        session.execute(
            "delete from recommend.als_model where model_version = $version", {"version": version}
        )
        with session.offering(incoming=row):
            session.insert(contracts.ALS_MODEL, "select * from incoming")
        return session.count(contracts.ALS_MODEL)

    return report(warehouse, shop, write, findings)


@dg.asset(
    key=contracts.MODEL_METRICS.asset_key,
    deps=[contracts.ALS_MODEL.asset_key, MEMBER_PRODUCTS.asset_key],
    kinds={"python", "duckdb"},
    **described(contracts.MODEL_METRICS),
)
def model_metrics(shop: ShopConfig, home: Home, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The newest model's fit to what lies before the holdout window, tried on the rest.

    It is tried beside popularity and beside the same fit of the version published before, which
    has seen nothing of the window either. By that the model is published or not.
    """
    from assets.recommend.als import AlsSettings, fit
    from assets.recommend.evaluation import compare
    from assets.recommend.popularity import popular_products
    from assets.recommend.publication import decide
    from assets.recommend.tuning import unseen_lists

    declared = shop.declared.recommend
    findings: dict[str, Any] = {}

    def try_out(session: Session) -> "tuple[str, pl.DataFrame]":
        version, started_from, *values = session.rows(
            "select model_version, started_from, factors, regularization, alpha, iterations, seed"
            " from recommend.als_model order by model_version desc limit 1"
        )[0]
        settings = AlsSettings(*values)
        before, truth = _split(session)
        if not len(truth):
            return version, pl.DataFrame()
        kind, champion = _tried_kind(declared), _champion(session, version)
        rival = _stored(home, champion.replace(_KIND, kind, 1)) if champion else None
        # Continued where the model was, so that what is tried is made as the model is.
        start = rival if started_from == champion else None
        if start is None or not start.may_start(settings):
            start, settings = None, replace(settings, iterations=declared.iterations)
        factors = fit(before, settings, start)
        factors.save(model_path(home.models, version.replace(_KIND, kind, 1)))
        prune(home.models, kind, {champion.replace(_KIND, kind, 1)} if champion else ())

        history = session.frame(
            "select product_id, train_weight as weight from features.member_products"
            " where train_weight > 0"
        )
        members = truth["member_id"].unique().sort().to_numpy()
        models = {"value": factors}
        if rival is not None:
            models["champion"] = rival.of_products(before.product_ids)
        compared = compare(
            {
                name: unseen_lists(model.of_members(members), before, LIST_LENGTH)
                for name, model in models.items()
            },
            unseen_lists(
                popular_products(history, members, before.product_ids), before, LIST_LENGTH
            ),
            truth,
            LIST_LENGTH,
            len(before.product_ids),
        )
        champions = compared.filter(model="champion").select("metric", champion="value")
        return version, compared.filter(model="value").join(
            champions, on="metric", how="left", maintain_order="left"
        )

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        session.create_empty(contracts.MODEL_METRICS)
        version, metrics = try_out(session)
        session.execute(
            "delete from recommend.model_metrics where model_version = $version",
            {"version": version},
        )
        ndcg = popularity = champion = None
        if len(metrics):
            for name, *found in metrics.select(
                "metric", "value", "baseline", "champion"
            ).iter_rows():
                findings[f"{name}_at_{LIST_LENGTH}"] = found[0]
                findings[f"{name}_at_{LIST_LENGTH}_of_popularity"] = found[1]
                if name == "ndcg":
                    ndcg, popularity, champion = found
            rows = metrics.with_columns(model_version=pl.lit(version), split=pl.lit("temporal"))
            with session.offering(incoming=rows):
                session.insert(contracts.MODEL_METRICS, "select * from incoming")
        decision = decide(ndcg, popularity, champion, declared.publish_margin)
        session.execute(
            "update recommend.als_model set is_published = $is_published, decision = $reason"
            " where model_version = $version",
            {
                "version": version,
                "is_published": decision.is_published,
                "reason": decision.reason,
            },
        )
        findings["is_published"] = decision.is_published
        findings["decision"] = decision.reason
        return session.count(contracts.MODEL_METRICS)

    return report(warehouse, shop, write, findings)


@dg.asset(
    key=contracts.SIMILAR_PRODUCTS.asset_key,
    deps=[MEMBER_PRODUCTS.asset_key],
    kinds={"python", "duckdb"},
    **described(contracts.SIMILAR_PRODUCTS),
)
def similar_products(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """Where a walk from each product over its members leads: RP3beta."""
    from assets.recommend import random_walk

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        return session.write_frame(
            contracts.SIMILAR_PRODUCTS,
            random_walk.similar_products(
                _matrix(session),
                random_walk.WalkSettings(),
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
    ],
    kinds={"python", "duckdb"},
    **described(contracts.MEMBER_PRODUCTS),
)
def member_products(
    shop: ShopConfig, home: Home, warehouse: Warehouse
) -> dg.MaterializeResult[Any]:
    """The lists: two models of taste, what is popular where they know little, the shop's rules."""
    from assets.recommend.lists import ListSettings, Shop, recommend_lists
    from assets.recommend.random_walk import Walk, WalkSettings

    findings: dict[str, float] = {}
    declared = shop.declared.recommend
    settings = ListSettings(
        length=LIST_LENGTH,
        als=declared.als_weight,
        similar=declared.similar_weight,
        half=declared.known_after_events,
        per_category=declared.per_category,
        diversity=declared.diversity,
        new_share=declared.new_share,
    )

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        version, factors = _newest(session, home)
        inputs = Shop(
            members=session.frame(
                "select member_id, channel, country from clean.members where is_identified"
            ),
            history=session.frame(
                "select member_id, product_id, weight, n_views, n_carts, n_orders, n_shares,"
                " last_ordered_at from features.member_products"
            ),
            products=session.frame(
                "select product_id, kind, title, category, stock, is_hidden,"
                " coalesce(repurchase_days, $repurchase_days)::integer as repurchase_days"
                " from raw.products"
                " where not regexp_matches(product_id, $adjustment_products)",
                {**parameters, "repurchase_days": declared.repurchase_days},
            ),
            product_tags=session.frame("select product_id, tag, score from tags.product_tags"),
            member_tags=session.frame(
                "select member_id, tag, score from tags.member_tags where not is_sensitive"
            ),
        )
        walk = Walk.fit(_matrix(session), WalkSettings())
        lists = recommend_lists(inputs, factors, walk, parameters["as_of"], settings).with_columns(
            pl.lit(version).alias("model_version")
        )
        for source, n_rows in lists.group_by("source").len().sort("source").iter_rows():
            findings[f"rows_from_{source}"] = n_rows
        return session.write_frame(contracts.MEMBER_PRODUCTS, lists)

    return report(warehouse, shop, write, findings)
