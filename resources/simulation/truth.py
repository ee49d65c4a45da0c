"""What the pipeline must never read: the shop as it truly is, to hold its models against."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from resources.simulation.dirt import DEFINITIONS, Dirt
from resources.simulation.draws import Ints
from resources.simulation.event_log import Sharing
from resources.simulation.frauds import KINDS, Frauds
from resources.simulation.groups import Groups
from resources.simulation.markets import DAY, MARKETS, base_rates, minor_units
from resources.simulation.orders import STATUSES
from resources.simulation.sharing import Shares
from resources.simulation.timeline import MONTH_DAYS
from resources.simulation.world import World


def _instants(values: Ints) -> pl.Series:
    return pl.Series(values).cast(pl.Datetime("ms", "UTC"))


def members_truth(world: World) -> pl.DataFrame:
    """One row per member: her parameters, whether she is still there, and her next 12 months.

    `discounted_margin_next_12_months` is in the base currency, net of refunds and cancellations;
    months have 30 days, and each is discounted at its end.
    """
    settings, timeline, _, population, orders = world
    n = population.n_members
    is_future = orders.at >= timeline.end
    month = (orders.at[is_future] - timeline.end) // (MONTH_DAYS * DAY) + 1
    discounted = orders.net_margin[is_future] / (1 + settings.monthly_discount_rate) ** month
    has_ordered = orders.first_at < timeline.end
    return pl.DataFrame({
        "user_id": population.ids,
        "signed_up_at": _instants(population.signed_up_at),
        "country": pl.Series([market.country for market in MARKETS])[population.market[:n]],
        "is_buyer": population.is_buyer,
        "lambda": population.order_rate,
        "p_dropout": population.dropout,
        "first_ordered_at": _instants(orders.first_at),
        "is_alive_at_end": orders.dropped_at >= timeline.end,
        "expected_spend": settings.spend.p / population.spend_rate,
        "n_orders_next_12_months": np.bincount(orders.member[is_future], minlength=n),
        "discounted_margin_next_12_months": np.bincount(
            orders.member[is_future], discounted, minlength=n
        ),
        "browse_rate": population.browse_rate,
        "share_rate": population.share_rate,
        "tastes": population.tastes[:n].tolist(),
    }).with_columns(
        pl.when(pl.Series(has_ordered)).then(pl.col("is_alive_at_end", "first_ordered_at"))
    )  # fmt: skip


def orders_truth(world: World) -> pl.DataFrame:
    """One row per order of history, of the days with events (window) and of the future."""
    settings, timeline, _, population, orders = world
    market = population.market[orders.member]
    period = (orders.at >= timeline.start).astype(np.int64) + (orders.at >= timeline.end)
    in_units = orders.revenue / minor_units()[market]
    return pl.DataFrame({
        "order_id": orders.ids,
        "user_id": population.ids[orders.member],
        "ordered_at": _instants(orders.at),
        "period": pl.Series(["history", "window", "future"])[period],
        "n_lines": orders.n_lines,
        "revenue": in_units,
        "currency": pl.Series([market.currency for market in MARKETS])[market],
        "revenue_base": in_units * base_rates(settings.base_currency)[market],
        "net_margin_base": orders.net_margin,
        "status": pl.Series(STATUSES)[orders.status],
        "settled_at": _instants(orders.settled_at),
    }).with_columns(pl.when(pl.col("status") != STATUSES[0]).then("settled_at"))  # fmt: skip


def shares_truth(world: World, shares: Shares) -> pl.DataFrame:
    """One row per share and member whom it brought, or per share that brought nobody.

    `caused_order_ids` are the referred member's orders up to the end: without the share, she
    would not have come. What `frauds_truth` holds is not told here.
    """
    _, timeline, catalogue, population, orders = world
    caused = (
        pl.DataFrame({"referred_id": population.ids[orders.member], "order_id": orders.ids})
        .filter(pl.Series(orders.at < timeline.end))
        .group_by("referred_id", maintain_order=True)
        .agg(pl.col("order_id").alias("caused_order_ids"))
    )
    referrals = pl.DataFrame({
        "share_code": shares.codes[shares.cause],
        "referred_id": population.ids[shares.referred],
    }).join(caused, on="referred_id", how="left", maintain_order="left")  # fmt: skip
    return (
        pl.DataFrame({
            "share_code": shares.codes,
            "sharer_id": population.ids[shares.sharer],
            "product_id": catalogue.ids[shares.product],
            "shared_at": _instants(shares.at),
        })
        .join(referrals, on="share_code", how="left", maintain_order="left_right")
        .with_columns(pl.col("caused_order_ids").fill_null([]))
    )  # fmt: skip


def frauds_truth(world: World, shares: Shares, frauds: Frauds) -> pl.DataFrame:
    """One row per click that must bind nobody, with whom it would have bound to whom.

    A sharer who opens her own link would bind herself; of a ring of members who came by each
    other's links, the click is the one that closes it.
    """
    ids = world.population.ids
    return pl.DataFrame(
        {
            "kind": pl.Series(KINDS)[frauds.kind],
            "sharer_id": ids[frauds.sharer],
            "member_id": ids[frauds.member],
            "share_code": shares.codes[frauds.share],
            "clicked_at": _instants(frauds.at),
        }
    )


def groups_truth(world: World, groups: Groups) -> pl.DataFrame:
    """One row per group order: its members and orders, the leader's first."""
    orders, ids = world.orders, world.population.ids
    order = np.flatnonzero(groups.of_order >= 0)
    together = (
        pl.DataFrame({
            "group_id": groups.ids[groups.of_order[order]],
            "member_ids": ids[orders.member[order]],
            "order_ids": orders.ids[order],
        })
        .group_by("group_id", maintain_order=True)
        .agg("member_ids", "order_ids")
    )  # fmt: skip
    return pl.DataFrame({
        "group_id": groups.ids,
        "leader_id": ids[orders.member[groups.leader]],
        "product_id": world.catalogue.ids[groups.product],
        "opened_at": _instants(orders.at[groups.leader]),
        "is_complete": groups.is_complete,
    }).join(together, on="group_id", how="left", maintain_order="left")  # fmt: skip


def write_truth(folder: Path, world: World, sharing: Sharing, dirt: Dirt) -> None:
    """Write members, orders, products and all about sharing as Parquet, and dirt.json."""
    shares, frauds, groups = sharing
    members_truth(world).write_parquet(folder / "members.parquet")
    orders_truth(world).write_parquet(folder / "orders.parquet")
    shares_truth(world, shares).write_parquet(folder / "shares.parquet")
    frauds_truth(world, shares, frauds).write_parquet(folder / "frauds.parquet")
    groups_truth(world, groups).write_parquet(folder / "groups.parquet")
    world.catalogue.truth.write_parquet(folder / "products.parquet")
    by_date = {row.pop("load_date"): row for row in dirt.by_load_date.to_dicts()}
    counts = {"definitions": DEFINITIONS, "totals": dirt.totals, "by_load_date": by_date}
    text = json.dumps(counts, ensure_ascii=False, indent=1)
    (folder / "dirt.json").write_text(text, encoding="utf-8")
