"""Texts as they are compared, and the tags that are found for them."""

import unicodedata

import polars as pl

# Tags found for texts: the text's position, from 0, a tag, and how strong it is, to 1.
PREDICTED = pl.Schema({"row": pl.Int64, "tag": pl.String, "score": pl.Float64})


def normal(text: str | None) -> str:
    """A text without what carries no meaning: full-width forms, case and runs of blanks."""
    return " ".join(unicodedata.normalize("NFKC", text or "").lower().split())
