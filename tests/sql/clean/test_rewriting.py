"""Rewriting what changed files touch gives what making everything anew gives."""

import datetime as dt
import random
from collections import defaultdict
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.clean.contracts import (
    EVENTS,
    IDENTITIES,
    LOADS,
    MEMBERS,
    MERGE_LOG,
    ORDER_ITEMS,
    SESSIONS,
)
from assets.clean.rewriting import rewrite
from tests.sizes import examples

NAMES = (
    *("Product Viewed", "Email Link Clicked", "Email Delivered", "Unsubscribed"),
    *("Order Completed", "Order Refunded"),
)
SETTINGS = {"bot_views_per_minute": 2, "bot_clicks_per_10_seconds": 2, "session_cap_seconds": 2400}


def anything(log, draw):
    """A record of a few people on a few devices, close together, in one of nine files."""
    name = draw.choice((*NAMES, "Order Cancelled"))
    about = {"product_id": draw.choice("pq"), "quantity": draw.randint(1, 3), "price": 0.7}
    if name.startswith("Order"):
        about = {"products": [about] * draw.randint(0, 2)}
        about |= {"order_id": f"o{draw.randrange(4)}"} if draw.random() < 0.8 else {}
        about |= (
            {"revenue": draw.choice((0.7, 2.1)), "discount": 0.1} if draw.random() < 0.4 else {}
        )
    day, load_day = draw.randint(1, 3), draw.randint(3, 5)
    place = f"{draw.choice('xyz')}{load_day}"
    at = f"01-{day:02} {draw.choice(('15', '16'))}:{draw.randrange(60):02}:{draw.choice('05')}0"
    log.event(
        name,
        at,
        received=f"01-{load_day:02} {draw.randrange(24):02}:00" if draw.random() < 0.5 else at,
        user=draw.choice([None, None, None, *"abc"]),
        device=draw.choice([None, *"1234567", "a"]),
        message_id=f"m{draw.randrange(60)}",
        columns={
            "path": place,
            "source": "till" if place[0] == "z" else "app",
            "load_date": dt.date(2026, 1, load_day),
            "time_zone": draw.choice((None, "Asia/Tokyo", "Asia/Seoul")),
            "user_agent": draw.choice((None, None, "curl/8")),
        },
        **about,
    )
    return log.events.pop()


def records(log, draw):
    """A member's record and her word, in files of their own."""
    day = draw.randint(3, 5)
    place = {"load_date": dt.date(2026, 1, day), "path": f"r{day}", "line": draw.randrange(10**9)}
    user = log.pseudonym(draw.choice("abcd"))
    attributes = draw.choice(("{}", '{"income":"low"}', '{"income":"high","size":2}'))
    member = {**place, "user_id": user, "locale": draw.choice(("en", "zh"))}
    member["attributes"] = attributes
    word = {
        **place,
        "identifier": draw.choice((user, None)),
        "address_hash": draw.choice("12"),
        "channel": draw.choice(("sms", "SMS", "all")),
        "purpose": "marketing",
        "status": draw.choice(("granted", "granted", "revoked")),
        "at": draw.choice((None, log.at(f"01-{draw.randint(3, 5):02} 08:00"))),
    }
    address = {"channel": draw.choice(("sms", "email")), "address_hash": draw.choice("12")}
    return (
        {**member, "source": "members"},
        {**word, "source": "consents"},
        {**place, "user_id": user, **address, "source": "members"},
    )


@settings(max_examples=examples(6), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_rewriting_equals_making_anew(log, seed):
    draw = random.Random(seed)
    files = defaultdict(list)
    for line in range(70):
        row = anything(log, draw) | {"line": line}
        files[row["path"]].append(row)
    spare = list(files)
    present = {}
    log.tables.session.execute("drop schema if exists clean cascade")
    for _ in range(4):
        for path in draw.sample(spare, draw.randint(0, 3)):
            # A file arrives, or comes again with part of its lines, or is taken away.
            rows = draw.sample(files[path], draw.randint(1, len(files[path])))
            present[path] = rows if draw.random() < 0.85 else []
        log.events = [row for rows in present.values() for row in rows]
        told = [records(log, draw) for _ in range(draw.randint(0, 2))]
        log.members += [member for member, _, _ in told]
        log.consents += [word for _, word, _ in told]
        log.addresses += [address for _, _, address in told]
        cost = Decimal(draw.choice("123"))
        log.products = [{"product_id": "p", "cost": cost, "currency": "CNY"}]
        if draw.random() < 0.2:
            log.members, log.consents = log.members[1:], log.consents[1:]
            log.addresses = log.addresses[1:]
        log.give()
        newest = max((row["load_date"] for row in log.events), default=dt.date(2026, 1, 3))
        updated = log.rewrite(newest, **SETTINGS)
    anew = log.make_all(newest, **SETTINGS)
    assert updated == anew


def rows_of(log, contract, where="true"):
    return set(log.tables.session.rows(f"select * from {contract.name} where {where}"))


def rewritten(log, load_date=dt.date(2026, 1, 31)):
    log.give()
    session = log.tables.session
    with session.transaction():
        return rewrite(session, log.tables.shop.parameters(load_date))


def file(path):
    return {"path": path}


def test_a_late_event_rewrites_its_date_and_nothing_else(log):
    for day in range(1, 8):
        for user in ("ann", "bob"):
            log.event("Product Viewed", f"01-{day:02} 08:00", user=user, columns=file(f"d{day}"))
    assert rewritten(log).n_dates == 7
    before = rows_of(log, EVENTS)
    log.event("Cart Viewed", "01-03 08:10", received="01-08 08:00", user="ann", columns=file("d8"))
    done = rewritten(log)
    assert (done.n_files, done.first_date, done.last_date) == (1, *[dt.date(2026, 1, 3)] * 2)
    # Her session goes on: that event keeps its row, and a new one is there.
    assert done.n_events == 2
    assert rows_of(log, EVENTS) - before == rows_of(log, EVENTS, "event_name = 'Cart Viewed'")


def test_an_earlier_copy_takes_the_place_of_a_later_one(log):
    log.event("Product Viewed", "01-02 08:00", received="01-02 09:00", message_id="m")
    rewritten(log)
    columns = {"path": "b", "line": 7}
    log.event("Cart Viewed", "01-02 08:00", received="01-02 08:30", message_id="m", columns=columns)
    rewritten(log)
    assert [row["event_name"] for row in log.tables.rows(EVENTS)] == ["Cart Viewed"]
    del log.events[1]
    rewritten(log)
    assert [row["event_name"] for row in log.tables.rows(EVENTS)] == ["Product Viewed"]


def test_a_login_moves_what_the_device_did_before_and_a_second_one_moves_it_back(log):
    log.event("Product Viewed", "01-01 08:00", device="phone", columns=file("d1"))
    rewritten(log)
    log.event("Product Viewed", "01-05 08:00", device="phone", user="ann", columns=file("d5"))
    assert rewritten(log).n_moved_visitors == 1
    assert {row["member_id"] for row in log.tables.rows(EVENTS)} == {log.member_id("ann")}
    assert {row["member_id"] for row in log.tables.rows(MEMBERS)} == {log.member_id("ann")}
    log.event("Product Viewed", "01-06 08:00", device="phone", user="bob", columns=file("d6"))
    rewritten(log)
    found = [row["member_id"] for row in log.tables.rows(EVENTS)]
    assert found == [log.member_id(name) for name in ("phone", "ann", "bob")]
    reasons = {row["user_id"]: row["reason"] for row in log.tables.rows(MERGE_LOG)}
    assert reasons == dict.fromkeys(map(log.pseudonym, ("ann", "bob")), "shared_device")


def test_an_event_between_two_sessions_makes_them_one(log):
    for at in ("01-01 08:00", "01-01 08:50"):
        log.event("Product Viewed", at, user="ann")
    rewritten(log)
    assert len(log.tables.rows(SESSIONS)) == 2
    log.event("Cart Viewed", "01-01 08:25", user="ann", columns=file("late"))
    rewritten(log)
    (session,) = log.tables.rows(SESSIONS)
    assert session["n_events"] == 3
    del log.events[2]
    rewritten(log)
    assert len(log.tables.rows(SESSIONS)) == 2


def test_a_new_cost_is_counted_on_old_orders(log):
    log.order("o", "01-01 08:00", ("p", 2, 10), user="ann")
    log.products = [{"product_id": "p", "cost": Decimal(3), "currency": "CNY"}]
    rewritten(log)
    log.products[0]["cost"] = Decimal(4)
    rewritten(log)
    assert [row["cost"] for row in log.tables.rows(ORDER_ITEMS)] == [Decimal(8)]


def test_nothing_new_rewrites_nothing(log):
    log.event("Product Viewed", "01-01 08:00", device="phone", user="ann")
    assert rewritten(log).is_complete
    done = rewritten(log)
    assert (done.is_complete, done.n_files, done.n_events) == (False, 0, 0)


def test_other_settings_make_everything_anew(log):
    log.event("Product Viewed", "01-01 08:00", user="ann")
    rewritten(log)
    log.fx_rates = [{"currency": "USD", "valid_from": dt.date(2026, 1, 1), "rate": 7.0}]
    assert rewritten(log).is_complete


def test_an_earlier_as_of_forgets_what_came_after_it(log):
    log.event("Product Viewed", "01-05 08:00", device="phone")
    log.event("Product Viewed", "01-06 08:00", device="phone", user="ann", columns=file("b"))
    rewritten(log, dt.date(2026, 1, 6))
    rewritten(log, dt.date(2026, 1, 5))
    assert [row["member_id"] for row in log.tables.rows(IDENTITIES)] == [log.member_id("phone")]
    rewritten(log, dt.date(2026, 1, 6))
    assert len(log.tables.rows(EVENTS)) == 2


def test_tables_of_an_earlier_version_are_made_anew(log):
    log.event("Product Viewed", "01-01 08:00", user="ann")
    rewritten(log)
    log.tables.session.execute("alter table clean.events drop column is_test")
    assert rewritten(log).is_complete
    assert len(log.tables.rows(EVENTS)) == 1


def test_of_a_file_with_waiting_records_only_those_whose_time_has_come_are_rewritten(log):
    for minute in range(50):
        log.event("Product Viewed", f"01-05 08:{minute:02}", user="ann", device="phone")
    log.event("Cart Viewed", "01-06 20:00", device="tablet", user="bob", message_id="soon")
    log.event("Cart Viewed", "01-30 08:00", device="tablet", user="ann", message_id="later")
    log.members = [{"user_id": log.pseudonym("cat"), "signed_up_at": log.at("01-06 20:00")}]
    first = rewritten(log, dt.date(2026, 1, 5))
    assert first.n_events == 50
    (load,) = (row for row in log.tables.rows(LOADS) if row["n_waiting"])
    assert (load["n_waiting"], load["waits_until"]) == (2, log.at("01-30 08:00"))
    # Nothing has come, though a day went by.
    assert rewritten(log, dt.date(2026, 1, 6)).n_events == 0
    done = rewritten(log, dt.date(2026, 1, 7))
    assert (done.n_files, done.n_events) == (0, 1)
    assert [row["n_waiting"] for row in log.tables.rows(LOADS) if row["n_waiting"]] == [1]
    signed_up = {row["member_id"]: row["signed_up_at"] for row in log.tables.rows(MEMBERS)}
    assert signed_up[log.member_id("cat")] == log.at("01-06 20:00")
    updated = log.rewrite(dt.date(2026, 1, 31))
    assert updated == log.make_all(dt.date(2026, 1, 31))
