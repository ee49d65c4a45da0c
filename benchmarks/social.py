"""Time sharing on a large pool: PageRank, attribution, the referral tree, advocates.

    python -m benchmarks.social [--members N] [--votes N] [--repeats R]

PageRank is timed alone, on votes at random for members of unequal fame, and held against one bare
product of its matrix with a vector. The rest is a pool in a database of
its own: every member was brought by one who was there before, clicked on one more link before
that, and has ordered since. Each is the SQL that the asset runs, held against a copy of the table
it reads most of. The median of the repeats counts.
"""

import argparse
import datetime as dt
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # pyright: ignore[reportMissingTypeStubs]

from assets.clean import contracts as clean
from assets.features.contracts import SHARE_TOUCHES
from assets.social.advocates import Score, ranked
from assets.social.contracts import REFERRALS, SHARE_CLICKS
from assets.social.page_rank import page_rank
from resources.config.shop import Shop
from resources.contract import Contract
from resources.warehouse import Database, Session, read_sql

LOAD_DATE = dt.date(2026, 6, 30)
_NEUTRAL = {
    "bigint": "0",
    "integer": "0",
    "double": "0",
    "boolean": "false",
    "varchar": "''",
    "date": "date '2026-01-01'",
    "timestamp": "timestamp '2026-01-01'",
    "decimal(18, 4)": "0",
}
# Of each table, what is not neutral. Members are 1 to $members; the one tenth that came first were
# brought by nobody. hash() is DuckDB's and the same everywhere.
_POOL: tuple[tuple[Contract, str], ...] = (
    (
        clean.IDENTITIES,
        """
        select 'u' || m as identifier, 'user_id' as kind, m as member_id, m as visitor_id,
            joined_at as first_seen_at
        from people
        union all
        select 'd' || m, 'anonymous_id', m, -m, joined_at from people
    """,
    ),
    (
        clean.MERGE_LOG,
        """
        select 'd' || m as anonymous_id, 'u' || m as user_id, true as is_merged,
            joined_at as linked_at
        from people
    """,
    ),
    (
        SHARE_TOUCHES,
        """
        select 's' || m as message_id, 'share' as kind, 'c' || m as share_code, m as member_id,
            -m as visitor_id, true as is_logged_in, joined_at + interval 1 minute as occurred_at
        from people
        union all
        select 'k' || m, 'click', 'c' || referrer, m, -m, false, joined_at - interval 1 minute
        from people where referrer is not null
        union all
        select 'r' || m, 'click', 'c' || rival, m, -m, false, joined_at - interval 2 minute
        from people where referrer is not null
    """,
    ),
    (
        clean.ORDERS,
        """
        select 'o' || m as order_id, m as member_id, joined_at + interval 1 hour as ordered_at,
            cast(joined_at as date) as order_date, 'completed' as status, 20 as net_revenue,
            6 as margin
        from people
    """,
    ),
)
# Whoever is brought is brought by an earlier one; the younger the sharer, the rarer.
_PEOPLE = """
    create temp table people as
    select
        m,
        case when m > $members / 10 then 1 + hash(m, 1) % (m - 1) end as referrer,
        case when m > $members / 10 then 1 + hash(m, 2) % (m - 1) end as rival,
        timestamp '2026-01-01' + to_minutes(cast(m * 259000 / $members as integer)) as joined_at
    from (select unnest(range(1, $members + 1)) as m)
"""


def votes(
    n_members: int, n_votes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Voters, chosen and weights: votes at random for members of Zipf's fame; ever the same."""
    rng = np.random.default_rng(0)
    fame = np.floor((n_members + 1.0) ** rng.random(n_votes)).astype(np.int64) - 1
    chosen = rng.permutation(n_members)[np.minimum(fame, n_members - 1)]
    return rng.integers(0, n_members, n_votes), chosen, 0.5 ** (rng.random(n_votes) * 6)


def fill(session: Session, n_members: int) -> None:
    """Makes the pool's tables."""
    session.execute(_PEOPLE, {"members": n_members})
    for contract, select in _POOL:
        given = session.frame(f"select * from ({select}) limit 0").columns
        columns = ", ".join(
            column.quoted
            if column.name in given
            else f"{'null' if column.nullable else _NEUTRAL[column.type]} as {column.quoted}"
            for column in contract.columns
        )
        session.create_table(contract, f"select {columns} from ({select})")


def seconds(run: Callable[[], object], repeats: int) -> float:
    """The median time of some calls."""
    times: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return median(times)


def rank_everybody(n_members: int, n_votes: int, repeats: int) -> bool:
    """Times PageRank; whether the ranks solve its equations."""
    graph = votes(n_members, n_votes)
    found: list[NDArray[np.float64]] = []
    took = seconds(lambda: found.append(page_rank(n_members, *graph)), repeats)

    voters, chosen, weights = graph
    given = np.bincount(voters, weights, n_members)
    shares = np.divide(weights, given[voters])
    matrix = csr_matrix((shares, (chosen, voters)), shape=(n_members, n_members))

    def product(rank: NDArray[np.float64]) -> NDArray[np.float64]:
        return cast("NDArray[np.float64]", matrix @ rank)

    bare = seconds(lambda: product(found[0]), repeats)
    print(f"| PageRank, {n_members:,} members, {n_votes:,} votes | time | in products |")
    print("| --- | ---: | ---: |")
    print(f"| one product of the matrix with a vector | {bare:.3f} s | 1 |")
    print(f"| votes to ranks, 1e-10 | {took:.2f} s | {took / bare:.0f} |")
    print()

    # Votes for oneself are none, and were drawn too: the equations are held without them.
    others = voters != chosen
    given = np.bincount(voters[others], weights[others], n_members)
    followed = np.bincount(
        chosen[others],
        found[0][voters[others]] * weights[others] / given[voters[others]],
        n_members,
    )
    right = 0.85 * followed + (0.15 + 0.85 * found[0][given == 0].sum()) / n_members
    error = float(np.abs(right - found[0]).sum())
    print(f"The ranks add up to {found[0].sum():.12f} and miss their equations by {error:.0e}.")
    print()
    return error < 1e-9


def tell_everybody(n_members: int, repeats: int) -> bool:
    """Times attribution, tree and advocates on a pool; whether everybody was brought as told."""
    shop = Shop(
        name="pool",
        time_zone="Asia/Shanghai",
        base_currency="CNY",
        first_load_date=dt.date(2026, 1, 1),
    )
    parameters = shop.parameters(LOAD_DATE)
    social = shop.social
    weights = social.score_weights
    score = Score(social.min_referred_buyers, weights.revenue, weights.conversion, weights.reach)
    with (
        tempfile.TemporaryDirectory() as folder,
        Database(Path(folder) / "pool.duckdb").connect() as session,
    ):
        fill(session, n_members)

        def copy(contract: Contract) -> float:
            statement = f"create or replace temp table copied as select * from {contract.name}"
            return seconds(lambda: session.execute(statement), repeats)

        def make(contract: Contract) -> float:
            sql = read_sql(f"{contract.schema}/{contract.table}.sql")
            return seconds(lambda: session.create_table(contract, sql, parameters), repeats)

        def advocates() -> None:
            ranked(
                session.frame(read_sql("social/advocates.sql"), parameters),
                session.frame("select member_id, referrer_id, depth from social.referrals"),
                session.frame(read_sql("social/graph/votes.sql"), parameters),
                score,
                social.damping,
            )

        rows = [("share_clicks: who brought whom", SHARE_TOUCHES, make(SHARE_CLICKS))]
        rows.append(("referrals: the tree", SHARE_CLICKS, make(REFERRALS)))
        rows.append(("advocates", SHARE_CLICKS, seconds(advocates, repeats)))
        print(f"| {n_members:,} members | time | copy of what it reads | time / copy |")
        print("| --- | ---: | ---: | ---: |")
        for title, read, took in rows:
            floor = copy(read)
            count = session.count(read)
            print(
                f"| {title} | {took:.2f} s | {read.name}, {count:,} rows: {floor:.2f} s"
                f" | {took / floor:.0f} |"
            )
        print()
        n_wrong = session.scalar(
            "select count(*) from people full join social.referrals on member_id = m"
            " where people.referrer is distinct from referrer_id"
        )
        deepest = session.scalar("select max(depth) from social.referrals")
    print(f"Referrals other than as planted: {n_wrong}. The deepest stands {deepest} below a root.")
    return n_wrong == 0


def main(argv: Sequence[str] | None = None) -> int:
    """Time each and print what it took.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0, or 1 if a result is not what it must be.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.social", description=__doc__)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--votes", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=3, help="of each; the median counts")
    arguments = parser.parse_args(argv)
    for name, least in (("members", 20), ("votes", 1), ("repeats", 1)):
        if getattr(arguments, name) < least:
            parser.error(f"--{name} must be {least} or more, got {getattr(arguments, name)}")
    is_ranked = rank_everybody(arguments.members, arguments.votes, arguments.repeats)
    is_told = tell_everybody(arguments.members, arguments.repeats)
    return 0 if is_ranked and is_told else 1


if __name__ == "__main__":
    sys.exit(main())
