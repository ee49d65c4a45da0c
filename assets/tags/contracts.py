"""What products are about, and what members care for."""

from assets import absences
from assets.columns import MEMBER_ID, MODEL_VERSION, PRODUCT_ID, TAG, share
from assets.owners import GROWTH
from resources.contract import Column, Contract


def _preferred(name: str) -> Column:
    return share(f"{name}_share", f"Part of hers that the {name} holds").optional()


def _support(name: str) -> Column:
    return Column(f"{name}_support", "bigint", f"Interactions behind the {name}")


IS_SENSITIVE = Column(
    "is_sensitive", "boolean", "Of health, money or children by shop.yaml: never in a message"
)

PRODUCT_TAGS = Contract(
    schema="tags",
    table="product_tags",
    empty_where=(
        absences.NO_PRODUCTS,
        absences.NO_TAGS,
    ),
    grain="product and tag",
    key=("product_id", "tag"),
    columns=(
        PRODUCT_ID,
        TAG,
        share("score", "1 for the shop's own tags, the model's probability, or a keyword's weight"),
        Column(
            "source",
            "varchar",
            "Who says so",
            accepts=("catalogue", "predicted", "keyword"),
        ),
        IS_SENSITIVE,
    ),
    description="Tags of the catalogue; where it has none, predicted from text or its keywords.",
    owner=GROWTH,
    claims={"score_is_a_share": "score between 0 and 1"},
)

PRODUCTS = Contract(
    schema="tags",
    table="products",
    empty_where=(absences.NO_PRODUCTS,),
    grain="product or content",
    key=("product_id",),
    columns=(
        PRODUCT_ID,
        IS_SENSITIVE,
        Column("sensitive_term", "varchar", "A term of shop.yaml, or the tag", nullable=True),
        Column("sensitive_in", "varchar[]", "Where: category, brand, title, description, tag"),
    ),
    description=(
        "Which products no message, reason or audience may tell of: a text of theirs holds a term "
        "of interest.sensitive_tags, or they carry a sensitive tag."
    ),
    owner=GROWTH,
    claims={
        "sensitive_products_say_why": (
            "is_sensitive = (sensitive_term is not null) and is_sensitive = (len(sensitive_in) > 0)"
        ),
    },
)

TAG_METRICS = Contract(
    schema="tags",
    table="tag_metrics",
    empty_where=(
        absences.NO_PRODUCTS,
        absences.NO_TAGS,
        absences.FEW_TAGS,
    ),
    grain="model, scope and tag",
    key=("model", "scope", "tag"),
    columns=(
        Column(
            "model",
            "varchar",
            "What tags texts; the naive Bayes is the baseline",
            accepts=("char_ngrams_ridge", "word_counts_naive_bayes"),
        ),
        Column("scope", "varchar", "One tag, or all together", accepts=("tag", "overall")),
        Column("tag", "varchar", "The tag; empty overall"),
        Column("as_of", "timestamp", "As-of instant of the run that judged", unit="UTC"),
        Column("n_texts", "bigint", "Distinct tagged texts"),
        Column("support", "bigint", "Texts that have the tag; overall, tags of all texts"),
        Column("n_given", "bigint", "Times the tag was predicted"),
        Column("n_right", "bigint", "Of these, rightly"),
        share("precision", "Right of the predicted; NULL where none was").optional(),
        share("recall", "Right of the true ones"),
        share("coverage", "Texts that were given any tag; NULL by tag").optional(),
        share(
            "threshold",
            "Probability from which on it is given, median of the folds; NULL: seldom, or overall",
        ).optional(),
    ),
    description=(
        "How well text tells the catalogue's tags, by three folds for model and baseline alike; "
        "vocabulary, weights and thresholds come from the other folds alone. Empty with too few "
        "tagged texts."
    ),
    owner=GROWTH,
    claims={
        "counts_are_consistent": "n_right <= n_given and n_right <= support",
        "rates_are_shares": (
            "recall between 0 and 1 and coalesce(precision, 0) between 0 and 1"
            " and coalesce(coverage, 0) between 0 and 1"
        ),
        "only_the_overall_row_has_no_tag": "(scope = 'overall') = (tag = '')",
    },
)

MEMBER_TAGS = Contract(
    schema="tags",
    table="member_tags",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_TASTE,
        absences.NO_PRODUCT_TAGS,
    ),
    grain="member and tag",
    key=("member_id", "tag"),
    columns=(
        MEMBER_ID,
        TAG,
        share("score", "Part of her decayed interest, shrunk towards the shop's by the prior"),
        Column("lift", "double", "Score over the shop's average share of the tag"),
        Column("rank", "integer", "From 1: what sets her apart most, surely"),
        Column("support", "bigint", "Interactions behind it"),
        share("confidence", "Support over support plus the prior weight"),
        Column("first_seen_at", "timestamp", "First interaction", unit="UTC"),
        Column("last_seen_at", "timestamp", "Last interaction", unit="UTC"),
        Column("expires_at", "timestamp", "When it has decayed to a 20th of a view", unit="UTC"),
        IS_SENSITIVE,
    ),
    description="Interests by decayed behaviour: how strong, how sure, until when.",
    owner=GROWTH,
    claims={
        "score_is_a_share": "score between 0 and 1",
        "confidence_is_a_share": "confidence between 0 and 1",
        "tags_expire_after_they_were_seen": "expires_at > last_seen_at",
        "rank_is_between_1_and_20": "rank between 1 and 20",
    },
)

MEMBER_PREFERENCES = Contract(
    schema="tags",
    table="member_preferences",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_ACTIVE_DAYS,
    ),
    grain="member with behaviour",
    key=("member_id",),
    columns=(
        MEMBER_ID,
        Column(
            "price_band",
            "varchar",
            "Of her products' prices among the catalogue's",
            nullable=True,
            accepts=("low", "middle", "high"),
        ),
        _preferred("price_band"),
        _support("price_band"),
        Column("brand", "varchar", "Brand of most of her interest", nullable=True),
        _preferred("brand"),
        _support("brand"),
        Column("category", "varchar", "Category of most of her interest", nullable=True),
        _preferred("category"),
        _support("category"),
        Column("best_hour", "integer", "Hour of hers that she orders in", nullable=True),
        share("best_hour_share", "Part of her orders in it; NULL without orders").optional(),
        Column(
            "best_hour_support",
            "bigint",
            "Orders placed in it (not cancelled); 0: taken from sessions",
        ),
        Column("channel", "varchar", "Channel that she orders by", nullable=True),
        share("channel_share", "Part of her orders by it, else of her sessions").optional(),
        Column(
            "channel_support",
            "bigint",
            "Orders placed by it (not cancelled); 0: taken from sessions",
        ),
    ),
    description=(
        "What she prefers when she buys: the strongest of each kind, the part of hers that it "
        "holds, and how much speaks for it."
    ),
    owner=GROWTH,
    claims={
        f"{name}_has_its_share_and_support": (
            f"({name} is null) = ({name}_share is null) and ({name} is null) = ({name}_support = 0)"
            f" and coalesce({name}_share, 1) > 0 and coalesce({name}_share, 1) <= 1"
        )
        for name in ("price_band", "brand", "category")
    }
    | {
        "hour_is_an_hour": "coalesce(best_hour, 0) between 0 and 23",
        "orders_by_hour_and_channel_have_a_share": (
            "(best_hour_support = 0) = (best_hour_share is null)"
            " and (channel_support = 0 or channel_share is not null)"
        ),
    },
)

BROWSE_TO_BUY = Contract(
    schema="tags",
    table="browse_to_buy",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_TASTE,
    ),
    grain="product or tag",
    key=("kind", "subject"),
    columns=(
        Column("kind", "varchar", "product or tag", accepts=("product", "tag")),
        Column("subject", "varchar", "The product's id or the tag"),
        Column("n_browsers", "bigint", "Members who viewed it"),
        Column("n_buyers", "bigint", "Of these, members who bought it"),
        share("p_buy_given_browse", "P(buy | browse), by Bayes on counts with a Beta prior"),
        share("ci_low", "Lower end of the 95 % interval"),
        share("ci_high", "Upper end of the 95 % interval"),
    ),
    description="How likely a browser is to buy.",
    owner=GROWTH,
    claims={
        "interval_holds_the_estimate": "p_buy_given_browse between ci_low and ci_high",
        "buyers_are_browsers": "n_buyers <= n_browsers",
    },
)

PURCHASE_PROPENSITY = Contract(
    schema="tags",
    table="purchase_propensity",
    empty_where=(absences.NOBODY_BY_NAME,),
    grain="identified member",
    key=("member_id",),
    columns=(
        MEMBER_ID,
        share("p_buy", "Probability that she orders in the 7 days from the run date, calibrated"),
        Column("decile", "integer", "Tenth of the members by p_buy, 10 the most probable"),
        Column(
            "method",
            "varchar",
            "What made it; base_rate where data are too few or no model is better",
            accepts=("base_rate", "logistic", "boosting"),
        ),
        MODEL_VERSION,
    ),
    description="Who is about to order, learnt from past weeks and from what lay before each.",
    owner=GROWTH,
    claims={
        "p_buy_is_a_probability": "p_buy > 0 and p_buy < 1",
        "decile_is_1_to_10": "decile between 1 and 10",
    },
)

PROPENSITY_METRICS = Contract(
    schema="tags",
    table="propensity_metrics",
    empty_where=(
        absences.NO_EVENTS,
        absences.NOBODY_BY_NAME,
        absences.TOO_YOUNG_FOR_WEEKS,
    ),
    grain="model version, model, split and metric",
    key=("model_version", "model", "split", "metric"),
    columns=(
        MODEL_VERSION,
        Column(
            "model",
            "varchar",
            "What was tried: three baselines and two models",
            accepts=("base_rate", "recency", "bayes", "logistic", "boosting"),
        ),
        Column("split", "varchar", "Tried on the newest week that is over", accepts=("test",)),
        Column(
            "metric",
            "varchar",
            "Of probabilities of an order",
            accepts=("auc", "pr_auc", "log_loss", "brier", "mean_p_buy", "order_rate"),
        ),
        Column("value", "double", "The metric's value"),
        Column("n_members", "bigint", "Members it was tried on"),
        Column("n_buyers", "bigint", "Of these, members who ordered"),
        Column("is_published", "boolean", "Chosen for purchase_propensity"),
    ),
    description="How well orders of a week were foreseen; every version keeps its rows.",
    owner=GROWTH,
    keeps_history="The figures of every run date stay, so that models can be compared over time.",
)
