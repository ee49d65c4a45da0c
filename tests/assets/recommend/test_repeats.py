"""What is bought again: who is due for what, what must wait, and how it is said."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.recommend.repeats import Habits, due_again, explain_repeats
from assets.recommend.rules import barred

AS_OF = datetime(2026, 6, 1)  # noqa: DTZ001 - stored timestamps are naive UTC
ORDERS = {
    "member_id": pl.Int64,
    "product_id": pl.String,
    "n_order_days": pl.Int64,
    "first_ordered_at": pl.Datetime("us"),
    "last_ordered_at": pl.Datetime("us"),
}
PRODUCTS = {"product_id": pl.String, "category": pl.String, "repurchase_days": pl.Int32}


def orders(*rows: tuple[int, str, int, float, float]) -> pl.DataFrame:
    """Member, product, order dates, days since the first and since the last."""
    return pl.DataFrame(
        [
            (member, name, n, AS_OF - timedelta(days=first), AS_OF - timedelta(days=last))
            for member, name, n, first, last in rows
        ],
        schema=ORDERS,
        orient="row",
    )


def catalogue(*rows: tuple[str, str | None, int | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=PRODUCTS, orient="row")


def grocer(n_members: int = 50) -> pl.DataFrame:
    """Milk every 7 days, salt every 100, and a pan once."""
    return orders(
        *((member, "milk", 11, 72.0, 2.0) for member in range(n_members)),
        *((member, "salt", 3, 205.0, 5.0) for member in range(n_members)),
        *((member, "pan", 1, 40.0, 40.0) for member in range(n_members)),
    )


GROCERIES = catalogue(("milk", "food", None), ("salt", "food", None), ("pan", "kitchen", None))


def test_cycles_and_chances_are_learnt_and_shrunk() -> None:
    habits = Habits.of(grocer(), GROCERIES, 30, learns=True)
    # 15 order dates a member, 12 of them with another behind; 100 more that say nothing.
    assert habits.again == pytest.approx(600 / 850)
    found = {row["product_id"]: row for row in habits.products.iter_rows(named=True)}
    # 70 days over 10 gaps; the prior of 10 gaps is the category's, itself shrunk.
    assert 7 < found["milk"]["cycle"] < 9
    assert 90 < found["salt"]["cycle"] < 100
    assert found["milk"]["again"] > found["salt"]["again"] > found["pan"]["again"] > 0
    # All of the grocer's products but the pan, which 50 members bought once and no more.
    assert found["milk"]["wait_days"] == found["salt"]["wait_days"] == 0


def test_what_is_bought_once_stays_barred_and_what_repeats_does_not() -> None:
    """Shoes: one order date in a hundred has another behind it."""
    shoes = orders(*((m, "shoe", 1 + (m < 4), 60.0, 20.0) for m in range(400)))
    products = catalogue(("shoe", None, None))
    assert Habits.of(shoes, products, 30, learns=True).products["wait_days"].to_list() == [30]
    bread = orders(*((m, "shoe", 2, 60.0, 20.0) for m in range(400)))
    for history, n_barred in ((shoes, 400), (bread, 0)):
        habits = Habits.of(history, products, 30, learns=True)
        assert len(barred(history, habits.products, AS_OF)) == n_barred


@pytest.mark.parametrize(
    ("declared", "default_days", "learns", "wait"),
    [(14, 30, True, 14), (0, None, False, 0), (None, None, False, None), (None, 30, False, 30)],
)
def test_what_is_declared_holds_whatever_was_ordered(
    declared: int | None, default_days: int | None, learns: bool, wait: int | None
) -> None:
    products = catalogue(("milk", "food", declared))
    habits = Habits.of(grocer(), products, default_days, learns=learns)
    assert habits.products["wait_days"].to_list() == [wait]


def test_who_buys_often_and_is_due_comes_first() -> None:
    history = pl.concat(
        [
            grocer(),
            orders(
                (100, "milk", 10, 70.0, 7.0),
                (101, "milk", 2, 14.0, 7.0),
                (102, "milk", 10, 463.0, 400.0),
                (103, "milk", 1, 7.0, 7.0),
            ),
        ]
    )
    habits = Habits.of(history, GROCERIES, 30, learns=True)
    found = due_again(history, habits, AS_OF, 28, 20)
    score = dict(found.filter(product_id="milk").select("member_id", "score").iter_rows())
    assert score[100] > score[101] > score[103]
    assert score[100] > 10 * score[102], "who has stopped is not due"
    # By hand, for the one with a single order.
    cycle, again = habits.products.filter(product_id="milk").select("cycle", "again").row(0)
    chance = again / 2 * (1 - 2.718281828 ** (-28 / cycle)) / (1 + (7 / cycle / 4) ** 2)
    assert score[103] == pytest.approx(chance)


def test_a_place_is_worth_more_than_another_product_in_it() -> None:
    """One member in fifty buys each of twenty products: 4 * 2 % is what a repeat must reach."""
    others = orders(*((200 + n, f"p{n % 20}", 1, 5.0, 5.0) for n in range(1000)))
    history = pl.concat([others, orders((1, "p0", 6, 60.0, 5.0), (2, "p0", 1, 90.0, 90.0))])
    products = catalogue(*((f"p{n}", None, None) for n in range(20)))
    habits = Habits.of(history, products, 30, learns=True)
    found = due_again(history, habits, AS_OF, 28, 20)
    assert found["member_id"].to_list() == [1]
    assert found["score"][0] > 4 * 50 / 1002


def test_a_shop_without_repeats_has_none() -> None:
    history = orders(*((m, "shoe", 1, 60.0, 20.0) for m in range(400)))
    habits = Habits.of(history, catalogue(("shoe", None, None)), 30, learns=True)
    assert not habits.shows_repeats
    assert due_again(history, habits, AS_OF, 28, 20).is_empty()
    nothing = Habits.of(history.clear(), catalogue(("shoe", None, None)), 30, learns=True)
    assert due_again(history.clear(), nothing, AS_OF, 28, 20).is_empty()


@given(st.permutations(range(150)))
def test_the_order_of_rows_leaves_no_trace(order: list[int]) -> None:
    history = grocer()
    found, again = (
        due_again(rows, Habits.of(rows, GROCERIES, 30, learns=True), AS_OF, 28, 20)
        for rows in (history, history[order])
    )
    key = ("member_id", "product_id")
    assert again.sort(key).equals(found.sort(key))


def test_the_reason_says_how_often_and_when() -> None:
    found = pl.DataFrame({"member_id": [1, 1], "product_id": ["milk", "pan"]})
    history = orders((1, "milk", 11, 72.0, 2.5), (1, "pan", 1, 40.0, 40.0))
    assert explain_repeats(found, history, AS_OF)["reason"].to_list() == [
        "you ordered it on 11 days, last 2 days ago, and may want it again",
        "you ordered it 40 days ago and may want it again",
    ]
