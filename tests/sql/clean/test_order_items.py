import datetime as dt
from decimal import Decimal

from assets.clean.contracts import ORDER_ITEMS


def made(log, *columns, **parameters):
    rows = log.make(ORDER_ITEMS, **parameters)
    return [tuple(row[column] for column in columns) for row in rows]


def test_what_was_given_back_stands_on_its_line(log):
    log.order("o", "01-05 08:00", ("p", 3, 10), ("q", 1, 5), user="ann")
    log.refund("o", "01-06 08:00", ("p", 1, 10))
    log.refund("C1", "01-07 08:00", ("p", 1, 10), user="ann")
    log.refund("o", "01-08 08:00", ("other", 1, 99))
    assert made(log, "product_id", "amount", "refunded") == [("p", 30, 20), ("q", 5, 0)]


def test_no_line_gives_back_more_than_it_brought(log):
    log.order("o", "01-05 08:00", ("p", 1, 10), ("bad debt", 1, -40), ("gift", 1, 0))
    for product_id in ("p", "bad debt", "gift"):
        log.refund("o", "01-06 08:00", (product_id, 1, 12))
    assert made(log, "product_id", "refunded") == [("p", 10), ("bad debt", 0), ("gift", 0)]


def test_cost_is_the_catalogues_in_base_currency_on_the_orders_date(log):
    log.fx_rates = [
        {
            "currency": "JPY",
            "valid_from": dt.date(2026, 1, 1),
            "valid_to": dt.date(2026, 1, 6),
            "rate": 0.05,
        },
        {"currency": "JPY", "valid_from": dt.date(2026, 1, 6), "rate": 0.04},
    ]
    log.products = [
        {"product_id": "home", "cost": Decimal("2.5"), "currency": "CNY"},
        {"product_id": "abroad", "cost": 100, "currency": "JPY"},
        {"product_id": "unknown", "cost": 100, "currency": "XXX"},
        {"product_id": "unsaid", "currency": "CNY"},
    ]
    bought = [(product["product_id"], 2, 10) for product in log.products] + [("unlisted", 2, 10)]
    log.order("o1", "01-05 15:59", *bought)
    log.order("o2", "01-05 16:00", *bought)
    assert made(log, "order_id", "product_id", "cost") == [
        ("o1", "home", 5),
        ("o1", "abroad", 10),
        ("o1", "unknown", None),
        ("o1", "unsaid", None),
        ("o1", "unlisted", None),
        ("o2", "home", 5),
        ("o2", "abroad", 8),
        ("o2", "unknown", None),
        ("o2", "unsaid", None),
        ("o2", "unlisted", None),
    ]
