"""CSV: what Python's own writer writes is read back, and a broken record takes no other with it."""

import csv
import io
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sources import csv_text
from resources.sources.csv_text import read_header, read_records

Row = tuple[Any, ...]


def read(
    content: bytes, delimiter: str = ",", columns: list[str] | None = None
) -> tuple[tuple[str, ...], list[Row], list[tuple[int, str]]]:
    """The names, the rows with their lines, and the lines of bad records with their reasons."""
    header = read_header(content, delimiter, columns)
    assert header is not None
    rows: list[Row] = []
    bad: list[tuple[int, str]] = []
    for good, others in read_records(content, header, delimiter):
        rows += [tuple(row.values()) for row in good.to_pylist()]
        bad += [(row["line"], row["reason"]) for row in others.to_pylist()]
    return header.names, rows, bad


CELLS = st.text(
    st.sampled_from(["a", "é", "中", ",", ";", '"', "\n", "\r", " ", "\t", "'"]), max_size=8
)


@given(
    rows=st.lists(st.tuples(st.integers(0, 99).map(str), CELLS, CELLS), max_size=12),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    delimiter=st.sampled_from([",", ";", "\t", "|", "，"]),
    n_blank=st.integers(0, 2),
    block_bytes=st.sampled_from([1 << 8, 1 << 24]),
)
def test_what_was_written_is_read_with_its_lines(
    rows: list[tuple[str, str, str]],
    line_end: str,
    delimiter: str,
    n_blank: int,
    block_bytes: int,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerow(["n", "a", "b"])
    expected: list[Row] = []
    for row in rows:
        text.write(line_end * n_blank)
        line = len(text.getvalue().encode().splitlines()) + 1
        expected.append((line, *(cell or None for cell in row)))
        writer.writerow(row)
    with patch.object(csv_text, "_BLOCK_BYTES", block_bytes):
        assert read(text.getvalue().encode(), delimiter) == (("n", "a", "b"), expected, [])


@given(
    st.lists(st.sampled_from(["1,2\n", '"a', '"', ",", "\n", "\r", "x", '""', " "]), max_size=30)
)
def test_no_two_records_begin_in_one_line(parts: list[str]) -> None:
    content = "a,b\n" + "".join(parts)
    _, rows, bad = read(content.encode())
    lines = [row[0] for row in rows] + [line for line, _ in bad]
    assert len(set(lines)) == len(lines)
    n_lines = len(content.encode().splitlines())
    assert all(1 < line <= n_lines for line in lines)


@pytest.mark.parametrize(
    ("content", "names", "rows", "bad"),
    [
        ("a,b\r1,2\r\r3,4\r", ("a", "b"), [(2, "1", "2"), (4, "3", "4")], []),
        ("a,b\n1,2\r\n3,4\r5,6", ("a", "b"), [(2, "1", "2"), (3, "3", "4"), (4, "5", "6")], []),
        ('\ufeff"a", " b "\n1, "x, y" \n', ("a", "b"), [(2, "1", "x, y")], []),
        ('a,b\n1,24" tv\n2,tv 24"\n', ("a", "b"), [(2, "1", '24" tv'), (3, "2", 'tv 24"')], []),
        ('a,b\n1,"x\n2,y\n', ("a", "b"), [(3, "2", "y")], [(2, "a quote is left open")]),
        (
            'a,b\n1,"he said "hi" there"\n2,y\n',
            ("a", "b"),
            [(3, "2", "y")],
            [(2, "a quote within quotes is not doubled")],
        ),
        (
            'a,b\n""x,1\n2,y\n',
            ("a", "b"),
            [(3, "2", "y")],
            [(2, "text stands behind a closing quote")],
        ),
        (
            "a,b\n1\n1,2,3\n1,2,\n1,2,,\n",
            ("a", "b"),
            [(4, "1", "2"), (5, "1", "2")],
            [(2, "expected 2 columns, found 1"), (3, "expected 2 columns, found 3")],
        ),
        ("a,b,\n1,2,\n3,4\n", ("a", "b"), [(2, "1", "2"), (3, "3", "4")], []),
        (",a,,b\n0,1,2,3\n", ("column_1", "a", "column_3", "b"), [(2, "0", "1", "2", "3")], []),
        ("a\nx\n\n \ny\n", ("a",), [(2, "x"), (5, "y")], []),
        ("\n\na,b\n1,2\n", ("a", "b"), [(4, "1", "2")], []),
        ("sep=,\na,b\n1,2\n", ("a", "b"), [(3, "1", "2")], []),
        ('"a\nb",c\n1,2\n', ("a\nb", "c"), [(3, "1", "2")], []),
        (
            "a,b\n1,2\na,b\n3,4\n",
            ("a", "b"),
            [(2, "1", "2"), (4, "3", "4")],
            [(3, "the header again")],
        ),
        ("a,b\n1,\0\n3,4\n", ("a", "b"), [(3, "3", "4")], [(2, "a zero byte in the record")]),
        ("a,b", ("a", "b"), [], []),
    ],
)
def test_what_people_write_is_read_or_refused(
    content: str, names: tuple[str, ...], rows: list[Row], bad: list[tuple[int, str]]
) -> None:
    assert read(content.encode()) == (names, rows, bad)


def test_a_record_of_bytes_that_are_no_text_is_refused_alone() -> None:
    assert read(b"a,b\n1,\xff\n2,\xc3\xa9\n") == (("a", "b"), [(3, "2", "é")], [(2, "not UTF-8")])


def test_without_a_header_the_declared_columns_name_the_cells() -> None:
    found = read(b"1,2\n3,4,5\n", columns=["x", "y"])
    assert found == (("x", "y"), [(1, "1", "2")], [(2, "expected 2 columns, found 3")])


def test_a_quote_that_is_left_open_does_not_hide_the_rest_of_a_large_file() -> None:
    lines = ["a,b", '0,"open', *(f"{number},x" for number in range(1, 2000))]
    with patch.object(csv_text, "_BLOCK_BYTES", 1000):
        _, rows, bad = read("\n".join(lines).encode())
    assert (len(rows), bad) == (1999, [(2, "a quote is left open")])
