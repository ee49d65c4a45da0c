"""A changed campaign needs a new version."""

import pytest

from assets.push.versions import Declaration, first_mistake

OLD = Declaration("spring", 2, "abc", ("a", "b"))


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        OLD._replace(version=3, fingerprint="def"),
        OLD._replace(version=3, fingerprint="def", variants=("a", "b", "c")),
        OLD._replace(campaign_id="other", version=1, variants=("x",)),
    ],
)
def test_same_newer_and_other_campaigns_are_fine(new):
    assert first_mistake([OLD], [new]) is None


def test_a_campaign_may_end():
    assert first_mistake([OLD], []) is None


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (
            OLD._replace(fingerprint="def"),
            "it has changed, but still is version 2; give it version 3",
        ),
        (OLD._replace(version=1, fingerprint="def"), "version 1 is older than 2"),
        (OLD._replace(version=3, variants=("a",)), "variant 'b' is gone"),
    ],
)
def test_a_mistake_names_the_campaign_and_what_to_do(new, message):
    mistake = first_mistake([OLD], [new])
    assert mistake is not None
    assert mistake.startswith("campaign spring: ")
    assert message in mistake
