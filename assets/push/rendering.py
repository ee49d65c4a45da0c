"""Fills templates: vectorised, and a value is never read as a template again."""

import string

import polars as pl


def filled(template: str, variables: pl.Expr) -> pl.Expr:
    """A template's text, given its values.

    Args:
        template: Text with {variables}; `{{` and `}}` stand for braces.
        variables: Column of JSON objects with a value for each variable.

    Returns:
        The text of each row; NULL where a variable has no value.
    """
    parts: list[pl.Expr] = []
    for text, name, _, _ in string.Formatter().parse(template):
        parts.append(pl.lit(text))
        if name is not None:
            parts.append(variables.str.json_path_match(f"$.{name}"))
    return pl.concat_str(parts) if parts else pl.lit("")


def with_text(messages: pl.DataFrame) -> pl.DataFrame:
    """Adds `text` to messages, in their order, from their columns template and variables."""
    text = pl.lit(None, dtype=pl.String)
    for template in messages["template"].unique(maintain_order=True):
        is_this = pl.col("template") == template
        text = pl.when(is_this).then(filled(template, pl.col("variables"))).otherwise(text)
    return messages.with_columns(text.alias("text"))
