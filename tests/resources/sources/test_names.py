"""Names: a pseudonym for everybody, none for nobody."""

from hypothesis import given, settings
from hypothesis import strategies as st

from resources.config.shop import Identity
from resources.keys import Keys
from resources.sources.names import Names

KEYS = Keys.derived_from("0123456789abcdef0123456789abcdef")


def test_a_placeholder_has_no_pseudonym_and_no_member_record() -> None:
    names = Names(KEYS, Identity(placeholders=("Qa",)))
    said = [" NULL", "qa", '{"a":1}', "\u3000"]
    assert names.look_up(said)["pseudonym"].to_list() == [None] * 4
    assert [names.unfit(each, "events") for each in said] == [None] * 4
    assert [names.unfit(each, "members") for each in said] == [
        "is a placeholder: NULL",
        "is a placeholder: qa",
        "is an object or a list",
        "is empty",
    ]


def test_an_identifier_may_not_be_endless() -> None:
    names = Names(KEYS)
    assert names.unfit("x" * 1001, "events") == "is longer than 1,000 characters"
    assert names.look_up(["x" * 1001, "x" * 1000])["identifier"].to_list() == ["x" * 1000]


@settings(max_examples=200)
@given(st.lists(st.text(min_size=1, max_size=20), unique=True))
def test_pseudonyms_are_the_keyed_hashes_of_the_one_spelling(identifiers: list[str]) -> None:
    names = Names(KEYS)
    for said, spelling, pseudonym, nobody in names.look_up(identifiers).iter_rows():
        assert names.is_placeholder(said) == (nobody is not None)
        assert pseudonym == (None if nobody else KEYS.pseudonym(spelling))
