"""Opens tables, CSV and Parquet, as the view `records`: their columns, the path and the line."""

import codecs
import csv
from collections import Counter

from resources.sources.files import COMPRESSIONS, Arrival, unreadable
from resources.warehouse import Session, text_literal

# The column of `records` that says which file of the batch a record is from.
PATH = "record_path"
# Bytes; a longer line of a table is no line but a broken file.
_LONGEST_LINE = 64 << 20


def open_parquet(session: Session, arrival: Arrival) -> None:
    """Makes `records` of a Parquet file."""
    session.execute(
        "create or replace temp view records as select file_row_number + 1 as line, *"
        f" exclude (file_row_number), {text_literal(arrival.path)} as {PATH}"
        f" from read_parquet({text_literal(str(arrival.file))}, file_row_number = true)"
    )


def open_csv(session: Session, arrival: Arrival, delimiter: str) -> None:
    """Makes `records` of a CSV file; what is no row of it goes to `unreadable`.

    Raises:
        SourceError: the file cannot be read, or has no header.
    """
    # DuckDB reads archives by itself, but takes what a cut zstd file begins with for the whole.
    content = arrival.read() if arrival.file.suffix in COMPRESSIONS else None
    columns = ", ".join(
        f"{text_literal(name)}: 'varchar'" for name in _header(arrival, delimiter, content)
    )
    # Only rows in the file's order can be numbered.
    session.execute("set preserve_insertion_order = true")
    # Nothing is guessed from the data: one broken line would change how all are read.
    session.execute(
        "create or replace temp table parsed as select row_number() over () as ordinal, *"
        f" from read_csv($file, auto_detect = false, header = true, columns = {{{columns}}},"
        " strict_mode = true, store_rejects = true, delim = $delimiter, quote = '\"',"
        f" escape = '\"', max_line_size = {_LONGEST_LINE})",
        {"file": str(arrival.file), "delimiter": delimiter},
    )
    session.execute("set preserve_insertion_order = false")
    session.execute(
        "insert into unreadable select $path, line, any_value(error_message), any_value(csv_line)"
        " from reject_errors group by line",
        {"path": arrival.path},
    )
    session.execute("drop table reject_errors; drop table reject_scans")
    # A good record's line is its ordinal, the header, and the bad lines before it.
    session.execute(
        "create or replace temp table numbered as"
        " with bad as (select line - 1 - row_number() over (order by line) as good_before"
        " from unreadable)"
        " select ordinal + 1 + (select count(*) from bad where good_before < ordinal) as line,"
        f" * exclude (ordinal), {text_literal(arrival.path)} as {PATH} from parsed;"
        " drop table parsed; create or replace temp view records as from numbered"
    )


def _header(arrival: Arrival, delimiter: str, content: bytes | None) -> list[str]:
    """The names of a table's columns, from its first line."""
    if content is None:
        with arrival.file.open("rb") as file:
            line = file.readline(_LONGEST_LINE)
    else:
        line = content.partition(b"\n")[0]
    try:
        text = line.removeprefix(codecs.BOM_UTF8).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise unreadable(arrival.source, arrival.file, "its header is not UTF-8") from error
    names = next(csv.reader([text], delimiter=delimiter), list[str]())
    found = Counter(map(folded, names))
    if not names or "" in found:
        problem = "expected a header that names every column"
        raise unreadable(arrival.source, arrival.file, problem)
    if twice := [name for name, count in found.items() if count > 1]:
        raise unreadable(arrival.source, arrival.file, f"column {twice[0]!r} stands twice")
    return names


def folded(name: str) -> str:
    """What of a name counts for DuckDB: the case of A to Z does not."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def quoted(name: str) -> str:
    """A column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'
