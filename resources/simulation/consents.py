"""What members agreed to, refused and took back, per channel."""

import numpy as np
import polars as pl

from resources.simulation.draws import stream
from resources.simulation.population import Population
from resources.simulation.settings import SimulationSettings
from resources.simulation.timeline import Timeline

_AGREEABLE_SHARE = 0.82  # of members, would agree to some message
_REVOKED_SHARE = 0.07  # of grants, over the mean membership
_ADDRESSES = {"sms": "phone", "email": "email", "wechat": "openid"}
_APP_SHARE = 0.4  # have the app, which push needs


def make_consents(
    settings: SimulationSettings, timeline: Timeline, population: Population
) -> pl.DataFrame:
    """Consent records, sorted by their instant `at_ms`.

    About three members in four grant some channel that they have an address for. A refusal is
    on record only where the shop asked; members without a record were never asked.
    """
    rng = stream(settings.seed, "consents")
    members = population.records.select("user_id", "phone", "email", "openid", "channel", "at")
    n = len(members)
    signed_up_at = members["at"].to_numpy()
    is_agreeable = rng.random(n) < _AGREEABLE_SHARE
    records: list[pl.DataFrame] = []
    for channel in ("sms", "email", "wechat", "app_push"):
        address = _ADDRESSES.get(channel)
        has_address = (
            members[address].is_not_null().to_numpy() if address else rng.random(n) < _APP_SHARE
        )
        is_granted = is_agreeable & has_address & (rng.random(n) < 0.7)
        is_denied = ~is_granted & has_address & (rng.random(n) < 0.5)
        revoked_at = signed_up_at + (rng.random(n) * (timeline.end - signed_up_at)).astype(np.int64)
        is_revoked = is_granted & (rng.random(n) < _REVOKED_SHARE)
        records += [
            members.select(
                "user_id",
                pl.lit(channel).alias("channel"),
                pl.lit("marketing").alias("purpose"),
                pl.lit(status).alias("status"),
                pl.Series("at_ms", at),
                pl.concat_str("channel", pl.lit(f":{proof}")).alias("proof"),
            ).filter(pl.Series(happened))
            for status, at, happened, proof in (
                ("granted", signed_up_at, is_granted, "signup_form_v3"),
                ("denied", signed_up_at, is_denied, "signup_form_v3"),
                ("revoked", revoked_at, is_revoked, "preference_page"),
            )
        ]
    at = pl.col("at_ms").cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    return (
        pl.concat(records)
        .with_columns(at.alias("at"))
        .sort("at_ms", "user_id", "channel", "status")
        .select("user_id", "channel", "purpose", "status", "at", "proof", "at_ms")
    )
