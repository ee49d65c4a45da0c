"""Exactly one stage per identified member and midnight, and since when, from her order days."""

import datetime as dt
import random
from collections.abc import Iterable, Mapping
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.clean.contracts import MEMBERS
from assets.features.contracts import ORDER_DAYS, TRACKING
from assets.value.contracts import (
    CLV,
    CLV_PARAMETERS,
    LIFECYCLE,
    LIFECYCLE_HISTORY,
    LIFECYCLE_TRANSITIONS,
)
from resources.config.presets import PRESETS
from resources.config.shop import Lifecycle

LOAD_DATE = dt.date(2026, 3, 31)
RUN_DATE = dt.date(2026, 4, 1)
DEFAULTS = Lifecycle()


def midnight(days_ago: int) -> dt.datetime:
    """Shanghai's midnight some days before the run date's, naive UTC."""
    day = RUN_DATE - dt.timedelta(days=days_ago)
    return dt.datetime.combine(day, dt.time()) - dt.timedelta(hours=8)


@pytest.fixture
def run(tables, live):
    """Runs lifecycle on members given by their order days, as days before the run date."""

    def make(
        orders: Mapping[int, Iterable[int]],
        signed_up: int = 400,
        clv: Iterable[Mapping[str, object]] = (),
        clv_parameters: Iterable[Mapping[str, object]] = (),
        **parameters: object,
    ):
        for contract in (MEMBERS, CLV, CLV_PARAMETERS):
            if tables.session.exists(contract):
                tables.session.execute(f"delete from {contract.name}")
        tables.given(
            MEMBERS,
            [
                {
                    "member_id": member_id,
                    "is_identified": True,
                    "time_zone_source": "shop",
                    "signed_up_at": midnight(signed_up) + dt.timedelta(hours=12),
                }
                for member_id in orders
            ],
        )
        tables.given(CLV, list(clv))
        tables.given(CLV_PARAMETERS, list(clv_parameters))
        dates = {
            member_id: [RUN_DATE - dt.timedelta(days=ago) for ago in days]
            for member_id, days in orders.items()
        }
        live(LOAD_DATE, {}, dates)
        tables.run(ORDER_DAYS, LOAD_DATE)
        return staged(tables, **parameters)

    return make


def staged(tables, **parameters: object):
    """Makes the history and from it the other two; the rows of lifecycle."""
    tables.run(LIFECYCLE_HISTORY, LOAD_DATE, **parameters)
    rows = tables.run(LIFECYCLE, LOAD_DATE, **parameters)
    tables.run(LIFECYCLE_TRANSITIONS, LOAD_DATE, **parameters)
    for contract in (LIFECYCLE_HISTORY, LIFECYCLE, LIFECYCLE_TRANSITIONS):
        assert tables.offending(contract) == {}
    return rows


# By case: order days ago, stage, the one before, days since she entered it, strategy.
CASES = {
    "no order": ([], "prospect", None, 399, "acquisition"),
    "first order yesterday": ([1], "new", "prospect", 0, "conversion"),
    "first order 30 days ago": ([30], "new", "prospect", 29, "conversion"),
    "two orders, still new": ([28, 3], "new", "prospect", 27, "conversion"),
    "first order 31 days ago": ([31], "dormant", "new", 0, "retention"),
    "second order while new": ([40, 20], "active", "new", 9, "loyalty"),
    "back after 89 days": ([100, 11], "active", "dormant", 10, "loyalty"),
    "back after 90 days": ([101, 11], "resurrected", "dormant", 10, "retention"),
    "back after 190 days": ([201, 11], "resurrected", "lost", 10, "retention"),
    "back, and once more": ([101, 11, 5], "active", "resurrected", 4, "loyalty"),
    "90 days ago": ([90], "dormant", "new", 59, "retention"),
    "91 days ago": ([91], "churn_risk", "dormant", 0, "retention"),
    "180 days ago": ([180], "churn_risk", "dormant", 89, "retention"),
    "181 days ago": ([181], "lost", "churn_risk", 0, "acquisition"),
    "300 days ago": ([300], "lost", "churn_risk", 119, "acquisition"),
    "twice her gap": ([100, 80, 60, 40], "dormant", "active", 9, "retention"),
    "twice her gap and a day": ([101, 81, 61, 41], "churn_risk", "dormant", 0, "retention"),
    "a quick buyer, gone": ([70, 60, 50], "churn_risk", "active", 19, "retention"),
}


def test_what_older_orders_may_change_is_marked(run, tables):
    """Orders are known whole since 50 days ago; members are known since 60 days ago, or 40."""
    since = RUN_DATE - dt.timedelta(days=50)
    tables.given(TRACKING, [{"kind": "orders", "first_complete_date": since}])
    for signed_up, orders, expected in (
        (60, [45], [("prospect", True), ("new", True), ("dormant", False)]),
        (40, [35], [("prospect", False), ("new", False), ("dormant", False)]),
        (
            60,
            [55, 45],
            [("prospect", True), ("new", True), ("active", False), ("churn_risk", False)],
        ),
    ):
        run({1: orders}, signed_up=signed_up)
        rows = tables.rows(LIFECYCLE_HISTORY)
        assert [(row["stage"], row["is_cut"]) for row in rows] == expected


def test_stages(run, tables):
    rows = run({number: case[0] for number, case in enumerate(CASES.values())})
    found = {
        name: (
            [*case[0][:-1], row["days_since_last_order"]] if case[0] else [],
            row["stage"],
            row["previous_stage"],
            (midnight(0) - row["entered_at"]).days,
            row["strategy"],
        )
        for (name, case), row in zip(CASES.items(), rows, strict=True)
    }
    assert found == CASES
    assert tables.offending(LIFECYCLE) == {}


def test_a_member_who_came_with_her_first_order_was_no_prospect(run):
    (row,) = run({1: [20]}, signed_up=20)
    assert (row["stage"], row["previous_stage"]) == ("new", None)


# CDNOW's, published by Fader, Hardie and Lee 2005.
PUBLISHED = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}


def fitted(
    model: str = "bg_nbd", cohort: str = "pooled", **values: float
) -> list[dict[str, object]]:
    """Rows of value.clv_parameters."""
    return [
        {"model": model, "cohort": cohort, "parameter": name, "value": value}
        for name, value in {**PUBLISHED, **values}.items()
    ]


def served(
    *members: int, method: str = "bg_nbd_gamma_gamma", parameters_of: str = "pooled"
) -> list[dict[str, object]]:
    """Rows of value.clv."""
    return [
        {"member_id": member_id, "method": method, "parameters_of": parameters_of}
        for member_id in members
    ]


def p_alive(past: list[int], model: str = "bg_nbd", **values: float) -> float:
    """Of Fader, Hardie and Lee 2005, as value.clv has it in a run; order days as days before it."""
    r, alpha, a, b = ({**PUBLISHED, **values}[name] for name in ("r", "alpha", "a", "b"))
    x, t_x, T = len(past) - 1, (past[0] - past[-1]) / 7, (past[0] - 1) / 7
    leaves = a / (b + x - 1 if model == "bg_nbd" else b + x)
    return 1 / (1 + leaves * ((alpha + T) / (alpha + t_x)) ** (r + x))


def test_a_repeat_buyer_who_is_probably_gone_is_a_churn_risk_from_then_on(run, tables):
    """From the first midnight at which the run's P(alive) was below min_p_alive."""
    orders = [63, 56, 49, 42, 41]
    (row,) = run({1: orders}, clv=served(1), clv_parameters=fitted(a=1.2), gap_multiple=100.0)
    alive = [
        p_alive([ago - days_ago for ago in orders], a=1.2) >= DEFAULTS.min_p_alive
        for days_ago in range(11)
    ]
    assert alive == sorted(alive)
    entered = alive.index(True) - 1
    assert 0 < entered < 10, "the threshold is crossed after the last active day"
    assert (row["stage"], row["previous_stage"]) == ("churn_risk", "dormant")
    assert row["entered_at"] == midnight(entered)


def test_models_are_those_that_serve_the_member(run):
    """Of members with one history whose fit calls her likely gone is a churn risk."""
    orders = [120, 40]
    doubtful = {"a": 9.0, "b": 0.2}
    parameters = [
        *fitted(),
        *fitted(cohort="wechat", **doubtful),
        *fitted("mbg_nbd", **doubtful),
        *fitted("gamma_gamma"),
    ]
    likely_gone = [
        p_alive(orders, **values) < DEFAULTS.min_p_alive
        for values in ({}, doubtful, {"model": "mbg_nbd", **doubtful})
    ]
    assert likely_gone == [False, True, True]

    def stages(*clv: list[dict[str, object]]) -> list[str]:
        serving = [row for rows in clv for row in rows]
        members = dict.fromkeys((row["member_id"] for row in serving), orders)
        rows = run(members, clv=serving, clv_parameters=parameters)
        return [row["stage"] for row in rows]

    by_cohort = stages(served(1), served(2, parameters_of="wechat"))
    assert by_cohort == ["dormant", "churn_risk"]
    assert stages(served(1, method="mbg_nbd_gamma_gamma")) == ["churn_risk"]
    assert stages(served(1, method="fallback")) == ["dormant"]


def test_one_order_alone_makes_no_churn_risk_of_the_model(run):
    parameters = fitted("mbg_nbd", a=9, b=0.1)
    clv = served(1, method="mbg_nbd_gamma_gamma")
    (row,) = run({1: [40]}, clv=clv, clv_parameters=parameters)
    assert row["stage"] == "dormant"


def test_who_ordered_lately_is_active_whatever_the_model_says(run):
    parameters = fitted(a=999, b=0.001)
    (row,) = run({1: [60, 10]}, clv=served(1), clv_parameters=parameters)
    assert row["stage"] == "active"


@pytest.mark.parametrize("min_p_alive", [0.0, 1.0])
def test_limits_that_nothing_or_everything_falls_below(run, min_p_alive):
    (row,) = run(
        {1: [60, 40]},
        clv=served(1),
        clv_parameters=fitted(),
        min_p_alive=min_p_alive,
        gap_multiple=9.0,
    )
    assert row["stage"] == ("churn_risk" if min_p_alive else "dormant")


def test_only_identified_members_have_a_stage(tables, run):
    run({1: [5], 2: [3]})
    tables.session.execute("update clean.members set is_identified = false where member_id = 2")
    assert [row["member_id"] for row in staged(tables)] == [1]


def test_nobody_gives_empty_tables(run, tables):
    assert run({}) == []
    assert tables.rows(LIFECYCLE_HISTORY) == []
    assert tables.rows(LIFECYCLE_TRANSITIONS) == []


def test_a_member_of_whom_only_the_id_is_known_is_a_prospect_as_of_now(tables, run):
    run({1: []})
    tables.session.execute("update clean.members set signed_up_at = null")
    (row,) = staged(tables)
    assert (row["stage"], row["entered_at"]) == ("prospect", None)
    (spell,) = tables.rows(LIFECYCLE_HISTORY)
    assert (spell["entered_date"], spell["left_date"]) == (RUN_DATE, None)


def test_a_sign_up_in_the_future_is_a_prospect_today(tables, run):
    (row,) = run({1: []}, signed_up=-20)
    assert (row["stage"], row["entered_at"]) == ("prospect", midnight(0))


def test_strategies_are_the_shops(run, tables):
    shop = Lifecycle.model_validate({"strategies": {"lost": "retention"}})
    strategies = shop.strategies.model_dump()
    rows = run({1: [200], 2: []}, stages=list(strategies), strategies=list(strategies.values()))
    assert [row["strategy"] for row in rows] == ["retention", "acquisition"]


def test_a_history_is_written_out(run, tables):
    """Known 300 days ago, two orders within a month, silence, and back."""
    run({1: [250, 240, 5]}, signed_up=300)
    spells = [
        (
            (RUN_DATE - row["entered_date"]).days,
            row["left_date"] and (RUN_DATE - row["left_date"]).days,
            row["stage"],
            row["previous_stage"],
        )
        for row in tables.rows(LIFECYCLE_HISTORY)
    ]
    assert spells == [
        (299, 249, "prospect", None),
        # New up to 30 days after the first, then active up to 30 days after the second.
        (249, 219, "new", "prospect"),
        (219, 209, "active", "new"),
        # Her gap is ten days, so no day is left for being dormant.
        (209, 59, "churn_risk", "active"),
        (59, 4, "lost", "churn_risk"),
        (4, None, "resurrected", "lost"),
    ]


def stage_on(
    ordered: list[int], days_ago: int, lines: Lifecycle, values: Mapping[str, float] | None = None
) -> str:
    """The definition, word for word, on the midnight of some days ago."""
    past = [ago - days_ago for ago in ordered if ago > days_ago]
    if not past:
        return "prospect"
    gaps = [before - after for before, after in pairwise(past)]
    since_last = past[-1]
    if past[0] <= lines.active_days:
        return "new"
    if since_last <= lines.active_days:
        has_returned = gaps and gaps[-1] >= lines.gap_days
        return "resurrected" if has_returned else "active"
    if since_last > lines.lost_days:
        return "lost"
    is_late = gaps and since_last > lines.gap_multiple * median(gaps)
    is_gone = gaps and values is not None and p_alive(past, **values) < lines.min_p_alive
    return "churn_risk" if since_last > lines.dormant_days or is_late or is_gone else "dormant"


THRESHOLDS = st.builds(
    Lifecycle,
    active_days=st.integers(1, 30),
    dormant_days=st.integers(31, 90),
    lost_days=st.integers(91, 200),
    resurrected_gap_days=st.none() | st.integers(31, 120),
    gap_multiple=st.sampled_from([0.5, 1.5, 2.0, 7.25]),
    min_p_alive=st.sampled_from([0.2, 0.33, 0.8]),
)
SHOPS = st.dictionaries(
    st.integers(1, 15),
    st.lists(st.integers(1, 380), max_size=9, unique=True).map(lambda ago: sorted(ago)[::-1]),
)
MODELS = st.none() | st.fixed_dictionaries({"a": st.sampled_from([0.1, 0.793, 5.0])})


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders=SHOPS, lines=THRESHOLDS, values=MODELS)
def test_every_midnight_of_the_past_has_the_stage_that_the_definition_says(
    run, tables, orders, lines, values
):
    """The stages of all midnights, one by one, against the history and what is made of it."""
    known = 400
    names = (name for name in Lifecycle.model_fields if name != "strategies")
    rows = run(
        orders,
        signed_up=known,
        clv=[] if values is None else served(*orders),
        clv_parameters=[] if values is None else fitted(**values),
        **{name: getattr(lines, name) for name in names} | {"resurrected_gap_days": lines.gap_days},
    )
    expected = {
        member_id: [stage_on(ordered, ago, lines, values) for ago in range(known)]
        for member_id, ordered in orders.items()
    }
    found = {member_id: [[] for _ in range(known)] for member_id in orders}
    for row in tables.rows(LIFECYCLE_HISTORY):
        entered = (RUN_DATE - row["entered_date"]).days
        left = -1 if row["left_date"] is None else (RUN_DATE - row["left_date"]).days
        stages = expected[row["member_id"]]
        assert row["previous_stage"] == (stages[entered + 1] if entered + 1 < known else None)
        for ago in range(left + 1, entered + 1):
            found[row["member_id"]][ago].append(row["stage"])
    assert found == {
        member_id: [[stage] for stage in stages] for member_id, stages in expected.items()
    }
    for row in rows:
        stages = expected[row["member_id"]]
        assert row["stage"] == stages[0]
        changed = next((ago for ago in range(known - 1) if stages[ago + 1] != stages[0]), known - 1)
        assert row["entered_at"] == midnight(changed)


@pytest.mark.parametrize("industry", PRESETS)
def test_in_every_industry_who_was_away_too_long_is_resurrected_and_nobody_else(run, industry):
    lines = Lifecycle.model_validate(PRESETS[industry].get("lifecycle", {}))
    steady = [3 + number * lines.active_days for number in range(6)][::-1]
    orders = {
        1: steady,
        2: [3 + lines.dormant_days, 3],
        3: [3 + lines.lost_days + 1, 3],
        4: [3 + lines.dormant_days - 1, 3],
    }
    names = ("active_days", "dormant_days", "lost_days")
    limits = {name: getattr(lines, name) for name in names}
    rows = run(orders, signed_up=2000, resurrected_gap_days=lines.gap_days, **limits)
    assert [row["stage"] for row in rows] == ["active", "resurrected", "resurrected", "active"]


def test_a_long_history_of_many_orders(run, tables):
    """Chains of orders in one stage are one stay in it."""
    draw = random.Random(20261122)
    orders = {
        member_id: sorted(draw.sample(range(1, 380), 60), reverse=True) for member_id in range(20)
    }
    for row in run(orders):
        stages = [stage_on(orders[row["member_id"]], ago, DEFAULTS) for ago in range(400)]
        entered = next(ago for ago in range(400) if stages[ago + 1] != stages[0])
        assert (row["stage"], row["entered_at"]) == (stages[0], midnight(entered))
    spells = tables.rows(LIFECYCLE_HISTORY)
    for before, after in pairwise(spells):
        if before["member_id"] == after["member_id"]:
            assert before["left_date"] == after["entered_date"]
            assert before["stage"] == after["previous_stage"] != after["stage"]
        else:
            assert before["left_date"] is None
