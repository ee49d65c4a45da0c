"""What she prefers when she buys: band of price, brand, category, hour and channel."""

import datetime as dt
import random
from decimal import Decimal

import pytest

import assets.clean.contracts as clean
import assets.features.contracts as features
from assets.clean.contracts import PRODUCTS
from assets.tags.contracts import MEMBER_PREFERENCES

LOAD_DATE = dt.date(2026, 3, 31)
# Midnight in Shanghai after the load date.
AS_OF = dt.datetime(2026, 3, 31, 16)  # noqa: DTZ001
NOTHING = {"brand", "category", "price_band", "best_hour", "channel"}


@pytest.fixture
def run(tables):
    """Runs member_preferences; a product is (category, brand, price), the others are rows."""

    def only(contract, rows):
        tables.given(contract)
        tables.session.execute(f"delete from {contract.name}")
        tables.given(contract, rows)

    def make(
        weights=None, products=None, orders=(), habits=(), time_zone="Asia/Shanghai", n_views=1
    ):
        only(
            PRODUCTS,
            [
                {
                    "product_id": product_id,
                    "kind": "product",
                    "category": category,
                    "brand": brand,
                    "price": price if price is None else Decimal(price),
                    "currency": "CNY",
                }
                for product_id, (category, brand, price) in (products or {}).items()
            ],
        )
        only(
            features.MEMBER_PRODUCTS,
            [
                {
                    "member_id": member_id,
                    "product_id": product_id,
                    "weight": weight,
                    "n_views": n_views,
                }
                for (member_id, product_id), weight in (weights or {}).items()
            ],
        )
        only(clean.MEMBERS, [{"member_id": 1, "time_zone": time_zone}])
        only(
            clean.ORDERS,
            [
                {"order_id": str(number), "member_id": 1, "status": "completed", **order}
                for number, order in enumerate(orders)
            ],
        )
        only(features.MEMBERS, habits)
        rows = tables.run(MEMBER_PREFERENCES, LOAD_DATE)
        assert tables.offending(MEMBER_PREFERENCES) == {}
        return {row["member_id"]: row for row in rows}

    return make


def preferred(row, name) -> tuple[object, float, int]:
    return row[name], row[f"{name}_share"], row[f"{name}_support"]


def days_ago(days: float, hour: int = 0) -> dt.datetime:
    return AS_OF - dt.timedelta(days=days) + dt.timedelta(hours=hour)


def test_nothing_gives_no_preferences(run):
    assert run() == {}
    assert run(habits=[{"member_id": 1}]) == {}


def test_the_strongest_brand_and_category_win_with_their_share(run):
    rows = run(
        {(1, "a"): 6.0, (1, "b"): 3.0, (1, "c"): 1.0, (2, "c"): 0.5},
        {"a": ("茶", "山语", 10), "b": ("茶", "Lumo", 20), "c": ("杯", "Lumo", 30)},
        n_views=2,
    )
    assert preferred(rows[1], "brand") == ("山语", pytest.approx(0.6), 2)
    assert preferred(rows[1], "category") == ("茶", pytest.approx(0.9), 4)
    assert preferred(rows[2], "brand") == ("Lumo", 1, 2)


def test_equals_are_parted_by_name(run):
    products = {"a": ("y", "b", None), "b": ("x", "a", None)}
    row = run({(1, "a"): 1.0, (1, "b"): 1.0}, products)[1]
    assert (row["brand"], row["category"]) == ("a", "x")


def test_what_was_given_back_and_what_is_not_known_count_for_nothing(run):
    products = {"a": ("x", "a", 1), "b": (None, " ", None)}
    rows = run({(1, "a"): -2.0, (1, "b"): 1.0, (1, "gone"): 9.0, (2, "a"): -1.0}, products)
    assert rows == {}
    (row,) = run({(1, "b"): 1.0}, products, habits=[{"member_id": 1, "best_hour": 3}]).values()
    assert {name for name in NOTHING if row[name] is None} == NOTHING - {"best_hour"}


def test_a_price_is_low_or_high_among_its_own_category(run):
    products = {f"t{price}": ("tea", None, price) for price in (10, 20, 30, 40, 50, 60)}
    products |= {f"s{price}": ("sofa", None, price) for price in (1000, 2000, 3000)}
    products["free"] = ("gift", None, 0)
    weights = dict.fromkeys(((number, name) for number, name in enumerate(products, 1)), 1.0)
    rows = run(weights, products)
    bands = {name: rows[number]["price_band"] for number, name in enumerate(products, 1)}
    assert bands == {
        **{"t10": "low", "t20": "low", "t30": "middle", "t40": "middle"},
        **{"t50": "high", "t60": "high"},
        **{"s1000": "low", "s2000": "middle", "s3000": "high", "free": "middle"},
    }


def test_equal_prices_share_a_band(run):
    products = {name: ("tea", None, 10) for name in "abcde"}
    rows = run({(number, name): 1.0 for number, name in enumerate("abcde")}, products)
    assert {row["price_band"] for row in rows.values()} == {"middle"}


def test_the_band_is_weighed_over_all_her_products(run):
    products = {f"t{price}": ("tea", None, price) for price in (10, 20, 30)}
    row = run({(1, "t10"): 2.0, (1, "t30"): 3.0, (1, "t20"): 2.9}, products)[1]
    assert preferred(row, "price_band") == ("high", pytest.approx(3 / 7.9), 1)


def test_hour_and_channel_are_those_of_her_decayed_orders(run):
    """One order now weighs more than one half-life ago, and as much as two of then."""
    orders = [
        {"ordered_at": days_ago(30, hour=1), "channel": "sms"},
        {"ordered_at": days_ago(1, hour=20), "channel": "app"},
    ]
    row = run(orders=orders, habits=[{"member_id": 1, "best_hour": 9, "main_channel": "web"}])[1]
    old, new = 0.5 ** ((30 - 1 / 24) / 30), 0.5 ** ((1 - 20 / 24) / 30)
    assert preferred(row, "best_hour") == (20, pytest.approx(new / (old + new)), 1)
    assert preferred(row, "channel") == ("app", pytest.approx(new / (old + new)), 1)


def test_the_hour_is_her_own(run):
    orders = [{"ordered_at": days_ago(1, hour=3)}]
    assert run(orders=orders)[1]["best_hour"] == 3
    row = run(orders=orders, time_zone="America/New_York")[1]
    assert row["best_hour"] == 15
    assert row["channel"] is None


def test_who_has_not_ordered_has_the_habits_of_her_sessions(run):
    habit = {"best_hour": 9, "main_channel": "web", "main_channel_share": 0.75}
    rows = run(habits=[{"member_id": 2, **habit}])
    assert preferred(rows[2], "best_hour") == (9, None, 0)
    assert preferred(rows[2], "channel") == ("web", 0.75, 0)


@pytest.mark.parametrize(
    "order",
    [
        {"ordered_at": AS_OF},
        {"ordered_at": days_ago(-3)},
        {"ordered_at": days_ago(3), "status": "cancelled"},
        {"ordered_at": days_ago(3), "member_id": None},
    ],
    ids=["as of the run", "after it", "cancelled", "nobody's"],
)
def test_what_is_no_order_of_hers_before_the_run_does_not_count(run, order):
    assert run(orders=[order]) == {}


def test_the_order_of_rows_does_not_matter(run):
    rng = random.Random(1)
    products = {f"p{n}": (f"c{n % 3}", f"b{n % 4}", n % 7) for n in range(30)}
    weights = [((n % 5, f"p{n * 7 % 30}"), rng.random()) for n in range(30)]
    orders = [{"ordered_at": days_ago(n, hour=n % 3), "channel": f"c{n % 2}"} for n in range(1, 9)]
    first = run(dict(weights), products, orders)
    rng.shuffle(weights)
    rng.shuffle(orders)
    assert run(dict(weights), dict(reversed(products.items())), orders) == first
