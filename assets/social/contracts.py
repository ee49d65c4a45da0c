"""Who brought whom, how fast the pool grows by itself, who is owed what for it."""

from assets import absences
from assets.columns import MEMBER_ID, N_ORDERS, PRODUCT_ID, money, share
from assets.owners import GROWTH
from resources.contract import Column, Contract

_SHARE_CODE = Column("share_code", "varchar", "The share, by its opaque code")
_REFERRER_ID = Column("referrer_id", "bigint", "The member who shared")

SHARE_CLICKS = Contract(
    schema="social",
    table="share_clicks",
    empty_where=(
        absences.NO_SHARES,
        absences.NO_CLICKS,
    ),
    grain="click on a share and member it may bind",
    key=("message_id", "member_id"),
    columns=(
        Column("message_id", "varchar", "The click's message"),
        MEMBER_ID,
        _SHARE_CODE,
        _REFERRER_ID.optional(),
        Column("clicked_at", "timestamp", "When it was clicked", unit="UTC"),
        Column(
            "known_at",
            "timestamp",
            "When she was first known by name; NULL while nobody is",
            unit="UTC",
            nullable=True,
        ),
        Column(
            "outcome",
            "varchar",
            "bound: she is a referral by it; open: nobody is identified yet",
            accepts=("bound", "refused", "open"),
        ),
        Column(
            "reason",
            "varchar",
            "Why it binds nobody",
            nullable=True,
            accepts=(
                "unknown_code",
                "own_code",
                "same_device",
                "device_farm",
                "already_member",
                "too_late",
                "earlier_binding",
                "not_last_click",
                "cycle",
            ),
        ),
    ),
    description="Every click on a share, and why it did or did not make a referral.",
    owner=GROWTH,
    claims={"a_refusal_has_its_reason": "(outcome = 'refused') = (reason is not null)"},
)

REFERRALS = Contract(
    schema="social",
    table="referrals",
    empty_where=(
        absences.NO_SHARES,
        absences.NO_CLICKS,
        absences.NOBODY_BROUGHT,
    ),
    grain="referred member",
    key=("member_id",),
    columns=(
        MEMBER_ID,
        _REFERRER_ID,
        _SHARE_CODE,
        Column("clicked_at", "timestamp", "The click that counts", unit="UTC"),
        Column("bound_at", "timestamp", "When she was identified, for good", unit="UTC"),
        Column("depth", "integer", "Referrals from the root of the tree to her, from 1"),
        Column("root_id", "bigint", "The member at the root, whom nobody referred"),
        N_ORDERS.renamed("n_orders", "Orders since with net revenue above 0"),
        money("revenue", "Net revenue of her orders since"),
        money("margin", "Margin of her orders since"),
        Column("via", "varchar", "Channel of the click", nullable=True),
    ),
    description="Last valid click within the window; the first binding stands.",
    owner=GROWTH,
    claims={
        "nobody_refers_herself": "member_id <> referrer_id",
        "depth_starts_at_1": "depth >= 1",
        "identified_after_the_click": "bound_at >= clicked_at",
    },
)

GROUP_BUYS = Contract(
    schema="social",
    table="group_buys",
    empty_where=(absences.NO_GROUPS,),
    grain="group order",
    key=("group_id",),
    columns=(
        Column("group_id", "varchar", "The group order (拼团), as the shop names it"),
        Column("leader_id", "bigint", "The member who opened it"),
        PRODUCT_ID.optional(),
        _SHARE_CODE.optional(),
        Column("opened_at", "timestamp", "When it was opened", unit="UTC"),
        Column("completed_at", "timestamp", "When it was full", unit="UTC", nullable=True),
        Column("n_members", "bigint", "Members who ordered in it"),
        Column("n_new_members", "bigint", "Of these, ordering for the first time"),
        Column("group_size", "integer", "Members it takes"),
        Column("is_complete", "boolean", "It was full in time"),
        money("revenue", "Net revenue of its orders"),
    ),
    description="Orders that members place together, at the invitation of one of them.",
    owner=GROWTH,
    claims={"complete_groups_have_their_instant": "is_complete = (completed_at is not null)"},
)

K_FACTOR = Contract(
    schema="social",
    table="k_factor",
    empty_where=(
        absences.NO_SHARES,
        absences.NO_NAMED_SHARER,
    ),
    grain="period",
    key=("unit", "period"),
    columns=(
        Column("unit", "varchar", "Length of a period", accepts=("week", "month")),
        Column("period", "date", "Its first day"),
        Column("active", "bigint", "Identified members active in it"),
        Column("sharers", "bigint", "Members who shared in it"),
        Column("shares", "bigint", "Shares made in it"),
        Column("clicks", "bigint", "Clicks on these shares"),
        Column("clickers", "bigint", "Devices or members who clicked on them"),
        Column("signups", "bigint", "Referrals by these shares"),
        Column("invites_per_active", "double", "Shares over active", nullable=True),
        Column("invites_per_sharer", "double", "Shares over sharers", nullable=True),
        Column("accept_rate", "double", "Sign-ups over shares; NULL if immature", nullable=True),
        Column("k", "double", "Sign-ups per active member; NULL if immature", nullable=True),
        Column("k_per_sharer", "double", "Sign-ups per sharer; NULL if immature", nullable=True),
        Column("k_low", "double", "Lower bound of k, 95 %", nullable=True),
        Column("k_high", "double", "Upper bound of k, 95 %", nullable=True),
        Column(
            "cycle_days",
            "double",
            "Median time from share to sign-up; NULL if immature",
            unit="days",
            nullable=True,
        ),
        Column("is_mature", "boolean", "Over for long enough that hardly a sign-up is to come"),
        Column(
            "is_cut",
            "boolean",
            "The period begins before the history of acts does, see features.tracking",
        ),
    ),
    description="K = invites per active member times acceptance rate, by when it was shared.",
    owner=GROWTH,
    claims={
        "k_of_matured_periods_only": "is_mature or k is null and k_per_sharer is null",
        "k_lies_within_its_bounds": "k is null or k between k_low and k_high",
    },
)

ADVOCATES = Contract(
    schema="social",
    table="advocates",
    empty_where=(
        absences.NO_SHARES,
        absences.NO_NAMED_SHARER,
    ),
    grain="member who shared or referred",
    key=("member_id",),
    columns=(
        MEMBER_ID,
        Column("reach", "bigint", "Devices or members who clicked on her shares"),
        Column("conversions", "bigint", "Members she referred"),
        Column("referred_buyers", "bigint", "Of these, with an order since"),
        money("referred_revenue", "Net revenue of their orders since"),
        share("conversion_rate", "Conversions over reach; NULL without reach").optional(),
        Column("page_rank", "double", "Her part of all standing on the referral graph"),
        Column("score", "double", "NULL below social.min_referred_buyers", nullable=True),
        Column("rank", "bigint", "By score, from 1", nullable=True),
        Column("subtree_size", "bigint", "Members below her in the tree"),
    ),
    description="Key opinion consumers (KOC), by revenue, conversion and reach, with decay.",
    owner=GROWTH,
    claims={"ranked_if_scored": "(score is null) = (rank is null)"},
)

COMMISSIONS = Contract(
    schema="social",
    table="commissions",
    empty_where=(absences.NO_COMMISSIONS,),
    grain="order and level",
    key=("order_id", "level"),
    columns=(
        Column("order_id", "varchar", "The order it is earned by"),
        Column("level", "integer", "1: of whom she referred; 2: of whom those referred"),
        MEMBER_ID.renamed("member_id", "Who is paid"),
        Column("referred_id", "bigint", "The member who ordered"),
        money("base_amount", "What the rate is of"),
        Column("rate", "double", "As of shop.yaml", unit="0 to 1"),
        money("amount", "Base times rate, in amounts that can be paid; below 0: of a return"),
        Column("currency", "varchar", "The shop's base currency"),
        Column("earned_date", "date", "Date of the order"),
        Column("payable_date", "date", "First date on which it may be paid"),
        Column("status", "varchar", "Whether to pay", accepts=("pending", "payable", "void")),
    ),
    description="What is owed for orders of referred members: two levels at most, no head-count.",
    owner=GROWTH,
    claims={
        "two_levels_at_most": "level in (1, 2)",
        "an_amount_has_the_sign_of_its_base": "amount * base_amount >= 0",
        "nobody_earns_by_herself": "member_id <> referred_id",
        "void_pays_nothing": "status <> 'void' or amount = 0",
    },
)
