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


def _newest(session: Session, home: Home) -> "tuple[str, Factors]":
    from assets.recommend.als import Factors

    version = session.scalar("select max(model_version) from recommend.als_model")
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
        factors = fit(matrix, settings)
        version = f"{_KIND}-{parameters['run_date']}"
        factors.save(model_path(home.models, version))
        prune(home.models, _KIND)
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
            }
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
def model_metrics(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The newest settings, trained on what lies before the holdout window, tried on the rest."""
    from assets.recommend.als import AlsSettings, fit
    from assets.recommend.evaluation import compare
    from assets.recommend.ranking import popular_products
    from assets.recommend.tuning import unseen_lists

    findings: dict[str, float] = {}

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        session.create_empty(contracts.MODEL_METRICS)
        version, *values = session.rows(
            "select model_version, factors, regularization, alpha, iterations, seed"
            " from recommend.als_model order by model_version desc limit 1"
        )[0]
        before, truth = _split(session)
        if not len(truth):
            return session.count(contracts.MODEL_METRICS)
        history = session.frame(
            "select product_id, train_weight as weight from features.member_products"
            " where train_weight > 0"
        )
        members = truth["member_id"].unique().sort().to_numpy()
        popular = popular_products(history, members, before.product_ids)
        factors = fit(before, AlsSettings(*values)).of_members(members)
        metrics = compare(
            {_KIND: unseen_lists(factors, before, LIST_LENGTH)},
            unseen_lists(popular, before, LIST_LENGTH),
            truth,
            LIST_LENGTH,
            len(before.product_ids),
        ).with_columns(pl.lit(version).alias("model_version"), pl.lit("temporal").alias("split"))
        for metric, value, baseline in metrics.select("metric", "value", "baseline").iter_rows():
            findings[f"{metric}_at_{LIST_LENGTH}"] = value
            findings[f"{metric}_at_{LIST_LENGTH}_of_popularity"] = baseline
        session.execute(
            "delete from recommend.model_metrics where model_version = $version",
            {"version": version},
        )
        with session.offering(incoming=metrics):
            session.insert(contracts.MODEL_METRICS, "select * from incoming")
        return session.count(contracts.MODEL_METRICS)

    return report(warehouse, shop, write, findings)


@dg.asset(
    key=contracts.SIMILAR_PRODUCTS.asset_key,
    deps=[MEMBER_PRODUCTS.asset_key],
    kinds={"python", "duckdb"},
    **described(contracts.SIMILAR_PRODUCTS),
)
def similar_products(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The cosine of two products over the members they have in common."""
    from assets.recommend import similarity

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        return session.write_frame(
            contracts.SIMILAR_PRODUCTS,
            similarity.similar_products(
                _matrix(session), _SIMILAR_PRODUCTS, shop.declared.recommend.min_support
            ),
        )

    return report(warehouse, shop, write)


@dg.asset(
    key=contracts.MEMBER_PRODUCTS.asset_key,
    deps=[
        contracts.ALS_MODEL.asset_key,
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
    """The lists: from the model where it knows her, else from her tags, else what is popular."""
    from assets.recommend.ranking import recommend_lists

    findings: dict[str, float] = {}

    def write(session: Session, parameters: Mapping[str, Any]) -> int:
        version, factors = _newest(session, home)
        lists = recommend_lists(
            session.arrays("select member_id from clean.members where is_identified")["member_id"],
            factors,
            session.frame(
                "select member_id, product_id, weight, n_views, n_carts, n_orders, n_shares,"
                " last_ordered_at from features.member_products"
            ),
            session.frame(
                "select product_id, kind, title, stock, is_hidden,"
                " coalesce(repurchase_days, $repurchase_days)::integer as repurchase_days"
                " from raw.products"
                " where not regexp_matches(product_id, $adjustment_products)",
                {**parameters, "repurchase_days": shop.declared.recommend.repurchase_days},
            ),
            session.frame("select product_id, tag, score from tags.product_tags"),
            session.frame("select member_id, tag, score from tags.member_tags"),
            parameters["as_of"],
            LIST_LENGTH,
        ).with_columns(pl.lit(version).alias("model_version"))
        for source, n_rows in lists.group_by("source").len().sort("source").iter_rows():
            findings[f"rows_from_{source}"] = n_rows
        return session.write_frame(contracts.MEMBER_PRODUCTS, lists)

    return report(warehouse, shop, write, findings)
