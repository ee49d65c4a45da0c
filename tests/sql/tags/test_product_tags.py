"""The asset reads the catalogue, writes its tags and reports how they were come by."""

import datetime as dt

import pytest

from assets.clean.contracts import PRODUCTS
from assets.raw.contracts import LOADS
from assets.tags.assets import product_tags
from assets.tags.contracts import PRODUCT_TAGS
from resources.shop import ShopConfig
from tests.calling import called


@pytest.fixture
def run(tables, tmp_path, warehouse):
    """Runs the asset on a catalogue."""

    def materialise(products, declared=""):
        (tmp_path / "shop.yaml").write_text(
            "name: test\ntime_zone: Asia/Shanghai\nbase_currency: CNY\n"
            "first_load_date: 2026-01-01\n" + declared,
            encoding="utf-8",
        )
        tables.given(LOADS, [{"load_date": dt.date(2026, 3, 31)}])
        tables.given(PRODUCTS, [{"kind": "product", **product} for product in products])
        result = called(product_tags, shop=ShopConfig(folder=str(tmp_path)), warehouse=warehouse)
        assert tables.offending(PRODUCT_TAGS) == {}
        return tables.rows(PRODUCT_TAGS), result.metadata

    return materialise


def test_an_empty_catalogue_has_no_tags(run):
    rows, metadata = run([])
    assert rows == []
    assert metadata["n_products"] == 0


def test_own_tags_are_kept_and_the_untagged_are_predicted(run):
    kinds = {"红色连衣裙": "dress", "运动跑鞋": "shoe"}
    products = [
        {"product_id": f"{tag}{number}", "title": f"{title} {number} 号", "tags": [tag]}
        for title, tag in kinds.items()
        for number in range(20)
    ]
    products.append({"product_id": "new", "title": "新款红色连衣裙", "tags": []})
    rows, metadata = run(products)
    assert [row for row in rows if row["product_id"] == "shoe3"] == [
        {
            "product_id": "shoe3",
            "tag": "shoe",
            "score": 1.0,
            "source": "catalogue",
            "is_sensitive": False,
        }
    ]
    (predicted,) = (row for row in rows if row["product_id"] == "new")
    assert (predicted["tag"], predicted["source"]) == ("dress", "predicted")
    assert metadata["model_n_texts"] == 40
    assert metadata["n_products_predicted"] == 1


def test_the_shop_says_what_is_sensitive(run):
    products = [
        {"product_id": "a", "title": "孕妇枕", "tags": ["孕妈", "枕头"]},
        {"product_id": "b", "title": "red", "tags": ["wine"]},
    ]
    rows, metadata = run(products)
    assert {row["tag"] for row in rows if row["is_sensitive"]} == {"孕妈"}
    assert metadata["n_sensitive_tags"] == 1
    rows, _ = run(products, "interest:\n  sensitive_tags: [wine]\n")
    assert {row["tag"] for row in rows if row["is_sensitive"]} == {"wine"}


def test_what_could_not_be_learnt_is_said(run):
    rows, metadata = run(
        [
            {"product_id": "a", "title": "tea", "tags": ["drink"]},
            {"product_id": "b", "title": "coffee", "tags": []},
        ]
    )
    assert [row["product_id"] for row in rows] == ["a"]
    assert "needed to learn" in metadata["nothing_predicted_because"]
