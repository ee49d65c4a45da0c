"""What members are worth, where they are in their life with the shop, who stays."""

from assets.columns import MEMBER_ID, N_ORDERS, money, share
from assets.owners import GROWTH
from resources.contract import Column, Contract

STAGES = ("prospect", "new", "active", "dormant", "churn_risk", "lost", "resurrected")
STRATEGIES = ("acquisition", "retention", "conversion", "loyalty")

CLV = Contract(
    schema="value",
    table="clv",
    grain="member with an order",
    key=("member_id",),
    columns=(
        MEMBER_ID,
        Column("frequency", "bigint", "Repeat order days: order days less one"),
        Column("recency", "double", "Last order less first order", unit="days"),
        Column("T", "double", "Last complete day less first order", unit="days"),
        Column(
            "monetary_value",
            "double",
            "Mean margin of the repeat order days; 0 without one",
            unit="base currency",
        ),
        share("p_alive", "Probability that she will ever order again").optional(),
        Column("expected_orders", "double", "Order days expected within the horizon"),
        money("historic_clv", "Margin so far"),
        Column(
            "predicted_clv",
            "double",
            "Discounted margin expected within the horizon",
            unit="base currency",
        ),
        Column("method", "varchar", "Which model", accepts=("bg_nbd_gamma_gamma", "fallback")),
        Column("converged", "boolean", "The fit converged to a believable optimum"),
    ),
    description="Customer lifetime value: sum over months of r_t / (1 + r)^t.",
    owner=GROWTH,
    claims={
        "recency_is_at_most_t": "recency between 0 and T",
        "predictions_are_not_negative": "predicted_clv >= 0 and expected_orders >= 0",
        "p_alive_is_a_share": "p_alive is null or p_alive between 0 and 1",
    },
)

RFM = Contract(
    schema="value",
    table="rfm",
    grain="member with an order",
    key=("member_id",),
    columns=(
        MEMBER_ID,
        Column("days_since_last", "bigint", "Since the last order", unit="days"),
        N_ORDERS,
        money("spend", "Net revenue so far"),
        Column("r", "integer", "Recency score, 5 best"),
        Column("f", "integer", "Frequency score, 5 best"),
        Column("m", "integer", "Monetary score, 5 best"),
        Column("segment", "varchar", "Name from shop.yaml"),
    ),
    description="Scored by value quantiles, so that ties share a score.",
    owner=GROWTH,
    claims={"scores_are_1_to_5": "r between 1 and 5 and f between 1 and 5 and m between 1 and 5"},
)

LIFECYCLE = Contract(
    schema="value",
    table="lifecycle",
    grain="identified member",
    key=("member_id",),
    columns=(
        MEMBER_ID,
        Column("stage", "varchar", "Where she is", accepts=STAGES),
        Column("previous_stage", "varchar", "Where she was before", nullable=True, accepts=STAGES),
        Column(
            "entered_at",
            "timestamp",
            "The shop's midnight at which she first stood there",
            unit="UTC",
            nullable=True,
        ),
        Column("strategy", "varchar", "What to do about it", accepts=STRATEGIES),
        Column("days_since_last_order", "bigint", "As of the run", unit="days", nullable=True),
    ),
    description="Exactly one stage per member, by days since the last order, first match wins.",
    owner=GROWTH,
)

RETENTION_COHORTS = Contract(
    schema="value",
    table="retention_cohorts",
    grain="cohort, period and mode",
    key=("unit", "cohort_date", "period", "mode"),
    columns=(
        Column("unit", "varchar", "Length of a period", accepts=("day", "week", "month")),
        Column("cohort_date", "date", "First day of the members' first active period"),
        Column("period", "integer", "Periods since, from 0"),
        Column(
            "mode",
            "varchar",
            "exact: active in that period; on_or_after: in that or a later one",
            accepts=("exact", "on_or_after"),
        ),
        Column("cohort_size", "bigint", "Members of the cohort"),
        Column("retained", "bigint", "Of these, retained; NULL if immature", nullable=True),
        share("rate", "Retained over cohort size; NULL if immature").optional(),
        Column("is_complete", "boolean", "The period is over"),
    ),
    description="Members of the cohort active in period t over the size of the cohort.",
    owner=GROWTH,
    claims={
        "rate_is_a_share": "rate is null or rate between 0 and 1",
        "immature_cells_are_null": "is_complete = (rate is not null)",
    },
)
