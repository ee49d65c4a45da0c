"""Text files as Arrow columns of lines, without copying the text."""

import codecs
import itertools

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_NEWLINE, _RETURN = 10, 13
_BLOCK_BYTES = 1 << 18
_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("text", pa.large_string()),
        pa.field("is_utf8", pa.bool_()),
    ]
)
NO_LINES = _SCHEMA.empty_table()
# DuckDB gives one record batch to one thread.
_BATCH_LINES = 8192


def read_lines(content: bytes, path: str) -> pa.Table:
    """The lines of a file's content: path, line (from 1), text (with its newline), is_utf8.

    A line that is not UTF-8 keeps its place; its wrong bytes show as U+FFFD.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    ends = line_ends(content)
    if len(content) and (not len(ends) or ends[-1] != len(content)):
        ends = np.append(ends, len(content))
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    are_utf8 = np.ones(len(ends), dtype=bool)
    text = pa.LargeStringArray.from_buffers(
        len(ends), pa.py_buffer(offsets.tobytes()), pa.py_buffer(content)
    )
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        lines = [content[start:end] for start, end in itertools.pairwise(offsets)]
        are_utf8 = np.array([is_utf8(line) for line in lines], dtype=bool)
        text = pa.array([line.decode("utf-8", "replace") for line in lines], pa.large_string())
    table = pa.table(
        [
            pa.repeat(pa.scalar(path, pa.string()), len(ends)),
            pa.array(np.arange(1, len(ends) + 1, dtype=np.int64)),
            text,
            pa.array(are_utf8),
        ],
        schema=_SCHEMA,
    )
    return pa.Table.from_batches(table.to_batches(max_chunksize=_BATCH_LINES), _SCHEMA)


def line_ends(content: bytes) -> NDArray[np.int64]:
    """Where lines end, behind what ends them: a newline, a return, or a return and a newline."""
    octets = np.frombuffer(content, dtype=np.uint8)
    ends = _places(octets, _NEWLINE) + 1
    if b"\r" not in content:
        return ends
    returns = _places(octets, _RETURN) + 1
    # Behind a return that is the last byte nothing follows.
    follows = octets[np.minimum(returns, len(octets) - 1)]
    return np.sort(np.concatenate([ends, returns[follows != _NEWLINE]]))


def _places(octets: NDArray[np.uint8], octet: int) -> NDArray[np.int64]:
    """Where a byte stands; block by block, for the processor's cache."""
    found = [
        np.flatnonzero(octets[start : start + _BLOCK_BYTES] == octet) + start
        for start in range(0, len(octets), _BLOCK_BYTES)
    ]
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def is_utf8(content: bytes) -> bool:
    """Whether bytes are text in UTF-8."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
