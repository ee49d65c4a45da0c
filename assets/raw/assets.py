"""Raw: files become records, by load date."""

import datetime as dt
import os
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl

from assets.owners import DATA
from assets.raw import contracts
from assets.sql_asset import described, report, sql_asset
from resources.config.shop import Shop, minor_units
from resources.config.source import Source
from resources.config.sources import AnySource, load_sources
from resources.home import Home
from resources.keys import Keyring
from resources.shop import ShopConfig
from resources.sources.arriving import arrived, is_pulled
from resources.sources.collection import RawTables, changed, collect, read_ledger
from resources.sources.pages import Spool
from resources.sources.pulling import Pulled, pull
from resources.vault import Vault
from resources.warehouse import Session, Warehouse

# Tells a run when it began, so that it sees the files that whoever started it saw.
BEGAN_TAG = "siyu/began_at"

TABLES = RawTables(
    loads=contracts.LOADS,
    rejected=contracts.REJECTED_RECORDS,
    unread=contracts.UNREAD_VALUES,
    addresses=contracts.ADDRESSES,
    by_entity={
        "events": contracts.EVENTS,
        "products": contracts.PRODUCT_RECORDS,
        "members": contracts.MEMBERS,
        "consents": contracts.CONSENTS,
    },
)
COLLECTED = (*TABLES.all, contracts.SOURCES)


def collected(load_dates: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """The raw tables that files fill, partitioned by load date."""

    @dg.multi_asset(
        name="collect",
        specs=[
            dg.AssetSpec(
                contract.asset_key,
                description=contract.comment,
                owners=[DATA],
                kinds={"python", "duckdb"},
                group_name="raw",
                partitions_def=load_dates,
                metadata={"dagster/column_schema": contract.table_schema()},
            )
            for contract in COLLECTED
        ],
        pool="warehouse",
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def collect_files(
        context: dg.AssetExecutionContext,
        shop: ShopConfig,
        home: Home,
        keyring: Keyring,
        vault: Vault,
        warehouse: Warehouse,
    ) -> Iterator[dg.MaterializeResult[Any]]:
        """Loads what arrived on the partitions' dates and is new or changed."""
        vault.check_key()
        wanted = {dt.date.fromisoformat(key) for key in context.partition_keys}
        began = _beginning(context)
        keys = keyring.unlock()
        sources = load_sources(Path(shop.folder)).sources
        spool = Spool(home.pages, keys)
        pulled = _pull(sources, spool, max(wanted), began, shop.declared)
        with warehouse.connect() as session:
            ledger = read_ledger(session, TABLES, shop.declared.time_zone)
            arrivals = [
                arrival
                for arrival in arrived(sources, home.landing, spool, os.environ, began, ledger)
                if arrival.load_date in wanted
            ]
            new = changed(session, TABLES, arrivals, shop.declared.identity)
            collect(
                session,
                vault,
                TABLES,
                new,
                keys=keys,
                base_currency=shop.declared.base_currency,
                loaded_at=began,
                time_zone=shop.declared.time_zone,
                identity=shop.declared.identity,
            )
            asked = {each.source_id for each in pulled if each.failure is None}
            _write_sources(session, sources, asked, began)
            counts = {contract.table: session.count(contract) for contract in COLLECTED}
        context.log.info(f"{len(new)} of {len(arrivals)} files were new or changed")
        for each in pulled:
            context.log.info(f"{each.source_id}: {each.n_records} records in {each.n_pages} pages")
            if each.failure is not None:
                # What came is loaded; what follows would take a part for the whole.
                raise each.failure
        for contract in COLLECTED:
            yield dg.MaterializeResult(
                asset_key=contract.asset_key,
                metadata={"dagster/row_count": counts[contract.table], "n_files": len(new)},
            )

    return collect_files


def _beginning(context: dg.AssetExecutionContext) -> dt.datetime:
    """When the run began, in naive UTC: what it was told, else when it was recorded."""
    if told := context.run.tags.get(BEGAN_TAG):
        return dt.datetime.fromisoformat(told)
    record = context.instance.get_run_record_by_id(context.run.run_id)
    if record is None:
        raise LookupError(f"run {context.run.run_id} is not recorded, so it has no beginning")
    return record.create_timestamp.replace(tzinfo=None)


def _pull(
    sources: Iterable[Source], spool: Spool, load_date: dt.date, began: dt.datetime, shop: Shop
) -> list[Pulled]:
    """Pulls what servers have, unless it is an older day that is collected again."""
    today = began.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(shop.time_zone)).date()
    if load_date < today - dt.timedelta(days=1):
        return []
    due = [source for source in sources if is_pulled(source)]
    return pull(due, spool, load_date=load_date, environment=os.environ)


def _write_sources(
    session: Session, sources: Iterable[AnySource], asked: Set[str], began: dt.datetime
) -> None:
    """Keeps what is declared, and when servers were asked: those in `asked` just now."""
    before: dict[str, dt.datetime] = {}
    if session.exists(contracts.SOURCES):
        before = dict(session.rows("select source, asked_at from raw.sources"))
    rows = [
        {
            "source": source.id,
            "kind": source.kind,
            "entity": source.entity,
            "is_pulled": is_pulled(source),
            "asked_at": began if source.id in asked else before.get(source.id),
            "collected_at": began,
        }
        for source in sources
    ]
    schema = {
        "source": pl.String,
        "kind": pl.String,
        "entity": pl.String,
        "is_pulled": pl.Boolean,
        "asked_at": pl.Datetime("us"),
        "collected_at": pl.Datetime("us"),
    }
    with session.transaction():
        session.write_frame(contracts.SOURCES, pl.DataFrame(rows, schema=schema))


products = sql_asset(contracts.PRODUCTS)


def exchange_rates(shop: Shop) -> pl.DataFrame:
    """The shop's exchange rates, the base currency at 1, each until the next one."""
    rows = [(shop.base_currency, dt.date(1900, 1, 1), 1.0)]
    rows += [(each.currency, each.valid_from, each.rate) for each in shop.fx_rates]
    schema = {"currency": pl.String, "valid_from": pl.Date, "rate": pl.Float64}
    places = {currency: minor_units(currency) for currency, _, _ in rows}
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        .sort("currency", "valid_from")
        .with_columns(
            pl.col("valid_from").shift(-1).over("currency").alias("valid_to"),
            pl.col("currency").replace_strict(places, return_dtype=pl.Int32).alias("minor_units"),
        )
    )


@dg.asset(
    key=contracts.FX_RATES.asset_key,
    deps=[contracts.LOADS.asset_key],
    kinds={"yaml", "duckdb"},
    **described(contracts.FX_RATES),
)
def fx_rates(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """Exchange rates of shop.yaml."""
    rates = exchange_rates(shop.declared)
    return report(
        warehouse, shop, lambda session, _: session.write_frame(contracts.FX_RATES, rates)
    )
