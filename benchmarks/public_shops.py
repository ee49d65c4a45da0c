"""Shops whose data anybody can get, and what their members did, read apart from the pipeline.

Each is cut at a date: what lies before is landed as a user would land it, in a folder of that load
date; what came after is kept to hold the lists against. benchmarks/shops/README.md says where the
data come from.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from resources.warehouse import Database

_ROOT = Path(__file__).resolve().parent
_DEMO_LINES = """
with ordered as (
    select distinct
        "userId" as user_id,
        properties->>'$.order_id' as order_id,
        unnest(from_json(properties->'$.products', '["json"]'))->>'$.product_id' as product_id,
        regexp_extract(filename, '(\\d{4}-\\d\\d-\\d\\d)\\.jsonl$', 1)::date as acted_on
    from read_json(
        $events,
        columns = {event: 'varchar', "userId": 'varchar', properties: 'json'},
        format = 'newline_delimited',
        ignore_errors = true,
        filename = true
    )
    where event = 'Order Completed'
)

select user_id, product_id, acted_on from ordered
union all
select user_id, product_id, ordered_at::timestamp::date from read_csv($history, all_varchar = true)
"""
# Of the households of The Complete Journey; its sources.yaml takes the same.
_OF_HOUSEHOLDS = 4


@dataclass(frozen=True)
class PublicShop:
    """How one shop's data are read.

    Attributes:
        config: its folder of shop.yaml and sources.yaml.
        acts: from the data's path to user_id, product_id, acted_on (the shop's date), one row per
            order line, or per view where nothing is sold.
        land: writes what lies before a date into a folder, under the names that sources.yaml
            reads; None where the data are landed day by day already.
        variable: of the environment, for the landed file's path, where sources.yaml asks for one.
    """

    config: Path
    acts: Callable[[Path], pl.DataFrame]
    land: Callable[[Path, date, Path], None] | None = None
    variable: str | None = None


def _acts(rows: pl.DataFrame, user_id: str, product_id: str, acted_on: pl.Expr) -> pl.DataFrame:
    return rows.select(
        user_id=pl.col(user_id).cast(pl.String),
        product_id=pl.col(product_id).cast(pl.String),
        acted_on=acted_on,
    ).drop_nulls()


def _copy(data: Path, target: Path, *names: str) -> None:
    for name in names:
        shutil.copy(data / name, target / name)


# --- The Complete Journey


def _baskets(data: Path) -> pl.DataFrame:
    return pl.read_parquet(data / "transactions.parquet")


def _journey_acts(data: Path) -> pl.DataFrame:
    bought = _baskets(data).filter(
        pl.col("household_id") % _OF_HOUSEHOLDS == 0, pl.col("quantity") > 0
    )
    return _acts(bought, "household_id", "product_id", pl.col("transaction_timestamp").dt.date())


def _land_journey(data: Path, before: date, target: Path) -> None:
    _baskets(data).filter(pl.col("transaction_timestamp").dt.date() < before).write_parquet(
        target / "transactions.parquet"
    )
    _copy(data, target, "products.parquet", "demographics.parquet")


# --- MovieLens


def _ratings(data: Path) -> pl.DataFrame:
    names = ["user_id", "item_id", "rating", "rated_at"]
    read = pl.read_csv(data / "u.data", separator="\t", has_header=False, new_columns=names)
    rated_at = pl.from_epoch("rated_at").dt.replace_time_zone("UTC")
    return read.with_columns(rated_on=rated_at.dt.convert_time_zone("America/Chicago").dt.date())


def _views(data: Path) -> pl.DataFrame:
    return _acts(_ratings(data), "user_id", "item_id", pl.col("rated_on"))


def _land_views(data: Path, before: date, target: Path) -> None:
    _ratings(data).filter(pl.col("rated_on") < before).drop("rated_on").write_csv(
        target / "u.data", separator="\t", include_header=False
    )
    _copy(data, target, "u.item")


# --- Northwind Traders


def _table(data: Path, name: str) -> pl.DataFrame:
    return pl.read_csv(data / f"{name}.csv", infer_schema=False)


def _orders(data: Path) -> pl.DataFrame:
    ordered_on = pl.col("orderDate").str.slice(0, 10).str.to_date()
    return _table(data, "orders").with_columns(ordered_on=ordered_on)


def _northwind_acts(data: Path) -> pl.DataFrame:
    lines = _table(data, "order_details").join(_orders(data), on="orderID")
    return _acts(lines, "customerID", "productID", pl.col("ordered_on"))


def _land_northwind(data: Path, before: date, target: Path) -> None:
    orders = _orders(data).filter(pl.col("ordered_on") < before).drop("ordered_on")
    orders.write_csv(target / "orders.csv")
    _table(data, "order_details").join(orders, on="orderID", how="semi").write_csv(
        target / "order_details.csv"
    )
    _copy(data, target, "products.csv", "categories.csv", "customers.csv")


# --- Online Retail II


def _retail_acts(data: Path) -> pl.DataFrame:
    bought = pl.read_parquet(data).filter(
        ~pl.col("invoice_no").str.starts_with("C"), pl.col("quantity") > 0
    )
    return _acts(bought, "customer_id", "stock_code", pl.col("invoice_ts").dt.date())


def _land_retail(data: Path, before: date, target: Path) -> None:
    pl.read_parquet(data).filter(pl.col("invoice_ts").dt.date() < before).write_parquet(
        target / "online_retail_ii.parquet"
    )


# --- The demo


def _demo_acts(data: Path) -> pl.DataFrame:
    """Its landing folder is cut between files, so the day of an act is that of its file."""
    with (
        TemporaryDirectory() as folder,
        Database(Path(folder) / "acts.duckdb").connect() as session,
    ):
        lines = session.frame(
            _DEMO_LINES,
            {
                "events": str(data / "events" / "*.jsonl"),
                "history": str(data / "orders_history" / "*.csv"),
            },
        )
    return _acts(lines, "user_id", "product_id", pl.col("acted_on"))


SHOPS: Mapping[str, PublicShop] = {
    "demo": PublicShop(_ROOT.parent / "config" / "demo", _demo_acts),
    "online_retail": PublicShop(
        _ROOT.parent / "config" / "online_retail",
        _retail_acts,
        _land_retail,
        "ONLINE_RETAIL_PATH",
    ),
    "complete_journey": PublicShop(
        _ROOT / "shops" / "complete_journey", _journey_acts, _land_journey
    ),
    "movielens": PublicShop(_ROOT / "shops" / "movielens", _views, _land_views),
    "northwind": PublicShop(_ROOT / "shops" / "northwind", _northwind_acts, _land_northwind),
}
