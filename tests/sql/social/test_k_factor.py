"""How many members a member brings, by when it was shared, and only once that can be told."""

import datetime as dt

import pytest

from assets.features.contracts import MEMBER_DAYS
from assets.social.contracts import K_FACTOR, SHARE_CLICKS


@pytest.fixture
def factors(pool, tables):
    """Makes k_factor of the pool and of active days, given as {member: [day, …]}."""

    def make(active, **parameters):
        days = [
            {"member_id": member, "date": dt.date(2026, 1, day)}
            for member, dates in active.items()
            for day in dates
        ]
        tables.given(MEMBER_DAYS, days)
        rows = pool.make(SHARE_CLICKS, K_FACTOR, **parameters)
        return {(row["unit"], row["period"].day): row for row in rows}

    return make


def test_a_pool_without_shares_has_no_factor(pool, factors):
    pool.known(1, "01 00:00", 101)
    assert factors({1: [5]}) == {}


def test_the_factor_is_invites_times_acceptance(pool, factors):
    """Of four active members two shared, three times in all; two of those they asked joined."""
    for member in (1, 2, 3, 4):
        pool.known(member, "01 00:00", 100 + member)
    pool.share("a", "05 08:00", 101, by=1)
    pool.share("b", "06 08:00", 101, by=1)
    pool.share("c", "07 08:00", 102, by=2)
    for number, code, clicked, joined in ((8, "a", "06", "07"), (9, "c", "08", "12")):
        pool.known(number, f"{joined} 08:00", 100 + number)
        pool.click(code, f"{clicked} 20:00", 100 + number)
    pool.click("b", "06 21:00", 150)
    row = factors({1: [5, 6], 2: [7], 3: [8], 4: [9], 150: [6]})["week", 5]
    assert (row["active"], row["sharers"], row["shares"]) == (4, 2, 3)
    assert (row["clicks"], row["clickers"], row["signups"]) == (3, 3, 2)
    assert row["invites_per_active"] == 0.75
    assert row["invites_per_sharer"] == 1.5
    assert row["accept_rate"] == pytest.approx(2 / 3)
    assert row["k"] == pytest.approx(row["invites_per_active"] * row["accept_rate"]) == 0.5
    assert row["k_per_sharer"] == pytest.approx(row["invites_per_sharer"] * row["accept_rate"])
    assert row["cycle_days"] == pytest.approx((2 + 5) / 2)
    assert row["is_mature"]


def test_the_bounds_are_those_of_a_poisson_count(pool, factors):
    """Byar's of one and of no event; the exact bounds are 0.025 to 5.572, and 0 to 3.689."""
    pool.brought("a", sharer=1, member=2, day=5)
    pool.share("b", "12 08:00", 1001, by=1)
    found = factors({1: [5, 12]}, k_maturity_days=1)
    one, none = found["week", 5], found["week", 12]
    assert (one["k_low"], one["k_high"]) == pytest.approx((0.025, 5.572), abs=0.013)
    assert (none["k_low"], none["k_high"]) == pytest.approx((0, 3.689), abs=0.025)


@pytest.mark.parametrize(("maturity", "is_mature"), [(13, True), (14, False)])
def test_what_is_not_over_for_long_enough_says_nothing(pool, factors, maturity, is_mature):
    """The week of 12 January is over on the 19th, 13 days before the run of 1 February."""
    pool.brought("a", sharer=1, member=2, day=12)
    row = factors({1: [12]}, k_maturity_days=maturity)["week", 12]
    assert row["is_mature"] is is_mature
    assert (row["k"] is not None) is is_mature
    assert (row["accept_rate"] is not None) is is_mature
    assert row["signups"] == 1
    assert row["invites_per_active"] == 1


def test_sign_ups_count_when_it_was_shared(pool, factors):
    pool.known(1, "01 00:00", 101)
    pool.share("a", "11 08:00", 101, by=1)
    pool.known(2, "13 08:00", 102)
    pool.click("a", "13 07:00", 102)
    found = factors({1: [11, 13], 2: [13]}, k_maturity_days=1)
    assert found["week", 5]["signups"] == 1
    assert found["week", 12]["signups"] == 0
    assert found["month", 1]["signups"] == 1


def test_a_click_goes_to_the_newest_share_of_its_code(pool, factors):
    pool.known(1, "01 00:00", 101)
    pool.share("a", "05 08:00", 101, by=1)
    pool.share("a", "12 08:00", 101, by=1)
    pool.click("a", "12 09:00", 150)
    found = factors({1: [5]})
    assert (found["week", 5]["clicks"], found["week", 12]["clicks"]) == (0, 1)


def test_what_sharers_and_strangers_do_with_their_links_is_left_out(pool, factors):
    pool.known(1, "01 00:00", 101)
    pool.share("a", "05 08:00", 101, by=1)
    pool.click("a", "05 09:00", 101, by=1)
    pool.share("b", "05 08:00", 150)
    pool.click("b", "05 09:00", 151)
    row = factors({1: [5], 150: [5]})["week", 5]
    assert (row["active"], row["shares"], row["sharers"], row["clicks"]) == (1, 1, 1, 0)


def test_weeks_without_anything_are_there(pool, factors):
    pool.known(1, "01 00:00", 101)
    pool.share("a", "05 08:00", 101, by=1)
    found = factors({1: [5, 28]}, k_maturity_days=1)
    weeks = [day for unit, day in found if unit == "week"]
    assert weeks == [5, 12, 19, 26]
    empty = found["week", 12]
    assert (empty["active"], empty["shares"], empty["k"]) == (0, 0, None)
    assert empty["is_mature"]


def test_a_period_that_begins_before_acts_are_known_is_cut(pool, factors):
    pool.tracking = [{"kind": "acts", "first_complete_date": dt.date(2026, 1, 12)}]
    pool.brought("a", sharer=1, member=2, day=8)
    pool.share("b", "14 08:00", 1001, by=1)
    found = factors({1: [8, 14]})
    cut = {period: row["is_cut"] for period, row in found.items()}
    assert cut == {("week", 5): True, ("week", 12): False, ("month", 1): True}
