"""What the recommender's assets read: the warehouse's pairs and the models of earlier nights."""

from dataclasses import dataclass, replace

import polars as pl

from assets.recommend import contracts
from assets.recommend.als import AlsSettings, Factors, fit
from assets.recommend.matrix import InteractionMatrix
from assets.recommend.random_walk import WalkSettings
from assets.recommend.sources import Says
from assets.recommend.trial import Past
from resources.config.shop import Recommend
from resources.home import Home
from resources.model_store import model_path
from resources.warehouse import Session

KIND = "als"


def interactions(session: Session) -> InteractionMatrix:
    """Who met what until now."""
    pairs = session.frame(
        "select member_id, product_id, weight from features.member_products where weight > 0"
    )
    return InteractionMatrix.from_pairs(
        pairs["member_id"].to_numpy(), pairs["product_id"], pairs["weight"].to_numpy()
    )


def members(session: Session) -> pl.DataFrame:
    """Whom lists are made for."""
    return session.frame(
        "select member_id, channel, country from clean.members where is_identified"
    )


def product_tags(session: Session) -> pl.DataFrame:
    """What products are about."""
    return session.frame("select product_id, tag, score from tags.product_tags")


def past(session: Session) -> Past:
    """The shop at the start of the holdout window, and what came inside."""
    return Past(
        members=members(session),
        history=session.frame(
            "select member_id, product_id, train_weight as weight from features.member_products"
            " where train_weight > 0"
        ),
        later=session.frame(
            "select member_id, product_id from features.member_products where holdout_weight > 0"
        ),
        product_tags=product_tags(session),
    )


@dataclass(frozen=True)
class Settings:
    """Of both models of taste; and whether a search found them, not shop.yaml."""

    als: AlsSettings
    walk: WalkSettings
    is_searched: bool


def settings(session: Session, declared: Recommend) -> Settings:
    """The settings last searched for, else those of shop.yaml."""
    als = AlsSettings(
        factors=declared.factors,
        regularization=declared.regularization,
        alpha=declared.alpha,
        weight_power=declared.weight_power,
        popularity_discount=declared.popularity_discount,
        iterations=declared.iterations,
        seed=declared.seed,
    )
    walk = WalkSettings(
        alpha=declared.walk_alpha, beta=declared.walk_beta, neighbours=declared.walk_neighbours
    )
    if session.exists(contracts.ALS_MODEL):
        searched = session.frame(
            "select * from recommend.als_model where is_searched"
            " order by model_version desc limit 1"
        )
        for row in searched.to_dicts():
            names = ("factors", "regularization", "alpha", "weight_power", "popularity_discount")
            als = replace(als, **{name: row[name] for name in names})
            walk = _walk(row)
            return Settings(als, walk, is_searched=True)
    return Settings(als, walk, is_searched=False)


def _walk(row: dict[str, float]) -> WalkSettings:
    return WalkSettings(
        alpha=row["walk_alpha"], beta=row["walk_beta"], neighbours=int(row["walk_neighbours"])
    )


def tried_kind(declared: Recommend) -> str:
    """The kind of the models that were fitted to what lies before the holdout window.

    Its length is part of the name: a model that was tried on a shorter window has seen some of a
    longer one.
    """
    return f"{KIND}_tried_{declared.holdout_days}"


def champion(session: Session, version: str) -> str | None:
    """The newest published version before the given one."""
    return session.scalar(
        "select max(model_version) from recommend.als_model"
        " where is_published and model_version < $version",
        {"version": version},
    )


def stored(home: Home, version: str) -> Factors | None:
    """The factors of a version, or None where its file is missing."""
    path = model_path(home.models, version)
    return Factors.load(path) if path.exists() else None


@dataclass(frozen=True, eq=False)
class Published:
    """What lists are made of; ``version`` is "none" and the rest empty before there is a model."""

    version: str
    factors: Factors
    walk: WalkSettings
    says: Says


def published(session: Session, home: Home) -> Published:
    """The newest published model."""
    newest = session.frame(
        "select * from recommend.als_model where is_published order by model_version desc limit 1"
    )
    for row in newest.to_dicts():
        return Published(
            row["model_version"],
            Factors.load(model_path(home.models, row["model_version"])),
            _walk(row),
            Says(row["als_weight"], row["similar_weight"], row["half_products"]),
        )
    nothing = fit(InteractionMatrix.from_pairs([], [], []), AlsSettings())
    return Published("none", nothing, WalkSettings(), Says())


def earlier_mix(session: Session, version: str) -> Says:
    """The mix last learnt before the given version; even where none was."""
    rows = session.rows(
        "select als_weight, similar_weight, half_products from recommend.als_model"
        " where als_weight is not null and model_version < $version"
        " order by model_version desc limit 1",
        {"version": version},
    )
    return Says(*rows[0]) if rows else Says()
