"""What members are worth, where they are in their life with the shop, who stays."""

from typing import get_args

from assets import absences
from assets.columns import MEMBER_ID, N_ORDERS, money, share
from assets.owners import GROWTH
from resources.config.shop import Strategies, Strategy
from resources.contract import Column, Contract

STAGES = tuple(Strategies.model_fields)
STRATEGIES = get_args(Strategy)
METHODS = ("bg_nbd_gamma_gamma", "mbg_nbd_gamma_gamma", "fallback")
UNITS = ("day", "week", "month")
_IN_BASE = "base currency"

CLV = Contract(
    schema="value",
    table="clv",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_WORTHY_ORDERS,
    ),
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
            "Mean margin of the repeat order days, those at a loss included; 0 without one",
            unit="base currency",
        ),
        Column("profitable_repeats", "bigint", "Repeat order days with a margin above 0"),
        Column("profitable_value", "double", "Mean margin of these; 0 without one", _IN_BASE),
        share(
            "p_alive",
            "The order model's probability that the member has not left for good; NULL where it "
            "cannot tell: without a model, and of who ordered once under BG/NBD, which is 1 there "
            "by construction",
        ).optional(),
        Column("expected_orders", "double", "Order days expected within the horizon"),
        money("historic_clv", "Margin so far"),
        Column(
            "predicted_clv",
            "double",
            "Discounted margin expected within the horizon; below 0 where order days bring a loss",
            unit="base currency",
        ),
        Column("method", "varchar", "Which model", accepts=METHODS),
        Column("converged", "boolean", "The fit converged to a believable optimum"),
        Column(
            "predicted_clv_low",
            "double",
            "What the member brings within the horizon lies above it, 95 % with the next",
            _IN_BASE,
            nullable=True,
        ),
        Column(
            "predicted_clv_high",
            "double",
            "What the member brings lies below it; both NULL where no fit bounds it",
            _IN_BASE,
            nullable=True,
        ),
        Column(
            "expected_clv_low",
            "double",
            "Lower bound of the expectation itself, of a mean of many alike, 95 %",
            _IN_BASE,
            nullable=True,
        ),
        Column(
            "expected_clv_high",
            "double",
            "Its upper bound",
            _IN_BASE,
            nullable=True,
        ),
        Column("total_clv", "double", "Margin so far and expected", _IN_BASE),
        Column("margin_per_order_day", "double", "Mean margin of an order day", _IN_BASE),
        Column(
            "average_gap_days", "double", "Mean gap between order days", unit="days", nullable=True
        ),
        Column(
            "next_order_date",
            "date",
            "Date by which an order is as likely as not; NULL where none is within the horizon",
            nullable=True,
        ),
        share("churn_probability", "1 - p_alive; NULL where that is").optional(),
        Column(
            "churn_risk",
            "varchar",
            "The worse of two: the band of churn_probability (clv.risk_bands), and what the days "
            "since the last order say (stage lost of value.lifecycle: high, churn_risk: medium or "
            "high); unknown where neither says anything",
            accepts=("low", "medium", "high", "unknown"),
        ),
        Column(
            "churn_risk_by",
            "varchar",
            "What says so: model, or silence where the days since the last order say more; of "
            "unknown why: one_order (BG/NBD cannot tell), no_model (the fallback)",
            accepts=("model", "silence", "one_order", "no_model"),
        ),
        Column(
            "churn_risk_date",
            "date",
            "First date on which P(alive) lay, or without an order will lie, below "
            "lifecycle.min_p_alive; NULL where never. value.lifecycle heeds it for repeat buyers",
            nullable=True,
        ),
        Column("is_penalised", "boolean", "The fit lay on a flat ridge and was held by a prior"),
        Column("parameters_of", "varchar", "Whose fit: pooled, or the cohort's value"),
    ),
    description="Customer lifetime value: sum over months of r_t / (1 + r)^t.",
    owner=GROWTH,
    claims={
        "recency_is_at_most_t": "recency between 0 and T",
        "expected_orders_are_not_negative": "expected_orders >= 0",
        "profitable_repeats_are_repeats": "profitable_repeats between 0 and frequency",
        "p_alive_is_a_share": "p_alive is null or p_alive between 0 and 1",
        "bounds_enclose_the_prediction": (
            "(predicted_clv_low is null) = (expected_clv_low is null)"
            " and (predicted_clv_low is null or predicted_clv between expected_clv_low"
            " and expected_clv_high and expected_clv_low >= predicted_clv_low"
            " and expected_clv_high <= predicted_clv_high)"
        ),
        "churn_completes_p_alive": (
            "churn_probability is not distinct from 1 - p_alive"
            " and (churn_risk_by <> 'model' or p_alive is not null)"
            " and (churn_risk = 'unknown') = (churn_risk_by in ('one_order', 'no_model'))"
        ),
    },
)

CLV_PARAMETERS = Contract(
    schema="value",
    table="clv_parameters",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_WORTHY_ORDERS,
        absences.TOO_FEW_FOR_CLV,
    ),
    grain="model, cohort and parameter",
    key=("model", "cohort", "parameter"),
    columns=(
        Column(
            "model",
            "varchar",
            "Which; loss_days: of repeat order days with a margin of 0 or less, if there are any, "
            "the share, the mean margin, and how alike members are in the share",
            accepts=("bg_nbd", "mbg_nbd", "gamma_gamma", "loss_days"),
        ),
        Column("cohort", "varchar", "Whose fit: pooled, or the cohort's value"),
        Column("parameter", "varchar", "As its authors call it; times in weeks"),
        Column("value", "double", "Where the likelihood is highest"),
        Column(
            "ci_low",
            "double",
            "All seven of a fit hold at 95 %, times known to the day; loss_days each alone",
            nullable=True,
        ),
        Column("ci_high", "double", "The upper bound; NULL on a flat ridge", nullable=True),
        Column("standard_error", "double", "Of the logarithm, by the Hessian", nullable=True),
        Column("n_members", "bigint", "Members it was fitted to"),
        Column("log_likelihood", "double", "At the value"),
        Column("converged", "boolean", "The fit converged to a believable optimum"),
        Column("is_ridge", "boolean", "The data do not bound a parameter"),
        Column("is_penalised", "boolean", "A prior held the parameters"),
        Column("message", "varchar", "The outcome in one line"),
    ),
    description="What the models of value.clv were fitted to, and how sure that is.",
    owner=GROWTH,
    claims={"intervals_enclose_their_value": "ci_low is null or value between ci_low and ci_high"},
)

CLV_BACKTEST = Contract(
    schema="value",
    table="clv_backtest",
    grain="number of repeat orders before the holdout",
    key=("bucket",),
    columns=(
        Column("bucket", "varchar", "Repeat order days at the split: 0 to 6, 7+, or all"),
        Column("n_members", "bigint", "Members who had ordered by the split"),
        Column("calibration_orders", "bigint", "Repeat order days before the split"),
        Column("actual_orders", "bigint", "Order days since"),
        Column("expected_orders", "double", "Order days that were expected since"),
        Column(
            "error_rate", "double", "Expected over actual, less one; NULL if none", nullable=True
        ),
        Column("error_rate_low", "double", "Lower bound of what chance alone does", nullable=True),
        Column("error_rate_high", "double", "Upper bound, both at 95 %", nullable=True),
        Column(
            "mae",
            "double",
            "Mean absolute error per member; NULL without one",
            unit="order days",
            nullable=True,
        ),
        Column("actual_value", "double", "Margin of the order days since", _IN_BASE),
        Column("predicted_value", "double", "Margin that was expected of them", _IN_BASE),
        Column(
            "value_error_rate",
            "double",
            "Predicted over actual value, less one; NULL without a margin above 0",
            nullable=True,
        ),
        Column("value_error_rate_low", "double", "Its lower bound, as above", nullable=True),
        Column("value_error_rate_high", "double", "Its upper bound", nullable=True),
        Column("method", "varchar", "Which model would have served then", accepts=METHODS),
        Column(
            "verdict",
            "varchar",
            "Of all members: holds (orders and margin within clv.max_backtest_error), off (beyond "
            "it, more than chance does), or cannot_tell",
            accepts=("holds", "off", "cannot_tell"),
        ),
        Column("reason", "varchar", "Why, in one line"),
    ),
    description=(
        "The forecast as it was clv.holdout_days ago, the fallback's too, against what came since; "
        "the row of all is always there. Orders given back since are none on either side: what was "
        "known of them then is not kept."
    ),
    owner=GROWTH,
    claims={
        "bounds_enclose_the_error": (
            "(error_rate is null or error_rate between error_rate_low and error_rate_high)"
            " and (value_error_rate is null"
            " or value_error_rate between value_error_rate_low and value_error_rate_high)"
        ),
    },
)

CLV_TRACKING = Contract(
    schema="value",
    table="clv_tracking",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_WORTHY_ORDERS,
        absences.TOO_FEW_FOR_CLV,
    ),
    grain="week since the first order",
    key=("week",),
    columns=(
        Column("week", "integer", "From 1"),
        Column("week_date", "date", "Its last day"),
        Column("actual_repeats", "bigint", "Repeat order days so far"),
        Column("expected_repeats", "double", "The same as the model has it"),
        Column("is_holdout", "boolean", "The model was not fitted to it"),
    ),
    description="Cumulative repeat orders against those of the model fitted up to the split.",
    owner=GROWTH,
)

RFM = Contract(
    schema="value",
    table="rfm",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_WORTHY_ORDERS,
    ),
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
    description="Scored by value quantiles; equal values share the best score among them.",
    owner=GROWTH,
    claims={"scores_are_1_to_5": "r between 1 and 5 and f between 1 and 5 and m between 1 and 5"},
)

LIFECYCLE = Contract(
    schema="value",
    table="lifecycle",
    empty_where=(absences.NOBODY_BY_NAME,),
    grain="identified member",
    key=("member_id",),
    columns=(
        MEMBER_ID,
        Column(
            "stage",
            "varchar",
            "Where the member stands by the days since the last order; how likely they come back "
            "is p_alive of value.clv",
            accepts=STAGES,
        ),
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

LIFECYCLE_HISTORY = Contract(
    schema="value",
    table="lifecycle_history",
    empty_where=(absences.NOBODY_BY_NAME,),
    grain="identified member and stage she entered",
    key=("member_id", "entered_date"),
    columns=(
        MEMBER_ID,
        Column("entered_date", "date", "First date at whose midnight she stood in the stage"),
        Column("left_date", "date", "The next stage's entered_date; NULL: now", nullable=True),
        Column("stage", "varchar", "Where she was", accepts=STAGES),
        Column("previous_stage", "varchar", "Where she was before", nullable=True, accepts=STAGES),
        Column(
            "is_cut",
            "boolean",
            "Orders from before their history, see features.tracking, may make it another stage",
        ),
    ),
    description="On each date a member is in one stage: entered_date <= date < left_date.",
    owner=GROWTH,
    claims={"a_stage_lasts_a_day_or_more": "left_date is null or left_date > entered_date"},
)

LIFECYCLE_TRANSITIONS = Contract(
    schema="value",
    table="lifecycle_transitions",
    empty_where=(
        absences.NOBODY_BY_NAME,
        absences.NO_MONTH,
    ),
    grain="month, stage at its start and stage at its end",
    key=("month_date", "from_stage", "to_stage"),
    columns=(
        Column("month_date", "date", "First day of the month"),
        Column("from_stage", "varchar", "Stage at its start", accepts=STAGES),
        Column("to_stage", "varchar", "Stage at its end, or now", accepts=STAGES),
        Column("n_members", "bigint", "Members"),
        share("rate", "Of those in from_stage at the start; NULL if nobody was").optional(),
        Column("is_complete", "boolean", "The month is over"),
        Column(
            "is_cut",
            "boolean",
            "The month begins before the history of orders does, see features.tracking",
        ),
    ),
    description="Every stage against every stage, staying included.",
    owner=GROWTH,
    claims={"rate_is_a_share": "rate is null or rate between 0 and 1"},
)

RETENTION_COHORTS = Contract(
    schema="value",
    table="retention_cohorts",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_ACTIVE_DAYS,
        absences.ALL_ARE_OLDER,
    ),
    grain="segment, cohort, period and mode",
    key=("unit", "segment_column", "segment", "cohort_date", "period", "mode"),
    columns=(
        Column("unit", "varchar", "Length of a period", accepts=UNITS),
        Column("segment_column", "varchar", "all, or the column that shop.yaml names"),
        Column("segment", "varchar", "Its value as of now; unknown where there is none, or all"),
        Column("cohort_date", "date", "First day of the members' first active period"),
        Column("period", "integer", "Periods since, from 0; brackets are numbered from 0"),
        Column(
            "mode",
            "varchar",
            "exact: active in that period; on_or_after: in that or a later one; bracket: in any "
            "period of the bracket; consecutive: in that and every one before",
            accepts=("exact", "on_or_after", "bracket", "consecutive"),
        ),
        Column("bracket_start", "integer", "First period of a bracket", nullable=True),
        Column("bracket_end", "integer", "The period after its last", nullable=True),
        Column("cohort_size", "bigint", "Members of the cohort"),
        Column("retained", "bigint", "Of these, retained; NULL if immature", nullable=True),
        share("rate", "Retained over cohort size; NULL if immature").optional(),
        Column(
            "is_complete",
            "boolean",
            "No later activity can change it: the period, of a bracket its last, is over; of "
            "on_or_after, where members may still come back, all of the cohort are retained too",
        ),
        Column("retained_so_far", "bigint", "Retained as far as is known; it grows until complete"),
        Column(
            "is_cut",
            "boolean",
            "The cohort is from before history, see features.tracking, begins: much is missing",
        ),
    ),
    description="Members, identified or not, of the cohort active in period t over its size.",
    owner=GROWTH,
    claims={
        "rate_is_a_share": "rate is null or rate between 0 and 1",
        "immature_cells_are_null": "is_complete = (rate is not null)",
        "brackets_have_bounds": (
            "(mode = 'bracket') = (bracket_start is not null)"
            " and (bracket_start is null) = (bracket_end is null)"
        ),
    },
)

GROWTH_ACCOUNTING = Contract(
    schema="value",
    table="growth_accounting",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_ACTIVE_DAYS,
    ),
    grain="period",
    key=("unit", "period"),
    columns=(
        Column("unit", "varchar", "Length of a period", accepts=UNITS),
        Column("period", "date", "Its first day"),
        Column("new", "bigint", "Active for the first time"),
        Column("returning", "bigint", "Active in the period before, too"),
        Column(
            "resurrected",
            "bigint",
            "Active, or signed up before history begins, but not active in the period before",
        ),
        Column("went_dormant", "bigint", "Active in the period before, not in this"),
        Column("active", "bigint", "Active in the period"),
        Column("active_before", "bigint", "Active in the period before"),
        Column(
            "quick_ratio",
            "double",
            "New and resurrected over went dormant; NULL if nobody went, it goes on or is cut",
            nullable=True,
        ),
        Column("is_complete", "boolean", "The period is over"),
        Column(
            "is_cut",
            "boolean",
            "History, see features.tracking, begins too late for the row: members are missing",
        ),
        Column(
            "cut_by",
            "varchar",
            "Why: the period begins before history does, or the period before it; NULL: not cut",
            nullable=True,
            accepts=("period", "period_before"),
        ),
    ),
    description="Where active members, identified or not, come from, and where they went.",
    owner=GROWTH,
    claims={
        "active_follows_from_the_period_before": (
            '"active" = active_before + "new" + resurrected - went_dormant'
        ),
        "active_is_the_sum_of_its_parts": '"active" = "new" + "returning" + resurrected',
        "counts_are_not_negative": '"new" >= 0 and resurrected >= 0 and went_dormant >= 0',
        "what_is_cut_has_a_reason_and_no_ratio": (
            "is_cut = (cut_by is not null) and (not is_cut or quick_ratio is null)"
        ),
    },
)

FUNNELS = Contract(
    schema="value",
    table="funnels",
    empty_where=(absences.NO_FUNNELS,),
    grain="funnel and step",
    key=("funnel", "step"),
    columns=(
        Column("funnel", "varchar", "The funnel, as funnels.yaml names it"),
        Column("step", "integer", "From 1"),
        Column("step_name", "varchar", "The step, as funnels.yaml names it"),
        Column("entered", "bigint", "Members at the first step"),
        Column("converted", "bigint", "Members who came as far as this step"),
        share("rate_overall", "Converted over entered; NULL if nobody did").optional(),
        share("rate_step", "Converted over those of the step before").optional(),
        Column(
            "median_seconds",
            "double",
            "From the first step; NULL for it, and if nobody came",
            unit="seconds",
            nullable=True,
        ),
        Column("n_open", "bigint", "Not that far yet, but still within the window"),
    ),
    description="How far members come, each by her best attempt, within the funnel's window.",
    owner=GROWTH,
    claims={
        "no_more_leave_than_entered": "converted <= entered",
        "rates_are_shares": (
            "(rate_overall is null or rate_overall between 0 and 1)"
            " and (rate_step is null or rate_step between 0 and 1)"
        ),
    },
)
