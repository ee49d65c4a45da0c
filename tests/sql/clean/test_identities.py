import datetime as dt

import pytest

from assets.clean.contracts import EVENTS, IDENTITIES


def by_identifier(log, *columns):
    rows = log.make(IDENTITIES)
    return {row["identifier"]: tuple(row[column] for column in columns) for row in rows}


def test_anonymous_visitor_who_logs_in_is_one_member(log):
    log.event("Product Viewed", "01-01 08:00", device="phone")
    log.event("Product Viewed", "01-02 08:00", device="phone", user="ann")
    log.event("Product Viewed", "01-03 08:00", device="phone")
    log.event("Product Viewed", "01-04 08:00", device="other")

    found = by_identifier(log, "kind", "member_id", "is_shared")

    assert found == {
        log.pseudonym("ann"): ("user_id", log.member_id("ann"), False),
        log.pseudonym("phone"): ("anonymous_id", log.member_id("ann"), False),
        log.pseudonym("other"): ("anonymous_id", log.member_id("other"), False),
    }
    members = [row["member_id"] for row in log.make(EVENTS)]
    assert members == [log.member_id("ann")] * 3 + [log.member_id("other")]


def test_two_known_users_are_never_merged(log):
    log.event("Product Viewed", "01-01 08:00", device="tablet", user="ann")
    log.event("Product Viewed", "01-02 08:00", device="tablet", user="bob")
    log.event("Product Viewed", "01-03 08:00", device="tablet")

    found = by_identifier(log, "member_id", "is_shared")

    assert found == {
        log.pseudonym("ann"): (log.member_id("ann"), False),
        log.pseudonym("bob"): (log.member_id("bob"), False),
        log.pseudonym("tablet"): (log.member_id("tablet"), True),
    }
    members = [row["member_id"] for row in log.make(EVENTS)]
    assert members == [log.member_id(name) for name in ("ann", "bob", "tablet")]


def test_several_devices_of_one_user_are_one_member(log):
    log.event("Product Viewed", "01-01 08:00", device="phone", user="ann")
    log.event("Product Viewed", "01-02 08:00", device="tablet", user="ann")
    assert set(by_identifier(log, "member_id").values()) == {(log.member_id("ann"),)}


def test_a_user_id_in_the_place_of_a_device_stays_that_user(log):
    log.event("Product Viewed", "01-01 08:00", device="ann", user="bob")
    log.event("Product Viewed", "01-02 08:00", user="ann")
    found = by_identifier(log, "kind", "member_id", "is_shared")
    assert found == {
        log.pseudonym("ann"): ("user_id", log.member_id("ann"), False),
        log.pseudonym("bob"): ("user_id", log.member_id("bob"), False),
    }


def test_a_member_without_events_is_known_from_her_record(log):
    log.members.append({"user_id": log.pseudonym("ann"), "signed_up_at": log.at("01-02 08:00")})
    seen = by_identifier(log, "kind", "member_id", "first_seen_at", "last_seen_at")
    at = log.at("01-02 08:00")
    assert seen == {log.pseudonym("ann"): ("user_id", log.member_id("ann"), at, at)}


def test_seen_from_the_first_to_the_last_sign_on_the_corrected_clock(log):
    log.members.append({"user_id": log.pseudonym("ann"), "signed_up_at": log.at("01-02 08:00")})
    log.event("Product Viewed", "01-09 08:00", user="ann", device="phone")
    # The phone's clock is a day ahead: it really happened on the tenth.
    log.event(
        "Product Viewed", "01-11 08:00", sent="01-11 08:01", received="01-10 08:01", user="ann"
    )
    log.event("Product Viewed", "01-01 08:00", device="phone")

    seen = by_identifier(log, "first_seen_at", "last_seen_at")

    assert seen == {
        log.pseudonym("ann"): (log.at("01-02 08:00"), log.at("01-10 08:00")),
        log.pseudonym("phone"): (log.at("01-01 08:00"), log.at("01-09 08:00")),
    }


def test_what_was_received_after_as_of_joins_nobody(log):
    log.event("Product Viewed", "01-05 08:00", device="phone")
    log.event("Product Viewed", "01-06 08:00", device="phone", user="ann")
    rows = log.make(IDENTITIES, load_date=dt.date(2026, 1, 5))
    assert [row["identifier"] for row in rows] == [log.pseudonym("phone")]
    assert rows[0]["member_id"] == log.member_id("phone")


def test_a_collision_of_two_persons_is_refused(log):
    alike = "0123456789abcde"
    for letter in "ab":
        log.event("Cart Viewed", "01-01 08:00", columns={"user_id": alike + letter * 17})
    with pytest.raises(AssertionError, match="no_two_persons_share_a_member_id': 2"):
        log.make(IDENTITIES)
    # It stays refused, whoever else comes, until one of them is gone.
    log.event("Cart Viewed", "01-01 08:00", user="ann")
    log.give()
    with pytest.raises(AssertionError, match="no_two_persons_share_a_member_id': 2"):
        log.rewrite()
    del log.events[0]
    log.give()
    assert len(log.rewrite()[IDENTITIES.name]) == 2
