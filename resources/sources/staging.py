"""Brings a batch of one source's files into the temporary table `staged`.

Whatever the format, `staged` has path, line, reason (NULL: accepted), payload and the fields of
its entity; people are still in clear there (`user_key`, `anonymous_key`, `addresses`).
"""

import json
import re
from collections.abc import Sequence
from typing import Any, cast

from resources.config.loading import ConfigError
from resources.config.source import FIELDS, FileSource, Source
from resources.config.web_log_source import WebLogSource
from resources.sources.batches import Batch, written_as
from resources.sources.files import Arrival, unreadable
from resources.sources.tables import PATH, folded, open_csv, open_parquet, quoted
from resources.sources.vocabulary import renamed
from resources.sources.web_log import requests
from resources.warehouse import FileFormatErrors, Session, SqlError, read_sql, text_literal

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
# A time of day that ends in Z or an offset from UTC.
_OFFSET = r"(?i)\d:\d\d.*(Z|[+-]\d\d(:?\d\d)?)$"
# Records of more different keys than this, or longer ones, keep the rest in `record` alone.
_MOST_KEYS = 500
_LONGEST_KEY = 100
# A column as it is, or cast.
_BARE = re.compile(r'(?i)(?:(?:try_)?cast\()?\s*"?(\w+)"?\s*(?:as [\w(), ]+\))?')
_IS_JSON = "create or replace temp macro is_json(said) as"
_KEYS = {"user_id": "user_key", "anonymous_id": "anonymous_key"}


def stage(session: Session, batch: Batch) -> None:
    """Reads a batch of one source into the temporary table `staged`.

    Raises:
        SourceError: a file cannot be read.
        ConfigError: a mapping does not fit the file's columns.
    """
    source = batch.arrivals[0].source
    if source.layout is None and not isinstance(source, WebLogSource):
        _stage_records(session, source, batch)
    elif written_as(source) == "parquet":
        _stage_rows(session, source, batch.arrivals[0])
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


def control_total(session: Session, source: Source) -> object:
    """The sum that the source declares for reconciliation, over the file just staged."""
    if source.control_total is None:
        return None
    return session.scalar(
        f"select sum(try(cast({source.control_total} as decimal(18, 4)))) from records"
    )


def _stage_lines(session: Session, source: Source, batch: Batch) -> None:
    """Stages lines by a layout, which asks `is_json` of each before it looks into it."""
    staging = f"create or replace temp table staged as {_layout(source)}"
    with session.offering(lines=batch.lines):
        try:
            # Most batches hold nothing else, and asking takes one more parse of every line. All
            # functions that look into JSON are as strict as json_valid, and fail.
            session.execute(f"{_IS_JSON} true; {staging}")
        except FileFormatErrors:
            session.execute(f"{_IS_JSON} json_valid(said); {staging}")


def _stage_rows(session: Session, source: Source, arrival: Arrival) -> None:
    """Stages a Parquet file by a layout: each row as the JSON line it would be."""
    try:
        session.execute(
            "create or replace temp table lines as select $path as path,"
            " file_row_number + 1 as line,"
            " cast(to_json(record) as varchar) as text, true as is_utf8 from"
            " (select file_row_number,"
            " struct_pack(*columns(* exclude (file_row_number))) as record"
            f" from read_parquet({text_literal(str(arrival.file))}, file_row_number = true))",
            {"path": arrival.path},
        )
    except FileFormatErrors as error:
        raise unreadable(source, arrival.file, str(error).splitlines()[0]) from error
    session.execute(
        f"{_IS_JSON} true; create or replace temp table staged as {_layout(source)};"
        " drop table lines"
    )


def _stage_records(session: Session, source: Source, batch: Batch) -> None:
    """Stages files by the source's own mapping; of all but JSON lines one file at a time."""
    expressions = _expressions(source)
    try:
        _open_records(session, source, batch)
    except FileFormatErrors as error:
        problem = str(error).splitlines()[0]
        raise unreadable(source, batch.arrivals[0].file, problem) from error
    _try_each(session, source, batch.arrivals[0], expressions)
    fields = ", ".join(f'{expression} as "{name}"' for name, (_, expression) in expressions.items())
    fields += f", {_unreadable_field(source)} as unreadable_field"
    if source.entity == "events":
        fields += f", {_rest(session, source)} as envelope"
    where = f"where {source.where}" if source.where else ""
    if source.group_by:
        line = "min(records.line)"
        group = f"group by records.{PATH}, {source.group_by}"
    else:
        line, group = "records.line", ""
    select = f"select records.{PATH} as path, {line} as line, {fields} from records {where} {group}"
    if source.entity == "events" and "message_id" not in source.map:
        select = _with_derived_ids(select)
    reason = _reason(source)
    # It moves what two expressions share out of the try(…) around them, where it then fails.
    session.execute("set disabled_optimizers = 'common_subexpressions'")
    try:
        session.execute(
            "create or replace temp table staged as"
            f" select mapped.path, {reason} as reason,"
            " case when reason is not null then cast(to_json(mapped) as varchar) end as payload,"
            " mapped.* exclude (path)"
            f" from ({select}) as mapped"
            " union all by name select path, line, reason, payload from unreadable"
        )
    except SqlError as error:
        raise ConfigError(
            f"sources.yaml: source '{source.id}': its mapping fails on a value in "
            f"{batch.arrivals[0].file} ({type(error).__name__}); guard what may fail with try(…)"
        ) from error
    finally:
        session.execute("reset disabled_optimizers")


def _with_derived_ids(select: str) -> str:
    """Events with the id that they lack: a hash of what they say and how often it was said before.

    The same lines thus have the same ids in whatever file they come, and of lines that say the
    same of the same person each counts. People enter when they are pseudonyms (raw/events.sql).
    """
    said = "event_type, event_name, occurred_at, sent_at, received_at, properties, envelope"
    return (
        "select * exclude (said) replace ('content:' || said || ':' || row_number() over ("
        "partition by path, said, user_key, anonymous_key order by line) as message_id)"
        f" from (select *, md5(row({said})::varchar) as said from ({select}))"
    )


def _open_records(session: Session, source: Source, batch: Batch) -> None:
    """Makes the temporary tables `records` (with line and path) and `unreadable` of files."""
    session.execute(
        "create or replace temp table unreadable"
        " (path varchar not null, line bigint not null, reason varchar not null, payload varchar)"
    )
    if isinstance(source, FileSource) and source.format == "csv":
        open_csv(session, batch.arrivals[0], source.delimiter)
    elif written_as(source) == "parquet":
        open_parquet(session, batch.arrivals[0])
    else:
        _open_objects(session, source, batch)


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
    spellings: dict[str, list[str]] = {name: [] for name in _columns_read(session, source)}
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


def _columns_read(session: Session, source: Source) -> list[str]:
    """The columns that a mapping names, folded; a file of JSON may lack any of them."""
    mapped = (*source.map.values(), *source.properties.values(), *source.addresses.values())
    conditions = (source.where, source.group_by, source.control_total)
    return sorted(_columns_named(session, [each for each in (*mapped, *conditions) if each]))


def _columns_named(session: Session, expressions: Sequence[str]) -> set[str]:
    """The columns that some SQL expressions name, folded."""
    given = ", ".join(expressions)
    pending: list[Any] = [
        json.loads(
            session.scalar("select json_serialize_sql($given)", {"given": f"select {given}"})
        )
    ]
    found: set[str] = set()
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            members = cast("dict[str, Any]", node)
            if names := cast("list[str]", members.get("column_names")):
                found.add(folded(names[1 if names[0] == "records" and len(names) > 1 else 0]))
            pending.extend(members.values())
        elif isinstance(node, list):
            pending.extend(cast("list[Any]", node))
    return found


def _rest(session: Session, source: Source) -> str:
    """What no column holds whole: JSON of the other columns of `records`, without its people's."""
    if source.group_by:
        return "'{}'"
    people = [source.map.get(name) for name in _KEYS] + list(source.addresses.values())
    told = [*source.map.values(), *source.properties.values()]
    left_out = _columns_named(session, [each for each in people if each] or ["1"])
    left_out |= {folded(found[1]) for each in told if (found := _BARE.fullmatch(each.strip()))}
    left_out |= {"line", "record", PATH}
    # An object as a text within a text would be read by nobody, redaction included.
    pairs = [
        f"{text_literal(name)}, case when json_valid({value}) and {value}[1] in ('{{', '[')"
        f" then cast({value} as json) else to_json({value}) end"
        if kind == "VARCHAR"
        else f"{text_literal(name)}, to_json({value})"
        for name, kind, *_ in session.rows("describe records")
        if folded(name) not in left_out and (value := f"records.{quoted(name)}")
    ]
    # A merge patch leaves out what is NULL.
    return f"cast(json_merge_patch('{{}}', json_object({', '.join(pairs)})) as varchar)"


def _expressions(source: Source) -> dict[str, tuple[str, str]]:
    """Per staged column: where its expression stands in sources.yaml, and typed SQL for it."""
    typed: dict[str, tuple[str, str]] = {}
    for name in FIELDS[source.entity]:
        given = source.map.get(name, "null")
        expression = f"try_cast(({given}) as {_TYPES.get(name, 'varchar')})"
        if name in _TIMES:
            expression = _utc(f"cast(({given}) as varchar)", source.time_zone)
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


def _utc(text: str, time_zone: str) -> str:
    """A time as UTC: by its own offset, which a plain cast would drop, else of the zone."""
    local = f"try_cast({text} as timestamp)"
    if time_zone != "UTC":
        # TRY takes no aggregate; bound by a lambda there is none in it.
        zoned = f"try(timezone('UTC', timezone({text_literal(time_zone)}, told)))"
        local = f"list_transform([{local}], lambda told: {zoned})[1]"
    return (
        f"case when regexp_matches({text}, {text_literal(_OFFSET)})"
        f" then timezone('UTC', try_cast({text} as timestamptz)) else {local} end"
    )


def _try_each(
    session: Session,
    source: Source,
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
                str(row[0])
                for row in session.rows("describe records")
                if row[0] not in ("line", PATH)
            )
            raise ConfigError(
                f"sources.yaml: source '{source.id}', key '{key}': does not fit {arrival.file} "
                f"({str(error).splitlines()[0]}); the file's columns are: {columns}"
            ) from error


def _unreadable_field(source: Source) -> str:
    """The first property whose expression fails on the record's values, else NULL."""
    cases = [
        f"when try(({given}) is null) is null then 'properties.{name}'"
        for name, given in source.properties.items()
    ]
    return f"case {' '.join(cases)} end" if cases else "null"


def _reason(source: Source) -> str:
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
