import datetime as dt
from decimal import Decimal

from assets.clean.contracts import ORDERS


def made(log, *columns, **parameters):
    rows = log.make(ORDERS, **parameters)
    return [tuple(row[column] for column in columns) for row in rows]


MONEY = ("status", "revenue", "refunded", "net_revenue")


def test_an_order_is_the_sum_of_its_product_lines(log):
    log.order(
        "o",
        "01-05 16:00",
        ("p", 2, 10),
        ("q", 1, 5),
        ("POST", 1, 4),
        user="ann",
        columns={"channel": "app"},
        revenue=999,
    )
    (order,) = log.make(ORDERS, adjustment_products="^POST$")
    assert order == {
        "order_id": "o",
        "member_id": log.member_id("ann"),
        "ordered_at": log.at("01-05 16:00"),
        "order_date": dt.date(2026, 1, 6),
        "status": "completed",
        "channel": "app",
        "n_items": 2,
        "n_unpriced": 0,
        "revenue": Decimal(25),
        "refunded": Decimal(0),
        "net_revenue": Decimal(25),
        "margin": Decimal("7.5"),
        "adjustments": Decimal(4),
    }


def test_partial_refund(log):
    log.order("o", "01-05 08:00", ("p", 2, 10))
    log.refund("o", "01-06 08:00", ("p", 1, 10))
    assert made(log, *MONEY) == [("partially_refunded", 20, 10, 10)]


def test_full_refund_in_parts(log):
    log.order("o", "01-05 08:00", ("p", 2, 10), ("q", 1, 5))
    log.refund("o", "01-06 08:00", ("p", 1, 10))
    log.refund("o", "01-07 08:00")
    assert made(log, *MONEY) == [("refunded", 25, 25, 0)]


def test_cancelled_order_counts_zero(log):
    log.order("o", "01-05 08:00", ("p", 2, 10), ("POST", 1, 4), user="ann")
    log.refund("o", "01-06 08:00", ("p", 1, 10))
    log.event("Order Cancelled", "01-06 09:00", order_id="o")
    rows = made(log, *MONEY, "margin", "adjustments", "n_items", adjustment_products="^POST$")
    assert rows == [("cancelled", 0, 0, 0, 0, 0, 1)]


def test_a_refund_above_the_price_takes_no_more_than_the_revenue(log):
    log.order("o", "01-05 08:00", ("p", 1, 10), ("q", 1, 5))
    log.refund("o", "01-06 08:00", ("p", 1, 12))
    assert made(log, *MONEY) == [("partially_refunded", 15, 10, 5)]


def test_an_order_of_adjustments_alone_has_no_revenue(log):
    log.order("o", "01-05 08:00", ("POST", 2, 4))
    log.refund("o", "01-06 08:00", ("POST", 1, 4))
    rows = made(log, *MONEY, "n_items", "adjustments", adjustment_products="^POST$")
    assert rows == [("completed", 0, 0, 0, 0, 4)]


def test_margin_is_less_the_cost_of_what_was_kept(log):
    log.products = [{"product_id": "p", "cost": 6, "currency": "CNY"}]
    log.order("kept", "01-05 08:00", ("p", 2, 10))
    log.order("half", "01-05 08:00", ("p", 2, 10))
    log.order("gone", "01-05 08:00", ("p", 2, 10))
    log.order("gift", "01-05 08:00", ("p", 1, 0))
    log.order("mixed", "01-05 08:00", ("p", 1, 10), ("no cost known", 1, 10))
    log.refund("half", "01-06 08:00", ("p", 1, 10))
    log.refund("gone", "01-06 08:00")
    assert made(log, "order_id", "margin", margin_rate=0.25) == [
        ("gift", -6),
        ("gone", 0),
        ("half", 4),
        ("kept", 8),
        ("mixed", Decimal("6.5")),
    ]


def test_an_order_in_an_unknown_currency_is_seen_though_it_brings_nothing(log):
    log.products = [{"product_id": "p", "cost": 6, "currency": "CNY"}]
    log.order("o", "01-05 08:00", ("p", 1, 10), currency="XXX", user="ann")
    assert made(log, *MONEY, "margin", "n_items", "n_unpriced") == [("completed", 0, 0, 0, 0, 1, 1)]


def test_jpy_order_counts_in_base_currency(log):
    log.fx_rates = [{"currency": "JPY", "valid_from": dt.date(2026, 1, 1), "rate": 0.05}]
    log.order("o", "01-05 08:00", ("p", 3, 1000), currency="JPY")
    log.refund("o", "01-06 08:00", ("p", 1, 1000), currency="JPY")
    assert made(log, *MONEY) == [("partially_refunded", 150, 50, 100)]
