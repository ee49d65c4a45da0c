"""The catalogue: products and content with titles a marketer could have written, and their truth.

Every product has a latent vector: its category's, its kind's and its own part. Members choose by
these vectors, so that tags, text and behaviour tell of the same thing.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from resources.simulation.draws import Floats, Ints, Mask, fill, stream
from resources.simulation.markets import base_rates, currency_digits
from resources.simulation.settings import SimulationSettings
from resources.simulation.titles import write_article, write_product
from resources.simulation.vocabulary import CATEGORIES, KINDS

DIMENSIONS = 10
_UNTAGGED_SHARE = 0.15
_LAUNCHED_SHARE = 0.03
_WITHDRAWN_SHARE = 0.015
_HIDDEN_SHARE = 0.015
NEVER = 1 << 40


class Fates(NamedTuple):
    """When products come and go, in days from first_date, (products,).

    substitute is what is sold before a launch and after a withdrawal: the product itself for
    those that have neither.
    """

    sold_from: Ints
    hidden_from: Ints
    substitute: Ints


@dataclass(frozen=True)
class Catalogue:
    """Products by index; days count from first_date.

    Attributes:
        snapshots: Catalogue records by the day they are exported; the first is complete, the
            others hold what is new or changed.
        ids: product_id, (products,).
        category: Index into CATEGORIES, (products,).
        kind: Index into KINDS, (products,).
        is_content: Whether it is an article, (products,).
        is_consumable: Whether it is bought again, (products,).
        vectors: Latent vectors, (products, DIMENSIONS).
        browse_appeal: Log weight apart from taste where it can be seen, else -inf, (products,).
        buy_appeal: The same where it can be bought, else -inf, (products,).
        snapshot_days: Day of each snapshot, (snapshots,).
        prices: In the base currency, (snapshots, products).
        costs: In the base currency, (products,).
        truth: product_id, true_tags, is_untagged, popularity (log weight), vector.
        fates: When products come and go.
    """

    snapshots: dict[int, pl.DataFrame]
    ids: pl.Series
    category: Ints
    kind: Ints
    is_content: Mask
    is_consumable: Mask
    vectors: Floats
    browse_appeal: Floats
    buy_appeal: Floats
    snapshot_days: Ints
    prices: Floats
    costs: Floats
    truth: pl.DataFrame
    fates: Fates

    def snapshot(self, day: Ints) -> Ints:
        """Index of the snapshot in force on the given days."""
        return np.maximum(np.searchsorted(self.snapshot_days, day, side="right") - 1, 0)

    def available(self, product: Ints, day: Ints) -> Ints:
        """The products, or what was sold in their place before launch and after withdrawal."""
        fates = self.fates
        is_sold = (day >= fates.sold_from[product]) & (day < fates.hidden_from[product])
        return np.where(is_sold, product, fates.substitute[product])


def make_catalogue(settings: SimulationSettings) -> Catalogue:
    """Draw the catalogue of a shop."""
    rng = stream(settings.seed, "catalogue")
    n = settings.products
    n_content = round(n * settings.content_share)
    is_content = np.arange(n) >= n - n_content
    kind = rng.integers(len(KINDS), size=n)
    category = np.array([number for number, _ in KINDS], dtype=np.int64)[kind]
    vectors = (
        np.eye(len(CATEGORIES), DIMENSIONS)[category]
        + rng.normal(0, 0.3, (len(KINDS), DIMENSIONS))[kind]
        + rng.normal(0, 0.15, (n, DIMENSIONS))
    )
    popularity = rng.normal(0, 0.9, n)
    days = np.arange(0, settings.days, settings.catalogue_every_days)
    prices, costs = _draw_prices(rng, settings, category, is_content, len(days))
    stock = _draw_stock(rng, len(days), n)
    fates = _draw_fates(rng, days, category, kind, is_content)
    stock[:, fates.hidden_from < 0] = 0
    records, truth = _describe(rng, settings, category, kind, is_content)
    is_hidden = fates.hidden_from < 0
    return Catalogue(
        snapshots=_snapshots(settings, records, prices, stock, costs, fates, days),
        ids=records["product_id"],
        category=category,
        kind=kind,
        is_content=is_content,
        is_consumable=records["repurchase_days"].is_not_null().to_numpy(),
        vectors=vectors,
        browse_appeal=np.where(is_hidden, -np.inf, popularity),
        buy_appeal=np.where(is_hidden | is_content, -np.inf, popularity),
        snapshot_days=days,
        prices=prices,
        costs=costs,
        truth=truth.with_columns(
            pl.Series("popularity", popularity), pl.Series("vector", vectors.tolist())
        ),
        fates=fates,
    )


def _draw_prices(rng: np.random.Generator, settings: SimulationSettings, category: Ints,
                 is_content: Mask, n_snapshots: int) -> tuple[Floats, Floats]:  # fmt: skip
    """Prices in the base currency, (snapshots, products), and costs, (products,)."""
    n = len(category)
    digits = currency_digits(settings.base_currency)
    medians = np.array([shelf.median_price for shelf in CATEGORIES])[category]
    first = medians * rng.lognormal(0, 0.65, n) * base_rates(settings.base_currency)[0]
    is_changed = rng.random((n_snapshots, n)) < 0.03
    is_changed[0] = False
    factors = np.where(is_changed, rng.uniform(0.8, 1.15, (n_snapshots, n)), 1.0)
    drift = np.cumprod(factors, axis=0, dtype=np.float64)
    whole = np.maximum((first * drift).round(), 1.0)
    goods = whole - (0.1 if digits else 0.0)  # 59.90, as shops do
    prices: Floats = np.where(is_content, 0.0, goods).round(digits)
    cost_rates = np.array([shelf.cost_rate for shelf in CATEGORIES])[category]
    costs: Floats = prices[0] * cost_rates * rng.uniform(0.85, 1.15, n)
    return prices, costs.round(digits)


def _draw_stock(rng: np.random.Generator, n_snapshots: int, n: int) -> Ints:
    """Pieces in stock, (snapshots, products): few change between two snapshots."""
    is_counted = rng.random((n_snapshots, n)) < 0.05
    snapshot = np.where(is_counted, np.arange(n_snapshots)[:, None], 0)
    counted = np.maximum.accumulate(snapshot, axis=0)
    return np.take_along_axis(rng.integers(20, 900, (n_snapshots, n)), counted, axis=0)


def _draw_fates(rng: np.random.Generator, days: Ints, category: Ints, kind: Ints,
                is_content: Mask) -> Fates:  # fmt: skip
    """Which goods are launched or withdrawn with a later snapshot, or hidden from the first."""
    n = len(kind)
    fate = rng.random(n)
    day = days[1:][rng.integers(len(days) - 1, size=n)] if len(days) > 1 else fill(n, NEVER)
    is_launched = ~is_content & (fate < _LAUNCHED_SHARE) & (day < NEVER)
    is_withdrawn = ~is_content & (fate > 1 - _WITHDRAWN_SHARE) & (day < NEVER)
    is_hidden = ~is_content & (np.abs(fate - 0.5) < _HIDDEN_SHARE / 2)
    lasting = np.flatnonzero(~is_content & ~is_launched & ~is_withdrawn & ~is_hidden)
    substitute = np.arange(n)
    for product in np.flatnonzero(is_launched | is_withdrawn):
        closeness = 2 * (kind[lasting] == kind[product]) + (category[lasting] == category[product])
        substitute[product] = lasting[np.argmax(closeness)]
    return Fates(
        sold_from=np.where(is_launched, day, -NEVER),
        hidden_from=np.where(is_hidden, -NEVER, np.where(is_withdrawn, day, NEVER)),
        substitute=substitute,
    )


def _describe(rng: np.random.Generator, settings: SimulationSettings, category: Ints, kind: Ints,
              is_content: Mask) -> tuple[pl.DataFrame, pl.DataFrame]:  # fmt: skip
    """What the catalogue says of every product at any time; and its true tags."""
    words = rng.random((len(kind), 6))
    texts = [
        (write_article if article else write_product)(shelf, subject, row)
        for article, shelf, subject, row in zip(
            is_content.tolist(), category.tolist(), kind.tolist(), words, strict=True
        )
    ]
    is_untagged = pl.Series(rng.random(len(kind)) < _UNTAGGED_SHARE)
    number = np.where(is_content, np.cumsum(is_content), np.cumsum(~is_content))
    product_ids = [
        f"{'c' if article else 'p'}{count:05d}"
        for article, count in zip(is_content.tolist(), number.tolist(), strict=True)
    ]
    subjects: list[int] = kind.tolist()
    shelves = [CATEGORIES[KINDS[subject][0]] for subject in subjects]
    intervals = [
        None if KINDS[subject][1].is_durable else shelf.repurchase_days
        for subject, shelf in zip(subjects, shelves, strict=True)
    ]
    truth = pl.DataFrame({
        "product_id": product_ids,
        "true_tags": [text.tags for text in texts],
        "is_untagged": is_untagged,
    })  # fmt: skip
    records = truth.select(
        "product_id",
        pl.when(pl.Series(is_content)).then(pl.lit("content")).otherwise(pl.lit("product"))
        .alias("kind"),
        pl.Series("title", [text.title for text in texts]),
        pl.Series("description", [text.description for text in texts]),
        pl.Series("category", [shelf.name for shelf in shelves]),
        pl.Series("brand", [text.brand for text in texts]),
        pl.when("is_untagged").then(pl.lit([], dtype=pl.List(pl.String))).otherwise("true_tags")
        .alias("tags"),
        pl.lit(0.0).alias("price"),
        pl.lit(settings.base_currency).alias("currency"),
        pl.lit(0.0).alias("cost"),
        pl.lit(0).alias("stock"),
        pl.lit(False).alias("is_hidden"),
        pl.when(~pl.Series(is_content))
        .then(pl.Series(intervals, dtype=pl.Int64))
        .alias("repurchase_days"),
    )  # fmt: skip
    return records, truth


def _snapshots(settings: SimulationSettings, records: pl.DataFrame, prices: Floats, stock: Ints,
               costs: Floats, fates: Fates, days: Ints) -> dict[int, pl.DataFrame]:  # fmt: skip
    """Catalogue records by day: all on the first, then the products that changed since."""
    digits = currency_digits(settings.base_currency)
    snapshots: dict[int, pl.DataFrame] = {}
    before = records.clear()
    for number, day in enumerate(days.tolist()):
        listed = records.with_columns(
            pl.Series("price", prices[number]).round(digits),
            pl.Series("cost", costs).round(digits),
            pl.when(pl.col("kind") == "product").then(pl.Series(stock[number])).alias("stock"),
            pl.Series("is_hidden", fates.hidden_from <= day),
        ).filter(pl.Series(fates.sold_from <= day))
        changing = ["product_id", "price", "stock", "is_hidden"]
        snapshots[day] = listed.join(before, on=changing, how="anti", nulls_equal=True)
        before = listed
    return snapshots
