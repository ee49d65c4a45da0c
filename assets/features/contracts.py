"""Members by day, by product and as of now: the last tables that read events."""

from assets.columns import (
    MEMBER_ID,
    N_CARTS,
    N_ORDERS,
    N_SHARES,
    N_VIEWS,
    PRODUCT_ID,
    money,
    share,
)
from resources.contract import Column, Contract

_ORDERS = N_ORDERS.renamed("n_orders", "Orders neither cancelled nor given back in full")

MEMBER_DAYS = Contract(
    schema="features",
    table="member_days",
    grain="member and calendar date of the shop",
    key=("member_id", "date"),
    columns=(
        MEMBER_ID,
        Column("date", "date", "Calendar date in the shop's time zone"),
        N_VIEWS,
        N_CARTS,
        _ORDERS,
        N_SHARES,
        Column("n_sessions", "bigint", "Sessions begun"),
        money("net_revenue", "Net revenue of the orders of that date"),
        money("margin", "Margin of the orders of that date"),
    ),
    description="Days on which she did something, without bots; orders by order date.",
)

MEMBER_PRODUCTS = Contract(
    schema="features",
    table="member_products",
    grain="member and product",
    key=("member_id", "product_id"),
    columns=(
        MEMBER_ID,
        PRODUCT_ID,
        Column("weight", "double", "Event weights halved every half-life, as of the run"),
        Column("forward_weight", "double", "The same relative to the fixed epoch, so days add up"),
        N_VIEWS,
        N_CARTS,
        Column("n_orders", "bigint", "Order lines"),
        N_SHARES,
        Column("first_at", "timestamp", "First interaction", unit="UTC"),
        Column("last_at", "timestamp", "Last interaction", unit="UTC"),
        Column("last_ordered_at", "timestamp", "Last order of it", unit="UTC", nullable=True),
        Column("first_viewed_at", "timestamp", "First view of it", unit="UTC", nullable=True),
        Column("train_weight", "double", "Weight of what lies before the holdout window"),
        Column("holdout_weight", "double", "Weight of what lies inside the holdout window"),
    ),
    description="The interaction matrix, with the split on which models are compared.",
)

_WINDOWS = (7, 14, 30, 60)

MEMBERS = Contract(
    schema="features",
    table="members",
    grain="member",
    key=("member_id",),
    columns=(
        MEMBER_ID,
        *(
            Column(f"{count.name}_{days}d", "bigint", f"{count.meaning} in {days} days")
            for count in (N_VIEWS, N_CARTS, _ORDERS, N_SHARES)
            for days in _WINDOWS
        ),
        money("net_revenue_60d", "Net revenue of orders in 60 days"),
        _ORDERS,
        Column(
            "days_since_last", "bigint", "Since her last active day", unit="days", nullable=True
        ),
        Column(
            "days_since_last_order", "bigint", "Since her last order", unit="days", nullable=True
        ),
        Column("average_gap_days", "double", "Mean gap between active days", nullable=True),
        Column("best_hour", "integer", "Local hour of most of her sessions", nullable=True),
        Column("main_channel", "varchar", "Channel of most of her sessions", nullable=True),
        share("main_channel_share", "Part of her sessions on that channel").optional(),
    ),
    description="Counts over windows that end strictly before the as-of instant.",
)
