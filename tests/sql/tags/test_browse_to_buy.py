"""Who viewed, and who of these bought at or after the first view."""

import datetime as dt

import pytest

import assets.clean.contracts as clean
from assets.features.contracts import MEMBER_PRODUCTS
from assets.raw.contracts import LOADS
from assets.tags.assets import browse_to_buy
from assets.tags.contracts import BROWSE_TO_BUY, PRODUCT_TAGS
from resources.shop import ShopConfig
from tests.calling import called

MONDAY = dt.datetime(2026, 3, 2)  # noqa: DTZ001
TUESDAY = MONDAY + dt.timedelta(days=1)


@pytest.fixture
def run(tables, tmp_path, warehouse):
    """Runs the asset on first view and last order, by member and product."""

    def materialise(pairs, tags=()):
        (tmp_path / "shop.yaml").write_text(
            "name: test\ntime_zone: Asia/Shanghai\nbase_currency: CNY\n"
            "first_load_date: 2026-01-01\n",
            encoding="utf-8",
        )
        tables.given(LOADS, [{"load_date": dt.date(2026, 3, 31)}])
        tables.given(
            MEMBER_PRODUCTS,
            [
                {
                    "member_id": member_id,
                    "product_id": product_id,
                    "first_viewed_at": viewed,
                    "last_ordered_at": ordered,
                }
                for (member_id, product_id), (viewed, ordered) in pairs.items()
            ],
        )
        tables.given(
            PRODUCT_TAGS,
            [
                {"product_id": product_id, "tag": tag, "score": 1.0, "source": "catalogue"}
                for product_id, tag in tags
            ],
        )
        result = called(browse_to_buy, shop=ShopConfig(folder=str(tmp_path)), warehouse=warehouse)
        assert tables.offending(BROWSE_TO_BUY) == {}
        rows = {(row["kind"], row["subject"]): row for row in tables.rows(BROWSE_TO_BUY)}
        return rows, result.metadata

    return materialise


def counts(row) -> tuple[int, int]:
    return row["n_browsers"], row["n_buyers"]


def test_nobody_browsed(run):
    rows, metadata = run({(1, "p"): (None, MONDAY)})
    assert rows == {}
    assert metadata["n_browsers_of_products"] == 0


def test_buyers_are_browsers_who_bought_at_or_after_the_view(run):
    rows, metadata = run(
        {
            (1, "p"): (MONDAY, TUESDAY),
            (2, "p"): (MONDAY, MONDAY),
            (3, "p"): (TUESDAY, MONDAY),
            (4, "p"): (MONDAY, None),
            (5, "p"): (None, TUESDAY),
        }
    )
    assert counts(rows["product", "p"]) == (4, 2)
    assert (metadata["n_browsers_of_products"], metadata["n_buyers_of_products"]) == (4, 2)


def test_any_product_of_a_tag_will_do(run):
    rows, _ = run(
        {
            (1, "a"): (MONDAY, None),
            (1, "b"): (None, TUESDAY),
            (2, "a"): (MONDAY, None),
            (2, "b"): (TUESDAY, None),
            (2, "c"): (None, TUESDAY),
        },
        tags=[("a", "tea"), ("b", "tea"), ("c", "cup")],
    )
    assert counts(rows["tag", "tea"]) == (2, 1)
    assert counts(rows["product", "a"]) == (2, 0)
    assert ("tag", "cup") not in rows
    assert ("product", "c") not in rows


def test_estimates_are_shrunk_towards_the_rate_of_their_kind(run):
    pairs = {(member, "big"): (MONDAY, TUESDAY if member < 40 else None) for member in range(100)}
    pairs[200, "small"] = (MONDAY, TUESDAY)
    rows, _ = run(pairs)
    rate = (41 + 0.5) / (101 + 1)
    for subject, n_browsers, n_buyers in (("big", 100, 40), ("small", 1, 1)):
        row = rows["product", subject]
        assert row["p_buy_given_browse"] == pytest.approx(
            (n_buyers + 10 * rate) / (n_browsers + 10)
        )
    assert rows["product", "small"]["ci_high"] - rows["product", "small"]["ci_low"] > 0.5
    assert rows["product", "big"]["ci_high"] - rows["product", "big"]["ci_low"] < 0.2


def test_views_without_any_order_are_no_failure(run):
    rows, _ = run({(member, "p"): (MONDAY, None) for member in range(300)}, tags=[("p", "tea")])
    assert counts(rows["tag", "tea"]) == (300, 0)
    assert 0 <= rows["tag", "tea"]["p_buy_given_browse"] < 0.01


def test_an_order_of_a_tag_before_the_first_look_at_it_does_not_count(run):
    rows, _ = run(
        {(1, "a"): (TUESDAY, None), (1, "b"): (None, MONDAY), (2, "a"): (MONDAY, MONDAY)},
        tags=[("a", "tea"), ("b", "tea")],
    )
    assert counts(rows["tag", "tea"]) == (2, 1)


@pytest.fixture
def history(tables, warehouse, tmp_path):
    """Runs features.member_products and then the asset, from views and orders by hour."""
    as_of = dt.datetime(2026, 3, 31, 16)  # noqa: DTZ001
    (tmp_path / "shop.yaml").write_text(
        "name: test\ntime_zone: Asia/Shanghai\nbase_currency: CNY\nfirst_load_date: 2026-01-01\n",
        encoding="utf-8",
    )

    def only(contract, rows):
        tables.given(contract)
        tables.session.execute(f"delete from {contract.name}")
        tables.given(contract, rows)

    def materialise(views=(), orders=(), status="completed"):
        only(LOADS, [{"load_date": dt.date(2026, 3, 31)}])
        only(PRODUCT_TAGS, [{"product_id": "p", "tag": "tea", "score": 1.0}])
        only(
            clean.EVENTS,
            [
                {
                    "message_id": f"v{hours}",
                    "member_id": 1,
                    "event_name": "Product Viewed",
                    "product_id": "p",
                    "occurred_at": as_of + dt.timedelta(hours=hours),
                }
                for hours in views
            ],
        )
        cancelled_at = as_of - dt.timedelta(minutes=1) if status == "cancelled" else None
        only(
            clean.ORDERS,
            [
                {"order_id": f"o{hours}", "status": status, "cancelled_at": cancelled_at}
                for hours in orders
            ],
        )
        only(
            clean.ORDER_ITEMS,
            [
                {
                    "order_id": f"o{hours}",
                    "line": 1,
                    "member_id": 1,
                    "product_id": "p",
                    "cancelled_at": cancelled_at,
                    "ordered_at": as_of + dt.timedelta(hours=hours),
                }
                for hours in orders
            ],
        )
        tables.given(clean.REFUNDS)
        tables.given(clean.IDENTITIES)
        tables.given(clean.MERGE_LOG)
        tables.run(MEMBER_PRODUCTS, dt.date(2026, 3, 31))
        called(browse_to_buy, shop=ShopConfig(folder=str(tmp_path)), warehouse=warehouse)
        rows = {row["kind"]: counts(row) for row in tables.rows(BROWSE_TO_BUY)}
        assert rows.get("product") == rows.get("tag")
        return rows.get("product")

    return materialise


def test_only_what_happened_before_the_run_counts(history):
    assert history(views=[-2], orders=[-1]) == (1, 1)
    assert history(views=[-2], orders=[0]) == (1, 0)
    assert history(views=[-2], orders=[5]) == (1, 0)
    assert history(views=[0, 3], orders=[5]) is None


def test_a_purchase_before_the_look_is_none_but_one_after_it_is(history):
    assert history(views=[-2], orders=[-3]) == (1, 0)
    assert history(views=[-2], orders=[-3, -1]) == (1, 1)
    assert history(views=[-4, -1], orders=[-3]) == (1, 1)
    assert history(views=[-1], orders=[-3, 2]) == (1, 0)


def test_a_cancelled_order_is_no_purchase(history):
    assert history(views=[-2], orders=[-1], status="cancelled") == (1, 0)
