"""An audience's SELECT, as DuckDB parses it, sent to other tables than the ones it names."""

import copy
from collections.abc import Collection, Mapping
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


_SENSITIVE_PRODUCTS = "(select product_id from tags.products where is_sensitive)"
_SENSITIVE_TAGS = "(select tag from tags.product_tags where is_sensitive)"
# Catalogues, without the products and tags that are sensitive.
_KEPT = {
    "raw.products": f"product_id not in {_SENSITIVE_PRODUCTS}",
    "clean.products": f"product_id not in {_SENSITIVE_PRODUCTS}",
    "tags.products": "not is_sensitive",
    "tags.product_tags": f"not is_sensitive and product_id not in {_SENSITIVE_PRODUCTS}",
    "tags.member_tags": "not is_sensitive",
    "tags.browse_to_buy": (
        f"case kind when 'tag' then subject not in {_SENSITIVE_TAGS}"
        f" else subject not in {_SENSITIVE_PRODUCTS} end"
    ),
    "recommend.similar_products": (
        f"product_id not in {_SENSITIVE_PRODUCTS}"
        f" and similar_product_id not in {_SENSITIVE_PRODUCTS}"
    ),
}


def _unless_sensitive(column: str) -> str:
    sensitive = (
        f"select catalogue.{column} from clean.products as catalogue join tags.products as told"
        f" using (product_id) where list_contains(told.sensitive_in, '{column}')"
        f" and catalogue.{column} is not null"
    )
    return f"case when {column} not in ({sensitive}) then {column} end as {column}"


# What members did is there, though not with which product where that is sensitive.
_HIDDEN_PRODUCT = (
    f"case when product_id not in {_SENSITIVE_PRODUCTS} then product_id end as product_id"
)
_REPLACED = {
    "recommend.member_products": (
        f"{_HIDDEN_PRODUCT}, case when product_id not in {_SENSITIVE_PRODUCTS} and not exists"
        f" (select 1 from {_SENSITIVE_TAGS} as told where contains(reason, told.tag))"
        " then reason end as reason"
    ),
    "tags.member_preferences": f"{_unless_sensitive('brand')}, {_unless_sensitive('category')}",
}


def spared(tables: Mapping[str, Collection[str]]) -> Mapping[str, str]:
    """What an audience reads in place of each table that could tell of a sensitive product or tag.

    Nobody is selected for such an interest, be it by its name or by what was
    bought.

    Args:
        tables: names of columns by `schema.table`.

    Returns:
        SELECTs by `schema.table`, with the table's columns; tables that tell of none are left out.
    """
    found: dict[str, str] = {}
    for name, columns in tables.items():
        if name in _KEPT:
            found[name] = f"select * from {name} where {_KEPT[name]}"
        elif name in _REPLACED:
            found[name] = f"select * replace ({_REPLACED[name]}) from {name}"
        elif "product_id" in columns:
            found[name] = f"select * replace ({_HIDDEN_PRODUCT}) from {name}"
    return found
