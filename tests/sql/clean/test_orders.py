import datetime as dt
from decimal import Decimal

from assets.clean.contracts import EVENTS, ORDERS


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
        "cancelled_at": None,
        "channel": "app",
        "n_items": 2,
        "n_unpriced": 0,
        "is_disputed": True,
        "revenue": Decimal(25),
        "discount": Decimal(0),
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


YEN = {"currency": "JPY", "valid_from": dt.date(2026, 1, 1), "rate": 0.05, "minor_units": 0}
DOLLAR = {"currency": "USD", "valid_from": dt.date(2026, 1, 1), "rate": 7.0, "minor_units": 2}


def test_cents_are_a_hundredth_and_yen_are_yen(log):
    log.fx_rates = [YEN, DOLLAR]
    log.amounts = "minor"
    log.order("cny", "01-05 08:00", ("p", 2, 1999), user="ann")
    log.order("jpy", "01-05 08:00", ("p", 1, 3000), user="ann", currency="JPY")
    log.order("usd", "01-05 08:00", ("p", 3, 1050), user="ann", currency="USD")
    log.event("Order Completed", "01-05 08:00", order_id="whole", revenue=4200, currency="USD")
    assert made(log, "order_id", "revenue") == [
        ("cny", Decimal("39.98")),
        ("jpy", Decimal(150)),
        ("usd", Decimal("220.50")),
        ("whole", Decimal(294)),
    ]


def test_what_is_converted_is_rounded_to_what_can_be_paid(log):
    log.fx_rates = [{**DOLLAR, "rate": 151.37}]
    log.order("o", "01-05 08:00", ("p", 1, 12.5), user="ann", currency="USD")
    log.refund("o", "01-06 08:00", ("p", 1, 12.5), currency="USD")
    (order,) = log.make(ORDERS, base_minor_units=0)
    assert (order["revenue"], order["refunded"], order["status"]) == (1892, 1892, "refunded")
    # What is in base currency already is taken as it was said.
    log.order("own", "01-05 08:00", ("p", 1, 0.125), user="ann")
    orders = {row["order_id"]: row["revenue"] for row in log.make(ORDERS, base_minor_units=0)}
    assert orders["own"] == Decimal("0.125")


def test_test_orders_count_nowhere(log):
    for order_id in ("TEST-1", "o1", "o2"):
        about = {"coupon": "test-everything"} if order_id == "o2" else {}
        log.order(order_id, "01-05 08:00", ("p", 1, 10), user="ann", **about)
    log.order("o3", "01-05 08:00", ("p", 1, 10), user="ann", test=True)
    log.order("o4", "01-05 08:00", ("p", 1, 10), user="ann", test=False)
    log.refund("TEST-1", "01-06 08:00", ("p", 1, 10), user="ann")
    assert made(log, "order_id", "refunded") == [("o1", 0), ("o4", 0)]
    events = log.make(EVENTS)
    assert len(events) == 6
    assert {row["order_id"] for row in events if row["is_test"]} == {"TEST-1", "o2", "o3"}
    assert made(log, "order_id", test_orders="^o") == [("TEST-1",)]
