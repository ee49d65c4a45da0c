"""Lines: every byte of a file in exactly one line, in order."""

from hypothesis import given
from hypothesis import strategies as st

from resources.sources.lines import read_lines


@given(st.binary(max_size=300))
def test_lines_hold_the_whole_file(content: bytes) -> None:
    table = read_lines(content, "x.jsonl")
    # Of bytes, Python parts lines as files do: behind \n, \r and \r\n.
    expected = content.splitlines(keepends=True)
    found = table["text"].to_pylist()
    assert found == [line.decode("utf-8", "replace") for line in expected]
    assert table["line"].to_pylist() == list(range(1, len(expected) + 1))
    flags = table["is_utf8"].to_pylist()
    assert [line.decode("utf-8", "ignore").encode() == line for line in expected] == flags


def test_an_empty_file_has_no_lines() -> None:
    assert read_lines(b"", "x").num_rows == 0
