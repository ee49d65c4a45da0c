"""What a template can say of a member."""

import datetime as dt

import pytest

import assets.clean.contracts as clean
import assets.raw.contracts as raw
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
        raw.PRODUCTS,
        recommend.MEMBER_PRODUCTS,
        tags.MEMBER_TAGS,
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
        raw.PRODUCTS,
        [{"product_id": "p1", "title": " 龙井 "}, {"product_id": "p2", "title": "普洱"}],
    )
    sources.given(
        tags.MEMBER_TAGS,
        [
            {"member_id": 1, "tag": "茶", "score": 0.4, "expires_at": LATER},
            {"member_id": 1, "tag": "咖啡", "score": 0.4, "expires_at": LATER},
            {"member_id": 1, "tag": "旧", "score": 0.9, "expires_at": BEFORE},
        ],
    )
    sources.given(
        value.LIFECYCLE, [{"member_id": 1, "stage": "active", "days_since_last_order": 12}]
    )
    assert sources.run(contracts.VARIABLES, LOAD_DATE) == [
        {
            "member_id": 1,
            "product_title": "龙井",
            "product_reason": "because of 绿茶",
            "tag": "咖啡",
            "stage": "active",
            "days_since_last_order": "12",
            "missing": [],
        }
    ]
    assert sources.offending(contracts.VARIABLES) == {}


@pytest.mark.parametrize("title", [None, "", "  "])
def test_a_product_without_a_title_has_none(sources, title):
    sources.given(
        recommend.MEMBER_PRODUCTS,
        [{"member_id": 1, "rank": 1, "product_id": "p1", "reason": "popular"}],
    )
    sources.given(raw.PRODUCTS, [{"product_id": "p1", "title": title}])
    (row,) = sources.run(contracts.VARIABLES, LOAD_DATE)
    assert "product_title" in row["missing"]
    assert "product_reason" not in row["missing"]


def test_anonymous_members_are_left_out(sources):
    sources.given(clean.MEMBERS, [{"member_id": 2, "is_identified": False}])
    assert [row["member_id"] for row in sources.run(contracts.VARIABLES, LOAD_DATE)] == [1]
