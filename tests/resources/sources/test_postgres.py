"""A real PostgreSQL: every row once in the order of its cursor, whatever happens in between."""

import base64
import datetime as dt
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from assets.raw.assets import TABLES
from assets.raw.contracts import PRODUCTS
from resources.config.loading import ConfigError, load
from resources.config.postgres_source import PostgresSource
from resources.config.source import Source
from resources.keys import Keyring, Keys
from resources.sources.collection import changed, collect
from resources.sources.files import SourceError
from resources.sources.pages import Page, Spool
from resources.sources.postgres import pages
from resources.sources.pulling import pull
from resources.vault import Vault
from resources.warehouse import Warehouse, read_sql

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "s3cret-of-the-shop"
SECRET = "0123456789abcdef0123456789abcdef"
DAY = dt.date(2026, 7, 3)


def binaries() -> Path | None:
    """The folder of PostgreSQL's programs; Debian keeps them out of PATH."""
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(installed, key=lambda file: int(file.parts[-3]), default=None)
    found = newest or shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@dataclass
class Cluster:
    """A server of our own behind a Unix socket; as root it runs as the user postgres."""

    programs: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def run(self, *command: str) -> None:
        subprocess.run(
            [self.programs / command[0], *command[1:]],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            **self.user,
        )

    @property
    def user(self) -> dict[str, Any]:
        return {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}

    @property
    def dsn(self) -> str:
        return f"postgresql://siyu:{PASSWORD}@/postgres?host={self.folder}"

    def start(self) -> None:
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", str(self.folder)]
        self.process = subprocess.Popen[bytes](
            [self.programs / "postgres", "-D", self.folder / "data", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self.user,
        )
        for _ in range(200):
            try:
                return psycopg.connect(self.dsn).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise TimeoutError("PostgreSQL did not start")

    def stop(self) -> None:
        """At once, as when the machine fails."""
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    programs = binaries()
    if programs is None:
        pytest.skip("needs PostgreSQL's initdb, which is not installed")
    # Not below pytest's folder, which another user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="siyu-pg-"))
    try:
        cluster = Cluster(programs, folder)
        password = folder / "password"
        password.write_text(PASSWORD)
        for path in (folder, password):
            if cluster.user:
                shutil.chown(path, "postgres", "postgres")
        login = ["-U", "siyu", "-A", "scram-sha-256", f"--pwfile={password}"]
        cluster.run("initdb", "-D", str(folder / "data"), "-E", "UTF8", "--locale=C", *login)
        cluster.start()
        yield cluster
        cluster.stop()
    finally:
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Shop:
    """A database that is empty at the beginning of a test."""

    cluster: Cluster
    connection: psycopg.Connection[tuple[Any, ...]]

    def does(self, sql: str, *values: object) -> None:
        self.connection.execute(sql.encode(), values or None)

    def reads(self, source: PostgresSource, cursor: str | None = None) -> list[Page]:
        return list(pages(source, cursor, environment={"SHOP_PG": self.cluster.dsn}))


@pytest.fixture
def shop(cluster: Cluster) -> Iterator[Shop]:
    with psycopg.connect(cluster.dsn, autocommit=True) as connection:
        connection.execute("drop schema public cascade; create schema public")
        yield Shop(cluster, connection)


def source(**changes: Any) -> PostgresSource:
    declared = {
        "id": "erp",
        "kind": "postgres",
        "entity": "products",
        "layout": "catalogue",
        "dsn": "${SHOP_PG}",
        "table": "products",
        "cursor": "updated_at",
        "lag_seconds": 0,
        **changes,
    }
    return PostgresSource.model_validate(
        {key: value for key, value in declared.items() if value is not None}
    )


def ids(found: list[Page]) -> list[list[Any]]:
    return [[record["id"] for record in page.records] for page in found]


def products(shop: Shop, *rows: tuple[int, str]) -> None:
    shop.does("create table if not exists products (id int primary key, updated_at timestamptz)")
    for row in rows:
        shop.does(
            "insert into products values (%s, %s)"
            " on conflict (id) do update set updated_at = excluded.updated_at",
            *row,
        )


def test_each_run_reads_what_is_new(shop: Shop) -> None:
    products(shop, (1, "2026-07-01"), (2, "2026-07-02"), (3, "2026-07-03"))
    first = shop.reads(source(page_size=2))
    assert ids(first) == [[1, 2], [3]]
    assert shop.reads(source(page_size=2), first[-1].cursor) == []
    products(shop, (4, "2026-07-04"), (1, "2026-07-05"))
    assert ids(shop.reads(source(page_size=2), first[-1].cursor)) == [[4, 1]]
    assert ids(shop.reads(source(page_size=2), first[0].cursor)) == [[3, 4], [1]]


def test_a_start_leaves_out_what_was_before(shop: Shop) -> None:
    products(shop, (1, "2026-07-01"), (2, "2026-07-02"), (3, "2026-07-03"))
    assert ids(shop.reads(source(start=dt.date(2026, 7, 2)))) == [[2, 3]]


def test_a_page_does_not_cut_rows_of_one_value_apart(shop: Shop) -> None:
    day = "2026-07-02"
    products(shop, (1, "2026-07-01"), (2, day), (3, day), (4, day), (5, "2026-07-03"))
    assert [sorted(page) for page in ids(shop.reads(source(page_size=2)))] == [[1, 2, 3, 4], [5]]
    assert ids(shop.reads(source(page_size=2, tie="id"))) == [[1, 2], [3, 4], [5]]


def test_a_tie_may_be_declared_and_taken_back_later(shop: Shop) -> None:
    day = "2026-07-02"
    products(shop, (1, "2026-07-01"), (2, day), (3, day), (4, day), (5, "2026-07-03"))
    within = shop.reads(source(page_size=2, tie="id"))[0].cursor
    again = shop.reads(source(page_size=2), within)
    assert sorted(str(each) for page in ids(again) for each in page) == ["2", "3", "4", "5"]
    whole = shop.reads(source(page_size=2))[0].cursor
    assert ids(shop.reads(source(page_size=2, tie="id"), whole)) == [[5]]


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.lists(st.lists(st.integers(0, 9), max_size=9), min_size=1, max_size=4),
    st.integers(1, 4),
    st.booleans(),
)
def test_no_row_is_lost_or_repeated(
    shop: Shop, batches: list[list[int]], page_size: int, has_tie: bool
) -> None:
    shop.does("drop table if exists steps; create table steps (id serial, at bigint)")
    declared = source(
        table="steps", cursor="at", page_size=page_size, tie="id" if has_tie else None
    )
    cursor: str | None = None
    found: list[object] = []
    for number, batch in enumerate(batches):
        for step in batch:
            shop.does("insert into steps (at) values (%s)", number * 10 + step)
        for page in shop.reads(declared, cursor):
            found += [record["id"] for record in page.records]
            cursor = page.cursor
    assert sorted(map(str, found)) == sorted(str(n + 1) for n in range(sum(map(len, batches))))


def test_values_come_as_they_stand(shop: Shop) -> None:
    shop.does("create type mood as enum ('好', 'bad'); create type spot as (x int, y numeric)")
    shop.does("set timezone = 'Asia/Shanghai'")
    shop.does(
        """create table products as select
        1::bigint as id, timestamptz '2026-07-03 09:02:03.456789+08' as updated_at,
        timestamp '2026-07-03 01:02:03' as local, date '2026-07-03' as day, time '01:02' as hour,
        interval '1 day 2 hours' as span, 9223372036854775807::bigint as big,
        12345678901234567890123::numeric as huge, repeat('9', 5000)::numeric as long,
        19.90::numeric(8, 2) as price, 0.1234567890123456789::numeric as fine,
        'NaN'::numeric as nothing, 'Infinity'::float8 as endless, 0.1::float8 as tenth,
        1e308::float8 * 1.5 as large, true as yes, null::text as none,
        e'"quoted" \\\\ line\\n 雪 100% $1' as said, '\\x00ff10'::bytea as bytes,
        '{"b": 1, "a": [1.50, 1e400, null, 123456789012345678901]}'::json as doc,
        array[1, null, 3] as list, array[['a'], ['b']] as grid, '好'::mood as mood,
        row(1, 2.5)::spot as spot, int4range(1, 5) as range,
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid as uuid, inet '10.0.0.1' as host"""
    )
    shop.does("set timezone = 'UTC'")
    ((page,),) = [[page.records for page in shop.reads(source())]]
    assert dict(page[0]) == {
        "id": 1,
        "updated_at": "2026-07-03T01:02:03.456789+00:00",
        "local": "2026-07-03T01:02:03",
        "day": "2026-07-03",
        "hour": "01:02:00",
        "span": "P1DT2H",
        "big": 9223372036854775807,
        "huge": "12345678901234567890123",
        "long": "9" * 5000,
        "price": 19.9,
        "fine": "0.1234567890123456789",
        "nothing": "NaN",
        "endless": "Infinity",
        "tenth": 0.1,
        "large": 1.5e308,
        "yes": True,
        "none": None,
        "said": '"quoted" \\ line\n 雪 100% $1',
        "bytes": base64.b64encode(b"\x00\xff\x10").decode(),
        "doc": {"b": 1, "a": [1.5, "1e400", None, "123456789012345678901"]},
        "list": [1, None, 3],
        "grid": [["a"], ["b"]],
        "mood": "好",
        "spot": {"x": 1, "y": 2.5},
        "range": "[1,5)",
        "uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "host": "10.0.0.1",
    }
    json.dumps(page[0], allow_nan=False)


def test_json_too_deep_to_parse_stays_a_text(shop: Shop) -> None:
    deep = "[" * 3000 + "]" * 3000
    products(shop, (1, "2026-07-01"))
    shop.does("alter table products add doc json")
    shop.does("update products set doc = %s", deep)
    assert shop.reads(source())[0].records[0]["doc"] == deep


@pytest.mark.parametrize("of_type", ["timestamptz", "timestamp", "date", "text", "numeric", "uuid"])
def test_a_cursor_may_be_of_any_type_that_has_an_order(shop: Shop, of_type: str) -> None:
    values = {
        "text": ["甲 'x'", '乙"%s$1', "a,b"],
        "numeric": ["1.10", "123456789012345678901.5", "-3"],
        "uuid": [f"{n}0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" for n in "f0a"],
    }.get(of_type, ["2026-07-01", "2026-07-03", "1999-12-31"])
    shop.does(f"create table products (id serial, at {of_type})")
    for value in values:
        shop.does("insert into products (at) values (%s)", value)
    declared = source(cursor="at", page_size=1)
    whole = shop.reads(declared)
    assert len(whole) == 3
    for before, after in pairwise(whole):
        assert shop.reads(declared, before.cursor)[0] == after


def test_a_local_cursor_is_held_against_the_clock_of_its_zone(shop: Shop) -> None:
    shop.does("create table products (id int, at timestamp)")
    shop.does(
        "insert into products select n, (now() at time zone 'Asia/Shanghai') - n * interval '1 min'"
        " from generate_series(1, 10) as n"
    )
    declared = {"cursor": "at", "lag_seconds": 330}
    assert ids(shop.reads(source(**declared, time_zone="Asia/Shanghai"))) == [[10, 9, 8, 7, 6]]
    assert shop.reads(source(**declared)) == []


def test_the_rows_of_a_date_are_read_when_it_is_over(shop: Shop) -> None:
    shop.does("create table products (id int, at date)")
    shop.does("insert into products values (1, current_date - 1), (2, current_date)")
    assert ids(shop.reads(source(cursor="at"))) == [[1]]


def test_a_row_that_commits_late_is_not_lost(shop: Shop) -> None:
    shop.does("create table products (id int, updated_at timestamptz default now())")
    with psycopg.connect(shop.cluster.dsn) as slow:
        # Stamped now, seen by others later.
        slow.execute("insert into products (id) values (1)")
        shop.does("insert into products (id) values (2)")
        shop.does("insert into products values (3, now() - interval '1 hour')")
        first = shop.reads(source(lag_seconds=300))
        assert ids(first) == [[3]]
        slow.commit()
    shop.does("update products set updated_at = updated_at - interval '301 s' where id < 3")
    assert ids(shop.reads(source(lag_seconds=300), first[-1].cursor)) == [[1, 2]]


def test_a_transaction_longer_than_the_lag_is_waited_for_where_it_can_be_seen(shop: Shop) -> None:
    shop.does("create table products (id int, updated_at timestamptz default now())")
    shop.does("drop role if exists blind; create role blind login password 'blind'")
    shop.does("grant usage on schema public to blind; grant select on products to blind")
    with psycopg.connect(shop.cluster.dsn) as slow:
        slow.execute("insert into products (id) values (1)")
        shop.does("insert into products (id) values (2)")
        time.sleep(1.1)
        assert shop.reads(source(lag_seconds=1)) == []
        environment = {"SHOP_PG": shop.cluster.dsn.replace(f"siyu:{PASSWORD}", "blind:blind")}
        blind = list(pages(source(lag_seconds=1), None, environment=environment))
        assert ids(blind) == [[2]]
        slow.commit()
    assert ids(shop.reads(source(lag_seconds=1))) == [[1, 2]]
    # What docs/sources/postgres.md warns of: this role cannot be told of the first row any more.
    assert list(pages(source(lag_seconds=1), blind[-1].cursor, environment=environment)) == []
    shop.does("grant pg_read_all_stats to blind")
    with psycopg.connect(shop.cluster.dsn) as slow:
        slow.execute("insert into products (id) values (3)")
        shop.does("insert into products (id) values (4)")
        time.sleep(1.1)
        assert list(pages(source(lag_seconds=1), blind[-1].cursor, environment=environment)) == []


def test_a_row_stamped_in_the_future_does_not_carry_the_cursor_away(shop: Shop) -> None:
    products(shop, (1, "2026-07-01"), (2, "2999-01-01"))
    first = shop.reads(source())
    products(shop, (3, "2026-07-02"))
    assert ids(first + shop.reads(source(), first[-1].cursor)) == [[1], [3]]


def test_a_standby_is_read_up_to_what_it_has_replayed(shop: Shop, cluster: Cluster) -> None:
    folder = Path(tempfile.mkdtemp(prefix="siyu-pg-"))
    standby = Cluster(cluster.programs, folder)
    try:
        if cluster.user:
            shutil.chown(folder, "postgres", "postgres")
        cluster.run("pg_basebackup", "-d", cluster.dsn, "-D", str(folder / "data"), "-R", "-cfast")
        standby.start()
        shop.does("create table products (id int, updated_at timestamptz default now())")
        shop.does("insert into products (id) values (1)")
        environment = {"SHOP_PG": standby.dsn}
        with psycopg.connect(standby.dsn, autocommit=True) as connection:

            def waits_for(n_rows: int) -> None:
                for _ in range(500):
                    if connection.execute("select to_regclass('products')").fetchone() != (None,):
                        found = connection.execute("select count(*) from products").fetchone()
                        if found == (n_rows,):
                            return
                    time.sleep(0.02)
                raise TimeoutError("the standby did not follow")

            waits_for(1)
            connection.execute("select pg_wal_replay_pause()")
            shop.does("insert into products values (2, now() - interval '1 hour')")
            time.sleep(1.1)
            # Old enough by the clock, but what else came with it has not been replayed.
            assert list(pages(source(lag_seconds=1), None, environment=environment)) == []
            connection.execute("select pg_wal_replay_resume()")
            shop.does("insert into products values (3, now() - interval '1 hour')")
            waits_for(3)
        shown = list(pages(source(lag_seconds=1), None, environment=environment))
        assert ids(shown) == [[2, 3, 1]]
    finally:
        standby.stop()
        shutil.rmtree(folder)


REFUSALS: dict[str, tuple[str, dict[str, object], str]] = {
    "null cursor": (
        "insert into products values (9, null)",
        {},
        "its cursor 'updated_at' is NULL or infinity in some rows, which have no place in its "
        "order; correct them, or leave them out with a 'query'",
    ),
    "endless cursor": (
        "insert into products values (9, 'infinity')",
        {},
        "its cursor 'updated_at' is NULL or infinity in some rows",
    ),
    "null tie": (
        "alter table products add code text",
        {"tie": "code"},
        "its tie 'code' is NULL in some rows",
    ),
    "no such cursor": (
        "",
        {"cursor": "changed_at"},
        "its cursor 'changed_at' is not among the columns id, updated_at; correct 'cursor' or "
        "select the column",
    ),
    "no such table": (
        "drop table products",
        {},
        'the server refuses the query (relation "products" does not exist); correct the source',
    ),
    "no such schema": ("", {"table": "erp.products"}, 'relation "erp.products" does not exist'),
    "bad SQL": ("", {"query": "selec 1"}, "the server refuses the query (syntax error"),
    "two statements": (
        "",
        {"query": "select 1) as s; drop table products; select * from (select 1"},
        "the server refuses the query (cannot insert multiple commands into a prepared statement)",
    ),
    "writes": (
        "create function spoil() returns setof products as $$ delete from products returning * $$"
        " language sql",
        {"query": "select * from spoil()"},
        "the server refuses the query (cannot execute DELETE in a read-only transaction)",
    ),
    "one name twice": (
        "",
        {"query": "select p.*, 2 as id from products as p"},
        "its query gives several columns 'id'; name them apart with 'as'",
    ),
    "a number and a lag": (
        "",
        {"cursor": "id", "lag_seconds": 300},
        "its cursor 'id' is integer, not a time, so rows that commit late cannot be waited for",
    ),
    "start of another type": (
        "",
        {"start": "yesterday evening"},
        "a value does not fit its type (InvalidDatetimeFormat); correct 'start' or 'query'",
    ),
    "a value that does not fit": (
        "",
        {"query": "select *, ('1380' || '0138000')::date as born from products"},
        "a value does not fit its type (",
    ),
    "slow": (
        "",
        {"query": "select p.*, pg_sleep(9)::text from products as p", "timeout_seconds": 1},
        "a page took longer than 1 s; index the cursor and tie",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_read_is_refused_in_one_line(shop: Shop, name: str) -> None:
    prepared, changes, words = REFUSALS[name]
    products(shop, (1, "2026-07-01"))
    if prepared:
        shop.does(prepared)
    if "query" in changes:
        changes = {"table": None, **changes}
    with pytest.raises(SourceError) as refused:
        shop.reads(source(**changes))
    message = str(refused.value)
    assert message.startswith("source 'erp': ")
    assert words in message
    assert "\n" not in message
    assert "13800138000" not in "".join(traceback.format_exception(refused.value))


def test_text_that_is_not_utf8_is_refused(shop: Shop) -> None:
    shop.does("drop database if exists old")
    shop.does("create database old template template0 encoding 'SQL_ASCII' locale 'C'")
    dsn = shop.cluster.dsn.replace("/postgres?", "/old?")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table products as select 1 as id, e'\\xb5\\xe7' as name")
    with pytest.raises(SourceError, match="holds text that is not UTF-8"):
        list(pages(source(cursor="id"), None, environment={"SHOP_PG": dsn}))


def test_a_query_reads_what_it_says(shop: Shop) -> None:
    products(shop, (1, "2026-07-01"), (2, "2026-07-02"))
    query = (
        "select id * 10 as id, updated_at, '50%' as share from products where id % 2 = 0; -- all"
    )
    (page,) = shop.reads(source(table=None, query=query.replace("; -- all", " -- even\n;")))
    assert [(record["id"], record["share"]) for record in page.records] == [(20, "50%")]


def test_columns_and_names_are_taken_literally(shop: Shop) -> None:
    shop.does('create schema "S"; create table "S"."Or""ders" (id int, "At" date, phone text)')
    shop.does('insert into "S"."Or""ders" values (1, date \'2026-07-01\', \'13800138000\')')
    declared = source(table='S.Or"ders', columns=("id", "At"), cursor="At")
    assert [dict(record) for page in shop.reads(declared) for record in page.records] == [
        {"id": 1, "At": "2026-07-01"}
    ]


def test_another_cursor_column_does_not_go_on_from_the_first(shop: Shop) -> None:
    products(shop, (1, "2026-07-01"))
    (page,) = shop.reads(source())
    with pytest.raises(
        SourceError, match=r"it was read by updated_at .* and now says id \(integer"
    ):
        shop.reads(source(cursor="id"), page.cursor)


def test_the_password_is_shown_nowhere(shop: Shop, tmp_path: Path) -> None:
    right = shop.cluster.dsn
    wrong = {
        "wrong password": (right.replace("siyu:", "siyu:x"), "the server of ${SHOP_PG}"),
        "no server": (right.replace("siyu-pg-", "siyu-no-"), "the server of ${SHOP_PG}"),
        "named as it": (
            right.replace("/postgres?", f"/{PASSWORD}?"),
            'database "***" does not exist',
        ),
        "no host": (f"postgresql://siyu:{PASSWORD}@no.such.host.invalid/x", "${SHOP_PG}"),
        "not a DSN": (f"siyu {PASSWORD}", "is not a connection string of PostgreSQL"),
        "half a URI": (f"postgresql://siyu:{PASSWORD}%@h/x", "is not a connection string"),
    }
    for dsn, words in wrong.values():
        with pytest.raises(SourceError) as refused:
            list(pages(source(), None, environment={"SHOP_PG": dsn}))
        assert words in str(refused.value)
        assert PASSWORD not in "".join(traceback.format_exception(refused.value))
    with pytest.raises(ConfigError, match="SHOP_PG, which is not set or empty; set it"):
        list(pages(source(), None, environment={}))
    declared = source().model_dump(mode="json", exclude_defaults=True) | {"dsn": right}
    file = tmp_path / "sources.yaml"
    file.write_text(yaml.safe_dump(declared))
    with pytest.raises(ConfigError, match=re.escape("expected 'dsn' to be ${NAME}")) as refused:
        load(file, PostgresSource)
    assert PASSWORD not in "".join(traceback.format_exception(refused.value).pop())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"table": None}, "expected either 'table' or 'query'"),
        ({"query": "select 1"}, "expected either 'table' or 'query'"),
        ({"table": "a.b.c"}, "expected 'table' to be a name, or schema.name"),
        ({"table": None, "query": "x", "columns": ("a",)}, "expected 'columns' beside 'table'"),
        ({"columns": ("id",)}, "expected 'cursor' 'updated_at' among 'columns'"),
        ({"tie": "updated_at"}, "expected 'tie' to be another column than 'cursor'"),
        ({"control_total": "price"}, "expected no 'control_total': rows come in pages"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        source(**changes)


def test_pages_before_the_server_stopped_stand(shop: Shop) -> None:
    products(shop, *((n, f"2026-07-{n:02d}") for n in range(1, 8)))
    reading = pages(source(page_size=2), None, environment={"SHOP_PG": shop.cluster.dsn})
    first = next(reading)
    shop.cluster.stop()
    with pytest.raises(SourceError, match=r"after 1 pages, which stand; .* it goes on from there"):
        next(reading)
    with pytest.raises(SourceError, match="cannot be read"):
        shop.reads(source(page_size=2), first.cursor)
    shop.cluster.start()
    rest = shop.reads(source(page_size=2), first.cursor)
    assert ids([first, *rest]) == [[1, 2], [3, 4], [5, 6], [7]]


# Does its imports once and then gives every pull a process of its own.
PULLER = """
import os, sys
from datetime import date
from pathlib import Path
from resources.config.postgres_source import PostgresSource
from resources.keys import Keys
from resources.sources.pages import Spool
from resources.sources.postgres import pages
declared, dsn, folder, secret = sys.argv[1:]
for _ in sys.stdin:
    child = os.fork()
    if not child:
        source = PostgresSource.model_validate_json(declared)
        spool = Spool(Path(folder), Keys.derived_from(secret))
        for page in pages(source, spool.cursor(source.id), environment={"SHOP_PG": dsn}):
            spool.write(source.id, date(2026, 7, 3), page)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def spooled(spool: Spool, declared: Source) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for arrival in spool.arrivals(declared)
        for line in arrival.read().splitlines()
    ]


def test_killed_pullers_leave_neither_gap_nor_repeat(shop: Shop, tmp_path: Path) -> None:
    n_rows = 4000
    shop.does(
        "create table products as select n as id,"
        " timestamptz '2026-07-01' + n / 3 * interval '1 s' as updated_at"
        f" from generate_series(1, {n_rows}) as n"
    )
    declared = source(page_size=20, tie="id")
    spool = Spool(tmp_path, Keys.derived_from(SECRET))
    command = [sys.executable, "-c", PULLER, declared.model_dump_json(exclude_defaults=True)]
    chance = random.Random(7)
    with subprocess.Popen(
        [*command, shop.cluster.dsn, str(tmp_path), SECRET],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as puller:
        assert puller.stdin
        assert puller.stdout
        for number in range(21):
            puller.stdin.write("pull\n")
            puller.stdin.flush()
            child = int(puller.stdout.readline())
            if number < 20:
                n_before = len(list(tmp_path.glob("erp/*/*")))
                n_more = chance.randint(0, 8)
                while len(list(tmp_path.glob("erp/*/*"))) < n_before + n_more:
                    time.sleep(0.001)
                time.sleep(chance.uniform(0, 0.02))
                os.kill(child, signal.SIGKILL)
                assert int(puller.stdout.readline()) == -signal.SIGKILL
                assert len(spooled(spool, declared)) < n_rows
        assert int(puller.stdout.readline()) == 0
        puller.stdin.close()
    assert [record["id"] for record in spooled(spool, declared)] == list(range(1, n_rows + 1))


@dataclass(frozen=True)
class Raw:
    """Pulls into a spool and collects into a warehouse."""

    shop: Shop
    folder: Path
    warehouse: Warehouse
    keyring: Keyring

    def collects(self, declared: PostgresSource) -> None:
        keys = self.keyring.unlock()
        spool = Spool(self.folder / "pages", keys)
        for page in self.shop.reads(declared, spool.cursor(declared.id)):
            spool.write(declared.id, DAY, page)
        vault = Vault(path=str(self.folder / "vault.duckdb"), keyring=self.keyring)
        with self.warehouse.connect() as session:
            new = changed(session, TABLES, spool.arrivals(declared))
            at = dt.datetime(2026, 7, 4)  # noqa: DTZ001 - stored timestamps are naive UTC
            collect(session, vault, TABLES, new, keys=keys, base_currency="CNY", loaded_at=at)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as session:
            return session.rows(sql)


@pytest.fixture
def raw(shop: Shop, tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Raw:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    return Raw(shop, tmp_path, warehouse, Keyring(home=str(tmp_path), is_simulated=False))


def test_of_a_product_sent_again_the_newest_row_counts(raw: Raw, shop: Shop) -> None:
    shop.does("create table products (id int, updated_at timestamptz, name text, price numeric)")
    shop.does("insert into products values (1, '2026-07-01', 'Tea', 19.90)")
    declared = source(layout=None, map={"product_id": "id", "title": "name", "price": "price"})
    raw.collects(declared)
    shop.does("update products set price = 25, updated_at = '2026-07-02'")
    raw.collects(declared)
    assert raw.rows("select count(*) from raw.product_records") == [(2,)]
    with raw.warehouse.connect() as session:
        with session.transaction():
            session.create_table(PRODUCTS, read_sql("raw/products.sql"), {})
        found = session.rows("select product_id, title, price from raw.products")
    assert found == [("1", "Tea", 25)]


def test_a_missing_driver_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: Shop
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "resources.sources.postgres")
    spool = Spool(tmp_path, Keys.derived_from(SECRET))
    environment = {"SHOP_PG": shop.cluster.dsn}
    (pulled,) = pull([source()], spool, load_date=DAY, environment=environment)
    assert "psycopg, which is not installed; pip install 'siyu[postgres]'" in str(pulled.failure)


def test_the_examples_of_the_page_are_read(raw: Raw, shop: Shop) -> None:
    text = (ROOT / "docs/sources/postgres.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    catalogue, orders = map(PostgresSource.model_validate, yaml.safe_load(block)["sources"])
    shop.does("drop schema if exists erp cascade; create schema erp")
    shop.does(
        "create table erp.products as select 7 as id, 'Tea' as name, 'drinks' as category,"
        " 19.90 as price, 5.5 as cost, 3 as stock, timestamptz '2026-07-01' as updated_at"
    )
    shop.does(
        "create table orders as select 1 as id, 'N1' as number, 'mei' as buyer,"
        " timestamptz '2026-07-01 08:00+08' as paid_at"
    )
    shop.does(
        "create table order_lines as select 1 as order_id, n as position, 7 as sku, n as quantity,"
        " 19.90 as price from generate_series(1, 2) as n"
    )
    raw.collects(catalogue)
    raw.collects(orders)
    assert raw.rows("select product_id, title, price, stock from raw.product_records") == [
        ("7", "Tea", Decimal("19.9000"), 3)
    ]
    buyer = raw.keyring.unlock().pseudonym("mei")
    paid_at = dt.datetime(2026, 7, 1)  # noqa: DTZ001 - stored timestamps are naive UTC
    assert raw.rows(
        "select message_id, user_id, occurred_at, (properties->>'quantity')::int from raw.events"
        " order by message_id"
    ) == [("N1-1", buyer, paid_at, 1), ("N1-2", buyer, paid_at, 2)]
    assert raw.rows("select * from raw.rejected_records") == []
