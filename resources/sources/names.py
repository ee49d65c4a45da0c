"""Who is named by an identifier, and who by none: placeholders, and pseudonyms once computed."""

import re
from collections.abc import Sequence

from resources.config.source import Entity
from resources.keys import Keys

# After Segment's blocked values (Unify, identity resolution settings), and what a missing value
# becomes on its way through programs.
_NOBODY = re.compile(r"[0-]*|-1|null|undefined|none|nan|anonymous|unknown", re.IGNORECASE)
_LONGEST = 1000
# Beyond, those seen so far are forgotten: this bounds memory, a pseudonym is cheap.
_MOST_REMEMBERED = 1_000_000


class Names:
    """The pseudonyms of people, remembered from batch to batch of one run."""

    def __init__(self, keys: Keys, placeholders: Sequence[str] = ()) -> None:
        self._keys = keys
        self._own = frozenset(_plain(each) for each in placeholders)
        self._known: dict[tuple[str, str], str] = {}

    def is_placeholder(self, identifier: str) -> bool:
        """Whether it names nobody, whatever its case and the spaces around it."""
        plain = _plain(identifier)
        return _NOBODY.fullmatch(plain) is not None or plain in self._own

    def unfit(self, kind: str, identifier: str, entity: Entity) -> str | None:
        """Why a record of an entity cannot stand with this identifier, None if it can."""
        if len(identifier) > _LONGEST:
            return f"{kind} is longer than {_LONGEST:,} characters"
        if entity != "events" and self.is_placeholder(identifier):
            return f"{kind} is a placeholder: {identifier.strip()}"
        return None

    def pseudonyms(self, kind: str, identifiers: Sequence[str]) -> list[str | None]:
        """The pseudonyms of distinct identifiers, in their order; None for placeholders."""
        known = self._known
        if len(known) > _MOST_REMEMBERED:
            known.clear()
        found: list[str | None] = []
        for identifier in identifiers:
            key = (kind, identifier)
            pseudonym = known.get(key)
            if pseudonym is None and not self.is_placeholder(identifier):
                pseudonym = known[key] = self._keys.pseudonym(kind, identifier)
            found.append(pseudonym)
        return found


def _plain(identifier: str) -> str:
    return identifier.strip().casefold()
