"""Every event is in Segment's envelope, in the right file, and its amounts are exact."""

import csv
import datetime as dt
from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

from .conftest import SMALL, Landing, instant

ENVELOPE = {
    "messageId", "type", "anonymousId", "userId", "originalTimestamp", "sentAt", "receivedAt",
    "context",
}  # fmt: skip
CONTEXT = {"ip", "locale", "timezone", "userAgent", "channel", "country"}
CHANNELS = {"mini_program", "official_account", "group_chat", "app", "web"}
CURRENCIES = {"CN": "CNY", "JP": "JPY", "US": "USD", "SG": "SGD", "GB": "GBP"}
PRICED = {"product_id", "price", "currency"}
SHARED = {"product_id", "share_code", "share_via"}
ORDERED = {"order_id", "revenue", "currency", "products"}
PROPERTIES = {
    "Products Searched": [{"query"}],
    "Product List Viewed": [{"category"}],
    "Product Viewed": [{"product_id"}],
    "Product Added": [PRICED | {"quantity"}],
    "Product Removed": [PRICED | {"quantity"}],
    "Product Added to Wishlist": [PRICED],
    "Product Shared": [SHARED, SHARED | {"group_id"}],
    "Cart Viewed": [set[str]()],
    "Checkout Started": [{"order_id", "value", "currency"}],
    "Order Completed": [ORDERED, ORDERED | {"group_id"}],
    "Order Refunded": [{"order_id", "currency", "products"}],
    "Order Cancelled": [{"order_id"}],
    None: [{"name"}, {"name", "share_code", "product_id"}],
}
SHANGHAI = dt.timezone(dt.timedelta(hours=8))


def named(landing: Landing, event: str) -> list[dict[str, Any]]:
    return [m for _, m in landing.first_copies().values() if m.get("event") == event]


def test_every_whole_line_has_the_envelope(landing: Landing) -> None:
    for _, message in landing.messages():
        assert set(message["context"]) == CONTEXT
        assert message["context"]["channel"] in CHANNELS
        assert message["messageId"] and message["anonymousId"]
        assert message["userId"] is None or message["userId"].startswith("u")
        expected = ENVELOPE | {"traits" if message["type"] == "identify" else "properties"}
        if message["type"] == "track":
            expected = expected | {"event"}
        assert set(message) == expected
        for name in ("originalTimestamp", "sentAt", "receivedAt"):
            instant(message[name])


def test_every_event_has_the_properties_of_the_vocabulary(landing: Landing) -> None:
    seen: Counter[str | None] = Counter()
    product_ids = {record["product_id"] for _, record in landing.records("products")}
    for _, message in landing.messages():
        if message["type"] == "identify":
            assert message["userId"]
            assert set(message["traits"]) <= {"locale", "phone", "email", "openid"}
            continue
        seen[message.get("event")] += 1
        properties = message["properties"]
        assert set(properties) in PROPERTIES[message.get("event")]
        assert properties.get("product_id", next(iter(product_ids))) in product_ids
        assert len(properties.get("share_code", "")) <= 32
        if "quantity" in properties:
            assert properties["quantity"] >= 1
        assert properties.get("currency", "CNY") in CURRENCIES.values()
    assert set(seen) == set(PROPERTIES)


def test_lines_are_short(landing: Landing) -> None:
    sizes = [len(line.text.encode()) for line in landing.lines]
    assert sum(sizes) / len(sizes) < 460


def test_the_load_date_is_the_local_date_of_receipt(landing: Landing) -> None:
    for load_date, message in landing.messages():
        assert instant(message["receivedAt"]).astimezone(SHANGHAI).date().isoformat() == load_date
    dates = sorted(path.stem for path in (landing.folder / "events").iterdir())
    first = SMALL.first_date
    assert dates == [(first + dt.timedelta(days=k)).isoformat() for k in range(SMALL.days)]


def test_revenue_is_the_sum_of_the_lines(landing: Landing) -> None:
    orders = named(landing, "Order Completed")
    assert len(orders) > 30
    for message in orders:
        properties = message["properties"]
        lines = [product["quantity"] * product["price"] for product in properties["products"]]
        assert properties["revenue"] == sum(lines)
        assert message["userId"], "an order is placed by somebody logged in"
        assert properties["currency"] == CURRENCIES[message["context"]["country"]]


def test_yen_have_no_decimals_and_other_money_has_two(landing: Landing) -> None:
    amounts: list[tuple[str, Decimal]] = []
    for _, message in landing.messages():
        properties = message.get("properties", {})
        held = [properties, *properties.get("products", [])]
        amounts += [
            (properties["currency"], holder[name])
            for holder in held
            for name in ("price", "revenue", "value")
            if name in holder
        ]
    with (landing.folder / "orders_history" / "2026-07-03.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    amounts += [(row["currency"], Decimal(row["unit_price"])) for row in rows]
    digits = defaultdict(set)
    for currency, amount in amounts:
        digits[currency].add(amount.as_tuple().exponent)
        assert amount > 0
    assert digits.pop("JPY") == {0}
    assert {"CNY", "USD"} <= set(digits)
    assert all(exponents == {-2} for exponents in digits.values())


def test_the_history_ends_where_the_events_begin(landing: Landing) -> None:
    with (landing.folder / "orders_history" / "2026-07-03.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "order_id", "user_id", "ordered_at", "product_id", "quantity", "unit_price", "currency",
    ]  # fmt: skip
    begin = dt.datetime(2026, 7, 3, tzinfo=SHANGHAI)
    ordered = [instant(row["ordered_at"]) for row in rows]
    assert max(ordered) < begin
    assert min(ordered) >= begin - dt.timedelta(days=SMALL.history_days)
    known = {row["order_id"] for row in rows}
    assert known.isdisjoint(
        message["properties"]["order_id"] for message in named(landing, "Order Completed")
    )


def test_members_and_consents_lie_in_the_file_of_their_local_date(landing: Landing) -> None:
    for folder, column in (("members", "signed_up_at"), ("consents", "at")):
        n_later = 0
        for load_date, record in landing.records(folder):
            local = instant(record[column]).astimezone(SHANGHAI).date().isoformat()
            assert local == load_date or (local < load_date == "2026-07-03")
            n_later += load_date > "2026-07-03"
        assert n_later > 5


def test_addresses_are_fake_and_consent_needs_one(landing: Landing) -> None:
    members = {record["user_id"]: record for _, record in landing.records("members")}
    assert len(members) == SMALL.members
    for record in members.values():
        assert record["email"] is None or record["email"].endswith("@example.com")
        assert record["openid"] is None or record["openid"].startswith("oSIMULATED-DEMO-")
        if record["phone"] and record["country"] == "CN":
            assert record["phone"].startswith("1990") and len(record["phone"]) == 11
    for name in ("phone", "email", "openid", "country", "birth_year"):
        missing = sum(record[name] is None for record in members.values())
        assert 0 < missing < SMALL.members
    phones = [record["phone"] for record in members.values() if record["phone"]]
    assert len(set(phones)) == len(phones)

    granted: set[str] = set()
    addresses = {"sms": "phone", "email": "email", "wechat": "openid", "app_push": "user_id"}
    for _, record in landing.records("consents"):
        member = members[record["user_id"]]
        assert record["purpose"] == "marketing" and record["proof"]
        assert member[addresses[record["channel"]]] is not None
        assert record["status"] in {"granted", "denied", "revoked"}
        assert record["at"] >= member["signed_up_at"]
        if record["status"] == "granted":
            granted.add(record["user_id"])
    assert 0.65 < len(granted) / len(members) < 0.85


def test_newcomers_are_linked_to_what_they_did_before(landing: Landing) -> None:
    newcomers = {
        record["user_id"]: instant(record["signed_up_at"])
        for load_date, record in landing.records("members")
        if instant(record["signed_up_at"]) >= dt.datetime(2026, 7, 3, tzinfo=SHANGHAI)
    }
    messages = [message for _, message in landing.first_copies().values()]
    logins = {m["userId"]: m for m in messages if m["type"] == "identify"}
    devices = {login["anonymousId"] for login in logins.values()}
    nameless = {m["anonymousId"] for m in messages if m["userId"] is None}
    assert len(set(newcomers) & set(logins)) > 0.9 * len(newcomers)
    assert len(devices & nameless) > 10
    assert any(
        len({m["anonymousId"] for m in messages if m["userId"] == user}) > 1 for user in logins
    ), "somebody uses a second device"
