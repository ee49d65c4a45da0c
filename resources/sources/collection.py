"""Loads files into the raw tables: each file's rows and its line in the ledger, or nothing."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby
from zoneinfo import ZoneInfo

import polars as pl

from resources.config.attributes import attributes_mapped
from resources.config.shop import Identity
from resources.config.source import READING, Entity, Source
from resources.contract import Contract
from resources.keys import Keys
from resources.sources import (
    messages,
    opt_outs,
    reading,
    redaction,
    thing_ids,
    times,
    values,
    vocabulary,
)
from resources.sources.batches import Batch, ahead, read_batches
from resources.sources.files import Arrival, SourceError
from resources.sources.load_dates import Ledger, LoadedFile
from resources.sources.names import Names
from resources.sources.people import TEMPORARY, look_up
from resources.sources.redaction import masked
from resources.sources.staging import control_totals, stage
from resources.vault import Addresses, Vault
from resources.warehouse import Session, read_sql, text_literal

_READERS = (redaction, reading, thing_ids, times, messages, vocabulary, values, opt_outs)
_MACROS = "".join(module.MACROS for module in _READERS)
# To bind these statements takes longer than to see that a small batch needs none of them.
_ODD_PROPERTIES = (
    ("has_odd_numbers(properties)", reading.PLAIN_NUMBERS),
    ("has_odd_ids(properties)", thing_ids.PLAIN_IDS),
)


@dataclass(frozen=True)
class RawTables:
    """The contracts of the raw tables that collection writes."""

    loads: Contract
    rejected: Contract
    unread: Contract
    addresses: Contract
    by_entity: Mapping[Entity, Contract]

    @property
    def all(self) -> tuple[Contract, ...]:
        """Every table, the ledger first."""
        return (self.loads, self.rejected, self.unread, self.addresses, *self.by_entity.values())


def read_ledger(session: Session, tables: RawTables, time_zone: str = "UTC") -> Ledger:
    """What the ledger says of every file; load dates are days of `time_zone`."""
    if not session.exists(tables.loads):
        return Ledger(time_zone)
    rows = session.rows(
        "select source, path, load_date, n_bytes, modified_at, declaration, sha256"
        f" from {tables.loads.name}"
    )
    return Ledger(time_zone, {(row[0], row[1]): LoadedFile(*row[2:]) for row in rows})


def changed(
    session: Session,
    tables: RawTables,
    arrivals: Sequence[Arrival],
    identity: Identity | None = None,
) -> list[Arrival]:
    """The arrivals that are new, or whose content or declaration differs from what was loaded.

    A file of the same size and time is taken as unchanged without reading it.
    """
    if not session.exists(tables.loads):
        return list(arrivals)
    known = read_ledger(session, tables).files
    found: list[Arrival] = []
    for arrival in arrivals:
        before = known.get((arrival.source.id, arrival.path))
        if before and before.declaration == _declaration(arrival, identity):
            if (before.n_bytes, before.modified_at) == (arrival.n_bytes, arrival.modified_at):
                continue
            if before.sha256 == arrival.sha256():
                continue
        found.append(arrival)
    return found


def _declaration(arrival: Arrival, identity: Identity | None) -> str:
    """Tells from one another the ways in which a file was, or would be, read."""
    own = (identity or Identity()).model_dump(
        include={"placeholders", "persons"}, exclude_defaults=True
    )
    if not own or arrival.source.entity == "products":
        return arrival.declaration
    said = json.dumps(own, sort_keys=True, ensure_ascii=False)
    return f"{arrival.declaration}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def _refuse_earlier_reading(
    session: Session, tables: RawTables, arrivals: Sequence[Arrival]
) -> None:
    """Makes sure that no loaded file stays as an earlier version of Siyu has read it."""
    coming = {(arrival.source.id, arrival.path) for arrival in arrivals}
    earlier = session.rows(
        f"select source, path from {tables.loads.name}"
        " where not starts_with(declaration, $reading) order by all",
        {"reading": f"{READING}-"},
    )
    if left := [each for each in earlier if each not in coming]:
        source, path = left[0]
        raise SourceError(
            f"{len(left)} loaded files, first {source} {path}, were read by an earlier version of "
            "Siyu, which told persons apart in another way; run `siyu run` without dates to load "
            "all anew, and where files are gone put them back or `siyu unload SOURCE PATH` first"
        )


def collect(
    session: Session,
    vault: Vault,
    tables: RawTables,
    arrivals: Sequence[Arrival],
    *,
    keys: Keys,
    base_currency: str,
    loaded_at: dt.datetime,
    time_zone: str = "UTC",
    identity: Identity | None = None,
) -> None:
    """Loads arrivals, source by source, each batch in one transaction.

    Addresses go to the vault before the batch commits: a run killed in between finds the batch
    not loaded and gives the same addresses again. Load dates are days of `time_zone`; `identity`
    says which identifiers name nobody.

    Raises:
        SourceError: a file cannot be read; batches before it are loaded. Or files are loaded that
            an earlier version read, and not all of them are among the arrivals.
        ConfigError: a mapping does not fit its file.
    """
    with session.transaction():
        for contract in tables.all:
            session.create_empty(contract)
    _refuse_earlier_reading(session, tables, arrivals)
    names = Names(keys, identity)
    by_source = groupby(arrivals, key=lambda arrival: arrival.source.id)
    batches = chain.from_iterable(read_batches(list(of_source)) for _, of_source in by_source)
    with session.beside() as other:
        # While one batch is written, the next is staged in the other session.
        turns = _turns((session, other), batches, base_currency)
        with closing(
            ahead(_staged(*turn, names, identity, time_zone) for turn in turns)
        ) as in_turn:
            for staged in in_turn:
                if staged.source.entity == "members":
                    paths = staged.files["path"].to_list()
                    distrust(staged.session, tables, staged.source.id, paths)
                    _store_addresses(vault, staged)
                _write(tables, staged, base_currency, loaded_at)


def _turns(
    sessions: Sequence[Session], batches: Iterable[Batch], base_currency: str
) -> Iterator[tuple[Session, Batch]]:
    """Each batch with the session whose turn it is; a session is prepared when it is needed."""
    for number, batch in enumerate(batches):
        session = sessions[number % len(sessions)]
        if number < len(sessions):
            session.execute(_MACROS + TEMPORARY)
            session.execute(f"set variable base_currency = {text_literal(base_currency)}")
        yield session, batch


@dataclass(frozen=True)
class _Staged:
    """A batch in the temporary tables of its session.

    `bad` are its rejects, `unread` its values that are there and not taken.
    """

    session: Session
    source: Source
    files: pl.DataFrame
    bad: pl.DataFrame
    unread: pl.DataFrame


def _staged(
    session: Session, batch: Batch, names: Names, identity: Identity | None, time_zone: str
) -> _Staged:
    source = batch.arrivals[0].source
    files = _files(batch, identity, time_zone)
    mark = f"set variable decimal_mark = {text_literal(source.decimal_mark)};"
    session.execute(mark + messages.declare(source))
    stage(session, batch)
    if source.entity == "events":
        for is_odd, written_plainly in _ODD_PROPERTIES:
            if session.scalar(f"select exists(from staged where reason is null and {is_odd})"):
                session.execute(written_plainly)
    messages.name_messages(session, source)
    _reject_late(session, files)
    if source.entity in ("members", "consents"):
        _offer_address_hashes(session, names)
    with session.offering(files=files):
        unread = look_up(session, source.entity, names)
    bad = _rejected(session, batch)
    hashed = files.with_columns(pl.Series("sha256", batch.sha256, dtype=pl.String))
    unread = pl.concat([unread, values.count_unread(session)])
    return _Staged(session, source, hashed, bad, unread)


def _staged_columns(session: Session) -> set[str]:
    return {str(row[0]) for row in session.rows("describe staged")}


def _reject_late(session: Session, files: pl.DataFrame) -> None:
    """Rejects events received after their file can have been written, or a year after it.

    Without the collector's clock the sender's is believed for so long, and its events wait.
    """
    if "received_at" in _staged_columns(session):
        with session.offering(files=files):
            session.execute(
                "update staged set reason = case"
                " when staged.received_at is not null"
                " then 'received_at lies more than a day after the file''s load date'"
                " else 'its time lies more than a year after the file''s load date' end"
                " from files where files.path = staged.path and staged.reason is null and case"
                " when staged.received_at is not null then staged.received_at >= files.latest_at"
                " else coalesce(staged.sent_at, staged.occurred_at) >= files.latest_at + $year end",
                {"year": dt.timedelta(days=366)},
            )


def _offer_address_hashes(session: Session, names: Names) -> None:
    """Makes the temporary table `address_hashes`: path, line, channel, address_hash.

    What is a placeholder instead of an address leaves `staged`. An identifier that is itself an
    address stands there with the channel NULL.
    """
    told = session.rows(
        "select distinct entry.channel, entry.address"
        " from (select unnest(addresses) as entry from staged where reason is null)"
    )
    hashes = [names.address_hash(address, channel) for channel, address in told]
    users = session.frame("select distinct user_key from staged where user_key is not null")
    of_users = [names.hash_in(identifier) for identifier in users["user_key"]]
    known = pl.DataFrame(
        {
            "channel": [channel for channel, _ in told] + [None] * len(users),
            "address": [address for _, address in told] + users["user_key"].to_list(),
            "address_hash": hashes + of_users,
        },
        schema=dict.fromkeys(("channel", "address", "address_hash"), pl.String),
    )
    if None in hashes:
        nobodys = [
            f"{channel}:{address}"
            for (channel, address), hashed in zip(told, hashes, strict=True)
            if hashed is None
        ]
        session.execute(
            "update staged set addresses = list_filter(addresses, lambda entry:"
            " not list_contains($nobodys, entry.channel || ':' || entry.address))",
            {"nobodys": nobodys},
        )
        session.execute(
            "update staged set reason = 'user_id is missing'"
            " where reason is null and user_key is null and len(addresses) = 0"
        )
    with session.offering(known=known):
        session.execute(
            "create or replace temp table address_hashes as"
            " select path, line, entry.channel as channel, known.address_hash"
            " from (select path, line, unnest(addresses) as entry from staged where reason is null)"
            " join known on known.channel = entry.channel and known.address = entry.address"
            " union all"
            " select path, line, null, known.address_hash"
            " from staged join known on known.channel is null and known.address = staged.user_key"
            " where staged.reason is null and known.address_hash is not null"
        )


def _rejected(session: Session, batch: Batch) -> pl.DataFrame:
    """The rejected records of `staged`, masked: path, line, reason, payload."""
    with session.offering(sent=batch.lines):
        # Only a reason that a layout gave comes with its payload.
        bad = session.frame(
            "with bad as (select staged as record, path, line, reason, payload from staged"
            " where reason is not null),"
            " bare as (select path, line from bad where payload is null)"
            " select bad.path, bad.line, bad.reason,"
            " coalesce(bad.payload, sent.text, cast(to_json(bad.record) as varchar)) as payload"
            " from bad left join (select path, line, text from sent semi join bare"
            " using (path, line)) as sent on sent.path = bad.path and sent.line = bad.line"
        )
    # Many a broken file says one thing over and over.
    shown = {text: masked(text) for text in bad["payload"].fill_null("").unique()}
    return bad.with_columns(
        pl.Series("payload", [shown[text or ""] for text in bad["payload"]], dtype=pl.String)
    )


def _store_addresses(vault: Vault, staged: _Staged) -> None:
    files = staged.files
    with staged.session.offering(files=files):
        rows = staged.session.frame(
            "select person.pseudonym as identifier, entry.channel as channel,"
            # An address that is the user id is the id as it reads.
            " case when entry.address = staged.user_key then person.spelling"
            " else entry.address end as address, staged.path, staged.line, files.load_date"
            " from (select path, line, user_key, unnest(addresses) as entry"
            " from staged where reason is null) as staged"
            " join files on files.path = staged.path"
            " join pseudonyms as person"
            " on person.identifier = staged.user_key"
        )
    vault.store(Addresses(staged.source.id, files["path"].to_list(), rows))


def _write(tables: RawTables, staged: _Staged, base_currency: str, loaded_at: dt.datetime) -> None:
    session, source, files = staged.session, staged.source, staged.files
    target = tables.by_entity[source.entity]
    parameters = {"source": source.id, "base_currency": base_currency}
    if source.entity == "events" and "envelope" not in _staged_columns(session):
        session.execute("alter table staged add column envelope varchar")
    if source.entity == "members":
        session.execute(redaction.attributes_macro(attributes_mapped(source)))
    counts = session.frame(
        "select path, count(*) as n_records, count(reason) as n_rejected from staged group by path"
    )
    totals = control_totals(session, source)
    ledger = (
        files.drop("began_at", "ended_at", "latest_at")
        .join(counts, on="path", how="left")
        .with_columns(
            pl.col("n_records", "n_rejected").fill_null(0),
            pl.lit(source.id).alias("source"),
            pl.lit(source.entity).alias("entity"),
            pl.lit(source.amounts).alias("amounts"),
            pl.lit(source.order_namespace, dtype=pl.String).alias("order_namespace"),
            pl.lit(loaded_at).alias("loaded_at"),
            pl.Series(
                "control_total", [totals.get(path) for path in files["path"]], pl.Decimal(18, 4)
            ),
        )
    )
    with session.transaction(), session.offering(files=files, bad=staged.bad, ledger=ledger):
        _delete(session, tables, source.id)
        session.insert(target, read_sql(f"raw/{target.table}.sql"), parameters)
        if source.entity == "members":
            session.insert(tables.addresses, read_sql("raw/addresses.sql"), parameters)
        session.insert(tables.rejected, read_sql("raw/rejected_records.sql"), parameters)
        if len(staged.unread):
            with session.offering(unread=staged.unread):
                session.insert(tables.unread, read_sql("raw/unread_values.sql"), parameters)
        session.insert(tables.loads, "select * from ledger")
    session.execute("drop table staged")


def distrust(session: Session, tables: RawTables, source_id: str, paths: Sequence[str]) -> None:
    """Marks loaded files as not to be taken for unchanged, whatever they hold.

    The vault is about to change and is another file: whoever is killed between the two must find
    that these files have to be loaded again.
    """
    files = pl.DataFrame({"path": list(paths)}, schema={"path": pl.String})
    with session.transaction(), session.offering(files=files):
        session.execute(
            f"update {tables.loads.name} set sha256 = '', modified_at = timestamp '1970-01-01'"
            " where source = $source and path in (select path from files)",
            {"source": source_id},
        )


def take_back(session: Session, tables: RawTables, source_id: str, paths: Sequence[str]) -> None:
    """Deletes what files gave, in one transaction."""
    files = pl.DataFrame({"path": list(paths)}, schema={"path": pl.String})
    with session.transaction(), session.offering(files=files):
        _delete(session, tables, source_id)


def _delete(session: Session, tables: RawTables, source_id: str) -> None:
    """Deletes what `files` gave before; new files cost no look at the history."""
    (count, first, last) = session.rows(
        f"select count(*), min(load_date), max(load_date) from {tables.loads.name}"
        " where source = $source and path in (select path from files)",
        {"source": source_id},
    )[0]
    if count:
        # Of every entity: the source may have been declared as another one.
        for contract in tables.all:
            session.execute(
                f"delete from {contract.name} where source = $source"
                " and load_date between $first and $last and path in (select path from files)",
                {"source": source_id, "first": first, "last": last},
            )


def _files(batch: Batch, identity: Identity | None, time_zone: str) -> pl.DataFrame:
    """The batch's part of the ledger, and between which instants its files can have been filled."""
    arrivals = batch.arrivals
    zone = ZoneInfo(time_zone)

    def midnight(date: dt.date) -> dt.datetime:
        local = dt.datetime.combine(date, dt.time(), zone)
        return local.astimezone(dt.UTC).replace(tzinfo=None)

    day, late = dt.timedelta(days=1), dt.timedelta(days=2)
    return pl.DataFrame(
        {
            "path": [arrival.path for arrival in arrivals],
            "began_at": [midnight(arrival.load_date) for arrival in arrivals],
            "ended_at": [midnight(arrival.load_date + day) for arrival in arrivals],
            # The end of the load date, a day later.
            "latest_at": [midnight(arrival.load_date + late) for arrival in arrivals],
            "load_date": [arrival.load_date for arrival in arrivals],
            "declaration": [_declaration(arrival, identity) for arrival in arrivals],
            "n_bytes": [arrival.n_bytes for arrival in arrivals],
            "modified_at": [arrival.modified_at for arrival in arrivals],
        }
    )
