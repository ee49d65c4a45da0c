"""Where the records of a CSV are in a block of its bytes, and where their cells are parted."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from resources.sources.lines import line_ends

Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]
Octets = NDArray[np.uint8]

QUOTE, SPACE = b'" '
_LF, _CR = b"\n\r"
# More blanks than these beside a quote are text.
MOST_BLANKS = 100
# After so many rounds every line of a record with an open quote is taken for a record.
_MOST_ROUNDS = 20


@dataclass(frozen=True)
class Block:
    """Whole lines: their bytes, where each ends, with and without what ends it."""

    content: bytes
    octets: Octets
    ends: Positions
    text_ends: Positions
    is_last: bool

    @classmethod
    def of(cls, content: bytes, is_last: bool) -> Self:
        """The whole lines of a part of a file, all of it if the part `is_last`."""
        if not is_last and content.endswith(b"\r"):
            # What follows may be its newline.
            content = content[:-1]
        octets = np.frombuffer(content, dtype=np.uint8)
        ends = line_ends(content)
        if is_last and len(content) and (not len(ends) or ends[-1] != len(content)):
            ends = np.append(ends, len(content))
        if not len(ends):
            return cls(content, octets, ends, ends, is_last)
        text_ends = ends - np.isin(octets[ends - 1], (_LF, _CR))
        before = octets[np.maximum(text_ends - 1, 0)]
        text_ends -= (octets[ends - 1] == _LF) & (before == _CR) & (text_ends > 0)
        return cls(content, octets, ends, text_ends, is_last)


@dataclass(frozen=True)
class Records:
    """Records of a block: bytes, first line, where their cells are parted, what is wrong."""

    n_lines: int
    starts: Positions
    text_ends: Positions
    lines: Positions
    separators: Positions
    is_open: Flags
    is_broken: Flags


def positions(octets: Octets, sought: bytes) -> Positions:
    """Where some bytes begin."""
    found = octets == sought[0]
    for place, octet in enumerate(sought[1:], 1):
        found[: len(octets) - place] &= octets[place:] == octet
        found[len(octets) - place :] = False
    return np.flatnonzero(found)


def _step(octets: Octets, places: Positions, is_bound: Flags, direction: int) -> Positions:
    """Places moved over the blanks beside them, which are not of a quoted cell, to a bound."""
    moved = places.copy()
    for _ in range(MOST_BLANKS):
        passed = moved - 1 if direction < 0 else moved
        is_blank = ~is_bound[moved] & (octets[np.clip(passed, 0, len(octets) - 1)] == SPACE)
        if not is_blank.any():
            break
        moved[is_blank] += direction
    return moved


@dataclass(frozen=True)
class _Quotes:
    """Quotes that may open or close a cell, by place.

    Of a run of quotes an even number is text, whether the cell is open or not; an odd one opens
    where a cell begins and closes where one ends.
    """

    places: Positions
    opens: Flags
    closes: Flags

    @classmethod
    def of(cls, block: Block, separators: Positions, separator_bytes: int) -> "_Quotes":
        octets = block.octets
        found = np.flatnonzero(octets == QUOTE)
        firsts = found[np.diff(found, prepend=-2) != 1]
        lasts = found[np.diff(found, append=len(octets) + 1) != 1] + 1
        is_odd = (lasts - firsts) % 2 == 1
        firsts, lasts = firsts[is_odd], lasts[is_odd]
        # The block's own bounds are always among them.
        is_begin, is_end = np.zeros((2, len(octets) + 1), dtype=bool)
        is_begin[0] = is_end[len(octets)] = True
        is_begin[separators + separator_bytes] = is_begin[block.ends] = True
        is_end[separators] = is_end[block.text_ends] = True
        begins, ends = _step(octets, firsts, is_begin, -1), _step(octets, lasts, is_end, 1)
        return cls(firsts, is_begin[begins], is_end[ends])

    def states(self, resets: Positions) -> tuple[Positions, Flags, Flags]:
        """The places in order, whether a cell is open from each on, and where that is wrong.

        The states begin with that before the first place. At a reset no cell is open any more.
        """
        places = np.concatenate([self.places, resets])
        order = np.argsort(places, kind="stable")
        opens = np.concatenate([self.opens, np.zeros(len(resets), dtype=bool)])[order]
        closes = np.concatenate([self.closes, np.ones(len(resets), dtype=bool)])[order]
        # The state is what the last place set it to, turned as often as places have turned it.
        sets, turns = opens != closes, np.cumsum(opens & closes)
        last = np.maximum.accumulate(np.where(sets, np.arange(len(order)), -1))
        is_set, last = last >= 0, np.maximum(last, 0)
        n_turns = turns - np.where(is_set, turns[last], 0)
        states = np.append(False, (is_set & opens[last]) ^ (n_turns % 2 == 1))
        return places[order], states, states[:-1] & ~closes


def find_records(block: Block, separator: bytes) -> Records:
    """The records of a block, without one that the block's end may have cut."""
    n_lines = len(block.ends)
    separators = positions(block.octets, separator)
    if b'"' not in block.content or not n_lines:
        lines = np.arange(n_lines, dtype=np.int64)
        none = np.zeros(n_lines, dtype=bool)
        starts = np.append(0, block.ends)[:-1]
        return Records(n_lines, starts, block.text_ends, lines, separators, none, none)
    quotes = _Quotes.of(block, separators, len(separator))
    left_open = np.zeros(n_lines, dtype=bool)
    n_rounds = 0
    while True:
        n_rounds += 1
        places, behind, is_undoubled = quotes.states(block.text_ends[left_open])
        is_end = ~behind[np.searchsorted(places, block.text_ends, "right")]
        # What is not closed here may be closed in the next block.
        is_never_closed = not is_end[-1] and (block.is_last or not is_end.any())
        is_end[-1] |= is_never_closed
        lasts = np.flatnonzero(is_end)
        firsts = np.append(0, lasts + 1)[:-1]
        in_line = np.searchsorted(block.ends, places[is_undoubled], "right")
        in_record = np.searchsorted(lasts, in_line)
        is_broken = spread(in_record[in_record < len(lasts)], len(lasts))
        is_broken[-1] |= is_never_closed
        again = np.flatnonzero(is_broken & (lasts > firsts))
        if not len(again):
            break
        # The quote that was left open is taken to be in the record's first line.
        left_open[firsts[again]] = True
        if n_rounds >= _MOST_ROUNDS:
            for record in again:
                left_open[firsts[record] : lasts[record] + 1] = True
    is_open = left_open[firsts]
    is_open[-1] |= is_never_closed
    return Records(
        int(lasts[-1]) + 1,
        np.append(0, block.ends)[firsts],
        block.text_ends[lasts],
        firsts,
        separators[~behind[np.searchsorted(places, separators)]],
        is_open,
        is_broken,
    )


def spread(places: Positions, n: int) -> Flags:
    """Flags of which those at some places are set."""
    flags = np.zeros(n, dtype=bool)
    flags[places] = True
    return flags
