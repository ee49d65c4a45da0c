"""What holds for every clean table, whatever arrived and in whatever order."""

import datetime as dt
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sizes import examples

NAMES = ("Product Viewed", "Product Added", "Order Completed", "Order Refunded", "Order Cancelled")
PRODUCTS = tuple("pqrs")
PLACES = (None, "Asia/Tokyo", "Asia/Seoul")


def fill(log, seed):
    """Records of five people on eight devices, with ties and repeats wherever they can be."""
    draw = random.Random(seed)
    for _ in range(60):
        name = draw.choice(NAMES)
        about = {"product_id": draw.choice(PRODUCTS), "quantity": draw.randint(1, 3), "price": 0.7}
        if name.startswith("Order"):
            about["order_id"] = f"o{draw.randrange(8)}"
            if draw.random() < 0.5:
                about = {"order_id": about["order_id"], "products": [about] * draw.randint(1, 2)}
        minute = draw.randrange(40)
        log.event(
            name,
            f"01-{draw.randint(1, 3):02} 08:{minute:02}",
            received=f"01-{draw.randint(3, 5):02} 08:{minute:02}",
            user=draw.choice([None, None, *"abcde"]),
            device=draw.choice([None, *"12345678"]),
            message_id=f"m{draw.randrange(50)}",
            columns={"path": draw.choice("xyz"), "time_zone": draw.choice(PLACES)},
            **about,
        )


def test_nothing_arrived_is_no_rows(log):
    assert set(map(len, log.make_all().values())) == {0}


@settings(max_examples=examples(6), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_shuffled_rows_change_nothing(log, seed, random_order):
    log.events.clear()
    fill(log, seed)
    before = log.facts()
    random_order.shuffle(log.events)
    assert log.facts() == before


def test_records_loaded_again_change_nothing(log):
    fill(log, seed=1)
    once = log.facts()
    log.events += [
        {**row, "path": "z2", "line": 1000 + line, "load_date": dt.date(2026, 2, 1)}
        for line, row in enumerate(log.events)
    ]
    assert log.facts() == once


def test_every_message_is_found_again(log):
    fill(log, seed=2)
    made = log.make_all()
    events = made["clean.events"]
    assert {row["message_id"] for row in events} == {row["message_id"] for row in log.events}
    assert len(events) == len({row["message_id"] for row in events}) < len(log.events)
    n_with_session = sum(row["session_id"] is not None for row in events)
    assert sum(row["n_events"] for row in made["clean.sessions"]) == n_with_session
    members = {row["member_id"] for row in made["clean.members"]}
    assert {row["member_id"] for row in events} - {None} <= members
    ordered = {row["order_id"] for row in events if row["event_name"] == "Order Completed"}
    assert {row["order_id"] for row in made["clean.orders"]} == ordered
