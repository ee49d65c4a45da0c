import datetime as dt

from assets.clean.contracts import EVENTS, SESSIONS


def only(log):
    (session,) = log.make(SESSIONS)
    return session


def test_a_session_is_counted_from_its_events(log):
    log.event(None, "01-05 15:50", user="ann", columns={"event_type": "page", "channel": "site"})
    log.event("Product Viewed", "01-05 15:55", user="ann", columns={"channel": "app"})
    log.event("Order Completed", "01-05 16:20", user="ann", device="phone", order_id="o")
    session = only(log)
    del session["session_id"]
    assert session == {
        "member_id": log.member_id("ann"),
        "started_at": log.at("01-05 15:50"),
        "ended_at": log.at("01-05 16:20"),
        "session_date": dt.date(2026, 1, 5),
        "n_events": 3,
        "n_views": 1,
        "is_engaged": True,
        "has_order": True,
        "is_bot": False,
        "is_quarantined": False,
        "channel": "site",
    }


def test_the_channel_is_the_first_events_even_if_it_has_none(log):
    log.event("Cart Viewed", "01-05 08:00", user="ann")
    log.event("Cart Viewed", "01-05 08:01", user="ann", columns={"channel": "app"})
    assert only(log)["channel"] is None


def test_two_views_or_20_seconds_or_an_order_engage(log):
    log.event("Product Viewed", "01-05 08:00", user="one view")
    log.event("Product Viewed", "01-05 08:00", user="two views")
    log.event("Product Viewed", "01-05 08:00:01", user="two views")
    log.event("Product Viewed", "01-05 08:00", user="short")
    log.event("Cart Viewed", "01-05 08:00:19", user="short")
    log.event("Product Viewed", "01-05 08:00", user="long")
    log.event("Cart Viewed", "01-05 08:00:20", user="long")
    log.event("Order Completed", "01-05 08:00", user="order", device="d", order_id="o")
    engaged = {row["member_id"]: row["is_engaged"] for row in log.make(SESSIONS)}
    assert engaged == {
        log.member_id("one view"): False,
        log.member_id("two views"): True,
        log.member_id("short"): False,
        log.member_id("long"): True,
        log.member_id("order"): True,
    }


def test_a_session_is_a_bots_when_all_of_it_is(log):
    log.event("Cart Viewed", "01-05 08:00", user="ann", columns={"user_agent": "curl/8"})
    log.event("Product Viewed", "01-05 08:01", user="ann", columns={"user_agent": "curl/8"})
    log.event("Product Viewed", "01-05 08:02", user="ann", columns={"user_agent": "curl/8"})
    assert (only(log)["is_bot"], only(log)["n_views"]) == (True, 2)
    log.event("Cart Viewed", "01-05 08:03", user="ann")
    found = only(log)
    assert (found["is_bot"], found["n_events"], found["n_views"]) == (False, 4, 0)
    assert not found["is_engaged"]


def test_what_a_bot_did_the_day_before_does_not_date_a_session(log):
    log.event("Cart Viewed", "01-05 15:50", user="ann", columns={"user_agent": "curl/8"})
    log.event("Cart Viewed", "01-05 16:10", user="ann")
    assert only(log)["session_date"] == dt.date(2026, 1, 6)


def test_no_session_with_an_order_is_a_bots(log):
    for second in range(4):
        log.event("Email Link Clicked", f"01-05 08:00:0{second}", user="ann")
    log.event("Order Completed", "01-05 08:12", user="ann", device="phone", order_id="o1")
    (found,) = log.make(SESSIONS, bot_clicks_per_10_seconds=2)
    assert (found["is_bot"], found["has_order"], found["n_events"]) == (False, True, 5)


def test_a_session_runs_on_across_midnight(log):
    # Shanghai's midnight is at 16:00 UTC.
    for at in ("01-05 15:50", "01-05 16:10"):
        log.event("Product Viewed", at, user="ann")
    assert only(log)["session_date"] == dt.date(2026, 1, 5)


def test_a_session_longer_than_the_cap_is_quarantined_with_its_events(log):
    for hour in range(4 * 24 * 3):
        day, minute = divmod(hour * 20, 24 * 60)
        log.event("Cart Viewed", f"01-{day + 1:02} {minute // 60:02}:{minute % 60:02}", user="bot")
    log.event("Cart Viewed", "01-20 08:00", user="bot")
    long, short = sorted(log.make(SESSIONS), key=lambda row: row["started_at"])
    assert long["ended_at"] - long["started_at"] > dt.timedelta(days=3)
    assert (long["is_quarantined"], long["is_bot"]) == (True, True)
    assert (short["is_quarantined"], short["is_bot"]) == (False, False)
    assert sum(row["is_bot"] for row in log.make(EVENTS)) == long["n_events"] == 288
