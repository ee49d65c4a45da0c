"""合并: cases in which two persons are wrongly made one, or one wrongly two."""

import datetime as dt
import itertools
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.clean.contracts import BOTS, EVENTS, IDENTITIES, MEMBERS, MERGE_LOG
from tests.sizes import examples


def persons(log):
    """Identifiers by the member they belong to."""
    rows = log.make(IDENTITIES)
    return {
        member_id: {row["identifier"] for row in rows if row["member_id"] == member_id}
        for member_id in {row["member_id"] for row in rows}
    }


def reasons(log):
    names = {log.pseudonym(name): name for name in ("ann", "bob", *(f"d{n}" for n in range(20)))}
    return {names[row["anonymous_id"]]: row["reason"] for row in log.make(MERGE_LOG)}


def test_identify_null_makes_no_giant(log):
    # Collection gives identify(null) no user id: three visitors stay three.
    for device in ("d1", "d2", "d3"):
        log.event(None, "01-01 08:00", device=device, columns={"event_type": "identify"})
    assert len(persons(log)) == 3
    assert log.make(MERGE_LOG) == []


def test_shared_device_joins_nobody(log):
    for user in ("ann", "bob"):
        log.event("Signed In", "01-01 08:00", device="d1", user=user)
    log.event("Product Viewed", "01-01 09:00", device="d1")
    assert {log.member_id(name) for name in ("ann", "bob", "d1")} == set(persons(log))
    assert {row["reason"] for row in log.make(MERGE_LOG)} == {"shared_device"}
    (view,) = (row for row in log.make(EVENTS) if row["event_name"] == "Product Viewed")
    assert view["member_id"] == log.member_id("d1")


def test_two_logins_on_one_cookie_stay_two_members(log):
    log.event("Signed In", "01-01 08:00", device="d1", user="ann")
    log.event("Signed In", "01-02 08:00", device="d1", user="bob")
    log.event("Signed In", "01-03 08:00", device="d2", user="ann")
    log.event("Signed In", "01-03 08:00", device="d3", user="bob")
    found = persons(log)
    assert found[log.member_id("ann")] == {log.pseudonym("ann"), log.pseudonym("d2")}
    assert found[log.member_id("bob")] == {log.pseudonym("bob"), log.pseudonym("d3")}


def test_gateway_bots_that_click_every_link_are_flagged_and_she_is_not(log):
    for second in range(8):
        # Each link is opened without a cookie, by a token that names the member.
        log.event(
            "Email Link Clicked", f"01-05 08:00:{second:02}", user="ann", device=f"gw{second}"
        )
    log.event("Product Viewed", "01-05 09:00", user="ann", device="d1")
    log.event("Email Link Clicked", "01-06 09:00", user="ann", device="d1")
    rows = log.make(EVENTS)
    assert len(rows) == 10
    assert [row["is_bot"] for row in rows] == [True] * 8 + [False] * 2
    (bot,) = log.make(BOTS)
    assert (bot["visitor_id"], bot["rule"], bot["n_events"]) == (
        log.member_id("ann"), "many_clicks", 8,
    )  # fmt: skip


def test_links_clicked_at_a_human_pace_are_hers(log):
    for second in range(0, 60, 10):
        log.event("Email Link Clicked", f"01-05 08:00:{second:02}", user="ann")
    assert not any(row["is_bot"] for row in log.make(EVENTS))


def test_of_the_devices_of_one_week_five_join(log):
    for number in range(1, 8):
        log.event("Signed In", f"01-{number:02} 08:00", device=f"d{number}", user="ann")
    log.event("Signed In", "01-20 08:00", device="d8", user="ann")
    assert reasons(log) == {
        **dict.fromkeys(("d1", "d2", "d3", "d4", "d5", "d8")),
        **dict.fromkeys(("d6", "d7"), "too_many_devices"),
    }
    assert len(persons(log)[log.member_id("ann")]) == 7


def test_a_device_that_is_named_as_a_user_joins_nobody(log):
    log.event("Signed In", "01-01 08:00", device="bob", user="ann")
    log.event("Product Viewed", "01-01 08:00", user="bob")
    assert reasons(log) == {"bob": "is_a_user"}
    assert set(persons(log)) == {log.member_id("ann"), log.member_id("bob")}


def test_one_identifier_in_both_places_is_no_pair(log):
    log.event("Product Viewed", "01-01 08:00", device="ann", user="ann")
    assert log.make(MERGE_LOG) == []
    assert set(persons(log)) == {log.member_id("ann")}


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(*[st.sampled_from("abcde")] * 2), min_size=1, max_size=8),
    st.lists(st.sampled_from("abcde"), max_size=2),
    st.randoms(use_true_random=False),
)
def test_every_alias_is_a_merge_or_has_its_reason_in_any_order(log, aliases, users, random):
    names = {log.pseudonym(name): name for name in "abcde"}
    known = {*users, *(user for _, user in aliases)}
    found = []
    for _ in range(2):
        log.events.clear()
        for previous, user in aliases:
            log.event(None, "01-01 08:00", device=previous, user=user)
        for user in users:
            log.event("Product Viewed", "01-02 08:00", user=user)
        found.append(
            {
                (names[row["anonymous_id"]], names[row["user_id"]]): row["reason"]
                for row in log.make(MERGE_LOG)
            }
        )
        random.shuffle(aliases)
    assert found[0] == found[1]
    assert set(found[0]) == {pair for pair in aliases if pair[0] != pair[1]}
    for (previous, _), reason in found[0].items():
        assert (reason == "is_a_user") == (previous in known)
    assert all(len({names[each] for each in who} & known) <= 1 for who in persons(log).values())


LINKS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(1, 28)), min_size=1, max_size=25
)


@settings(max_examples=examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINKS)
def test_no_person_has_two_users_and_none_takes_up_six_devices_a_week(log, links):
    log.events.clear()
    for user, device, day in links:
        log.event("Signed In", f"01-{day:02} 08:00", device=f"d{device}", user=f"u{user}")
    users = {log.pseudonym(f"u{user}") for user, _, _ in links}
    assert all(len(found & users) <= 1 for found in persons(log).values())
    merged = [row for row in log.make(MERGE_LOG) if row["is_merged"]]
    for user, device in itertools.product(users, merged):
        week = [
            row
            for row in merged
            if row["user_id"] == user
            and dt.timedelta(0) <= device["linked_at"] - row["linked_at"] < dt.timedelta(days=7)
        ]
        assert len(week) <= 5
    assert {row["member_id"] for row in log.make(MEMBERS)} == set(persons(log))


def test_at_any_cut_is_known_what_was_known_then(log):
    """What the log says of an instant is what it would say had nothing come since."""
    draw = random.Random(5)
    ids = "abcdefgh"
    for _ in range(90):
        log.event(
            draw.choice(("Product Viewed", "Signed In")),
            f"01-{draw.randint(1, 28):02} {draw.randrange(24):02}:00",
            user=draw.choice([None, *"abc", *(ids if draw.random() < 0.1 else "a")]),
            device=draw.choice([*"defgh", *(f"t{number}" for number in range(9))]),
        )
    whole = log.make(MERGE_LOG)
    cut = log.at("01-14 12:00")
    log.events = [each for each in log.events if each["occurred_at"] < cut]
    then = {
        (each["anonymous_id"], each["user_id"]) for each in log.make(MERGE_LOG) if each["is_merged"]
    }
    known = {
        (each["anonymous_id"], each["user_id"])
        for each in whole
        if each["known_at"]
        and each["known_at"] < cut
        and (each["known_until"] is None or each["known_until"] >= cut)
    }
    assert then
    assert known == then
    assert known != {(row["anonymous_id"], row["user_id"]) for row in whole if row["is_merged"]}
