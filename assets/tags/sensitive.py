"""Which tags say what nobody wants to be addressed by: of health, of money, of children."""

import re
from collections.abc import Sequence

import polars as pl

from assets.tags.text import normal

_HAN = re.compile("[\u3400-\u9fff]")


def is_sensitive(tags: pl.Series, terms: Sequence[str]) -> pl.Series:
    """Whether each tag contains one of the terms.

    A term with Chinese characters may stand anywhere in a tag, for Chinese writes no spaces; any
    other is a word or words of it, in the singular or with an s. Case and width do not matter.

    Args:
        tags: names of tags.
        terms: what makes a tag sensitive; empty terms are passed over.

    Returns:
        Booleans, one per tag, named is_sensitive.
    """
    patterns = [
        re.escape(term) if _HAN.search(term) else rf"\b{re.escape(term)}s?\b"
        for term in map(normal, terms)
        if term
    ]
    pattern = re.compile("|".join(patterns)) if patterns else None
    names: list[str] = tags.unique().to_list()
    sensitive = [name for name in names if pattern and pattern.search(normal(name))]
    return tags.is_in(sensitive).alias("is_sensitive")
