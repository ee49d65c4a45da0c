"""What is popular, for the many and for the few who are barred from much."""

import numpy as np
import polars as pl

from assets.recommend import sources
from assets.recommend.sources import Popular, members_met, products_met

N_PRODUCTS, N_MEMBERS = 300, 12
NAMES = np.array([f"p{place:03d}" for place in range(N_PRODUCTS)])


def shop() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Members, history, product tags, and what each may not be listed: the third almost all."""
    rng = np.random.default_rng(0)
    members = pl.DataFrame(
        {"member_id": range(N_MEMBERS), "channel": "app", "country": "CN"},
        schema={"member_id": pl.Int64, "channel": pl.String, "country": pl.String},
    )
    history = pl.DataFrame(
        {
            "member_id": np.repeat(np.arange(N_MEMBERS), N_PRODUCTS),
            "product_id": np.tile(NAMES, N_MEMBERS),
            "weight": rng.gamma(1.0, 1.0, N_MEMBERS * N_PRODUCTS),
        }
    )
    tags = pl.DataFrame(
        {"product_id": NAMES, "tag": [f"t{place % 4}" for place in range(N_PRODUCTS)], "score": 1.0}
    )
    never = history.filter(
        ((pl.col("member_id") == 3) & (pl.col("product_id") != "p299"))
        | ((pl.col("member_id") == 5) & (pl.col("product_id") < "p010"))
    ).select("member_id", "product_id")
    return members, history, tags, never


def test_short_lists_serve_those_who_are_barred_from_little():
    """The same as from the long lists, which the few others still get."""
    members, history, tags, never = shop()
    hers = pl.DataFrame(
        {
            "member_id": range(N_MEMBERS),
            "tag": [f"t{m % 4}" for m in range(N_MEMBERS)],
            "score": 1.0,
        }
    )
    popular = Popular.of(members, history, tags, NAMES, N_PRODUCTS)
    only_ids = members.select("member_id")
    had = never.filter(member_id=5, product_id="p000")
    every = ("content", "popular", "popular_in_shop")
    found = popular.lists(only_ids, hers, never, had, 5, every)
    plain = popular._lists(  # pyright: ignore[reportPrivateUsage]
        only_ids, hers, never, never, 5, every
    )
    assert N_PRODUCTS - 1 > sources._FEW_BARRED  # pyright: ignore[reportPrivateUsage]
    for source in every:
        assert found[source].equals(plain[source])
    assert found["popular"].filter(member_id=3)["product_id"].to_list() == ["p299"]
    assert found["popular"].group_by("member_id").len().filter(pl.col("len") == 5).height == 11


def test_who_met_what_is_counted():
    history = pl.DataFrame(
        {"member_id": [1, 1, 2], "product_id": ["a", "b", "a"], "weight": [1.0, 0.0, 2.0]}
    )
    assert members_met(history, np.array(["a", "b", "c"])).tolist() == [2, 0, 0]
    assert dict(products_met(history).iter_rows()) == {1: 2, 2: 1}
