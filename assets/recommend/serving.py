"""The lists as they are served, measured on the past; and from that, the mix.

The lists are made by the one function that makes those of today (``lists.listed``), for a cut that
lies behind. One half of the members chooses the mix from a small set of candidates; the other half
measures what was chosen beside popularity, and it has the last word: it may give fewer places to
what is bought again, and where lists are worse than popularity beyond chance, popularity is served.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend.evaluation import (
    COMPARED,
    both_ways,
    compare,
    concentration,
    evenly,
    falls_short,
    history_segments,
    plainest,
    without,
)
from assets.recommend.lists import Models, Offer, Rules, listed
from assets.recommend.mix import Mix
from assets.recommend.trial import Past, halves

# Enough to tell mixes apart that a shop would tell apart.
_MEMBERS_CHOOSING = 1_000
_MEMBERS_MEASURED = 4_000
# Of fewer the differences say nothing.
_FEWEST_MEMBERS = 50
# Candidates, stage by stage: each stage goes on from the best mix so far.
_RECENT_DAYS = (0, 30, 7)
_REPEATS = (1, 2, 4, 8, 20)
_CONTENTS = (0.5, 2.0)
_TASTES = ((0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (1.0, 2.0))
_HALVES = (0.01, 2.0, 128.0)
# Below this share of products that had been met before, members are not shown them again.
_MET_AGAIN = 0.05
# Errors by which new products may seem to lose where a mix is chosen, and lists where they are
# measured, before they count as worse.
_ERRORS_CHOOSING = 0.5
_ERRORS_MEASURED = 2.0

Values = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Served:
    """What lists are to be served, and what they were worth.

    Attributes:
        mix: how much each source says.
        rules: how the shop has its lists.
        reason: why these, in words.
        fell_back: the lists were worse than popularity and gave way to it.
        metrics: as from ``evaluation.compare``, of the model ``served``: the names of
            ``Evaluation``, recall_new and ndcg_new (products that members had not ordered), gini,
            first_ten_share and first_product_share.
    """

    mix: Mix
    rules: Rules
    reason: str
    fell_back: bool
    metrics: pl.DataFrame


def try_served(
    past: Past, models: Models, rules: Rules, kept: frozenset[str], earlier: Mix | None
) -> Served:
    """Chooses the mix, and measures the lists that it makes.

    The rules hold as long as lists that keep them are worth as much as popularity; after that,
    only those that the shop itself asks for.

    Args:
        past: the shop at the cut.
        models: of what lay before the cut; without ALS where it may not be served.
        rules: how the shop has its lists.
        kept: names of the rules that the shop asks for itself.
        earlier: the mix chosen last, for a time without anything to choose by.
    """
    known = past.whole_truth().join(past.met(), on="member_id", how="semi")
    choosing, measured = halves(known)
    n_choosing = choosing["member_id"].n_unique()
    choosing = evenly(choosing, _MEMBERS_CHOOSING)
    measured = evenly(measured, _MEMBERS_MEASURED)
    strangers = past.whole_truth().join(past.met(), on="member_id", how="anti")
    strangers = evenly(strangers, _MEMBERS_MEASURED)
    ids = pl.concat([choosing, measured, strangers])["member_id"].unique().sort()
    offer = Offer.of(past.shop(ids), models, rules.length)
    plain = Rules(
        rules.length,
        rules.per_category if "per_category" in kept else rules.length,
        rules.diversity if "diversity" in kept else 0.0,
        rules.new_share if "new_share" in kept else 0.0,
    )
    met_again = choosing.join(past.met(), on=["member_id", "product_id"], how="semi")
    by_count = Mix(
        in_place=offer.habits.shows_repeats,
        repeat=round(rules.length * offer.habits.again) if offer.habits.shows_repeats else 0,
        unmet=len(met_again) < _MET_AGAIN * len(choosing),
    )
    if n_choosing < _FEWEST_MEMBERS:
        chosen, reason = (by_count, plain), f"chosen by count, for {n_choosing} members are too few"
        if n_choosing == 0 and earlier is not None:
            chosen, reason = (earlier, rules), "as chosen before, for nobody came to anything since"
    else:
        tries = _looking_back(offer, choosing, plain)
        chosen = tries.choose(rules, plain)
        reason = f"chosen by {tries.n_members:,} members from {tries.n_tried} mixes"
    mix, found_rules = chosen
    if measured.is_empty():
        return Served(mix, found_rules, f"{mix}; {reason}", False, pl.DataFrame(schema=COMPARED))
    offer = offer.looking_back(mix.recent_days)
    trial = _Tries.of(offer, measured, rules.length)
    # Few places for repeats cost new products little: the last word on how many is here, too.
    while mix.repeat and not trial.holds(mix, found_rules, plain):
        mix = replace(mix, repeat=max(places for places in (0, *_REPEATS) if places < mix.repeat))
    short = trial.shortcomings(mix, found_rules, plain, _ERRORS_MEASURED)
    if short:
        reason = f"{mix} would be worse than popularity in {', '.join(short)}, so popularity alone"
        mix, found_rules = trial.alone, plain
    else:
        reason = f"{mix}; {reason}"
    rows = [
        trial.metrics(past, mix, found_rules, plain),
        _of_strangers(past, offer, strangers, mix, found_rules, plain),
    ]
    return Served(mix, found_rules, reason, bool(short), pl.concat(rows))


@dataclass(eq=False)
class _Tries:
    """Lists of some members under one mix or another, and what they were worth."""

    offer: Offer
    truth: pl.DataFrame
    k: int
    ids: NDArray[np.int64]
    n_met: pl.DataFrame
    had: pl.DataFrame
    proposed: dict[bool, Mapping[str, pl.DataFrame]] = field(
        default_factory=dict[bool, Mapping[str, pl.DataFrame]]
    )
    found: dict[tuple[Mix, Rules], Values] = field(default_factory=dict[tuple[Mix, Rules], Values])

    @classmethod
    def of(cls, offer: Offer, truth: pl.DataFrame, k: int) -> "_Tries":
        ids = truth["member_id"].unique().sort().to_numpy()
        had = offer.had.join(truth, on="member_id", how="semi")
        return cls(offer, truth, k, ids, offer.n_met(ids), had)

    @property
    def alone(self) -> Mix:
        """Popularity alone."""
        return Mix(recent_days=self.offer.recent_days)

    @property
    def n_members(self) -> int:
        return len(self.n_met)

    @property
    def n_tried(self) -> int:
        return len({mix for mix, _ in self.found})

    def lists(self, mix: Mix, rules: Rules) -> pl.DataFrame:
        return listed(self.offer, self.proposals(unmet=mix.unmet), self.n_met, mix, rules)

    def proposals(self, *, unmet: bool) -> Mapping[str, pl.DataFrame]:
        if unmet not in self.proposed:
            self.proposed[unmet] = self.offer.proposed(self.ids, unmet=unmet)
        return self.proposed[unmet]

    def values(self, mix: Mix, rules: Rules) -> Values:
        if (mix, rules) not in self.found:
            lists = self.lists(mix, rules)
            self.found[mix, rules] = both_ways(lists, self.truth, self.had, self.k)
        return self.found[mix, rules]

    def quality(self, mix: Mix, rules: Rules) -> NDArray[np.float64]:
        """The mean of recall and ndcg both ways; who came to nothing new has nothing there."""
        return np.nan_to_num(np.stack(list(self.values(mix, rules).values()))).mean(axis=0)

    def shortcomings(self, mix: Mix, rules: Rules, plain: Rules, errors: float) -> list[str]:
        """In which figures the lists are worse than popularity."""
        here, base = self.values(mix, rules), self.values(self.alone, plain)
        return [
            name
            for name in here
            if falls_short(here[name], base[name], errors, paired=not name.endswith("_new"))
        ]

    def choose(self, rules: Rules, plain: Rules) -> tuple[Mix, Rules]:
        """The plainest of the mixes that no other beats; under the rules if they may be kept."""
        for each in (rules, plain):
            tried = self._climb(each, plain)
            if tried:
                tried.sort(key=lambda mix: (mix.n_parts, -self.quality(mix, each).mean()))
                return plainest(tried, lambda mix: self.quality(mix, each)), each  # noqa: B023
        return self.alone, plain

    def _climb(self, rules: Rules, plain: Rules) -> list[Mix]:
        """Every candidate that holds its ground against popularity."""
        best, tried = self.alone, list[Mix]()

        def better(options: Sequence[Mix]) -> Mix:
            """The best of some, those that hold their ground before others."""
            holding = [mix for mix in options if self.holds(mix, rules, plain)]
            tried.extend(mix for mix in holding if mix not in tried)
            return max(holding or options, key=lambda mix: self.quality(mix, rules).mean())

        best = better([best, replace(best, unmet=True)])
        proposed = self.proposals(unmet=best.unmet)
        if len(proposed["repeat"]):
            best = better([best, *_again(best)])
        if len(proposed["content"]):
            best = better([best, *(replace(best, content=weight) for weight in _CONTENTS)])
        has_als = self.offer.models.factors is not None
        tastes = [taste for taste in _TASTES if has_als or not taste[0]]
        taste = better([replace(best, als=als, similar=similar) for als, similar in tastes])
        taste = better([taste, *(replace(taste, half=half) for half in _HALVES)])
        if len(proposed["repeat"]):
            taste = better([taste, *_again(taste)])
        for found in (best, taste):
            better(
                [
                    replace(found, content=0.0),
                    replace(found, by_segment=True),
                    replace(found, unmet=not found.unmet),
                ]
            )
        return tried

    def holds(self, mix: Mix, rules: Rules, plain: Rules) -> bool:
        """Whether lists are worth as much as popularity.

        With repeats allowed they must be. A place that goes to a repeat is lost to new products:
        there the lists may lack half an error of popularity's own figure.
        """
        here, base = self.values(mix, rules), self.values(self.alone, plain)
        return all(here[name].mean() >= base[name].mean() for name in ("recall", "ndcg")) and not (
            self.shortcomings(mix, rules, plain, _ERRORS_CHOOSING)
        )

    def metrics(self, past: Past, mix: Mix, rules: Rules, plain: Rules) -> pl.DataFrame:
        """The rows of these members, in all and by how much they had met."""
        lists, base = self.lists(mix, rules), self.lists(self.alone, plain)
        theirs = past.met().join(self.truth, on="member_id", how="semi")
        segments = history_segments(theirs, self.truth["member_id"])
        n_products = len(self.offer.catalogue)
        of_all = compare(
            {"served": lists},
            base,
            self.truth,
            self.k,
            n_products,
            seen=past.met(),
            product_tags=past.product_tags,
            segments=segments,
        )
        here, beside = (concentration(each, self.k, n_products) for each in (lists, base))
        spread = pl.DataFrame(
            [
                ("served", "all", name, self.k, value, beside[name], self.n_members)
                for name, value in here.items()
            ],
            schema=COMPARED,
            orient="row",
        )
        return pl.concat([of_all, self._of_new(lists, base, segments), spread])

    def _of_new(
        self, lists: pl.DataFrame, base: pl.DataFrame, segments: pl.DataFrame
    ) -> pl.DataFrame:
        """recall_new and ndcg_new."""
        new = self.truth.join(self.had, on=["member_id", "product_id"], how="anti")
        if new.is_empty():
            return pl.DataFrame(schema=COMPARED)
        compared = compare(
            {"served": without(lists, self.had)},
            without(base, self.had),
            new,
            self.k,
            len(self.offer.catalogue),
            segments=segments,
        )
        return compared.filter(pl.col("metric").is_in(["recall", "ndcg"])).with_columns(
            pl.col("metric") + "_new"
        )


def _looking_back(offer: Offer, choosing: pl.DataFrame, plain: Rules) -> _Tries:
    """The tries with what was popular for so long as it foresees most by itself."""
    tries = {
        days: _Tries.of(offer.looking_back(days), choosing, plain.length) for days in _RECENT_DAYS
    }
    worth = {days: each.quality(each.alone, plain) for days, each in tries.items()}
    return tries[plainest(_RECENT_DAYS, worth.__getitem__)]


def _again(mix: Mix) -> list[Mix]:
    """The mix with more or less of what is bought again."""
    return [
        replace(mix, in_place=True, repeat=0),
        *(replace(mix, in_place=True, repeat=places) for places in _REPEATS),
    ]


def _of_strangers(
    past: Past, offer: Offer, truth: pl.DataFrame, mix: Mix, rules: Rules, plain: Rules
) -> pl.DataFrame:
    """The rows of members of whom nothing was known by the cut."""
    if truth.is_empty():
        return pl.DataFrame(schema=COMPARED)
    tries = _Tries.of(offer, truth, rules.length)
    compared = compare(
        {"served": tries.lists(mix, rules)},
        tries.lists(tries.alone, plain),
        truth,
        rules.length,
        len(offer.catalogue),
        seen=past.met(),
        product_tags=past.product_tags,
    )
    return compared.with_columns(segment=pl.lit("new_members")).select(COMPARED.names())
