"""Exactly one stage per identified member, and since when, from her order days alone."""

import datetime as dt
import random
from itertools import pairwise
from statistics import median

import pytest

from assets.clean.contracts import MEMBERS
from assets.features.contracts import MEMBER_DAYS
from assets.value.contracts import CLV, LIFECYCLE
from resources.config.shop import Lifecycle

LOAD_DATE = dt.date(2026, 3, 31)
RUN_DATE = dt.date(2026, 4, 1)
DEFAULTS = Lifecycle()


def midnight(days_ago: int) -> dt.datetime:
    """Shanghai's midnight some days before the run date's, naive UTC."""
    day = RUN_DATE - dt.timedelta(days=days_ago)
    return dt.datetime.combine(day, dt.time()) - dt.timedelta(hours=8)


@pytest.fixture
def run(tables):
    """Runs lifecycle on members given by their order days, as days before the run date."""

    def make(orders: dict[int, list[int]], signed_up: int = 400, clv=(), **parameters):
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
        tables.given(
            MEMBER_DAYS,
            [
                {
                    "member_id": member_id,
                    "date": RUN_DATE - dt.timedelta(days=ago),
                    "n_orders": 1,
                }
                for member_id, days in orders.items()
                for ago in days
            ],
        )
        tables.given(CLV, clv)
        return tables.run(LIFECYCLE, LOAD_DATE, **parameters)

    return make


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


@pytest.mark.parametrize(
    ("frequency", "p_alive", "stage"),
    [(1, 0.32, "churn_risk"), (1, 0.33, "dormant"), (0, 0.1, "dormant"), (1, None, "dormant")],
)
def test_a_repeat_buyer_who_is_probably_gone_is_a_churn_risk(run, frequency, p_alive, stage):
    clv = [
        {"member_id": 1, "frequency": frequency, "p_alive": p_alive, "method": "bg_nbd_gamma_gamma"}
    ]
    (row,) = run({1: [120, 40]}, clv=clv)
    assert row["stage"] == stage
    assert (row["previous_stage"], row["entered_at"]) == ("active", midnight(9))


def test_who_ordered_lately_is_active_whatever_the_model_says(run):
    clv = [{"member_id": 1, "frequency": 9, "p_alive": 0.01, "method": "bg_nbd_gamma_gamma"}]
    (row,) = run({1: [60, 10]}, clv=clv)
    assert row["stage"] == "active"


def test_only_identified_members_have_a_stage(tables, run):
    run({1: [5]})
    tables.given(MEMBERS, [{"member_id": 2, "is_identified": False, "time_zone_source": "shop"}])
    assert [row["member_id"] for row in tables.run(LIFECYCLE, LOAD_DATE)] == [1]


def test_nobody_gives_an_empty_table(run):
    assert run({}) == []


def test_a_member_of_whom_only_the_id_is_known_is_a_prospect(tables, run):
    run({})
    tables.given(MEMBERS, [{"member_id": 1, "is_identified": True, "time_zone_source": "shop"}])
    (row,) = tables.run(LIFECYCLE, LOAD_DATE)
    assert (row["stage"], row["entered_at"]) == ("prospect", None)


def stage_on(ordered: list[int], days_ago: int, lines: Lifecycle) -> str:
    """The definition, word for word, on the midnight of some days ago."""
    past = [ago - days_ago for ago in ordered if ago > days_ago]
    if not past:
        return "prospect"
    gaps = [before - after for before, after in pairwise(past)]
    since_last = past[-1]
    if past[0] <= lines.active_days:
        return "new"
    if since_last <= lines.active_days:
        has_returned = gaps and gaps[-1] >= lines.resurrected_gap_days
        return "resurrected" if has_returned else "active"
    if since_last > lines.lost_days:
        return "lost"
    is_late = gaps and since_last > lines.gap_multiple * median(gaps)
    return "churn_risk" if since_last > lines.dormant_days or is_late else "dormant"


@pytest.mark.parametrize(
    "lines",
    [DEFAULTS, Lifecycle(active_days=7, dormant_days=21, lost_days=60, gap_multiple=1.5)],
    ids=["e-commerce", "catering"],
)
def test_every_day_of_the_past_is_what_the_definition_says(run, lines):
    """The stage of each midnight, one by one, gives the same stage, the one before, and since."""
    draw = random.Random(20261122)
    orders = {
        member_id: sorted(draw.sample(range(1, 380), draw.choice([0, 1, 2, 3, 5, 9])), reverse=True)
        for member_id in range(80)
    }
    thresholds = {name: getattr(lines, name) for name in Lifecycle.model_fields}
    for row in run(orders, **thresholds):
        stages = [stage_on(orders[row["member_id"]], ago, lines) for ago in range(400)]
        entered = next((ago for ago in range(399) if stages[ago + 1] != stages[ago]), 399)
        assert row["stage"] == stages[0]
        assert row["entered_at"] == midnight(entered)
        assert row["previous_stage"] == (stages[entered + 1] if entered < 399 else None)
