"""The people of the shop: members with their true parameters, and visitors who stay anonymous."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from resources.simulation.catalogue import DIMENSIONS
from resources.simulation.draws import Floats, Ints, Mask, opaque_ids, pick, stream
from resources.simulation.markets import MARKETS, base_rates
from resources.simulation.settings import SimulationSettings
from resources.simulation.timeline import Timeline
from resources.simulation.vocabulary import CATEGORIES

CHANNELS = ("mini_program", "official_account", "group_chat", "app", "web")
CHANNEL_SHARES = (0.5, 0.13, 0.12, 0.14, 0.11)
_CITIES = {
    "CN": ("上海", "北京", "杭州", "成都", "广州", "深圳", "武汉", "西安"),
    "JP": ("東京", "大阪"),
    "US": ("New York", "Boston"),
    "SG": ("Singapore",),
    "GB": ("London", "Leeds"),
}
_TASTE_STRENGTH = 5.0
_GROWTH = 0.8  # sign-ups per week grow from 1 - _GROWTH / 2 to 1 + _GROWTH / 2 of their mean


@dataclass(frozen=True)
class Population:
    """Members come first, then visitors; markets, tastes and channels cover both.

    Attributes:
        n_members: How many of the people are members.
        ids: user_id, (members,).
        market: Index into MARKETS, (people,).
        tastes: Latent tastes, (people, DIMENSIONS).
        channel: Preferred index into CHANNELS, (people,).
        signed_up_at: UTC instant, (members,).
        is_buyer: Whether she will ever order, (members,).
        order_rate: BG/NBD lambda per week of shop time, (members,).
        dropout: BG/NBD p, (members,).
        spend_rate: Gamma-Gamma nu in the base currency, (members,).
        browse_rate: Browsing sessions per week of shop time, (members,).
        share_rate: Chance that a view is shared, (members,).
        records: The members file, sorted by signed_up_at, with column `at`.
    """

    n_members: int
    ids: pl.Series
    market: Ints
    tastes: Floats
    channel: Ints
    signed_up_at: Ints
    is_buyer: Mask
    order_rate: Floats
    dropout: Floats
    spend_rate: Floats
    browse_rate: Floats
    share_rate: Floats
    records: pl.DataFrame

    @property
    def n_people(self) -> int:
        """Members and visitors."""
        return len(self.market)


def _some(rng: np.random.Generator, column: pl.Series, share: Floats | float) -> pl.Series:
    """The column with all but a share of its values left empty."""
    known = pl.Series(rng.random(len(column)) < share)
    return pl.select(pl.when(known).then(column).alias(column.name)).to_series()


def _records(rng: np.random.Generator, settings: SimulationSettings, ids: pl.Series,
             market: Ints, channel: Ints, signed_up_at: Ints) -> pl.DataFrame:  # fmt: skip
    """Member records as the shop's membership system exports them; all addresses are fake."""
    n = len(ids)
    is_abroad = market > 0
    number = pl.Series(rng.permutation(n)).cast(pl.String).str.zfill(7)
    by_market = pl.DataFrame({
        "country": [market.country for market in MARKETS],
        "locale": [market.locale for market in MARKETS],
        "time_zone": [market.time_zone for market in MARKETS],
        "prefix": [market.phone_prefix for market in MARKETS],
    })[market]  # fmt: skip
    age = np.clip(np.round(rng.normal(33, 9, n)), 18, 78).astype(np.int64)
    age = np.where(rng.random(n) < 0.012, rng.integers(13, 18, n), age)
    cities = [_CITIES[market.country] for market in MARKETS]
    draws = rng.random(n)
    homes: list[int] = market.tolist()
    city = [cities[home][int(u * len(cities[home]))] for home, u in zip(homes, draws, strict=True)]
    gender = pl.Series(("f", "m"))[pick(rng, (0.68, 0.32), n)]
    openid = opaque_ids(settings.seed, "openid", n)
    some = {
        "phone": _some(rng, by_market["prefix"] + number, np.where(is_abroad, 0.45, 0.92)),
        "email": _some(rng, ids + "@example.com", np.where(is_abroad, 0.95, 0.25)),
        "openid": _some(rng, "oSIMULATED-DEMO-" + openid, np.where(is_abroad, 0.2, 0.88)),
        "locale": _some(rng, by_market["locale"], 0.95),
        "time_zone": _some(rng, by_market["time_zone"], 0.92),
        "country": _some(rng, by_market["country"], 0.97),
        "birth_year": _some(rng, pl.Series(settings.first_date.year - age), 0.8),
        "gender": _some(rng, gender, 0.85),
        "city": _some(rng, pl.Series(city), 0.9),
    }
    return (
        pl.DataFrame({
            "user_id": ids,
            **some,
            "channel": pl.Series(CHANNELS)[channel],
            "at": signed_up_at,
        })
        .with_columns(
            pl.struct("gender", "city").alias("attributes"),
            pl.col("at").cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
            .alias("signed_up_at"),
        )
        .sort("at", "user_id")
        .select("user_id", "phone", "email", "openid", "signed_up_at", "locale", "time_zone",
                "country", "birth_year", "channel", "attributes", "at")
    )  # fmt: skip


def make_population(settings: SimulationSettings, timeline: Timeline) -> Population:
    """Draw members and visitors; members sign up from the opening to the end, ever more."""
    rng = stream(settings.seed, "population")
    n = settings.members
    n_people = n + round(n * settings.dirt.n_visitors_per_member)
    market = pick(rng, tuple(market.share for market in MARKETS), n_people)
    channel = pick(rng, CHANNEL_SHARES, n_people)
    leaning = rng.dirichlet(np.full(len(CATEGORIES), 0.2), n_people)
    tastes = _TASTE_STRENGTH * leaning @ np.eye(len(CATEGORIES), DIMENSIONS)
    tastes += rng.normal(0, 0.5, (n_people, DIMENSIONS)) + leaning.max(axis=1, keepdims=True)

    home = market[:n]
    opening = timeline.shop_time(home, np.full(n, timeline.opening))
    end = timeline.shop_time(home, np.full(n, timeline.end - 1))
    start_rate = 1 - _GROWTH / 2
    u = rng.random(n)
    passed = (np.sqrt(start_rate**2 + 2 * _GROWTH * u) - start_rate) / _GROWTH
    signed_up_at = timeline.instant(home, opening + passed * (end - opening))
    signed_up_at = np.clip(signed_up_at, timeline.opening, timeline.end - 1)

    purchases, spend = settings.purchases, settings.spend
    gamma = spend.gamma * base_rates(settings.base_currency)[0]
    order_rate = rng.gamma(purchases.r, 1 / purchases.alpha, n)
    is_buyer = rng.random(n) < purchases.buyer_share
    interest = 0.35 + 0.65 * np.minimum(order_rate * purchases.alpha / purchases.r, 4) * is_buyer
    ids = "u" + pl.Series(rng.permutation(n) + 10_000_000).cast(pl.String)
    return Population(
        n_members=n,
        ids=ids,
        market=market,
        tastes=tastes,
        channel=channel,
        signed_up_at=signed_up_at,
        is_buyer=is_buyer,
        order_rate=order_rate,
        dropout=rng.beta(purchases.a, purchases.b, n),
        spend_rate=rng.gamma(spend.q, 1 / gamma, n),
        browse_rate=rng.gamma(1.5, 1 / 1.5, n) * interest,
        share_rate=np.minimum(0.006 * rng.lognormal(-0.72, 1.2, n), 0.3),
        records=_records(rng, settings, ids, home, channel[:n], signed_up_at),
    )
