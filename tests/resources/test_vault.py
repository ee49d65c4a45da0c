"""The vault: sealed on disk, the address of the record asked for, never with another secret."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from resources.keys import Keyring, SecretError
from resources.vault import Addresses, Vault

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    monkeypatch.setenv("SIYU_SECRET", SECRET)
    keyring = Keyring(home=str(tmp_path), is_simulated=False)
    return Vault(path=str(tmp_path / "vault.duckdb"), keyring=keyring)


def incoming(path: str, day: int, **addresses: str) -> Addresses:
    rows = pl.DataFrame(
        {
            "identifier": list(addresses),
            "channel": ["sms"] * len(addresses),
            "address": list(addresses.values()),
            "path": [path] * len(addresses),
            "line": list(range(1, len(addresses) + 1)),
            "load_date": [dt.date(2026, 7, day)] * len(addresses),
        },
        schema_overrides={"line": pl.Int64},
    )
    return Addresses("members", [path], rows)


def given_by(*records: tuple[str, str, int]) -> pl.DataFrame:
    """Records that gave an address: identifier, path, line."""
    return pl.DataFrame(records, schema=["identifier", "path", "line"], orient="row").with_columns(
        pl.lit("members").alias("source")
    )


def test_an_address_is_that_of_the_record_that_is_asked_for(vault: Vault) -> None:
    vault.store(incoming("b", 2, ann="19900000002"))
    vault.store(incoming("a", 1, ann="19900000001", bea="19900000003"))
    asked = given_by(("ann", "a", 1), ("bea", "a", 2), ("nobody", "a", 1))
    assert vault.addresses("sms", asked) == {"ann": "19900000001", "bea": "19900000003"}
    assert vault.addresses("sms", given_by(("ann", "b", 1))) == {"ann": "19900000002"}
    assert vault.addresses("email", asked) == {}


def test_a_changed_file_replaces_what_it_gave(vault: Vault) -> None:
    vault.store(incoming("a", 1, ann="19900000001", bea="19900000003"))
    vault.store(incoming("a", 1, bea="19900000004"))
    asked = given_by(("ann", "a", 1), ("bea", "a", 1))
    assert vault.addresses("sms", asked) == {"bea": "19900000004"}


def test_no_address_stands_in_clear_and_only_the_owner_reads(vault: Vault) -> None:
    vault.store(incoming("a", 1, ann="19900000001"))
    path = Path(vault.path)
    assert b"19900000001" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_secret_is_refused(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.store(incoming("a", 1, ann="19900000001"))
    monkeypatch.setenv("SIYU_SECRET", SECRET[::-1])
    with pytest.raises(SecretError, match="made with another SIYU_SECRET"):
        vault.check_key()
