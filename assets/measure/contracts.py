"""What the messages achieved."""

from assets import absences
from assets.columns import CAMPAIGN_ID, money, share
from resources.contract import Column, Contract

CAMPAIGN_LIFT = Contract(
    schema="measure",
    table="campaign_lift",
    empty_where=(
        absences.NO_CAMPAIGNS,
        absences.NOBODY_ASSIGNED,
    ),
    grain="campaign, arm and metric",
    key=("campaign_id", "arm", "metric"),
    columns=(
        CAMPAIGN_ID,
        Column("arm", "varchar", "The variant that is held against the holdout"),
        Column("metric", "varchar", "What counts as converted", accepts=("order",)),
        Column("assigned", "bigint", "Members of the arm, messaged or not, whose window is over"),
        Column("converted", "bigint", "Of these, with an order of net revenue above 0 in it"),
        share("rate", "Converted over assigned").optional(),
        Column("waiting", "bigint", "Assigned too, but their window is open: not counted yet"),
        Column("holdout_assigned", "bigint", "Members held out whose window is over"),
        Column("holdout_converted", "bigint", "Of these, ordered within the window"),
        Column("lift", "double", "Difference of the rates", nullable=True),
        Column("ci_low", "double", "Newcombe's 95 % interval, lower end", nullable=True),
        Column("ci_high", "double", "Newcombe's 95 % interval, upper end", nullable=True),
        Column("p_value", "double", "Two-sided, pooled z test", nullable=True),
        money("cost", "Messages within the window times unit cost"),
        money("revenue", "Net revenue of the arm within the window"),
        Column("roi", "double", "Incremental revenue less cost, over cost", nullable=True),
    ),
    description=(
        "Intention to treat: all assigned members, delivered to or not, after measure.window_days."
    ),
    keeps_history="It measures what push.assignments and push.push_list record.",
)
