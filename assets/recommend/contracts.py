"""Models of taste and the lists they make."""

from assets.columns import MEMBER_ID, MODEL_VERSION, PRODUCT_ID
from assets.owners import GROWTH
from resources.contract import Column, Contract

ALS_MODEL = Contract(
    schema="recommend",
    table="als_model",
    grain="model version",
    key=("model_version",),
    columns=(
        MODEL_VERSION,
        Column("trained_as_of", "timestamp", "What it has seen ends here", unit="UTC"),
        Column("factors", "integer", "Latent dimensions"),
        Column("regularization", "double", "L2 penalty, as a share of the largest singular value"),
        Column("alpha", "double", "Confidence per unit of log weight"),
        Column("iterations", "integer", "Alternations"),
        Column("seed", "bigint", "Seed of the start"),
        Column("n_members", "bigint", "Members with a vector"),
        Column("n_products", "bigint", "Products with a vector"),
        Column("n_interactions", "bigint", "Pairs it was trained on"),
        Column("is_searched", "boolean", "Its settings come from a search, not from shop.yaml"),
        Column(
            "started_from",
            "varchar",
            "The version whose vectors it continued; NULL where it began at random",
            nullable=True,
        ),
        Column("is_published", "boolean", "Lists may be made of it; false until it was tried"),
        Column("decision", "varchar", "Why, or why not; NULL until it was tried", nullable=True),
    ),
    description="ALS models (implicit feedback); factors and id maps are in the model store."
    " Lists are made of the newest that is published.",
    owner=GROWTH,
)

MODEL_METRICS = Contract(
    schema="recommend",
    table="model_metrics",
    grain="model version, split, metric and k",
    key=("model_version", "split", "metric", "k"),
    columns=(
        MODEL_VERSION,
        Column("split", "varchar", "What was held out: temporal"),
        Column("metric", "varchar", "recall, ndcg, map or coverage"),
        Column("k", "integer", "Length of the list"),
        Column("value", "double", "The model's"),
        Column("baseline", "double", "Popularity's on the same members"),
        Column(
            "champion",
            "double",
            "The value of the version that was published before; NULL where there is none to try",
            nullable=True,
        ),
        Column("n_members", "bigint", "Members evaluated"),
    ),
    description="Full ranking of what she had not met before the holdout window.",
    owner=GROWTH,
)

SIMILAR_PRODUCTS = Contract(
    schema="recommend",
    table="similar_products",
    grain="product and rank",
    key=("product_id", "rank"),
    columns=(
        PRODUCT_ID,
        Column("rank", "integer", "From 1, most similar first"),
        Column("similar_product_id", "varchar", "The other product"),
        Column(
            "score",
            "double",
            "Share, 0 to 1, of the product's members who met the other too; members with many"
            " products count less, and so does another that is popular with all",
        ),
        Column("support", "bigint", "Members in common, each by her strongest products"),
    ),
    description="Item-item random walk (RP3beta) with minimum support.",
    owner=GROWTH,
)

MEMBER_PRODUCTS = Contract(
    schema="recommend",
    table="member_products",
    grain="member and rank",
    key=("member_id", "rank"),
    columns=(
        MEMBER_ID,
        Column("rank", "integer", "From 1, best first"),
        PRODUCT_ID,
        Column("score", "double", "Sum of shares of places; comparable within one list"),
        Column(
            "source",
            "varchar",
            "What proposed it",
            accepts=("als", "similar", "content", "popular"),
        ),
        Column("reason", "varchar", "Why, in words a marketer can use"),
        MODEL_VERSION,
    ),
    description="Up to 20 products for every reachable member, after the shop's rules.",
    owner=GROWTH,
    claims={"rank_is_between_1_and_20": "rank between 1 and 20"},
)
