"""What is popular, in tags and where members are, and what tags foretell of new products."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from assets.recommend import cold_members
from assets.recommend.als import Factors
from assets.recommend.cold_products import TagFactors
from assets.recommend.matrix import ids_of, positions

# So many candidates per place leave the rules something to choose from.
CANDIDATES = 3
# Few members are barred from more products than this; the others need no longer lists.
_FEW_BARRED = 200
# Where a member's taste is unknown, what she shares with others, the most telling first.
_TRAITS = ("channel", "country")
_PAIR = ("member_id", "product_id")


@dataclass(frozen=True, eq=False)
class Popular:
    """What is popular, once for all members.

    Attributes:
        segments: member_id, segment.
        of_segments: segment, rank, product_id, score.
        of_tags: tag, rank, product_id, score.
    """

    segments: pl.DataFrame
    of_segments: pl.DataFrame
    of_tags: pl.DataFrame

    @classmethod
    def of(
        cls,
        members: pl.DataFrame,
        history: pl.DataFrame,
        product_tags: pl.DataFrame,
        product_ids: NDArray[np.str_],
        n: int,
    ) -> Self:
        """Finds what is popular by segment and by tag.

        Args:
            members: member_id, channel, country: whom lists are made for.
            history: member_id, product_id, weight.
            product_tags: product_id, tag, score (0 to 1).
            product_ids: what may be listed, distinct.
            n: length of the lists; longer than a member's by what she is barred from.
        """
        segments = cold_members.member_segments(
            members.unique("member_id").sort("member_id"), _TRAITS
        )
        return cls(
            segments,
            cold_members.segment_lists(history, segments, product_ids, n),
            cold_members.tag_lists(history, product_tags, product_ids, n),
        )

    def lists(
        self,
        members: pl.DataFrame,
        member_tags: pl.DataFrame,
        never: pl.DataFrame,
        had: pl.DataFrame,
        n: int,
        wanted: Collection[str],
    ) -> dict[str, pl.DataFrame]:
        """The lists of some members, by their source.

        Args:
            members: member_id.
            member_tags: member_id, tag, score of these members.
            never: member_id, product_id that may not be listed.
            had: member_id, product_id that the member ordered; left out of ``content``.
            n: length of the lists.
            wanted: which of ``content``, ``popular`` (in the member's segment) and
                ``popular_in_shop`` (the same for all) to make.

        Returns:
            Those, each member_id, rank (from 1), product_id, score.
        """
        closed = pl.concat([never.select(_PAIR), had.select(_PAIR)]).unique()
        n_barred = closed.group_by("member_id").len("n_barred")
        many = n_barred.filter(pl.col("n_barred") > _FEW_BARRED).select("member_id")
        few = members.join(many, on="member_id", how="anti")
        is_short = pl.col("rank") <= n + _FEW_BARRED
        short = Popular(
            self.segments, self.of_segments.filter(is_short), self.of_tags.filter(is_short)
        )
        parts = [
            popular._lists(  # pyright: ignore[reportPrivateUsage]
                some, member_tags, never, closed, n, wanted
            )
            for popular, some in ((short, few), (self, members.join(many, on="member_id")))
        ]
        return {
            source: pl.concat([part[source] for part in parts]).sort("member_id", "rank")
            for source in parts[0]
        }

    def _lists(
        self,
        members: pl.DataFrame,
        member_tags: pl.DataFrame,
        never: pl.DataFrame,
        closed: pl.DataFrame,
        n: int,
        wanted: Collection[str],
    ) -> dict[str, pl.DataFrame]:
        tags, segments, barred, closed_to = (
            rows.join(members, on="member_id", how="semi")
            for rows in (member_tags, self.segments, never, closed)
        )
        in_shop = segments.with_columns(segment=pl.lit(None, dtype=pl.String))
        of_shop = self.of_segments.filter(pl.col("segment").is_null())
        found: dict[str, pl.DataFrame] = {}
        if "content" in wanted:
            found["content"] = cold_members.popular_in_favourite_tags(
                tags, self.of_tags, closed_to, n
            )
        for source, where, lists in (
            ("popular", segments, self.of_segments),
            ("popular_in_shop", in_shop, of_shop),
        ):
            if source in wanted:
                found[source] = cold_members.popular_in_segments(where, lists, barred, n)
        return found


def products_met(history: pl.DataFrame) -> pl.DataFrame:
    """How many products each member has met: member_id, n_met.

    Args:
        history: member_id, product_id, each pair once.
    """
    return history.group_by("member_id").agg(n_met=pl.len())


def members_met(history: pl.DataFrame, product_ids: NDArray[np.str_]) -> NDArray[np.int64]:
    """How many members have met each product; shape (n_products,).

    Args:
        history: product_id, weight (0 and less do not count), a row for each member.
        product_ids: ascending, shape (n_products,).
    """
    met = history.filter(pl.col("weight") > 0).group_by("product_id").len()
    counts = np.zeros(len(product_ids), dtype=np.int64)
    place = positions(product_ids, ids_of(met["product_id"]))
    counts[place[place >= 0]] = met["len"].to_numpy()[place >= 0]
    return counts


def foretold(
    factors: Factors,
    history: pl.DataFrame,
    product_tags: pl.DataFrame,
    product_ids: NDArray[np.str_],
) -> Factors:
    """The model over products that it does not know, by the vectors their tags foretell.

    Args:
        factors: the model.
        history: product_id, weight; how many have met a product counts for how much it teaches.
        product_tags: product_id, tag, score (0 to 1).
        product_ids: what to foretell, ascending; those without tags and those that the model
            knows are left out.
    """
    told = np.intersect1d(product_ids, ids_of(product_tags["product_id"].unique()))
    cold = np.setdiff1d(told, factors.product_ids)
    counts = members_met(history, factors.product_ids)
    learnt = TagFactors.fit(product_tags, factors.product_ids, factors.product_factors, counts)
    return replace(factors, product_ids=cold, product_factors=learnt.predict(product_tags, cold))
