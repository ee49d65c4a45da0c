"""Who brought whom: clicks bound to sharers, the tree they make, group orders, commissions."""

from assets.social import contracts
from assets.sql_asset import sql_asset
from resources.warehouse import Session


def _outcomes(session: Session) -> dict[str, int]:
    """Clicks by what became of them."""
    return dict(
        session.rows(
            "select 'n_' || coalesce(reason, outcome), count(*) from social.share_clicks"
            " group by all order by all"
        )
    )


share_clicks = sql_asset(contracts.SHARE_CLICKS, finds=_outcomes)
referrals = sql_asset(contracts.REFERRALS)
group_buys = sql_asset(contracts.GROUP_BUYS)
k_factor = sql_asset(contracts.K_FACTOR)
commissions = sql_asset(contracts.COMMISSIONS)
