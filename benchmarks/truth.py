"""Holds a run of the demo shop against what is true of it: `python -m benchmarks.truth`.

The simulation writes its truths beside the landing folder; the pipeline never reads them. Here
they are compared with the tables that the pipeline made of the dirty logs.
"""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pipelines.definitions import DEFAULT_HOME
from resources.home import Home
from resources.keys import Keys, find_secret
from resources.warehouse import Database

_EVENTS = """
select
    count(*) filter (where is_late) as late,
    count(*) filter (where is_clock_skewed) as clock_skewed,
    count(*) filter (where is_bot) as bots
from clean.events
"""
_ORDERS = """
select
    count(*) filter (where status = 'partially_refunded') as partial,
    count(*) filter (where status = 'refunded') as whole,
    count(*) filter (where status = 'cancelled') as cancelled
from clean.orders
"""
_VALUES = """
select identities.identifier, clv.p_alive, clv.expected_orders, clv.predicted_clv
from value.clv as clv
join clean.identities as identities using (member_id)
where identities.kind = 'user_id'
"""


def compare(home: Home) -> list[tuple[str, float, float]]:
    """What is compared, what is true, what the tables say."""
    dirt = json.loads((home.truth / "dirt.json").read_text(encoding="utf-8"))["totals"]
    secret = find_secret(os.environ, home.folder, is_simulated=True)
    truth = pl.read_parquet(home.truth / "members.parquet")
    names = Keys.derived_from(secret).pseudonyms("user_id", truth["user_id"].to_list())
    with Database(home.warehouse).connect() as session:
        rejected = session.scalar("select count(*) from raw.rejected_records")
        copies = session.scalar(
            "select count(*) - count(distinct message_id) from raw.events where source = 'events'"
        )
        late, skewed, bots = session.rows(_EVENTS)[0]
        partial, whole, cancelled = session.rows(_ORDERS)[0]
        values = session.frame(_VALUES)
    known = truth.with_columns(pl.Series("identifier", names)).join(values, on="identifier")
    sums = known.select(
        pl.col(
            "discounted_margin_next_12_months",
            "predicted_clv",
            "n_orders_next_12_months",
            "expected_orders",
        )
        .cast(pl.Float64)
        .sum()
    ).row(0)
    alive = known.select(pl.col("is_alive_at_end").mean(), pl.col("p_alive").mean()).row(0)
    return [
        ("broken lines, rejected", dirt["broken_lines"], rejected),
        ("copies of a message, counted once", dirt["duplicates"], copies),
        ("late events", dirt["late"], late),
        ("events by clocks five minutes or more off", dirt["clock_skewed"], skewed),
        ("events of bots", dirt["bot_events_agent"] + dirt["bot_events_fast"], bots),
        ("orders refunded in part", dirt["refunds_partial"], partial),
        ("orders refunded whole", dirt["refunds_full"], whole),
        ("orders cancelled", dirt["cancelled"], cancelled),
        ("buyers still alive (mean of P(alive))", *alive),
        ("order days in the next 12 months", sums[2], sums[3]),
        ("discounted margin of the next 12 months (CLV)", sums[0], sums[1]),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the comparison as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.truth")
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="SIYU_HOME of the demo")
    home = Home(path=str(parser.parse_args(argv).home.absolute()))
    print("| on the demo shop | true | found | found / true |")
    print("| --- | ---: | ---: | ---: |")
    for what, true, found in compare(home):
        shown = [f"{each:,.3f}" if each < 1 else f"{each:,.0f}" for each in (true, found)]
        print(f"| {what} | {shown[0]} | {shown[1]} | {found / true:.3f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
