"""What products are about, and what members care for."""

from assets.columns import MEMBER_ID, PRODUCT_ID, TAG, share
from assets.owners import GROWTH
from resources.contract import Column, Contract

PRODUCT_TAGS = Contract(
    schema="tags",
    table="product_tags",
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
    ),
    description="Tags of the catalogue; where it has none, predicted from text or its keywords.",
    owner=GROWTH,
    claims={"score_is_a_share": "score between 0 and 1"},
)

MEMBER_TAGS = Contract(
    schema="tags",
    table="member_tags",
    grain="member and tag",
    key=("member_id", "tag"),
    columns=(
        MEMBER_ID,
        TAG,
        share("score", "Part of her decayed interest, shrunk towards the shop's by the prior"),
        Column("lift", "double", "Score over the shop's average share of the tag"),
        Column("support", "bigint", "Interactions behind it"),
        share("confidence", "Support over support plus the prior weight"),
        Column("first_seen_at", "timestamp", "First interaction", unit="UTC"),
        Column("last_seen_at", "timestamp", "Last interaction", unit="UTC"),
        Column("expires_at", "timestamp", "When it has decayed to a 20th of a view", unit="UTC"),
    ),
    description="Interests by decayed behaviour: how strong, how sure, until when.",
    owner=GROWTH,
    claims={
        "score_is_a_share": "score between 0 and 1",
        "confidence_is_a_share": "confidence between 0 and 1",
        "tags_expire_after_they_were_seen": "expires_at > last_seen_at",
    },
)

BROWSE_TO_BUY = Contract(
    schema="tags",
    table="browse_to_buy",
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
