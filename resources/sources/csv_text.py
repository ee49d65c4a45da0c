"""CSV as Arrow columns of text: RFC 4180 with any line ends, each record with its own line.

A record may hold line ends inside of double quotes. What breaks the rules takes no other record
with it: where a quote is left open, reading goes on in the next line. Pure; no Python loop over
records.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute

from resources.sources.csv_records import (
    MOST_BLANKS,
    QUOTE,
    SPACE,
    Block,
    Flags,
    Positions,
    Records,
    find_records,
    positions,
    spread,
)
from resources.sources.lines import is_utf8

# Its stubs know no large texts.
_COMPUTE: Any = pyarrow.compute

# Bytes read at once; a record that is longer is no record but an open quote.
_BLOCK_BYTES = 16 << 20
_HEADER_BYTES = 1 << 20
_FIRST_BEYOND_ASCII = 128
_SEPARATOR_LINE = re.compile(r"(?i)sep=(.)")
BAD = pa.schema(
    [
        pa.field("line", pa.int64()),
        pa.field("reason", pa.large_string()),
        pa.field("text", pa.large_string()),
    ]
)


class HeaderError(Exception):
    """The header cannot be read; the message says why and what to do."""


@dataclass(frozen=True)
class Header:
    """A table's columns, by name and as the file says them; where its records begin, which line."""

    names: tuple[str, ...]
    cells: tuple[str, ...]
    start: int
    line: int


def read_header(content: bytes, delimiter: str, columns: Sequence[str] | None) -> Header | None:
    """The header of a file, or what stands for it: the `columns` that were declared.

    A column without a name is `column_N`, by its place; at the end of the line it is none. None
    for a file without any text.

    Raises:
        HeaderError: there is none that can be read.
    """
    start = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
    if columns is not None:
        return Header(tuple(columns), tuple(columns), start, 1)
    block = content[start : start + _HEADER_BYTES]
    if b"\0" in block.partition(b"\n")[0]:
        raise HeaderError("its header holds zero bytes; if it is UTF-16, give 'encoding: utf-16'")
    line = 1
    for names, n_bytes, n_lines in _firstfind_records(block, delimiter):
        start, line = start + n_bytes, line + n_lines
        if not names or not any(name.strip() for name in names):
            continue
        if n_lines == 1 and (told := _SEPARATOR_LINE.fullmatch(delimiter.join(names))):
            if told[1] != delimiter:
                raise HeaderError(f"its first line says sep={told[1]}; give that as 'delimiter'")
            continue
        named = _named(names)
        return Header(named, tuple(names[: len(named)]), start, line)
    return None


def _firstfind_records(block: bytes, delimiter: str) -> Iterator[tuple[list[str], int, int]]:
    """The records that a block begins with: cells, bytes, lines."""
    n_bytes = 0

    def lines() -> Iterator[str]:
        nonlocal n_bytes
        for line in re.findall(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", block):
            n_bytes += len(line)
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise HeaderError(
                    "its header is not UTF-8; give its 'encoding', such as gb18030"
                ) from error

    reader = csv.reader(lines(), delimiter=delimiter, skipinitialspace=True)
    n_bytes_before = n_lines_before = 0
    try:
        for cells in reader:
            yield cells, n_bytes - n_bytes_before, reader.line_num - n_lines_before
            n_bytes_before, n_lines_before = n_bytes, reader.line_num
    except csv.Error as error:
        raise HeaderError(f"its header cannot be read: {error}") from error


def _named(names: Sequence[str]) -> tuple[str, ...]:
    trimmed = [name.strip() for name in names]
    while not trimmed[-1]:
        trimmed.pop()
    return tuple(name or f"column_{place}" for place, name in enumerate(trimmed, 1))


def read_records(
    content: bytes, header: Header, delimiter: str
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """The records behind a header, block by block: (line, a text per column), (line, reason, text).

    An empty cell is NULL. Surplus cells at a record's end that are all empty say nothing; any other
    record that does not fit the columns is of the second table.
    """
    separator = delimiter.encode()
    start, line, size = header.start, header.line, _BLOCK_BYTES
    while start < len(content):
        block = Block.of(content[start : start + size], start + size >= len(content))
        records = find_records(block, separator)
        if not records.n_lines:
            size *= 2
            continue
        yield _tables(block, records, header, separator, line)
        start += int(block.ends[records.n_lines - 1])
        line += records.n_lines
        size = _BLOCK_BYTES


def _tables(
    block: Block, records: Records, header: Header, separator: bytes, line: int
) -> tuple[pa.Table, pa.Table]:
    n_columns = len(header.names)
    starts, ends = records.starts, records.text_ends
    first = np.searchsorted(records.separators, starts)
    n_found = np.searchsorted(records.separators, ends) - first + 1
    # Where the cells behind the last column begin: only separators may follow.
    places = np.append(records.separators, len(block.content))
    surplus = places[np.minimum(first + n_columns - 1, len(places) - 1)]
    is_longer = n_found > n_columns
    fits = (n_found == n_columns) | (
        is_longer & (ends - surplus == (n_found - n_columns) * len(separator))
    )
    reasons: dict[str, Flags] = {
        "not UTF-8": ~_are_utf8(block, starts, ends),
        "a zero byte in the record": _hold(block, b"\0", starts, ends),
        "a quote is left open": records.is_open,
        "a quote within quotes is not doubled": records.is_broken,
    }
    is_blank = n_found == 1
    is_blank[is_blank] = ~_have_text(block, starts[is_blank], ends[is_blank])
    is_bad = np.logical_or.reduce([*reasons.values(), is_blank, ~fits])
    chosen = np.flatnonzero(~is_bad)
    within = records.separators[first[chosen][:, None] + np.arange(n_columns - 1)]
    cells = _Cells.of(
        block,
        np.column_stack([starts[chosen], within + len(separator)]),
        np.column_stack([within, np.where(is_longer, surplus, ends)[chosen]]),
    )
    columns = [cells.column(block.content, number) for number in range(n_columns)]
    is_header = _equal(columns, header.cells)
    good = pa.table(
        [pa.array(records.lines[chosen] + line), *columns],
        names=["line", *map(str, range(n_columns))],
    ).filter(pa.array(~(is_header | cells.is_unclosed)))
    reasons |= {
        "text stands behind a closing quote": spread(chosen[cells.is_unclosed], len(starts)),
        "the header again": spread(chosen[is_header], len(starts)),
    }
    reasons |= {
        f"expected {n_columns} columns, found {n}": ~fits & ~is_blank & (n_found == n)
        for n in np.unique(n_found[~fits & ~is_blank]).tolist()
    }
    return good, _bad(block, records, reasons, line)


def _bad(block: Block, records: Records, reasons: Mapping[str, Flags], line: int) -> pa.Table:
    """The records with a reason; of several reasons the first counts."""
    given = np.full(len(records.starts), -1)
    for number, flags in reversed(list(enumerate(reasons.values()))):
        given[flags] = number
    found = np.flatnonzero(given >= 0)
    texts = [
        block.content[start:end].decode("utf-8", "replace")
        for start, end in zip(records.starts[found], records.text_ends[found], strict=True)
    ]
    names = list(reasons)
    said = [names[int(number)] for number in given[found]]
    columns = [pa.array(records.lines[found] + line), pa.array(said, pa.large_string())]
    return pa.table([*columns, pa.array(texts, pa.large_string())], schema=BAD)


@dataclass(frozen=True)
class _Cells:
    """Where the cells of records are in a block: one row per record, without their quotes."""

    starts: Positions
    ends: Positions
    has_quotes: Flags
    is_unclosed: Flags

    @classmethod
    def of(cls, block: Block, starts: Positions, ends: Positions) -> Self:
        """The cells between some places; a record is unclosed if text stands behind a quote."""
        none = np.zeros(starts.shape, dtype=bool)
        if b'"' not in block.content or not starts.size:
            return cls(starts, ends, none, none[:, 0])
        octets, last = block.octets, len(block.octets) - 1
        begins, stops = starts.copy(), ends.copy()
        for _ in range(MOST_BLANKS):
            is_blank = (begins < stops) & (octets[np.minimum(begins, last)] == SPACE)
            if not is_blank.any():
                break
            begins[is_blank] += 1
        is_quoted = (begins < ends) & (octets[np.minimum(begins, last)] == QUOTE)
        for _ in range(MOST_BLANKS):
            is_blank = is_quoted & (stops > begins) & (octets[np.maximum(stops - 1, 0)] == SPACE)
            if not is_blank.any():
                break
            stops[is_blank] -= 1
        is_closed = (stops - begins >= 2) & (octets[np.maximum(stops - 1, 0)] == QUOTE)
        is_whole = is_quoted & is_closed
        begins, stops = begins + 1, stops - 1
        quotes = np.flatnonzero(octets == QUOTE)
        n_quotes = np.searchsorted(quotes, stops[is_whole]) - np.searchsorted(
            quotes, begins[is_whole]
        )
        has_quotes = is_whole.copy()
        has_quotes[is_whole] = n_quotes > 0
        return cls(
            np.where(is_whole, begins, starts),
            np.where(is_whole, stops, ends),
            has_quotes,
            (is_quoted & ~is_closed).any(axis=1),
        )

    def column(self, content: bytes, number: int) -> Any:
        """The texts of one column; an empty one is NULL."""
        has_quotes = self.has_quotes[:, number]
        texts = _slices(content, self.starts[:, number], self.ends[:, number])
        if not has_quotes.any():
            return texts
        return _COMPUTE.if_else(has_quotes, _COMPUTE.replace_substring(texts, '""', '"'), texts)


def _slices(content: bytes, starts: Positions, ends: Positions) -> Any:
    """Parts of a content as texts; an empty one is NULL."""
    if not len(starts):
        return pa.array([], pa.large_string())
    bounds = np.column_stack([starts, ends]).ravel().astype(np.int64)
    # Of texts and what lies between them, every other one.
    pairs: Any = pa.LargeStringArray.from_buffers(
        len(bounds) - 1, pa.py_buffer(bounds.tobytes()), pa.py_buffer(content)
    )
    return pairs.take(pa.array(np.arange(0, len(bounds), 2), mask=ends <= starts))


def _equal(columns: Sequence[Any], cells: Sequence[str]) -> Flags:
    """Which records say the header's cells."""
    found = np.ones(len(columns[0]), dtype=bool)
    for column, cell in zip(columns, cells, strict=True):
        if cell and found.any():
            found &= _COMPUTE.equal(column, cell).fill_null(False).to_numpy(zero_copy_only=False)
    return found


def _hold(block: Block, octet: bytes, starts: Positions, ends: Positions) -> Flags:
    """Which records hold a byte."""
    if octet not in block.content:
        return np.zeros(len(starts), dtype=bool)
    places = positions(block.octets, octet)
    return np.searchsorted(places, ends) > np.searchsorted(places, starts)


def _have_text(block: Block, starts: Positions, ends: Positions) -> Flags:
    """Which records hold more than spaces."""
    found = ends > starts
    suspect = found.copy()
    suspect[found] = block.octets[starts[found]] <= SPACE
    for each in np.flatnonzero(suspect):
        found[each] = bool(block.content[starts[each] : ends[each]].strip())
    return found


def _are_utf8(block: Block, starts: Positions, ends: Positions) -> Flags:
    """Which records are text in UTF-8."""
    found = np.ones(len(starts), dtype=bool)
    if block.content.isascii() or is_utf8(block.content):
        return found
    places = np.flatnonzero(block.octets >= _FIRST_BEYOND_ASCII)
    suspect = np.searchsorted(places, ends) > np.searchsorted(places, starts)
    for each in np.flatnonzero(suspect):
        found[each] = is_utf8(block.content[starts[each] : ends[each]])
    return found
