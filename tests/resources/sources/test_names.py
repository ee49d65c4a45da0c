"""Names: a pseudonym for everybody, none for nobody."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.keys import Keys
from resources.sources.names import Names

KEYS = Keys.derived_from("0123456789abcdef0123456789abcdef")
NOBODY = ("0", "-", "00-00", "-1", "null", "undefined", "none", "nan", "anonymous", "unknown", "qa")


def _cased(word: str) -> st.SearchStrategy[str]:
    return st.tuples(*(st.sampled_from((letter.lower(), letter.upper())) for letter in word)).map(
        "".join
    )


@settings(max_examples=200)
@given(
    st.sampled_from(NOBODY).flatmap(_cased),
    st.text(" \t\n", max_size=3),
    st.text(" \t\n", max_size=3),
)
def test_a_placeholder_has_no_pseudonym_however_it_is_written(
    word: str, before: str, after: str
) -> None:
    names = Names(KEYS, ["Qa"])
    identifier = before + word + after
    assert names.pseudonyms([identifier]) == [None]
    assert names.unfit(identifier, "events") is None
    assert names.unfit(identifier, "members") == f"is a placeholder: {word}"


@settings(max_examples=200)
@given(st.lists(st.text(min_size=1, max_size=20), unique=True))
def test_pseudonyms_are_the_keyed_hashes(identifiers: list[str]) -> None:
    names = Names(KEYS)
    assert names.pseudonyms(identifiers) == [
        None if names.is_placeholder(each) else KEYS.pseudonym(each) for each in identifiers
    ]


@pytest.mark.parametrize("identifier", ["u0", "10", "-10", "nobody", "null-1", "x" * 1000])
def test_what_only_looks_like_a_placeholder_is_a_name(identifier: str) -> None:
    assert not Names(KEYS).is_placeholder(identifier)
    assert Names(KEYS).unfit(identifier, "members") is None
