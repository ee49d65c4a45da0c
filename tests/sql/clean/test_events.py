import datetime as dt
import hashlib
from decimal import Decimal

import pytest

from assets.clean.contracts import EVENTS, SESSIONS
from resources.config.activity import Activity


def made(log, *columns, **parameters):
    return [tuple(row[column] for column in columns) for row in log.make(EVENTS, **parameters)]


def test_duplicate_message_counts_once(log):
    log.event("Product Viewed", "01-05 08:00", message_id="m", received="01-05 09:00")
    log.event("Product Added", "01-05 08:00", message_id="m", received="01-05 08:30")
    log.event("Product Viewed", "01-05 08:00", message_id="n")
    assert made(log, "message_id", "event_name", "line") == [
        ("m", "Product Added", 2),
        ("n", "Product Viewed", 3),
    ]


def test_the_first_copy_is_told_by_a_total_order(log):
    small = {
        "received_at": log.at("01-05 07:00"),
        "load_date": dt.date(2026, 1, 5),
        "source": "a",
        "path": "a",
        "line": 1,
    }
    large = {
        "received_at": log.at("01-05 08:00"),
        "load_date": dt.date(2026, 1, 6),
        "source": "b",
        "path": "b",
        "line": 2,
    }
    columns = list(small)
    for place, column in enumerate(columns):
        # Equal before the decisive column, and the other way round after it.
        first = {**large, column: small[column]}
        later = {**large, **{name: small[name] for name in columns[place + 1 :]}}
        for event_name, values in (("Later", later), ("First", first)):
            values["path"] = f"{values['path']}/{column}"
            log.event(event_name, "01-05 06:00", message_id=column, columns=values)
    assert made(log, "event_name") == [("First",)] * 5


def test_clock_skew_is_taken_off(log):
    # The device is an hour ahead and sent two minutes after it happened.
    log.event("Product Viewed", "01-05 09:00", sent="01-05 09:02", received="01-05 08:02")
    log.event("Product Viewed", "01-05 08:00", sent="01-05 08:02", received="01-05 08:02:01")
    log.event("Product Viewed", "01-05 08:00")
    assert made(log, "occurred_at", "is_clock_skewed") == [
        (log.at("01-05 08:00"), True),
        (log.at("01-05 08:00:01"), False),
        (log.at("01-05 08:00"), False),
    ]


def test_clock_skew_begins_above_the_tolerance_either_way(log):
    for sent in ("01-05 08:05", "01-05 08:05:01", "01-05 07:55", "01-05 07:54:59"):
        log.event("Product Viewed", "01-05 07:50", sent=sent, received="01-05 08:00")
    assert made(log, "is_clock_skewed") == [(False,), (True,), (False,), (True,)]


def test_nothing_happens_after_it_was_received(log):
    log.event("Product Viewed", "01-05 09:00", received="01-05 08:00")
    log.event("Product Viewed", "01-05 08:03", sent="01-05 08:00", received="01-05 08:00")
    assert made(log, "occurred_at", "is_clock_skewed") == [(log.at("01-05 08:00"), True)] * 2


def test_nothing_happened_before_1970(log):
    late = {"sent_at": dt.datetime(9999, 1, 1)}  # noqa: DTZ001
    log.event("Product Viewed", "01-05 08:00", columns=late)
    assert made(log, "occurred_at", "is_clock_skewed") == [
        (dt.datetime(1970, 1, 1), True)  # noqa: DTZ001
    ]


def test_event_date_is_the_shops(log):
    log.event("Product Viewed", "01-05 15:59:59")
    log.event("Product Viewed", "01-05 16:00")
    assert made(log, "event_date") == [(dt.date(2026, 1, 5),), (dt.date(2026, 1, 6),)]


def test_late_event_counts_on_the_date_it_happened(log):
    log.event("Product Viewed", "01-05 08:00", sent="01-08 08:00", received="01-08 08:00")
    log.event("Product Viewed", "01-05 08:00", received="01-05 15:00")
    assert made(log, "event_date", "is_late") == [
        (dt.date(2026, 1, 5), True),
        (dt.date(2026, 1, 5), False),
    ]


def test_traffic_around_midnight_is_not_late(log):
    log.event("Product Viewed", "01-05 15:30", received="01-05 16:30")
    log.event("Product Viewed", "01-05 15:30", received="01-05 16:30:01")
    assert made(log, "is_late") == [(False,), (True,)]


def test_calls_without_a_name_go_by_their_type(log):
    log.event(None, "01-05 08:00", columns={"event_type": "identify"})
    log.event(None, "01-05 08:00", columns={"event_type": "PAGE"})
    log.event("Cart Viewed", "01-05 08:00")
    assert made(log, "event_name") == [("Identify",), ("Page",), ("Cart Viewed",)]


def test_the_user_of_an_event_goes_before_its_device(log):
    log.event("Product Viewed", "01-05 08:00", device="tablet", user="ann")
    log.event("Product Viewed", "01-05 08:01", device="tablet", user="bob")
    log.event("Product Viewed", "01-05 08:02", device="tablet")
    log.event("Product Viewed", "01-05 08:03")
    assert made(log, "member_id") == [
        (log.member_id("ann"),),
        (log.member_id("bob"),),
        (log.member_id("tablet"),),
        (None,),
    ]


def test_properties_are_read_as_segment_writes_them(log):
    log.event(
        "Product Added",
        "01-05 08:00",
        product_id="p1",
        quantity="3",
        price="2.50",
        share_code="s1",
        group_id="g1",
        campaign_id="c1",
        columns={"channel": "app", "country": "CN", "locale": "zh-CN", "time_zone": "Asia/Tokyo"},
    )
    assert made(log, "product_id", "quantity", "price", "amount") == [
        ("p1", 3, Decimal("2.5"), Decimal("7.5"))
    ]
    assert made(log, "share_code", "group_id", "campaign_id") == [("s1", "g1", "c1")]
    places = ("channel", "country", "locale", "time_zone")
    assert made(log, *places) == [("app", "CN", "zh-CN", "Asia/Tokyo")]


def test_what_cannot_be_read_stops_nothing(log):
    one = (1, None, None)
    cases = [
        ({"product_id": "p"}, one),
        ({"product_id": "p", "price": 2, "quantity": "many"}, (None, Decimal(2), None)),
        ({"product_id": "p", "price": 2, "quantity": 1e300}, (None, Decimal(2), None)),
        ({"product_id": "p", "price": 2, "quantity": 0.4}, (Decimal("0.4"), 2, Decimal("0.8"))),
        ({"product_id": "p", "price": "NaN"}, one),
        ({"product_id": "p", "price": "Infinity"}, one),
        ({"product_id": "p", "price": 1e12}, one),
        ({"product_id": "p", "price": None}, one),
        ({"product_id": "p", "price": 0.29325}, (1, Decimal("0.2933"), Decimal("0.2933"))),
        ({"price": 2}, (None, Decimal(2), None)),
        ({"query": "tea"}, (None, None, None)),
        *(({"text": text}, (None, None, None)) for text in ("", "broken{", "[]", "null", "3")),
    ]
    for properties, _ in cases:
        log.event("Product Viewed", "01-05 08:00", **properties)
    assert made(log, "quantity", "price", "amount") == [expected for _, expected in cases]


def test_jpy_is_converted_at_the_rate_of_the_day(log):
    log.fx_rates = [
        {
            "currency": "JPY",
            "valid_from": dt.date(2026, 1, 1),
            "valid_to": dt.date(2026, 1, 6),
            "rate": 0.05,
        },
        {"currency": "JPY", "valid_from": dt.date(2026, 1, 6), "rate": 0.04},
    ]
    bought = {"product_id": "p", "price": 1000, "quantity": 2}
    log.event("Product Added", "01-05 15:59", currency="JPY", **bought)
    log.event("Product Added", "01-05 16:00", currency="jpy", **bought)
    log.event("Product Added", "01-05 08:00", currency="CNY", **bought)
    log.event("Product Added", "01-05 08:00", **bought)
    assert made(log, "currency", "fx_rate", "price", "amount") == [
        ("JPY", 0.05, Decimal(50), Decimal(100)),
        ("JPY", 0.04, Decimal(40), Decimal(80)),
        ("CNY", 1.0, Decimal(1000), Decimal(2000)),
        (None, 1.0, Decimal(1000), Decimal(2000)),
    ]


def test_a_currency_without_a_rate_shows_as_no_amount(log):
    log.fx_rates = [{"currency": "USD", "valid_from": dt.date(2026, 1, 6), "rate": 7.0}]
    for currency in ("USD", "XXX"):
        log.event("Product Added", "01-05 08:00", product_id="p", price=2, currency=currency)
    assert made(log, "currency", "fx_rate", "price", "amount") == [
        ("USD", None, None, None),
        ("XXX", None, None, None),
    ]


def test_order_events_have_the_revenue_else_the_total(log):
    listed = {"order_id": "o", "products": [{"product_id": "p"}, {"product_id": "q"}]}
    log.event("Order Completed", "01-05 08:00", revenue="120.5", total=130, **listed)
    log.event("Order Completed", "01-05 08:00", total=130, **listed)
    log.event("Order Completed", "01-05 08:00", **listed)
    log.event("Checkout Started", "01-05 08:00", revenue=5, **listed)
    assert made(log, "amount", "order_id", "n_products") == [
        (Decimal("120.5"), "o", 2),
        (Decimal(130), "o", 2),
        (None, "o", 2),
        (None, "o", None),
    ]


def test_products_that_are_no_list_are_not_counted(log):
    for products in ("none", "[oops", {}, 7, None, []):
        log.event("Order Completed", "01-05 08:00", products=products)
    assert made(log, "n_products") == [(None,)] * 5 + [(0,)]


def test_bots_are_flagged_by_user_agent(log):
    agents = ["Mozilla/5.0 (compatible; Googlebot/2.1)", "Mozilla/5.0 (iPhone)", None]
    for agent in agents:
        log.event("Product Viewed", "01-05 08:00", device="d", columns={"user_agent": agent})
    assert made(log, "is_bot") == [(True,), (False,), (False,)]


def test_more_views_a_minute_than_allowed_make_a_bot_for_the_day(log):
    for second in (0, 20, 40, 59):
        log.event("Product Viewed", f"01-05 08:00:{second:02}", device="fast")
    log.event("Cart Viewed", "01-05 15:00", device="fast", user="ann")
    log.event("Product Viewed", "01-05 16:00", device="fast")
    for minute in range(4):
        log.event("Product Viewed", f"01-05 08:{minute:02}", device="patient")
    for second in (0, 20, 40):
        log.event("Product Viewed", f"01-05 08:00:{second:02}", device="quick")
    log.event("Product Viewed", "01-05 08:01", device="quick")

    rows = log.make(EVENTS, bot_views_per_minute=3)

    assert [row["line"] for row in rows if row["is_bot"]] == [1, 2, 3, 4, 5]


def test_a_gap_over_the_limit_starts_a_session(log):
    log.event("Product Viewed", "01-05 08:00", user="ann")
    log.event("Product Viewed", "01-05 08:30", user="ann")
    log.event("Product Viewed", "01-05 09:00:01", user="ann")
    log.event("Product Viewed", "01-05 08:10", user="bob")

    first, second, third, other = made(log, "session_id", "is_session_start")

    assert first == (session_of(log.member_id("ann"), "m001"), True)
    assert second == (first[0], False)
    assert third == (session_of(log.member_id("ann"), "m003"), True)
    assert other == (session_of(log.member_id("bob"), "m004"), True)


def session_of(member_id, message_id):
    return int(hashlib.md5(f"{member_id}:{message_id}".encode()).hexdigest()[:15], 16)


def test_a_session_goes_on_over_login_and_midnight(log):
    log.event("Product Viewed", "01-05 15:50", device="phone")
    log.event("Signed In", "01-05 15:55", device="phone", user="ann")
    log.event("Product Viewed", "01-05 16:10", user="ann")
    assert len(set(made(log, "session_id"))) == 1


def test_events_of_one_instant_share_a_session_begun_by_the_first_message(log):
    for message_id in ("b", "a", "c"):
        log.event("Product Viewed", "01-05 08:00", user="ann", message_id=message_id)
    expected = session_of(log.member_id("ann"), "a")
    assert made(log, "session_id", "is_session_start") == [
        (expected, True),
        (expected, False),
        (expected, False),
    ]


def test_orders_of_servers_and_nobodys_events_have_no_session(log):
    log.event("Order Completed", "01-05 08:00", user="ann", order_id="o1")
    log.event("Order Completed", "01-05 08:00", user="ann", device="phone", order_id="o2")
    log.event("Order Completed", "01-05 08:00", sent="01-05 08:00", user="ann", order_id="o3")
    log.event("Product Viewed", "01-05 08:00")
    sessions = [session_id for (session_id,) in made(log, "session_id")]
    assert [session_id is None for session_id in sessions] == [True, False, True, True]


BY_A_SERVER = {"columns": {"envelope": '{"context":{"library":{"name":"analytics-node"}}}'}}
BY_A_BROWSER = {"columns": {"envelope": '{"context":{"library":{"name":"analytics.js"}}}'}}
PHONE = {"device": "phone", "user": "ann"}
ANN = {"user": "ann"}


@pytest.mark.parametrize(
    ("name", "about", "expected"),
    [
        # What only a member can do, unless a server says so without a device.
        ("Product Viewed", ANN, True),
        ("Product Viewed", PHONE | BY_A_SERVER, True),
        ("Product Viewed", ANN | BY_A_SERVER, False),
        (None, PHONE, True),
        (None, ANN | BY_A_SERVER, False),
        # Answers to messages, whoever tells of them.
        ("Email Link Clicked", ANN | BY_A_SERVER, True),
        ("push_notification_tapped", ANN, True),
        ("Push Notification Opened", PHONE, True),
        # What the shop sent, whoever tells of it.
        ("Email Delivered", PHONE, False),
        ("email_bounced", PHONE, False),
        ("EmailSent", PHONE, False),
        ("Email Opened", PHONE, False),
        ("Push Notification Received", PHONE, False),
        ("In-App Message Displayed", PHONE, False),
        ("短信送达", PHONE, False),
        # What machines do by themselves.
        ("$AppStartPassively", PHONE, False),
        ("session_start", PHONE, False),
        ("user_engagement", PHONE, False),
        ("Application Backgrounded", PHONE, False),
        ("Experiment Viewed", PHONE, False),
        ("Subscription Renewed", ANN, False),
        # Orders.
        ("Order Completed", PHONE | BY_A_BROWSER, True),
        ("Order Completed", PHONE | BY_A_SERVER, False),
        ("Order Refunded", PHONE, False),
        ("Order Updated", PHONE, False),
        # The shop's own: a device sent it, and no server.
        ("Lesson Finished", PHONE | BY_A_BROWSER, True),
        ("Lesson Finished", ANN, False),
        ("Cookie Consent", PHONE, True),
        ("Points Adjusted", PHONE | BY_A_SERVER, False),
        ("Points Adjusted", PHONE | {"columns": {"channel": "Server"}}, False),
        ("Points Adjusted", PHONE | {"columns": {"envelope": '{"channel": "server"}'}}, False),
        ("Points Adjusted", PHONE | {"columns": {"envelope": '{"lib":{"lib":"Java"}}'}}, False),
        ("领取优惠券", PHONE | {"columns": {"envelope": '{"lib":{"lib":"MiniProgram"}}'}}, True),
    ],
)
def test_acts_of_members_are_told_from_what_is_done_to_them(log, name, about, expected):
    columns = {"event_type": "page" if name is None else "track", **about.get("columns", {})}
    log.event(name, "01-05 08:00", **{**about, "columns": columns})
    assert made(log, "is_deliberate") == [(expected,)]


def test_a_shop_names_its_own_acts_by_event_and_channel(log):
    declared = Activity(
        deliberate=("Lesson *", {"events": "Coupon Issued", "channel": "mini_program"}),
        automatic=({"events": "*", "channel": ["store", "E R P"]}, "Survey Sent"),
    )
    for name, channel in (
        ("lesson_finished", None),
        ("Coupon Issued", "mini program"),
        ("Coupon Issued", "app"),
        ("Product Viewed", "erp"),
        ("Product Viewed", "app"),
        ("Lesson Finished", "erp"),
        ("Survey Sent", "app"),
    ):
        log.event(name, "01-05 08:00", user="ann", columns={"channel": channel})
    rows = log.make(EVENTS, **declared.parameters())
    found = [row["is_deliberate"] for row in sorted(rows, key=lambda row: row["line"])]
    assert found == [True, True, False, False, True, True, False]


def test_an_order_is_never_a_bots(log):
    for second in (0, 10, 20, 30):
        log.event("Product Viewed", f"01-05 08:00:{second:02}", device="fast")
    log.event("Order Completed", "01-05 08:05", device="fast", order_id="o1")
    log.event("Order Completed", "01-05 08:06", device="fast", order_id="test1")
    agent = {"columns": {"user_agent": "Mozilla/5.0 (Linux; CUBOT X19) bot"}}
    log.event("Order Completed", "01-05 09:05", device="cubot", order_id="o2", **agent)
    events, sessions = (
        log.make(contract, bot_views_per_minute=3) for contract in (EVENTS, SESSIONS)
    )
    assert [row["line"] for row in events if not row["is_bot"]] == [5, 7]
    assert [(row["has_order"], row["is_bot"]) for row in sessions] == [(True, False)] * 2


def test_only_what_was_received_before_as_of_counts(log):
    # The shop's midnight after the fifth.
    log.event("Product Viewed", "01-05 15:59:59")
    log.event("Product Viewed", "01-05 16:00")
    log.event("Product Viewed", "01-05 08:00", received="01-05 16:00")
    assert made(log, "line", load_date=dt.date(2026, 1, 5)) == [(1,)]
