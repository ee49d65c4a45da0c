"""The catalogue changes in time, and its text tells the tags that are left out."""

import numpy as np
import pytest

from resources.simulation.catalogue import Catalogue, make_catalogue
from resources.simulation.settings import SimulationSettings
from resources.simulation.vocabulary import BENEFITS, KINDS

SETTINGS = SimulationSettings(products=1_000)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return make_catalogue(SETTINGS)


def test_products_and_content_are_distinct(catalogue: Catalogue) -> None:
    assert catalogue.ids.is_unique().all()
    assert catalogue.is_content.sum() == 50
    first = catalogue.snapshots[0]
    kinds = dict(zip(first["product_id"], first["kind"], strict=True))
    assert all((kind == "content") == (key[0] == "c") for key, kind in kinds.items())


def test_about_fifteen_percent_have_no_tags_and_their_text_tells_them(catalogue: Catalogue) -> None:
    truth = catalogue.truth
    assert 0.11 < truth["is_untagged"].mean() < 0.19
    words = {kind.tag: {*kind.chinese, *kind.english} for _, kind in KINDS}
    words |= {benefit.tag: {benefit.chinese, benefit.english} for benefit in BENEFITS}
    described = catalogue.snapshots[0].join(truth, on="product_id")
    for row in described.iter_rows(named=True):
        assert row["tags"] == ([] if row["is_untagged"] else row["true_tags"])
        text = f"{row['title']} {row['description']}"
        for tag in row["true_tags"]:
            assert any(word in text for word in words[tag])


def test_both_languages_are_written(catalogue: Catalogue) -> None:
    titles = catalogue.snapshots[0]["title"]
    assert 0.6 < titles.str.contains(r"\p{Han}{3}").mean() < 0.8


def test_later_snapshots_hold_only_what_changed(catalogue: Catalogue) -> None:
    days = list(catalogue.snapshots)
    assert days == [0, 15, 30, 45, 60, 75]
    state = {row["product_id"]: row for row in catalogue.snapshots[0].iter_rows(named=True)}
    n_first = len(state)
    for day in days[1:]:
        records = catalogue.snapshots[day]
        assert 0 < len(records) < n_first / 4
        for row in records.iter_rows(named=True):
            assert state.get(row["product_id"]) != row
            state[row["product_id"]] = row
    assert len(state) == SETTINGS.products > n_first


def test_nothing_is_sold_before_its_launch_or_after_its_withdrawal(catalogue: Catalogue) -> None:
    product = np.arange(SETTINGS.products)
    for day in (-100, 0, 44, 89):
        sold = catalogue.available(product, np.full(len(product), day))
        is_there = catalogue.fates.sold_from[sold] <= day
        assert is_there.all()
        is_visible = np.isfinite(catalogue.browse_appeal)
        assert (catalogue.fates.hidden_from[sold[is_visible]] > day).all()
        assert (sold != product).any()
