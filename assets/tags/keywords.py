"""Tags for a catalogue that has none: the words and phrases that divide its titles best."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import cast

import polars as pl
from sklearn.feature_extraction.text import (  # pyright: ignore[reportMissingTypeStubs]
    ENGLISH_STOP_WORDS,
)

from assets.tags.text import PREDICTED, normal

_WORD_OR_HAN = re.compile(r"[a-z]+(?:[-'&][a-z]+)*|[\u3400-\u9fff]+|[^\s]")
_LONGEST_PHRASE = 2
_LONGEST_HAN_PHRASE = 8
# How often a phrase must stand where its parts do: below, the parts met by chance.
_MIN_COHESION = 0.3
_STOP_WORDS = ENGLISH_STOP_WORDS | {
    *("set", "sets", "pack", "packs", "pcs", "pair", "piece", "pieces", "assorted", "asst"),
    *("small", "large", "medium", "mini", "big", "size", "sizes", "new", "design", "designs"),
    *("colour", "colours", "color", "colors"),
}


def keywords(
    texts: Sequence[str | None],
    max_tags: int = 3,
    min_products: int = 10,
    max_share: float = 0.1,
) -> pl.DataFrame:
    """Gives titles their keywords.

    Candidates are words, two-word phrases and, in Chinese, strings of 2 to 8 characters; phrases
    only where their parts keep together. Left out are numbers, words of one or two letters, stop
    words, sizes and quantities, and what is on fewer than ``min_products`` titles or on more than
    ``max_share`` of them. A plural counts as its singular. Longer phrases go first, then what
    tells most: a term on a share p of the titles has -p log p; no two tags of a title share a
    word.

    Args:
        texts: one title per product.
        max_tags: most tags per title.
        min_products: fewest titles for a tag.
        max_share: largest share of the titles for a tag.

    Returns:
        row (position in ``texts``, from 0), tag, score (above 0 to 1, how well the tag divides
        the catalogue, phrases above 0.5); by row, best first.
    """
    titles = [_tokens(normal(text)) for text in texts]
    known = {token for title in titles for token in title}
    terms = [_terms([_singular(token, known) for token in title]) for title in titles]
    frequency = Counter(term for found in terms for term in found)
    salience = {
        term: -share * math.log(share)
        for term, count in frequency.items()
        if min_products <= count <= max_share * len(texts) and _is_cohesive(term, frequency)
        for share in (count / len(texts),)
    }
    most = max(salience.values(), default=1.0)
    rows: list[tuple[int, str, float]] = []
    for row, found in enumerate(terms):
        taken: set[str] = set()
        n_tags = 0
        candidates = sorted(
            found & salience.keys(), key=lambda term: (-len(term), -salience[term], term)
        )
        for term in candidates:
            if n_tags < max_tags and taken.isdisjoint(term):
                taken.update(term)
                n_tags += 1
                is_phrase = len(term) > (2 if _is_han(term[0]) else 1)
                tag = ("" if _is_han(term[0]) else " ").join(term)
                rows.append((row, tag, (salience[term] / most + is_phrase) / 2))
    return pl.DataFrame(rows, schema=PREDICTED, orient="row").sort(
        "row", "score", "tag", descending=[False, True, False]
    )


def _is_han(token: str) -> bool:
    return "\u3400" <= token <= "\u9fff"


def _tokens(text: str) -> list[str]:
    """Words and single Chinese characters, with an empty token where a run of the latter ends."""
    tokens: list[str] = []
    for token in cast(list[str], _WORD_OR_HAN.findall(text)):
        tokens.extend([*token, ""] if _is_han(token[0]) else [token])
    return tokens


def _singular(token: str, known: set[str]) -> str:
    is_plural = len(token) > 3 and token.endswith("s") and not token.endswith("ss")
    return token[:-1] if is_plural and token[:-1] in known else token


def _terms(tokens: list[str]) -> set[tuple[str, ...]]:
    """Every run of usable tokens that may be a tag, and the single ones it is made of."""
    found: set[tuple[str, ...]] = set()
    for start, first in enumerate(tokens):
        is_han = bool(first) and _is_han(first)
        longest = _LONGEST_HAN_PHRASE if is_han else _LONGEST_PHRASE
        for end in range(start + 1, min(start + longest, len(tokens)) + 1):
            last = tokens[end - 1]
            is_word = len(last) > 2 and last[0].isalpha() and last not in _STOP_WORDS
            if not (is_word if not is_han else last and _is_han(last)):
                break
            found.add(tuple(tokens[start:end]))
    return found


def _is_cohesive(term: tuple[str, ...], frequency: Counter[tuple[str, ...]]) -> bool:
    """Whether its tokens belong together; a single Chinese character says too little."""
    if len(term) == 1:
        return not _is_han(term[0])
    parts = min(frequency[term[:-1]], frequency[term[1:]])
    return frequency[term] >= _MIN_COHESION * parts
