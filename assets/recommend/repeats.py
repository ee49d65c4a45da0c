"""What members buy again: how often, after how long, and who is due for what.

The chance that a member orders a product again is estimated in the manner of Bhagat, Muralidharan,
Lobzhanidze and Vishwanath, "Buy It Again: Modeling Repeat Purchase Recommendations", KDD 2018:
from how often the product is ordered again at all, from its usual cycle, and from the member's own
orders of it. Every rate is shrunk: a member's to the product's, a product's to its category's, a
category's to the shop's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self, cast

import polars as pl

# Order dates that a shop, and a category or product, must show to be believed by half.
_PRIOR_SHOP = 100.0
_PRIOR_ORDERS = 20.0
# Gaps between two order dates, likewise.
_PRIOR_GAPS = 10.0
# A product of which this share of the order dates has another behind it is bought again. Where a
# product is bought once, some orders still are followed by another: a second size, a present.
_BOUGHT_AGAIN = 0.05
# Cycles after the last order at which a member has half stopped buying a product.
_CYCLES_TO_STOP = 4.0
# A product is proposed again if it is that many times as likely to be ordered as the last product
# of popularity's list is. On a grocer's lines this keeps four fifths of what repeats can win, for
# a fifth of the places.
_WORTH = 4.0
_PAIR = ("member_id", "product_id")
REPEATS = pl.Schema({"member_id": pl.Int64, "product_id": pl.String, "score": pl.Float64})


@dataclass(frozen=True, eq=False)
class Habits:
    """How often the products of a shop are bought again.

    Attributes:
        products: product_id, again (chance that an order is followed by another of the same
            member, 0 to 1), cycle (usual days between the two; null where nothing was ever bought
            again and none is declared), wait_days (days that a member is not to see it after an
            order; null: for good).
        again: the same chance over all products of the shop, 0 to 1.
    """

    products: pl.DataFrame
    again: float

    @classmethod
    def of(
        cls,
        history: pl.DataFrame,
        products: pl.DataFrame,
        default_days: int | None,
        *,
        learns: bool,
    ) -> Self:
        """Learns the habits of a shop.

        A product waits for as long as the catalogue declares, without a declaration
        ``default_days``. If waits are learnt, one without a declaration that is bought again, by
        the shrunk share of its order dates, does not wait.

        Args:
            history: member_id, product_id, n_order_days, first_ordered_at, last_ordered_at.
            products: product_id, category (null where unknown), repurchase_days (null where none
                is declared).
            default_days: of a product that declares none; None: it is bought once, for good.
            learns: whether waits are learnt.
        """
        orders = history.filter(pl.col("n_order_days") > 0).select(
            "product_id",
            n=pl.col("n_order_days").cast(pl.Float64),
            gap=_days(pl.col("last_ordered_at") - pl.col("first_ordered_at"))
            / (pl.col("n_order_days") - 1).replace(0, None),
        )
        orders = orders.join(products.select("product_id", "category"), on="product_id", how="left")
        n_all = float(orders["n"].sum())
        again = (n_all - len(orders)) / (n_all + _PRIOR_SHOP)
        cycle = cast(float | None, orders["gap"].median())
        of_category = _shrunk(orders, "category", pl.lit(again), pl.lit(cycle, dtype=pl.Float64))
        declared = pl.col("repurchase_days").cast(pl.Float64)
        prior = products.join(of_category, on="category", how="left").with_columns(
            again=pl.col("again").fill_null(again),
            cycle=pl.coalesce(declared, "cycle", pl.lit(cycle, dtype=pl.Float64)),
        )
        known = orders.drop("category").join(
            prior.select("product_id", prior_again="again", prior_cycle="cycle"), on="product_id"
        )
        own = _shrunk(known, "product_id", pl.first("prior_again"), pl.first("prior_cycle"))
        habits = prior.join(own, on="product_id", how="left", suffix="_own").select(
            "product_id",
            again=pl.coalesce("again_own", "again"),
            cycle=pl.coalesce("cycle_own", "cycle"),
            wait_days=pl.coalesce(
                "repurchase_days",
                pl.when(learns & (pl.coalesce("again_own", "again") >= _BOUGHT_AGAIN)).then(0),
                pl.lit(default_days, dtype=pl.Int32),
            ),
        )
        return cls(habits, again)

    @property
    def shows_repeats(self) -> bool:
        """Whether the shop as a whole is one where products are bought again."""
        return self.again >= _BOUGHT_AGAIN


def _shrunk(orders: pl.DataFrame, by: str, again: pl.Expr, cycle: pl.Expr) -> pl.DataFrame:
    """Chance and cycle by product or category, moved towards those given."""
    n, n_again = pl.col("n").sum(), (pl.col("n") - 1).sum()
    own = pl.col("gap").median()
    return (
        orders.drop_nulls(by)
        .group_by(by)
        .agg(
            again=(n_again + _PRIOR_ORDERS * again) / (n + _PRIOR_ORDERS),
            cycle=pl.when(own.is_null())
            .then(cycle)
            .otherwise((n_again * own + _PRIOR_GAPS * cycle) / (n_again + _PRIOR_GAPS)),
        )
    )


def due_again(
    history: pl.DataFrame, habits: Habits, as_of: datetime, horizon_days: int, length: int
) -> pl.DataFrame:
    """What each member is likely enough to order again within the horizon.

    With n order dates, s days from the first to the last, and a days since::

        chance = (n - 1 + again) / (n + 1)          that there is another order at all
        cycle  = (s + cycle of product) / n         the member's own days between two
        score  = chance * (1 - exp(-horizon / cycle)) / (1 + (a / cycle / 4) ** 2)

    The last factor is for a member who has stopped. A product is kept if its score is at least
    four times the share of buyers who ordered popularity's last product (the ``length``-th by
    buyers) in as long a time: so much must a place be worth that another could have.

    Args:
        history: member_id, product_id, n_order_days, first_ordered_at, last_ordered_at.
        habits: of the shop.
        as_of: the instant of the recommendation, in the time zone of last_ordered_at.
        horizon_days: how far to look.
        length: places of a list.

    Returns:
        member_id, product_id, score (0 to 1); in no order.
    """
    orders = history.filter(pl.col("n_order_days") > 0)
    since = pl.lit(as_of) - timedelta(days=horizon_days)
    buyers = (
        orders.filter(pl.col("last_ordered_at") >= since)
        .group_by("product_id")
        .len("n")
        .sort("n", descending=True)
    )
    n_last = buyers["n"][length - 1] if len(buyers) >= length else 0
    least = _WORTH * n_last / max(orders["member_id"].n_unique(), 1)
    n = pl.col("n_order_days").cast(pl.Float64)
    span = _days(pl.col("last_ordered_at") - pl.col("first_ordered_at"))
    return (
        orders.join(habits.products.drop_nulls("cycle"), on="product_id")
        .with_columns(cycle=(span + pl.col("cycle")).clip(1) / n, chance=(n - 1 + pl.col("again")))
        .with_columns(age=_days(pl.lit(as_of) - pl.col("last_ordered_at")) / pl.col("cycle"))
        .select(
            *_PAIR,
            score=pl.col("chance")
            / (n + 1)
            * (1 - (-horizon_days / pl.col("cycle")).exp())
            / (1 + (pl.col("age") / _CYCLES_TO_STOP) ** 2),
        )
        .filter((pl.col("score") >= least) & (pl.col("score") > 0))
        .cast(REPEATS)
    )


def explain_repeats(found: pl.DataFrame, history: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Says how often the member ordered each listed product, and when last."""
    told = history.select(
        *_PAIR,
        times=pl.col("n_order_days"),
        days=_days(pl.lit(as_of) - pl.col("last_ordered_at")).floor().cast(pl.Int64),
    )
    once = pl.format("you ordered it {} days ago and may want it again", "days")
    often = pl.format(
        "you ordered it on {} days, last {} days ago, and may want it again", "times", "days"
    )
    return (
        found.join(told, on=_PAIR, how="left")
        .with_columns(reason=pl.when(pl.col("times") > 1).then(often).otherwise(once))
        .select(*found.columns, "reason")
    )


def _days(duration: pl.Expr) -> pl.Expr:
    return duration.dt.total_seconds() / 86400.0
