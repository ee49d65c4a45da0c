"""What nobody wants to be addressed by, of health, money and children: tags, and products.

A text is held against the shop's terms without regard to case, width, runs of blanks and invisible
characters (Unicode NFKC, then case folding). A term in a script that writes no spaces between words
(Chinese, Japanese, Thai, …) or joins endings to them (Korean) may stand anywhere in a text. Any
other is a word or words of it, in the singular or with an s: no letter of such a script stands
beside it, so `cancer` is in `anti-cancer`, `抗cancer茶` and `cancer2` and not in `cancerian`.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import polars as pl

# Scripts in which the end of a word cannot be seen, or does not end the term.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_BESIDE_A_WORD = rf"[{_UNSPACED}[^\p{{L}}\p{{M}}]]"
# In this order it is said where a product's term stands.
_TEXTS = ("category", "brand", "title", "description")


def folded(text: str | None) -> str:
    """A text as it is compared."""
    seen = "".join(each for each in text or "" if unicodedata.category(each) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen).casefold().split())


def terms_in(texts: pl.Series, terms: Sequence[str]) -> pl.Series:
    """The first of the terms that each text holds, as it is compared; null: none.

    Args:
        texts: any texts; null holds none.
        terms: what to look for; empty ones are passed over.

    Returns:
        Strings, one per text.
    """
    distinct = texts.drop_nulls().unique()
    plain = pl.Series([folded(text) for text in distinct], dtype=pl.String)
    found = pl.DataFrame({"text": distinct, "plain": plain}).with_columns(
        term=pl.coalesce(
            pl.lit(None, dtype=pl.String),
            *(pl.col("plain").str.extract(pattern, 1) for pattern in _patterns(terms)),
        )
    )
    named = pl.DataFrame({"text": texts.cast(pl.String)})
    return named.join(found, on="text", how="left", maintain_order="left")["term"]


def _patterns(terms: Iterable[str]) -> list[str]:
    """Regular expressions, in Rust's syntax, whose first group is a term; longer terms first."""
    known = sorted({folded(term) for term in terms} - {""}, key=lambda term: (-len(term), term))
    is_unspaced = pl.Series(known, dtype=pl.String).str.contains(f"[{_UNSPACED}]").to_list()
    anywhere = [re.escape(term) for term, free in zip(known, is_unspaced, strict=True) if free]
    words = [re.escape(term) for term, free in zip(known, is_unspaced, strict=True) if not free]
    patterns = [f"({'|'.join(anywhere)})"] if anywhere else []
    if words:
        patterns.append(f"(?:^|{_BESIDE_A_WORD})({'|'.join(words)})s?(?:$|{_BESIDE_A_WORD})")
    return patterns


def is_sensitive(tags: pl.Series, terms: Sequence[str]) -> pl.Series:
    """Whether each tag holds one of the terms; booleans, one per tag, named is_sensitive."""
    return terms_in(tags, terms).is_not_null().alias("is_sensitive")


def sensitive_products(
    products: pl.DataFrame, product_tags: pl.DataFrame, terms: Sequence[str]
) -> pl.DataFrame:
    """Which products are sensitive: by a text of theirs, or by a tag that they carry.

    Args:
        products: product_id, category, brand, title, description (null where unknown).
        product_tags: product_id, tag, is_sensitive.
        terms: what makes a text sensitive.

    Returns:
        product_id, is_sensitive, sensitive_term (the term of the first place, null where none),
        sensitive_in (places in order: category, brand, title, description, tag); by product_id.
    """
    catalogue = products.sort("product_id")
    carried = (
        product_tags.filter("is_sensitive")
        .sort("product_id", "tag")
        .group_by("product_id", maintain_order=True)
        .agg(pl.col("tag").first())
    )
    told = catalogue.select(
        "product_id", *(terms_in(catalogue[name], terms).alias(name) for name in _TEXTS)
    ).join(carried, on="product_id", how="left", maintain_order="left")
    places = (*_TEXTS, "tag")
    return told.select(
        "product_id",
        is_sensitive=pl.any_horizontal(pl.col(places).is_not_null()),
        sensitive_term=pl.coalesce(places),
        sensitive_in=pl.concat_list(
            pl.when(pl.col(place).is_not_null()).then(pl.lit(place)) for place in places
        ).list.drop_nulls(),
    )
