"""The landing folder: what the shop's systems export, as files."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from resources.simulation.consents import make_consents
from resources.simulation.draws import Ints
from resources.simulation.markets import MARKETS, money_text
from resources.simulation.messages import Messages
from resources.simulation.settings import SimulationReport
from resources.simulation.world import World

FOLDERS = ("events", "orders_history", "products", "members", "consents")
_THREADS = 4


def write_landing(folder: Path, world: World, messages: Messages) -> SimulationReport:
    """Write every file of the landing folder, which must be new and empty."""
    for name in FOLDERS:
        (folder / name).mkdir()
    timeline = world.timeline

    def write_events(day: int) -> int:
        lines = messages.lines_of(day)
        _write_lines(lines, folder / "events" / f"{timeline.load_dates[day]}.jsonl")
        return len(lines)

    with ThreadPoolExecutor(_THREADS) as pool:
        n_event_lines = sum(pool.map(write_events, range(timeline.days)))

    history = _history(world)
    history.write_csv(folder / "orders_history" / f"{timeline.load_dates[0]}.csv")
    for day, records in world.catalogue.snapshots.items():
        records.write_ndjson(folder / "products" / f"{timeline.load_dates[day]}.jsonl")
    members = world.population.records
    _write_by_day(world, folder / "members", members.drop("at"), members["at"])
    consents = make_consents(world.settings, timeline, world.population)
    _write_by_day(world, folder / "consents", consents.drop("at_ms"), consents["at_ms"])

    files = [path for path in folder.rglob("*") if path.is_file()]
    return SimulationReport(
        first_date=timeline.first_date,
        last_date=date.fromisoformat(timeline.load_dates[-1]),
        n_event_lines=n_event_lines,
        n_order_lines=len(history),
        n_product_lines=sum(len(records) for records in world.catalogue.snapshots.values()),
        n_member_lines=len(members),
        n_consent_lines=len(consents),
        n_files=len(files),
        n_bytes=sum(path.stat().st_size for path in files),
    )


def _write_lines(lines: pl.DataFrame, path: Path) -> None:
    lines.write_csv(path, include_header=False, quote_style="never")


def _write_by_day(world: World, folder: Path, records: pl.DataFrame, at: pl.Series) -> None:
    """One file per local date of at, which ascends; the first holds all from before, too."""
    bounds = np.searchsorted(at.to_numpy(), world.timeline.midnights)
    bounds[0] = 0
    for day, load_date in enumerate(world.timeline.load_dates):
        some = records[bounds[day] : bounds[day + 1]]
        if len(some) or not day:
            some.write_ndjson(folder / f"{load_date}.jsonl")


def _history(world: World) -> pl.DataFrame:
    """Lines of the orders from before the first date, as the ERP exports them."""
    orders, population = world.orders, world.population
    line = np.flatnonzero(orders.at[orders.line_order] < world.timeline.start)
    order: Ints = orders.line_order[line]
    market = population.market[orders.member[order]]
    digits = np.array([home.digits for home in MARKETS])[market]
    return pl.DataFrame({
        "order_id": orders.ids[order],
        "user_id": population.ids[orders.member[order]],
        "ordered_at": pl.Series(orders.at[order]).cast(pl.Datetime("ms"))
        .dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
        "product_id": world.catalogue.ids[orders.product[line]],
        "quantity": orders.quantity[line],
        "unit_price": pl.DataFrame({"minor": orders.unit_price[line], "digits": digits})
        .select(money_text(pl.col("minor"), pl.col("digits"))).to_series(),
        "currency": pl.Series([home.currency for home in MARKETS])[market],
    })  # fmt: skip
