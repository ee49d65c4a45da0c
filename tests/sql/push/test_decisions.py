"""The gates after the arm, one by one, and what no order of campaigns can break."""

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.push import contracts
from tests.sizes import examples

DAY = dt.date(2026, 9, 15)


def at(day, hour):
    return dt.datetime.combine(day, dt.time(hour))


def one(decisions):
    (row,) = decisions.values()
    return row


def local(row, zone):
    return row["send_at"].replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def verdicts(decisions):
    return {key: (row["outcome"], row["reason"]) for key, row in decisions.items()}


def test_without_candidates_the_table_is_empty(world):
    world.campaign()
    assert world.decide(DAY) == {}
    assert world.tables.offending(contracts.DECISIONS) == {}


def test_gates_before_the_arm_keep_their_reason(world):
    world.campaign()
    world.member(1)
    world.candidate(1, reason="no consent")
    row = one(world.decide(DAY))
    assert (row["outcome"], row["reason"]) == ("refused", "no consent")
    assert row["arm"] is row["slot"] is row["send_at"] is None


def test_an_arm_from_an_earlier_run_does_not_show_where_a_gate_shut_before(world):
    world.campaign()
    world.member(1)
    world.candidate(1, reason="no consent")
    world.insert(contracts.ASSIGNMENTS, campaign_id="spring", member_id=1, arm="holdout")
    row = one(world.decide(DAY))
    assert (row["reason"], row["arm"]) == ("no consent", None)


def test_the_holdout_is_held(world):
    world.campaign()
    world.member(1)
    world.candidate(1, arm="holdout")
    row = one(world.decide(DAY))
    assert (row["outcome"], row["reason"], row["arm"]) == ("held", "holdout", "holdout")


def test_nothing_shut_means_sent(world):
    world.campaign(version=3, channel="wechat")
    world.member(1)
    world.candidate(1, arm="long")
    row = one(world.decide(DAY))
    assert row == {
        "run_date": DAY,
        "campaign_id": "spring",
        "version": 3,
        "member_id": 1,
        "outcome": "sent",
        "reason": "sent",
        "rule": None,
        "arm": "long",
        "channel": "wechat",
        "slot": "2026-09-15",
        "send_at": at(DAY, 4),
    }
    assert world.tables.offending(contracts.DECISIONS) == {}


@pytest.mark.parametrize(
    ("send_hour", "best_hour", "expected"), [(18, 9, 18), (None, 9, 9), (None, None, 10)]
)
def test_it_goes_at_the_campaigns_hour_else_at_her_best_else_at_the_shops(
    world, send_hour, best_hour, expected
):
    world.campaign(send_hour=send_hour)
    world.member(1, "Europe/London", best_hour=best_hour)
    world.candidate(1)
    assert local(one(world.decide(DAY)), "Europe/London") == at(DAY, expected)


@pytest.mark.parametrize(("best_hour", "expected"), [(21, 21), (22, 10), (23, 10), (5, 8)])
def test_a_habit_of_quiet_hours_gives_way(world, best_hour, expected):
    world.campaign(send_hour=None, quiet_from_hour=22, quiet_until_hour=8)
    world.member(1, "Europe/London", best_hour=best_hour)
    world.candidate(1)
    assert local(one(world.decide(DAY)), "Europe/London") == at(DAY, expected)


def test_a_cap_counts_calendar_days_in_her_zone(world):
    world.campaign()
    world.cap(1, 2)
    world.member(1)
    world.candidate(1)
    world.sent(1, DAY - dt.timedelta(days=2))
    assert one(world.decide(DAY))["reason"] == "sent"
    world.sent(1, DAY - dt.timedelta(days=1))
    row = one(world.decide(DAY))
    assert (row["outcome"], row["reason"]) == ("refused", "frequency cap")
    assert row["rule"] == "1 in 2, all"


def test_every_cap_holds(world):
    world.campaign()
    world.cap(2, 1)
    world.cap(3, 7)
    world.member(1)
    world.candidate(1)
    for days in (2, 4):
        world.sent(1, DAY - dt.timedelta(days=days))
    assert one(world.decide(DAY))["reason"] == "sent"
    world.sent(1, DAY - dt.timedelta(days=6))
    assert one(world.decide(DAY))["rule"] == "3 in 7, all"


def test_a_cap_on_a_channel_counts_that_channel_alone(world):
    world.campaign()
    world.cap(1, 7, "channel")
    world.member(1)
    world.candidate(1)
    world.sent(1, DAY - dt.timedelta(days=1), "other", "email")
    assert one(world.decide(DAY))["reason"] == "sent"
    world.sent(1, DAY - dt.timedelta(days=1), "other", "sms")
    assert one(world.decide(DAY))["reason"] == "frequency cap"


def test_a_campaigns_own_cap_counts_its_own_messages(world):
    world.campaign()
    world.cap(1, 7, "campaign")
    world.member(1)
    world.candidate(1)
    world.sent(1, DAY - dt.timedelta(days=1), "other")
    assert one(world.decide(DAY))["reason"] == "sent"
    world.sent(1, DAY - dt.timedelta(days=1), "spring")
    assert one(world.decide(DAY))["reason"] == "frequency cap"


def test_a_cap_counts_what_goes_out_earlier_in_the_same_run(world):
    world.member(1)
    for name, channel, priority in (("first", "email", 2), ("second", "sms", 1)):
        world.campaign(name, channel=channel, priority=priority)
        world.cap(1, 1, campaign_id=name)
        world.candidate(1, name)
    assert verdicts(world.decide(DAY)) == {
        ("first", 1): ("sent", "sent"),
        ("second", 1): ("refused", "frequency cap"),
    }


def test_a_cap_does_not_count_what_was_refused_earlier_in_the_same_run(world):
    world.member(1)
    world.campaign("first", channel="email", priority=2, unit_cost=1, budget=0)
    world.campaign("second", priority=1)
    for name in ("first", "second"):
        world.cap(1, 1, campaign_id=name)
        world.candidate(1, name)
    assert verdicts(world.decide(DAY)) == {
        ("first", 1): ("refused", "budget"),
        ("second", 1): ("sent", "sent"),
    }


def test_a_capped_message_is_deferred_where_the_shop_says_so(world):
    world.campaign()
    world.cap(1, 2)
    world.member(1)
    world.candidate(1)
    world.sent(1, DAY - dt.timedelta(days=1))
    row = one(world.decide(DAY, on_capped="defer"))
    assert (row["outcome"], row["reason"]) == ("deferred", "frequency cap")


@pytest.mark.parametrize(
    ("hour", "expected"), [(3, 6), (5, 6), (6, 6), (21, 21), (22, None), (23, None)]
)
def test_quiet_hours_over_midnight(world, hour, expected):
    world.campaign(send_hour=hour, quiet_from_hour=22, quiet_until_hour=6)
    world.member(1)
    world.candidate(1)
    row = one(world.decide(DAY))
    if expected is None:
        assert (row["outcome"], row["reason"]) == ("refused", "quiet hours")
    else:
        assert local(row, "Asia/Shanghai") == at(DAY, expected)


@pytest.mark.parametrize(("hour", "expected"), [(11, 11), (12, 14), (13, 14), (14, 14)])
def test_quiet_hours_within_a_day(world, hour, expected):
    world.campaign(send_hour=hour, quiet_from_hour=12, quiet_until_hour=14)
    world.member(1)
    world.candidate(1)
    assert local(one(world.decide(DAY)), "Asia/Shanghai").hour == expected


def test_half_past_five_goes_at_six(world):
    # A run begins at midnight in London, which is half past five in Kolkata in winter.
    world.shop = world.shop.model_copy(update={"time_zone": "Europe/London"})
    world.campaign(send_hour=3, quiet_from_hour=22, quiet_until_hour=6)
    world.member(1, "Asia/Kolkata")
    world.candidate(1)
    row = one(world.decide(dt.date(2026, 1, 15)))
    assert local(row, "Asia/Kolkata") == at(dt.date(2026, 1, 15), 6)


def test_what_is_past_in_her_zone_goes_now_if_now_is_not_quiet(world):
    # Midnight in New York is one in the afternoon in Tokyo.
    world.shop = world.shop.model_copy(update={"time_zone": "America/New_York"})
    world.campaign(send_hour=9, quiet_from_hour=20, quiet_until_hour=8)
    world.member(1, "Asia/Tokyo")
    world.candidate(1)
    row = one(world.decide(DAY))
    assert local(row, "Asia/Tokyo") == at(DAY, 13)


@pytest.mark.parametrize(
    ("day", "hour", "expected"),
    [
        (dt.date(2026, 3, 8), 2, at(dt.date(2026, 3, 8), 7)),  # 02:00 does not exist: 03:00 EDT
        (dt.date(2026, 3, 8), 12, at(dt.date(2026, 3, 8), 16)),  # EDT
        (dt.date(2026, 3, 7), 12, at(dt.date(2026, 3, 7), 17)),  # EST
        (dt.date(2026, 11, 1), 12, at(dt.date(2026, 11, 1), 17)),  # EST again
    ],
)
def test_hours_are_hers_on_the_days_the_clock_changes(world, day, hour, expected):
    world.campaign(send_hour=hour)
    world.member(1, "America/New_York")
    world.candidate(1)
    row = one(world.decide(day))
    assert (row["send_at"], row["slot"]) == (expected, str(day))


def test_quiet_hours_end_when_her_clock_says_so_on_the_day_it_jumps(world):
    world.campaign(send_hour=1, quiet_from_hour=22, quiet_until_hour=8)
    world.member(1, "America/New_York")
    world.candidate(1)
    row = one(world.decide(dt.date(2026, 3, 8)))
    assert local(row, "America/New_York") == at(dt.date(2026, 3, 8), 8)


def test_budget_goes_to_the_most_valuable_then_by_member(world):
    world.campaign(unit_cost=Decimal("0.1"), budget=Decimal("0.3"))
    for member_id, worth in ((1, None), (2, None), (3, 50.0), (4, 70.0), (5, 0.0)):
        world.member(member_id, worth=worth)
        world.candidate(member_id)
    sent = {key[1] for key, row in world.decide(DAY).items() if row["outcome"] == "sent"}
    assert sent == {4, 3, 1}


def test_budget_is_not_spent_on_who_is_refused(world):
    world.campaign(unit_cost=1, budget=1)
    world.cap(1, 2)
    for member_id, worth in ((1, 9.0), (2, 1.0)):
        world.member(member_id, worth=worth)
        world.candidate(member_id)
    world.sent(1, DAY - dt.timedelta(days=1))
    assert verdicts(world.decide(DAY)) == {
        ("spring", 1): ("refused", "frequency cap"),
        ("spring", 2): ("sent", "sent"),
    }


def test_one_message_per_member_channel_and_slot_goes_to_the_highest_priority(world):
    world.member(1)
    for name, channel, priority in (
        ("low", "sms", 1),
        ("beta", "sms", 5),
        ("alpha", "sms", 5),
        ("mail", "email", 0),
    ):
        world.campaign(name, channel=channel, priority=priority)
        world.candidate(1, name)
    assert verdicts(world.decide(DAY)) == {
        ("alpha", 1): ("sent", "sent"),
        ("beta", 1): ("refused", "lost arbitration"),
        ("low", 1): ("refused", "lost arbitration"),
        ("mail", 1): ("sent", "sent"),
    }


def test_a_slot_that_an_earlier_run_took_is_lost(world):
    world.campaign()
    world.member(1)
    world.candidate(1)
    world.insert(
        contracts.DECISIONS,
        run_date=DAY - dt.timedelta(days=1),
        campaign_id="other",
        member_id=1,
        outcome="sent",
        reason="sent",
        channel="sms",
        slot=str(DAY),
        send_at=at(DAY, 1),
    )
    assert one(world.decide(DAY))["reason"] == "lost arbitration"


def test_caps_and_slots_hold_for_the_address_in_one_run(world):
    for member_id in (1, 2):
        world.member(member_id)
    world.address("h", 1, 2)
    world.address("other", 1, channel="email")
    for name, channel, priority, member_id in (
        ("first", "sms", 3, 1),
        ("second", "sms", 2, 2),
        ("mail", "email", 1, 2),
    ):
        world.campaign(name, channel=channel, priority=priority)
        world.candidate(member_id, name)
    world.cap(1, 1, campaign_id="mail")
    assert verdicts(world.decide(DAY)) == {
        ("first", 1): ("sent", "sent"),
        ("second", 2): ("refused", "lost arbitration"),
        ("mail", 2): ("refused", "frequency cap"),
    }


def test_a_cap_counts_what_the_address_got_in_earlier_runs(world):
    world.campaign()
    world.cap(1, 2)
    for member_id in (1, 2, 3):
        world.member(member_id)
        world.candidate(member_id)
    world.address("h", 1, 2)
    world.address("h", 3, channel="email")
    world.sent(1, DAY - dt.timedelta(days=1))
    reasons = {key[1]: row["reason"] for key, row in world.decide(DAY).items()}
    assert reasons == {1: "frequency cap", 2: "frequency cap", 3: "sent"}


def test_what_is_refused_at_an_address_does_not_count_there(world):
    for member_id in (1, 2):
        world.member(member_id)
    world.address("h", 1, 2)
    world.campaign("first", priority=2, unit_cost=1, budget=0)
    world.campaign("second", priority=1)
    world.candidate(1, "first")
    world.candidate(2, "second")
    assert verdicts(world.decide(DAY)) == {
        ("first", 1): ("refused", "budget"),
        ("second", 2): ("sent", "sent"),
    }


def test_campaigns_that_do_not_run_decide_nothing(world):
    world.campaign(is_running=False)
    world.member(1)
    assert world.decide(DAY) == {}


def test_running_a_date_again_gives_the_same_rows_and_keeps_the_others(world):
    world.campaign()
    world.cap(1, 3)
    world.member(1)
    world.candidate(1)
    first = world.decide(DAY)
    second = world.decide(DAY + dt.timedelta(days=1))
    assert one(second)["reason"] == "frequency cap"
    assert world.decide(DAY) == first
    assert world.decide(DAY + dt.timedelta(days=1)) == second


ZONES = ("Asia/Shanghai", "America/New_York", "Europe/London", "Asia/Kolkata", "Pacific/Auckland")
HOURS = st.integers(0, 23)
CAMPAIGNS = st.lists(
    st.fixed_dictionaries(
        {
            "channel": st.sampled_from(("sms", "email")),
            "priority": st.integers(1, 3),
            "send_hour": st.none() | HOURS,
            "quiet": st.tuples(HOURS, HOURS),
            "budget": st.none() | st.integers(0, 4),
            "own_cap": st.none() | st.tuples(st.integers(1, 2), st.integers(1, 4)),
        }
    ),
    min_size=1,
    max_size=4,
)
CAPS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.sampled_from(("all", "channel"))),
    max_size=3,
    unique=True,
)
MEMBERS = st.lists(
    st.tuples(st.sampled_from(ZONES), st.none() | HOURS, st.integers(0, 3)), min_size=1, max_size=4
)
# The last days before and the first after a change of the clock, north and south.
STARTS = st.sampled_from(
    [dt.date(2026, 3, 7), dt.date(2026, 3, 28), dt.date(2026, 10, 24), dt.date(2026, 10, 31)]
)


@settings(
    max_examples=examples(8),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    shop_zone=st.sampled_from(ZONES),
    first_day=STARTS,
    campaigns=CAMPAIGNS,
    caps=CAPS,
    members=MEMBERS,
    is_shared=st.booleans(),
)
def test_never_over_a_cap_nor_twice_in_a_slot_nor_at_a_quiet_hour(
    world, shop_zone, first_day, campaigns, caps, members, is_shared
):
    world.clear()
    world.shop = world.shop.model_copy(update={"time_zone": shop_zone})
    declared = {f"c{number}": campaign for number, campaign in enumerate(campaigns)}
    rules = {name: set(caps) for name in declared}
    for name, campaign in declared.items():
        if campaign["own_cap"]:
            rules[name] = rules[name] | {(*campaign["own_cap"], "campaign")}
        world.campaign(
            name,
            channel=campaign["channel"],
            priority=campaign["priority"],
            send_hour=campaign["send_hour"],
            quiet_from_hour=campaign["quiet"][0],
            quiet_until_hour=campaign["quiet"][1],
            unit_cost=1,
            budget=campaign["budget"],
        )
        for messages, days, counts in rules[name]:
            world.cap(messages, days, counts, name)
    for member_id, (zone, best_hour, worth) in enumerate(members):
        world.member(member_id, zone, best_hour, worth)
        for number, (name, campaign) in enumerate(declared.items()):
            # The first two members have one phone number: in each campaign one stands for it.
            is_other = is_shared and campaign["channel"] == "sms" and member_id == number % 2
            world.candidate(member_id, name, "shared address" if is_other else None)
    if is_shared:
        world.address("h", 0, 1)

    sent = []
    for run_date in (first_day + dt.timedelta(days=n) for n in range(3)):
        decisions = world.decide(run_date)
        assert set(decisions) == {(name, m) for name in declared for m in range(len(members))}
        assert world.decide(run_date) == decisions
        sent += [row for row in decisions.values() if row["outcome"] == "sent"]
    assert world.tables.offending(contracts.DECISIONS) == {}

    def counted(row, counts):
        """Which messages to her a rule for this message counts."""
        key = {"all": None, "channel": "channel", "campaign": "campaign_id"}[counts]
        return [
            dt.date.fromisoformat(other["slot"])
            for other in sent
            if reaches(other, row["member_id"]) and (key is None or other[key] == row[key])
        ]

    def reaches(row, member_id):
        is_of_both = is_shared and row["channel"] == "sms" and max(row["member_id"], member_id) < 2
        return is_of_both or row["member_id"] == member_id

    slots = [
        (min(m for m in range(len(members)) if reaches(row, m)), row["channel"], row["slot"])
        for row in sent
    ]
    assert len(set(slots)) == len(slots)
    for row in sent:
        slot = dt.date.fromisoformat(row["slot"])
        for messages, days, counts in rules[row["campaign_id"]]:
            inside = [s for s in counted(row, counts) if slot - dt.timedelta(days=days) < s <= slot]
            assert len(inside) <= messages
        moment = local(row, members[row["member_id"]][0])
        quiet_from, quiet_until = declared[row["campaign_id"]]["quiet"]
        since_quiet = (moment.hour - quiet_from) % 24
        assert moment.date() == slot
        assert since_quiet >= (quiet_until - quiet_from) % 24
        assert row["send_at"] >= world.shop.as_of(row["run_date"] - dt.timedelta(days=1))
    for name, campaign in declared.items():
        for run_date in {row["run_date"] for row in sent}:
            spent = sum(row["campaign_id"] == name and row["run_date"] == run_date for row in sent)
            assert campaign["budget"] is None or spent <= campaign["budget"]
