"""Holds the lists that are served against popularity and against what members did afterwards.

    python -m benchmarks.served NAME=PATH [NAME=PATH ...]

NAME is a shop of `benchmarks.public_shops`, PATH its data; `demo` needs no PATH, it is simulated.
A shop is cut `holdout_days` before its end: the whole pipeline runs on what lies before, and the
lists of recommend.member_products are held against what the members whom it knew bought (viewed,
where nothing is sold) after the cut. Popularity is the 20 products bought most often in the last 30
days before the cut, and of all time; the stronger one counts.

Repeats allowed: all that a member came to. New alone: what the member had never bought, within the
same 20 places of both lists. Beside it stands popularity that knows what each member had, and gives
all its 20 places to products that are new to them: no list for both can be expected to reach it.
"""

import argparse
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from rich.console import Console

from assets.recommend.assets import LIST_LENGTH
from benchmarks.public_shops import SHOPS, PublicShop
from pipelines.runs import run_pipeline
from resources.config.shop import load_shop
from resources.failure import Failure
from resources.home import Home
from resources.keys import SECRET_VARIABLE, Keys
from resources.simulation import simulate
from resources.warehouse import Database

_RECENT_DAYS = 30
_SHOP_HEADER = (
    "shop", "members", "products", "acts before", "days held out", "repeats among what came",
    "Gini of the lists", "of popularity's", "share of the first ten", "of popularity's",
)  # fmt: skip
_LIST_HEADER = (
    "shop", "repeats", "metric", "members", "served", "popular, 30 days", "popular, ever", "gain",
    "the run's own",
)  # fmt: skip
# Which of two equal products comes first depends on pseudonyms: so that a run can be repeated.
_SECRET = "the secret of a benchmark"
_MEMBER_PRODUCT = ("member_id", "product_id")
_MEMBERS = """
select i.identifier, i.member_id
from clean.identities as i
join clean.members as m on m.member_id = i.member_id
where i.kind = 'user_id' and m.is_identified
"""
_OWN = """
select metric, value
from recommend.model_metrics
where
    model = 'served'
    and segment = 'all'
    and model_version = (select max(model_version) from recommend.als_model)
"""


@dataclass(frozen=True, eq=False)
class Trial:
    """One shop, cut.

    Attributes:
        before, after: member_id, product_id, acted_on of the members whom the pipeline knew.
        popular: of all members before the cut, product_id, acted_on.
        lists: member_id, rank, product_id as served.
        own: the pipeline's own measurement of what it serves, by metric.
        holdout_days: days after the cut.
    """

    before: pl.DataFrame
    after: pl.DataFrame
    popular: pl.DataFrame
    lists: pl.DataFrame
    own: dict[str, float]
    holdout_days: int


def cut_config(shop: PublicShop, load_date: date, folder: Path) -> Path:
    """The shop's folder with everything landed on one date, where it names a date."""
    shutil.copytree(shop.config, folder)
    for name, change in (("shop.yaml", _begin_before), ("sources.yaml", _land_on)):
        path = folder / name
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(content, load_date)
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return folder


def _begin_before(content: dict[str, Any], load_date: date) -> None:
    content["first_load_date"] = min(content["first_load_date"], load_date)


def _land_on(content: dict[str, Any], load_date: date) -> None:
    for source in content["sources"]:
        if isinstance(source.get("load_date"), date):
            source["load_date"] = load_date


def try_shop(name: str, data: Path | None, folder: Path) -> Trial:
    """Runs the pipeline on what lies before the cut.

    Args:
        name: of the shop.
        data: its path; None simulates.
        folder: to work in.

    Raises:
        Failure: the run failed; the message says why.
    """
    os.environ[SECRET_VARIABLE] = _SECRET
    shop = SHOPS[name]
    declared = load_shop(shop.config)
    home = Home(path=str(folder / "home"))
    home.folder.mkdir()
    if data is None:
        assert declared.simulation
        simulate(declared.simulation, home.landing, home.truth)
        data = home.landing
    acts = shop.acts(data)
    last = acts["acted_on"].max()
    assert isinstance(last, date)
    days = declared.recommend.holdout_days
    load_date = last - timedelta(days=days)
    if shop.land:
        landed = home.landing / str(load_date)
        landed.mkdir(parents=True)
        shop.land(data, load_date + timedelta(days=1), landed)
        if shop.variable:
            os.environ[shop.variable] = str(next(landed.iterdir()))
    run_pipeline(
        cut_config(shop, load_date, folder / "config"),
        home,
        Console(file=io.StringIO()),
        began_at=datetime.combine(last + timedelta(days=2), time(), UTC),
        last=load_date,
    )
    with Database(home.warehouse).connect(read_only=True) as session:
        members = session.frame(_MEMBERS)
        lists = session.frame("select member_id, rank, product_id from recommend.member_products")
        own = dict(session.rows(_OWN))
    users = acts["user_id"].unique()
    named = pl.DataFrame(
        {"user_id": users, "identifier": Keys.derived_from(_SECRET).pseudonyms(users)}
    ).join(members, on="identifier")
    acts = acts.filter(~pl.col("product_id").str.contains(declared.orders.adjustment_products))
    known = acts.join(named, on="user_id").select(*_MEMBER_PRODUCT, "acted_on")
    is_before = pl.col("acted_on") <= load_date
    return Trial(
        known.filter(is_before),
        known.filter(~is_before),
        acts.filter(is_before).select("product_id", "acted_on"),
        lists,
        own,
        days,
    )


def by_member(lists: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """What lists foresaw of each member.

    Args:
        lists: member_id, rank (from 1), product_id.
        truth: member_id, product_id, distinct.

    Returns:
        recall, ndcg at 20, a row per member of ``truth``, ascending; a member without a list
        has 0.
    """
    gain = 1 / (pl.col("rank") + 1).log(2)
    hits = (
        lists.filter(pl.col("rank") <= LIST_LENGTH)
        .join(truth, on=_MEMBER_PRODUCT)
        .group_by("member_id")
        .agg(n_hits=pl.len(), gain=gain.sum())
    )
    best = np.cumsum(1 / np.log2(np.arange(2, LIST_LENGTH + 2)))
    each = (
        truth.group_by("member_id")
        .agg(n_true=pl.len())
        .join(hits, on="member_id", how="left")
        .fill_null(0)
        .sort("member_id")
    )
    return each.select(
        recall=pl.col("n_hits") / pl.col("n_true"),
        ndcg=pl.col("gain") / pl.Series(best[np.minimum(each["n_true"], LIST_LENGTH) - 1]),
    )


def popular_lists(counted: pl.DataFrame, members: pl.Series, known: pl.DataFrame) -> pl.DataFrame:
    """The products bought most often, without what each member knows.

    Args:
        counted: product_id, one row per act.
        members: whom to list for.
        known: member_id, product_id to leave out.
    """
    n_known = known.group_by("member_id").len()["len"].max() or 0
    assert isinstance(n_known, int)
    most = counted.group_by("product_id").len().sort("len", "product_id", descending=[True, False])
    return (
        pl.DataFrame({"member_id": members})
        .join(most.head(LIST_LENGTH + n_known).with_row_index("place"), how="cross")
        .join(known, on=_MEMBER_PRODUCT, how="anti")
        .sort("member_id", "place")
        .with_columns(rank=pl.int_range(1, pl.len() + 1).over("member_id"))
        .filter(pl.col("rank") <= LIST_LENGTH)
    )


def concentration(lists: pl.DataFrame, n_products: int) -> tuple[float, float]:
    """Gini of how often products are listed, and the share of the first ten's places."""
    counts = np.sort(lists.group_by("product_id").len()["len"].to_numpy())
    every = np.r_[np.zeros(max(0, n_products - len(counts))), counts]
    places = np.arange(1, len(every) + 1)
    gini = 2 * (places * every).sum() / (len(every) * every.sum()) - (len(every) + 1) / len(every)
    return float(gini), float(counts[-10:].sum() / counts.sum())


def measured(name: str, data: Path | None) -> tuple[list[str], list[list[str]]]:
    """The row of the shop, and the rows of its lists."""
    with tempfile.TemporaryDirectory(prefix="siyu-served-") as folder:
        trial = try_shop(name, data, Path(folder))
    before, after = (each.select(_MEMBER_PRODUCT).unique() for each in (trial.before, trial.after))
    new = after.join(before, on=_MEMBER_PRODUCT, how="anti")
    last = trial.popular["acted_on"].max()
    assert isinstance(last, date)
    recent = trial.popular.filter(pl.col("acted_on") > last - timedelta(days=_RECENT_DAYS))
    nothing = before.clear()
    rows: list[list[str]] = []
    for mode, truth, known, suffix in (
        ("allowed", after, nothing, ""),
        ("new alone", new, nothing, "_new"),
        ("new alone, popularity too", new, before, "_new"),
    ):
        members = truth["member_id"].unique().sort()
        served = by_member(trial.lists, truth)
        popular = [
            by_member(popular_lists(counted, members, known), truth)
            for counted in (recent, trial.popular)
        ]
        for metric in ("recall", "ndcg"):
            value = served[metric].to_numpy()
            plain = [each[metric].to_numpy() for each in popular]
            gain = value - max(plain, key=np.mean)
            error = np.std(gain, ddof=1) / len(gain) ** 0.5
            own = trial.own.get(metric + suffix)
            rows.append(
                [
                    f"`{name}`",
                    mode,
                    f"{metric}@{LIST_LENGTH}",
                    f"{len(members):,}",
                    f"{value.mean():.4f}",
                    *(f"{each.mean():.4f}" for each in plain),
                    f"{gain.mean():+.4f} ± {2 * error:.4f}",
                    "" if own is None else f"{own:.4f}",
                ]
            )
    n_products = trial.popular["product_id"].n_unique()
    gini, first_ten = concentration(trial.lists, n_products)
    row = [
        f"`{name}`",
        f"{trial.lists['member_id'].n_unique():,}",
        f"{n_products:,}",
        f"{len(trial.popular):,}",
        f"{trial.holdout_days}",
        f"{1 - len(new) / max(1, len(after)):.0%}".replace("%", " %"),
        f"{gini:.3f}",
        # The same list for all: its 20 products are listed alike, the others never.
        f"{1 - LIST_LENGTH / n_products:.3f}",
        f"{first_ten:.3f}",
        f"{10 / LIST_LENGTH:.3f}",
    ]
    return row, rows


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], n_texts: int) -> str:
    ruler = ["---"] * n_texts + ["---:"] * (len(header) - n_texts)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ruler, *rows))


def _given(text: str) -> tuple[str, Path | None]:
    name, _, path = text.partition("=")
    if name not in SHOPS or (name != "demo") != bool(path):
        raise argparse.ArgumentTypeError(f"{text!r}: expected demo, or NAME=PATH of {[*SHOPS]}")
    if path and not Path(path).exists():
        raise argparse.ArgumentTypeError(f"no such file or folder: {path}")
    return name, Path(path) if path else None


def main(argv: Sequence[str] | None = None) -> int:
    """Print both tables.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0, or 1 where a run failed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.served",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shops", nargs="+", type=_given, metavar="NAME=PATH")
    shops: list[tuple[str, Path | None]] = parser.parse_args(argv).shops
    found: list[tuple[list[str], list[list[str]]]] = []
    for name, data in shops:
        # In a process of its own: the memory of one shop must not weigh on the next.
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as apart:
            try:
                found.append(apart.submit(measured, name, data).result())
            except Failure as error:
                print(f"benchmarks.served: {name}: {error}", file=sys.stderr)
                return 1
    print(_table(_SHOP_HEADER, [row for row, _ in found], 1))
    print(f"\n{_table(_LIST_HEADER, [row for _, rows in found for row in rows], 3)}")
    print(
        "\nGain is what is served less the stronger popularity, with two standard errors of the "
        "difference on the same members. The run's own number is of the weeks before the cut, of "
        "half the members, and of all that they came to, views too."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
