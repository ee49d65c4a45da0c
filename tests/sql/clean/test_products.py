"""Every product that the shop is known to have, be it the catalogue's or not."""

from decimal import Decimal

from assets.clean.contracts import PRODUCTS
from tests.sql.conftest import LOAD_DATE


def made(log):
    log.make_all()
    rows = log.tables.run(PRODUCTS, LOAD_DATE)
    assert log.tables.offending(PRODUCTS) == {}
    return {row["product_id"]: row for row in rows}


def test_the_catalogue_tells_what_it_tells(log):
    log.products = [{"product_id": "tea", "kind": "content", "title": "A tea", "tags": ["warm"]}]
    log.event("Product Viewed", "01-02 10:00", user="ann", product_id="tea", title="Another")
    (row,) = made(log).values()
    assert (row["told_by"], row["kind"], row["title"]) == ("catalogue", "content", "A tea")
    assert row["tags"] == ["warm"]


def test_a_view_makes_a_product_known(log):
    log.event("Product Viewed", "01-02 10:00", user="ann", product_id="mat")
    (row,) = made(log).values()
    assert (row["product_id"], row["told_by"], row["kind"]) == ("mat", "events", "product")
    assert (row["title"], row["price"], row["stock"], row["tags"]) == (None, None, None, [])
    assert row["is_hidden"] is False


def test_events_tell_title_category_brand_and_price_the_newest_first(log):
    said = {"product_id": "mat", "category": "home", "brand": "b"}
    log.event("Product Viewed", "01-02 10:00", user="ann", title="Old", price=9, **said)
    log.event("Product Viewed", "01-03 10:00", user="bea", title=" New ", price=8, product_id="mat")
    log.event("Product Added", "01-04 10:00", user="ann", product_id="mat")
    log.event("Product Shared", "01-01 10:00", user="ann", **said)
    (row,) = made(log).values()
    assert (row["title"], row["price"], row["currency"]) == ("New", Decimal(8), "CNY")
    # The newest view tells neither, an older event of another name does.
    assert (row["category"], row["brand"]) == ("home", "b")


def test_a_line_of_an_order_is_a_product(log):
    lines = [
        {"product_id": "mat", "quantity": 2, "price": 5, "name": "A mat"},
        {"product_id": "lamp", "quantity": 1, "price": 7, "name": "A lamp"},
        {"product_id": "POSTAGE", "quantity": 1, "price": 1},
    ]
    log.event("Order Completed", "01-02 10:00", user="ann", order_id="o1", products=lines)
    log.tables.shop.orders.__dict__["adjustment_products"] = "^POSTAGE$"
    found = {name: (row["title"], row["price"]) for name, row in made(log).items()}
    assert found == {"mat": ("A mat", Decimal(5)), "lamp": ("A lamp", Decimal(7))}


def test_a_bot_names_no_product(log):
    agent = {"user_agent": "Googlebot/2.1"}
    log.event("Product Viewed", "01-02 10:00", device="d", columns=agent, product_id="x")
    log.event("Product Viewed", "01-02 11:00", user="ann", product_id=" ")
    assert made(log) == {}
