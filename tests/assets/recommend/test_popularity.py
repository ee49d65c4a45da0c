"""Popularity: with everybody, and within the tags that a member likes."""

import numpy as np
import polars as pl

from assets.recommend.popularity import popular_products


def test_popularity_adds_up_what_is_positive():
    history = pl.DataFrame(
        {"product_id": ["a", "b", "a", "c", "gone"], "weight": [1.0, 2.0, 3.0, -5.0, 9.0]}
    )
    found = popular_products(history, np.array([1]), np.array(["a", "b", "c", "d"]))
    assert found.popularity.tolist() == [4, 2, 0, 0]
