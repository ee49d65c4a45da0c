"""A real DuckDB in tmp_path, rows given by name, and the shared data where it is present."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import settings

from resources.config.shop import Shop
from resources.contract import Contract
from resources.warehouse import Session, Warehouse, read_sql
from tests.sizes import SIZE, examples, sized

# A whole run, shared by the tests that look at one.
pytest_plugins = ["tests.small_shop"]
ROOT = Path(__file__).resolve().parent.parent
# A busy machine is no reason to fail.
settings.register_profile("siyu", deadline=None)
settings.load_profile("siyu")


# What takes most memory: at the very beginning, when a worker has little else in it.
LARGE = {"test_online_retail.py", "test_fuzz.py"}
# What runs whole shops: before the rest, so that none is left for the end.
LONG = {ROOT / "tests", ROOT / "tests" / "pipelines", ROOT / "tests" / "stories"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sized: is of a module that does more at full size")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts large and long files first, and marks what `make soak` runs again."""
    items.sort(key=lambda item: (item.path.name not in LARGE, item.path.parent not in LONG))
    for item in items:
        module = cast("pytest.Module", item.getparent(pytest.Module)).obj
        if any(value is sized or value is examples for value in vars(module).values()):
            item.add_marker("sized")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Closes a run, but not a worker's part of it, with the size of its tests."""
    if not hasattr(config, "workerinput"):
        print(f"size: {SIZE}")


_FILLERS: Mapping[str, object] = {
    "bigint": 0,
    "integer": 0,
    "double": 0.0,
    "boolean": False,
    "varchar": "",
    "date": dt.date(2026, 1, 1),
    "timestamp": dt.datetime(2026, 1, 1),  # noqa: DTZ001 - stored timestamps are naive UTC
    "varchar[]": [],
}


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """Finds a file of the shared data beside the repository, or skips the test."""

    def find(relative: str) -> Path:
        path = ROOT.parent / "shared" / "data" / relative
        if not path.exists():
            pytest.skip(f"needs the shared data file {relative}, which is not here")
        return path

    return find


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """An empty warehouse."""
    return Warehouse(path=str(tmp_path / "warehouse.duckdb"), threads=2)


@pytest.fixture
def shop() -> Shop:
    """A shop with every default, in Shanghai."""
    return Shop(
        name="test",
        time_zone="Asia/Shanghai",
        base_currency="CNY",
        first_load_date=dt.date(2026, 1, 1),
    )


@dataclass(frozen=True)
class Tables:
    """Given rows, run a table's SQL, read rows."""

    session: Session
    shop: Shop

    def given(self, contract: Contract, rows: Sequence[Mapping[str, object]] = ()) -> None:
        """Fills a table; columns left out are NULL, or a neutral value where NULL is refused."""
        with self.session.transaction():
            self.session.create_empty(contract)
            self._insert(contract, rows)

    def _insert(self, contract: Contract, rows: Sequence[Mapping[str, object]]) -> None:
        for row in rows:
            if unknown := set(row) - set(contract.column_names):
                raise ValueError(f"{contract.name} has no columns {sorted(unknown)}")
            values = [
                row.get(
                    column.name,
                    None if column.nullable else _FILLERS.get(column.type, 0),
                )
                for column in contract.columns
            ]
            marks = ", ".join("?" for _ in values)
            self.session.connection.execute(f"insert into {contract.name} values ({marks})", values)

    def run(
        self, contract: Contract, load_date: dt.date, **parameters: object
    ) -> list[dict[str, Any]]:
        """Makes the contract's table from its SQL file and returns its rows, by key."""
        select_sql = read_sql(f"{contract.schema}/{contract.table}.sql")
        values = {**self.shop.parameters(load_date), **parameters}
        with self.session.transaction():
            self.session.create_table(contract, select_sql, values)
        return self.rows(contract)

    def rows(self, contract: Contract) -> list[dict[str, Any]]:
        """The table's rows, ordered by its key."""
        key = ", ".join(f'"{name}"' for name in contract.key)
        found = self.session.rows(
            f"select {contract.column_list} from {contract.name} order by {key}"
        )
        return [dict(zip(contract.column_names, row, strict=True)) for row in found]

    def offending(self, contract: Contract) -> dict[str, int]:
        """The contract's checks that fail on the table, with the number of offending rows."""
        return {
            name: count
            for name, expression in contract.checks().items()
            if (count := self.session.scalar(f"select {expression} from {contract.name}"))
        }


@pytest.fixture
def tables(warehouse: Warehouse, shop: Shop):
    """Tables of a fresh warehouse, for testing SQL by given and expected rows."""
    with warehouse.connect() as session:
        yield Tables(session, shop)
