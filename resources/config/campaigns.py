"""campaigns.yaml: what is sent to whom, in which words, how often and within which budget."""

import datetime as dt
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from resources.config.channels import unknown_channel
from resources.config.loading import ConfigError, Declared, load
from resources.config.push import Hour, Push, is_quiet
from resources.config.shop import Shop
from resources.config.templates import listed, sound_text, sound_value, template_variables
from resources.warehouse import parameters_used, tables_read

HOLDOUT = "holdout"
ONLY_ARM = "treatment"
N_BUCKETS = 10_000
# BCP 47 for a text whose language nobody said.
UNDETERMINED = "und"
_AUDIENCE_SCHEMAS = ("clean", "features", "tags", "recommend", "value", "social")
_AUDIENCE_TABLES = ("raw.products",)
_AUDIENCE_PARAMETERS = ("as_of", "run_date")
_CLOCK_OR_CHANCE = re.compile(
    r"\b(current_date|current_timestamp|localtimestamp|(?:table|using )sample"
    r"|(?:now|today|random|uuid)\s*\(\s*\))",
    re.IGNORECASE,
)
_SQL_TEXT = re.compile(r"--[^\n]*|'(?:[^']|'')*'")
_LOCALE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_OPT_OUT = re.compile(r"退订|拒收|\bSTOP\b|opt[ -]?out|unsubscribe", re.IGNORECASE)


def _by_locale(given: object) -> object:
    return {UNDETERMINED: given} if isinstance(given, str) else given


def _sound_texts(texts: dict[str, str]) -> dict[str, str]:
    if not texts:
        raise ValueError("expected a text, or texts by locale")
    for locale, text in texts.items():
        if not _LOCALE.fullmatch(locale):
            raise ValueError(f"expected a BCP 47 locale such as zh-CN, found {locale!r}")
        try:
            sound_text(text)
        except ValueError as error:
            raise ValueError(f"the text for {locale} {error}") from error
        template_variables(text)
    repeated = [name for name, n in Counter(name.lower() for name in texts).items() if n > 1]
    if repeated:
        raise ValueError(f"locale {repeated[0]} is there twice")
    return texts


# Every asset of the push stage reads the file, and parsing SQL is its slow part.
@cache
def _sound_audience(sql: str) -> str:
    sql = sql.strip().removesuffix(";")
    for name in sorted(tables := tables_read(sql)):
        if name.split(".")[0] not in _AUDIENCE_SCHEMAS and name not in _AUDIENCE_TABLES:
            allowed = [f"{schema}.*" for schema in _AUDIENCE_SCHEMAS] + list(_AUDIENCE_TABLES)
            raise ValueError(f"reads {name}; expected only {listed(allowed)}")
    if not tables:
        raise ValueError("reads no table; expected member_id from a table such as clean.members")
    if unknown := sorted(parameters_used(sql) - set(_AUDIENCE_PARAMETERS)):
        raise ValueError(f"${unknown[0]} is not known; expected $as_of or $run_date")
    if found := _CLOCK_OR_CHANCE.search(_SQL_TEXT.sub("", sql)):
        raise ValueError(
            f"{found[1]} would give other members on every run; expected $run_date or $as_of"
        )
    return sql


Texts = Annotated[dict[str, str], BeforeValidator(_by_locale), AfterValidator(_sound_texts)]
Word = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
Money = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=4)]


class Variant(Declared):
    """One of several texts, and which part of the members who are not held out gets it."""

    share: Annotated[float, Field(gt=0, le=1)]
    template: Texts


class OwnCap(Declared):
    """At most `messages` of this campaign within `days` calendar days of the member's zone."""

    messages: Annotated[int, Field(gt=0)]
    days: Annotated[int, Field(gt=0, le=30)]


class QuietHours(Declared):
    """No message from `from_hour` until `until_hour`, over midnight if that is earlier.

    Two equal hours: none are quiet.
    """

    from_hour: Hour
    until_hour: Hour


class Arm(NamedTuple):
    """A part of the members, as a run of buckets."""

    name: str
    first_bucket: int
    n_buckets: int


class Cap(NamedTuple):
    """A rule that binds a campaign; `counts` is all, channel or campaign."""

    counts: str
    messages: int
    days: int

    @property
    def rule(self) -> str:
        """The rule in words, one for each rule."""
        which = {"all": "", "channel": " on this channel", "campaign": " of this campaign"}
        return (
            f"{self.messages} {'message' if self.messages == 1 else 'messages'}"
            f"{which[self.counts]} in {self.days} {'day' if self.days == 1 else 'days'}"
        )


class Campaign(Declared):
    """A campaign. Whoever changes one gives it a new version.

    `audience` is one SELECT of member_id over the published tables of clean to social and
    raw.products, with `$as_of` and `$run_date` as the only instants it can know. `template` is a
    text, or texts by locale, or is left out for `variants`. `budget` is for one run, in the base
    currency as `unit_cost` is. Without `send_hour` every member has her own best hour.
    """

    id: Word
    version: Annotated[int, Field(ge=1)]
    operation: Literal["content_push", "interaction_marketing", "sales_promotion"]
    goal: Literal["acquisition", "retention", "conversion", "loyalty"]
    audience: Annotated[str, AfterValidator(_sound_audience)]
    # Which channels there are the shop says; no name of one is a path.
    channel: Annotated[str, Field(pattern=r"^[\w -]+$")]
    template: Texts | None = None
    variants: dict[Word, Variant] = Field(default_factory=dict[str, Variant])
    fallback_locale: str | None = None
    offer: Annotated[str, AfterValidator(sound_value)] | None = None
    priority: int
    caps: tuple[OwnCap, ...] = ()
    quiet_hours: QuietHours | None = None
    budget: Money | None = None
    unit_cost: Money
    holdout: Annotated[float, Field(ge=0, le=0.5)]
    starts_on: dt.date
    ends_on: dt.date
    send_hour: Hour | None = None
    expires_hours: Annotated[int, Field(gt=0)] = 24

    @model_validator(mode="after")
    def _fits_together(self) -> "Campaign":
        if self.ends_on < self.starts_on:
            raise ValueError(f"expected 'ends_on' on or after 'starts_on', {self.starts_on}")
        if (self.template is None) == (not self.variants):
            raise ValueError("expected either 'template' or 'variants'")
        self._check_variants()
        self._check_fallback()
        texts = [text for by_locale in self.texts.values() for text in by_locale.values()]
        if self.channel == "sms" and not all(_OPT_OUT.search(text) for text in texts):
            raise ValueError("expected every sms to say how to opt out, e.g. 回T退订 or STOP")
        if self.offer is None and "offer" in self.variables:
            raise ValueError("expected 'offer': the text says {offer}")
        return self

    def _check_variants(self) -> None:
        if HOLDOUT in self.variants:
            raise ValueError(f"a variant cannot be called {HOLDOUT}")
        total = sum(variant.share for variant in self.variants.values())
        if self.variants and abs(total - 1) > 1e-9:
            raise ValueError(f"the variants' shares add up to {total:g}; expected 1")
        if empty := [arm.name for arm in self.arms if arm.n_buckets == 0]:
            raise ValueError(f"the share of {empty[0]} is too small; expected 0.0001 or more")

    def _check_fallback(self) -> None:
        common = set[str].intersection(*(set(texts) for texts in self.texts.values()))
        if self.fallback_locale is None and any(len(texts) > 1 for texts in self.texts.values()):
            raise ValueError(
                f"expected 'fallback_locale' beside several texts: {listed(sorted(common))}"
                if common
                else "expected one locale that every variant has a text for"
            )
        if self.fallback not in common:
            raise ValueError(f"'fallback_locale' is {self.fallback}; expected a text for it")

    @property
    def texts(self) -> Mapping[str, Mapping[str, str]]:
        """The texts by arm and locale; the holdout has none."""
        if self.template is not None:
            return {ONLY_ARM: self.template}
        return {name: variant.template for name, variant in self.variants.items()}

    @property
    def fallback(self) -> str:
        """The locale of the text for members whom no other text fits."""
        return self.fallback_locale or next(iter(next(iter(self.texts.values()))))

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that any of its texts needs, sorted."""
        texts = (text for by_locale in self.texts.values() for text in by_locale.values())
        return tuple(sorted({name for text in texts for name in template_variables(text)}))

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The holdout, unless it is empty, and the variants; their buckets tile 0 to 9999."""
        n_held = round(self.holdout * N_BUCKETS)
        shares = [variant.share for variant in self.variants.values()] or [1.0]
        inner = [n_held + round((N_BUCKETS - n_held) * share) for share in accumulate(shares)]
        edges = [0, n_held, *inner[:-1], N_BUCKETS]
        arms = [
            Arm(name, first, last - first)
            for name, first, last in zip((HOLDOUT, *self.texts), edges[:-1], edges[1:], strict=True)
        ]
        return tuple(arm for arm in arms if arm.name != HOLDOUT or arm.n_buckets)

    @property
    def fingerprint(self) -> str:
        """Hash of everything declared: the same for the same campaign, in whatever layout."""
        declared = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(declared.encode()).hexdigest()

    def caps_within(self, push: Push) -> tuple[Cap, ...]:
        """The rules that bind this campaign: the shop's for its channel or for all, its own."""
        of_shop = [
            Cap("channel" if cap.channel else "all", cap.messages, cap.days)
            for cap in push.caps
            if cap.channel in (None, self.channel)
        ]
        own = [Cap("campaign", cap.messages, cap.days) for cap in self.caps]
        return tuple(dict.fromkeys(of_shop + own))

    def quiet_hours_within(self, push: Push) -> QuietHours:
        """Its own quiet hours, else the shop's."""
        return self.quiet_hours or QuietHours(
            from_hour=push.quiet_from_hour, until_hour=push.quiet_until_hour
        )


class Campaigns(Declared):
    """All campaigns of a shop."""

    campaigns: tuple[Campaign, ...]

    @model_validator(mode="after")
    def _ids_differ(self) -> "Campaigns":
        counts = Counter(campaign.id for campaign in self.campaigns)
        if repeated := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"expected different ids; {repeated[0]!r} is declared twice")
        return self


def load_campaigns(folder: Path) -> Campaigns:
    """The campaigns of a configuration folder.

    Raises:
        ConfigError: the folder or its campaigns.yaml is missing or wrong.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; set SIYU_CONFIG to a shop's folder")
    return load(folder / "campaigns.yaml", Campaigns)


def check_against_shop(folder: Path, campaigns: Campaigns, shop: Shop) -> None:
    """Makes sure that what a folder's campaigns say can be, by what its shop.yaml says.

    Raises:
        ConfigError: a campaign is on a channel that no consent can be about, is sent at an hour
            that is quiet, or says what the shop lets no text say.
    """
    for campaign in campaigns.campaigns:
        if mistake := _mistake(campaign, shop):
            raise ConfigError(f"{folder / 'campaigns.yaml'}: campaign {campaign.id}: {mistake}")


def _mistake(campaign: Campaign, shop: Shop) -> str | None:
    known = shop.consent.known_channels
    if campaign.channel not in known:
        return unknown_channel(campaign.channel, known)
    quiet = campaign.quiet_hours_within(shop.push)
    times = (quiet.from_hour, quiet.until_hour)
    if campaign.send_hour is not None and is_quiet(campaign.send_hour, *times):
        return (
            f"send_hour {campaign.send_hour} is quiet (from {quiet.from_hour} until "
            f"{quiet.until_hour}); name another hour, or quiet_hours of its own"
        )
    withheld = set(shop.push.withheld_variables).intersection(campaign.variables)
    if withheld:
        return (
            f"{{{min(withheld)}}} is inferred from behaviour, which no text of this shop may say "
            "(push.withheld_variables of shop.yaml)"
        )
    return None
