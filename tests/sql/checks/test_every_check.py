"""What no single row shows: breaks between rows, each found by its own question."""

import datetime as dt

import pytest

from assets.clean.contracts import MEMBERS, ORDERS
from assets.features.contracts import ORDER_DAYS
from assets.social.contracts import COMMISSIONS, REFERRALS, SHARE_CLICKS
from assets.value.contracts import (
    CLV,
    GROWTH_ACCOUNTING,
    LIFECYCLE,
    LIFECYCLE_HISTORY,
    STAGES,
)
from resources.warehouse import read_sql

LOAD_DATE = dt.date(2026, 3, 31)


@pytest.fixture
def found(tables):
    """What a question of sql/checks finds."""

    def look(question: str, **parameters: object) -> list[str]:
        values = {**tables.shop.parameters(LOAD_DATE), **parameters}
        return [what for (what,) in tables.session.rows(read_sql(f"checks/{question}.sql"), values)]

    return look


def stage(day: int, left: int | None, name: str, before: str | None, member_id: int = 1):
    return {
        "member_id": member_id,
        "entered_date": dt.date(2026, 1, day),
        "left_date": None if left is None else dt.date(2026, 1, left),
        "stage": name,
        "previous_stage": before,
    }


@pytest.mark.parametrize(
    ("stages", "is_sound"),
    [
        ([], True),
        ([stage(1, 3, "new", None), stage(3, None, "active", "new")], True),
        ([stage(1, 3, "new", None), stage(4, None, "active", "new")], False),
        ([stage(1, 5, "new", None), stage(4, None, "active", "new")], False),
        ([stage(1, 3, "new", None)], False),
        ([stage(1, None, "new", None), stage(3, None, "active", "new")], False),
        ([stage(1, 3, "new", None), stage(3, None, "active", "lost")], False),
        ([stage(1, 3, "new", None), stage(3, None, "new", "new")], False),
        ([stage(1, None, "new", None), stage(3, None, "lost", None, member_id=2)], True),
    ],
)
def test_stages_follow_one_another(tables, found, stages, is_sound):
    tables.given(LIFECYCLE_HISTORY, stages)
    tables.given(MEMBERS)
    tables.given(ORDER_DAYS)
    assert (found("stages_follow_one_another") == []) == is_sound


def test_every_identified_member_is_in_a_stage(tables, found):
    tables.given(LIFECYCLE_HISTORY, [stage(1, None, "prospect", None)])
    tables.given(ORDER_DAYS)
    members = [
        {"member_id": member_id, "time_zone_source": "shop", "is_identified": member_id < 3}
        for member_id in (1, 2, 3)
    ]
    tables.given(MEMBERS, members)
    assert found("stages_follow_one_another") == ["member 2, no stage now"]


RUN_DATE = LOAD_DATE + dt.timedelta(days=1)
# By the days since her orders, the stages that she may be in.
DUE = [
    ([], {"prospect"}),
    ([30], {"new"}),
    ([40, 30], {"active"}),
    ([120, 30], {"resurrected"}),
    ([31], {"dormant", "churn_risk"}),
    ([90], {"dormant", "churn_risk"}),
    ([91], {"churn_risk"}),
    ([300, 180], {"churn_risk"}),
    ([300, 181], {"lost"}),
]


@pytest.mark.parametrize(("ordered", "due"), DUE)
def test_the_stage_of_today_is_what_the_order_days_say(tables, found, ordered, due):
    tables.given(MEMBERS, [{"member_id": 1, "time_zone_source": "shop", "is_identified": True}])
    dates = [RUN_DATE - dt.timedelta(days=ago) for ago in ordered]
    tables.given(
        ORDER_DAYS,
        [
            {
                "member_id": 1,
                "date": date,
                "nth": nth,
                "first_date": dates[0],
                "gap_days": (date - dates[nth - 2]).days if nth > 1 else None,
                "next_order_date": dates[nth] if nth < len(dates) else None,
            }
            for nth, date in enumerate(dates, start=1)
        ],
    )
    tables.given(LIFECYCLE_HISTORY)
    for name in STAGES:
        tables.session.execute(f"delete from {LIFECYCLE_HISTORY.name}")
        tables.given(LIFECYCLE_HISTORY, [stage(1, None, name, None)])
        wrong = [] if name in due else [f"member 1, {name} now"]
        assert found("stages_follow_one_another") == wrong


def account(unit: str, period: dt.date, active: int, before: int):
    return {"unit": unit, "period": period, "active": active, "active_before": before}


@pytest.mark.parametrize(
    ("accounts", "wrong"),
    [
        ([], []),
        ([account("day", dt.date(2026, 1, 1), 3, 0)], []),
        ([account("day", dt.date(2026, 1, 1), 3, 1)], ["day of 2026-01-01"]),
        (
            [
                account("month", dt.date(2026, 1, 1), 3, 0),
                account("month", dt.date(2026, 2, 1), 2, 3),
                account("week", dt.date(2026, 1, 5), 1, 0),
                account("week", dt.date(2026, 1, 12), 0, 1),
            ],
            [],
        ),
        (
            [
                account("week", dt.date(2026, 1, 5), 3, 0),
                account("week", dt.date(2026, 1, 19), 2, 3),
            ],
            ["week of 2026-01-19"],
        ),
        (
            [
                account("day", dt.date(2026, 1, 5), 3, 0),
                account("day", dt.date(2026, 1, 6), 2, 4),
            ],
            ["day of 2026-01-06"],
        ),
    ],
)
def test_periods_follow_one_another(tables, found, accounts, wrong):
    tables.given(GROWTH_ACCOUNTING, accounts)
    assert found("periods_follow_one_another") == wrong


def referral(member_id: int, referrer_id: int, depth: int, root_id: int):
    return {
        "member_id": member_id,
        "referrer_id": referrer_id,
        "depth": depth,
        "root_id": root_id,
    }


@pytest.mark.parametrize(
    ("referrals", "n_wrong"),
    [
        ([], 0),
        ([referral(2, 1, 1, 1), referral(3, 2, 2, 1), referral(4, 2, 2, 1)], 0),
        ([referral(2, 1, 2, 1)], 1),
        ([referral(2, 1, 1, 3)], 1),
        ([referral(2, 1, 1, 1), referral(3, 2, 2, 2)], 1),
        # A ring has no depths that fit, whatever stands there.
        ([referral(1, 3, 1, 3), referral(2, 1, 2, 3), referral(3, 2, 3, 3)], 1),
    ],
)
def test_referrals_form_trees(tables, found, referrals, n_wrong):
    tables.given(REFERRALS, referrals)
    tables.given(SHARE_CLICKS)
    assert len(found("referrals_form_trees")) == n_wrong


def test_a_bound_click_has_its_referral(tables, found):
    tables.given(REFERRALS, [referral(2, 1, 1, 1)])
    clicks = [
        {"message_id": "a", "member_id": 2, "referrer_id": 1, "outcome": "bound"},
        {"message_id": "b", "member_id": 3, "referrer_id": 1, "outcome": "open"},
        {"message_id": "c", "member_id": 4, "referrer_id": 2, "outcome": "bound"},
    ]
    tables.given(SHARE_CLICKS, clicks)
    assert found("referrals_form_trees") == ["member 4 by 2"]


@pytest.mark.parametrize(
    ("base", "rates", "amounts", "is_sound"),
    [
        ("net_revenue", [0.05, 0.02], ["5", "2"], True),
        ("net_revenue", [0.05, 0.02], ["5.01", "2"], True),
        ("net_revenue", [0.05, 0.02], ["5.02", "2"], False),
        ("margin", [0.05, 0.02], ["1.5", "0.6"], True),
        ("margin", [0.05, 0.02], ["5", "2"], False),
        ("net_revenue", [], ["5"], False),
    ],
)
def test_commissions_stay_within_rates(tables, found, base, rates, amounts, is_sound):
    tables.given(ORDERS, [{"order_id": "o", "net_revenue": 100, "margin": 30}])
    tables.given(
        COMMISSIONS,
        [
            {"order_id": "o", "level": level, "amount": amount}
            for level, amount in enumerate(amounts, 1)
        ],
    )
    wrong = found("commissions_stay_within_rates", commission_base=base, commission_rates=rates)
    assert (wrong == []) == is_sound


def test_a_commission_without_its_order_is_found(tables, found):
    tables.given(ORDERS)
    tables.given(COMMISSIONS, [{"order_id": "o", "level": 1, "amount": 1}])
    assert found("commissions_stay_within_rates", commission_rates=[0.5]) == ["order o: 1.0000"]


@pytest.mark.parametrize(
    ("stage", "risk", "agrees"),
    [
        ("lost", "high", True),
        ("lost", "medium", False),
        ("lost", "unknown", False),
        ("churn_risk", "medium", True),
        ("churn_risk", "high", True),
        ("churn_risk", "low", False),
        ("churn_risk", "unknown", False),
        ("active", "high", True),
        ("new", "unknown", True),
    ],
)
def test_risk_agrees_with_stage(tables, found, stage, risk, agrees):
    tables.given(LIFECYCLE, [{"member_id": 1, "stage": stage}, {"member_id": 2, "stage": "lost"}])
    tables.given(CLV, [{"member_id": 1, "churn_risk": risk}])
    said = [] if agrees else [f"member 1 is in stage {stage} with churn risk {risk}"]
    assert found("risk_agrees_with_stage") == said
