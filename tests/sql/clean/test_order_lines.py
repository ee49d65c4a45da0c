import datetime as dt
from decimal import Decimal

from assets.clean.contracts import ORDER_LINES


def made(log, *columns, **parameters):
    rows = log.make(ORDER_LINES, **parameters)
    return [tuple(row[column] for column in columns) for row in rows]


LINE = ("order_id", "line", "product_id", "quantity", "price", "amount")


def test_listed_products_are_lines_in_their_order(log):
    log.order("o", "01-05 08:00", ("p2", 2, "3.5"), ("p1", None, 1), user="ann", revenue=100)
    assert made(log, *LINE, "member_id", "ordered_at") == [
        ("o", 1, "p2", 2, Decimal("3.5"), Decimal(7), log.member_id("ann"), log.at("01-05 08:00")),
        ("o", 2, "p1", 1, Decimal(1), Decimal(1), log.member_id("ann"), log.at("01-05 08:00")),
    ]


def test_flat_messages_of_one_order_are_its_lines_by_instant_and_message(log):
    messages = (
        ("m2", "01-05 08:00", "p2"),
        ("m3", "01-05 08:00", "p1"),
        ("m1", "01-05 08:01", "p1"),
    )
    for message_id, at, product_id in messages:
        log.event(
            "Order Completed",
            at,
            message_id=message_id,
            order_id="o",
            product_id=product_id,
            quantity=2,
            price=3,
        )
    assert made(log, *LINE) == [
        ("o", line, product_id, 2, Decimal(3), Decimal(6))
        for line, product_id in ((1, "p2"), (2, "p1"), (3, "p1"))
    ]


def test_an_order_sent_again_counts_once(log):
    log.order("o", "01-05 08:01", ("p1", 5, 1), user="ann")
    log.order("o", "01-05 08:00", ("p1", 2, 1))
    log.event("Order Completed", "01-05 07:00", order_id="o", product_id="p2", price=9)
    assert made(log, *LINE, "member_id") == [
        ("o", 1, "p1", 2, Decimal(1), Decimal(2), log.member_id("ann"))
    ]


def test_an_order_that_lists_nothing_is_one_line_of_its_revenue(log):
    log.event("Order Completed", "01-05 08:00", order_id="o", revenue=40)
    log.event("Order Completed", "01-05 08:01", order_id="o", revenue=50)
    assert made(log, *LINE, "is_unpriced") == [("o", 1, "", 1, Decimal(40), Decimal(40), False)]


def test_an_order_without_an_id_goes_by_its_message(log):
    log.event("Order Completed", "01-05 08:00", order_id="", product_id="p", price=2)
    log.event("Order Completed", "01-05 08:00", product_id="p", price=3)
    assert made(log, "order_id", "amount") == [("m001", Decimal(2)), ("m002", Decimal(3))]


def test_the_only_line_without_a_price_has_the_orders_revenue(log):
    log.order("listed", "01-05 08:00", ("p", 4, None), revenue=10)
    log.event("Order Completed", "01-05 08:00", order_id="flat", product_id="p", revenue=10)
    assert made(log, "order_id", "price", "amount", "is_unpriced") == [
        ("flat", Decimal(10), Decimal(10), False),
        ("listed", Decimal("2.5"), Decimal(10), False),
    ]


def test_lines_without_a_price_are_kept_and_marked(log):
    log.order("foreign", "01-05 08:00", ("p", 1, 2), currency="XXX")
    log.order("two", "01-05 08:00", ("p", 1, None), ("q", 1, 3))
    for _ in range(2):
        log.event("Order Completed", "01-05 08:00", order_id="flat", product_id="p", revenue=10)
    log.event("Order Completed", "01-05 08:00", order_id="void")
    assert made(log, "order_id", "product_id", "price", "amount", "is_unpriced") == [
        ("flat", "p", 0, 0, True),
        ("flat", "p", 0, 0, True),
        ("foreign", "p", 0, 0, True),
        ("two", "p", 0, 0, True),
        ("two", "q", 3, 3, False),
        ("void", "", 0, 0, True),
    ]


def test_lines_without_a_price_share_what_the_order_says_beyond_the_others(log):
    log.order("o", "01-05 08:00", ("p", 2, None), ("q", 1, 3), ("r", 1, None), revenue=13)
    log.order("gift", "01-05 08:00", ("p", 1, None), ("q", 1, 3), revenue=3)
    log.order("less", "01-05 08:00", ("p", 1, None), ("q", 1, 3), revenue=2)
    assert made(log, "order_id", "product_id", "price", "amount", "is_unpriced") == [
        ("gift", "p", 0, 0, False),
        ("gift", "q", 3, 3, False),
        ("less", "p", 0, 0, True),
        ("less", "q", 3, 3, False),
        ("o", "p", Decimal("3.335"), Decimal("6.67"), False),
        ("o", "q", 3, 3, False),
        ("o", "r", Decimal("3.33"), Decimal("3.33"), False),
    ]


def test_jpy_lines_are_in_base_currency(log):
    log.fx_rates = [{"currency": "JPY", "valid_from": dt.date(2026, 1, 1), "rate": 0.05}]
    log.order("o", "01-05 08:00", ("p", 3, 1000), currency="JPY")
    assert made(log, "price", "amount") == [(Decimal(50), Decimal(150))]


def test_what_is_listed_wrongly_stops_nothing(log):
    log.event(
        "Order Completed",
        "01-05 08:00",
        order_id="o",
        products=[{"quantity": "x", "price": "NaN"}, "text", None, {"product_id": "p", "price": 1}],
    )
    assert made(log, "line", "product_id", "quantity", "amount", "is_unpriced") == [
        (1, "", 1, 0, True),
        (2, "", 1, 0, True),
        (3, "", 1, 0, True),
        (4, "p", 1, 1, False),
    ]


def test_stock_corrections_keep_their_sign(log):
    log.event("Order Completed", "01-05 08:00", order_id="o", product_id="p", quantity=-3, price=0)
    log.event("Order Completed", "01-05 08:00", order_id="q", product_id="p", quantity=0, price=2)
    assert made(log, *LINE, "is_unpriced") == [
        ("o", 1, "p", -3, 0, 0, False),
        ("q", 1, "p", 0, 2, 0, False),
    ]


def test_adjustments_are_told_by_product(log):
    log.order("o", "01-05 08:00", ("p", 1, 2), ("POST", 1, 5))
    log.event("Order Completed", "01-05 08:00", order_id="void")
    marked = made(log, "product_id", "is_adjustment", adjustment_products="^(POST)?$")
    assert marked == [("p", False), ("POST", True), ("", False)]


def test_cancellation_marks_every_line_of_its_order(log):
    log.order("o", "01-05 08:00", ("p", 1, 2), ("q", 1, 2))
    log.order("kept", "01-05 08:00", ("p", 1, 2))
    log.event("Order Cancelled", "01-05 07:00", order_id="o")
    log.event("Order Cancelled", "01-05 09:00", order_id="never seen")
    assert made(log, "order_id", "is_cancelled") == [("kept", False), ("o", True), ("o", True)]


def test_a_repeated_message_gives_its_lines_once(log):
    for path in ("a", "b"):
        log.order("o", "01-05 08:00", ("p", 1, 2), message_id="m", columns={"path": path})
    assert made(log, "line") == [(1,)]
