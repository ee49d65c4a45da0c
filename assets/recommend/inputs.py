"""What the recommender's assets read: the warehouse's pairs and the models of earlier nights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from assets.recommend.als import AlsSettings, Factors
from assets.recommend.lists import Rules
from assets.recommend.matrix import InteractionMatrix
from assets.recommend.mix import Mix
from assets.recommend.random_walk import WalkSettings
from assets.recommend.trial import Past
from resources.config.shop import Recommend, Shop
from resources.home import Home
from resources.model_store import model_path
from resources.warehouse import Session

KIND = "als"
PRODUCTS_OF_LISTS = """
select product_id, kind, title, category, stock, is_hidden, is_sensitive,
    cast(repurchase_days as integer) as repurchase_days
from clean.products
join tags.products using (product_id)
where not regexp_matches(product_id, $adjustment_products)
"""


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


def catalogue(session: Session, parameters: Mapping[str, Any]) -> pl.DataFrame:
    """What may be listed."""
    return session.frame(PRODUCTS_OF_LISTS, parameters)


def past(session: Session, declared: Shop, parameters: Mapping[str, Any]) -> Past:
    """The shop as it was known at the start of the holdout window, and what came inside.

    What came is as it is known now, at the window's end.
    """
    return Past(
        members=members(session),
        history=session.frame(
            "select member_id, product_id, weight, n_order_days, first_ordered_at, last_ordered_at,"
            " last_at from features.past_member_products"
        ),
        later=session.frame(
            "select member_id, product_id from features.member_products where holdout_weight > 0"
        ),
        products=catalogue(session, parameters),
        product_tags=session.frame(
            "select product_id, tag, score, is_sensitive from tags.product_tags"
        ),
        prior_weight=declared.interest.prior_weight,
        cut=parameters["holdout_start"],
        repurchase_days=declared.recommend.repurchase_days,
        learns_repurchase=learns_repurchase(declared.recommend),
        horizon_days=held_out_days(parameters),
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


def held_out_days(parameters: Mapping[str, Any]) -> int:
    """How long the holdout window is: a short history has a shorter one than declared."""
    return (parameters["as_of"] - parameters["holdout_start"]).days


def tried_kind(parameters: Mapping[str, Any]) -> str:
    """The kind of the models that were fitted to what lies before the holdout window.

    Its length is part of the name: a model that was tried on a shorter window has seen some of a
    longer one.
    """
    return f"{KIND}_tried_{held_out_days(parameters)}"


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


def rules(declared: Recommend, length: int) -> Rules:
    """How the shop has its lists."""
    return Rules(length, declared.per_category, declared.diversity, declared.new_share)


def kept_rules(declared: Recommend) -> frozenset[str]:
    """Those of the rules that shop.yaml itself or its industry names."""
    return frozenset({"per_category", "diversity", "new_share"} & declared.model_fields_set)


def learns_repurchase(declared: Recommend) -> bool:
    """Whether neither shop.yaml nor its industry says when products are wanted again."""
    return "repurchase_days" not in declared.model_fields_set


@dataclass(frozen=True, eq=False)
class Published:
    """What lists are made of.

    Attributes:
        version: of the trial that chose the mix; "none" before there was one.
        factors: of the newest published ALS model; None before there is one.
        walk: settings of the random walk that was tried.
        mix: how much each source says.
        rules: how the shop has its lists; None before there was a trial.
    """

    version: str
    factors: Factors | None
    walk: WalkSettings
    mix: Mix
    rules: Rules | None


_IS_TRIED = "repeat_places is not null"


def published_walk(session: Session, declared: Recommend) -> WalkSettings:
    """The walk's settings as last tried; those of shop.yaml before that."""
    for row in _newest(session, _IS_TRIED):
        return _walk_of(row)
    return settings(session, declared).walk


def published(session: Session, home: Home, declared: Recommend, length: int) -> Published:
    """The mix that was tried last, and the newest published ALS model, which it was tried with."""
    factors = None
    for row in _newest(session, "is_published"):
        factors = Factors.load(model_path(home.models, row["model_version"]))
    for row in _newest(session, _IS_TRIED):
        found = Rules(length, row["per_category"], row["diversity"], row["new_share"])
        return Published(row["model_version"], factors, _walk_of(row), _mix_of(row), found)
    return Published("none", factors, settings(session, declared).walk, Mix(), None)


def earlier_mix(session: Session, version: str) -> Mix | None:
    """The mix chosen last before the given version; None where none was."""
    for row in _newest(session, f"{_IS_TRIED} and model_version < $version", version=version):
        return _mix_of(row)
    return None


def _mix_of(row: Mapping[str, Any]) -> Mix:
    return Mix(
        als=row["als_weight"],
        similar=row["similar_weight"],
        half=row["half_products"],
        content=row["content_weight"],
        in_place=row["is_repeat_in_place"],
        repeat=row["repeat_places"],
        by_segment=row["is_by_segment"],
        unmet=row["is_unmet"],
        recent_days=row["popular_days"],
    )
