"""Who viewed, and who of these bought at or after the first view."""

import datetime as dt

import pytest

from assets.features.contracts import MEMBER_PRODUCTS
from assets.raw.contracts import LOADS
from assets.tags.assets import browse_to_buy
from assets.tags.contracts import BROWSE_TO_BUY, PRODUCT_TAGS
from resources.shop import ShopConfig

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
        result = browse_to_buy(shop=ShopConfig(folder=str(tmp_path)), warehouse=warehouse)
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
