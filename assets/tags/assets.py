"""What products are about, and what members care for."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from assets.sql_asset import described, report, sql_asset, upstream_of
from assets.tags import contracts
from resources.shop import ShopConfig
from resources.warehouse import Session, Warehouse, read_sql

_PRODUCTS = "select product_id, title, description, tags from clean.products"
_TEXTS = "select product_id, category, brand, title, description from clean.products"
_TAGS = "select product_id, tag, is_sensitive from tags.product_tags"
_COUNTS = read_sql("tags/browse_to_buy.sql")
_SNAPSHOTS = read_sql("tags/purchase_propensity.sql")
# Six weeks to learn from, and one each to calibrate and to test.
_PAST_WEEKS = 8
_LEARNT_MEMBERS = 50_000


@dg.asset(
    key=contracts.PRODUCT_TAGS.asset_key,
    deps=upstream_of(_PRODUCTS, contracts.PRODUCT_TAGS),
    kinds={"python", "duckdb"},
    **described(contracts.PRODUCT_TAGS),
)
def product_tags(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The catalogue's own tags, and for products without any what their text tells."""
    from assets.tags.catalogue import tagged

    findings: dict[str, float | str] = {}

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        declared = shop.declared
        catalogue = tagged(
            session.frame(_PRODUCTS), declared.recommend.seed, declared.interest.sensitive_tags
        )
        findings.update(catalogue.metrics)
        if catalogue.reason:
            findings["nothing_predicted_because"] = catalogue.reason
        return session.write_frame(contracts.PRODUCT_TAGS, catalogue.tags)

    return report(warehouse, shop, write, findings)


@dg.asset(
    key=contracts.PRODUCTS.asset_key,
    deps=[*upstream_of(_TEXTS, contracts.PRODUCTS), *upstream_of(_TAGS, contracts.PRODUCTS)],
    kinds={"python", "duckdb"},
    **described(contracts.PRODUCTS),
)
def products(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """Every product's texts and tags, held against the shop's sensitive terms."""
    from assets.tags.sensitive import sensitive_products

    findings: dict[str, float] = {}

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        found = sensitive_products(
            session.frame(_TEXTS), session.frame(_TAGS), shop.declared.interest.sensitive_tags
        )
        findings["n_sensitive"] = float(found["is_sensitive"].sum())
        return session.write_frame(contracts.PRODUCTS, found)

    return report(warehouse, shop, write, findings)


@dg.asset(
    key=contracts.TAG_METRICS.asset_key,
    deps=upstream_of(_PRODUCTS, contracts.TAG_METRICS),
    kinds={"python", "duckdb"},
    **described(contracts.TAG_METRICS),
)
def tag_metrics(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The model that tags the untagged and its baseline, on texts that neither has seen."""
    from assets.tags.catalogue import judged

    findings: dict[str, float] = {}

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        metrics = judged(session.frame(_PRODUCTS), shop.declared.recommend.seed)
        overall = metrics.filter(pl.col("scope") == "overall")
        for row in overall.select("model", "precision", "recall", "coverage").to_dicts():
            model = row.pop("model")
            findings.update({f"{model}_{name}": value for name, value in row.items() if value})
        return session.write_frame(
            contracts.TAG_METRICS, metrics.with_columns(as_of=pl.lit(parameters["as_of"]))
        )

    return report(warehouse, shop, write, findings)


member_tags = sql_asset(contracts.MEMBER_TAGS)
member_preferences = sql_asset(contracts.MEMBER_PREFERENCES)


@dg.asset(
    key=contracts.BROWSE_TO_BUY.asset_key,
    deps=upstream_of(_COUNTS, contracts.BROWSE_TO_BUY),
    kinds={"sql", "python", "duckdb"},
    **described(contracts.BROWSE_TO_BUY),
)
def browse_to_buy(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The counts of sql/tags/browse_to_buy.sql with the posterior that they give."""
    from assets.tags.bayes import buy_given_browse

    findings: dict[str, float | str] = {}

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        counts = session.frame(_COUNTS, parameters)
        of_kinds: list[pl.DataFrame] = []
        # Products and tags each have a rate of their own to be shrunk towards.
        for kind in ("product", "tag"):
            of_kind = counts.filter(pl.col("kind") == kind)
            found = buy_given_browse(
                of_kind["n_browsers"],
                of_kind["n_buyers"],
                prior_strength=shop.declared.interest.prior_weight,
            )
            of_kinds.append(
                of_kind.with_columns(
                    p_buy_given_browse=found.mean, ci_low=found.ci_low, ci_high=found.ci_high
                )
            )
            findings[f"n_browsers_of_{kind}s"] = float(of_kind["n_browsers"].sum())
            findings[f"n_buyers_of_{kind}s"] = float(of_kind["n_buyers"].sum())
        return session.write_frame(contracts.BROWSE_TO_BUY, pl.concat(of_kinds))

    return report(warehouse, shop, write, findings)


def _snapshots(session: Session, parameters: Mapping[str, object]) -> pl.DataFrame:
    """Members at the run date and at past cuts, of a large shop a fair part of them."""
    n_members = session.scalar("select count(*) from clean.members where is_identified")
    drawn = {"n_cuts": _PAST_WEEKS, "one_in": max(1, n_members // _LEARNT_MEMBERS)}
    return session.frame(_SNAPSHOTS, {**parameters, **drawn})


@dg.asset(
    key=contracts.PROPENSITY_METRICS.asset_key,
    deps=upstream_of(_SNAPSHOTS, contracts.PROPENSITY_METRICS),
    kinds={"sql", "python", "duckdb"},
    **described(contracts.PROPENSITY_METRICS),
)
def propensity_metrics(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The models and their baselines, learnt on older weeks and tried on the newest."""
    from assets.pictures import calibration_curve
    from assets.tags.propensity import try_models

    findings: dict[str, Any] = {}

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        trial = try_models(_snapshots(session, parameters), seed=shop.declared.recommend.seed)
        version = _propensity_version(parameters)
        for model, metric, value in trial.metrics.select("model", "metric", "value").iter_rows():
            findings[f"{metric}_of_{model}"] = value
        findings["method"] = trial.method
        if trial.reason:
            findings["base_rate_because"] = trial.reason
        if trial.leaking:
            findings["left_out_as_from_the_future"] = ", ".join(trial.leaking)
        if len(trial.calibration):
            findings["calibration"] = dg.MetadataValue.md(calibration_curve(trial.calibration))
        session.create_empty(contracts.PROPENSITY_METRICS)
        session.execute(
            "delete from tags.propensity_metrics where model_version = $version",
            {"version": version},
        )
        with session.offering(incoming=trial.metrics.with_columns(model_version=pl.lit(version))):
            session.insert(contracts.PROPENSITY_METRICS, "select * from incoming")
        return session.count(contracts.PROPENSITY_METRICS)

    return report(warehouse, shop, write, findings)


@dg.asset(
    key=contracts.PURCHASE_PROPENSITY.asset_key,
    deps=[
        contracts.PROPENSITY_METRICS.asset_key,
        *upstream_of(_SNAPSHOTS, contracts.PURCHASE_PROPENSITY),
    ],
    kinds={"sql", "python", "duckdb"},
    **described(contracts.PURCHASE_PROPENSITY),
)
def purchase_propensity(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """What was best on the newest week learns that week too, and scores every member."""
    from assets.tags.propensity import score

    findings: dict[str, float | str] = {}

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        version = _propensity_version(parameters)
        best = session.scalar(
            "select model from tags.propensity_metrics"
            " where is_published and model_version <= $version order by model_version desc limit 1",
            {"version": version},
        )
        scores = score(
            _snapshots(session, parameters),
            best or "base_rate",
            seed=shop.declared.recommend.seed,
        )
        if len(scores):
            findings["method"] = scores["method"][0]
            findings["buyers_expected"] = float(scores["p_buy"].sum())
        return session.write_frame(
            contracts.PURCHASE_PROPENSITY,
            scores.with_columns(model_version=pl.lit(version)),
        )

    return report(warehouse, shop, write, findings)


def _propensity_version(parameters: Mapping[str, object]) -> str:
    return f"propensity-{parameters['run_date']}"
