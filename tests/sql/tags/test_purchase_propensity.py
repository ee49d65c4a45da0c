"""Members at past cuts: what was known then, what came in the week after, and nothing mixed up."""

import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.clean import contracts as clean
from assets.features.contracts import KNOWN_DAYS, MEMBER_DAYS, MEMBERS
from assets.raw.contracts import LOADS
from assets.tags.assets import propensity_metrics, purchase_propensity
from assets.tags.contracts import PROPENSITY_METRICS, PURCHASE_PROPENSITY
from resources.shop import ShopConfig
from resources.warehouse import read_sql
from tests.calling import called

LOAD_DATE = dt.date(2026, 3, 31)
RUN_DATE = dt.date(2026, 4, 1)
LAST_CUT = RUN_DATE - dt.timedelta(days=7)
EARLY = dt.datetime(2025, 6, 1)  # noqa: DTZ001
COUNTS = ("n_views", "n_carts", "n_orders", "n_shares", "net_revenue")


def before(days):
    return RUN_DATE - dt.timedelta(days=days)


def midnight_before(days):
    return dt.datetime.combine(before(days), dt.time())


@pytest.fixture
def fill(tables):
    """Members by id with their sign-up, days as (member, days before the run date): counts."""
    contracts = (clean.MEMBERS, clean.IDENTITIES, clean.SESSIONS, MEMBER_DAYS, KNOWN_DAYS)
    for contract in contracts:
        tables.given(contract)

    def fill(members, days=(), user_ids=()):
        for contract in contracts:
            tables.session.execute(f"delete from {contract.name}")
        tables.given(
            clean.MEMBERS,
            [
                {
                    "member_id": member,
                    "signed_up_at": at,
                    "is_identified": True,
                    "time_zone": "Asia/Shanghai",
                }
                for member, at in dict(members).items()
            ],
        )
        tables.given(
            clean.IDENTITIES,
            [
                {
                    "identifier": f"{kind}-{member}",
                    "kind": kind,
                    "member_id": member,
                    "known_at": at,
                }
                for member, kind, at in user_ids
            ],
        )
        tables.given(
            MEMBER_DAYS,
            [
                {"member_id": member, "date": before(ago), **counts}
                for (member, ago), counts in dict(days).items()
            ],
        )
        tables.given(
            KNOWN_DAYS,
            [
                {
                    "member_id": member,
                    "date": before(ago),
                    "kind": "act",
                    "subject": str(member),
                    "known_at": midnight_before(ago),
                    **counts,
                }
                for (member, ago), counts in dict(days).items()
            ],
        )

    return fill


@pytest.fixture
def snapshots(tables):
    """The file's rows by cut and member."""

    def snapshots(n_cuts=2, one_in=1):
        found = tables.session.frame(
            read_sql("tags/purchase_propensity.sql"),
            {**tables.shop.parameters(LOAD_DATE), "n_cuts": n_cuts, "one_in": one_in},
        )
        rows = {(row["cut_date"], row["member_id"]): row for row in found.to_dicts()}
        assert len(rows) == len(found)
        return rows

    return snapshots


counts = st.fixed_dictionaries({name: st.integers(0, 3) for name in COUNTS})
histories = st.dictionaries(st.tuples(st.integers(1, 3), st.integers(1, 80)), counts, max_size=12)

# By days since a cut, the cut's own day first.
futures = st.dictionaries(
    st.tuples(st.integers(1, 3), st.integers(0, 6)), counts, min_size=1, max_size=12
)


def test_an_empty_shop_gives_no_rows(fill, snapshots):
    fill({})
    assert snapshots() == {}


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=histories)
def test_today_is_what_features_members_says(tables, fill, snapshots, days):
    fill(dict.fromkeys((1, 2, 3), EARLY), days)
    today = {member: row for (cut, member), row in snapshots().items() if cut == RUN_DATE}
    said = {row["member_id"]: row for row in tables.run(MEMBERS, LOAD_DATE)}
    shared = {name for name in MEMBERS.column_names if name in today[1]}
    assert set(MEMBERS.column_names) - shared == {
        "best_hour",
        "main_channel",
        "main_channel_share",
    }
    for member, row in said.items():
        assert {name: today[member][name] for name in shared} == {
            name: row[name] for name in shared
        }


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=histories, later=futures, weeks=st.integers(1, 2))
def test_no_feature_sees_what_comes_after_its_cut(fill, snapshots, days, later, weeks):
    members = dict.fromkeys((1, 2, 3), EARLY)
    cut = before(7 * weeks)
    earlier = {key: value for key, value in days.items() if key[1] > 7 * weeks}

    def at_the_cut():
        return {
            member: {name: value for name, value in row.items() if name != "has_order"}
            for (at, member), row in snapshots().items()
            if at == cut
        }

    fill(members, earlier)
    then = at_the_cut()
    assert len(then) == 3
    fill(members, earlier | {(of, 7 * weeks - days): row for (of, days), row in later.items()})
    assert at_the_cut() == then


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=histories)
def test_has_order_is_of_the_week_from_the_cut_alone(fill, snapshots, days):
    fill(dict.fromkeys((1, 2, 3), EARLY), days)
    for (cut, member), row in snapshots().items():
        ago = (RUN_DATE - cut).days
        came = any(
            of == member and value["n_orders"] > 0 and ago - 7 < day <= ago
            for (of, day), value in days.items()
        )
        assert row["has_order"] == (None if cut == RUN_DATE else came)


def test_the_cut_day_itself_is_the_future(fill, snapshots):
    order = {"n_orders": 1, "n_views": 2}
    fill({1: EARLY}, {(1, 7): order})
    rows = snapshots()
    assert rows[LAST_CUT, 1]["has_order"] is True
    assert rows[LAST_CUT, 1]["n_orders"] == rows[LAST_CUT, 1]["n_views_7d"] == 0
    assert rows[LAST_CUT, 1]["days_since_last"] is None
    assert rows[before(14), 1]["has_order"] is False
    assert rows[RUN_DATE, 1]["n_orders_7d"] == 1
    assert rows[RUN_DATE, 1]["days_since_last_order"] == 7


def test_at_a_past_cut_stand_those_known_by_then(tables, fill, snapshots):
    members = {
        1: midnight_before(20),
        # 24 March, 23:30 and 25 March, 00:30 in Shanghai.
        2: midnight_before(8) + dt.timedelta(hours=15.5),
        3: midnight_before(8) + dt.timedelta(hours=16.5),
        4: None,
        5: None,
        6: None,
        7: EARLY,
    }
    ids = [
        (4, "user_id", midnight_before(10)),
        (5, "anonymous_id", midnight_before(10)),
        (5, "user_id", midnight_before(3)),
    ]
    fill(members, user_ids=ids)
    tables.session.execute("update clean.members set is_identified = false where member_id = 7")
    rows = snapshots(n_cuts=1)
    assert {member for cut, member in rows if cut == LAST_CUT} == {1, 2, 4}
    assert {member for cut, member in rows if cut == RUN_DATE} == {1, 2, 3, 4, 5, 6}
    assert rows[RUN_DATE, 1]["days_since_known"] == 20
    assert rows[RUN_DATE, 6]["days_since_known"] is None


def test_a_part_of_the_members_is_learnt_from_and_all_are_scored(fill, snapshots):
    fill(dict.fromkeys(range(1, 7), EARLY))
    rows = snapshots(n_cuts=3, one_in=3)
    assert {member for cut, member in rows if cut == RUN_DATE} == set(range(1, 7))
    assert sorted(key for key in rows if key[0] != RUN_DATE) == [
        (before(7 * weeks), member) for weeks in (3, 2, 1) for member in (3, 6)
    ]


@pytest.fixture
def materialised(tables, tmp_path, warehouse):
    """Both assets, run on what was filled in."""
    (tmp_path / "shop.yaml").write_text(
        "name: test\ntime_zone: Asia/Shanghai\nbase_currency: CNY\nfirst_load_date: 2026-01-01\n",
        encoding="utf-8",
    )

    def materialise(load_date=LOAD_DATE):
        tables.given(LOADS, [{"load_date": load_date}])
        shop = ShopConfig(folder=str(tmp_path))
        tried = called(propensity_metrics, shop=shop, warehouse=warehouse).metadata
        made = called(purchase_propensity, shop=shop, warehouse=warehouse).metadata
        for contract in (PURCHASE_PROPENSITY, PROPENSITY_METRICS):
            assert tables.offending(contract) == {}
        return tables.rows(PURCHASE_PROPENSITY), tried, made

    return materialise


def test_a_shop_without_members_gets_empty_tables(tables, fill, materialised):
    fill({})
    rows, tried, _ = materialised()
    assert rows == [] == tables.rows(PROPENSITY_METRICS)
    assert tried["method"] == "base_rate"


@pytest.mark.parametrize(
    "days", [{}, {(1, 3): {"n_orders": 1}}, {(1, 10): {"n_orders": 1}}], ids=str
)
def test_too_little_history_gives_everybody_the_base_rate(tables, fill, materialised, days):
    fill(dict.fromkeys(range(1, 6), EARLY), days)
    rows, tried, made = materialised()
    (p_buy,) = {row["p_buy"] for row in rows}
    # One order in 40 weeks of members, beside one in a hundred taken for granted.
    assert p_buy == pytest.approx((len(days) + 1) / 140)
    assert {(row["method"], row["model_version"]) for row in rows} == {
        ("base_rate", "propensity-2026-04-01")
    }
    assert "with an order to learn from" in tried["base_rate_because"]
    assert made["buyers_expected"] == pytest.approx(5 * p_buy)
    assert tables.rows(PROPENSITY_METRICS) == []


def test_every_version_keeps_its_metrics(tables, fill, materialised):
    # The regulars order every week, the others never.
    members = dict.fromkeys(range(1, 31), EARLY)
    days = {
        (member, ago): {"n_orders": int(member <= 12), "n_views": 1}
        for member in members
        for ago in range(3, 80, 7)
    }
    fill(members, days)
    rows, tried, made = materialised()
    assert tried["method"] == made["method"] != "base_rate"
    assert tried["calibration"].value.startswith("![")
    likely = {row["member_id"] for row in rows if row["p_buy"] > 0.5}
    assert likely == set(range(1, 13))
    again, *_ = materialised()
    assert again == rows
    assert len(tables.rows(PROPENSITY_METRICS)) == 30
    materialised(LOAD_DATE + dt.timedelta(days=1))
    versions = {row["model_version"] for row in tables.rows(PROPENSITY_METRICS)}
    assert versions == {"propensity-2026-04-01", "propensity-2026-04-02"}
    assert sum(row["is_published"] for row in tables.rows(PROPENSITY_METRICS)) == 12
