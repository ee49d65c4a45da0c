"""Who is held out is drawn once, by a salted hash, and for good."""

import datetime as dt
import hashlib

from assets.push import contracts

DAY = dt.date(2026, 9, 15)
AS_OF = dt.datetime(2026, 9, 14, 16)  # noqa: DTZ001 - midnight in Shanghai
N = 4000


def split(world, *arms):
    """Arms by name and number of buckets, from bucket 0."""
    first = 0
    for name, n_buckets in arms:
        world.insert(
            contracts.ARMS,
            campaign_id="spring",
            arm=name,
            first_bucket=first,
            n_buckets=n_buckets,
            propensity=n_buckets / 10_000,
        )
        first += n_buckets


def eligible(world, members, campaign_id="spring"):
    world.tables.session.execute(
        "insert into push.eligibility (campaign_id, member_id)"
        " select $campaign_id, unnest($members)",
        {"campaign_id": campaign_id, "members": list(members)},
    )


def test_the_bucket_is_the_documented_hash(world):
    world.campaign(version=2)
    split(world, ("holdout", 1000), ("treatment", 9000))
    eligible(world, [7])
    digest = hashlib.md5(b"siyu|spring|7", usedforsecurity=False).hexdigest()
    bucket = int(digest[:8], 16) % 10_000
    is_held = bucket < 1000
    assert world.run(contracts.ASSIGNMENTS, DAY) == [
        {
            "campaign_id": "spring",
            "member_id": 7,
            "version": 2,
            "bucket": bucket,
            "arm": "holdout" if is_held else "treatment",
            "propensity": 0.1 if is_held else 0.9,
            "assigned_at": AS_OF,
        }
    ]


def test_arms_get_their_shares_and_their_own_buckets(world):
    world.campaign()
    split(world, ("holdout", 1000), ("a", 6000), ("b", 3000))
    eligible(world, range(N))
    rows = world.run(contracts.ASSIGNMENTS, DAY)
    assert len(rows) == N
    assert world.tables.offending(contracts.ASSIGNMENTS) == {}
    for name, first, last in (("holdout", 0, 1000), ("a", 1000, 7000), ("b", 7000, 10_000)):
        buckets = [row["bucket"] for row in rows if row["arm"] == name]
        share = (last - first) / 10_000
        # Five standard deviations of a binomial share: stable, and far from another share.
        assert abs(len(buckets) / N - share) < 5 * (share * (1 - share) / N) ** 0.5
        assert all(first <= bucket < last for bucket in buckets)


def test_another_salt_draws_others(world):
    world.campaign()
    split(world, ("holdout", 5000), ("treatment", 5000))
    eligible(world, range(100))
    first = [row["arm"] for row in world.run(contracts.ASSIGNMENTS, DAY)]
    second = [row["arm"] for row in world.run(contracts.ASSIGNMENTS, DAY, salt="other")]
    assert first != second


def test_another_campaign_draws_independently(world):
    world.campaign("spring")
    world.campaign("autumn")
    split(world, ("holdout", 5000), ("treatment", 5000))
    world.insert(
        contracts.ARMS,
        campaign_id="autumn",
        arm="holdout",
        first_bucket=0,
        n_buckets=10_000,
        propensity=1.0,
    )
    eligible(world, range(100), "spring")
    eligible(world, range(100), "autumn")
    rows = world.run(contracts.ASSIGNMENTS, DAY)
    buckets = {
        name: [row["bucket"] for row in rows if row["campaign_id"] == name]
        for name in ("spring", "autumn")
    }
    assert buckets["spring"] != buckets["autumn"]


def test_an_assignment_never_changes_and_newcomers_join(world):
    world.campaign()
    split(world, ("holdout", 1000), ("treatment", 9000))
    eligible(world, [1, 2])
    first = world.run(contracts.ASSIGNMENTS, DAY)
    world.tables.session.execute("delete from push.arms; delete from push.eligibility")
    split(world, ("holdout", 10_000))
    eligible(world, [2, 3])
    second = world.run(contracts.ASSIGNMENTS, DAY + dt.timedelta(days=1))
    assert second[:2] == first
    assert (second[2]["member_id"], second[2]["arm"]) == (3, "holdout")
    assert second[2]["assigned_at"] == AS_OF + dt.timedelta(days=1)


def test_running_a_date_again_gives_the_same_rows(world):
    world.campaign()
    split(world, ("holdout", 5000), ("treatment", 5000))
    eligible(world, range(50))
    first = world.run(contracts.ASSIGNMENTS, DAY)
    assert world.run(contracts.ASSIGNMENTS, DAY) == first


def test_only_the_eligible_are_assigned(world):
    world.campaign()
    split(world, ("treatment", 10_000))
    world.insert(contracts.ELIGIBILITY, campaign_id="spring", member_id=1, reason="not in audience")
    assert world.run(contracts.ASSIGNMENTS, DAY) == []


def test_who_shares_an_address_takes_over_its_arm(world):
    for name, channel in (("spring", "sms"), ("mail", "email")):
        world.campaign(name, channel=channel)
    split(world, ("holdout", 5000), ("treatment", 5000))
    eligible(world, range(40))
    first = {row["member_id"]: row for row in world.run(contracts.ASSIGNMENTS, DAY)}
    for number in range(40):
        world.address(f"h{number}", number, 100 + number)
        world.address(f"h{number}", 200 + number, channel="email")
    eligible(world, [*range(100, 140), *range(200, 240)])
    rows = {
        row["member_id"]: row
        for row in world.run(contracts.ASSIGNMENTS, DAY + dt.timedelta(days=1))
    }
    drawn = ("bucket", "arm", "propensity")
    for number in range(40):
        assert rows[number] == first[number]
        assert [rows[100 + number][n] for n in drawn] == [first[number][n] for n in drawn]
    assert any(rows[200 + n]["arm"] != first[n]["arm"] for n in range(40))
