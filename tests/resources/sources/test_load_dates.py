"""The day on which a file arrived is told once, by its name, its own time or its records."""

import datetime as dt
import io
import os
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources.config.source import FileSource
from resources.sources.files import SourceError
from resources.sources.load_dates import date_of_path
from resources.warehouse import Warehouse
from tests.landing import SECRET, Landing

ORDERS: dict[str, Any] = {
    "id": "orders",
    "kind": "files",
    "entity": "events",
    "format": "csv",
    "path": "orders*",
    "map": {"event_name": "'Order Completed'", "user_id": "buyer", "occurred_at": "paid_at"},
}
HEADER = "buyer,paid_at,exported_at\n"


@pytest.fixture
def shop(tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Landing:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    return Landing(tmp_path, warehouse)


@pytest.mark.parametrize(
    ("path", "date"),
    [
        ("orders-2026-07-03.csv", "2026-07-03"),
        ("20260101/orders-20260704-2026-07-03.csv", "2026-07-03"),
        ("events_20260703.parquet", "2026-07-03"),
        ("2026.07.03.csv", "2026-07-03"),
        ("year/dt=2026-07-03/part-00000.parquet", "2026-07-03"),
        ("2026-01-01/dt=2026-07-03/part.parquet", "2026-07-03"),
        ("orders-123456789.csv", None),
        ("orders-2026-13-01.csv", None),
        ("orders.csv", None),
    ],
)
def test_a_date_is_found_in_a_name_else_in_the_nearest_folders(path: str, date: str | None) -> None:
    assert date_of_path(PurePath(path)) == (date and dt.date.fromisoformat(date))


def test_a_file_stays_on_the_day_on_which_it_was_loaded_first(shop: Landing) -> None:
    source = FileSource.model_validate(ORDERS | {"load_date": "from_arrival"})
    row = "ann,2026-07-01 08:00:00,\n"
    file = shop.lands("orders.csv", HEADER + row)
    # 23:30 in UTC is the next day in Shanghai.
    first = dt.datetime(2026, 7, 2, 23, 30, tzinfo=dt.UTC).timestamp()
    os.utime(file, (first, first))
    assert shop.collects(source) == 1
    assert shop.column("select load_date from raw.events") == [dt.date(2026, 7, 3)]
    shop.lands("orders.csv", HEADER + row + row)
    assert shop.collects(source) == 1
    assert shop.column("select load_date from raw.events") == [dt.date(2026, 7, 3)] * 2
    assert shop.column("select load_date from raw.loads") == [dt.date(2026, 7, 3)]
    assert shop.collects(source) == 0


def parquet(columns: dict[str, Any]) -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content)  # pyright: ignore[reportUnknownMemberType]
    return content.getvalue()


@pytest.mark.parametrize(
    ("format_", "content"),
    [
        (
            "csv",
            f"{HEADER}ann,2026-07-01,2026-07-02 10:00\nbea,2026-07-01,2026/07/03\nc,2026-07-01,\n",
        ),
        (
            "jsonl",
            '{"buyer": "ann", "paid_at": "2026-07-01", "exported_at": "20260703T100000Z"}\n'
            '{"buyer": "bea", "paid_at": "2026-07-01", "exported_at" :"2026-07-02"}\n',
        ),
        (
            "parquet",
            parquet(
                {
                    "buyer": ["ann", "bea"],
                    "paid_at": ["2026-07-01"] * 2,
                    "exported_at": [dt.datetime(2026, 7, 3, 9), dt.datetime(2026, 7, 2)],  # noqa: DTZ001
                }
            ),
        ),
    ],
)
def test_the_newest_date_in_a_column_is_the_day(
    shop: Landing, format_: str, content: str | bytes
) -> None:
    told = {"format": format_, "load_date": {"column": "exported_at"}}
    source = FileSource.model_validate(ORDERS | told)
    shop.lands("orders.dat", content)
    assert shop.collects(source) == 1
    assert shop.column("select distinct load_date from raw.events") == [dt.date(2026, 7, 3)]
    assert shop.collects(source) == 0


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ("shipped_at", "it has no column 'shipped_at', by which 'load_date' is told"),
        ("buyer", "no date in the column 'buyer'"),
    ],
)
def test_a_column_without_a_date_is_one_line(shop: Landing, column: str, problem: str) -> None:
    source = FileSource.model_validate(ORDERS | {"load_date": {"column": column}})
    shop.lands("orders.csv", HEADER + "ann,2026-07-01,\n")
    with pytest.raises(SourceError, match=problem):
        shop.collects(source)
