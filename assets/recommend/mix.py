"""How much each source says in the lists.

The lists of the sources are fused by the ranks of their products (``blend.fuse``), with weights of
each member's own: as more is known of a member, what is popular gives way to the models of taste.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from assets.recommend.blend import fuse

# Beside a model of taste that has seen the product's members, what its tags foretell.
_SAY_OF_NEW = 0.5
# Beside all the others, who say 1 together: enough to come before them.
_SAY_OF_REPEATS = 2.0


@dataclass(frozen=True)
class Mix:
    """How much each source says. As it stands, what is popular in the shop is all that is said.

    Attributes:
        als, similar: of the two models of taste, in proportion to each other, at least 0.
        half: products that a member has met when taste says as much as popularity, above 0.
        content: of what is popular in the member's tags, where popularity says 1, at least 0.
        in_place: whether the places of products that the member had go to those that they are
            likeliest to buy again. New products lose nothing by it.
        repeat: places at most, ahead of all others, for what the member may buy again, at least 0.
        by_segment: whether popular means in the member's segment, not in the whole shop.
        unmet: whether only products are proposed that the member has not met, but for ``repeat``.
        recent_days: popular means among what members came to in so many last days; 0: among all,
            of which the recent counts more.
    """

    als: float = 0.0
    similar: float = 0.0
    half: float = 16.0
    content: float = 0.0
    in_place: bool = False
    repeat: int = 0
    by_segment: bool = False
    unmet: bool = False
    recent_days: int = 0

    def __post_init__(self) -> None:
        """Refuses what means nothing."""
        counts = (self.repeat, self.recent_days)
        if min(self.als, self.similar, self.content, *counts) < 0 or not self.half > 0:
            raise ValueError("weights must be at least 0, and half above 0")

    @property
    def n_parts(self) -> int:
        """How much there is in it beyond popularity: the less, the plainer."""
        parts = (self.als, self.similar, self.content, self.in_place, self.repeat)
        return sum(bool(part) for part in (*parts, self.by_segment, self.unmet, self.recent_days))

    @property
    def sources(self) -> tuple[str, ...]:
        """What it hears, by the names of ``mixed``; on a tie the first has the product."""
        has_taste = bool(self.als or self.similar)
        heard = {
            "als": self.als,
            "similar": self.similar,
            "new": has_taste,
            "repeat": self.in_place or self.repeat,
            "content": self.content,
            self.popular: True,
        }
        return tuple(name for name, weight in heard.items() if weight)

    @property
    def popular(self) -> str:
        """Which of the two lists of popular products it hears."""
        return "popular" if self.by_segment else "popular_in_shop"

    def __str__(self) -> str:
        """In words for a reader of decisions."""
        where = "in the segment" if self.by_segment else "in the shop"
        if self.recent_days:
            where = f"{where} for {self.recent_days} days"
        parts = [f"popular {where}"]
        if self.content:
            parts.append(f"popular in tags {self.content:g}")
        if self.als or self.similar:
            parts.append(f"ALS {self.als:g} and walk {self.similar:g} (half at {self.half:g})")
        if self.in_place:
            parts.append("bought again in the places of what was had")
        if self.repeat:
            parts.append(f"up to {self.repeat} bought again ahead")
        if self.unmet:
            parts.append("nothing met before")
        return ", ".join(parts)

    def weights(self, n_met: pl.DataFrame) -> dict[str, float | pl.DataFrame]:
        """Of every source it hears.

        Args:
            n_met: member_id, n_met: products met, of every member with a list.
        """
        taste = self.als + self.similar
        met = pl.col("n_met").cast(pl.Float64)
        share = met / (met + self.half) if taste else pl.lit(0.0)

        def of_members(weight: pl.Expr) -> pl.DataFrame:
            return n_met.select("member_id", weight=weight)

        popular = (1 - share) / (1 + self.content)
        found: dict[str, float | pl.DataFrame] = {
            self.popular: of_members(popular),
            "content": of_members(popular * self.content),
            "repeat": _SAY_OF_REPEATS,
        }
        if taste:
            found |= {
                "als": of_members(share * self.als / taste),
                "similar": of_members(share * self.similar / taste),
                "new": of_members(share * _SAY_OF_NEW * max(self.als, self.similar) / taste),
            }
        return found


def mixed(
    lists: Mapping[str, pl.DataFrame], mix: Mix, n_met: pl.DataFrame, n: int, had: pl.DataFrame
) -> pl.DataFrame:
    """The candidates of every member, as from ``fuse``.

    Args:
        lists: by source (als, similar, new, repeat, content, popular, popular_in_shop).
        mix: what each says.
        n_met: member_id, n_met of every member with a list.
        n: candidates of a member.
        had: member_id, product_id that the member has ordered.
    """
    weights = mix.weights(n_met)
    heard = {name: lists[name] for name in mix.sources if name in lists}
    again = heard.pop("repeat", None)
    if again is not None and mix.repeat:
        heard = {"repeat": again.filter(pl.col("rank") <= mix.repeat), **heard}
    fused = fuse(heard, {name: weights[name] for name in heard}, n)
    if again is not None and mix.in_place:
        fused = _had_in_order(fused, again, had)
    # What is new is told by its tags; both kinds of popular are one source to the reader.
    public = {"new": "content", "popular_in_shop": "popular"}
    return fused.with_columns(pl.col("source").replace(public))


def _had_in_order(fused: pl.DataFrame, again: pl.DataFrame, had: pl.DataFrame) -> pl.DataFrame:
    """Gives the places of products that members had to those that they are likeliest to want again.

    Args:
        fused: as from ``fuse``.
        again: member_id, rank (from 1), product_id.
        had: member_id, product_id.

    Returns:
        The same places with the same scores; what is new stands where it stood.
    """
    pair = ["member_id", "product_id"]
    of_place = pl.int_range(1, pl.len() + 1).over("member_id", order_by="rank")
    places = fused.join(had, on=pair, how="semi").with_columns(place=of_place)
    # What is not due has the places that are left, in its former order.
    waiting = places.join(again, on=pair, how="anti").select(*pair, "rank", "source")
    due = again.select(*pair, "rank").with_columns(source=pl.lit("repeat"))
    contenders = (
        pl.concat([due.with_columns(is_due=0), waiting.with_columns(is_due=1)])
        .with_columns(
            place=pl.int_range(1, pl.len() + 1).over("member_id", order_by=["is_due", "rank"])
        )
        .select(*pair, "source", "place")
    )
    filled = places.drop("product_id", "source").join(contenders, on=["member_id", "place"])
    return pl.concat([fused.join(had, on=pair, how="anti"), filled.select(fused.columns)]).sort(
        "member_id", "rank"
    )
