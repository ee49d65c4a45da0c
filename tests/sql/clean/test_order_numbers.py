"""One order number in several sources."""

from decimal import Decimal

from assets.clean.contracts import ORDER_LINES, ORDER_NUMBERS, ORDERS


def of(source):
    return {"source": source, "path": f"{source}.jsonl"}


def order(log, source, at, money, number="1", **about):
    log.order(number, at, ("p", 1, money), columns=of(source), **about)


def numbers(tables):
    return {
        row["namespace"]: (row["order_id"], row["verdict"]) for row in tables[ORDER_NUMBERS.name]
    }


def test_a_number_of_one_source_needs_no_word(log):
    order(log, "a", "01-05 08:00", 80, user="ann")
    order(log, "a", "01-06 08:00", 90, user="bob")
    assert log.make(ORDER_NUMBERS) == []


def test_a_third_source_may_agree_with_the_second(log):
    order(log, "a", "01-05 08:00", 80, user="ann")
    order(log, "b", "01-05 09:00", 500, user="bob")
    order(log, "c", "01-05 07:00", 90, user="bob")
    tables = log.make_all()
    assert numbers(tables) == {
        "c": ("1", "first"),
        "a": ("a:1", "differs"),
        "b": ("1", "same_member"),
    }
    assert [(row["order_id"], row["revenue"]) for row in tables[ORDERS.name]] == [
        ("1", 90),
        ("a:1", 80),
    ]


def test_money_agrees_with_any_figure_of_the_other(log):
    order(log, "sdk", "01-05 08:00", 80, device="till")
    about = {"order_id": "1", "total": 90, "shipping": 10}
    log.event("Order Completed", "01-05 08:30", user="ann", columns=of("erp"), **about)
    tables = log.make_all()
    assert numbers(tables) == {"sdk": ("1", "first"), "erp": ("1", "same_money")}
    (row,) = tables[ORDERS.name]
    assert (row["member_id"], row["revenue"]) == (log.member_id("ann"), 80)


def test_midnight_parts_no_order_in_two(log):
    order(log, "sdk", "01-05 15:59", 80, device="till")
    order(log, "erp", "01-05 16:01", 80, user="ann")
    order(log, "sdk", "01-05 12:00", 80, number="2", device="till")
    order(log, "erp", "01-05 16:01", 80, number="2", user="ann")
    found = {row["order_number"] for row in log.make(ORDER_NUMBERS) if row["verdict"] == "differs"}
    assert found == {"2"}


def test_lines_that_two_sources_tell_count_once(log):
    for source in ("erp", "sdk"):
        for product_id in "pq":
            log.event(
                "Order Completed",
                "01-05 08:00",
                user="ann",
                columns=of(source),
                order_id="1",
                product_id=product_id,
                price=5,
            )
    assert [(row["product_id"], row["amount"]) for row in log.make(ORDER_LINES)] == [
        ("p", Decimal(5)),
        ("q", Decimal(5)),
    ]


def test_what_follows_finds_the_order_of_its_source_or_member(log):
    order(log, "a", "01-05 08:00", 80, user="ann")
    order(log, "b", "01-05 09:00", 500, user="bob")
    log.refund("1", "01-06 08:00", revenue=5, columns=of("b"))
    log.refund("1", "01-06 09:00", revenue=6, user="bob", columns=of("payments"))
    log.refund("1", "01-06 10:00", revenue=7, columns=of("payments"))
    log.event("Order Cancelled", "01-07 08:00", order_id="1", user="ann", columns=of("payments"))
    rows = {row["order_id"]: row for row in log.make_all()[ORDERS.name]}
    assert (rows["b:1"]["refunded"], rows["b:1"]["status"]) == (11, "partially_refunded")
    assert rows["1"]["status"] == "cancelled"
