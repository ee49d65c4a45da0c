import datetime as dt
import random
from collections import defaultdict
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.clean.contracts import (
    ORDER_AMOUNTS,
    ORDER_EVENTS,
    ORDER_LINES,
    ORDER_NUMBERS,
    ORDER_PRODUCTS,
    REFUNDS,
)
from assets.raw.contracts import FX_RATES

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


def test_more_than_was_paid_stays_unmatched(log):
    log.order("o", "01-05 08:00", ("p", 1, 10), ("q", 1, 5))
    log.refund("o", "01-06 08:00", ("p", 1, 12))
    assert made(log, *MATCH) == [
        ("", 0, 0, Decimal(2), "unmatched"),
        ("o", 1, 1, Decimal(10), "referenced"),
    ]


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


def test_an_amount_alone_is_shared_by_value_and_takes_no_pieces(log):
    log.order("part", "01-05 08:00", ("p", 1, 30), ("q", 1, 10))
    log.order("more", "01-05 08:00", ("p", 1, 30))
    log.refund("part", "01-06 08:00", revenue=20)
    log.refund("more", "01-06 08:00", total=35)
    assert made(log, *MATCH) == [
        ("part", 1, 0, Decimal(15), "referenced"),
        ("part", 2, 0, Decimal(5), "referenced"),
        ("", 0, 0, Decimal(5), "unmatched"),
        ("more", 1, 1, Decimal(30), "referenced"),
    ]


def test_the_last_money_of_an_order_takes_the_goods_back(log):
    log.order("o", "01-05 08:00", ("p", 2, 30), ("q", 1, 30))
    for day, amount in ((6, 20), (7, 30), (8, 40), (9, 5)):
        log.refund("o", f"01-{day:02} 08:00", revenue=amount)
    rows = made(log, "message_id", "quantity", "amount", "match")
    assert [row[1:3] for row in rows if row[0] == "m004"] == [
        (2, Decimal("26.6667")),
        (1, Decimal("13.3333")),
    ]
    assert sum(row[2] for row in rows if row[3] == "referenced") == 90
    assert rows[-1] == ("m005", 0, Decimal(5), "unmatched")


def test_goodwill_before_a_return_lowers_what_the_return_is_worth(log):
    log.order("o", "01-05 08:00", ("p", 1, 60), ("q", 1, 30))
    log.refund("o", "01-06 08:00", revenue=2)
    log.refund("o", "01-07 08:00", ("p", 1), ("q", 1))
    assert made(log, "message_id", "quantity", "amount") == [
        ("m002", 0, Decimal("1.3333")),
        ("m002", 0, Decimal("0.6667")),
        ("m003", 1, Decimal("58.6667")),
        ("m003", 1, Decimal("29.3333")),
    ]


def test_one_line_gives_back_money_several_times(log):
    log.order("o", "01-05 08:00", ("p", 1, 100))
    log.order("flat", "01-05 08:00", ("p", 1, 100))
    for day in (6, 7, 8):
        log.refund("o", f"01-{day:02} 08:00", ("p", 1, 15))
        log.refund("flat", f"01-{day:02} 08:00", product_id="p", total=15)
    assert made(log, "order_id", "quantity", "amount") == [
        ("o", 1, 15),
        ("flat", 0, 15),
        *[("", 1, 0), ("o", 0, 15)],
        ("flat", 0, 15),
        *[("", 1, 0), ("o", 0, 15)],
        ("flat", 0, 15),
    ]


def test_a_line_without_pieces_has_money(log):
    line = {"product_id": "p", "quantity": 0, "total": 25}
    log.event("Order Completed", "01-05 08:00", order_id="o", products=[line])
    log.order("other", "01-05 08:00", ("p", 1, 25))
    log.event("Order Refunded", "01-06 08:00", order_id="o", products=[line])
    log.event("Order Refunded", "01-06 08:00", order_id="other", products=[line])
    assert made(log, *MATCH) == [
        ("o", 1, 0, Decimal(25), "referenced"),
        ("other", 1, 1, Decimal(25), "referenced"),
    ]


def test_what_a_message_gives_back_in_all_limits_its_lines(log):
    log.order("o", "01-05 08:00", ("p", 1, 100), ("q", 1, 50), discount=15)
    log.refund("o", "01-06 08:00", ("p", 1, 100), ("q", 1, 50), total=135)
    log.order("pieces", "01-05 08:00", ("p", 1, 100), ("q", 1, 50))
    log.refund("pieces", "01-06 08:00", ("p", 1), ("q", 1), total=120)
    assert made(log, "order_id", "line", "order_line", "quantity", "amount") == [
        ("o", 1, 1, 1, 90),
        ("o", 2, 2, 1, 45),
        ("pieces", 0, 1, 0, 80),
        ("pieces", 0, 2, 0, 40),
        ("pieces", 1, 1, 1, 0),
        ("pieces", 2, 2, 1, 0),
    ]


def test_an_amount_that_is_not_understood_gives_nothing_back(log):
    log.order("o", "01-05 08:00", ("p", 1, 100))
    log.refund("o", "01-06 08:00", total="twelve")
    log.refund("o", "01-06 09:00", total=12, currency="XXX")
    assert made(log, *MATCH, "is_unpriced") == [("", 0, 0, 0, "unmatched", True)] * 2


def test_an_order_that_lists_nothing_gives_back_by_product(log):
    log.event("Order Completed", "01-05 08:00", order_id="o", revenue=90)
    log.refund("o", "01-06 08:00", ("p", 1, 25))
    assert made(log, *MATCH, "product_id") == [("o", 1, 1, 25, "referenced", "p")]


def test_a_foreign_refund_is_converted_at_the_rate_of_its_order(log):
    day, later = dt.date(2026, 1, 1), dt.date(2026, 1, 6)
    log.fx_rates = [
        {"currency": "USD", "valid_from": day, "valid_to": later, "rate": 7.0, "minor_units": 2},
        {"currency": "USD", "valid_from": later, "rate": 8.0, "minor_units": 2},
    ]
    log.order("o", "01-05 08:00", ("p", 2, 10), user="ann", currency="USD")
    log.refund("o", "01-07 08:00", ("p", 1, 10), currency="USD")
    log.refund("o", "01-07 09:00", total=3, currency="USD")
    log.refund("C1", "01-07 10:00", ("p", 1, 5), user="ann", currency="USD")
    log.refund("o", "01-07 11:00", total=8)
    assert made(log, "amount", "match") == [
        (70, "referenced"),
        (21, "referenced"),
        (35, "inferred"),
        (8, "referenced"),
    ]


def test_pieces_need_not_be_whole(log):
    log.order("o", "01-05 08:00", ("p", 0.4, 10), user="ann")
    log.refund("o", "01-06 08:00", ("p", 0.1))
    log.refund("C1", "01-06 09:00", ("p", 0.25, 10), user="ann")
    assert made(log, "quantity", "amount", "match") == [
        (Decimal("0.1"), 1, "referenced"),
        (Decimal("0.25"), Decimal("2.5"), "inferred"),
    ]


def test_parts_add_up_to_the_refund_exactly(log):
    log.order("o", "01-05 08:00", ("p", 1, 3), ("p", 1, 3), ("p", 1, 3))
    log.event("Order Refunded", "01-06 08:00", order_id="o", product_id="p", quantity=3, total=10)
    assert made(log, "order_line", "amount") == [(0, 1), (1, 3), (2, 3), (3, 3)]


def test_pieces_without_a_price_add_up_to_their_line(log):
    log.order("o", "01-05 08:00", ("p", 3, None), revenue=10)
    for day in (6, 7, 8):
        log.refund("o", f"01-{day:02} 08:00", ("p", 1))
    assert made(log, "amount") == [
        (Decimal("3.3333"),),
        (Decimal("3.3334"),),
        (Decimal("3.3333"),),
    ]


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
        # Of the two pieces at 9, one took 10.
        ("m006", "", 0, 1, Decimal(12), "unmatched"),
        ("m006", "new", 1, 1, Decimal(8), "inferred"),
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
                about |= {"order_id": name, "amount": quantity}
                lines.append({**about, "line": 1, "ordered_at": at})
    given_rows = [(ORDER_EVENTS, events), (ORDER_LINES, lines), (FX_RATES, [])]
    given_rows += [(contract, []) for contract in (ORDER_PRODUCTS, ORDER_AMOUNTS, ORDER_NUMBERS)]
    for contract, rows in given_rows:
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


def some_refund(draw, order_id, day):
    """A refund of any kind and what it tells of its money: by message line, and in all."""
    kind = draw.choice(("whole", "amount", "flat", "priced", "unpriced", "total"))
    about = {"order_id": order_id}
    listed = [
        {"product_id": product_id, "quantity": draw.choice((0.5, 1, 2))}
        for product_id in draw.sample("pqr", draw.randint(1, 3))
    ]
    if kind in ("amount", "flat", "total"):
        about["total"] = draw.randint(1, 3000) / 100
    if kind == "flat":
        about["product_id"] = draw.choice("pqr")
    if kind == "priced":
        listed = [{**each, "price": draw.randint(0, 2000) / 100} for each in listed]
    if kind in ("priced", "unpriced", "total"):
        about["products"] = listed
    told = about.get("total")
    if kind == "priced":
        told = sum(Decimal(str(each["price"])) * Decimal(str(each["quantity"])) for each in listed)
    return f"01-{day:02} 08:00", about, None if told is None else Decimal(str(told))


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_both_stocks_hold_and_nothing_told_is_lost(log, seed):
    draw = random.Random(seed)
    log.events.clear()
    told = {}
    for number in range(25):
        products = [
            (draw.choice("pq"), draw.choice((0, 0.5, 1, 3)), draw.randint(0, 1500) / 100)
            for _ in range(draw.randint(1, 4))
        ]
        log.order(f"o{number}", "01-02 08:00", *products, discount=draw.choice((0, 0, 1.5)))
        for _ in range(draw.randint(0, 5)):
            at, about, amount = some_refund(draw, f"o{number}", draw.randint(1, 9))
            told[log.event("Order Refunded", at, **about)] = amount
    tables = log.make_all()
    refunds = tables[REFUNDS.name]
    for line in tables[ORDER_LINES.name]:
        here = [
            row
            for row in refunds
            if (row["order_id"], row["order_line"]) == (line["order_id"], line["line"])
        ]
        assert sum(row["amount"] for row in here) <= line["amount"]
        assert sum(row["quantity"] for row in here) <= line["quantity"]
    for message_id, amount in told.items():
        given_back = sum(row["amount"] for row in refunds if row["message_id"] == message_id)
        assert amount is None or given_back == amount
    for order in tables["clean.orders"]:
        assert 0 <= order["refunded"] <= order["revenue"]
        lines = [row for row in tables[ORDER_LINES.name] if row["order_id"] == order["order_id"]]
        assert order["revenue"] == sum(row["amount"] for row in lines)


def test_numbers_beyond_belief_stop_nothing(log):
    log.order("o", "01-05 08:00", *[("p", 999_999_999, 900)] * 3, user="ann")
    log.order("huge", "01-05 08:00", ("p", 1e13, 1), user="ann")
    for number in range(150):
        log.refund("o" if number % 2 else "C", "01-06 08:00", ("p", 9e8, 1000), user="ann")
    log.refund("o", "01-07 08:00", total=1e15)
    refunds = log.make(REFUNDS)
    assert sum(row["amount"] for row in refunds if row["order_id"] == "o") <= 2_699_999_997_300
