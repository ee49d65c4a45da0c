"""What a template can say of a member."""

import datetime as dt

import pytest

import assets.clean.contracts as clean
import assets.recommend.contracts as recommend
import assets.tags.contracts as tags
import assets.value.contracts as value
from assets.push import contracts

LOAD_DATE = dt.date(2026, 9, 14)
LATER = dt.datetime(2027, 1, 1)  # noqa: DTZ001
BEFORE = dt.datetime(2026, 9, 1)  # noqa: DTZ001
EVERYTHING = ["product_title", "product_reason", "tag", "stage", "days_since_last_order"]


@pytest.fixture
def sources(tables):
    """The tables behind the variables, with one member of whom nothing is known."""
    tables.given(clean.MEMBERS, [{"member_id": 1, "is_identified": True}])
    for contract in (
        clean.PRODUCTS,
        recommend.MEMBER_PRODUCTS,
        tags.MEMBER_TAGS,
        tags.PRODUCT_TAGS,
        tags.PRODUCTS,
        value.LIFECYCLE,
    ):
        tables.given(contract)
    return tables


def test_of_whom_nothing_is_known_everything_is_missing(sources):
    (row,) = sources.run(contracts.VARIABLES, LOAD_DATE)
    assert row["missing"] == EVERYTHING
    assert all(row[name] is None for name in EVERYTHING)


def test_the_first_recommendation_and_the_strongest_tag_are_said(sources):
    sources.given(
        recommend.MEMBER_PRODUCTS,
        [
            {"member_id": 1, "rank": 2, "product_id": "p2", "reason": "second"},
            {"member_id": 1, "rank": 1, "product_id": "p1", "reason": "because of 绿茶"},
        ],
    )
    sources.given(
        clean.PRODUCTS,
        [{"product_id": "p1", "title": " 龙井 "}, {"product_id": "p2", "title": "普洱"}],
    )
    sources.given(
        tags.MEMBER_TAGS,
        [
            {"member_id": 1, "tag": "茶", "rank": 3, "score": 0.9, "expires_at": LATER},
            {"member_id": 1, "tag": "咖啡", "rank": 2, "score": 0.4, "expires_at": LATER},
            {"member_id": 1, "tag": "旧", "rank": 1, "score": 0.9, "expires_at": BEFORE},
        ],
    )
    sources.given(
        tags.PRODUCT_TAGS,
        [
            {"product_id": "p1", "tag": "茶", "score": 1},
            {"product_id": "p1", "tag": "咖啡", "score": 0.5},
            {"product_id": "p1", "tag": "旧", "score": 1},
        ],
    )
    sources.given(
        value.LIFECYCLE, [{"member_id": 1, "stage": "active", "days_since_last_order": 12}]
    )
    assert sources.run(contracts.VARIABLES, LOAD_DATE) == [
        {
            "member_id": 1,
            "product_id": "p1",
            "product_title": "龙井",
            "product_reason": "because of 绿茶",
            "tag": "咖啡",
            "stage": "active",
            "days_since_last_order": "12",
            "missing": [],
            "with_braces": [],
            "without_meaning": [],
        }
    ]
    assert sources.offending(contracts.VARIABLES) == {}


@pytest.mark.parametrize("title", [None, "", "  "])
def test_a_product_without_a_title_has_none(sources, title):
    sources.given(
        recommend.MEMBER_PRODUCTS,
        [{"member_id": 1, "rank": 1, "product_id": "p1", "reason": "popular"}],
    )
    sources.given(clean.PRODUCTS, [{"product_id": "p1", "title": title}])
    (row,) = sources.run(contracts.VARIABLES, LOAD_DATE)
    assert "product_title" in row["missing"]
    assert "product_reason" not in row["missing"]


def test_anonymous_members_are_left_out(sources):
    sources.given(clean.MEMBERS, [{"member_id": 2, "is_identified": False}])
    assert [row["member_id"] for row in sources.run(contracts.VARIABLES, LOAD_DATE)] == [1]


@pytest.fixture
def sensitive(sources):
    """Product p1, 孕妇枕, carries the sensitive tag 孕妈; p2 and p3 carry none that is."""
    sources.given(
        clean.PRODUCTS,
        [
            {"product_id": "p1", "title": " 孕妇枕 "},
            {"product_id": "p2", "title": "普洱"},
            {"product_id": "p3", "title": "孕妈瑜伽垫"},
        ],
    )
    sources.given(
        tags.PRODUCT_TAGS,
        [
            {"product_id": "p1", "tag": "孕妈", "is_sensitive": True},
            {"product_id": "p1", "tag": "枕头"},
            {"product_id": "p2", "tag": "茶"},
        ],
    )
    sources.given(
        tags.PRODUCTS,
        [
            {
                "product_id": product_id,
                "is_sensitive": product_id != "p2",
                "sensitive_term": "孕" if product_id != "p2" else None,
            }
            for product_id in ("p1", "p2", "p3")
        ],
    )
    return sources


def test_a_sensitive_tag_is_not_said_however_strong(sensitive):
    sensitive.given(
        tags.MEMBER_TAGS,
        [
            {"member_id": 1, "tag": "孕妈", "rank": 1, "expires_at": LATER, "is_sensitive": True},
            {"member_id": 1, "tag": "茶", "rank": 2, "expires_at": LATER},
        ],
    )
    (row,) = sensitive.run(contracts.VARIABLES, LOAD_DATE)
    assert row["tag"] == "茶"


@pytest.mark.parametrize(
    ("product_id", "reason"),
    [
        ("p1", "popular with all members"),
        ("p2", "because you viewed 孕妇枕"),
        ("p2", "popular in 孕妈"),
        ("p3", "popular with all members"),
        ("p2", "because you put 孕妇枕 in your cart"),
    ],
    ids=["its product", "because of its product", "because of it", "in the title", "in her cart"],
)
def test_no_product_or_reason_betrays_a_sensitive_tag(sensitive, product_id, reason):
    sensitive.given(
        recommend.MEMBER_PRODUCTS,
        [{"member_id": 1, "rank": 1, "product_id": product_id, "reason": reason}],
    )
    (row,) = sensitive.run(contracts.VARIABLES, LOAD_DATE)
    assert {"product_title", "product_reason"} <= set(row["missing"])
    sensitive.given(
        recommend.MEMBER_PRODUCTS,
        [
            {"member_id": 1, "rank": 3, "product_id": "p2", "reason": "third"},
            {"member_id": 1, "rank": 2, "product_id": "p2", "reason": "popular in 茶"},
        ],
    )
    (row,) = sensitive.run(contracts.VARIABLES, LOAD_DATE)
    assert (row["product_title"], row["product_reason"]) == ("普洱", "popular in 茶")


def listed(sources, *products: tuple[str, dict[str, float]]) -> None:
    """Gives member 1 a list of products, best first, each with its tags and their scores."""
    for rank, (product_id, its_tags) in enumerate(products, 1):
        sources.given(
            recommend.MEMBER_PRODUCTS,
            [{"member_id": 1, "rank": rank, "product_id": product_id, "reason": "popular"}],
        )
        sources.given(clean.PRODUCTS, [{"product_id": product_id, "title": product_id.upper()}])
        sources.given(
            tags.PRODUCT_TAGS,
            [{"product_id": product_id, "tag": tag, "score": its_tags[tag]} for tag in its_tags],
        )


def cares(sources, *names: str) -> None:
    """Gives member 1 interests, the strongest first."""
    sources.given(
        tags.MEMBER_TAGS,
        [
            {"member_id": 1, "tag": name, "rank": rank, "expires_at": LATER}
            for rank, name in enumerate(names, 1)
        ],
    )


@pytest.mark.parametrize(
    ("interests", "products", "expected"),
    [
        # The best product that serves an interest, and of its tags the member's strongest.
        (
            ["跑步", "护肤", "茶"],
            [("cream", {"眼霜": 1}), ("tea", {"茶": 1, "护肤": 0.2}), ("shoe", {"跑步": 1})],
            ("tea", "护肤"),
        ),
        # None serves one: the first with a tag, and its own strongest.
        (["跑步"], [("x", {}), ("cream", {"b": 1, "眼霜": 0.5, "a": 1})], ("cream", "a")),
        # None has a tag: no tag is said of it.
        (["跑步"], [("x", {}), ("y", {})], ("x", None)),
        ([], [("cream", {"眼霜": 1})], ("cream", "眼霜")),
        # No product: the strongest interest.
        (["跑步", "茶"], [], (None, "跑步")),
    ],
)
def test_tag_and_product_belong_together(sources, interests, products, expected):
    listed(sources, *products)
    cares(sources, *interests)
    (row,) = sources.run(contracts.VARIABLES, LOAD_DATE)
    assert (row["product_id"], row["tag"]) == expected


@pytest.mark.parametrize(
    ("title", "with_braces", "without_meaning"),
    [
        ("tea {50g}", ["product_title"], []),
        ("茶｛50g", ["product_title"], []),
        ("None", [], ["product_title"]),
        ("nan", [], ["product_title"]),
        ("nan bread", [], []),
        ("\u200b", [], ["product_title"]),
    ],
)
def test_a_value_that_cannot_be_sent_is_named(sources, title, with_braces, without_meaning):
    listed(sources, ("p", {"茶": 1}))
    sources.session.execute("update clean.products set title = $title", {"title": title})
    (row,) = sources.run(contracts.VARIABLES, LOAD_DATE)
    assert (row["with_braces"], row["without_meaning"]) == (with_braces, without_meaning)
