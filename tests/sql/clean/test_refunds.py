import datetime as dt
from collections import defaultdict
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.clean.contracts import ORDER_EVENTS, ORDER_LINES, ORDER_PRODUCTS, REFUNDS

LOAD_DATE = dt.date(2026, 1, 31)


def made(log, *columns, **parameters):
    rows = log.make(REFUNDS, **parameters)
    return [tuple(row[column] for column in columns) for row in rows]


MATCH = ("order_id", "order_line", "quantity", "amount", "match")


def test_referenced_refund_fills_the_lines_of_its_product_in_order(log):
    log.order("o", "01-05 08:00", ("p", 2, 10), ("q", 1, 5), ("p", 3, 10), user="ann")
    log.refund("o", "01-06 08:00", ("p", 4, 10))
    assert made(log, "line", "member_id", "product_id", *MATCH) == [
        (1, log.member_id("ann"), "p", "o", 1, 2, Decimal(20), "referenced"),
        (1, log.member_id("ann"), "p", "o", 3, 2, Decimal(20), "referenced"),
    ]


def test_a_second_refund_takes_what_the_first_left(log):
    log.order("o", "01-05 08:00", ("p", 2, 10), ("p", 2, 10))
    second = log.refund("o", "01-07 08:00", ("p", 3, 10))
    first = log.refund("o", "01-06 08:00", ("p", 1, 10))
    assert made(log, "message_id", *MATCH) == [
        (second, "o", 1, 1, Decimal(10), "referenced"),
        (second, "o", 2, 2, Decimal(20), "referenced"),
        (first, "o", 1, 1, Decimal(10), "referenced"),
    ]


def test_more_than_was_ordered_stays_unmatched(log):
    log.order("o", "01-05 08:00", ("p", 2, 10))
    log.refund("o", "01-06 08:00", ("p", 5, 10), ("never ordered", 1, 3))
    assert made(log, "line", *MATCH) == [
        (1, "", 0, 3, Decimal(30), "unmatched"),
        (1, "o", 1, 2, Decimal(20), "referenced"),
        (2, "", 0, 1, Decimal(3), "unmatched"),
    ]


def test_quantities_and_amounts_are_positive_however_sent(log):
    log.order("o", "01-05 08:00", ("p", 5, 10), ("q", 5, 10))
    log.event("Order Refunded", "01-06 08:00", order_id="o", product_id="p", quantity=-2, price=10)
    log.refund("o", "01-06 08:00", ("q", "-1", -10))
    assert made(log, *MATCH) == [
        ("o", 1, 2, Decimal(20), "referenced"),
        ("o", 2, 1, Decimal(10), "referenced"),
    ]


def test_a_refund_without_a_price_is_worth_what_was_paid(log):
    log.order("o", "01-05 08:00", ("p", 4, 10), ("p", 2, 7))
    log.refund("o", "01-06 08:00", ("p", 5))
    log.refund("o", "01-07 08:00", ("p", 3))
    assert made(log, *MATCH, "is_unpriced") == [
        ("o", 1, 4, Decimal(40), "referenced", False),
        ("o", 2, 1, Decimal(7), "referenced", False),
        ("", 0, 2, Decimal(0), "unmatched", True),
        ("o", 2, 1, Decimal(7), "referenced", False),
    ]


def test_a_refund_keeps_its_own_price(log):
    log.order("o", "01-05 08:00", ("p", 1, 10))
    log.refund("o", "01-06 08:00", ("p", 1, 12))
    assert made(log, *MATCH) == [("o", 1, 1, Decimal(12), "referenced")]


def test_no_products_means_all_that_is_left_of_the_order(log):
    log.order("o", "01-05 08:00", ("p", 2, 10), ("q", 1, 5))
    log.refund("o", "01-06 08:00", ("p", 1, 10))
    log.refund("o", "01-07 08:00")
    log.refund("o", "01-08 08:00")
    assert made(log, "message_id", "product_id", *MATCH) == [
        ("m002", "p", "o", 1, 1, Decimal(10), "referenced"),
        ("m003", "p", "o", 1, 1, Decimal(10), "referenced"),
        ("m003", "q", "o", 2, 1, Decimal(5), "referenced"),
        ("m004", None, "", 0, 0, Decimal(0), "unmatched"),
    ]


def test_a_whole_refund_of_a_smaller_amount_is_shared_by_value(log):
    log.order("part", "01-05 08:00", ("p", 1, 30), ("q", 1, 10))
    log.order("more", "01-05 08:00", ("p", 1, 30))
    log.refund("part", "01-06 08:00", revenue=20)
    log.refund("more", "01-06 08:00", total=35)
    assert made(log, *MATCH) == [
        ("part", 1, 1, Decimal(15), "referenced"),
        ("part", 2, 1, Decimal(5), "referenced"),
        ("more", 1, 1, Decimal(30), "referenced"),
    ]


def test_parts_add_up_to_the_refund_exactly(log):
    log.order("o", "01-05 08:00", ("p", 1, 3), ("p", 1, 3), ("p", 1, 3))
    log.event("Order Refunded", "01-06 08:00", order_id="o", product_id="p", quantity=3, total=10)
    amounts = [amount for (amount,) in made(log, "amount")]
    assert amounts == [Decimal("3.3333"), Decimal("3.3334"), Decimal("3.3333")]
    assert sum(amounts) == 10


def test_unknown_order_is_inferred_first_in_first_out(log):
    log.order("old", "01-01 08:00", ("p", 2, 10), user="ann")
    log.order("new", "01-02 08:00", ("p", 2, 9), ("q", 9, 1), user="ann")
    log.order("later", "01-09 08:00", ("p", 9, 8), user="ann")
    log.order("hers", "01-01 08:00", ("p", 9, 8), user="bob")
    log.refund("C1", "01-05 08:00", ("p", 3, 10), user="ann")
    log.refund(None, "01-06 08:00", ("p", 2, 10), user="ann")
    assert made(log, "message_id", *MATCH) == [
        ("m005", "new", 1, 1, Decimal(10), "inferred"),
        ("m005", "old", 1, 2, Decimal(20), "inferred"),
        ("m006", "", 0, 1, Decimal(10), "unmatched"),
        ("m006", "new", 1, 1, Decimal(10), "inferred"),
    ]


def test_what_was_lost_before_a_purchase_does_not_eat_into_it(log):
    log.refund("C1", "01-01 08:00", ("p", 5, 10), user="ann")
    log.order("o", "01-02 08:00", ("p", 2, 10), user="ann")
    log.refund("C2", "01-02 08:00", ("p", 1, 10), user="ann")
    assert made(log, "message_id", *MATCH) == [
        ("m001", "", 0, 5, Decimal(50), "unmatched"),
        ("m003", "o", 1, 1, Decimal(10), "inferred"),
    ]


def test_pieces_that_were_given_back_or_cancelled_are_not_given_back_again(log):
    log.order("back", "01-01 08:00", ("p", 2, 10), user="ann")
    log.order("cancelled", "01-02 08:00", ("p", 2, 10), user="ann")
    log.order("kept", "01-03 08:00", ("p", 2, 10), user="ann")
    log.event("Order Cancelled", "01-03 09:00", order_id="cancelled")
    log.refund("back", "01-09 08:00", ("p", 2, 10))
    log.refund("C1", "01-04 08:00", ("p", 1, 10), user="ann")
    assert made(log, "message_id", *MATCH) == [
        ("m005", "back", 1, 2, Decimal(20), "referenced"),
        ("m006", "kept", 1, 1, Decimal(10), "inferred"),
    ]


def test_nobodys_refund_of_an_unknown_order_is_unmatched(log):
    log.order("o", "01-01 08:00", ("p", 2, 10))
    log.refund("C1", "01-05 08:00", ("p", 1, 4))
    log.refund("C2", "01-05 08:00", user="ann", revenue=3)
    log.refund("C3", "01-05 08:00", ("p", 0), user="ann")
    assert made(log, "member_id", "product_id", *MATCH, "is_unpriced") == [
        (None, "p", "", 0, 1, Decimal(4), "unmatched", False),
        (log.member_id("ann"), None, "", 0, 0, Decimal(3), "unmatched", False),
        (log.member_id("ann"), "p", "", 0, 0, Decimal(0), "unmatched", True),
    ]


def test_adjustments_given_back_are_marked(log):
    log.order("o", "01-01 08:00", ("p", 1, 10), ("POST", 1, 5))
    log.refund("o", "01-05 08:00")
    marked = made(log, "product_id", "is_adjustment", adjustment_products="^POST$")
    assert marked == [("p", False), ("POST", True)]


STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6), st.integers(1, 4)), min_size=1, max_size=12
)


def first_in_first_out(steps):
    """By a plain loop: pieces by (refund, order line), what is left by refund."""
    by_time = sorted(range(len(steps)), key=lambda i: (steps[i][1], steps[i][0], i))
    stock, taken = [], defaultdict(int)
    for i in by_time:
        is_refund, _, quantity = steps[i]
        if not is_refund:
            stock.append([i, quantity])
            continue
        for entry in stock:
            part = min(quantity, entry[1])
            entry[1] -= part
            quantity -= part
            if part:
                taken[i, entry[0]] += part
        if quantity:
            taken[i, None] += quantity
    return dict(taken)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, min_size=1, max_size=12))
def test_inference_equals_a_loop_over_time(tables, histories):
    lines, events = [], []
    for member_id, steps in enumerate(histories):
        for i, (is_refund, day, quantity) in enumerate(steps):
            at = dt.datetime(2026, 1, 1) + dt.timedelta(days=day)  # noqa: DTZ001
            about = {"member_id": member_id, "product_id": "p", "quantity": quantity}
            name = f"{member_id}-{i:02}"
            if is_refund:
                refund = {"message_id": name, "event_name": "Order Refunded", "occurred_at": at}
                events.append({**about, **refund, "amount": quantity})
            else:
                lines.append({**about, "order_id": name, "line": 1, "ordered_at": at})
    for contract, rows in ((ORDER_EVENTS, events), (ORDER_LINES, lines), (ORDER_PRODUCTS, [])):
        tables.session.execute(f"drop table if exists {contract.name}")
        tables.given(contract, rows)

    found = {
        (row["message_id"], row["order_id"]): row["quantity"]
        for row in tables.run(REFUNDS, LOAD_DATE)
    }

    assert tables.offending(REFUNDS) == {}
    assert found == {
        (f"{member_id}-{refund:02}", "" if line is None else f"{member_id}-{line:02}"): quantity
        for member_id, steps in enumerate(histories)
        for (refund, line), quantity in first_in_first_out(steps).items()
    }
