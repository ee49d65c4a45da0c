"""Holds a run of the demo shop against what is true of it: `python -m benchmarks.truth`.

The simulation writes its truths beside the landing folder; the pipeline never reads them. Here
they are compared with the tables that the pipeline made of the dirty logs.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from pipelines.definitions import DEFAULT_HOME
from resources.home import Home
from resources.keys import Keys, find_secret
from resources.warehouse import Database, Session

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
select identities.identifier, clv.p_alive, clv.expected_orders, clv.predicted_clv,
    clv.predicted_clv_low, clv.predicted_clv_high, clv.expected_clv_low, clv.expected_clv_high
from value.clv as clv
join clean.identities as identities using (member_id)
where identities.kind = 'user_id'
"""

_USERS = "select identifier, member_id from clean.identities where kind = 'user_id'"
_REFERRALS = "select member_id, referrer_id from social.referrals"
_REFUSED = (
    "select distinct member_id, share_code, reason from social.share_clicks"
    " where outcome = 'refused'"
)
_REASONS = {
    "self_referral": ("own_code", "same_device"),
    "cycle": ("cycle",),
    "device_farm": ("device_farm",),
}
_COMPLETE = "select group_id from social.group_buys where is_complete"
_MATURE = """
select min(period), max(period) + interval 1 month, sum(signups)
from social.k_factor
where unit = 'month' and is_mature
"""


def compare(home: Home) -> list[tuple[str, float, float]]:
    """What is compared, what is true, what the tables say."""
    dirt = json.loads((home.truth / "dirt.json").read_text(encoding="utf-8"))["totals"]
    secret = find_secret(os.environ, home.folder, is_simulated=True)
    truth = pl.read_parquet(home.truth / "members.parquet")
    keys = Keys.derived_from(secret)
    names = keys.pseudonyms(truth["user_id"].to_list())
    with Database(home.warehouse).connect() as session:
        rejected = session.scalar("select count(*) from raw.rejected_records")
        copies = session.scalar(
            "select count(*) - count(distinct message_id) from raw.events where source = 'events'"
        )
        late, skewed, bots = session.rows(_EVENTS)[0]
        partial, whole, cancelled = session.rows(_ORDERS)[0]
        values = session.frame(_VALUES)
        sharing = list(compare_sharing(home.truth, keys, session))
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
    told = known.filter(pl.col("p_alive").is_not_null())
    alive = told.select(pl.col("is_alive_at_end").mean(), pl.col("p_alive").mean()).rows()
    return [
        ("broken lines, rejected", dirt["broken_lines"], rejected),
        ("copies of a message, counted once", dirt["duplicates"], copies),
        ("late events", dirt["late"], late),
        ("events by clocks five minutes or more off", dirt["clock_skewed"], skewed),
        ("events of bots", dirt["bot_events_agent"] + dirt["bot_events_fast"], bots),
        ("orders refunded in part", dirt["refunds_partial"], partial),
        ("orders refunded whole", dirt["refunds_full"], whole),
        ("orders cancelled", dirt["cancelled"], cancelled),
        # The fallback tells no probability and no bounds.
        *(("repeat buyers still alive (mean of P(alive))", *means) for means in alive if len(told)),
        ("order days in the next 12 months", sums[2], sums[3]),
        ("discounted margin of the next 12 months (CLV)", sums[0], sums[1]),
        *compare_bounds(known),
        *sharing,
    ]


def compare_bounds(members: pl.DataFrame) -> Iterator[tuple[str, float, float]]:
    """How many of the buyers bring what lies within their bounds: promised, and found."""
    members = members.filter(pl.col("predicted_clv_low").is_not_null())
    if members.is_empty():
        return
    brought = pl.col("discounted_margin_next_12_months").cast(pl.Float64)
    for bounds, promised in (("predicted", 0.95), ("expected", 0.0)):
        within = brought.is_between(f"{bounds}_clv_low", f"{bounds}_clv_high")
        what = f"buyers whose margin lies within {bounds}_clv_low and _high"
        yield (
            what if promised else f"{what}, which bound its mean alone",
            promised,
            members.select(within.mean()).item(),
        )


def compare_sharing(
    truth: Path, keys: Keys, session: Session
) -> Iterator[tuple[str, float, float]]:
    """The same of who brought whom: recall, then precision, then what must have been refused."""
    numbers = dict(session.rows(_USERS))

    def members(frame: pl.DataFrame, column: str) -> list[int | None]:
        names = keys.pseudonyms(frame[column].to_list())
        return [numbers.get(name) for name in names]

    shares = pl.read_parquet(truth / "shares.parquet")
    brought = shares.filter(pl.col("referred_id").is_not_null())
    true = set(zip(members(brought, "referred_id"), members(brought, "sharer_id"), strict=True))
    found = set(session.rows(_REFERRALS))
    yield (
        "referrals, and of them found with the right sharer (recall)",
        len(true),
        len(true & found),
    )
    yield "referrals found, and of them right (precision)", len(found), len(true & found)

    frauds = pl.read_parquet(truth / "frauds.parquet")
    refused = set(session.rows(_REFUSED))
    would_be = list(zip(
        frauds["kind"], members(frauds, "member_id"), members(frauds, "sharer_id"),
        frauds["share_code"], strict=True,
    ))  # fmt: skip
    for kind in frauds["kind"].unique(maintain_order=True):
        planted = [fraud[1:] for fraud in would_be if fraud[0] == kind]
        stopped = sum(
            any((member, code, reason) in refused for reason in _REASONS[kind])
            and (member, sharer) not in found
            for member, sharer, code in planted
        )
        yield f"{kind.replace('_', ' ')}s planted, and refused for it", len(planted), stopped

    start, end, n_sign_ups = session.rows(_MATURE)[0]
    made = json.loads((truth / ".simulated.json").read_text(encoding="utf-8"))
    shared_on = pl.col("shared_at").dt.convert_time_zone(made["time_zone"]).dt.date()
    if start is not None:
        in_time = brought.filter(shared_on.is_between(start, end.date(), closed="left"))
        yield "sign-ups by shares of months that are over (K)", len(in_time), n_sign_ups
    groups = set(pl.read_parquet(truth / "groups.parquet").filter("is_complete")["group_id"])
    complete = {group_id for (group_id,) in session.rows(_COMPLETE)}
    yield "group orders that were full in time, found", len(groups), len(complete & groups)
    yield "group orders found full, and of them right", len(complete), len(complete & groups)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the comparison as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.truth")
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME, help="SIYU_HOME of the demo")
    home = Home(path=str(parser.parse_args(argv).home.absolute()))
    print("| on the demo shop | true | found | found / true |")
    print("| --- | ---: | ---: | ---: |")
    for what, true, found in compare(home):
        shown = [f"{each:,.3f}" if 0 < each < 1 else f"{each:,.0f}" for each in (true, found)]
        ratio = f"{found / true:.3f}" if true else ""
        print(f"| {what} | {shown[0]} | {shown[1]} | {ratio} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
