"""Which click binds a member to a sharer, and for what reason any other does not."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sizes import examples

from .conftest import Pool, at

BOUND = ("bound", None)
OPEN = ("open", None)


def refused(reason: str) -> tuple[str, str]:
    return ("refused", reason)


@pytest.fixture
def shared(pool: Pool) -> Pool:
    """Member 1, on device 101, has shared code a; member 2, on device 102, code b."""
    pool.known(1, "01 00:00", 101)
    pool.known(2, "01 00:00", 102)
    pool.share("a", "05 08:00", 101, by=1)
    pool.share("b", "05 08:00", 102, by=2)
    return pool


def test_without_clicks_there_is_nothing(shared):
    assert shared.clicks() == {}


def test_an_empty_pool_has_no_clicks(pool):
    assert pool.clicks() == {}


def test_a_click_before_the_sign_up_binds(shared):
    shared.known(3, "06 10:00", 103)
    click = shared.click("a", "06 09:00", 103)
    assert shared.clicks() == {(click, 3): BOUND}


def test_a_visitor_who_never_says_her_name_stays_open(shared):
    click = shared.click("a", "06 09:00", 109)
    assert shared.clicks() == {(click, 109): OPEN}


def test_a_code_that_no_member_shared_is_unknown(shared):
    shared.known(3, "06 10:00", 103)
    shared.share("c", "05 08:00", 150)
    of_nobody = shared.click("x", "06 09:00", 103)
    of_a_stranger = shared.click("c", "06 09:10", 103)
    assert shared.clicks() == {
        (of_nobody, 3): refused("unknown_code"),
        (of_a_stranger, 3): refused("unknown_code"),
    }


def test_a_share_claims_no_click_from_before_it(shared):
    """A stranger's link binds nobody, and whoever forwards it later changes nothing of that."""
    shared.known(3, "06 10:00", 103)
    shared.share("x", "05 08:00", 150)
    counts = shared.click("a", "06 08:00", 103)
    of_a_stranger = shared.click("x", "06 09:00", 103)
    before = shared.clicks()
    assert before == {(counts, 3): BOUND, (of_a_stranger, 3): refused("unknown_code")}
    shared.share("x", "20 08:00", 102, by=2)
    assert shared.clicks() == before


def test_clocks_may_differ_between_a_share_and_its_click(shared):
    shared.known(3, "06 10:00", 103)
    shared.share("c", "06 09:04", 102, by=2)
    click = shared.click("c", "06 09:00", 103)
    assert shared.clicks() == {(click, 3): BOUND}


def test_a_sign_up_moments_before_her_own_click_is_by_it(shared):
    shared.known(3, "06 09:00", 103)
    shared.known(4, "06 09:00", 104)
    at_once = shared.click("a", "06 09:04", 103, by=3)
    later = shared.click("a", "06 09:06", 104, by=4)
    assert shared.clicks() == {(at_once, 3): BOUND, (later, 4): refused("already_member")}
    assert shared.referrals()[3]["bound_at"] == at("06 09:04")


def test_a_sign_up_after_the_data_end_waits(shared):
    """Lists of members are pulled in the morning; the night's data end at midnight."""
    shared.members[3] = {"known_at": at("31 00:00") + dt.timedelta(days=1, hours=3)}
    shared.seen[103][3] = shared.members[3]["known_at"]
    click = shared.click("a", "31 11:00", 103)
    assert shared.clicks() == {(click, 3): OPEN}


def test_who_shared_a_code_first_has_it(shared):
    shared.share("a", "05 09:00", 102, by=2)
    shared.known(3, "06 10:00", 103)
    shared.click("a", "06 09:00", 103)
    assert shared.referrals()[3]["referrer_id"] == 1


def test_a_share_before_the_login_counts_by_its_device(pool):
    pool.known(1, "05 10:00", 101)
    pool.share("a", "05 08:00", 101)
    pool.known(3, "06 10:00", 103)
    pool.click("a", "06 09:00", 103)
    assert pool.referrals()[3]["referrer_id"] == 1


@pytest.mark.parametrize("by", [1, None])
def test_her_own_link_binds_nobody(shared, by):
    click = shared.click("a", "05 09:00", 101, by=by)
    assert shared.clicks() == {(click, 1): refused("own_code")}


def test_a_second_account_on_the_sharers_device_is_refused(shared):
    shared.known(3, "06 10:00", 101)
    click = shared.click("a", "06 09:00", 101)
    assert shared.clicks() == {(click, 3): refused("same_device")}


def test_a_device_that_the_sharer_logs_in_on_later_is_hers_too(shared):
    shared.known(3, "06 10:00", 103)
    shared.seen[103][1] = at("09 00:00")
    click = shared.click("a", "06 09:00", 103, by=None)
    assert shared.clicks() == {
        (click, 3): refused("same_device"),
        (click, 1): refused("own_code"),
    }


def test_a_device_the_link_was_shared_from_is_refused(shared):
    shared.share("a", "05 09:00", 103)
    shared.known(3, "06 10:00", 103)
    click = shared.click("a", "06 09:00", 103)
    assert shared.clicks() == {(click, 3): refused("same_device")}


def test_two_who_share_a_tablet_both_count(shared):
    shared.known(3, "06 10:00", 103)
    shared.known(4, "06 20:00", 103)
    click = shared.click("a", "06 09:00", 103)
    assert shared.clicks() == {(click, 3): BOUND, (click, 4): BOUND}


def test_a_click_on_a_shared_tablet_is_not_hers_who_was_there_before(shared):
    shared.known(3, "06 10:00", 103)
    shared.known(4, "06 20:00", 103)
    click = shared.click("a", "06 15:00", 103)
    assert shared.clicks() == {(click, 4): BOUND}
    after_all = shared.click("b", "06 21:00", 103)
    assert shared.clicks()[after_all, 103] == OPEN


def test_a_click_of_somebody_logged_in_on_a_shared_tablet_is_hers(shared):
    shared.known(3, "06 10:00", 103)
    shared.known(4, "06 20:00", 103)
    click = shared.click("a", "06 15:00", 103, by=3)
    assert shared.clicks() == {(click, 3): refused("already_member")}


def test_what_happens_on_the_device_later_undoes_no_binding(shared):
    shared.known(3, "06 10:00", 103)
    click = shared.click("a", "06 09:00", 103)
    # The sharer logs in there, and a farm moves in, weeks later.
    shared.seen[103][1] = at("30 00:00")
    for member in (4, 5, 6):
        shared.known(member, "20 10:00", 103)
    assert shared.clicks()[click, 3] == BOUND


def test_members_who_log_in_on_a_borrowed_device_are_no_farm(shared):
    shared.known(3, "06 10:00", 103)
    click = shared.click("a", "06 09:00", 103)
    for member, day in ((7, 8), (8, 9)):
        shared.known(member, "01 00:00")
        shared.seen[103][member] = at(f"{day:02} 00:00")
    # They were members long before; of newcomers there is one.
    assert shared.clicks(farm_window_days=3)[click, 3] == BOUND


def test_a_click_that_is_the_first_sign_of_her_name_binds(shared):
    shared.known(3, "06 09:00", 103)
    click = shared.click("a", "06 09:00", 103, by=3)
    assert shared.clicks() == {(click, 3): BOUND}


def test_who_forwards_the_link_she_came_by_stays_bound(shared):
    shared.known(3, "06 10:00", 103)
    click = shared.click("a", "06 09:00", 103)
    shared.share("a", "07 09:00", 103, by=3)
    assert shared.clicks()[click, 3] == BOUND


def test_three_on_one_device_within_a_week_are_a_farm(shared):
    clicks = []
    for member, day in ((3, 6), (4, 8), (5, 13)):
        clicks.append((shared.click("a", f"{day:02} 09:50", 103), member))
        shared.known(member, f"{day:02} 10:00", 103)
    found = shared.clicks()
    assert {key: found[key] for key in clicks} == dict.fromkeys(clicks, refused("device_farm"))
    assert not any(outcome == "bound" for outcome, _ in found.values())


@pytest.mark.parametrize(("day", "is_farm"), [(13, True), (14, False)])
def test_a_farm_is_quick(shared, day, is_farm):
    for member, joined in ((3, 6), (4, 6), (5, day)):
        shared.known(member, f"{joined:02} 10:{9 - member:02}", 103)
    click = shared.click("a", f"{day:02} 09:50", 103)
    expected = refused("device_farm") if is_farm else BOUND
    assert shared.clicks() == {(click, 5): expected}


def test_the_shop_says_how_many_may_share_a_device(shared):
    shared.known(3, "06 10:00", 103)
    shared.known(4, "06 10:01", 103)
    shared.click("a", "06 09:50", 103)
    assert set(shared.clicks(accounts_per_device=1).values()) == {refused("device_farm")}


def test_members_are_no_newcomers(shared):
    shared.known(3, "06 09:00", 103)
    click = shared.click("a", "06 09:00", 103)
    assert shared.clicks() == {(click, 3): refused("already_member")}


@pytest.mark.parametrize(
    ("clicked", "expected"), [("06 10:00", BOUND), ("06 09:59", refused("too_late"))]
)
def test_a_click_counts_for_a_week(shared, clicked, expected):
    shared.known(3, "13 10:00", 103)
    click = shared.click("a", clicked, 103)
    assert shared.clicks() == {(click, 3): expected}


def test_the_shop_says_how_long_a_click_counts(shared):
    shared.known(3, "08 10:00", 103)
    click = shared.click("a", "06 09:00", 103)
    assert shared.clicks(share_window_days=2) == {(click, 3): refused("too_late")}


def test_the_last_valid_click_counts(shared):
    shared.known(3, "06 10:00", 103)
    first = shared.click("a", "06 08:00", 103)
    second = shared.click("b", "06 09:00", 103)
    unknown = shared.click("x", "06 09:30", 103)
    assert shared.clicks() == {
        (first, 3): refused("not_last_click"),
        (second, 3): BOUND,
        (unknown, 3): refused("unknown_code"),
    }


def test_the_first_binding_stands(shared):
    shared.known(3, "06 10:00", 103)
    first = shared.click("a", "06 09:00", 103)
    second = shared.click("b", "07 09:00", 103, by=3)
    assert shared.clicks() == {(first, 3): BOUND, (second, 3): refused("earlier_binding")}


def test_the_instant_of_a_sign_up_is_not_needed(shared):
    """Shops without a members file know her by her first login or order."""
    shared.known(3, "06 10:00", 103, signed_up_at=None)
    click = shared.click("a", "06 09:00", 103)
    assert shared.clicks() == {(click, 3): BOUND}


def ring(pool: Pool, *joined: str) -> list[str]:
    """Members 1, 2, … share before anybody signs up, each opens the next one's link; the clicks."""
    n = len(joined)
    for number in range(1, n + 1):
        pool.share(f"c{number}", "05 08:00", 100 + number)
    clicks = [
        pool.click(f"c{number % n + 1}", "05 09:00", 100 + number) for number in range(1, n + 1)
    ]
    for number, text in enumerate(joined, start=1):
        pool.known(number, text, 100 + number)
    return clicks


@pytest.mark.parametrize(
    ("joined", "last"),
    [
        (("06 10:00", "07 10:00"), 2),
        (("07 10:00", "06 10:00"), 1),
        (("06 10:00", "08 10:00", "07 10:00"), 2),
        (("06 10:00", "06 10:00"), 2),
    ],
)
def test_the_last_edge_of_a_ring_is_refused(pool, joined, last):
    clicks = ring(pool, *joined)
    found = pool.clicks()
    for number, click in enumerate(clicks, start=1):
        assert found[click, number] == (refused("cycle") if number == last else BOUND)
    depths = sorted(row["depth"] for row in pool.referrals().values())
    assert depths == list(range(1, len(joined)))


def test_who_came_by_a_member_of_a_ring_keeps_her_place(pool):
    ring(pool, "06 10:00", "07 10:00")
    pool.known(9, "08 10:00", 109)
    pool.click("c1", "08 09:00", 109)
    referrals = pool.referrals()
    # 2 brought 1, who brought 9; that 1 brought 2 is refused.
    assert {member: row["depth"] for member, row in referrals.items()} == {1: 1, 9: 2}
    assert {row["root_id"] for row in referrals.values()} == {2}


@settings(max_examples=examples(25))
@given(
    parents=st.lists(st.integers(1, 8), min_size=8, max_size=8),
    days=st.lists(st.integers(6, 11), min_size=8, max_size=8),
)
def test_whoever_opens_whose_link_no_ring_is_left(tables_of_their_own, parents, days):
    """Members 1 to 8 share before they sign up; each opens one link, maybe her own."""
    pool = Pool(tables_of_their_own)
    for number in range(1, 9):
        pool.share(f"c{number}", "05 08:00", 100 + number)
    clicks = {
        pool.click(f"c{parent}", "05 09:00", 100 + number): (number, parent)
        for number, parent in enumerate(parents, start=1)
    }
    for number, day in enumerate(days, start=1):
        pool.known(number, f"{day:02} 10:00", 100 + number)
    found = pool.clicks()
    expected: dict[int, int] = {}
    # One after the other, in the order in which they are bound.
    for _, number in sorted(zip(days, range(1, 9), strict=True)):
        ancestor = parent = parents[number - 1]
        while ancestor != number and ancestor in expected:
            ancestor = expected[ancestor]
        if ancestor != number:
            expected[number] = parent
    for click, (number, parent) in clicks.items():
        if number == parent:
            assert found[click, number] == refused("own_code")
        elif number in expected:
            assert found[click, number] == BOUND
        else:
            assert found[click, number] == refused("cycle")
    referrals = pool.referrals()
    assert {member: row["referrer_id"] for member, row in referrals.items()} == expected
    for member, row in referrals.items():
        chain = [member]
        while chain[-1] in expected:
            chain.append(expected[chain[-1]])
        assert (row["depth"], row["root_id"]) == (len(chain) - 1, chain[-1])
