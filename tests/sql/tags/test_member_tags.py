"""Interests: strength, shrinkage, lift, confidence, and when they end."""

import datetime as dt

import pytest

from assets.features.contracts import MEMBER_PRODUCTS
from assets.tags.contracts import MEMBER_TAGS, PRODUCT_TAGS

LOAD_DATE = dt.date(2026, 3, 31)
# Midnight in Shanghai after the load date.
AS_OF = dt.datetime(2026, 3, 31, 16)  # noqa: DTZ001
LAST_SEEN = AS_OF - dt.timedelta(days=30)
K = 10


@pytest.fixture
def run(tables):
    """Runs member_tags on weights by member and product, and scores by product and tag."""

    def make(weights, scores, counts=None, sensitive=()):
        tables.given(
            MEMBER_PRODUCTS,
            [
                {
                    "member_id": member_id,
                    "product_id": product_id,
                    "weight": weight,
                    "n_views": 1,
                    "first_at": LAST_SEEN,
                    "last_at": LAST_SEEN,
                    **(counts or {}),
                }
                for (member_id, product_id), weight in weights.items()
            ],
        )
        tables.given(
            PRODUCT_TAGS,
            [
                {
                    "product_id": product_id,
                    "tag": tag,
                    "score": score,
                    "source": "catalogue",
                    "is_sensitive": tag in sensitive,
                }
                for (product_id, tag), score in scores.items()
            ],
        )
        rows = tables.run(MEMBER_TAGS, LOAD_DATE)
        assert tables.offending(MEMBER_TAGS) == {}
        return {(row["member_id"], row["tag"]): row for row in rows}

    return make


def test_nothing_gives_no_tags(run):
    assert run({}, {}) == {}
    assert run({(1, "p"): 3.0}, {}) == {}


def test_scores_are_shares_shrunk_towards_the_shops(run):
    rows = run(
        {(1, "dress"): 6.0, (1, "shoe"): 2.0, (2, "shoe"): 4.0},
        {("dress", "red"): 1.0, ("dress", "silk"): 0.5, ("shoe", "red"): 1.0},
    )
    red, silk = 12 / 15, 3 / 15
    assert {key: row["score"] for key, row in rows.items()} == pytest.approx(
        {
            (1, "red"): (8 + K * red) / (11 + K),
            (1, "silk"): (3 + K * silk) / (11 + K),
            (2, "red"): (4 + K * red) / (4 + K),
        },
        rel=1e-9,
    )
    assert rows[1, "silk"]["lift"] == pytest.approx((3 + K * silk) / (11 + K) / silk, rel=1e-9)


def test_the_less_is_known_of_her_the_nearer_to_the_shop(run):
    rows = run(
        {(1, "a"): 0.01, (2, "a"): 100.0, (3, "b"): 100.01},
        {("a", "tea"): 1.0, ("b", "coffee"): 1.0},
    )
    assert rows[1, "tea"]["score"] == pytest.approx(0.5, abs=0.001)
    assert rows[2, "tea"]["score"] == pytest.approx(105 / 110, abs=0.001)


def test_an_only_tag_of_the_shop_scores_1(run):
    rows = run({(1, "a"): 0.3, (2, "a"): 0.1}, {("a", "tea"): 0.7})
    assert {row["score"] for row in rows.values()} == {1.0}
    assert {row["lift"] for row in rows.values()} == {1.0}


def test_support_counts_interactions_and_confidence_grows_with_them(run):
    counts = {"n_views": 4, "n_carts": 3, "n_shares": 2, "n_orders": 1}
    rows = run(
        {(1, "a"): 1.0, (1, "b"): 1.0}, {("a", "tea"): 1.0, ("b", "tea"): 1.0}, counts=counts
    )
    assert rows[1, "tea"]["support"] == 20
    assert rows[1, "tea"]["confidence"] == pytest.approx(20 / (20 + K))


def test_what_was_given_back_is_no_interest(run):
    rows = run(
        {(1, "a"): -2.0, (1, "b"): 1.0, (2, "a"): -2.0}, {("a", "tea"): 1.0, ("b", "tea"): 0.5}
    )
    assert rows.keys() == {(1, "tea")}
    assert rows[1, "tea"]["support"] == 1


def test_an_interest_ends_when_it_has_decayed_to_a_twentieth_of_a_view(run):
    """Weight 2 as of the run was 4 when last seen, a half-life ago: log2(80) half-lives left."""
    (row,) = run({(1, "a"): 2.0}, {("a", "tea"): 1.0}).values()
    lasts = (row["expires_at"] - LAST_SEEN) / dt.timedelta(days=1)
    assert lasts == pytest.approx(30 * 6.321928, abs=1e-4)


def test_a_faint_interest_lasts_one_half_life(run):
    (row,) = run({(1, "a"): 0.001}, {("a", "tea"): 1.0}).values()
    assert row["expires_at"] == LAST_SEEN + dt.timedelta(days=30)


def test_first_and_last_sight_are_over_all_products_of_the_tag(run, tables):
    run({(1, "a"): 1.0}, {("a", "tea"): 1.0, ("b", "tea"): 1.0})
    tables.given(
        MEMBER_PRODUCTS,
        [
            {
                "member_id": 1,
                "product_id": "b",
                "weight": 1.0,
                "first_at": LAST_SEEN - dt.timedelta(days=5),
                "last_at": LAST_SEEN + dt.timedelta(days=5),
            }
        ],
    )
    (row,) = tables.run(MEMBER_TAGS, LOAD_DATE)
    assert row["first_seen_at"] == LAST_SEEN - dt.timedelta(days=5)
    assert row["last_seen_at"] == LAST_SEEN + dt.timedelta(days=5)


def test_what_sets_her_apart_ranks_before_what_everybody_likes(run):
    """Lift times the root of the strength; the score alone would put tea first."""
    weights = {(member, "tea"): 10.0 for member in range(1, 9)}
    rows = run(
        {**weights, (1, "kayak"): 8.0, (1, "violin"): 0.1},
        {(name, name): 1.0 for name in ("tea", "kayak", "violin")},
    )
    hers = {tag: row for (member, tag), row in rows.items() if member == 1}
    assert hers["tea"]["score"] > hers["kayak"]["score"]
    assert hers["violin"]["lift"] > hers["tea"]["lift"]
    assert sorted(hers, key=lambda tag: hers[tag]["rank"]) == ["kayak", "tea", "violin"]
    strengths = {"tea": 10.0, "kayak": 8.0, "violin": 0.1}
    keys = {tag: row["lift"] * strengths[tag] ** 0.5 for tag, row in hers.items()}
    assert sorted(hers, key=keys.__getitem__, reverse=True) == ["kayak", "tea", "violin"]


def test_sensitive_tags_are_kept_and_marked(run):
    rows = run(
        {(1, "a"): 1.0, (2, "a"): 1.0, (2, "b"): 1.0},
        {("a", "糖尿病"): 1.0, ("a", "tea"): 1.0, ("b", "tea"): 1.0},
        sensitive={"糖尿病"},
    )
    assert {key for key, row in rows.items() if row["is_sensitive"]} == {
        (1, "糖尿病"),
        (2, "糖尿病"),
    }


def test_only_the_twenty_strongest_are_kept_the_first_by_name_among_equals(run):
    weights = {(1, f"p{number:02}"): 1.0 + (number + 1) // 2 for number in range(24)}
    scores = {(f"p{number:02}", f"t{number:02}"): 1.0 for number in range(24)}
    rows = run(weights, scores)
    # t03 and t04 are equally strong, and one place is left.
    assert sorted(tag for _, tag in rows) == ["t03", *(f"t{number:02}" for number in range(5, 24))]
