"""How much each source says, member by member."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.recommend.blend import LISTS
from assets.recommend.mix import Mix, mixed

NOTHING = pl.DataFrame(schema={"member_id": pl.Int64, "product_id": pl.String})


def ranked(lists: dict[int, str]) -> pl.DataFrame:
    """One letter is one product, best first."""
    return pl.DataFrame(
        [
            (member, rank, product, 1.0)
            for member, products in lists.items()
            for rank, product in enumerate(products, start=1)
        ],
        schema=LISTS,
        orient="row",
    )


def n_met(*counts: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"member_id": range(1, len(counts) + 1), "n_met": counts},
        schema={"member_id": pl.Int64, "n_met": pl.Int64},
    )


def listed(found: pl.DataFrame) -> list[str]:
    return [
        "".join(found.filter(member_id=member)["product_id"])
        for member in found["member_id"].unique().sort()
    ]


def test_the_less_is_known_the_more_popularity_says() -> None:
    lists = {
        "als": ranked(dict.fromkeys((1, 2, 3), "abc")),
        "popular_in_shop": ranked(dict.fromkeys((1, 2, 3), "xyz")),
    }
    found = mixed(lists, Mix(als=1, half=60), n_met(0, 60, 6000), 3, NOTHING)
    assert listed(found) == ["xyz", "axb", "abc"]
    assert found.filter(member_id=2)["source"].to_list() == ["als", "popular", "als"]
    assert found.filter(member_id=2)["score"].to_list() == pytest.approx(
        [0.5 / 61, 0.5 / 61, 0.5 / 62]
    )


def test_what_is_bought_again_has_its_places_whoever_it_is() -> None:
    lists = {
        "repeat": ranked({1: "ac", 2: "bc"}),
        "popular_in_shop": ranked({1: "xy", 2: "xy"}),
        "als": ranked({1: "q", 2: "q"}),
    }
    found = mixed(lists, Mix(repeat=1), n_met(1, 1000), 3, NOTHING)
    assert listed(found) == ["axy", "bxy"]
    assert found["source"].to_list() == ["repeat", "popular", "popular"] * 2


def test_what_is_bought_again_takes_the_places_of_what_was_had() -> None:
    lists = {
        "repeat": ranked({1: "ca", 2: "b"}),
        "popular_in_shop": ranked({1: "xayb", 2: "xyba", 3: "xyab"}),
    }
    had = ranked({1: "abc", 2: "ab"}).select("member_id", "product_id")
    found = mixed(lists, Mix(in_place=True), n_met(1, 1, 1), 4, had)
    assert listed(found) == ["xcya", "xyba", "xyab"]
    assert found.filter(member_id=1)["source"].to_list() == ["popular", "repeat"] * 2
    assert (
        found["score"].to_list() == mixed(lists, Mix(), n_met(1, 1, 1), 4, had)["score"].to_list()
    )


def test_popularity_alone_is_the_list_of_all() -> None:
    popular = ranked({1: "xyz", 2: "xyz"})
    found = mixed(
        {"popular_in_shop": popular, "popular": popular[:0]}, Mix(), n_met(5, 9), 3, NOTHING
    )
    assert listed(found) == ["xyz", "xyz"]
    assert Mix().n_parts == 0
    assert str(Mix()) == "popular in the shop"


@given(
    st.sampled_from((0.0, 1.0, 2.5)),
    st.sampled_from((0.0, 1.0, 2.5)),
    st.floats(0.01, 999),
    st.floats(0, 9),
    st.integers(0, 999),
)
def test_taste_and_popularity_share_one(
    als: float, similar: float, half: float, content: float, met: int
) -> None:
    weights = Mix(als=als, similar=similar, half=half, content=content).weights(n_met(met))
    names = ("als", "similar", "content", "popular_in_shop")
    frames = [weights[name] for name in names if name in weights]
    assert sum(each["weight"][0] for each in frames if isinstance(each, pl.DataFrame)) == (
        pytest.approx(1)
    )


@pytest.mark.parametrize("wrong", [{"als": -1.0}, {"repeat": -1}, {"half": 0.0}])
def test_weights_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        Mix(**wrong)  # pyright: ignore[reportArgumentType]
