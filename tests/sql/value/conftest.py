"""Member days as the pipeline makes them, from days on which members did something or ordered."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping

import polars as pl
import pytest

from assets.clean.contracts import EVENTS, MEMBERS, ORDERS, SESSIONS
from assets.features.contracts import MEMBER_DAYS, TRACKING
from resources.contract import Contract

Days = Mapping[int, Iterable[dt.date]]


def _long(days: Days) -> pl.DataFrame:
    return pl.DataFrame(
        [(member_id, date) for member_id, dates in days.items() for date in dates],
        schema={"member_id": pl.Int64, "date": pl.Date},
        orient="row",
    )


@pytest.fixture
def live(tables) -> Callable[..., None]:
    """Makes features.member_days, by its own SQL, of the days given by member.

    `orders` are days with an order of 1 each. What was given before is gone.
    """

    def fill(contract: Contract, days: pl.DataFrame, columns: Mapping[str, str]) -> None:
        made = ", ".join(
            f"{columns.get(column.name, 'null')} as {column.quoted}" for column in contract.columns
        )
        with tables.session.offering(days=days):
            tables.session.create_table(contract, f"select {made} from days")

    def make(load_date: dt.date, days: Days, orders: Days | None = None) -> None:
        number = "cast(row_number() over (order by member_id, date) as varchar)"
        with tables.session.transaction():
            fill(
                EVENTS,
                _long(days),
                {
                    "message_id": number,
                    "member_id": "member_id",
                    "event_name": "'Products Searched'",
                    "event_date": "date",
                    "is_deliberate": "true",
                    "is_bot": "false",
                },
            )
            fill(SESSIONS, _long({}), {})
            fill(
                ORDERS,
                _long(orders or {}),
                {
                    "order_id": number,
                    "member_id": "member_id",
                    "order_date": "date",
                    "status": "'completed'",
                    "net_revenue": "1",
                    "margin": "1",
                },
            )
        # As if all that ever happened were known, unless the test says otherwise.
        for contract in (MEMBERS, TRACKING):
            tables.session.create_empty(contract)
        tables.run(MEMBER_DAYS, load_date)
        assert tables.offending(MEMBER_DAYS) == {}

    return make
