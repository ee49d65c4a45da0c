"""The secret: pseudonyms that cannot be undone, seals that open only where they belong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.keys import Keys, SecretError, find_secret, own_secret_path

SECRET = "0123456789abcdef0123456789abcdef"
KEYS = Keys.derived_from(SECRET)


@given(st.text())
def test_a_pseudonym_is_stable_and_differs_by_identifier_and_secret(identifier: str) -> None:
    name = KEYS.pseudonym(identifier)
    assert len(name) == 32
    assert int(name, 16) >= 0
    assert name == Keys.derived_from(SECRET).pseudonym(identifier)
    assert name != KEYS.pseudonym(identifier + "x")
    assert name != Keys.derived_from(SECRET + "x").pseudonym(identifier)


@given(st.text(), st.text())
def test_a_seal_opens_beside_what_it_was_bound_to_only(text: str, bound_to: str) -> None:
    sealed = KEYS.seal(text, bound_to)
    assert KEYS.open(sealed, bound_to) == text
    for wrong_keys, wrong_place in (
        (KEYS, bound_to + "x"),
        (Keys.derived_from(SECRET + "x"), bound_to),
    ):
        with pytest.raises(SecretError):
            wrong_keys.open(sealed, wrong_place)


def test_keys_show_nothing_of_the_secret() -> None:
    assert repr(KEYS) == "Keys()"
    assert SECRET not in KEYS.fingerprint


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(SecretError, match="shorter than 16"):
        Keys.derived_from("short")


def test_a_real_shop_without_a_secret_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="SIYU_SECRET is not set; make one with"):
        find_secret({}, tmp_path, is_simulated=False)
    assert not own_secret_path(tmp_path).exists()


def test_a_simulated_shop_makes_its_own_and_keeps_it(tmp_path: Path) -> None:
    made = find_secret({}, tmp_path / "home", is_simulated=True)
    assert made == find_secret({}, tmp_path / "home", is_simulated=True)
    assert own_secret_path(tmp_path / "home").stat().st_mode & 0o777 == 0o600
    assert find_secret({"SIYU_SECRET": SECRET}, tmp_path / "home", is_simulated=True) == SECRET
