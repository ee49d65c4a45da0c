"""What the benchmarks compute themselves, apart from what they measure."""

from datetime import date
from math import log2
from pathlib import Path

import polars as pl
import pytest

from benchmarks.public_shops import SHOPS
from benchmarks.served import by_member, concentration, popular_lists
from resources.config.campaigns import load_campaigns
from resources.config.shop import load_shop
from resources.config.sources import load_sources

ORDERS = "orderID,customerID,orderDate\n1,ANNA,1998-05-01 00:00:00.000\n2,BEN,1998-05-03 00:00:00\n"
LINES = "orderID,productID,unitPrice,quantity,discount\n1,7,2.00,1,0\n2,7,2.00,1,0\n2,9,3.00,1,0\n"


@pytest.mark.parametrize("name", SHOPS)
def test_a_public_shop_is_a_shop(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = SHOPS[name]
    if shop.variable:
        monkeypatch.setenv(shop.variable, "file")
    assert load_shop(shop.config).name
    assert load_sources(shop.config).sources
    load_campaigns(shop.config)


def test_a_shop_is_cut_at_a_date(tmp_path: Path) -> None:
    data, landed = tmp_path / "data", tmp_path / "landed"
    data.mkdir()
    landed.mkdir()
    for name in ("products", "categories", "customers"):
        (data / f"{name}.csv").write_text("id\n1\n")
    (data / "orders.csv").write_text(ORDERS)
    (data / "order_details.csv").write_text(LINES)
    northwind = SHOPS["northwind"]
    assert northwind.acts(data).rows() == [
        ("ANNA", "7", date(1998, 5, 1)),
        ("BEN", "7", date(1998, 5, 3)),
        ("BEN", "9", date(1998, 5, 3)),
    ]
    assert northwind.land
    northwind.land(data, date(1998, 5, 3), landed)
    assert (landed / "order_details.csv").read_text().splitlines() == LINES.splitlines()[:2]
    assert "BEN" not in (landed / "orders.csv").read_text()


def test_recall_and_ndcg_of_each_member() -> None:
    lists = pl.DataFrame({"member_id": [1, 1, 2], "rank": [1, 2, 1], "product_id": ["a", "b", "a"]})
    truth = pl.DataFrame({"member_id": [1, 1, 2, 3], "product_id": ["b", "c", "b", "a"]})
    found = by_member(lists, truth)
    assert found["recall"].to_list() == [0.5, 0.0, 0.0]
    assert found["ndcg"].to_list() == pytest.approx([(1 / log2(3)) / (1 + 1 / log2(3)), 0.0, 0.0])


def test_popularity_lists_what_is_bought_most_and_not_had() -> None:
    counted = pl.DataFrame({"product_id": ["a", "b", "b", "c", "c"]})
    known = pl.DataFrame({"member_id": [2], "product_id": ["b"]})
    lists = popular_lists(counted, pl.Series([1, 2]), known)
    assert lists.select("member_id", "rank", "product_id").rows() == [
        (1, 1, "b"), (1, 2, "c"), (1, 3, "a"), (2, 1, "c"), (2, 2, "a"),
    ]  # fmt: skip


def test_concentration_is_0_where_all_are_listed_alike_and_near_1_for_one_list() -> None:
    alike = pl.DataFrame({"product_id": [f"{number}" for number in range(20)]})
    assert concentration(alike, 20) == (pytest.approx(0.0), 0.5)
    one = pl.DataFrame({"product_id": ["a"] * 20})
    assert concentration(one, 100) == (pytest.approx(0.99), 1.0)
