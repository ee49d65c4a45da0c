"""The interaction matrix: decay, refunds, and the split on which models are compared."""

import datetime as dt
from decimal import Decimal

import pytest

from assets.clean import contracts as clean
from assets.features.contracts import MEMBER_PRODUCTS
from resources.config.shop import EPOCH

LOAD_DATE = dt.date(2026, 3, 31)
# Midnight in Shanghai after the load date.
AS_OF = dt.datetime(2026, 3, 31, 16)  # noqa: DTZ001
HALF_LIFE = 30


def days_ago(days: float) -> dt.datetime:
    return AS_OF - dt.timedelta(days=days)


@pytest.fixture
def given(tables):
    """Fills the tables that member_products reads; what is left out is empty."""

    def fill(events=(), order_items=(), refunds=()):
        tables.given(
            clean.EVENTS,
            [
                {
                    "message_id": str(number),
                    "member_id": 1,
                    "product_id": "p",
                    "event_name": "Product Viewed",
                    **event,
                }
                for number, event in enumerate(events)
            ],
        )
        tables.given(clean.IDENTITIES)
        tables.given(clean.MERGE_LOG)
        tables.given(
            clean.ORDER_ITEMS,
            [{"line": 1, "member_id": 1, "product_id": "p", **item} for item in order_items],
        )
        tables.given(
            clean.REFUNDS,
            [
                {"message_id": str(number), "line": 1, "order_line": 1, "quantity": 1, **refund}
                for number, refund in enumerate(refunds)
            ],
        )

    return fill


def test_empty_tables_give_no_pairs(tables, given):
    given()
    assert tables.run(MEMBER_PRODUCTS, LOAD_DATE) == []


def test_weights_halve_every_half_life(tables, given):
    given(
        events=[
            {"occurred_at": days_ago(30)},
            {"occurred_at": days_ago(15), "event_name": "Product Added"},
            {"occurred_at": days_ago(0.25), "event_name": "Product Added to Wishlist"},
            {"occurred_at": days_ago(60), "event_name": "Product Shared"},
        ],
        order_items=[{"order_id": "o", "ordered_at": days_ago(90), "quantity": 12}],
    )
    (row,) = tables.run(MEMBER_PRODUCTS, LOAD_DATE)
    expected = 0.5 + 3 * 0.5**0.5 + 3 * 0.5 ** (0.25 / 30) + 4 / 4 + 5 / 8
    assert row["weight"] == pytest.approx(expected, rel=1e-9)
    assert [row[name] for name in ("n_views", "n_carts", "n_shares", "n_orders")] == [1, 2, 1, 1]
    assert row["first_at"] == row["last_ordered_at"] == days_ago(90)
    assert row["last_at"] == days_ago(0.25)
    assert row["first_viewed_at"] == days_ago(30)
    assert tables.offending(MEMBER_PRODUCTS) == {}


def test_forward_weights_are_the_same_sum_from_the_epoch(tables, given):
    """Sums of different days just add, and one factor turns them into the weight of any day."""
    ages = [0.5, 3.0, 47.25, 365.0]
    given(events=[{"occurred_at": days_ago(age)} for age in ages])
    (row,) = tables.run(MEMBER_PRODUCTS, LOAD_DATE)
    since_epoch = [(days_ago(age) - EPOCH) / dt.timedelta(days=1) for age in ages]
    assert row["forward_weight"] == pytest.approx(
        sum(2 ** (days / HALF_LIFE) for days in since_epoch), rel=1e-9
    )
    factor = 2 ** -((AS_OF - EPOCH) / dt.timedelta(days=1) / HALF_LIFE)
    assert row["weight"] == pytest.approx(row["forward_weight"] * factor, rel=1e-9)


def test_refunds_count_against_the_line_they_are_set_against(tables, given):
    given(
        order_items=[
            {"order_id": "kept", "ordered_at": days_ago(60), "amount": 40, "quantity": 2},
            {
                "order_id": "kept",
                "ordered_at": days_ago(60),
                "line": 2,
                "product_id": "q",
                "amount": 40,
            },
            {
                "order_id": "off",
                "ordered_at": days_ago(60),
                "amount": 40,
                "cancelled_at": days_ago(59),
            },
        ],
        refunds=[
            {"order_id": "kept", "refunded_at": days_ago(30), "match": "inferred", "amount": 20},
            {"order_id": "off", "refunded_at": days_ago(30), "match": "referenced", "amount": 40},
            {"order_id": "", "refunded_at": days_ago(30), "match": "unmatched"},
            # Goodwill gives no goods back, and counts as the tenth of the money that it is.
            {
                "order_id": "kept",
                "refunded_at": days_ago(30),
                "match": "referenced",
                "quantity": 0,
                "amount": 4,
            },
        ],
    )
    p, q = tables.run(MEMBER_PRODUCTS, LOAD_DATE)
    assert p["weight"] == pytest.approx(5 / 4 - 0.6 * 5 / 2, rel=1e-9)
    assert q["weight"] == pytest.approx(5 / 4, rel=1e-9)
    assert p["last_at"] == days_ago(60), "a refund is no sign of interest"
    assert p["n_orders"] == 1


@pytest.mark.parametrize("parts", [[100], [33.33, 33.33, 33.34], [0.01, 99.99], [7, 11, 13, 69]])
def test_however_a_whole_return_is_split_it_takes_the_order_away(tables, given, parts):
    given(
        order_items=[{"order_id": "o", "ordered_at": days_ago(30), "amount": 100}],
        refunds=[
            {
                "order_id": "o",
                "refunded_at": days_ago(30),
                "match": "referenced",
                "amount": Decimal(str(part)),
            }
            for part in parts
        ],
    )
    (row,) = tables.run(MEMBER_PRODUCTS, LOAD_DATE)
    assert row["weight"] == 0


def test_the_split_lies_at_the_holdout_start(tables, given):
    """What the weight was at the start; refunds are no holdout."""
    given(
        events=[{"occurred_at": days_ago(28.5)}, {"occurred_at": days_ago(28)}],
        order_items=[{"order_id": "o", "ordered_at": days_ago(58), "amount": 9}],
        refunds=[
            {"order_id": "o", "refunded_at": days_ago(10), "match": "referenced", "amount": 9}
        ],
    )
    (row,) = tables.run(MEMBER_PRODUCTS, LOAD_DATE)
    assert row["holdout_weight"] == pytest.approx(0.5 ** (28 / 30), rel=1e-9)
    (row,) = tables.run(MEMBER_PRODUCTS, LOAD_DATE, as_of=days_ago(28))
    assert row["weight"] == pytest.approx(0.5 ** (0.5 / 30) + 5 * 0.5, rel=1e-9)
    assert (row["n_views"], row["n_orders"]) == (1, 1)


def test_a_pair_met_only_lately_is_holdout(tables, given):
    given(events=[{"occurred_at": days_ago(1)}])
    (row,) = tables.run(MEMBER_PRODUCTS, LOAD_DATE)
    assert row["holdout_weight"] == row["weight"] > 0
    assert tables.run(MEMBER_PRODUCTS, LOAD_DATE, as_of=days_ago(28)) == []


def test_what_is_no_interest_is_left_out(tables, given):
    given(
        events=[
            {"occurred_at": days_ago(1), "is_bot": True},
            {"occurred_at": days_ago(1), "member_id": None},
            {"occurred_at": days_ago(1), "product_id": None, "event_name": "Cart Shared"},
            {"occurred_at": days_ago(1), "event_name": "Product Removed"},
            {"occurred_at": AS_OF},
        ],
        order_items=[
            {"order_id": "kept", "ordered_at": days_ago(1), "is_adjustment": True},
            {"order_id": "kept", "ordered_at": days_ago(1), "line": 2, "member_id": None},
            {"order_id": "kept", "ordered_at": AS_OF, "line": 3},
            {"order_id": "off", "ordered_at": days_ago(1), "cancelled_at": days_ago(0.5)},
        ],
    )
    assert tables.run(MEMBER_PRODUCTS, LOAD_DATE) == []


def test_the_order_of_rows_changes_no_digit(tables, given):
    ages = [number * 0.37 + 0.01 for number in range(200)]
    given(events=[{"occurred_at": days_ago(age)} for age in ages])
    (there,) = tables.run(MEMBER_PRODUCTS, LOAD_DATE)
    tables.session.execute("delete from clean.events")
    given(events=[{"occurred_at": days_ago(age)} for age in reversed(ages)])
    (back,) = tables.run(MEMBER_PRODUCTS, LOAD_DATE)
    assert there == back


def test_orders_of_one_date_are_one_time_of_buying(tables, given):
    """What is bought again is told by dates: two orders of a day are one, as are two lines."""
    at = {"a": 40, "b": 40.1, "c": 10, "d": 10}
    given(
        order_items=[
            {"order_id": name, "line": n, "ordered_at": days_ago(days)}
            for name, days in at.items()
            for n in (1, 2)
        ]
    )
    (row,) = tables.run(MEMBER_PRODUCTS, LOAD_DATE)
    assert (row["n_orders"], row["n_order_days"]) == (8, 2)
    assert row["first_ordered_at"] == days_ago(40.1)
    assert row["last_ordered_at"] == days_ago(10)
