"""The warehouse: transactions, locks, publishing, meaning stored with the data."""

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from resources.contract import Column, Contract
from resources.warehouse import (
    LINGER_SECONDS,
    Database,
    SqlError,
    Warehouse,
    WarehouseError,
    parameters_used,
    tables_read,
)

THINGS = Contract(
    schema="clean",
    table="things",
    grain="thing",
    key=("thing_id",),
    columns=(
        Column("thing_id", "bigint", "Which"),
        Column("kind", "varchar", "What's it", accepts=("a", "b")),
        Column("at", "double", "Reserved as a word", unit="days", nullable=True),
    ),
    description="Things.",
    claims={"days_are_positive": '"at" is null or "at" > 0'},
)
ROWS = pl.DataFrame({"thing_id": [1, 2], "kind": ["a", "b"], "at": [1.5, None]})


def write(warehouse: Warehouse, rows: pl.DataFrame) -> int:
    with warehouse.connect() as session, session.transaction():
        return session.write_frame(THINGS, rows)


def read(warehouse: Warehouse) -> pl.DataFrame:
    with warehouse.connect() as session:
        return session.frame("select * from clean.things order by thing_id")


def test_written_rows_come_back_with_the_declared_types(warehouse: Warehouse) -> None:
    assert write(warehouse, ROWS) == 2
    assert read(warehouse).equals(ROWS)


def test_meaning_is_stored_in_the_database(warehouse: Warehouse) -> None:
    write(warehouse, ROWS)
    with warehouse.connect() as session:
        assert session.scalar("select comment from duckdb_tables()") == "One row per thing. Things."
        comments = session.rows("select comment from duckdb_columns() where table_name = 'things'")
    assert [comment for (comment,) in comments] == [
        "Which",
        "What's it (a, b)",
        "Reserved as a word [days]",
    ]


def test_a_failed_transaction_leaves_the_old_table(warehouse: Warehouse) -> None:
    write(warehouse, ROWS)
    with (
        pytest.raises(SqlError),
        warehouse.connect() as session,
        session.transaction(),
    ):
        session.create_table(THINGS, "select 9 as thing_id, 'a' as kind, null as at")
        session.execute("select no_such_function()")
    assert read(warehouse).height == 2


def test_a_failure_with_a_frame_on_offer_says_its_own_reason(warehouse: Warehouse) -> None:
    with (
        pytest.raises(SqlError, match="no_such_function"),
        warehouse.connect() as session,
        session.transaction(),
        session.offering(incoming=ROWS),
    ):
        session.execute("create table clean_copy as from incoming")
        session.execute("select no_such_function()")


def test_generated_checks_count_offending_rows(warehouse: Warehouse) -> None:
    bad = pl.DataFrame(
        {"thing_id": [1, 1, 3], "kind": ["a", None, "z"], "at": [1.0, -2.0, None]},
        schema=ROWS.schema,
    )
    write(warehouse, bad)
    with warehouse.connect() as session:
        found = {
            name: session.scalar(f"select {expression} from clean.things")
            for name, expression in THINGS.checks().items()
        }
    assert found == {
        "thing_id_is_unique": 1,
        "required_columns_are_filled": 1,
        "kind_is_known": 1,
        "days_are_positive": 1,
    }


def test_publishing_replaces_the_file_and_keeps_readers_of_the_old_one(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    target = tmp_path / "analytics.duckdb"
    write(warehouse, ROWS)
    warehouse.publish([THINGS], target)
    reader = subprocess.Popen(
        [sys.executable, "-c", _READER, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    assert reader.stdout.readline().strip() == "2"
    write(warehouse, ROWS.head(1))
    warehouse.publish([THINGS], target)
    answer, _ = reader.communicate("again\n", timeout=30)
    assert answer.strip() == "2"
    with Database(target).connect(read_only=True) as session:
        assert session.scalar("select count(*) from clean.things") == 1
        assert session.scalar("select comment from duckdb_tables()") == "One row per thing. Things."
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "analytics.duckdb",
        "warehouse.duckdb",
    ]


def test_a_failed_publication_leaves_yesterdays_file(warehouse: Warehouse, tmp_path: Path) -> None:
    target = tmp_path / "analytics.duckdb"
    target.write_bytes(b"yesterday")
    with pytest.raises(SqlError):
        warehouse.publish([THINGS], target)
    assert target.read_bytes() == b"yesterday"
    assert not list(tmp_path.glob(".*"))


_READER = textwrap.dedent("""
    import sys, duckdb
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        for _ in range(2):
            rows = connection.execute("select count(*) from clean.things").fetchall()
            print(rows[0][0], flush=True)
            sys.stdin.readline()
""")

_HOLDER = textwrap.dedent("""
    import sys, duckdb
    with duckdb.connect(sys.argv[1]):
        print("held", flush=True)
        sys.stdin.readline()
""")


def test_a_held_lock_is_waited_for_then_reported_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    impatient = Database(path, lock_timeout_seconds=0.2)
    with pytest.raises(WarehouseError) as caught, impatient.connect():
        pass
    assert f"still locked by process {holder.pid}" in str(caught.value)
    assert "\n" not in str(caught.value)
    holder.communicate("go\n", timeout=30)
    with impatient.connect() as session:
        assert session.scalar("select 1") == 1


_PROBE = textwrap.dedent("""
    import sys, duckdb
    print("ready", flush=True)
    for _ in sys.stdin:
        try:
            duckdb.connect(sys.argv[1]).close()
            print("free", flush=True)
        except duckdb.IOException:
            print("held", flush=True)
""")


@pytest.fixture
def found(warehouse: Warehouse) -> Iterator[Callable[[], str]]:
    """Whether another process finds the warehouse free or held."""
    probe = subprocess.Popen(
        [sys.executable, "-c", _PROBE, warehouse.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with probe:
        assert probe.stdin is not None and probe.stdout is not None
        stdin, stdout = probe.stdin, probe.stdout
        assert stdout.readline() == "ready\n"

        def ask() -> str:
            stdin.write("?\n")
            stdin.flush()
            return stdout.readline().strip()

        yield ask
        probe.terminate()


def test_within_a_run_the_file_stays_open_from_step_to_step(
    warehouse: Warehouse, found: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine is no reason to fail.
    monkeypatch.setattr("resources.warehouse.LINGER_SECONDS", 60.0)
    with warehouse.yield_for_execution(dg.build_init_resource_context()) as in_run:
        assert found() == "free"
        write(in_run, ROWS)
        assert found() == "held"
        # An audience is read in a way of its own.
        with in_run.connect(read_only=True) as session:
            session.execute("set enable_external_access = false")
            with pytest.raises(SqlError, match="read-only"):
                session.execute("delete from clean.things")
        assert read(in_run).equals(ROWS)
        with pytest.raises(SqlError), in_run.connect() as session, session.transaction():
            session.execute("delete from clean.things")
            session.execute("a mistake")
        # What went wrong leaves nothing open.
        assert found() == "free"
        assert read(in_run).equals(ROWS)
        assert found() == "held"
    assert found() == "free"
    write(warehouse, ROWS)
    assert found() == "free"


def test_tables_made_anew_at_each_step_do_not_make_the_file_grow(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.warehouse.LINGER_SECONDS", 60.0)
    monkeypatch.setattr("resources.warehouse._GROWTH_BYTES", 0)
    sizes: list[int] = []
    with warehouse.yield_for_execution(dg.build_init_resource_context()) as in_run:
        for step in range(12):
            numbers = pl.int_range(200_000, eager=True).hash(seed=step).reinterpret(signed=True)
            write(in_run, pl.DataFrame({"thing_id": numbers, "kind": "a", "at": 1.0}))
            sizes.append(Path(warehouse.path).stat().st_size)
    assert max(sizes[6:]) <= 1.1 * max(sizes[:6])


def test_a_run_that_pauses_gives_the_file_free(
    warehouse: Warehouse, found: Callable[[], str]
) -> None:
    with warehouse.yield_for_execution(dg.build_init_resource_context()) as in_run:
        write(in_run, ROWS)
        deadline = time.monotonic() + 30
        while found() == "held":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert read(in_run).equals(ROWS)
        with in_run.connect() as session:
            time.sleep(2 * LINGER_SECONDS)
            assert found() == "held"
            assert session.scalar("select count(*) from clean.things") == 2


def test_a_damaged_file_is_reported_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    for n_times in (1, 1000):
        path.write_bytes(b"this is no database" * n_times)
        with pytest.raises(WarehouseError, match="cannot be opened"), Database(path).connect():
            pass
        assert path.read_bytes().startswith(b"this is no database")


def test_a_missing_file_is_not_made_by_looking(tmp_path: Path) -> None:
    database = Database(tmp_path / "analytics.duckdb")
    with pytest.raises(WarehouseError, match="no such file"), database.connect(read_only=True):
        pass
    assert not database.path.exists()


def test_tables_read_leaves_out_ctes_and_refuses_what_is_no_select() -> None:
    sql = "with e as (select a from raw.events) select a from e join clean.x using (a) where $p"
    assert tables_read(sql) == {"raw.events", "clean.x"}
    assert parameters_used(sql + " -- $not_this") == {"p"}
    for wrong in ("drop table x", "select 1; select 2", "selec"):
        with pytest.raises(ValueError, match="not one SELECT"):
            tables_read(wrong)


def test_a_table_of_an_earlier_version_is_not_written_to(warehouse: Warehouse) -> None:
    write(warehouse, ROWS)
    with warehouse.connect() as session:
        session.create_empty(THINGS)
        session.execute('alter table clean.things drop column "at"')
        with pytest.raises(WarehouseError, match=r"clean\.things was made by an earlier version"):
            session.create_empty(THINGS)
