"""The shop's secret: keyed pseudonyms in, sealed addresses and pages out.

Three keys are derived from SIYU_SECRET (HKDF, RFC 5869): one names people (HMAC-SHA256), one seals
their addresses, one the pages pulled from servers (AES-256-GCM). Without the secret none can be
undone.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from resources.failure import Failure

SECRET_VARIABLE = "SIYU_SECRET"
_MINIMUM_LENGTH = 16
_PSEUDONYM_BYTES = 16
_NONCE_BYTES = 12
# What the pseudonyms of users have always begun with: arms and addresses stay theirs.
_NAMESPACE = b"user_id\x00"


class SecretError(Failure):
    """The secret is missing, too short or not the one the data were made with."""


@dataclass(frozen=True)
class Keys:
    """What the secret can do. Never printed: its representation shows nothing."""

    _naming: bytes = field(repr=False)
    _sealing: bytes = field(repr=False)
    _paging: bytes = field(repr=False)

    @classmethod
    def derived_from(cls, secret: str) -> "Keys":
        """All keys from one secret.

        Raises:
            SecretError: the secret is shorter than 16 characters.
        """
        if len(secret) < _MINIMUM_LENGTH:
            raise SecretError(
                f"{SECRET_VARIABLE} is shorter than {_MINIMUM_LENGTH} characters; "
                "make one with `openssl rand -hex 32`"
            )

        def derive(purpose: bytes) -> bytes:
            return HKDF(SHA256(), 32, salt=b"siyu", info=purpose).derive(secret.encode())

        return cls(derive(b"pseudonyms"), derive(b"addresses"), derive(b"pages"))

    @property
    def fingerprint(self) -> str:
        """Tells two secrets apart without telling either."""
        return hmac.digest(self._naming, b"fingerprint", hashlib.sha256).hex()[:16]

    def pseudonym(self, identifier: str) -> str:
        """The keyed hash of a person's identifier: 32 hexadecimal digits.

        Users and devices share one namespace: what is a user's id somewhere is that user's
        everywhere.
        """
        message = _NAMESPACE + identifier.encode()
        return hmac.digest(self._naming, message, hashlib.sha256)[:_PSEUDONYM_BYTES].hex()

    def pseudonyms(self, identifiers: Iterable[str]) -> list[str]:
        """The pseudonyms of identifiers, in their order."""
        return [self.pseudonym(identifier) for identifier in identifiers]

    def address_hash(self, address: str) -> str:
        """The keyed hash of an address in its comparable spelling: 32 hexadecimal digits."""
        message = f"address\x00{address}".encode()
        return hmac.digest(self._naming, message, hashlib.sha256)[:_PSEUDONYM_BYTES].hex()

    def seal(self, text: str, bound_to: str) -> bytes:
        """Encrypts a text so that it opens only with this secret and beside `bound_to`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self._sealing).encrypt(nonce, text.encode(), bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> str:
        """Decrypts what `seal` made.

        Raises:
            SecretError: another secret sealed it, or it was moved or altered.
        """
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return AESGCM(self._sealing).decrypt(nonce, ciphertext, bound_to.encode()).decode()
        except InvalidTag as error:
            raise SecretError(
                f"an address cannot be opened: {SECRET_VARIABLE} is not the one it was sealed "
                "with, or the vault was altered"
            ) from error

    def seal_page(self, content: bytes, bound_to: str) -> bytes:
        """Encrypts a page so that it opens only with this secret and beside `bound_to`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self._paging).encrypt(nonce, content, bound_to.encode())

    def open_page(self, sealed: bytes, bound_to: str) -> bytes:
        """Decrypts what `seal_page` made.

        Raises:
            SecretError: another secret sealed it, or it was moved, cut off or altered.
        """
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return AESGCM(self._paging).decrypt(nonce, ciphertext, bound_to.encode())
        except (InvalidTag, ValueError) as error:
            raise SecretError(
                f"page {bound_to} cannot be opened: {SECRET_VARIABLE} is not the one it was sealed "
                "with, or the file was altered"
            ) from error


class Keyring(dg.ConfigurableResource[Any]):
    """Where the keys come from: the environment, or for a simulated shop its own file."""

    home: str
    is_simulated: bool

    def unlock(self) -> Keys:
        """The keys of this shop (see `find_secret`)."""
        return Keys.derived_from(
            find_secret(os.environ, Path(self.home), is_simulated=self.is_simulated)
        )


def own_secret_path(home: Path) -> Path:
    """Where a simulated shop keeps the secret that it made for itself."""
    return home / "secret"


def find_secret(environment: Mapping[str, str], home: Path, *, is_simulated: bool) -> str:
    """The secret from the environment; a simulated shop makes its own in `home`.

    Raises:
        SecretError: a real shop has none.
    """
    if secret := environment.get(SECRET_VARIABLE):
        return secret
    if not is_simulated:
        raise SecretError(
            f"{SECRET_VARIABLE} is not set; make one with `openssl rand -hex 32`, keep it safe "
            "(pseudonyms and addresses depend on it) and export it"
        )
    path = own_secret_path(home)
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        beside.replace(path)
    return path.read_text(encoding="utf-8").strip()
