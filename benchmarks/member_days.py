"""Time retention, growth accounting and lifecycle against one full scan of features.member_days.

    python -m benchmarks.member_days [--members N] [--repeats R]

The members are drawn: a first active day within a year, gaps between active days that differ from
member to member, an order on every fifth of these days. With 7.6 events a day, as the demo shop
has, the default makes 100 million events; here each day has one, since nothing measured reads
more. A full scan is a copy of the table: every column of every row read and written, once. Each
table is made by its own SQL, as the pipeline makes it, in turn; the median of each counts. CPU is
the time of all cores together, which other work on the machine disturbs less.

features.member_days and features.order_days are made once a run for all who read them. They look
at the days around each day, so that retention and growth accounting need not; what it costs to make
them from these events is printed below.
"""

import argparse
import datetime as dt
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from assets.clean.contracts import EVENTS, MEMBERS, ORDERS, SESSIONS
from assets.features.contracts import MEMBER_DAYS, ORDER_DAYS, TRACKING
from assets.features.contracts import MEMBERS as MEMBER_FEATURES
from assets.tags.contracts import MEMBER_PREFERENCES
from assets.value.contracts import (
    CLV,
    CLV_PARAMETERS,
    GROWTH_ACCOUNTING,
    LIFECYCLE,
    LIFECYCLE_HISTORY,
    LIFECYCLE_TRANSITIONS,
    RETENTION_COHORTS,
    RFM,
)
from resources.config.shop import Shop
from resources.contract import Contract
from resources.warehouse import Database, Session, read_sql

LAST_DATE = dt.date(2026, 9, 30)
DAYS = 360
DAYS_PER_MEMBER = 16
EVENTS_PER_DAY = 7.6
DAYS_PER_ORDER = 5
CHANNELS = ("wechat", "douyin", "xiaohongshu", "app", "web", "store")
# Of the CDNOW sample, by Fader, Hardie and Lee 2005.
PARAMETERS = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}


COPIED = replace(MEMBER_DAYS, table="copied_days")
SCAN, TOGETHER = "scan", "together"
# What the target names; retention as shop.yaml has it by default, without segments.
PARTS = (RETENTION_COHORTS, GROWTH_ACCOUNTING, LIFECYCLE_HISTORY, LIFECYCLE)
BY_CHANNEL = f"{RETENTION_COHORTS.name}, also by channel"


def active_days(n_members: int) -> pl.DataFrame:
    """Active days of so many members: member_id, date; the same number gives the same days.

    The numbers of members are drawn as widely as keyed hashes are.
    """
    rng = np.random.default_rng(0)
    member_id = rng.integers(0, 2**60, n_members)
    n_days = rng.geometric(1 / DAYS_PER_MEMBER, n_members)
    member = np.repeat(np.arange(n_members), n_days)
    gap = np.ceil(rng.exponential(np.repeat(rng.gamma(1, 12, n_members), n_days))).clip(1)
    is_first = np.diff(member, prepend=-1) > 0
    gap[is_first] = rng.integers(0, DAYS, n_members)
    day = np.cumsum(gap)
    day -= np.repeat(day[is_first] - gap[is_first], n_days)
    is_past = day < DAYS
    first = LAST_DATE - dt.timedelta(days=DAYS - 1)
    return pl.DataFrame(
        {"member_id": member_id[member[is_past]], "day": day[is_past].astype(np.int32)}
    ).select("member_id", date=pl.lit(first) + pl.duration(days="day"))


def fill(session: Session, contract: Contract, source: str, given: Mapping[str, str]) -> None:
    """Make a table of SQL expressions over a source; columns left out are NULL."""
    columns = ", ".join(
        f"{given.get(column.name, 'null')} as {column.quoted}" for column in contract.columns
    )
    session.create_table(contract, f"select {columns} from {source}")


def fill_shop(session: Session, n_members: int) -> None:
    """Make the tables that the measured ones read, but for those of features."""
    number = "cast(row_number() over () as varchar)"
    with session.offering(drawn=active_days(n_members)):
        session.execute("create temp table days as select * from drawn")
    fill(
        session,
        EVENTS,
        "days",
        {
            "message_id": number,
            "member_id": "member_id",
            "event_name": "'Product Viewed'",
            "event_date": "date",
            "is_deliberate": "true",
            "is_bot": "false",
        },
    )
    fill(session, SESSIONS, "days where false", {})
    fill(
        session,
        ORDERS,
        f"days where hash(member_id, date) % {DAYS_PER_ORDER} = 0",
        {
            "order_id": number,
            "member_id": "member_id",
            "order_date": "date",
            "status": "'completed'",
            "net_revenue": "100",
            "margin": "30",
        },
    )
    channels = ", ".join(f"'{channel}'" for channel in CHANNELS)
    fill(
        session,
        MEMBERS,
        "(select member_id, min(date) as first_date from days group by member_id)",
        {
            "member_id": "member_id",
            "signed_up_at": "first_date",
            "first_seen_at": "first_date",
            "is_identified": "true",
            "channel": f"list_extract([{channels}], 1 + member_id % {len(CHANNELS)})",
        },
    )
    fill(
        session,
        CLV,
        f"(select distinct member_id from {ORDERS.name})",
        {
            "member_id": "member_id",
            "method": "'bg_nbd_gamma_gamma'",
            "parameters_of": "'pooled'",
        },
    )
    session.create_empty(TRACKING)
    for contract in (MEMBER_FEATURES, MEMBER_PREFERENCES, RFM):
        fill(session, contract, MEMBERS.name, {"member_id": "member_id"})
    values = ", ".join(f"('{name}', {value})" for name, value in PARAMETERS.items())
    fill(
        session,
        CLV_PARAMETERS,
        f"(values {values}) as fitted (name, value)",
        {
            "model": "'bg_nbd'",
            "cohort": "'pooled'",
            "parameter": "name",
            "value": "value",
        },
    )


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Time one call, by the clock and on all cores together."""
    start, cpu_start = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - cpu_start


def main(argv: Sequence[str] | None = None) -> int:
    """Make each table in turn and print what it took.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.member_days", description=__doc__)
    parser.add_argument("--members", type=int, default=1_300_000)
    parser.add_argument("--repeats", type=int, default=3, help="of each; the median counts")
    arguments = parser.parse_args(argv)
    for name in ("members", "repeats"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be 1 or more, got {getattr(arguments, name)}")
    shop = Shop(
        name="benchmark",
        time_zone="Asia/Shanghai",
        base_currency="CNY",
        first_load_date=LAST_DATE,
    )
    parameters = shop.parameters(LAST_DATE)

    with (
        tempfile.TemporaryDirectory() as folder,
        Database(Path(folder) / "warehouse.duckdb").connect() as session,
    ):
        fill_shop(session, arguments.members)

        def make(contract: Contract, **changed: object) -> Callable[[], object]:
            select_sql = read_sql(f"{contract.schema}/{contract.table}.sql")

            def run() -> None:
                with session.transaction():
                    session.create_table(contract, select_sql, {**parameters, **changed})

            return run

        def copy() -> None:
            with session.transaction():
                session.create_table(
                    COPIED,
                    f"select {MEMBER_DAYS.column_list} from {MEMBER_DAYS.name}",
                )

        made_once = {
            contract.name: (seconds(make(contract)), session.count(contract))
            for contract in (MEMBER_DAYS, ORDER_DAYS)
        }
        ways = {
            SCAN: copy,
            GROWTH_ACCOUNTING.name: make(GROWTH_ACCOUNTING),
            RETENTION_COHORTS.name: make(RETENTION_COHORTS),
            BY_CHANNEL: make(RETENTION_COHORTS, retention_segments=["channel"]),
            LIFECYCLE_HISTORY.name: make(LIFECYCLE_HISTORY),
            LIFECYCLE.name: make(LIFECYCLE),
            LIFECYCLE_TRANSITIONS.name: make(LIFECYCLE_TRANSITIONS),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        rows: dict[str, int] = {}
        for _ in range(arguments.repeats):
            for name, run in ways.items():
                times[name].append(seconds(run))
                table = COPIED.name if name == SCAN else name.split(",")[0]
                rows[name] = int(session.scalar(f"select count(*) from {table}"))
    took = {
        name: (median(wall for wall, _ in pairs), median(cpu for _, cpu in pairs))
        for name, pairs in times.items()
    }
    n_days = rows[SCAN]
    print(
        f"{arguments.members:,} members, {n_days:,} member days of {DAYS} dates,"
        f" {n_days * EVENTS_PER_DAY / 1e6:,.0f} million events.\n"
    )
    print("|  | rows | time | of one scan | CPU | of one scan, CPU |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    parts = [took[contract.name] for contract in PARTS]
    rows[TOGETHER] = sum(rows[contract.name] for contract in PARTS)
    took[TOGETHER] = (sum(wall for wall, _ in parts), sum(cpu for _, cpu in parts))
    titles = {name: f"`{name}`" for name in took} | {
        SCAN: f"one scan of {MEMBER_DAYS.name}",
        TOGETHER: "retention, growth accounting and lifecycle with its history, together",
    }
    for name, (wall, cpu) in took.items():
        of_scan = f"{wall / took[SCAN][0]:.2f} | {cpu:.2f} s | {cpu / took[SCAN][1]:.2f}"
        print(f"| {titles[name]} | {rows[name]:,} | {wall:.2f} s | {of_scan} |")
    print("\n| made once a run | rows | time | CPU |")
    print("| --- | ---: | ---: | ---: |")
    for name, ((wall, cpu), n_rows) in made_once.items():
        print(f"| `{name}` | {n_rows:,} | {wall:.2f} s | {cpu:.2f} s |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
