"""shop.yaml: what is true of the whole shop, with presets per industry."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from resources.config.activity import Activity
from resources.config.channels import CHANNELS, ChannelName, unknown_channel
from resources.config.loading import ConfigError, Declared, load
from resources.config.presets import Industry, with_preset
from resources.config.push import Push
from resources.config.sensitive_terms import SENSITIVE_TERMS
from resources.config.templates import BRACE, NO_VALUE
from resources.config.time_zones import installed_zones
from resources.simulation.settings import SimulationSettings

# Interest weights are kept relative to this instant, so that sums of different days just add.
EPOCH = dt.datetime(2020, 1, 1)  # noqa: DTZ001 - stored timestamps are naive UTC


def _known_zone(said: str) -> str:
    name = installed_zones().find(said)
    if name is None:
        raise ValueError(
            "expected an IANA time zone such as Asia/Shanghai; abbreviations such as CST mean "
            "several zones"
        )
    return name


def _as_text(said: object) -> object:
    return str(said) if isinstance(said, int) and not isinstance(said, bool) else said


TimeZone = Annotated[str, AfterValidator(_known_zone)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Days = Annotated[int, Field(gt=0)]
# YAML takes 0 for a number; as an identifier it is the text.
IdentifierText = Annotated[str, BeforeValidator(_as_text)]


# ISO 4217: currencies whose smallest unit is not a hundredth, by decimal places.
_NO_HUNDREDTHS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_MINOR_UNITS = {
    currency: places for places, names in _NO_HUNDREDTHS.items() for currency in names.split()
}


def minor_units(currency: str) -> int:
    """Decimal places of a currency that can be paid, by ISO 4217: yen have none."""
    return _MINOR_UNITS.get(currency, 2)


# ISO 4217, without funds, metals and test codes.
CURRENCIES = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN
    BZD CAD CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL
    GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW
    KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN
    NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK
    SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYI UYU
    UYW UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG
    """.split()
)


def _known_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("expected an ISO 4217 currency such as CNY")
    return code


Currency = Annotated[str, AfterValidator(_known_currency)]


class FxRate(Declared):
    """Units of base currency for one unit of `currency`, from a day on."""

    currency: Currency
    valid_from: dt.date
    rate: Positive


class EventWeights(Declared):
    """How much one event of a kind says about interest."""

    view: float = 1
    cart: float = 3
    share: float = 4
    order: float = 5
    refund: float = -5


class Interest(Declared):
    """How interest is counted and fades, and which interests are kept out of messages.

    A tag or a text is sensitive that holds one of `sensitive_tags`: see assets/tags/sensitive.py.
    """

    half_life_days: Annotated[float, Field(ge=5)] = 30
    prior_weight: Positive = 10
    weights: EventWeights = EventWeights()
    sensitive_tags: tuple[Annotated[str, Field(pattern=r"\S")], ...] = SENSITIVE_TERMS


class Quality(Declared):
    """What is doubtful in a log, when to warn and when to stop.

    Shares of a source's records: of the rejected ones from which a run stops; and of those with
    another record's id and other content, and of the values of a field that are not understood,
    from which it warns.
    """

    reject_limit: Share = 0.05
    conflict_limit: Share = 0.001
    unread_limit: Share = 0.01
    skew_tolerance_seconds: Annotated[int, Field(gt=0)] = 300
    session_gap_minutes: Annotated[int, Field(gt=0)] = 30
    session_cap_days: Days = 3
    bot_views_per_minute: Annotated[int, Field(gt=0)] = 60
    bot_clicks_per_10_seconds: Annotated[int, Field(gt=0)] = 5
    bot_user_agents: str = "bot|crawl|slurp|spider|archiv|preview|headless|curl|python-requests"


class Identity(Declared):
    """How far a login makes a device the user's, and which identifiers name nobody.

    Limits as Segment Unify's: one user_id for ever, five devices within a week. `placeholders` are
    added to those every shop has (null, 0, anonymous, …); `persons` are taken out of them, where
    one is somebody's identifier after all.
    """

    max_devices: Annotated[int, Field(gt=0)] = 5
    devices_window_days: Days = 7
    placeholders: tuple[IdentifierText, ...] = ()
    persons: tuple[IdentifierText, ...] = ()


class Orders(Declared):
    """What is a product, what is a test, and what is earned where cost is not known."""

    adjustment_products: str = Field(
        default="^$", description="Regular expression of product ids that are no products"
    )
    test_orders: str = Field(
        default="^test", description="Regular expression of order ids and coupons, in lower case"
    )
    margin_rate: Share = 0.3


class Consent(Declared):
    """Which other channels there are, and on which consent is taken for granted, on what grounds.

    `channels` are those beside `CHANNELS`, as campaigns.yaml names them. A withdrawal from a
    channel that is none of them counts for all. Where it may not be assumed, members who have not
    said yes are not messaged.
    """

    may_be_assumed: bool = True

    channels: tuple[ChannelName, ...] = ()
    assumed_channels: tuple[ChannelName, ...] = ()
    grounds: str = ""

    @property
    def known_channels(self) -> tuple[str, ...]:
        """Every channel that a consent can be about."""
        return tuple(dict.fromkeys((*CHANNELS, *self.channels, *self.assumed_channels)))

    @model_validator(mode="after")
    def _grounds_are_given(self) -> "Consent":
        if self.assumed_channels and not self.may_be_assumed:
            raise ValueError(
                "expected no 'assumed_channels': in this industry a member's own consent is needed"
            )
        if self.assumed_channels and not self.grounds:
            raise ValueError("expected 'grounds': say why consent may be assumed")
        return self


def _repurchase(said: object) -> object:
    if said == "never":
        return None
    if isinstance(said, bool) or not isinstance(said, int) or said < 0:
        raise ValueError("expected days, 0 (wanted again at once) or never (bought once)")
    return said


Repurchase = Annotated[int | None, BeforeValidator(_repurchase)]


class Recommend(Declared):
    """ALS, the split on which it is held against popularity, when it is published, the lists.

    A warm fit continues an earlier model, which lies within a day of the optimum: one iteration
    reaches the loss of `iterations` cold ones; three still do when a week was missed. A model is
    not published if its ndcg falls short of the published one's by more than `publish_margin` of
    that, measured on the same members.

    The job `retrain` searches regularization, alpha, weight_power, popularity_discount and the
    walk's settings; what it finds counts instead of these once a model of it is published.

    A product is not listed until `repurchase_days` after the member's last order of it, where it
    names none of its own: 0 lists it again at once, never not again at all (None).

    Where shop.yaml and its industry name no `repurchase_days`, a product that the shop's orders
    show to be bought again need not wait.

    How much each source says in the lists is chosen every night, on half of the members. Rules: at
    most `per_category` products of a category, what a product loses for being like one above it
    (`diversity`), and the share of the places for products that nobody has met yet. A rule that
    is not named yields where lists that keep it are worth less than popularity.
    """

    factors: Annotated[int, Field(gt=0)] = 64
    regularization: Annotated[float, Field(gt=0, lt=1)] = 0.1
    alpha: Positive = 2.0
    weight_power: Annotated[float, Field(ge=0)] = 1.0
    popularity_discount: Share = 0.3
    iterations: Annotated[int, Field(gt=0)] = 15
    warm_iterations: Annotated[int, Field(gt=0)] = 3
    publish_margin: Share = 0.05
    seed: int = 20261122
    holdout_days: Days = 28
    repurchase_days: Repurchase = 30
    min_support: Annotated[int, Field(gt=0)] = 3
    walk_alpha: Annotated[float, Field(ge=0, le=2)] = 0.7
    walk_beta: Annotated[float, Field(ge=0, le=2)] = 0.3
    walk_neighbours: Annotated[int, Field(gt=0)] = 100
    per_category: Annotated[int, Field(gt=0)] = 3
    diversity: Share = 0.1
    new_share: Share = 0.05


# Columns of clean.members that members can be told apart by,
MemberColumn = Literal[
    "channel", "country", "locale", "time_zone", "birth_year_band", "is_identified"
]
# and those of features.members, tags.member_preferences and value.rfm beside them.
SegmentColumn = Literal[
    MemberColumn, "main_channel", "price_band", "brand", "category", "rfm_segment"
]
# A member's own attribute, as a source maps it: `attributes.income`, or `income` where no column
# is called so. resources/config/attributes.py checks that one is mapped.
_ATTRIBUTES = "attributes."
ColumnOrAttribute = Annotated[str, Field(pattern=r"^(attributes\.)?[^\W\d]\w*$")]


def attribute_of(name: str, columns: Sequence[str]) -> str | None:
    """The attribute that a name means; None: it is one of the columns."""
    return None if name in columns else name.removeprefix(_ATTRIBUTES)


class Clv(Declared):
    """Horizon and discount of lifetime value, and when the data suffice for the model.

    They do with so many buyers, so many days from the first order, a member with so many order
    days, and an order within `max_idle_days`. Without, the method is fallback: orders by a model
    that a prior holds from `min_days` on, before that by a plain rate; no bounds, no P(alive). From
    `one_time_share` of buyers without a repeat on, a model is used that knows of members who leave
    after their first order. One fit serves all; with `cohort_column`, a column or an attribute of
    the members' own, every value that has `min_cohort` buyers gets its own. The backtest fits to
    what is older than `holdout_days`, and holds if it is off by `max_backtest_error` at most. Churn
    is a low, medium or high risk by the two bounds of `risk_bands`. Gamma-Gamma believes that value
    does not depend on frequency: `max_correlation` is how far that may be from true.
    """

    horizon_months: Annotated[int, Field(gt=0)] = 12
    monthly_discount_rate: Annotated[float, Field(ge=0)] = 0.01
    min_buyers: Annotated[int, Field(ge=1)] = 500
    min_days: Days = 180
    min_orders: Annotated[int, Field(ge=2)] = 3
    max_idle_days: Days = 30
    one_time_share: Share = 0.7
    min_cohort: Annotated[int, Field(ge=1)] = 1000
    cohort_column: ColumnOrAttribute | None = None
    holdout_days: Days = 90
    max_correlation: Share = 0.3
    max_backtest_error: Share = 0.05
    risk_bands: tuple[Share, Share] = (0.33, 0.66)

    @model_validator(mode="after")
    def _bands_rise(self) -> "Clv":
        if not self.risk_bands[0] < self.risk_bands[1]:
            raise ValueError("expected 'risk_bands' to rise, such as [0.33, 0.66]")
        return self


Strategy = Literal["acquisition", "retention", "conversion", "loyalty"]


class Strategies(Declared):
    """What to do about a member, by her stage; of the article's four goals.

    Acquisition wins a first order, or a lost member anew; conversion makes a first order a habit;
    loyalty keeps it up; retention holds who is slipping away or has just come back.
    """

    prospect: Strategy = "acquisition"
    new: Strategy = "conversion"
    active: Strategy = "loyalty"
    dormant: Strategy = "retention"
    churn_risk: Strategy = "retention"
    lost: Strategy = "acquisition"
    resurrected: Strategy = "retention"


class Lifecycle(Declared):
    """Thresholds of the lifecycle stages, in days since the last order.

    Who is back after `resurrected_gap_days` is resurrected; by default, who had been over
    `dormant_days`.
    """

    active_days: Days = 30
    dormant_days: Days = 90
    lost_days: Days = 180
    resurrected_gap_days: Days | None = None
    gap_multiple: Positive = 2
    min_p_alive: Share = 0.33
    strategies: Strategies = Strategies()

    @model_validator(mode="after")
    def _days_rise(self) -> "Lifecycle":
        if not self.active_days < self.dormant_days < self.lost_days:
            raise ValueError("expected active_days < dormant_days < lost_days")
        if self.gap_days <= self.active_days:
            raise ValueError("expected active_days < resurrected_gap_days")
        return self

    @property
    def gap_days(self) -> int:
        """The gap after which an order brings her back from the dead, in days."""
        return self.resurrected_gap_days or self.dormant_days


class Retention(Declared):
    """How far cohorts are followed, and by what they are told apart.

    `segments` are columns, or attributes of the members' own, such as `attributes.income`.
    `brackets` are the bounds, in periods, of the brackets 0, 1 to 2, 3 to 6, 7 to 13 and so on.
    """

    class Periods(Declared):
        """The last period that is followed, by unit."""

        day: Annotated[int, Field(gt=0, le=366)] = 30
        week: Annotated[int, Field(gt=0, le=260)] = 26
        month: Annotated[int, Field(gt=0, le=120)] = 24

    segments: tuple[ColumnOrAttribute, ...] = ()
    brackets: tuple[Days, ...] = (1, 3, 7, 14, 30)
    max_periods: Periods = Periods()

    @model_validator(mode="after")
    def _is_in_order(self) -> "Retention":
        if list(self.brackets) != sorted(set(self.brackets)):
            raise ValueError("expected rising 'brackets', such as [1, 3, 7]")
        if len(set(self.segments)) < len(self.segments):
            raise ValueError("expected different 'segments'")
        return self


class Rfm(Declared):
    """Segments by scores: the first rule whose minima are met names the segment."""

    class Segment(Declared):
        """A name for members whose r, f and m reach at least these scores."""

        name: str
        r: Annotated[int, Field(ge=1, le=5)] = 1
        f: Annotated[int, Field(ge=1, le=5)] = 1
        m: Annotated[int, Field(ge=1, le=5)] = 1

    segments: tuple[Segment, ...] = (
        Segment(name="champions", r=4, f=4, m=4),
        Segment(name="loyal", r=3, f=4),
        Segment(name="big_spenders", r=3, m=4),
        Segment(name="recent", r=5),
        Segment(name="promising", r=4),
        Segment(name="needs_attention", r=3),
        Segment(name="at_risk", r=1, f=4),
        Segment(name="about_to_sleep", r=2),
        Segment(name="hibernating"),
    )


class ScoreWeights(Declared):
    """What an advocate's score is made of."""

    revenue: Share = 0.5
    conversion: Share = 0.3
    reach: Share = 0.2


class Commission(Declared):
    """What a sharer earns of the orders of whom she brought, level by level.

    `rates` are of the first and the second level, of each order's `base`; without any, nobody
    earns. Two levels at most, and never by head-count: more is a pyramid scheme by law. An amount
    is payable `hold_days` after the order.
    """

    rates: Annotated[tuple[Share, ...], Field(max_length=2)] = ()
    base: Literal["net_revenue", "margin"] = "net_revenue"
    hold_days: Annotated[int, Field(ge=0)] = 15

    @model_validator(mode="after")
    def _leaves_half(self) -> "Commission":
        if sum(self.rates) > 0.5:
            raise ValueError(f"the rates add up to {sum(self.rates):g}; expected 0.5 at most")
        return self


class Social(Declared):
    """Who brought whom: what counts as brought, and what it is worth.

    A click counts for `window_days`. More than `accounts_per_device` members who sign up on one
    device within `farm_window_days` are a farm. A group order (拼团) is complete with `group_size`
    members within `group_hours`. K is told of periods over for `k_maturity_days`. An advocate is
    scored from `min_referred_buyers` on, with what she did halved every `half_life_days`;
    `damping` is PageRank's.
    """

    window_days: Days = 7
    max_code_length: Annotated[int, Field(gt=0)] = 32
    accounts_per_device: Annotated[int, Field(gt=0)] = 2
    farm_window_days: Days = 7
    group_size: Annotated[int, Field(ge=2)] = 2
    group_hours: Annotated[int, Field(gt=0)] = 24
    k_maturity_days: Days = 14
    half_life_days: Positive = 30
    min_referred_buyers: Annotated[int, Field(gt=0)] = 3
    score_weights: ScoreWeights = ScoreWeights()
    damping: Annotated[float, Field(gt=0, lt=1)] = 0.85
    commission: Commission = Commission()

    @model_validator(mode="after")
    def _clicks_are_over(self) -> "Social":
        if self.k_maturity_days < self.window_days:
            raise ValueError(
                f"expected 'k_maturity_days' of {self.window_days} or more: so long a click counts"
            )
        return self


class Measure(Declared):
    """Orders count for `window_days` after an assignment, and the member once they are over."""

    window_days: Days = 14


class Shop(Declared):
    """A shop: who it is, how it counts, where it draws lines."""

    name: str
    industry: Industry = "e-commerce"
    time_zone: TimeZone
    base_currency: Currency
    first_load_date: dt.date
    default_locale: str = "en"
    fx_rates: tuple[FxRate, ...] = ()
    interest: Interest = Interest()
    quality: Quality = Quality()
    activity: Activity = Activity()
    identity: Identity = Identity()
    orders: Orders = Orders()
    consent: Consent = Consent()
    recommend: Recommend = Recommend()
    clv: Clv = Clv()
    lifecycle: Lifecycle = Lifecycle()
    rfm: Rfm = Rfm()
    retention: Retention = Retention()
    social: Social = Social()
    push: Push = Push()
    measure: Measure = Measure()
    simulation: SimulationSettings | None = None

    @model_validator(mode="after")
    def _base_is_one(self) -> "Shop":
        if any(each.currency == self.base_currency for each in self.fx_rates):
            raise ValueError(
                f"'fx_rates' give a rate for the base currency {self.base_currency}; "
                "expected none, it is 1"
            )
        return self

    @model_validator(mode="after")
    def _caps_bind(self) -> "Shop":
        known = self.consent.known_channels
        for cap in self.push.caps:
            if cap.channel is not None and cap.channel not in known:
                raise ValueError(f"a cap of 'push' is on {unknown_channel(cap.channel, known)}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, content: Any) -> Any:
        return (
            with_preset(cast("dict[str, Any]", content)) if isinstance(content, dict) else content
        )

    def as_of(self, load_date: dt.date) -> dt.datetime:
        """The instant at which a load date is complete: the shop's next midnight, naive UTC."""
        midnight = dt.datetime.combine(
            load_date + dt.timedelta(days=1), dt.time(), ZoneInfo(self.time_zone)
        )
        return midnight.astimezone(dt.UTC).replace(tzinfo=None)

    def last_day_over(self, at: dt.datetime) -> dt.date:
        """The shop's last calendar date that was over at an instant, in naive UTC."""
        today = at.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(self.time_zone)).date()
        return today - dt.timedelta(days=1)

    def parameters(self, load_date: dt.date, holdout_days: int | None = None) -> dict[str, object]:
        """The `$parameters` of sql/, as of the end of a load date.

        `holdout_days` are those that lists are tried on, where history allows no more; without
        them it is as declared.
        """
        as_of = self.as_of(load_date)
        weights = self.interest.weights
        strategies = self.lifecycle.strategies.model_dump()
        return {
            "as_of": as_of,
            "run_date": load_date + dt.timedelta(days=1),
            "time_zone": self.time_zone,
            "base_currency": self.base_currency,
            "default_locale": self.default_locale,
            "epoch": EPOCH,
            "half_life_days": float(self.interest.half_life_days),
            "prior_weight": float(self.interest.prior_weight),
            "weight_view": float(weights.view),
            "weight_cart": float(weights.cart),
            "weight_share": float(weights.share),
            "weight_order": float(weights.order),
            "weight_refund": float(weights.refund),
            **self.activity.parameters(),
            "skew_tolerance_seconds": self.quality.skew_tolerance_seconds,
            "session_gap_seconds": self.quality.session_gap_minutes * 60,
            "session_cap_seconds": self.quality.session_cap_days * 86_400,
            "max_devices": self.identity.max_devices,
            "devices_window_days": self.identity.devices_window_days,
            "bot_clicks_per_10_seconds": self.quality.bot_clicks_per_10_seconds,
            "bot_views_per_minute": self.quality.bot_views_per_minute,
            "bot_user_agents": self.quality.bot_user_agents,
            "adjustment_products": self.orders.adjustment_products,
            "test_orders": self.orders.test_orders,
            "base_minor_units": minor_units(self.base_currency),
            "margin_rate": float(self.orders.margin_rate),
            "assumed_channels": ",".join(self.consent.assumed_channels),
            "known_channels": ",".join(self.consent.known_channels),
            "holdout_start": as_of - dt.timedelta(days=holdout_days or self.recommend.holdout_days),
            "active_days": self.lifecycle.active_days,
            "dormant_days": self.lifecycle.dormant_days,
            "lost_days": self.lifecycle.lost_days,
            "resurrected_gap_days": self.lifecycle.gap_days,
            "gap_multiple": float(self.lifecycle.gap_multiple),
            "min_p_alive": float(self.lifecycle.min_p_alive),
            "stages": list(strategies),
            "strategies": list(strategies.values()),
            "retention_segments": list(self.retention.segments),
            "retention_brackets": list(self.retention.brackets),
            "max_days": self.retention.max_periods.day,
            "max_weeks": self.retention.max_periods.week,
            "max_months": self.retention.max_periods.month,
            "share_window_days": self.social.window_days,
            "max_code_length": self.social.max_code_length,
            "accounts_per_device": self.social.accounts_per_device,
            "farm_window_days": self.social.farm_window_days,
            "group_size": self.social.group_size,
            "group_hours": self.social.group_hours,
            "k_maturity_days": self.social.k_maturity_days,
            "advocate_half_life_days": float(self.social.half_life_days),
            "commission_rates": [float(rate) for rate in self.social.commission.rates],
            "commission_base": self.social.commission.base,
            "commission_hold_days": self.social.commission.hold_days,
            "adult_age": self.push.adult_age,
            "salt": self.push.salt,
            "on_capped": self.push.on_capped,
            "brace": BRACE,
            "no_value": NO_VALUE,
            "send_hours": list(self.push.send_hours),
            "lift_window_days": self.measure.window_days,
            "default_hour": self.push.default_hour,
        }


def load_shop(folder: Path) -> Shop:
    """The shop of a configuration folder.

    Raises:
        ConfigError: the folder or its shop.yaml is missing or wrong.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; set SIYU_CONFIG to a shop's folder")
    return load(folder / "shop.yaml", Shop)
