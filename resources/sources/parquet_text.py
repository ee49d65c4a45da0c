"""Texts in Parquet columns that are not marked as texts, as Hive, Impala and ClickHouse write them.

DuckDB takes a BYTE_ARRAY without a mark for binary. The SQL here makes text of it, at any depth.
"""

from typing import Any

import pyarrow as pa

from resources.warehouse import text_literal


def holds_bytes(kind: Any) -> bool:
    """Whether there is anything without the mark of a text in a type."""
    return _is_bytes(kind) or any(holds_bytes(each) for each in _parts(kind))


def as_bytes(kind: Any) -> Any:
    """The same type with every text as bytes."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.large_binary()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(as_bytes(field.type)) for field in _fields(kind)])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(as_bytes(kind.value_type))
    if pa.types.is_map(kind):
        return pa.map_(as_bytes(kind.key_type), as_bytes(kind.item_type))
    return kind


def as_text(value: str, kind: Any, depth: int = 0) -> str:
    """SQL of the value with texts for bytes; what is no UTF-8 is shown with escapes."""
    if not holds_bytes(kind):
        return value
    if _is_bytes(kind):
        return f"coalesce(try(decode({value})), cast({value} as varchar))"
    each = f"each_{depth}"
    if pa.types.is_struct(kind):
        fields = ", ".join(
            f"{text_literal(field.name)}:"
            f" {as_text(_part(value, field.name), field.type, depth + 1)}"
            for field in _fields(kind)
        )
        return f"case when {value} is not null then {{{fields}}} end"
    if pa.types.is_map(kind):
        key = as_text(f"{each}.key", kind.key_type, depth + 1)
        item = as_text(f'{each}."value"', kind.item_type, depth + 1)
        pair = f"{{'key': {key}, 'value': {item}}}"
        return f"map_from_entries(list_transform(map_entries({value}), lambda {each}: {pair}))"
    return f"list_transform({value}, lambda {each}: {as_text(each, kind.value_type, depth + 1)})"


def is_no_text(value: str, kind: Any, depth: int = 0) -> str:
    """SQL that tells whether any of the value's bytes are no UTF-8."""
    if not holds_bytes(kind):
        return "false"
    if _is_bytes(kind):
        return f"({value} is not null and try(decode({value})) is null)"
    each = f"each_{depth}"
    if pa.types.is_struct(kind):
        tests = [
            is_no_text(_part(value, field.name), field.type, depth + 1) for field in _fields(kind)
        ]
        return f"({' or '.join(tests)})"
    if pa.types.is_map(kind):
        key = is_no_text(f"{each}.key", kind.key_type, depth + 1)
        item = is_no_text(f'{each}."value"', kind.item_type, depth + 1)
        value, test = f"map_entries({value})", f"{key} or {item}"
    else:
        test = is_no_text(each, kind.value_type, depth + 1)
    return f"coalesce(len(list_filter({value}, lambda {each}: {test})) > 0, false)"


def _is_bytes(kind: Any) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _fields(kind: Any) -> list[Any]:
    return [kind.field(place) for place in range(kind.num_fields)]


def _parts(kind: Any) -> list[Any]:
    return [field.type for field in _fields(kind)] if pa.types.is_nested(kind) else []


def _part(value: str, name: str) -> str:
    return f"struct_extract({value}, {text_literal(name)})"
