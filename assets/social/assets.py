"""Who brought whom: clicks bound to sharers, the tree they make, group orders, commissions."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.social import contracts
from assets.sql_asset import described, report, sql_asset, upstream_of
from resources.shop import ShopConfig
from resources.warehouse import Session, Warehouse, read_sql

_SHARERS = read_sql("social/advocates.sql")
_VOTES = read_sql("social/graph/votes.sql")


def _outcomes(session: Session) -> dict[str, int]:
    """Clicks by what became of them."""
    return dict(
        session.rows(
            "select 'n_' || coalesce(reason, outcome), count(*) from social.share_clicks"
            " group by all order by all"
        )
    )


@dg.asset(
    key=contracts.ADVOCATES.asset_key,
    deps={
        *upstream_of(_SHARERS, contracts.ADVOCATES),
        *upstream_of(_VOTES, contracts.ADVOCATES),
    },
    kinds={"python", "duckdb"},
    **described(contracts.ADVOCATES),
)
def advocates(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The sharers of sql/social/advocates.sql with score, rank, PageRank and who is below them."""
    from assets.social.advocates import Score, ranked

    terms = shop.declared.social
    weights = terms.score_weights
    score = Score(terms.min_referred_buyers, weights.revenue, weights.conversion, weights.reach)
    findings: dict[str, int] = {}

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        found = ranked(
            session.frame(_SHARERS, parameters),
            session.frame("select member_id, referrer_id, depth from social.referrals"),
            session.frame(_VOTES, parameters),
            score,
            terms.damping,
        )
        findings.update(n_ranked=found["rank"].count())
        return session.write_frame(contracts.ADVOCATES, found)

    return report(warehouse, shop, write, findings)


share_clicks = sql_asset(contracts.SHARE_CLICKS, finds=_outcomes)
referrals = sql_asset(contracts.REFERRALS)
group_buys = sql_asset(contracts.GROUP_BUYS)
k_factor = sql_asset(contracts.K_FACTOR)
commissions = sql_asset(contracts.COMMISSIONS)
