"""Brings a batch of one source's files into the temporary table `staged`.

Whatever the format, `staged` has path, line, reason (NULL: accepted), payload and the fields of
its entity; people are still in clear there (`user_key`, `anonymous_key`, `addresses`).
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from resources.config.loading import ConfigError
from resources.config.sources import FIELDS, FileSource
from resources.sources.files import Arrival, unreadable
from resources.sources.lines import read_lines
from resources.warehouse import FileFormatErrors, Session, SqlError, read_sql, text_literal

_BATCH_BYTES = 128 << 20
# How a mapped expression is read, by field; the others are text.
_TYPES = {
    "price": "decimal(18, 4)",
    "cost": "decimal(18, 4)",
    "stock": "bigint",
    "is_hidden": "boolean",
    "repurchase_days": "integer",
    "tags": "varchar[]",
    "birth_year": "integer",
}
_TIMES = ("occurred_at", "sent_at", "received_at", "signed_up_at", "at")
# Beyond these a clock is broken, and arithmetic with times may overflow.
_EARLIEST, _LATEST = "timestamp '1990-01-01'", "timestamp '2101-01-01'"
_KEYS = {"user_id": "user_key", "anonymous_id": "anonymous_key"}


def batches(arrivals: Sequence[Arrival]) -> Iterator[list[Arrival]]:
    """Arrivals of one source in batches of at most 128 MiB; mapped tables one file at a time."""
    batch: list[Arrival] = []
    n_bytes = 0
    for arrival in arrivals:
        is_alone = arrival.source.format != "jsonl"
        if batch and (is_alone or n_bytes + arrival.n_bytes > _BATCH_BYTES):
            yield batch
            batch, n_bytes = [], 0
        batch.append(arrival)
        n_bytes += arrival.n_bytes
    if batch:
        yield batch


def stage(session: Session, batch: Sequence[Arrival]) -> None:
    """Reads a batch of one source into the temporary table `staged`.

    Raises:
        SourceError: a file cannot be read.
        ConfigError: a mapping does not fit the file's columns.
    """
    source = batch[0].source
    if source.format == "jsonl":
        _stage_lines(session, source, batch)
    else:
        _stage_records(session, source, batch[0])


def control_total(session: Session, source: FileSource) -> object:
    """The sum that the source declares for reconciliation, over the file just staged."""
    if source.control_total is None:
        return None
    return session.scalar(
        f"select sum(try(cast({source.control_total} as decimal(18, 4)))) from records"
    )


def _stage_lines(session: Session, source: FileSource, batch: Sequence[Arrival]) -> None:
    def read(arrival: Arrival) -> pa.Table:
        try:
            return read_lines(arrival.file, arrival.path)
        except OSError as error:
            raise unreadable(source, arrival.file, error.strerror or "unknown error") from error

    with ThreadPoolExecutor() as threads:
        tables = list(threads.map(read, batch))
    with session.offering(lines=pa.concat_tables(tables)):
        layout = read_sql(f"raw/layouts/{source.layout}.sql")
        session.execute(f"create or replace temp table staged as {layout}")


def _stage_records(session: Session, source: FileSource, arrival: Arrival) -> None:
    try:
        _open_records(session, source, arrival)
    except FileFormatErrors as error:
        problem = str(error).splitlines()[0]
        raise unreadable(source, arrival.file, problem) from error
    expressions = _expressions(source)
    _try_each(session, source, arrival, expressions)
    fields = ", ".join(f'{expression} as "{name}"' for name, (_, expression) in expressions.items())
    fields += f", {_unreadable_field(source)} as unreadable_field"
    where = f"where {source.where}" if source.where else ""
    if source.group_by:
        line, group = "min(records.line)", f"group by {source.group_by}"
    else:
        line, group = "records.line", ""
    select = f"select {line} as line, {fields} from records {where} {group}"
    reason = _reason(source)
    try:
        session.execute(
            "create or replace temp table staged as"
            f" select $path as path, {reason} as reason,"
            " case when reason is not null then cast(to_json(mapped) as varchar) end as payload,"
            " mapped.*"
            f" from ({select}) as mapped"
            " union all by name select $path as path, line, reason, payload from unreadable",
            {"path": arrival.path},
        )
    except SqlError as error:
        raise ConfigError(
            f"sources.yaml: source '{source.id}': its mapping fails on a value in {arrival.file} "
            f"({type(error).__name__}); guard what may fail with try(…)"
        ) from error


def _open_records(session: Session, source: FileSource, arrival: Arrival) -> None:
    """Makes the temporary tables `records` (with line) and `unreadable` of a file."""
    session.execute(
        "create or replace temp table unreadable"
        " (line bigint not null, reason varchar not null, payload varchar)"
    )
    if source.format == "parquet":
        session.execute(
            "create or replace temp view records as select file_row_number + 1 as line, *"
            f" exclude (file_row_number) from read_parquet({text_literal(str(arrival.file))},"
            " file_row_number = true)"
        )
        return
    # Only rows in the file's order can be numbered.
    session.execute("set preserve_insertion_order = true")
    session.execute(
        "create or replace temp table parsed as select row_number() over () as ordinal, *"
        " from read_csv($file, header = true, all_varchar = true, strict_mode = false,"
        " store_rejects = true, sample_size = 20480)",
        {"file": str(arrival.file)},
    )
    session.execute("set preserve_insertion_order = false")
    session.execute(
        "insert into unreadable select line, any_value(error_message), any_value(csv_line)"
        " from reject_errors group by line"
    )
    session.execute("drop table reject_errors; drop table reject_scans")
    # A good record's line is its ordinal, the header, and the bad lines before it.
    session.execute(
        "create or replace temp table records as"
        " with bad as (select line - 1 - row_number() over (order by line) as good_before"
        " from unreadable)"
        " select ordinal + 1 + (select count(*) from bad where good_before < ordinal) as line,"
        " * exclude (ordinal) from parsed; drop table parsed"
    )


def _expressions(source: FileSource) -> dict[str, tuple[str, str]]:
    """Per staged column: where its expression stands in sources.yaml, and typed SQL for it."""
    typed: dict[str, tuple[str, str]] = {}
    for name in FIELDS[source.entity]:
        given = source.map.get(name, "null")
        expression = f"try_cast(({given}) as {_TYPES.get(name, 'varchar')})"
        if name in _TIMES:
            expression = f"try_cast(({given}) as timestamp)"
            if source.time_zone != "UTC":
                zone = text_literal(source.time_zone)
                expression = f"timezone('UTC', timezone({zone}, {expression}))"
        typed[_KEYS.get(name, name)] = (f"map.{name}", expression)
    if source.entity == "events":
        pairs = ", ".join(f"'{name}', try({given})" for name, given in source.properties.items())
        typed["properties"] = ("properties", f"cast(json_object({pairs}) as varchar)")
    if source.entity == "members":
        entries = ", ".join(
            f"{{'channel': '{channel}', 'address': cast(({given}) as varchar)}}"
            for channel, given in source.addresses.items()
        )
        kind = "cast(null as struct(channel varchar, address varchar)[])"
        listed = f"list_filter([{entries}], lambda entry: coalesce(entry.address, '') <> '')"
        typed["addresses"] = ("addresses", listed if entries else kind)
    return typed


def _try_each(
    session: Session,
    source: FileSource,
    arrival: Arrival,
    expressions: dict[str, tuple[str, str]],
) -> None:
    """Binds every expression by itself, so that a wrong column is named with its key."""
    conditions = {"where": source.where, "control_total": source.control_total}
    tried = list(expressions.values()) + [
        (key, given) for key, given in conditions.items() if given is not None
    ]
    group = f"group by {source.group_by}" if source.group_by else ""
    for key, expression in tried:
        grouped = "" if key in conditions else group
        try:
            session.execute(f"explain select {expression} from records {grouped}")
        except SqlError as error:
            columns = ", ".join(
                str(row[0]) for row in session.rows("describe records") if row[0] != "line"
            )
            raise ConfigError(
                f"sources.yaml: source '{source.id}', key '{key}': does not fit {arrival.file} "
                f"({str(error).splitlines()[0]}); the file's columns are: {columns}"
            ) from error


def _unreadable_field(source: FileSource) -> str:
    """The first property whose expression fails on the record's values, else NULL."""
    cases = [
        f"when try(({given}) is null) is null then 'properties.{name}'"
        for name, given in source.properties.items()
    ]
    return f"case {' '.join(cases)} end" if cases else "null"


def _reason(source: FileSource) -> str:
    cases = ["when unreadable_field is not null then unreadable_field || ' cannot be read'"]
    cases += [
        f"when \"{_KEYS.get(name, name)}\" is null then '{name} is missing or not of its type'"
        for name, is_required in FIELDS[source.entity].items()
        if is_required
    ]
    cases += [
        f'when "{name}" < {_EARLIEST} or "{name}" >= {_LATEST}'
        f" then '{name} lies outside 1990 to 2100'"
        for name in FIELDS[source.entity]
        if name in _TIMES
    ]
    return f"case {' '.join(cases)} end"
