"""Loads files into the raw tables: each file's rows and its line in the ledger, or nothing."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import polars as pl

from resources.config.sources import Entity, FileSource
from resources.contract import Contract
from resources.keys import Keys
from resources.sources.files import Arrival
from resources.sources.redaction import MACROS, masked
from resources.sources.staging import batches, control_total, stage
from resources.vault import Addresses, Vault
from resources.warehouse import Session, read_sql


@dataclass(frozen=True)
class RawTables:
    """The contracts of the raw tables that collection writes."""

    loads: Contract
    rejected: Contract
    by_entity: Mapping[Entity, Contract]

    @property
    def all(self) -> tuple[Contract, ...]:
        """Every table, the ledger first."""
        return (self.loads, self.rejected, *self.by_entity.values())


def changed(session: Session, tables: RawTables, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """The arrivals that are new, or whose content or declaration differs from what was loaded.

    A file of the same size and time is taken as unchanged without reading it.
    """
    if not session.exists(tables.loads):
        return list(arrivals)
    known = {
        (source, path): (declaration, sha256, n_bytes, modified_at)
        for source, path, declaration, sha256, n_bytes, modified_at in session.rows(
            "select source, path, declaration, sha256, n_bytes, modified_at"
            f" from {tables.loads.name}"
        )
    }
    found: list[Arrival] = []
    for arrival in arrivals:
        before = known.get((arrival.source.id, arrival.path))
        if before and before[0] == arrival.source.fingerprint:
            if before[2:] == (arrival.n_bytes, arrival.modified_at):
                continue
            if before[1] == arrival.sha256():
                continue
        found.append(arrival)
    return found


def collect(
    session: Session,
    vault: Vault,
    tables: RawTables,
    arrivals: Sequence[Arrival],
    *,
    keys: Keys,
    base_currency: str,
    loaded_at: dt.datetime,
) -> None:
    """Loads arrivals, source by source, each batch in one transaction.

    Addresses go to the vault before the batch commits: a run killed in between finds the batch
    not loaded and gives the same addresses again.

    Raises:
        SourceError: a file cannot be read; batches before it are loaded.
        ConfigError: a mapping does not fit its file.
    """
    with session.transaction():
        for contract in tables.all:
            session.create_empty(contract)
    for _, of_source in groupby(arrivals, key=lambda arrival: arrival.source.id):
        for batch in batches(list(of_source)):
            # Before reading: a file that grows meanwhile must differ from what the ledger says.
            files = _files(batch)
            stage(session, batch)
            _offer_pseudonyms(session, keys)
            if batch[0].source.entity == "members":
                _store_addresses(session, vault, batch[0].source.id, files)
            _write(session, tables, batch[0].source, files, base_currency, loaded_at)


def _offer_pseudonyms(session: Session, keys: Keys) -> None:
    """Makes the temporary table `pseudonyms` for the people in `staged`."""
    columns = {str(row[0]) for row in session.rows("describe staged")}
    named: list[pl.DataFrame] = []
    for kind, column in (("user_id", "user_key"), ("anonymous_id", "anonymous_key")):
        if column in columns:
            found = session.frame(
                f"select distinct {column} as identifier from staged"
                f" where reason is null and {column} is not null"
            )["identifier"]
            named.append(
                pl.DataFrame(
                    {
                        "kind": pl.Series([kind] * len(found), dtype=pl.String),
                        "identifier": found,
                        "pseudonym": pl.Series(keys.pseudonyms(kind, found), dtype=pl.String),
                    }
                )
            )
    empty = pl.DataFrame(schema=dict.fromkeys(("kind", "identifier", "pseudonym"), pl.String))
    with session.offering(incoming=pl.concat([empty, *named])):
        session.execute("create or replace temp table pseudonyms as from incoming")


def _store_addresses(session: Session, vault: Vault, source_id: str, files: pl.DataFrame) -> None:
    with session.offering(files=files):
        rows = session.frame(
            "select person.pseudonym as identifier, entry.channel as channel,"
            " entry.address as address, staged.path, staged.line, files.load_date"
            " from (select path, line, user_key, unnest(addresses) as entry"
            " from staged where reason is null) as staged"
            " join files on files.path = staged.path"
            " join pseudonyms as person"
            " on person.kind = 'user_id' and person.identifier = staged.user_key"
        )
    vault.store(Addresses(source_id, files["path"].to_list(), rows))


def _write(
    session: Session,
    tables: RawTables,
    source: FileSource,
    files: pl.DataFrame,
    base_currency: str,
    loaded_at: dt.datetime,
) -> None:
    target = tables.by_entity[source.entity]
    parameters = {"source": source.id, "base_currency": base_currency}
    bad = session.frame("select path, line, reason, payload from staged where reason is not null")
    bad = bad.with_columns(
        pl.Series("payload", [masked(text or "") for text in bad["payload"]], dtype=pl.String)
    )
    counts = session.frame(
        "select path, count(*) as n_records, count(reason) as n_rejected from staged group by path"
    )
    ledger = files.join(counts, on="path", how="left").with_columns(
        pl.col("n_records", "n_rejected").fill_null(0),
        pl.lit(source.id).alias("source"),
        pl.lit(loaded_at).alias("loaded_at"),
        pl.lit(control_total(session, source), dtype=pl.Decimal(18, 4)).alias("control_total"),
    )
    session.execute(MACROS)
    with session.transaction(), session.offering(files=files, bad=bad, ledger=ledger):
        for contract in (target, tables.rejected, tables.loads):
            session.execute(
                f"delete from {contract.name} where source = $source"
                " and path in (select path from files)",
                parameters,
            )
        session.insert(target, read_sql(f"raw/{target.table}.sql"), parameters)
        session.insert(tables.rejected, read_sql("raw/rejected_records.sql"), parameters)
        session.insert(tables.loads, "select * from ledger")
    session.execute("drop table staged; drop table pseudonyms")


def _files(batch: Sequence[Arrival]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "path": [arrival.path for arrival in batch],
            "load_date": [arrival.load_date for arrival in batch],
            "sha256": [arrival.sha256() for arrival in batch],
            "declaration": [arrival.source.fingerprint for arrival in batch],
            "n_bytes": [arrival.n_bytes for arrival in batch],
            "modified_at": [arrival.modified_at for arrival in batch],
        }
    )
