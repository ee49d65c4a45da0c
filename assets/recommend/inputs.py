"""What the recommender's assets read: the warehouse's pairs and the models of earlier nights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

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


def past(session: Session, prior_weight: float) -> Past:
    """The shop as it was known at the start of the holdout window, and what came inside.

    What came is as it is known now, at the window's end.
    """
    return Past(
        members=members(session),
        history=session.frame(
            "select member_id, product_id, weight from features.past_member_products"
            " where weight > 0"
        ),
        later=session.frame(
            "select member_id, product_id from features.member_products where holdout_weight > 0"
        ),
        product_tags=session.frame(
            "select product_id, tag, score, is_sensitive from tags.product_tags"
        ),
        prior_weight=prior_weight,
    )


@dataclass(frozen=True)
class Settings:
    """Of both models of taste; and whether a search found them, not shop.yaml."""

    als: AlsSettings
    walk: WalkSettings
    is_searched: bool


def settings(session: Session, declared: Recommend) -> Settings:
    """Those of shop.yaml; but what a search finds, as of the newest searched model published.

    How long vectors are, how often they are alternated and the seed are never searched for.
    """
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
    for row in _newest(session, "is_searched and is_published"):
        names = ("regularization", "alpha", "weight_power", "popularity_discount")
        als = replace(als, **{name: row[name] for name in names})
        return Settings(als, _walk_of(row), is_searched=True)
    return Settings(als, walk, is_searched=False)


def settings_of(session: Session, version: str) -> tuple[Settings, str | None]:
    """Those a version was made with, and the version that it continued, if any."""
    (row,) = _newest(session, "model_version = $version", version=version)
    names = AlsSettings.__dataclass_fields__
    als = AlsSettings(**{name: row[name] for name in names})
    return Settings(als, _walk_of(row), row["is_searched"]), row["started_from"]


def _newest(session: Session, condition: str, **parameters: str) -> list[dict[str, Any]]:
    """The newest model with a condition, as a row; none if there is none."""
    return session.frame(
        f"select * from recommend.als_model where {condition} order by model_version desc limit 1",
        parameters,
    ).to_dicts()


def _walk_of(row: Mapping[str, Any]) -> WalkSettings:
    """The walk's settings of a row of als_model."""
    return WalkSettings(
        alpha=row["walk_alpha"], beta=row["walk_beta"], neighbours=row["walk_neighbours"]
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


def published_walk(session: Session) -> WalkSettings:
    """The walk's settings of the newest published model; the defaults before there is one."""
    for row in _newest(session, "is_published"):
        return _walk_of(row)
    return WalkSettings()


def published(session: Session, home: Home) -> Published:
    """The newest published model."""
    for row in _newest(session, "is_published"):
        return Published(
            row["model_version"],
            Factors.load(model_path(home.models, row["model_version"])),
            _walk_of(row),
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
