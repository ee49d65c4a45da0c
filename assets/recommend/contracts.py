"""Models of taste and the lists they make."""

from assets import absences
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
        Column("alpha", "double", "Confidence of a tie of log weight 1"),
        Column("weight_power", "double", "Exponent of the log weight in the confidence"),
        Column("popularity_discount", "double", "Exponent by which popular products count less"),
        Column("iterations", "integer", "Alternations"),
        Column("seed", "bigint", "Seed of the start"),
        Column("n_members", "bigint", "Members with a vector"),
        Column("n_products", "bigint", "Products with a vector"),
        Column("n_interactions", "bigint", "Pairs it was trained on"),
        Column("walk_alpha", "double", "Of the random walk: exponent of every step's probability"),
        Column("walk_beta", "double", "Of the random walk: exponent of the end's popularity"),
        Column("walk_neighbours", "integer", "Of the random walk: ends kept of every product"),
        Column("is_searched", "boolean", "Its settings come from a search, not from shop.yaml"),
        Column(
            "started_from",
            "varchar",
            "The version whose vectors it continued; NULL where it began at random",
            nullable=True,
        ),
        Column("is_published", "boolean", "Lists may be made of it; false until it was tried"),
        Column("decision", "varchar", "Why, or why not; NULL until it was tried", nullable=True),
        Column(
            "als_weight",
            "double",
            "What ALS says in the lists beside the walk; NULL until tried",
            nullable=True,
        ),
        Column(
            "similar_weight",
            "double",
            "What the walk says beside ALS; NULL until tried",
            nullable=True,
        ),
        Column(
            "half_products",
            "double",
            "Products met when taste says as much as popularity; NULL until tried",
            unit="products",
            nullable=True,
        ),
        Column(
            "content_weight",
            "double",
            "What is popular in tags says where popularity says 1; NULL until tried",
            nullable=True,
        ),
        Column(
            "is_repeat_in_place",
            "boolean",
            "The places of products that the member had go to those that they are likeliest to buy"
            " again; NULL until tried",
            nullable=True,
        ),
        Column(
            "repeat_places",
            "integer",
            "Places at most, ahead of all others, for what the member may buy again; NULL until"
            " tried",
            nullable=True,
        ),
        Column(
            "is_by_segment",
            "boolean",
            "Popular means in the member's segment; NULL until tried",
            nullable=True,
        ),
        Column(
            "is_unmet",
            "boolean",
            "Only products are proposed that the member has not met, but to buy again; NULL until"
            " tried",
            nullable=True,
        ),
        Column(
            "popular_days",
            "integer",
            "Popular is what members came to in so many last days; 0: ever, the recent counting"
            " more; NULL until tried",
            unit="days",
            nullable=True,
        ),
        Column(
            "per_category",
            "integer",
            "Products of one category in a list; NULL until tried",
            nullable=True,
        ),
        Column(
            "diversity",
            "double",
            "What a product loses for being like one above it; NULL until tried",
            nullable=True,
        ),
        Column(
            "new_share",
            "double",
            "Share of the places for products that nobody has met; NULL until tried",
            nullable=True,
        ),
        Column(
            "is_fallback",
            "boolean",
            "Lists of it were worse than popularity and gave way to it; NULL until tried",
            nullable=True,
        ),
    ),
    description="ALS models (implicit feedback); factors and id maps are in the model store."
    " Lists are made with the mix and the rules that were tried last, and of the newest model that"
    " is published.",
    owner=GROWTH,
    keeps_history=(
        "One version per run date stays. A model starts from the vectors of the newest "
        "published version before it, which costs a fraction of a new fit, and so ends "
        "elsewhere than one that starts at random."
    ),
)

MODEL_METRICS = Contract(
    schema="recommend",
    table="model_metrics",
    empty_where=(
        absences.NO_EVENTS,
        absences.NOBODY_BY_NAME,
        absences.NO_TASTE,
        absences.NOTHING_TO_MEASURE_BY,
    ),
    grain="model version, split, model, segment, metric and k",
    key=("model_version", "split", "model", "segment", "metric", "k"),
    columns=(
        MODEL_VERSION,
        Column("split", "varchar", "What was held out: temporal"),
        Column(
            "model",
            "varchar",
            "Whose lists: the served ones, exactly as made for today; a source's; or those of the"
            " model that was published before",
            accepts=("als", "similar", "content", "popular", "served", "champion"),
        ),
        Column(
            "segment",
            "varchar",
            "all known members; of these cold (met fewer than 5 products), light, heavy (20 and"
            " more); new_members, of whom nothing was known; new_products, ranked by their tags",
            accepts=("all", "cold", "light", "heavy", "new_members", "new_products"),
        ),
        Column(
            "metric",
            "varchar",
            "recall, ndcg, map, coverage (shares), novelty (bits), diversity (share); of served"
            " lists recall and ndcg count repeats, recall_new and ndcg_new only products that the"
            " member had not ordered; gini, first_ten_share (of the places) and"
            " first_product_share (of the first places) say how much few products hold",
            accepts=(
                "recall",
                "ndcg",
                "map",
                "coverage",
                "novelty",
                "diversity",
                "recall_new",
                "ndcg_new",
                "gini",
                "first_ten_share",
                "first_product_share",
            ),
        ),
        Column("k", "integer", "Length of the list"),
        Column("value", "double", "The model's"),
        Column(
            "baseline",
            "double",
            "Popularity's on the same members; beside served lists popularity after the same rules"
            " of availability; of new products their tags' popularity",
            nullable=True,
        ),
        Column("n_members", "bigint", "Members evaluated"),
    ),
    description="Lists made for the start of the holdout window, against what came inside: those"
    " that are served, after all rules and with repeats; and each source's full ranking of what"
    " members had not met before. Measured on half of the members; the others chose the mix.",
    owner=GROWTH,
    keeps_history=(
        "The figures of every version stay. A model is tried against the one published before it."
    ),
)

SIMILAR_PRODUCTS = Contract(
    schema="recommend",
    table="similar_products",
    empty_where=(
        absences.NO_EVENTS,
        absences.NO_TASTE,
        absences.TOO_LITTLE_SUPPORT,
    ),
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
    keeps_history="They are made with the settings of the walk that was tried last.",
)

MEMBER_PRODUCTS = Contract(
    schema="recommend",
    table="member_products",
    empty_where=(
        absences.NOBODY_BY_NAME,
        absences.NO_PRODUCTS,
        absences.NOTHING_ON_OFFER,
    ),
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
            accepts=("als", "similar", "content", "popular", "repeat"),
        ),
        Column("reason", "varchar", "Why, in words a marketer can use"),
        MODEL_VERSION,
    ),
    description="Up to 20 products for every reachable member, after the shop's rules.",
    owner=GROWTH,
    claims={"rank_is_between_1_and_20": "rank between 1 and 20"},
    keeps_history="They are made with the mix and the rules that were tried last, and of the "
    "newest published model.",
)
