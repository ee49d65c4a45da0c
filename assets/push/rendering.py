"""Fills templates: vectorised, and a value is never read as a template again."""

import string

import polars as pl

# As resources/config/templates.py has them, for what is declared; a test compares.
BRACE = r"[{}｛｝﹛﹜︷︸❴❵⦃⦄]"
NO_VALUE = r"(?i)[\s\p{Z}\p{Cf}]*(?:none|null|nil|nan|nat|n/a|<na>|undefined)?[\s\p{Z}\p{Cf}]*"


def filled(template: str, variables: pl.Expr) -> pl.Expr:
    """A template's text, given its values.

    Args:
        template: Text with {variables}.
        variables: Column of JSON objects with a value for each variable.

    Returns:
        The text of each row; NULL where a variable has no value, or one that says nothing.
    """
    parts: list[pl.Expr] = []
    for text, name, _, _ in string.Formatter().parse(template):
        parts.append(pl.lit(text))
        if name is not None:
            value = variables.str.json_path_match(f"$.{name}")
            parts.append(pl.when(~value.str.contains(f"^{NO_VALUE}$")).then(value))
    return pl.concat_str(parts) if parts else pl.lit("")


def with_text(messages: pl.DataFrame) -> pl.DataFrame:
    """Adds `text` to messages, in their order, from their columns template and variables."""
    text = pl.lit(None, dtype=pl.String)
    for template in messages["template"].unique(maintain_order=True):
        is_this = pl.col("template") == template
        text = pl.when(is_this).then(filled(template, pl.col("variables"))).otherwise(text)
    return messages.with_columns(text.alias("text"))


def unfit(messages: pl.DataFrame) -> pl.DataFrame:
    """Those with a `text` that must not be sent: a brace is left in it, or a value is empty."""
    is_fit = ~pl.col("text").str.contains(f"{BRACE}|^{NO_VALUE}$")
    return messages.filter(~is_fit.fill_null(value=False))
