"""The truth fits the files, and the models that it claims can be found again in it."""

import numpy as np
import polars as pl
import pytest
from scipy.special import hyp2f1

from resources.simulation.orders import draw_purchases
from resources.simulation.settings import SimulationSettings
from resources.simulation.truth import members_truth, orders_truth
from resources.simulation.world import World, make_world

from .conftest import Landing, instant


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(SimulationSettings(members=5_000, days=60, products=200))


def test_orders_are_bg_nbd_in_shop_time(world: World) -> None:
    """Equation 10 of Fader, Hardie, Lee (2005), and the chance of no repeat by their equation 8."""
    settings, timeline, _, population, _ = world
    member, at, _ = draw_purchases(settings, timeline, population)
    n = population.n_members
    buyers, first = np.unique(member, return_index=True)
    home = population.market[buyers]
    horizon = timeline.shop_time(home, np.full(len(buyers), timeline.horizon))
    t = horizon - timeline.shop_time(home, at[first])
    n_repeats = np.bincount(member, minlength=n)[buyers] - 1

    r, alpha, a, b = (getattr(settings.purchases, name) for name in ("r", "alpha", "a", "b"))
    z = t / (alpha + t)
    repeats = (a + b - 1) / (a - 1) * (1 - (1 - z) ** r * hyp2f1(r, b, a + b - 1, z))
    assert n_repeats.mean() == pytest.approx(repeats.mean(), rel=0.06)
    assert (n_repeats == 0).mean() == pytest.approx(((1 - z) ** r).mean(), abs=0.02)
    early, late = np.argsort(t)[: len(t) // 4], np.argsort(t)[-len(t) // 4 :]
    for some in (early, late):
        assert n_repeats[some].mean() == pytest.approx(repeats[some].mean(), rel=0.12)


def test_parameters_are_gamma_and_beta(world: World) -> None:
    purchases, members = world.settings.purchases, members_truth(world)
    rate, dropout = members["lambda"].to_numpy(), members["p_dropout"].to_numpy()
    assert rate.mean() == pytest.approx(purchases.r / purchases.alpha, rel=0.05)
    assert rate.var() == pytest.approx(purchases.r / purchases.alpha**2, rel=0.15)
    assert dropout.mean() == pytest.approx(purchases.a / (purchases.a + purchases.b), rel=0.05)


def test_order_values_are_gamma_gamma(world: World) -> None:
    spend, orders = world.settings.spend, orders_truth(world)
    members = members_truth(world)
    expected = members["expected_spend"].to_numpy()
    assert expected.mean() == pytest.approx(spend.p * spend.gamma / (spend.q - 1), rel=0.05)
    joined = orders.join(members.select("user_id", "expected_spend"), on="user_id")
    ratio = (joined["revenue_base"] / joined["expected_spend"]).to_numpy()
    # Of Gamma(p, rate p): mean 1, variance 1 / p.
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    assert ratio.var() == pytest.approx(1 / spend.p, rel=0.1)
    per_member = joined.group_by("user_id").agg(pl.len(), pl.col("revenue_base").mean())
    assert abs(np.corrcoef(per_member["len"], per_member["revenue_base"])[0, 1]) < 0.06


def test_the_next_year_adds_up(world: World) -> None:
    members, orders = members_truth(world), orders_truth(world)
    future = orders.filter(pl.col("period") == "future")
    assert members["n_orders_next_12_months"].sum() == len(future) > 0
    days = (future["ordered_at"].dt.epoch("ms") - world.timeline.end) / 86_400_000
    factor = 1.01 ** -np.ceil(days.to_numpy())  # at least: a day is no longer than a month
    margin = future["net_margin_base"].to_numpy()
    total = members["discounted_margin_next_12_months"].sum()
    assert (margin * factor).sum() < total < margin.sum()
    months = np.floor(days.to_numpy() / 30) + 1
    assert total == pytest.approx((margin / 1.01**months).sum())
    gone = members.filter(~pl.col("is_alive_at_end"))
    assert gone["n_orders_next_12_months"].sum() == 0
    assert len(gone) > 100


def test_first_orders_follow_the_sign_up(world: World) -> None:
    orders, population = world.orders, world.population
    assert (orders.at > population.signed_up_at[orders.member]).all()
    assert set(np.unique(orders.member)) <= set(np.flatnonzero(population.is_buyer))


def test_prices_are_those_of_the_catalogue_less_a_discount(world: World) -> None:
    _, timeline, catalogue, population, orders = world
    home = population.market[orders.member[orders.line_order]] == 0
    snapshot = catalogue.snapshot(timeline.day(orders.at[orders.line_order]))
    paid = orders.unit_price / 100 / catalogue.prices[snapshot, orders.product]
    low, median, high = np.quantile(paid[home], [0.02, 0.5, 0.98])
    assert 0.6 < low < 0.85 < median < 0.95 < high < 1.2


def test_the_files_hold_the_true_orders(landing: Landing) -> None:
    orders = pl.read_parquet(landing.truth / "orders.parquet")
    window = orders.filter(pl.col("period") == "window")
    found = {
        message["properties"]["order_id"]: message
        for _, message in landing.first_copies().values()
        if message.get("event") == "Order Completed"
    }
    assert set(found) == set(window["order_id"])
    for row in window.iter_rows(named=True):
        message = found[row["order_id"]]
        assert message["userId"] == row["user_id"]
        assert float(message["properties"]["revenue"]) == pytest.approx(row["revenue"])
        assert message["properties"]["currency"] == row["currency"]
    history = pl.read_csv(landing.folder / "orders_history" / "2026-07-03.csv")
    before = orders.filter(pl.col("period") == "history")
    assert set(history["order_id"]) == set(before["order_id"])
    lines = history["quantity"] * history["unit_price"]
    assert lines.sum() == pytest.approx(before["revenue"].sum())


def test_referrals_have_no_cycles_and_their_clicks_are_in_the_files(landing: Landing) -> None:
    shares = pl.read_parquet(landing.truth / "shares.parquet")
    referrals = shares.filter(pl.col("referred_id").is_not_null())
    assert len(referrals) > 2
    assert referrals["referred_id"].is_unique().all()
    referrer = dict(zip(referrals["referred_id"], referrals["sharer_id"], strict=True))
    for member in referrer:
        seen = {member}
        while (member := referrer.get(member, "")) in referrer:
            assert member not in seen
            seen.add(member)
    signed_up_at = {r["user_id"]: instant(r["signed_up_at"]) for _, r in landing.records("members")}
    shared = dict(zip(shares["share_code"], shares["shared_at"], strict=True))
    messages = [message for _, message in landing.first_copies().values()]
    codes = {
        message["properties"]["share_code"]: message["userId"]
        for message in messages
        if message.get("event") == "Product Shared" and message["userId"]
    }
    device = {
        message["userId"]: message["anonymousId"]
        for message in messages
        if message["type"] == "identify" and message["userId"] in referrer
    }
    clicks: dict[str, set[str]] = {}
    for message in messages:
        if message["type"] == "page" and "share_code" in message["properties"]:
            clicks.setdefault(message["anonymousId"], set()).add(
                message["properties"]["share_code"]
            )
    frauds = pl.read_parquet(landing.truth / "frauds.parquet")
    ring_members = set(frauds.filter(pl.col("kind") == "cycle")["member_id"])
    for row in referrals.iter_rows(named=True):
        # The members of a ring shared before they signed up: test_frauds follows them.
        if signed_up_at[row["sharer_id"]] >= shared[row["share_code"]]:
            last = row["sharer_id"]
            while last in referrer and last not in ring_members:
                last = referrer[last]
            assert last in ring_members
        assert shared[row["share_code"]] < signed_up_at[row["referred_id"]]
        assert codes.get(row["share_code"], row["sharer_id"]) == row["sharer_id"]
        assert row["share_code"] in clicks[device[row["referred_id"]]]
    orders = pl.read_parquet(landing.truth / "orders.parquet").filter(pl.col("period") != "future")
    caused = referrals.explode("caused_order_ids").drop_nulls("caused_order_ids")
    theirs = orders.filter(pl.col("user_id").is_in(referrals["referred_id"].implode()))
    assert set(caused["caused_order_ids"]) == set(theirs["order_id"])
