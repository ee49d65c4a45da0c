"""Members by day, by product and as of now: the last tables that read events."""

from assets import absences
from assets.columns import (
    CHANNEL,
    EVENT_DATE,
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

_OF_DAYS = ("act", "order")

MEMBER_DAYS = Contract(
    schema="features",
    table="member_days",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_ACTS,
    ),
    grain="member and calendar date of the shop",
    key=("member_id", "date"),
    columns=(
        MEMBER_ID,
        Column("date", "date", "Calendar date in the shop's time zone"),
        N_VIEWS,
        N_CARTS,
        N_ORDERS,
        N_SHARES,
        Column("n_sessions", "bigint", "Sessions begun"),
        money("net_revenue", "Net revenue of the orders of that date"),
        money("margin", "Margin of the orders of that date"),
        Column("first_date", "date", "Her first active day"),
        Column("previous_date", "date", "Her active day before", nullable=True),
        Column("period_marks", "integer", "What retention asks of the days around it, as bits"),
    ),
    description="Days of a deliberate act, without bots, or of an order that was not cancelled.",
)

KNOWN_DAYS = Contract(
    schema="features",
    table="known_days",
    grain="member, date, device or order, and time since when it was known",
    key=("member_id", "date", "kind", "subject", "known_at"),
    columns=(
        MEMBER_ID,
        Column("date", "date", "Calendar date in the shop's time zone"),
        Column("kind", "varchar", "Deliberate acts of the date, or an order", accepts=_OF_DAYS),
        Column("subject", "varchar", "The device (without one: the user), or the order"),
        Column("known_at", "timestamp", "From when on it was known so", unit="UTC"),
        Column(
            "known_until",
            "timestamp",
            "Until when: something else became known; NULL: it still is so",
            unit="UTC",
            nullable=True,
        ),
        N_VIEWS,
        N_CARTS,
        N_SHARES,
        N_ORDERS,
        money("net_revenue", "Net revenue of the order"),
    ),
    description="features.member_days as it was known at every earlier instant.",
    claims={"it_is_known_for_a_while": "known_until is null or known_at < known_until"},
    is_published=False,
)

TRACKING = Contract(
    schema="features",
    table="tracking",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_ACTS,
    ),
    grain="kind of event of which history has begun",
    key=("kind",),
    columns=(
        Column(
            "kind",
            "varchar",
            "acts: deliberate, of members; orders: not cancelled; activity: both",
            accepts=("acts", "orders", "activity"),
        ),
        Column("first_date", "date", "The first date of which more than a stray record is known"),
        Column("first_complete_date", "date", "The day after: the first that is known whole"),
    ),
    description="Since when is known what members do; what came before is cut off.",
    claims={"a_whole_day_comes_later": "first_complete_date > first_date"},
)

ORDER_DAYS = Contract(
    schema="features",
    table="order_days",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_WORTHY_ORDERS,
    ),
    grain="member and order day",
    key=("member_id", "date"),
    columns=(
        MEMBER_ID,
        Column("date", "date", "Calendar date in the shop's time zone"),
        Column("nth", "bigint", "Her how manyth, from 1"),
        Column("first_date", "date", "Her first"),
        Column("previous_order_date", "date", "The one before", nullable=True),
        Column("gap_days", "bigint", "Since the one before", unit="days", nullable=True),
        Column(
            "median_gap_days", "double", "Median of her gaps so far", unit="days", nullable=True
        ),
        Column("next_order_date", "date", "The one after", nullable=True),
        money("net_revenue", "Net revenue of the orders of that date"),
        money("margin", "Margin of the orders of that date"),
    ),
    description="The days of features.member_days with an order (n_orders above 0), one by one.",
    claims={"the_first_has_none_before": "(nth = 1) = (previous_order_date is null)"},
)

FUNNEL_EVENTS = Contract(
    schema="features",
    table="funnel_events",
    grain="funnel, event of a member and step it meets",
    key=("funnel", "member_id", "nth", "step"),
    columns=(
        Column("funnel", "varchar", "The funnel, as funnels.yaml names it"),
        MEMBER_ID,
        Column("nth", "bigint", "Her how manyth event, from 1"),
        Column("step", "integer", "The step it meets, from 1; below 0: the exclusion, -1 first"),
        Column("occurred_at", "timestamp", "Corrected for the sender's clock", unit="UTC"),
        Column("is_newest", "boolean", "No event of hers follows"),
    ),
    description="The events that funnels ask for, without bots.",
    is_published=False,
)

SHARE_TOUCHES = Contract(
    schema="features",
    table="share_touches",
    grain="message with a share code or a group",
    key=("message_id",),
    columns=(
        Column("message_id", "varchar", "The event's message"),
        Column("kind", "varchar", "What happened", accepts=("share", "click", "order")),
        Column("share_code", "varchar", "The share it came through or made", nullable=True),
        Column("group_id", "varchar", "The group order it belongs to", nullable=True),
        MEMBER_ID,
        Column("visitor_id", "bigint", "The device (without one: the user)", nullable=True),
        Column("is_logged_in", "boolean", "It came with a user id"),
        Column("session_id", "bigint", "Its session", nullable=True),
        PRODUCT_ID.optional(),
        Column("order_id", "varchar", "The order it speaks of", nullable=True),
        CHANNEL.optional(),
        Column("occurred_at", "timestamp", "Corrected for the sender's clock", unit="UTC"),
        EVENT_DATE,
    ),
    description="Shares, what came of them, and group orders, without bots.",
    is_published=False,
)

MEMBER_PRODUCTS = Contract(
    schema="features",
    table="member_products",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_MEETINGS,
    ),
    grain="member and product",
    key=("member_id", "product_id"),
    columns=(
        MEMBER_ID,
        PRODUCT_ID,
        Column(
            "weight",
            "double",
            "Event weights halved every half-life, as of the run; of a refund its part",
        ),
        Column("forward_weight", "double", "The same relative to the fixed epoch, so days add up"),
        N_VIEWS,
        N_CARTS,
        Column("n_orders", "bigint", "Lines of orders placed, also those given back since"),
        N_SHARES,
        Column("first_at", "timestamp", "First interaction", unit="UTC"),
        Column("last_at", "timestamp", "Last interaction", unit="UTC"),
        Column(
            "last_ordered_at",
            "timestamp",
            "Last order of it, also if given back since",
            unit="UTC",
            nullable=True,
        ),
        Column("first_viewed_at", "timestamp", "First view of it", unit="UTC", nullable=True),
        Column("n_order_days", "bigint", "UTC dates with an order of it", unit="days"),
        Column("first_ordered_at", "timestamp", "First order of it", unit="UTC", nullable=True),
        Column("holdout_weight", "double", "Weight of what lies inside the holdout window"),
    ),
    description="The interaction matrix.",
)

PAST_MEMBER_PRODUCTS = Contract(
    schema="features",
    table="past_member_products",
    grain="member and product at the start of the holdout window",
    key=("member_id", "product_id"),
    columns=tuple(column for column in MEMBER_PRODUCTS.columns if column.name != "holdout_weight"),
    description=(
        "features.member_products as it was known at the start of the holdout window; a device "
        "whose user became known later is a member of its own."
    ),
    is_published=False,
)

_WINDOWS = (7, 14, 30, 60)

MEMBERS = Contract(
    schema="features",
    table="members",
    empty_where=(absences.NOBODY,),
    grain="member",
    key=("member_id",),
    columns=(
        MEMBER_ID,
        *(
            Column(f"{count.name}_{days}d", "bigint", f"{count.meaning} in {days} days")
            for count in (N_VIEWS, N_CARTS, N_ORDERS, N_SHARES)
            for days in _WINDOWS
        ),
        money("net_revenue_60d", "Net revenue of orders in 60 days"),
        N_ORDERS,
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
