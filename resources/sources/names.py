"""Who is named by an identifier, and who by none: placeholders, and pseudonyms once computed."""

import re
from collections.abc import Sequence

from resources.config.source import Entity
from resources.keys import Keys
from resources.sources.addresses import address_in, comparable

# After Segment's blocked values (Unify, identity resolution settings), and what a missing value
# becomes on its way through programs.
_NOBODY = re.compile(r"[0-]*|-1|null|undefined|none|nan|anonymous|unknown", re.IGNORECASE)
_LONGEST = 1000


class Names:
    """The pseudonyms of people, of whom some identifiers tell nothing."""

    def __init__(self, keys: Keys, placeholders: Sequence[str] = ()) -> None:
        self._keys = keys
        self._own = frozenset(_plain(each) for each in placeholders)

    def is_placeholder(self, identifier: str) -> bool:
        """Whether it names nobody, whatever its case and the spaces around it."""
        plain = _plain(identifier)
        return _NOBODY.fullmatch(plain) is not None or plain in self._own

    def unfit(self, identifier: str, entity: Entity) -> str | None:
        """Why a record of an entity cannot stand with this identifier, None if it can."""
        if len(identifier) > _LONGEST:
            return f"is longer than {_LONGEST:,} characters"
        if entity != "events" and self.is_placeholder(identifier):
            return f"is a placeholder: {identifier.strip()}"
        return None

    def address_hash(self, address: str, channel: str) -> str | None:
        """The hash of what reaches somebody on a channel; None for placeholders."""
        told = comparable(address, channel)
        return None if self.is_placeholder(told) else self._keys.address_hash(told)

    def hash_in(self, identifier: str) -> str | None:
        """The hash of the address that an identifier is; None if it is none."""
        told = address_in(identifier)
        return None if told is None else self._keys.address_hash(told)

    def pseudonyms(self, identifiers: Sequence[str]) -> list[str | None]:
        """The pseudonyms of identifiers, in their order; None for placeholders."""
        return [
            None if self.is_placeholder(identifier) else self._keys.pseudonym(identifier)
            for identifier in identifiers
        ]


def _plain(identifier: str) -> str:
    return identifier.strip().casefold()
