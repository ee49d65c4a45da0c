"""The tree of referrals, and what the referred have ordered since."""

from decimal import Decimal

from .conftest import at


def test_nobody_is_brought_to_an_empty_pool(pool):
    assert pool.referrals() == {}


def test_a_referral_tells_who_when_and_how(pool):
    pool.known(1, "01 00:00", 101)
    pool.share("a", "05 08:00", 101, by=1, channel="app")
    pool.known(2, "06 10:00", 102)
    pool.click("a", "06 09:00", 102, channel="mini_program")
    (row,) = pool.referrals().values()
    assert row == {
        "member_id": 2,
        "referrer_id": 1,
        "share_code": "a",
        "clicked_at": at("06 09:00"),
        "bound_at": at("06 10:00"),
        "depth": 1,
        "root_id": 1,
        "n_orders": 0,
        "revenue": 0,
        "margin": 0,
        "via": "mini_program",
    }


def test_depth_and_root_follow_the_tree(pool):
    pool.brought("a", sharer=1, member=2, day=3)
    pool.brought("b", sharer=2, member=3, day=5)
    pool.brought("c", sharer=3, member=4, day=7)
    pool.brought("d", sharer=2, member=5, day=9)
    pool.brought("e", sharer=6, member=7, day=9)
    found = pool.referrals()
    assert {member: (row["depth"], row["root_id"]) for member, row in found.items()} == {
        2: (1, 1),
        3: (2, 1),
        4: (3, 1),
        5: (2, 1),
        7: (1, 6),
    }


def test_orders_count_from_the_binding_on(pool):
    pool.brought("a", sharer=1, member=2, day=3)
    pool.order("before", "03 09:30", 2, 100)
    pool.order("at once", "03 10:00", 2, 10)
    pool.order("later", "20 10:00", 2, 20)
    pool.order("cancelled", "21 10:00", 2, 0, status="cancelled")
    pool.order("given back", "22 10:00", 2, 0, margin=-3, status="refunded")
    pool.order("of another", "22 10:00", 1, 50)
    row = pool.referrals()[2]
    assert (row["n_orders"], row["revenue"], row["margin"]) == (2, Decimal(30), Decimal(12))


def test_a_long_chain_is_followed_to_its_end(pool):
    pool.known(1, "01 00:00", 1001)
    for number in range(1, 200):
        pool.share(f"c{number}", "02 08:00", 1000 + number)
        pool.click(f"c{number}", "02 09:00", 1001 + number)
        pool.known(number + 1, f"02 {10 + number // 60}:{number % 60:02}", 1001 + number)
    found = pool.referrals()
    assert found[200]["depth"] == 199
    assert found[200]["root_id"] == 1
