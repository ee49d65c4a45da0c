"""The SELECT that reads `records` by a source's own mapping.

What the expressions of sources.yaml give is read in three steps: what they say, what it means, and
whether the record can stand.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from resources.config.loading import ConfigError
from resources.config.source import FIELDS, FileSource, Source
from resources.sources.files import Arrival
from resources.sources.messages import with_derived_ids
from resources.sources.tables import PATH, folded, quoted
from resources.sources.times import EARLIEST, LATEST, instant
from resources.warehouse import Session, SqlError, text_literal

# How what a mapped expression gives is read, by field, and as which type; the others are texts.
_MONEY = "try_cast(read_money({said}, {currency}) as decimal(18, 4))"
_READINGS = {
    "price": ("decimal(18, 4)", _MONEY),
    "cost": ("decimal(18, 4)", _MONEY),
    "currency": ("varchar", "read_currency({said})"),
    # Of what is weighed, whole units are left.
    "stock": ("bigint", "try_cast(floor(read_quantity({said})) as bigint)"),
    "is_hidden": ("boolean", "read_is_hidden({said})"),
    "repurchase_days": ("integer", "read_days({said})"),
    "tags": ("varchar[]", "read_tags({said})"),
}
# What a product's record cannot stand with: it might be shown, or sold, though it must not.
_UNFIT = {
    "currency": ("currency is null", "currency is not an ISO 4217 code"),
    "stock": ("stock is null", "stock is not a number"),
    "is_hidden": ("is_hidden is null", "is_hidden is neither true nor false"),
}
_TIMES = ("occurred_at", "sent_at", "received_at", "signed_up_at", "at")
# The column of `staged` in which a field that names a person stands in clear.
KEYS = {"user_id": "user_key", "anonymous_id": "anonymous_key"}
# A column as it is, or cast.
_BARE = re.compile(r'(?i)(?:(?:try_)?cast\()?\s*"?(\w+)"?\s*(?:as [\w(), ]+\))?')


def mapped(session: Session, source: Source, arrival: Arrival) -> str:
    """The SELECT that makes `staged` of `records`, which an arrival's file is open as.

    Raises:
        ConfigError: an expression does not fit the file's columns.
    """
    told = {KEYS.get(name, name): _told(name, source) for name in FIELDS[source.entity]}
    if source.entity == "events":
        told["properties"] = ("properties", _object(source, source.properties))
    if source.entity in ("members", "consents"):
        told["addresses"] = ("addresses", _addresses(source))
    if source.attributes:
        told["attributes"] = ("attributes", _object(source, source.attributes))
    if source.entity == "consents":
        told["purpose"] = ("map.purpose", _purpose(source))
        told["at_said"] = ("map.at", f"cast(({source.map.get('at', 'null')}) as varchar)")
    kinds = _kinds(session, source, arrival, told)
    fields = ", ".join(f'{expression} as "{name}"' for name, (_, expression) in told.items())
    fields += f", {_unreadable_field(source)} as unreadable_field"
    if source.entity == "events":
        fields += f", {_rest(session, source)} as envelope"
    line = "min(records.line)" if source.group_by else "records.line"
    said = f"select records.{PATH} as path, {line} as line, {fields} from {_records(source)}"
    read = [name for name in (*_TIMES, *_READINGS) if name in source.map]
    select = f"select *{_meant(read, kinds, source)} from ({said})"
    if source.entity == "events" and "message_id" not in source.map:
        select = with_derived_ids(select)
    counted = [name for name in read if name in _READINGS and name not in _UNFIT]
    unread = ", ".join(
        f'unread_field(\'{name}\', "said_{name}", "{name}" is not null)' for name in counted
    )
    left_out = ", ".join(["path", *(f'"said_{name}"' for name in read)])
    return (
        f"select mapped.path, {_reason(source)} as reason,"
        " case when reason is not null then cast(to_json(mapped) as varchar) end as payload,"
        f" mapped.* exclude ({left_out})"
        f"{f', flatten([{unread}]) as unread' if counted else ''} from ({select}) as mapped"
    )


def _meant(read: Sequence[str], kinds: Mapping[str, str], source: Source) -> str:
    """SQL that puts what fields mean in place of what they say, which stays beside it."""
    if not read:
        return ""
    meant = ", ".join(f'{_reading(name, kinds, source)} as "{name}"' for name in read)
    said = ", ".join(f'cast({_text(name, kinds)} as varchar) as "said_{name}"' for name in read)
    return f" replace ({meant}), {said}"


def _reading(name: str, kinds: Mapping[str, str], source: Source) -> str:
    if name in _TIMES:
        return _instant(name, kinds, source)
    if name == "tags" and kinds[name].endswith("[]"):
        return "list_filter(cast(tags as varchar[]), lambda tag: trim(tag) <> '')"
    currency = "getvariable('base_currency')"
    if "currency" in source.map:
        currency = f"coalesce(read_currency({_text('currency', kinds)}), {currency})"
    return _READINGS[name][1].format(said=_text(name, kinds), currency=currency)


def _text(name: str, kinds: Mapping[str, str]) -> str:
    """What an expression gives, without the quotes of a JSON text."""
    return f"({quoted(name)}->>'$')" if kinds[name] == "JSON" else quoted(name)


def _records(source: Source) -> str:
    where = f" where {source.where}" if source.where else ""
    group = f" group by records.{PATH}, {source.group_by}" if source.group_by else ""
    return f"records{where}{group}"


def _told(name: str, source: Source) -> tuple[str, str]:
    """Where a field's expression stands in sources.yaml, and SQL for what it gives."""
    key, given = f"map.{name}", source.map.get(name, "null")
    kind = "timestamp" if name in _TIMES else _READINGS.get(name, ("", ""))[0]
    if kind:
        return key, f"({given})" if name in source.map else f"cast(null as {kind})"
    told = f"try_cast(({given}) as varchar)"
    return key, f"read_id({told})" if name == "product_id" else told


def _object(source: Source, expressions: Mapping[str, str]) -> str:
    # TRY takes no aggregate.
    guard = "" if source.group_by else "try"
    # An object or list within a text would be read by nobody, redaction included.
    pairs = ", ".join(f"'{name}', json_of({guard}({given}))" for name, given in expressions.items())
    return f"cast(json_object({pairs}) as varchar)"


def _addresses(source: Source) -> str:
    entries = ", ".join(
        f"{{'channel': '{channel}', 'address': cast(({given}) as varchar)}}"
        for channel, given in source.addresses.items()
    )
    if not entries:
        return "cast([] as struct(channel varchar, address varchar)[])"
    return f"list_filter([{entries}], lambda entry: coalesce(entry.address, '') <> '')"


def _purpose(source: Source) -> str:
    """What a source has no column for is marketing; what it leaves empty is nothing said."""
    given = source.map.get("purpose")
    return f"coalesce(try_cast(({given}) as varchar), '')" if given else "'marketing'"


def _instant(name: str, kinds: Mapping[str, str], source: Source) -> str:
    """SQL for a field of times, by the type that its expression has."""
    column, kind = quoted(name), kinds[name]
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"timezone('UTC', case when isfinite({column}) then {column} end)"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return instant(f"case when isfinite({column}) then {column} end", source.time_zone)
    return f"utc(cast({_text(name, kinds)} as varchar))"


def _rest(session: Session, source: Source) -> str:
    """What no column holds whole: JSON of the other columns of `records`, without its people's."""
    if source.group_by:
        return "'{}'"
    people = [source.map.get(name) for name in KEYS] + list(source.addresses.values())
    told = [*source.map.values(), *source.properties.values()]
    left_out = _columns_named(session, [each for each in people if each] or ["1"])
    left_out |= {folded(found[1]) for each in told if (found := _BARE.fullmatch(each.strip()))}
    left_out |= {"line", "record", PATH}
    if isinstance(source, FileSource):
        left_out |= set(source.beside)
    pairs = [
        f"{text_literal(name)}, json_of(records.{quoted(name)})"
        for name, *_ in session.rows("describe records")
        if folded(name) not in left_out
    ]
    # A merge patch leaves out what is NULL.
    return f"cast(json_merge_patch('{{}}', json_object({', '.join(pairs)})) as varchar)"


def _kinds(
    session: Session, source: Source, arrival: Arrival, told: Mapping[str, tuple[str, str]]
) -> dict[str, str]:
    """The type of every expression; a wrong one is named with its key."""
    fields = ", ".join(f'{expression} as "{name}"' for name, (_, expression) in told.items())
    try:
        described = session.rows(f"describe select {fields} from {_records(source)}")
        if source.control_total:
            session.execute(f"explain select {source.control_total} from records")
    except SqlError as error:
        raise _misfit(session, source, arrival, told) from error
    return {str(name): str(kind) for name, kind, *_ in described}


def _misfit(
    session: Session, source: Source, arrival: Arrival, told: Mapping[str, tuple[str, str]]
) -> ConfigError:
    """What to say of the first expression that does not fit the file."""
    group = f"group by records.{PATH}, {source.group_by}" if source.group_by else ""
    tried = [(key, expression, group) for key, expression in told.values()]
    conditions = {"where": source.where, "control_total": source.control_total}
    tried += [(key, given, "") for key, given in conditions.items() if given is not None]
    for key, expression, grouped in tried:
        try:
            session.execute(f"explain select {expression} from records {grouped}")
        except SqlError as error:
            columns = ", ".join(
                str(row[0])
                for row in session.rows("describe records")
                if row[0] not in ("line", PATH)
            )
            return ConfigError(
                f"sources.yaml: source '{source.id}', key '{key}': does not fit {arrival.file} "
                f"({str(error).splitlines()[0]}); the file's columns are: {columns}"
            )
    return ConfigError(
        f"sources.yaml: source '{source.id}': its 'where' and 'group_by' do not fit {arrival.file}"
    )


def _unreadable_field(source: Source) -> str:
    """The first property or attribute whose expression fails on the record, else NULL."""
    cases = [
        f"when try(({given}) is null) is null then '{key}.{name}'"
        for key, expressions in (
            ("properties", source.properties),
            ("attributes", source.attributes),
        )
        for name, given in expressions.items()
    ]
    return f"case {' '.join(cases)} end" if cases and not source.group_by else "null"


def _reason(source: Source) -> str:
    if source.entity == "consents":
        # Whoever is named, what is said of them counts, however it is said (raw/consents.sql).
        return "case when user_key is null and len(addresses) = 0 then 'user_id is missing' end"
    times = [name for name in _TIMES if name in source.map]
    cases = ["when unreadable_field is not null then unreadable_field || ' cannot be read'"]
    cases += [
        f'when "{name}" is null and not is_no_time("said_{name}")'
        f" then '{name}' || why_no_time(\"said_{name}\")"
        for name in times
    ]
    cases += [
        f"when \"{KEYS.get(name, name)}\" is null then '{name} is missing or not of its type'"
        for name, is_required in FIELDS[source.entity].items()
        if is_required
    ]
    if source.entity == "products":
        cases += [
            f"when {problem} and not says_nothing(\"said_{name}\") then '{words}'"
            for name, (problem, words) in _UNFIT.items()
            if name in source.map
        ]
        cases += [f"when {name} < 0 then '{name} is negative'" for name in ("price", "cost")]
        cases.append(
            "when kind not in ('product', 'content') then 'kind is neither product nor content'"
        )
    cases += [
        f'when "{name}" < {EARLIEST} or "{name}" >= {LATEST}'
        f" then '{name} lies outside 1990 to 2100'"
        for name in times
    ]
    return f"case {' '.join(cases)} end"


def columns_read(session: Session, source: Source) -> list[str]:
    """The columns that a mapping names, folded; a file of JSON may lack any of them."""
    mapped = (
        *source.map.values(),
        *source.properties.values(),
        *source.addresses.values(),
        *source.attributes.values(),
    )
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
