"""Brings a batch of one source's files into the temporary table `staged`.

Whatever the format, `staged` has path, line, reason (NULL: accepted), payload and the fields of
its entity; people are still in clear there (`user_key`, `anonymous_key`, `addresses`).
"""

from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal

from resources.config.loading import ConfigError
from resources.config.source import FileSource, Source
from resources.config.web_log_source import WebLogSource
from resources.sources.batches import Batch
from resources.sources.beside import join_beside, open_beside
from resources.sources.files import SourceError, unreadable
from resources.sources.mapping import columns_read, mapped
from resources.sources.tables import PATH, folded, is_of_texts, open_tables, quoted
from resources.sources.times import reading
from resources.sources.vocabulary import renamed
from resources.sources.web_log import requests
from resources.warehouse import FileFormatErrors, Session, SqlError, read_sql, text_literal

# Records of more different keys than this, or longer ones, keep the rest in `record` alone.
_MOST_KEYS = 500
_LONGEST_KEY = 100
_IS_JSON = "create or replace temp macro is_json(said) as"


def stage(session: Session, batch: Batch) -> None:
    """Reads a batch of one source into the temporary table `staged`.

    Raises:
        SourceError: a file cannot be read.
        ConfigError: a mapping does not fit the file's columns.
    """
    try:
        _stage(session, batch)
    except FileFormatErrors:
        _stage(session, batch.distrusted())
    except (SourceError, ConfigError):
        # One of several tables: the error shall name it.
        for table in batch.tables if len(batch.tables) > 1 else ():
            _stage(session, batch.only(table))
        raise


def _stage(session: Session, batch: Batch) -> None:
    source = batch.arrivals[0].source
    if source.layout is None and not isinstance(source, WebLogSource):
        _stage_records(session, source, batch)
    elif batch.tables:
        _stage_rows(session, source, batch)
    else:
        _stage_lines(session, source, batch)


def _layout(source: Source) -> str:
    """The SELECT that reads the source's `lines`."""
    if isinstance(source, WebLogSource):
        parsed = requests(
            source.log_format,
            cookie=source.cookie,
            visitor=source.visitor,
            pixel=source.pixel,
            user_parameter=source.user_parameter,
            ignore=source.ignore,
        )
        layout = read_sql("raw/layouts/web_log.sql")
        return f"with requests as ({parsed}) from (\n{renamed(source, layout)}\n)"
    return renamed(source, read_sql(f"raw/layouts/{source.layout}.sql"))


def control_totals(session: Session, source: Source) -> dict[str, Decimal]:
    """Per file just staged, the sum that the source declares for reconciliation."""
    if source.control_total is None:
        return {}
    return dict(
        session.rows(
            f"select {PATH}, sum(try(cast({source.control_total} as decimal(18, 4))))"
            f" from records group by {PATH}"
        )
    )


def _stage_lines(session: Session, source: Source, batch: Batch) -> None:
    """Stages lines by a layout, which asks `is_json` of each before it looks into it."""
    staging = f"{reading(source)} create or replace temp table staged as {_layout(source)}"
    with session.offering(lines=batch.lines):
        try:
            # Most batches hold nothing else, and asking takes one more parse of every line. All
            # functions that look into JSON are as strict as json_valid, and fail.
            session.execute(f"{_IS_JSON} true; {staging}")
        except FileFormatErrors:
            session.execute(f"{_IS_JSON} json_valid(said); {staging}")


def _stage_rows(session: Session, source: Source, batch: Batch) -> None:
    """Stages Parquet files by a layout: each row as the JSON line it would be."""
    with _naming_the_file(source, batch):
        _open_records(session, source, batch)
        session.execute(
            f"create or replace temp table lines as select {PATH} as path, line,"
            " cast(to_json(record) as varchar) as text, true as is_utf8 from"
            f" (select {PATH}, line, struct_pack(*columns(* exclude (line, {PATH}))) as record"
            " from records)"
        )
    session.execute(
        f"{_IS_JSON} true; {reading(source)}"
        f" create or replace temp table staged as from (\n{_layout(source)}\n)"
        " union all by name select path, line, reason, payload from unreadable;"
        " drop table lines"
    )


@contextmanager
def _naming_the_file(source: Source, batch: Batch) -> Generator[None]:
    try:
        yield
    except FileFormatErrors as error:
        if is_of_texts(error):
            raise
        problem = str(error).splitlines()[0]
        raise unreadable(source, batch.arrivals[0].file, problem) from error


def _stage_records(session: Session, source: Source, batch: Batch) -> None:
    """Stages files by the source's own mapping."""
    with _naming_the_file(source, batch):
        _open_records(session, source, batch)
    select = mapped(session, source, batch.arrivals[0])
    # It moves what two expressions share out of the try(…) around them, where it then fails.
    session.execute("set disabled_optimizers = 'common_subexpressions'")
    try:
        session.execute(
            f"{reading(source)} create or replace temp table staged as {select}"
            " union all by name select path, line, reason, payload from unreadable"
        )
    except SqlError as error:
        if is_of_texts(error):
            raise
        raise ConfigError(
            f"sources.yaml: source '{source.id}': its mapping fails on a value in "
            f"{batch.arrivals[0].file} ({type(error).__name__}); guard what may fail with try(…)"
        ) from error
    finally:
        session.execute("reset disabled_optimizers")


def _open_records(session: Session, source: Source, batch: Batch) -> None:
    """Makes the temporary tables `records` (with line and path) and `unreadable` of files."""
    session.execute(
        "create or replace temp table unreadable"
        " (path varchar not null, line bigint not null, reason varchar not null, payload varchar)"
    )
    if not batch.tables:
        _open_objects(session, source, batch)
        return
    beside = source.beside if isinstance(source, FileSource) else {}
    columns = columns_read(session, source) if source.layout is None else None
    if beside and isinstance(source, FileSource):
        open_beside(session, source, batch.arrivals[0].beside)
        columns = [name for name in columns or () if name not in beside]
    open_tables(session, batch.tables, columns)
    if beside:
        join_beside(session, beside)


def _open_objects(session: Session, source: Source, batch: Batch) -> None:
    """JSON lines: a column of text per key at the top, and `record`, the whole object."""
    with session.offering(lines=batch.lines):
        session.execute(
            "create or replace temp table objects as select path, line, text, is_utf8,"
            " case when is_utf8 and json_valid(text) and json_type(text) = 'OBJECT'"
            " then cast(text as json) end as record from lines"
            " where trim(text, chr(9) || chr(10) || chr(13) || ' ') <> ''"
        )
    session.execute(
        "insert into unreadable select path, line,"
        " case when is_utf8 then 'not a JSON object' else 'not UTF-8' end, text"
        " from objects where record is null"
    )
    keys = [
        str(key)
        for (key,) in session.rows(
            "select key from (select unnest(json_keys(record)) as key from objects"
            " where record is not null) group by key"
            f" order by count(*) desc, key limit {_MOST_KEYS}"
        )
    ]
    # DuckDB's names do not tell cases apart: what differs in case alone is one column.
    spellings: dict[str, list[str]] = {name: [] for name in columns_read(session, source)}
    for key in sorted(keys):
        if key.isprintable() and 0 < len(key) <= _LONGEST_KEY:
            spellings.setdefault(folded(key), []).append(key)
    # All values in one pass over an object: one pass per key would parse it as often.
    pointers: list[str] = []
    columns: list[str] = []
    for name, spelt in spellings.items():
        if name not in ("line", "record", PATH):
            places = range(len(pointers) + 1, len(pointers) + len(spelt) + 1)
            found = ", ".join(f"found[{place}]" for place in places)
            value = f"coalesce({found})" if found else "cast(null as varchar)"
            columns.append(f", {value} as {quoted(name)}")
            pointers += [
                text_literal("/" + key.replace("~", "~0").replace("/", "~1")) for key in spelt
            ]
    session.execute(
        f"create or replace temp table numbered as select line, path as {PATH}, record"
        f"{''.join(columns)} from (select *, json_extract_string(record,"
        f" cast([{', '.join(pointers)}] as varchar[])) as found"
        " from objects where record is not null);"
        " drop table objects; create or replace temp view records as from numbered"
    )
