import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.clean.contracts import MEMBERS
from resources.config.shop import CHANNELS
from tests.sizes import examples

CONSENT = ("consented_channels", "withdrawn_channels")


def record(log, user, **columns):
    line = len(log.members) + 1
    log.members.append({"user_id": log.pseudonym(user), "line": line, **columns})


def said(log, user, channel, status, at, **columns):
    words = {"identifier": user and log.pseudonym(user), "channel": channel, "status": status}
    line = len(log.consents) + 1
    when = log.at(at) if isinstance(at, str) else at
    row = {"purpose": "marketing", "at": when, "line": line, **words, **columns}
    log.consents.append(row)


def has(log, user, channel, address):
    """The member's newest record gives an address that others may have too."""
    place = {name: log.members[-1].get(name) for name in ("user_id", "line")}
    row = {"source": "members", "path": "m.jsonl", "load_date": dt.date(2026, 1, 31), **place}
    assert row["user_id"] == log.pseudonym(user)
    log.addresses.append({**row, "channel": channel, "address_hash": address})


def by_member(log, *columns, **parameters):
    rows = log.make(MEMBERS, **parameters)
    return {row["member_id"]: tuple(row[column] for column in columns) for row in rows}


def test_everybody_is_a_member_identified_or_not(log):
    record(log, "ann", signed_up_at=log.at("01-02 08:00"), addressable_channels=["sms"])
    log.event("Product Viewed", "01-03 08:00", user="ann", device="phone")
    log.event("Product Viewed", "01-01 08:00", device="phone")
    log.event("Product Viewed", "01-04 08:00", device="tablet")
    columns = ("is_identified", "signed_up_at", "first_seen_at", "last_seen_at")
    assert by_member(log, *columns, "addressable_channels") == {
        log.member_id("ann"): (
            True,
            log.at("01-02 08:00"),
            log.at("01-01 08:00"),
            log.at("01-03 08:00"),
            ["sms"],
        ),
        log.member_id("tablet"): (False, None, log.at("01-04 08:00"), log.at("01-04 08:00"), []),
    }


def test_her_newest_record_counts_but_her_first_sign_up(log):
    old, new = dt.date(2026, 1, 1), dt.date(2026, 1, 2)
    record(log, "ann", load_date=new, path="a", locale="en", channel="app")
    record(log, "ann", load_date=old, path="b", locale="zh")
    for record_of_ann, sign_up in zip(log.members, ("01-02 08:00", "01-01 08:00"), strict=True):
        record_of_ann["signed_up_at"] = log.at(sign_up)
    record(log, "bob", path="d", locale="en")
    record(log, "bob", path="c", locale="zh")
    assert by_member(log, "locale", "signed_up_at", "channel") == {
        log.member_id("ann"): ("en", log.at("01-01 08:00"), "app"),
        log.member_id("bob"): ("en", None, None),
    }


def test_where_the_time_zone_came_from(log):
    record(log, "own", time_zone="Europe/Paris", country="FR")
    record(log, "events")
    record(log, "neither")
    places = [("Asia/Tokyo", "JP"), ("Asia/Shanghai", "CN"), ("Asia/Tokyo", "JP"), (None, None)]
    for user in ("own", "events"):
        for time_zone, country in places:
            columns = {"time_zone": time_zone, "country": country, "locale": "en"}
            log.event("Product Viewed", "01-03 08:00", user=user, columns=columns)
    for time_zone in ("Asia/Tokyo", "Asia/Shanghai"):
        columns = {"time_zone": time_zone, "channel": "app"}
        log.event("Product Viewed", "01-03 08:00", user="tie", columns=columns)
    found = by_member(log, "time_zone", "time_zone_source", "country", "locale", "channel")
    assert found == {
        log.member_id("own"): ("Europe/Paris", "member", "FR", "en", None),
        log.member_id("events"): ("Asia/Tokyo", "events", "JP", "en", None),
        log.member_id("neither"): ("Asia/Shanghai", "shop", None, None, None),
        log.member_id("tie"): ("Asia/Shanghai", "events", None, None, "app"),
    }


def test_what_was_sent_to_a_member_tells_nothing_of_where_they_are(log):
    ireland = {"columns": {"time_zone": "Europe/Dublin", "country": "IE", "channel": "email"}}
    for minute in range(3):
        log.event("Email Delivered", f"01-05 08:0{minute}", user="ann", **ireland)
        log.event("Email Opened", f"01-05 09:0{minute}", user="bob", device="proxy", **ireland)
    tokyo = {"columns": {"time_zone": "Asia/Tokyo", "country": "JP", "channel": "app"}}
    log.event("Product Viewed", "01-05 08:00", user="bob", **tokyo)
    log.event("Order Completed", "01-05 08:00", user="cat", order_id="o", **tokyo)
    rows = {row["member_id"]: row for row in log.make(MEMBERS)}
    found = {
        name: tuple(rows[log.member_id(name)][key] for key in ("time_zone", "country", "channel"))
        for name in ("ann", "bob", "cat")
    }
    assert found == {
        "ann": ("Asia/Shanghai", None, None),
        "bob": ("Asia/Tokyo", "JP", "app"),
        "cat": ("Asia/Shanghai", "JP", "app"),
    }


def test_a_repeated_message_does_not_vote_twice(log):
    for path in "abc":
        columns = {"time_zone": "Asia/Tokyo", "path": path}
        log.event("Cart Viewed", "01-03 08:00", user="ann", message_id="m", columns=columns)
    for at in ("01-03 08:00", "01-03 08:01"):
        log.event("Cart Viewed", at, user="ann", columns={"time_zone": "Asia/Seoul"})
    assert by_member(log, "time_zone") == {log.member_id("ann"): ("Asia/Seoul",)}


def test_who_cannot_be_told_to_be_of_age_is_a_minor(log):
    # On 2026-02-01, of age are those surely born in January 2008 or before.
    for band in (2000, 2003, 2004, 2005, 2015, None):
        record(log, str(band), birth_year_band=band)
    record(log, "unread", is_age_unread=True)
    assert by_member(log, "is_minor") == {
        log.member_id("2000"): (False,),
        log.member_id("2003"): (False,),
        log.member_id("2004"): (True,),
        log.member_id("2005"): (True,),
        log.member_id("2015"): (True,),
        log.member_id("None"): (False,),
        log.member_id("unread"): (True,),
    }


@pytest.mark.parametrize(
    ("load_date", "is_minor"),
    [
        # Born on 31 December 2009 at the latest: of age on 31 December 2027.
        (dt.date(2027, 2, 1), True),
        (dt.date(2027, 12, 29), True),
        (dt.date(2027, 12, 30), False),
        (dt.date(2027, 12, 31), False),
        (dt.date(2028, 1, 5), False),
    ],
)
def test_of_age_from_the_last_birthday_of_the_band_on(log, load_date, is_minor):
    record(log, "ann", birth_year_band=2005)
    rows = log.make(MEMBERS, load_date=load_date)
    assert [row["is_minor"] for row in rows] == [is_minor]


def test_each_attribute_is_the_newest_that_is_told_and_the_youngest_age_counts(log):
    crm = {"birth_year_band": 2010, "country": "CN", "addressable_channels": ["email", "sms"]}
    record(log, "ann", path="crm", load_date=dt.date(2026, 1, 3), time_zone="Asia/Shanghai", **crm)
    record(log, "ann", path="app", load_date=dt.date(2026, 1, 5), locale="zh-CN")
    record(log, "ann", path="old", load_date=dt.date(2026, 1, 1), locale="en", birth_year_band=1980)
    columns = ("locale", "country", "time_zone_source", "is_minor", "birth_year_band")
    assert by_member(log, *columns) == {log.member_id("ann"): ("zh-CN", "CN", "member", True, 2010)}


def test_the_latest_word_on_marketing_counts(log):
    record(log, "ann")
    said(log, "ann", "sms", "denied", "01-01 08:00")
    said(log, "ann", "sms", "granted", "01-02 08:00")
    said(log, "ann", "app_push", "granted", "01-02 08:00")
    said(log, "ann", "app_push", "revoked", "01-03 08:00")
    said(log, "ann", "email", "granted", "01-02 08:00", purpose="service")
    said(log, "ann", "wecom", "granted", "01-02 08:00", load_date=dt.date(2026, 1, 9))
    said(log, "ann", "wecom", "granted", "01-05 08:00", load_date=dt.date(2026, 1, 1))
    assert by_member(log, *CONSENT) == {log.member_id("ann"): (["sms", "wecom"], ["app_push"])}


def test_at_one_instant_the_most_restrictive_word_wins(log):
    record(log, "ann")
    said(log, "ann", "sms", "denied", "01-02 08:00", load_date=dt.date(2026, 1, 2))
    said(log, "ann", "sms", "granted", "01-02 08:00", load_date=dt.date(2026, 1, 3))
    assert by_member(log, *CONSENT) == {log.member_id("ann"): ([], ["sms"])}


def test_most_restrictive_consent_of_joined_identifiers_wins(log):
    log.event("Cart Viewed", "01-01 08:00", user="ann", device="phone")
    for channel in ("app_push", "sms"):
        said(log, "ann", channel, "granted", "01-03 08:00")
    said(log, "phone", "app_push", "denied", "01-02 08:00")
    assert by_member(log, *CONSENT) == {log.member_id("ann"): (["sms"], ["app_push"])}


def test_a_grant_counts_from_its_instant_and_a_withdrawal_at_once(log):
    for user in ("ann", "bob"):
        record(log, user)
        said(log, user, "sms", "granted", "01-05 15:59")
    said(log, "ann", "email", "granted", "01-05 16:00")
    said(log, "bob", "sms", "denied", "01-25 16:00")
    assert by_member(log, *CONSENT, load_date=dt.date(2026, 1, 5)) == {
        log.member_id("ann"): (["sms"], []),
        log.member_id("bob"): ([], ["sms"]),
    }


@given(
    channel=st.sampled_from(
        ["sms", "SMS", " sms ", "短信", "*", "all", "", "pigeon", "手机", "ＳＭＳ"]
    )
    | st.text(max_size=8),
    purpose=st.sampled_from(["marketing", "Marketing", "", "all", "营销", "analytics"]),
    status=st.text(max_size=12).filter(lambda said: said != "granted")
    | st.sampled_from(
        ["Granted", " granted", "STOP", "退订", "T", "0", "subscribed", "not granted"]
    ),
    at=st.none() | st.datetimes(dt.datetime(2026, 1, 4), dt.datetime(2030, 1, 1)),  # noqa: DTZ001
)
@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_status_but_an_exact_grant_leaves_an_older_grant_standing(
    log, channel, purpose, status, at
):
    log.members, log.consents = [], []
    record(log, "ann")
    said(log, "ann", "sms", "granted", "01-02 08:00")
    said(log, "ann", channel, status, at, purpose=purpose)
    (consented, withdrawn) = by_member(log, *CONSENT)[log.member_id("ann")]
    scope = log.tables.session.scalar("select scope from raw.consents where line = 2")
    if scope in (None, "sms"):
        assert (consented, "sms" in withdrawn) == ([], True)
    else:
        assert (consented, withdrawn) == (["sms"], [scope])


@given(
    channel=st.text(max_size=8).filter(lambda said: said not in CHANNELS),
    purpose=st.text(max_size=8).filter(lambda said: said != "marketing"),
    is_on_channel=st.booleans(),
)
@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_grant_that_is_not_exact_opens_nothing(log, channel, purpose, is_on_channel):
    log.members, log.consents = [], []
    record(log, "ann")
    if is_on_channel:
        said(log, "ann", "sms", "granted", "01-02 08:00", purpose=purpose)
    else:
        said(log, "ann", channel, "granted", "01-02 08:00")
    assert by_member(log, *CONSENT) == {log.member_id("ann"): ([], [])}


def test_a_withdrawal_from_everything_is_opened_again_channel_by_channel(log):
    record(log, "ann")
    for channel in ("sms", "email"):
        said(log, "ann", channel, "granted", "01-02 08:00")
    said(log, "ann", "all", "revoked", "01-03 08:00")
    said(log, "ann", "sms", "granted", "01-04 08:00")
    (consented, withdrawn) = by_member(log, *CONSENT)[log.member_id("ann")]
    assert consented == ["sms"]
    assert withdrawn == sorted(set(CHANNELS) - {"sms"})


def test_a_withdrawal_without_a_time_counts_until_a_grant_after_its_load_date(log):
    for user, granted in (("ann", "01-03 15:59"), ("bob", "01-03 16:01")):
        record(log, user)
        said(log, user, "sms", "granted", granted)
        said(log, user, "sms", "revoked", None, load_date=dt.date(2026, 1, 3))
    assert by_member(log, "consented_channels") == {
        log.member_id("ann"): ([],),
        log.member_id("bob"): (["sms"],),
    }


def test_a_channel_that_the_shop_declares_is_known(log):
    for user in ("ann", "bob"):
        record(log, user)
        said(log, user, "sms", "granted", "01-02 08:00")
        said(log, user, "zalo", "granted", "01-02 08:00")
    said(log, "bob", "zalo", "revoked", "01-03 08:00")
    undeclared = by_member(log, "consented_channels")
    assert undeclared == {log.member_id("ann"): (["sms"],), log.member_id("bob"): ([],)}
    known = ",".join((*CHANNELS, "zalo"))
    assert by_member(log, *CONSENT, known_channels=known) == {
        log.member_id("ann"): (["sms", "zalo"], []),
        log.member_id("bob"): (["sms"], ["zalo"]),
    }


def test_a_withdrawal_by_address_shuts_the_channel_for_all_who_have_it(log):
    for user in ("ann", "bob", "eve"):
        record(log, user)
        said(log, user, "sms", "granted", "01-02 08:00")
        said(log, user, "email", "granted", "01-02 08:00")
        has(log, user, "sms", "another" if user == "eve" else "shared")
    said(log, None, "sms", "revoked", "01-03 08:00", address_hash="shared")
    said(log, "bob", "sms", "granted", "01-04 08:00")
    said(log, None, "email", "granted", "01-02 08:00", address_hash="shared")
    assert by_member(log, *CONSENT) == {
        log.member_id("ann"): (["email"], []),
        log.member_id("bob"): (["email", "sms"], []),
        log.member_id("eve"): (["email", "sms"], []),
    }


def test_a_grant_by_address_counts_where_the_address_is_theirs(log):
    for user, channel in (("ann", "email"), ("bob", "sms")):
        record(log, user)
        has(log, user, channel, "address")
    said(log, None, "email", "granted", "01-02 08:00", address_hash="address")
    assert by_member(log, *CONSENT) == {
        log.member_id("ann"): (["email"], []),
        log.member_id("bob"): ([], []),
    }


def test_who_unsubscribes_in_an_event_has_withdrawn(log):
    for user in ("ann", "bob", "eve"):
        record(log, user)
        for channel in ("sms", "email"):
            said(log, user, channel, "granted", "01-02 08:00")
    log.event("Email Unsubscribed", "01-03 08:00", user="ann")
    log.event("Unsubscribed", "01-03 08:00", user="bob")
    said(log, "bob", "sms", "granted", "01-04 08:00")
    log.event("email_marked_as_spam", "01-01 08:00", user="eve")
    found = by_member(log, "consented_channels")
    assert found == {
        log.member_id("ann"): (["sms"],),
        log.member_id("bob"): (["sms"],),
        log.member_id("eve"): (["email", "sms"],),
    }


def test_assumed_consent_is_for_the_identified_who_did_not_deny(log):
    for user in ("ann", "bob"):
        record(log, user)
    log.event("Cart Viewed", "01-01 08:00", device="phone")
    said(log, "bob", "File", "opt out", "01-02 08:00")
    said(log, "bob", "sms", "granted", "01-03 08:00")
    said(log, "bob", "app_push", "granted", "01-03 08:00")
    consented = by_member(log, "consented_channels", assumed_channels="sms, file")
    assert consented == {
        log.member_id("ann"): (["file", "sms"],),
        log.member_id("bob"): (["app_push", "sms"],),
        log.member_id("phone"): ([],),
    }


def test_nothing_is_assumed_unless_declared(log):
    record(log, "ann")
    found = by_member(log, "consented_channels", "addressable_channels")
    assert found == {log.member_id("ann"): ([], [])}
