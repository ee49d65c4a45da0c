"""Popularity: with everybody, and within the tags that a member likes."""

import numpy as np
import polars as pl
import pytest

from assets.recommend.popularity import popular_by_tags, popular_products


def test_popularity_adds_up_what_is_positive():
    history = pl.DataFrame(
        {"product_id": ["a", "b", "a", "c", "gone"], "weight": [1.0, 2.0, 3.0, -5.0, 9.0]}
    )
    found = popular_products(history, np.array([1]), np.array(["a", "b", "c", "d"]))
    assert found.product_factors[:, 0].tolist() == [4, 2, 0, 0]
    assert found.member_factors.tolist() == [[1]]


def test_a_new_product_is_as_popular_as_others_with_its_tags():
    """Tag x: (4 * 1 + 2 * 0.5) / 1.5 of a and b; tag y: 2, of b alone."""
    history = pl.DataFrame({"product_id": ["a", "a", "b"], "weight": [1.0, 3.0, 2.0]})
    product_tags = pl.DataFrame(
        [
            ("a", "x", 1.0),
            ("b", "x", 0.5),
            ("b", "y", 1.0),
            ("new", "x", 0.25),
            ("new", "y", 0.75),
            ("odd", "z", 1.0),
        ],
        schema={"product_id": pl.String, "tag": pl.String, "score": pl.Float64},
        orient="row",
    )
    found = popular_by_tags(
        history, product_tags, np.array([7]), np.array(["new", "odd", "untagged"])
    )
    assert found.product_factors[:, 0] == pytest.approx([0.25 * 5 / 1.5 + 0.75 * 2, 0, 0])
