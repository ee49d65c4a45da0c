"""What each industry's preset does, on small tables (domain.md's table of industries)."""

import datetime as dt
from typing import Any

import polars as pl
import pytest

import assets.clean.contracts as clean
import assets.features.contracts as features
import assets.push.contracts as push
import assets.tags.contracts as tags
import assets.value.contracts as value
from assets.recommend.inputs import PRODUCTS_OF_LISTS, learns_repurchase
from assets.recommend.repeats import Habits
from assets.recommend.rules import barred
from assets.value.lifetime_value import DataGate
from resources.config.presets import PRESETS
from resources.config.shop import Shop
from resources.warehouse import read_sql

AS_OF = dt.datetime(2026, 9, 14, 16)  # noqa: DTZ001 - midnight in Shanghai
LOAD_DATE = dt.date(2026, 9, 14)


def shop(industry: str, **sections: Any) -> Shop:
    """A shop of an industry."""
    return Shop.model_validate(
        {
            "name": "test",
            "industry": industry,
            "time_zone": "Asia/Shanghai",
            "base_currency": "CNY",
            "first_load_date": dt.date(2026, 1, 1),
            **sections,
        }
    )


@pytest.mark.parametrize(
    ("industry", "half_life", "days"),
    [
        ("e-commerce", 30, (30, 90, 180)),
        ("education", 45, (14, 45, 120)),
        ("health", 60, (30, 90, 365)),
        ("luxury", 120, (180, 365, 730)),
        ("catering", 14, (7, 21, 60)),
        ("entertainment", 14, (30, 90, 180)),
    ],
)
def test_the_cycles_and_half_lives_are_those_of_the_industries(industry, half_life, days):
    lifecycle = shop(industry).lifecycle
    assert shop(industry).interest.half_life_days == half_life
    assert (lifecycle.active_days, lifecycle.dormant_days, lifecycle.lost_days) == days


@pytest.mark.parametrize(
    ("industry", "kept_back"),
    [
        ("e-commerce", ["said_90", "today", "yesterday"]),
        ("catering", ["said_90"]),
        ("education", ["long_ago", "said_90", "today", "yesterday"]),
    ],
)
def test_a_dish_is_wanted_again_at_once_and_a_course_never(tables, industry, kept_back):
    ages = {"today": 0.01, "yesterday": 1, "long_ago": 900, "said_90": 60, "said_0": 0.01}
    said = {"said_90": 90, "said_0": 0}
    tables.given(
        clean.PRODUCTS,
        [
            {"product_id": name, "kind": "product", "repurchase_days": said.get(name)}
            for name in ages
        ],
    )
    tables.given(tags.PRODUCTS, [{"product_id": name} for name in ages])
    declared = shop(industry)
    products = tables.session.frame(PRODUCTS_OF_LISTS, declared.parameters(LOAD_DATE))
    history = pl.DataFrame(
        [
            {
                "member_id": 1,
                "product_id": name,
                "n_order_days": 1,
                "first_ordered_at": AS_OF - dt.timedelta(days=age),
                "last_ordered_at": AS_OF - dt.timedelta(days=age),
            }
            for name, age in ages.items()
        ]
    )
    wait = declared.recommend.repurchase_days
    habits = Habits.of(history, products, wait, learns=learns_repurchase(declared.recommend))
    assert sorted(barred(history, habits.products, AS_OF)["product_id"]) == kept_back


@pytest.mark.parametrize(
    ("said", "expected"),
    [("never", None), (0, 0), (14, 14)],
)
def test_a_shop_says_when_things_are_wanted_again(said, expected):
    declared = shop("catering", recommend={"repurchase_days": said})
    assert declared.recommend.repurchase_days == expected


@pytest.mark.parametrize("said", [-1, "soon", True, None, 1.5])
def test_what_is_no_number_of_days_is_refused(said):
    with pytest.raises(ValueError, match=r"expected days, 0 .* or never"):
        shop("e-commerce", recommend={"repurchase_days": said})


@pytest.mark.parametrize(
    ("industry", "idle_days", "is_open"),
    [
        ("e-commerce", 31, False),
        ("luxury", 31, True),
        ("luxury", 180, True),
        ("luxury", 181, False),
    ],
)
def test_a_luxury_shop_may_be_idle_for_half_a_year(industry, idle_days, is_open):
    clv = shop(industry).clv
    gate = DataGate(clv.min_buyers, clv.min_days, clv.min_orders, clv.max_idle_days)
    assert (gate.reason(1000, 1000, 9, idle_days) is None) == is_open


@pytest.fixture
def candidates(tables):
    """One campaign without an hour of its own, and what its decisions read."""
    tables.given(
        push.CAMPAIGNS,
        [
            {
                "campaign_id": "spring",
                "version": 1,
                "channel": "wecom",
                "is_running": True,
                "quiet_from_hour": 22,
                "quiet_until_hour": 8,
            }
        ],
    )
    for contract in (
        *(clean.MEMBERS, clean.MEMBER_ADDRESSES, features.MEMBERS, value.CLV),
        *(push.CAPS, push.ELIGIBILITY, push.ASSIGNMENTS, push.DECISIONS),
    ):
        tables.given(contract)
    return tables


def decided(tables, declared: Shop) -> dict[int, dict[str, Any]]:
    """The run's decisions, by member."""
    rows = tables.session.frame(read_sql("push/decisions.sql"), declared.parameters(LOAD_DATE))
    return {row["member_id"]: row for row in rows.to_dicts()}


def candidate(tables, member_id: int, **columns: Any) -> None:
    """A member whom no gate before the arm shuts out."""
    tables.given(clean.MEMBERS, [{"member_id": member_id, "time_zone": "Asia/Shanghai"}])
    tables.given(features.MEMBERS, [{"member_id": member_id, **columns}])
    tables.given(push.ELIGIBILITY, [{"campaign_id": "spring", "member_id": member_id}])
    tables.given(
        push.ASSIGNMENTS, [{"campaign_id": "spring", "member_id": member_id, "arm": "treatment"}]
    )


@pytest.mark.parametrize(
    ("industry", "outcomes"),
    [("luxury", ["sent", "sent", "refused"]), ("e-commerce", ["sent", "sent", "sent"])],
)
def test_a_luxury_shop_writes_twice_a_month(candidates, industry, outcomes):
    """Members with none, one and two messages behind them, 10 and 20 days ago."""
    declared = shop(industry)
    rows = [
        {
            "campaign_id": "spring",
            "rule": f"{cap.messages} in {cap.days}",
            "counts": "all",
            "messages": cap.messages,
            "days": cap.days,
        }
        for cap in declared.push.caps
    ]
    candidates.given(push.CAPS, rows)
    for member_id in range(3):
        candidate(candidates, member_id)
        for age in (10, 20)[:member_id]:
            day = LOAD_DATE - dt.timedelta(days=age)
            sent = {"member_id": member_id, "outcome": "sent", "reason": "sent", "channel": "wecom"}
            candidates.given(
                push.DECISIONS,
                [{**sent, "run_date": day, "campaign_id": "other", "slot": str(day)}],
            )
    found = decided(candidates, declared)
    assert [found[member_id]["outcome"] for member_id in range(3)] == outcomes


@pytest.mark.parametrize(
    ("industry", "hours"),
    [("catering", [11, 11, 17, 17, 11]), ("e-commerce", [9, 14, 15, 21, 10])],
)
def test_a_restaurant_writes_before_meals(candidates, industry, hours):
    """Members whose best hours are 9, 14, 15, 21 and not known."""
    for member_id, best_hour in enumerate((9, 14, 15, 21, None)):
        candidate(candidates, member_id, best_hour=best_hour)
    found = decided(candidates, shop(industry))
    assert [(found[member_id]["send_at"].hour + 8) % 24 for member_id in range(5)] == hours


@pytest.mark.parametrize(("industry", "assigned"), [("e-commerce", 1), ("luxury", 0)])
def test_a_luxury_shop_waits_longer_for_orders(tables, industry, assigned):
    for contract in (push.PUSH_LIST, clean.ORDERS):
        tables.given(contract)
    tables.given(
        push.ASSIGNMENTS,
        [
            {
                "campaign_id": "spring",
                "member_id": member_id,
                "arm": arm,
                "assigned_at": AS_OF - dt.timedelta(days=30),
            }
            for member_id, arm in ((1, "treatment"), (2, "holdout"))
        ],
    )
    counts = tables.session.frame(
        read_sql("measure/campaign_lift.sql"), shop(industry).parameters(LOAD_DATE)
    )
    assert (counts["assigned"][0], counts["waiting"][0]) == (assigned, 1 - assigned)


def test_a_shop_for_health_assumes_no_consent():
    consent = {"assumed_channels": ["sms"], "grounds": "they bought here"}
    assert shop("e-commerce", consent=consent).consent.assumed_channels == ("sms",)
    with pytest.raises(ValueError, match="a member's own consent is needed"):
        shop("health", consent=consent)


def test_a_shop_for_health_knows_more_that_nobody_wants_to_be_addressed_by():
    everyday, health = shop("e-commerce").interest, shop("health").interest
    assert set(everyday.sensitive_tags) < set(health.sensitive_tags)
    assert "失眠" in health.sensitive_tags


def test_hours_of_their_own_give_way_to_the_shops_only_where_it_says_none():
    assert shop("catering", push={"send_hours": [12]}).push.send_hours == (12,)
    assert set(PRESETS) == {
        *("e-commerce", "education", "health"),
        *("luxury", "catering", "entertainment"),
    }


@pytest.mark.parametrize(
    ("push_section", "expected"),
    [
        ({"default_hour": 23}, "'default_hour' has 23, which is quiet"),
        ({"send_hours": [12, 7]}, "'send_hours' has 7, which is quiet"),
        ({"quiet_from_hour": 24}, "expected a whole hour from 0 to 23"),
        ({"default_hour": True}, "expected a whole hour from 0 to 23"),
        ({"default_hour": 1200}, "such as 20 for 20:00"),
        (
            {"caps": [{"messages": 1, "days": 1, "channel": "weixin"}]},
            "channel 'weixin', which is not known; did you mean 'wechat'?",
        ),
    ],
)
def test_hours_and_channels_that_would_bind_nothing_are_refused(push_section, expected):
    with pytest.raises(ValueError) as caught:
        shop("e-commerce", push=push_section)
    assert expected in str(caught.value)
