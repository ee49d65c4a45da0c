"""Tables, CSV and Parquet: read ahead of the database, then opened as the view `records`.

`records` has the tables' columns, the line, and the path of the file.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from resources.config.source import FileSource
from resources.sources.csv_text import Header, HeaderError, read_header, read_records
from resources.sources.files import Arrival, unreadable
from resources.sources.parquet_text import as_bytes, as_text, holds_bytes, is_no_text
from resources.warehouse import Session, text_literal

# The column of `records` that says which file a record is from; `line` is the other one.
PATH = "siyu_path"
_LINE = "line"
# Its stubs leave types open.
_PARQUET: Any = pyarrow.parquet
# Rows that are handed to the database at once.
_CHUNK_ROWS = 1 << 20
_BATCH_ROWS = 8192


@dataclass(frozen=True)
class CsvTable:
    """A CSV file in UTF-8; `header` is None where it holds no text at all."""

    arrival: Arrival
    content: bytes
    header: Header | None
    delimiter: str

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The columns' names."""
        return self.header and self.header.names


def read_csv(arrival: Arrival, content: bytes) -> CsvTable:
    """A CSV file by its content, of which the header is read.

    Raises:
        SourceError: the header cannot be read.
    """
    source = arrival.source
    assert isinstance(source, FileSource)
    try:
        header = read_header(content, source.delimiter, source.columns)
    except HeaderError as error:
        raise unreadable(source, arrival.file, str(error)) from error
    folded_names = Counter(map(folded, header.names if header else ()))
    if twice := [name for name, count in folded_names.items() if count > 1]:
        raise unreadable(source, arrival.file, f"column {twice[0]!r} stands twice")
    return CsvTable(arrival, content, header, source.delimiter)


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file and the types of its columns.

    DuckDB refuses a file as a whole if a text is no UTF-8; unless `is_trusted` it is read with
    bytes for texts, which takes longer.
    """

    arrival: Arrival
    types: Mapping[str, Any]
    is_trusted: bool = True

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """The columns' names and types."""
        return tuple((name, str(kind)) for name, kind in self.types.items())


def read_parquet(arrival: Arrival) -> ParquetTable:
    """A Parquet file by its footer.

    Raises:
        SourceError: the footer cannot be read.
    """
    try:
        schema = _PARQUET.read_schema(arrival.file)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(arrival.source, arrival.file, str(error).splitlines()[0]) from error
    return ParquetTable(arrival, dict(zip(schema.names, schema.types, strict=True)))


Tables = Sequence[CsvTable | ParquetTable]


def open_tables(session: Session, tables: Tables, columns_read: Sequence[str] | None) -> None:
    """Makes `records` of tables with the same columns; what is no row of them goes to `unreadable`.

    Of Parquet, columns of bytes become texts: a record goes to `unreadable` where that cannot be
    done in one of the `columns_read` (folded; None: all). Of empty files, which have no header,
    `records` has these columns.
    """
    csv = [table for table in tables if isinstance(table, CsvTable)]
    parquet = [table for table in tables if isinstance(table, ParquetTable)]
    if csv:
        _open_csv(session, csv, columns_read or ())
    elif all(table.is_trusted for table in parquet):
        _open_parquet(session, parquet, columns_read)
    else:
        _open_distrusted(session, parquet, columns_read)


def is_of_texts(error: Exception) -> bool:
    """Whether DuckDB refused a Parquet file because a text is no UTF-8."""
    return "is not valid UTF8" in str(error)


def _open_csv(session: Session, tables: Sequence[CsvTable], columns_read: Sequence[str]) -> None:
    names = tables[0].columns or columns_read
    columns = "".join(f", {quoted(_offered(name, names))} varchar" for name in names)
    session.execute(
        f"create or replace temp table numbered ({_LINE} bigint{columns}, {PATH} varchar);"
        " create or replace temp view records as from numbered"
    )
    for good, bad in _chunks(tables):
        with session.offering(good=good, bad=bad):
            session.execute("insert into numbered from good")
            if bad.num_rows:
                session.execute("insert into unreadable select path, line, reason, text from bad")


def _offered(name: str, names: Iterable[str]) -> str:
    """A column's name in `records`, where `line` and the path have theirs."""
    taken = {folded(each) for each in names}
    if folded(name) == _LINE:
        while folded(name) in taken:
            name += "_1"
    return name


def _chunks(tables: Sequence[CsvTable]) -> Iterator[tuple[pa.Table, pa.Table]]:
    """The rows of all tables and what is none, with their paths, in some large parts."""
    good: list[pa.Table] = []
    bad: list[pa.Table] = []
    for table in tables:
        if table.header is None:
            continue
        path = pa.scalar(table.arrival.path, pa.string())
        for rows, others in read_records(table.content, table.header, table.delimiter):
            good.append(rows.append_column("path", pa.repeat(path, rows.num_rows)))
            bad.append(others.append_column("path", pa.repeat(path, others.num_rows)))
            if sum(each.num_rows for each in good) >= _CHUNK_ROWS:
                yield _together(good), _together(bad)
                good, bad = [], []
    if good:
        yield _together(good), _together(bad)


def _together(tables: Sequence[pa.Table]) -> pa.Table:
    whole = pa.concat_tables(tables)
    # DuckDB gives one record batch to one thread.
    return pa.Table.from_batches(whole.to_batches(max_chunksize=_BATCH_ROWS), whole.schema)


def _open_parquet(
    session: Session, tables: Sequence[ParquetTable], columns_read: Collection[str] | None
) -> None:
    files = ", ".join(text_literal(str(table.arrival.file)) for table in tables)
    named = ", ".join(
        f"({text_literal(str(table.arrival.file))}, {text_literal(table.arrival.path)})"
        for table in tables
    )
    _open_rows(
        session,
        "select file_row_number + 1 as siyu_line, * exclude (file_row_number, siyu_file, file)"
        f" from read_parquet([{files}], file_row_number = true, filename = 'siyu_file')"
        f" join (values {named}) as paths (file, {PATH}) on file = siyu_file",
        tables[0].types,
        columns_read,
    )


def _open_distrusted(
    session: Session, tables: Sequence[ParquetTable], columns_read: Collection[str] | None
) -> None:
    types = {name: as_bytes(kind) for name, kind in tables[0].types.items()}
    parts: list[pa.Table] = []
    for table in tables:
        rows = _PARQUET.ParquetFile(table.arrival.file).read().cast(pa.schema(types.items()))
        n_rows: int = rows.num_rows
        lines = pa.array(np.arange(1, n_rows + 1, dtype=np.int64))
        path = pa.repeat(pa.scalar(table.arrival.path, pa.string()), n_rows)
        parts.append(rows.append_column("siyu_line", lines).append_column(PATH, path))
    with session.offering(stored=pa.concat_tables(parts)):
        _open_rows(session, "from stored", types, columns_read)


def _open_rows(
    session: Session, rows: str, types: Mapping[str, Any], columns_read: Collection[str] | None
) -> None:
    """Makes `records` of rows with siyu_line and path, their bytes as texts."""
    own_lines = [name for name in types if folded(name) == _LINE]
    moved = "".join(f", {quoted(name)} as {quoted(_offered(name, types))}" for name in own_lines)
    left_out = ", ".join(["siyu_line", *map(quoted, own_lines)])
    in_bytes = {name: kind for name, kind in types.items() if holds_bytes(kind)}
    if not in_bytes:
        session.execute(
            f"create or replace temp view records as select siyu_line as {_LINE},"
            f" * exclude ({left_out}){moved} from ({rows})"
        )
        return
    texts = ", ".join(
        f"{as_text(quoted(name), kind)} as {quoted(name)}" for name, kind in in_bytes.items()
    )
    tests = [
        f"when {is_no_text(quoted(name), kind)} then {text_literal(f'column {name} is not UTF-8')}"
        for name, kind in in_bytes.items()
        if columns_read is None or folded(name) in columns_read
    ]
    unfit = f"case {' '.join(tests)} end" if tests else "cast(null as varchar)"
    session.execute(
        f"create or replace temp table numbered as select * replace ({texts}),"
        f" {unfit} as siyu_unfit from ({rows});"
        f" insert into unreadable select {PATH}, siyu_line, siyu_unfit,"
        f" cast(to_json(numbered) as varchar) from numbered where siyu_unfit is not null;"
        f" create or replace temp view records as select siyu_line as {_LINE},"
        f" * exclude ({left_out}, siyu_unfit){moved} from numbered where siyu_unfit is null"
    )


def folded(name: str) -> str:
    """What of a name counts for DuckDB: the case of A to Z does not."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def quoted(name: str) -> str:
    """A column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'
