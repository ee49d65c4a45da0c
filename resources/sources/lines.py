"""Text files as Arrow columns of lines, without copying the text."""

import codecs
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa

_NEWLINE = 10
_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("text", pa.large_string()),
        pa.field("is_utf8", pa.bool_()),
    ]
)


def read_lines(file: Path, path: str) -> pa.Table:
    """A file's lines: path, line (from 1), text (with its newline), is_utf8.

    A line that is not UTF-8 keeps its place; its wrong bytes show as U+FFFD.

    Raises:
        OSError: the file cannot be read.
    """
    content = file.read_bytes().removeprefix(codecs.BOM_UTF8)
    octets = np.frombuffer(content, dtype=np.uint8)
    ends = np.flatnonzero(octets == _NEWLINE) + 1
    if len(content) and (not len(ends) or ends[-1] != len(content)):
        ends = np.append(ends, len(content))
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    is_utf8 = np.ones(len(ends), dtype=bool)
    text = pa.LargeStringArray.from_buffers(
        len(ends), pa.py_buffer(offsets.tobytes()), pa.py_buffer(content)
    )
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        lines = [content[start:end] for start, end in itertools.pairwise(offsets)]
        is_utf8 = np.array([_is_utf8(line) for line in lines], dtype=bool)
        text = pa.array([line.decode("utf-8", "replace") for line in lines], pa.large_string())
    return pa.table(
        [
            pa.repeat(pa.scalar(path, pa.string()), len(ends)),
            pa.array(np.arange(1, len(ends) + 1, dtype=np.int64)),
            text,
            pa.array(is_utf8),
        ],
        schema=_SCHEMA,
    )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
