"""Records that need two files: looked up by a key, waiting for each other, loaded anew together."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from resources.config.source import FileSource
from resources.sources.files import SourceError, find_unfinished
from resources.warehouse import Warehouse
from tests.landing import SECRET, Landing

DECLARED: dict[str, Any] = {
    "id": "orders",
    "kind": "files",
    "entity": "events",
    "format": "csv",
    "path": "orders-*.csv",
    "beside": {"payments": {"path": "payments-*.csv", "key": {"id": "order_no"}}},
    "map": {
        "event_name": "'Order Completed'",
        "user_id": "buyer",
        "occurred_at": "payments.paid_at",
    },
    "properties": {"order_id": "id", "revenue": "cast(payments.amount as double)"},
}
ORDERS = FileSource.model_validate(DECLARED)
PAID = "order_no,paid_at,amount\n1,2026-07-01 08:00:00,5\n"
SAID = (
    "select properties->>'$.order_id', properties->>'$.revenue', envelope from raw.events"
    " order by load_date, line"
)


@pytest.fixture
def shop(tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Landing:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    return Landing(tmp_path, warehouse)


def test_a_file_waits_for_what_stands_beside_it_and_is_loaded_anew_with_it(shop: Landing) -> None:
    shop.lands("orders-2026-07-03.csv", "id,buyer,note\n1,ann,x\n2,bea,y\n")
    assert shop.collects(ORDERS) == 0
    (waiting,) = find_unfinished([ORDERS], shop.landing, {})
    assert waiting.reason == "its file of payments of 2026-07-03 is not there"
    shop.lands("payments-2026-07-03.csv", PAID)
    assert shop.collects(ORDERS) == 1
    assert shop.rows(SAID) == [("1", "5.0", '{"note":"x"}')]
    assert shop.rows("select line, reason from raw.rejected_records") == [
        (3, "no record of payments has the same id")
    ]
    shop.lands("payments-b-2026-07-03.csv", "order_no,paid_at,amount\n2,2026-07-01 09:00:00,7\n")
    assert shop.collects(ORDERS) == 1
    assert shop.rows(SAID) == [("1", "5.0", '{"note":"x"}'), ("2", "7.0", '{"note":"y"}')]
    assert shop.collects(ORDERS) == 0


def test_each_day_has_its_own(shop: Landing) -> None:
    for day, amount in (("03", 5), ("04", 6)):
        shop.lands(f"orders-2026-07-{day}.csv", "id,buyer\n1,ann\n")
        shop.lands(f"payments-2026-07-{day}.csv", PAID.replace(",5", f",{amount}"))
    assert shop.collects(ORDERS) == 2
    assert [revenue for _, revenue, _ in shop.rows(SAID)] == ["5.0", "6.0"]


def test_a_broken_file_beside_is_one_line(shop: Landing) -> None:
    shop.lands("orders-2026-07-03.csv", "id,buyer\n1,ann\n")
    shop.lands("payments-2026-07-03.csv", PAID + "2,2026-07-01\n")
    with pytest.raises(SourceError, match=r"payments-2026-07-03.csv: .*line 3: expected 3 columns"):
        shop.collects(ORDERS)


def test_only_mapped_tables_have_files_beside(shop: Landing) -> None:
    with pytest.raises(ValidationError, match="expected 'beside' with 'map', for csv or parquet"):
        FileSource.model_validate(DECLARED | {"format": "jsonl"})


def test_a_json_array_is_one_line(shop: Landing) -> None:
    source = FileSource.model_validate(
        {
            key: value
            for key, value in DECLARED.items()
            if key not in ("beside", "map", "properties")
        }
        | {"format": "jsonl", "layout": "segment", "path": "*.json"}
    )
    shop.lands("2026-07-03.json", '[\n  {"type": "track"}\n]\n')
    with pytest.raises(SourceError, match=r"a JSON array; write one record per line, as `jq -c"):
        shop.collects(source)
