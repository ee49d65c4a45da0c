import datetime as dt
from decimal import Decimal

import pytest

from assets.raw.contracts import PRODUCT_RECORDS, PRODUCTS

LOAD_DATE = dt.date(2026, 1, 31)
OLD = {"product_id": "p", "kind": "product", "price": 1, "load_date": dt.date(2026, 1, 1)}


def made(tables, *records):
    tables.given(PRODUCT_RECORDS, [{"source": "s", "path": "b", "line": 5, **r} for r in records])
    rows = tables.run(PRODUCTS, LOAD_DATE)
    assert tables.offending(PRODUCTS) == {}
    return rows


@pytest.mark.parametrize(
    "newer",
    [{"load_date": dt.date(2026, 1, 2), "path": "a"}, {"path": "c", "line": 1}, {"line": 6}],
    ids=["load_date", "path", "line"],
)
@pytest.mark.parametrize("is_sent_first", [False, True])
def test_the_newest_record_counts(tables, newer, is_sent_first):
    records = [OLD, {**OLD, "price": 2, **newer}]
    (product,) = made(tables, *(reversed(records) if is_sent_first else records))
    assert product["price"] == Decimal(2)


def test_a_product_not_sent_again_stays(tables):
    rows = made(tables, OLD, {**OLD, "product_id": "q", "line": 6, "load_date": LOAD_DATE})
    assert [row["product_id"] for row in rows] == ["p", "q"]


def test_every_column_is_of_the_newest_record(tables):
    newer = {**OLD, "load_date": LOAD_DATE, "line": 6, "price": None, "tags": ["tea"], "stock": 3}
    (product,) = made(tables, {**OLD, "title": "Old"}, newer)
    assert (product["price"], product["title"], product["tags"]) == (None, None, ["tea"])
    assert (product["stock"], product["load_date"]) == (3, LOAD_DATE)


def test_no_records_no_products(tables):
    assert made(tables) == []
