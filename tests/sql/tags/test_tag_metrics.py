"""The asset publishes precision and recall by tag, of the model and of its baseline."""

import datetime as dt

import pytest

from assets.clean.contracts import PRODUCTS
from assets.raw.contracts import LOADS
from assets.tags.assets import tag_metrics
from assets.tags.contracts import TAG_METRICS
from resources.shop import ShopConfig
from tests.calling import called


@pytest.fixture
def run(tables, tmp_path, warehouse):
    """Runs the asset on a catalogue."""

    def materialise(products):
        (tmp_path / "shop.yaml").write_text(
            "name: test\ntime_zone: Asia/Shanghai\nbase_currency: CNY\n"
            "first_load_date: 2026-01-01\n",
            encoding="utf-8",
        )
        tables.given(LOADS, [{"load_date": dt.date(2026, 3, 31)}])
        tables.given(PRODUCTS, [{"kind": "product", **product} for product in products])
        result = called(tag_metrics, shop=ShopConfig(folder=str(tmp_path)), warehouse=warehouse)
        assert tables.offending(TAG_METRICS) == {}
        return tables.rows(TAG_METRICS), result.metadata

    return materialise


def test_without_tags_there_is_nothing_to_judge(run):
    rows, metadata = run([{"product_id": "a", "title": "tea", "tags": []}])
    assert rows == []
    assert metadata["dagster/row_count"] == 0


def test_model_and_baseline_are_judged_on_the_same_texts(run):
    kinds = {"红色连衣裙": "dress", "运动跑鞋": "shoe", "明前绿茶": "tea"}
    rows, metadata = run(
        [
            {"product_id": f"{tag}{number}", "title": f"{number:02}款{title}", "tags": [tag]}
            for title, tag in kinds.items()
            for number in range(20)
        ]
    )
    judged = {(row["model"], row["tag"]): row for row in rows}
    assert len(judged) == 8
    assert {row["n_texts"] for row in rows} == {60}
    dress = judged["char_ngrams_ridge", "dress"]
    assert (dress["support"], dress["precision"], dress["recall"]) == (20, 1, 1)
    assert 0 < dress["threshold"] < 1
    assert judged["word_counts_naive_bayes", "dress"]["support"] == 20
    assert judged["word_counts_naive_bayes", ""]["recall"] == 0
    assert dress["as_of"] == dt.datetime(2026, 3, 31, 16)  # noqa: DTZ001
    assert metadata["char_ngrams_ridge_precision"] == 1
