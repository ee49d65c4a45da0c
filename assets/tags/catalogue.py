"""Every product's tags: the shop's own, else predicted from its text, else its keywords."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from assets.tags.keywords import keywords
from assets.tags.sensitive import is_sensitive
from assets.tags.text_model import fit
from assets.tags.text_trial import cross_validated

_TAGS = pl.Schema(
    {"product_id": pl.String, "tag": pl.String, "score": pl.Float64, "source": pl.String}
)


@dataclass(frozen=True)
class TaggedCatalogue:
    """The tags of a catalogue and how they were come by.

    Attributes:
        tags: product_id, tag, score (0 to 1), source (catalogue, predicted or keyword); one row
            per product and tag, ordered by both.
        metrics: counts of products by source, and what to expect of the predictions, by name.
        reason: why nothing was predicted; None where it was, or where every product has tags.
    """

    tags: pl.DataFrame
    metrics: Mapping[str, float]
    reason: str | None


def tagged(
    products: pl.DataFrame, seed: int, sensitive_terms: Sequence[str] = ()
) -> TaggedCatalogue:
    """Tags a catalogue.

    A product keeps the shop's own tags, at score 1. Who has none gets what the tagged ones teach
    about title and description, at the model's probability; the model may abstain. Where no
    product has tags there is nothing to learn, and the titles' keywords stand in.

    Args:
        products: product_id, title, description (null where unknown), tags (lists, empty or null
            where the shop gave none).
        seed: decides the folds on which the model's thresholds are chosen.
        sensitive_terms: a tag that contains one of them is sensitive.

    Returns:
        The tags, which do not depend on the order of the rows.
    """
    catalogue = products.sort("product_id")
    own = _own_tags(catalogue)
    untagged = catalogue.join(own, on="product_id", how="anti", maintain_order="left")
    parts = [_as_tags(own.with_columns(score=pl.lit(1.0)), "catalogue")]
    metrics = {
        "n_products": float(catalogue.height),
        "n_products_with_own_tags": float(catalogue.height - untagged.height),
    }
    reason: str | None = None
    if own.is_empty():
        found = keywords(_strings(untagged["title"]))
        parts.append(_as_tags(_of_products(found, untagged), "keyword"))
    elif not untagged.is_empty():
        model = fit(*_examples(catalogue, own), seed)
        parts.append(_as_tags(_of_products(model.predict(_texts(untagged)), untagged), "predicted"))
        reason = model.report.reason
        metrics |= {
            f"model_{name}": float(value)
            for name, value in model.report._asdict().items()
            if isinstance(value, int)
        }
    tags = pl.concat(parts).sort("product_id", "tag")
    tags = tags.with_columns(is_sensitive(tags["tag"], sensitive_terms))
    for source in ("predicted", "keyword"):
        of_source = tags.filter(pl.col("source") == source)
        metrics[f"n_products_{source}"] = float(of_source["product_id"].n_unique())
    metrics["n_tags"] = float(tags["tag"].n_unique())
    metrics["n_sensitive_tags"] = float(tags.filter("is_sensitive")["tag"].n_unique())
    return TaggedCatalogue(tags, metrics, reason)


def judged(products: pl.DataFrame, seed: int) -> pl.DataFrame:
    """What to expect of predicted tags: ``cross_validated`` on the shop's tagged products.

    Args:
        products: as for ``tagged``.
        seed: decides the folds.

    Returns:
        The rows of ``cross_validated``, which do not depend on the order of the products;
        none where there was too little to learn from.
    """
    catalogue = products.sort("product_id")
    return cross_validated(*_examples(catalogue, _own_tags(catalogue)), seed)


def _own_tags(catalogue: pl.DataFrame) -> pl.DataFrame:
    """The shop's own tags: product_id, tag, by both."""
    return (
        catalogue.select("product_id", tag="tags")
        .explode("tag")
        .with_columns(pl.col("tag").str.strip_chars())
        .filter(pl.col("tag").is_not_null() & (pl.col("tag") != ""))
        .unique()
        .sort("product_id", "tag")
    )


def _examples(
    catalogue: pl.DataFrame, own: pl.DataFrame
) -> tuple[list[str | None], list[list[str]]]:
    """Texts and tags of the products that the shop has tagged, by product_id."""
    lists = own.group_by("product_id", maintain_order=True).agg("tag")
    known = catalogue.join(lists, on="product_id", maintain_order="left")
    return _texts(known), known["tag"].to_list()


def _texts(products: pl.DataFrame) -> list[str | None]:
    """Title and description as one text; what is missing adds nothing."""
    return _strings(
        products.select(
            text=pl.concat_str("title", "description", separator="\n", ignore_nulls=True)
        )["text"]
    )


def _strings(values: pl.Series) -> list[str | None]:
    return values.to_list()


def _of_products(found: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Puts product ids to rows that are named by position."""
    return found.with_columns(product_id=products["product_id"].gather(found["row"]))


def _as_tags(found: pl.DataFrame, source: str) -> pl.DataFrame:
    return found.select("product_id", "tag", "score", source=pl.lit(source)).cast(_TAGS)
