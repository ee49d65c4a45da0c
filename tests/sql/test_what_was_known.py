"""Models learn at past cuts from what was known there: what became known later changes nothing."""

import datetime as dt

import pytest

from assets.clean import contracts as clean
from assets.features.contracts import (
    KNOWN_DAYS,
    MEMBER_DAYS,
    MEMBER_PRODUCTS,
    MEMBERS,
    PAST_MEMBER_PRODUCTS,
)
from resources.warehouse import Warehouse, read_sql
from tests.sizes import sized

LOAD_DATE = dt.date(2026, 1, 31)
RUN_DATE = LOAD_DATE + dt.timedelta(days=1)
CUT = RUN_DATE - dt.timedelta(days=7)
# Midnight of the shop, in Shanghai, at which the cut's day begins.
CUT_AT = dt.datetime(2026, 1, 24, 16)  # noqa: DTZ001 - stored timestamps are naive UTC


@pytest.fixture
def warehouse():
    return Warehouse(path=":memory:", threads=1)


@pytest.fixture
def shop(log):
    """Ann orders; a laptop that is nobody's yet views and orders; Bob has a tablet."""
    log.members = [{"user_id": log.pseudonym("ann"), "addressable_channels": ["sms"]}]
    log.event("Product Viewed", "01-05 08:00", user="ann", device="phone", product_id="p")
    log.event("Product Viewed", "01-08 08:00", device="laptop", product_id="q")
    log.event("Product Viewed", "01-09 08:00", device="laptop", product_id="q")
    log.order("guest", "01-09 08:10", ("r", 1, 50), device="laptop")
    log.order("whole", "01-10 08:00", ("p", 2, 40), ("q", 1, 20), user="ann")
    log.order("off", "01-12 08:00", ("s", 1, 30), user="ann")
    log.event("Product Viewed", "01-15 08:00", user="bob", device="tablet", product_id="p")
    log.event("Product Viewed", "01-16 08:00", device="tablet", product_id="q")
    log.order("own", "01-20 08:00", ("r", 1, 70), device="tablet")
    log.order("next", "01-27 08:00", ("p", 1, 40), user="ann")
    log.consents = [word(log, "01-06 08:00", "granted")]
    return log


def word(log, at, status):
    return {
        "identifier": log.pseudonym("ann"),
        "channel": "sms",
        "status": status,
        "at": log.at(at),
        "path": f"{status}.jsonl",
    }


def later(name):
    return {"columns": {"path": f"{name}.jsonl"}}


PLANTS = {
    "a login on the laptop": lambda log: log.event(
        "Signed In", "01-26 08:00", user="ann", device="laptop", **later("login")
    ),
    "another user on the tablet": lambda log: log.event(
        "Signed In", "01-26 09:00", user="cat", device="tablet", **later("second")
    ),
    "the phone named as a user": lambda log: log.event(
        "Product Viewed", "01-26 10:00", user="phone", product_id="p", **later("named")
    ),
    "a refund": lambda log: log.refund("whole", "01-26 11:00", ("p", 1, 40), **later("refund")),
    "a cancellation": lambda log: log.event(
        "Order Cancelled", "01-26 12:00", order_id="off", user="ann", **later("cancelled")
    ),
    "a refund of all": lambda log: log.refund("whole", "01-26 13:00", **later("whole")),
    "a withdrawal": lambda log: log.consents.append(word(log, "01-26 14:00", "revoked")),
}


# All at once; at full size one after another, to say which one is seen.
STEPS = sized([list(PLANTS)], [[name] for name in PLANTS])


def looked_at(log):
    """What models read: at past cuts, but for labels of weeks not over by then; and of today."""
    log.give()
    log.rewrite(LOAD_DATE)
    tables = log.tables
    tables.run(KNOWN_DAYS, LOAD_DATE)
    assert tables.offending(KNOWN_DAYS) == {}
    snapshots = tables.session.frame(
        read_sql("tags/purchase_propensity.sql"),
        {**tables.shop.parameters(LOAD_DATE), "n_cuts": 3, "one_in": 1},
    ).sort("cut_date", "member_id")
    past = [
        row | ({"has_order": None} if row["cut_date"] == CUT else {})
        for row in snapshots.to_dicts()
        if row["cut_date"] < RUN_DATE
    ]
    then = tables.run(MEMBER_PRODUCTS, LOAD_DATE, as_of=CUT_AT, holdout_start=CUT_AT)
    names = PAST_MEMBER_PRODUCTS.column_names
    history = [{name: row[name] for name in names} for row in then]
    today = snapshots.filter(cut_date=RUN_DATE).to_dicts()
    now = (
        today,
        tables.run(MEMBER_PRODUCTS, LOAD_DATE),
        [row["consented_channels"] for row in tables.rows(clean.MEMBERS)],
    )
    return (past, history), now


def test_what_became_known_after_a_cut_changes_nothing_at_it(shop):
    then, now = looked_at(shop)
    past, history = then
    at_cut = {row["member_id"]: row for row in past if row["cut_date"] == CUT}
    ann, bob, laptop = map(shop.member_id, ("ann", "bob", "laptop"))
    assert set(at_cut) == {ann, bob}
    assert (at_cut[ann]["n_views_30d"], at_cut[ann]["n_orders"]) == (1, 2)
    assert (at_cut[bob]["n_views_30d"], at_cut[bob]["n_orders"]) == (2, 1)
    assert {row["product_id"] for row in history if row["member_id"] == laptop} == {"q", "r"}
    for step in STEPS:
        for name in step:
            PLANTS[name](shop)
        still, after = looked_at(shop)
        assert still == then, step
        assert after != now, step
        now = after
    today, products, consented = now
    known = {row["member_id"]: row for row in today}
    phone = shop.member_id("phone")
    views = {member: known[member]["n_views_30d"] for member in (ann, bob, phone)}
    # Ann has the laptop's two views and not what the phone did without her; Bob shares the tablet.
    assert views == {ann: 3, bob: 1, phone: 1}
    # The guest's and the next; one was cancelled and one given back.
    assert (known[ann]["n_orders"], known[bob]["n_orders"]) == (2, 0)
    met = {(row["member_id"], row["product_id"]) for row in products}
    assert (ann, "q") in met
    assert (laptop, "q") not in met
    assert ["sms"] not in consented


def test_today_all_that_is_known_is_what_the_tables_of_today_say(shop):
    for plant in PLANTS.values():
        plant(shop)
    looked_at(shop)
    tables = shop.tables
    for contract in (MEMBER_DAYS, MEMBERS):
        tables.run(contract, LOAD_DATE)
    snapshot = tables.session.frame(
        read_sql("tags/purchase_propensity.sql"),
        {**tables.shop.parameters(LOAD_DATE), "n_cuts": 1, "one_in": 1},
    ).filter(cut_date=RUN_DATE)
    names = [name for name in MEMBERS.column_names if name in snapshot.columns]
    said = {row["member_id"]: {name: row[name] for name in names} for row in tables.rows(MEMBERS)}
    assert len(snapshot) == 4
    for row in snapshot.select(names).to_dicts():
        assert row == said[row["member_id"]]


def test_a_label_is_as_it_was_known_at_the_end_of_its_week(shop):
    shop.event("Order Cancelled", "01-22 12:00", order_id="off", user="ann")
    shop.event("Order Cancelled", "01-19 12:00", order_id="whole", user="ann")
    (past, _), _ = looked_at(shop)
    of_ann = {
        row["cut_date"].day: row["has_order"]
        for row in past
        if row["member_id"] == shop.member_id("ann")
    }
    # Both orders of the week from the 11th stood at its end; one in the week from the 4th would.
    assert of_ann == {11: True, 18: False, 25: None}
