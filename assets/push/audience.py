"""An audience's SELECT, as DuckDB parses it, sent to other tables than the ones it names."""

import copy
from collections.abc import Mapping
from typing import Any, cast

# Functions that read a table whose name, or a SELECT whose text, is only known when they run.
_HIDING = ("query", "query_table")


def redirected(tree: Mapping[str, Any], views: Mapping[str, str]) -> dict[str, Any]:
    """A statement that reads temporary views in place of tables, whatever catalog it says.

    Args:
        tree: what json_serialize_sql makes of one SELECT.
        views: the view to read in place of each table `schema.table`.

    Raises:
        ValueError: it reads tables by a function that hides which.
    """
    statement = copy.deepcopy(dict(tree))
    pending: list[Any] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(cast("list[Any]", node))
        if not isinstance(node, dict):
            continue
        members = cast("dict[str, Any]", node)
        pending.extend(members.values())
        if str(members.get("function_name")).lower() in _HIDING:
            raise ValueError(f"{members['function_name']}() hides which table it reads")
        if members.get("type") != "BASE_TABLE":
            continue
        table = str(members["table_name"])
        view = views.get(f"{members['schema_name']}.{table}".lower())
        if view is not None:
            alias = members["alias"] or table
            members |= {
                "catalog_name": "temp",
                "schema_name": "main",
                "table_name": view,
                "qualified_name": {"path": ["temp", "main", view]},
                "alias": alias,
            }
    return statement
