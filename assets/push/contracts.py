"""Whom to message today, with what, and why the others not."""

from assets import absences
from assets.columns import CAMPAIGN_ID, CHANNEL, MEMBER_ID, PRODUCT_ID, RUN_DATE, VERSION, share
from resources.contract import Column, Contract

OPERATIONS = ("content_push", "interaction_marketing", "sales_promotion")
GOALS = ("acquisition", "retention", "conversion", "loyalty")
# In the order of the gates.
REASONS = (
    "erased",
    "no consent",
    "suppressed",
    "no address",
    "not in audience",
    "unfit text",
    "shared address",
    "holdout",
    "frequency cap",
    "quiet hours",
    "budget",
    "lost arbitration",
    "sent",
)
RULE = Column("rule", "varchar", "Which rule, where the reason leaves it open", nullable=True)

CAMPAIGNS = Contract(
    schema="push",
    table="campaigns",
    empty_where=(absences.NO_CAMPAIGNS_DECLARED,),
    grain="campaign",
    key=("campaign_id",),
    columns=(
        CAMPAIGN_ID,
        VERSION,
        Column("operation", "varchar", "The article's kind of operation", accepts=OPERATIONS),
        Column("goal", "varchar", "The lifecycle goal", accepts=GOALS),
        CHANNEL,
        Column("audience_sql", "varchar", "SELECT of member_id over the published tables"),
        Column("template", "varchar", "Text with {variables}: the first arm's, fallback locale"),
        Column("fallback_locale", "varchar", "Locale of the text for whom no other one fits"),
        Column("variables", "varchar[]", "Variables that any of its texts needs, sorted"),
        Column("offer", "varchar", "What is offered, for {offer}", nullable=True),
        Column("priority", "integer", "Higher wins the slot"),
        Column("unit_cost", "decimal(18, 4)", "Cost of one message", unit="base currency"),
        Column("budget", "decimal(18, 4)", "For one run", unit="base currency", nullable=True),
        share("holdout_share", "Part of the audience that is never messaged"),
        Column("variants", "varchar[]", "Names of the variants, at least one"),
        Column("send_hour", "integer", "Local hour; NULL: her best hour", nullable=True),
        Column("quiet_from_hour", "integer", "Local hour: quiet from here"),
        Column("quiet_until_hour", "integer", "To here, over midnight if earlier; equal: never"),
        Column("starts_on", "date", "First run date"),
        Column("ends_on", "date", "Last run date"),
        Column("expires_hours", "integer", "Hours after which it is no longer sent"),
        Column("is_running", "boolean", "The run date lies within its dates"),
        Column("fingerprint", "varchar", "Hash of the declaration"),
    ),
    description="campaigns.yaml as it stands, validated, with the shop's quiet hours filled in.",
    claims={"campaigns_end_after_they_start": "ends_on >= starts_on"},
)

ARMS = Contract(
    schema="push",
    table="arms",
    empty_where=(absences.NO_CAMPAIGNS,),
    grain="campaign and arm",
    key=("campaign_id", "arm"),
    columns=(
        CAMPAIGN_ID,
        Column("arm", "varchar", "holdout, or the variant's name"),
        Column("first_bucket", "integer", "First of its buckets, from 0"),
        Column("n_buckets", "integer", "How many of the 10,000 buckets fall to it"),
        share("propensity", "Probability of this arm"),
    ),
    description="How a campaign's members are split: the arms' buckets tile 0 to 9999.",
    claims={"buckets_are_between_0_and_9999": "first_bucket + n_buckets between 1 and 10000"},
)

TEMPLATES = Contract(
    schema="push",
    table="templates",
    empty_where=(absences.NO_CAMPAIGNS,),
    grain="campaign, arm and locale",
    key=("campaign_id", "arm", "locale"),
    columns=(
        CAMPAIGN_ID,
        Column("arm", "varchar", "The variant"),
        Column("locale", "varchar", "BCP 47 locale of the text; und: not said"),
        Column("template", "varchar", "Text with {variables}"),
        Column("variables", "varchar[]", "Variables in the text, sorted"),
    ),
    description="What is written, per arm and locale.",
)

CAPS = Contract(
    schema="push",
    table="caps",
    empty_where=(
        absences.NO_CAMPAIGNS,
        absences.NO_CAPS,
    ),
    grain="campaign and rule that binds it",
    key=("campaign_id", "rule"),
    columns=(
        CAMPAIGN_ID,
        Column("rule", "varchar", "The rule in words"),
        Column(
            "counts",
            "varchar",
            "Which messages count: all, those on its channel, its own",
            accepts=("all", "channel", "campaign"),
        ),
        Column("messages", "integer", "At most so many"),
        Column("days", "integer", "Within so many calendar days of the member's zone"),
    ),
    description="Frequency caps of the shop and of the campaign; every one of them holds.",
)

AUDIENCES = Contract(
    schema="push",
    table="audiences",
    empty_where=(
        absences.NO_CAMPAIGNS,
        absences.NONE_RUNNING,
        absences.NO_AUDIENCE,
    ),
    grain="campaign and member",
    key=("campaign_id", "member_id"),
    columns=(CAMPAIGN_ID, MEMBER_ID),
    description="Whom each running campaign's audience SQL selects.",
    keeps_history="A campaign may ask of tables that keep history.",
)

VARIABLES = Contract(
    schema="push",
    table="variables",
    empty_where=(absences.NOBODY_BY_NAME,),
    grain="identified member",
    key=("member_id",),
    columns=(
        MEMBER_ID,
        PRODUCT_ID.optional(),
        Column("product_title", "varchar", "The first recommended that fits", nullable=True),
        Column("product_reason", "varchar", "Why it was recommended", nullable=True),
        Column("tag", "varchar", "The product's tag that sets the member apart", nullable=True),
        Column("stage", "varchar", "Her lifecycle stage", nullable=True),
        Column("days_since_last_order", "varchar", "As of the run; none yet: NULL", nullable=True),
        Column("missing", "varchar[]", "Names of the variables that have no value for her"),
        Column("with_braces", "varchar[]", "Of those whose value holds a brace"),
        Column("without_meaning", "varchar[]", "Of those whose value is blank, None, nan, …"),
    ),
    description="What a template can say of her.",
    keeps_history="They name products of recommend.member_products.",
)

ELIGIBILITY = Contract(
    schema="push",
    table="eligibility",
    empty_where=(
        absences.NOBODY_BY_NAME,
        absences.NO_CAMPAIGNS,
        absences.NONE_RUNNING,
    ),
    grain="running campaign and identified member",
    key=("campaign_id", "member_id"),
    columns=(
        CAMPAIGN_ID,
        MEMBER_ID,
        Column("reason", "varchar", "First gate that shut; NULL: eligible", nullable=True),
        RULE,
    ),
    description=(
        "The gates before the arm: erasure, consent, suppression, address, audience, text, and one "
        "member for each address. Whom a text has nothing to say to counts as outside the audience."
    ),
    keeps_history="It is made of push.audiences and push.variables.",
)

ASSIGNMENTS = Contract(
    schema="push",
    table="assignments",
    empty_where=(
        absences.NO_CAMPAIGNS,
        absences.NONE_RUNNING,
        absences.NOBODY_CHOSEN,
        absences.NOBODY_LEFT,
    ),
    grain="campaign and member",
    key=("campaign_id", "member_id"),
    columns=(
        CAMPAIGN_ID,
        MEMBER_ID,
        VERSION,
        Column("bucket", "integer", "0 to 9999, from a salted hash; of an address the first one's"),
        Column("arm", "varchar", "holdout, or the variant's name"),
        share("propensity", "Probability of this arm"),
        Column("assigned_at", "timestamp", "As-of instant of the run that assigned", unit="UTC"),
    ),
    description="Both arms have passed the same gates; an assignment never changes.",
    claims={
        "bucket_is_between_0_and_9999": "bucket between 0 and 9999",
        "propensity_is_a_share": "propensity > 0 and propensity <= 1",
    },
    keeps_history=(
        "A member's arm is drawn once and stands for good, else no lift could be measured."
    ),
)

DECISIONS = Contract(
    schema="push",
    table="decisions",
    empty_where=(
        absences.NO_CAMPAIGNS,
        absences.NONE_RUNNING,
        absences.NOBODY_CHOSEN,
    ),
    grain="campaign, member and run",
    key=("run_date", "campaign_id", "member_id"),
    columns=(
        RUN_DATE,
        CAMPAIGN_ID,
        VERSION,
        MEMBER_ID,
        Column(
            "outcome",
            "varchar",
            "What was decided",
            accepts=("sent", "held", "refused", "deferred", "blocked"),
        ),
        Column("reason", "varchar", "Why: the first gate that shut", accepts=REASONS),
        RULE,
        Column("arm", "varchar", "Her arm, if she got that far", nullable=True),
        CHANNEL,
        Column("slot", "varchar", "Her local date, of which a channel has one", nullable=True),
        Column("send_at", "timestamp", "When it is due", unit="UTC", nullable=True),
    ),
    description="One row per candidate, so that 'why did she not get it' has an answer.",
    claims={
        "sent_is_sent_and_held_is_holdout": (
            "(outcome = 'sent') = (reason = 'sent') and (outcome = 'held') = (reason = 'holdout')"
        ),
        "blocked_is_of_an_unfit_text": "(outcome = 'blocked') = (reason = 'unfit text')",
        "sent_messages_have_a_time": (
            "(outcome = 'sent') = (slot is not null and send_at is not null)"
        ),
    },
    keeps_history="What each run decided is a record, and caps count what earlier runs sent.",
)

PUSH_LIST = Contract(
    schema="push",
    table="push_list",
    empty_where=(
        absences.NO_CAMPAIGNS,
        absences.NONE_RUNNING,
        absences.NOBODY_CHOSEN,
        absences.NOBODY_LEFT,
    ),
    grain="message to send",
    key=("dedupe_key",),
    columns=(
        Column("dedupe_key", "varchar", "sha256 of campaign, version, member, channel and slot"),
        RUN_DATE,
        CAMPAIGN_ID,
        VERSION,
        MEMBER_ID,
        CHANNEL,
        Column("slot", "varchar", "Her local date, of which a channel has one"),
        Column("arm", "varchar", "The variant"),
        PRODUCT_ID.optional(),
        Column("template", "varchar", "Text with {variables}"),
        Column("variables", "varchar", "JSON of the values for the template"),
        Column("locale", "varchar", "BCP 47 locale to write in"),
        Column("send_at", "timestamp", "When it is due", unit="UTC"),
        Column("unit_cost", "decimal(18, 4)", "Cost of one message", unit="base currency"),
        Column("expires_at", "timestamp", "After this it is no longer sent", unit="UTC"),
    ),
    description="The outbound list: consented, capped, in the right hour, once.",
    claims={"messages_expire_after_they_are_due": "expires_at > send_at"},
    keeps_history="What each run handed out is a record.",
)
