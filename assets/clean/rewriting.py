"""Brings the clean tables to what raw now holds, by rewriting only what changed.

What changed are files, and records later than as_of whose time has come since.

Every table is one SELECT in sql/clean over what was touched; what was touched is found by the
SELECTs in sql/clean/touched. Where nothing is there yet, or the definitions have changed,
everything is touched. So one text makes a table anew and keeps it up to date, and a test holds the
one against the other.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assets.clean import contracts
from resources.contract import Contract
from resources.warehouse import SQL_ROOT, Session, parameters_used, read_sql

# In the order in which they are made.
TABLES = (
    contracts.SIGHTINGS,
    contracts.MERGE_LOG,
    contracts.IDENTITIES,
    contracts.DUPLICATES,
    contracts.BOTS,
    contracts.EVENTS,
    contracts.SESSIONS,
    contracts.ORDER_EVENTS,
    contracts.ORDER_PRODUCTS,
    contracts.ORDER_AMOUNTS,
    contracts.ORDER_NUMBERS,
    contracts.ORDER_LINES,
    contracts.REFUNDS,
    contracts.ORDER_ITEMS,
    contracts.ORDERS,
    contracts.PRODUCT_COSTS,
    contracts.MEMBER_ADDRESSES,
    contracts.MEMBER_ATTRIBUTES,
    contracts.MEMBERS,
    contracts.LOADS,
)
# Parameters that may change and leave what is known of older days as it is.
_CIRCUMSTANCES = {"as_of", "was_as_of", "run_date", "definition"}
_BEFORE_TIME = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - stored timestamps are naive UTC


@dataclass(frozen=True)
class Rewritten:
    """What a rewriting did."""

    is_complete: bool
    n_files: int
    n_events: int
    first_date: dt.date | None
    last_date: dt.date | None
    n_dates: int
    n_moved_visitors: int

    def metadata(self) -> dict[str, Any]:
        """The same for Dagster."""
        return {
            "made_anew": self.is_complete,
            "files_touched": self.n_files,
            "events_rewritten": self.n_events,
            "dates_rewritten": self.n_dates,
            "first_date": str(self.first_date),
            "last_date": str(self.last_date),
            "visitors_moved": self.n_moved_visitors,
        }


def rewrite(session: Session, given: Mapping[str, object]) -> Rewritten:
    """Rewrites what is touched, in the transaction that the caller has begun."""
    definition = _definition(session, given)
    was_as_of = _begin(session, definition, given["as_of"])
    parameters = {**given, "definition": definition, "was_as_of": was_as_of or _BEFORE_TIME}
    work = _Work(session, parameters)
    work.find("touched/files", "touched_files")
    work.find("touched/arrived", "arrived")
    work.find("touched/arrived_pairs", "arrived_pairs")
    work.find("touched/waiting_files", "waiting_files")
    _rewrite_identities(work)
    _rewrite_events(work)
    _rewrite_orders(work)
    work.find("touched/members", "touched_members")
    work.replace(contracts.MEMBER_ADDRESSES, ["member_id"], "touched_members")
    work.replace(contracts.MEMBER_ATTRIBUTES, ["member_id"], "touched_members")
    work.replace(contracts.MEMBERS, ["member_id"], "touched_members")
    work.replace(contracts.LOADS, ["source", "path"], "waiting_files")
    session.execute("update clean.loads set as_of = $as_of where as_of < $as_of", parameters)
    row = session.rows(
        "select (select count(*) from touched_files), count(*), min(event_date), max(event_date),"
        " count(distinct event_date), (select count(*) from moved_visitors) from rewritten"
    )[0]
    work.clear()
    return Rewritten(was_as_of is None, *row)


@dataclass(frozen=True)
class _Work:
    """The temporary tables of one rewriting, and the ways to fill tables from them."""

    session: Session
    parameters: Mapping[str, object]

    def find(self, file: str, name: str) -> None:
        """Makes the temporary table `name` of a SELECT in sql/clean."""
        select = read_sql(f"clean/{file}.sql")
        self.session.execute(f"create or replace temp table {name} as {select}", self.parameters)

    def keep(self, name: str, contract: Contract, key: Sequence[str], touched: str) -> None:
        """Keeps, as temporary table `name`, the rows of a table that are about to go."""
        self.session.execute(
            f"create or replace temp table {name} as"
            f" select kept.* from {contract.name} as kept join {touched} using ({', '.join(key)})"
        )

    def delete(self, contract: Contract, key: Sequence[str], touched: str) -> None:
        """Takes out the rows of a table whose key is in a temporary table."""
        same = " and ".join(f"leaving.{name} = {touched}.{name}" for name in key)
        self.session.execute(f"delete from {contract.name} as leaving using {touched} where {same}")

    def add(self, contract: Contract) -> None:
        """Adds what the table's own SELECT gives."""
        self.session.insert(contract, read_sql(f"clean/{contract.table}.sql"), self.parameters)

    def replace(self, contract: Contract, key: Sequence[str], touched: str) -> None:
        """Rewrites the rows of a table whose key is in a temporary table."""
        self.delete(contract, key, touched)
        self.add(contract)

    def clear(self) -> None:
        """Drops the temporary tables."""
        for (name,) in self.session.rows("select table_name from duckdb_tables() where temporary"):
            self.session.execute(f"drop table {name}")


def _definition(session: Session, parameters: Mapping[str, object]) -> str:
    """A hash of all that the tables depend on besides files: texts, contracts, settings, rates."""
    files = sorted((SQL_ROOT / "clean").rglob("*.sql"))
    texts = [path.read_text(encoding="utf-8") for path in files]
    used = sorted(set[str]().union(*map(parameters_used, texts)) - _CIRCUMSTANCES)
    rates = session.rows("select * from raw.fx_rates order by all")
    # Who is of age depends on the year, whose last day is the last birthday in it.
    year = (dt.date.fromisoformat(str(parameters["run_date"])) + dt.timedelta(days=1)).year
    everything = [texts, TABLES, [(name, parameters[name]) for name in used], rates, year]
    return hashlib.sha256(repr(everything).encode()).hexdigest()[:16]


def _begin(session: Session, definition: str, as_of: Any) -> dt.datetime | None:
    """Makes sure that the tables are there; as of when they are, or None if they are empty.

    They are emptied if they were made by another definition, or as of a later instant.
    """
    if all(map(session.exists, TABLES)) and not any(map(session.has_other_columns, TABLES)):
        was_as_of, is_usable = session.rows(
            "select max(as_of), bool_and(definition = $definition and as_of <= $as_of)"
            " from clean.loads",
            {"definition": definition, "as_of": as_of},
        )[0]
        if is_usable:
            return was_as_of
    for contract in TABLES:
        session.execute(f"drop table if exists {contract.name}")
        session.create_empty(contract)
    return None


def _rewrite_identities(work: _Work) -> None:
    work.keep("gone_sightings", contracts.SIGHTINGS, ["source", "path"], "touched_files")
    work.find("touched/was_sightings", "was_sightings")
    work.session.execute(
        "delete from clean.sightings where rowid in (select row_id from was_sightings)"
    )
    work.replace(contracts.SIGHTINGS, ["source", "path"], "touched_files")
    work.find("touched/identifiers", "touched_identifiers")
    work.session.execute(
        "create or replace temp table touched_users as"
        " select identifier as user_id from touched_identifiers where is_centre"
    )
    work.replace(contracts.MERGE_LOG, ["user_id"], "touched_users")
    work.keep("was_identities", contracts.IDENTITIES, ["identifier"], "touched_identifiers")
    work.replace(contracts.IDENTITIES, ["identifier"], "touched_identifiers")
    work.find("touched/moved_visitors", "moved_visitors")


def _rewrite_events(work: _Work) -> None:
    session = work.session
    work.find("touched/message_ids", "touched_messages")
    work.find("touched/copies", "copies")
    work.find("touched/differing", "differing")
    work.find("touched/gone", "gone")
    session.execute(
        "delete from clean.events where rowid in (select row_id from gone);"
        " create or replace temp table winners as select source, path, line, load_date from copies"
        " where copy = 1 and (is_touched or message_id in (select message_id from gone))"
    )
    work.replace(contracts.DUPLICATES, ["message_id"], "touched_messages")
    work.find("touched/messages", "messages")
    visitor_date = ["visitor_id", "event_date"]
    work.find("touched/visitor_dates", "touched_visitor_dates")
    work.keep("was_bots", contracts.BOTS, visitor_date, "touched_visitor_dates")
    work.replace(contracts.BOTS, visitor_date, "touched_visitor_dates")
    work.find("touched/bot_dates", "bot_dates")
    work.find("touched/moved_rows", "moved_rows")
    work.find("touched/sessions", "touched_sessions")
    work.find("touched/reopened", "reopened")
    session.execute("delete from clean.events where rowid in (select row_id from reopened)")
    work.replace(contracts.ORDER_PRODUCTS, ["message_id"], "gone")
    work.replace(contracts.ORDER_AMOUNTS, ["message_id"], "gone")
    session.execute(
        "insert into messages by name select * exclude (row_id, was_member_id) from reopened"
    )
    work.find("events", "rewritten")
    columns = contracts.EVENTS.column_list
    session.insert(contracts.EVENTS, f"select {columns} from rewritten")
    work.replace(contracts.SESSIONS, ["session_id"], "touched_sessions")


def _rewrite_orders(work: _Work) -> None:
    work.find("touched/orders", "touched_orders")
    work.delete(contracts.ORDER_EVENTS, ["message_id"], "gone")
    work.replace(contracts.ORDER_EVENTS, ["message_id"], "reopened")
    work.replace(contracts.ORDER_NUMBERS, ["order_number"], "touched_orders")
    work.keep("was_lines", contracts.ORDER_LINES, ["order_number"], "touched_orders")
    work.replace(contracts.ORDER_LINES, ["order_number"], "touched_orders")
    # First in, first out looks back over everything that was given back, and that is little.
    work.session.execute("create or replace temp table was_refunds as from clean.refunds")
    work.session.execute("delete from clean.refunds")
    work.add(contracts.REFUNDS)
    work.find("touched/valued_orders", "valued_orders")
    work.replace(contracts.ORDER_ITEMS, ["order_id"], "valued_orders")
    work.replace(contracts.ORDERS, ["order_id"], "valued_orders")
    work.session.execute("delete from clean.product_costs")
    work.add(contracts.PRODUCT_COSTS)
