"""Who is named by an identifier, and who by none: pseudonyms, and what stands there instead."""

from collections.abc import Sequence

import polars as pl

from resources.config.shop import Identity
from resources.config.source import Entity
from resources.keys import Keys
from resources.sources.addresses import address_in, comparable
from resources.sources.identifiers import LONGEST, Identifier, Identifiers


class Names:
    """The pseudonyms of people, of whom some identifiers tell nothing."""

    def __init__(self, keys: Keys, identity: Identity | None = None) -> None:
        own = identity or Identity()
        self._keys = keys
        self._identifiers = Identifiers(own.placeholders, own.persons)

    def is_placeholder(self, identifier: str) -> bool:
        """Whether it names nobody, however it is written."""
        return self._identifiers.read(identifier).nobody is not None

    def unfit(self, identifier: str, entity: Entity) -> str | None:
        """Why a record of an entity cannot stand with this identifier, None if it can."""
        if len(identifier) > LONGEST:
            return f"is longer than {LONGEST:,} characters"
        read = self._identifiers.read(identifier)
        if entity == "events" or read.nobody is None:
            return None
        return f"is a placeholder: {read.nobody}" if read.is_word else f"is {read.nobody}"

    def address_hash(self, address: str, channel: str) -> str | None:
        """The hash of what reaches somebody on a channel; None for placeholders."""
        told = comparable(address, channel)
        return None if self.is_placeholder(told) else self._keys.address_hash(told)

    def hash_in(self, identifier: str) -> str | None:
        """The hash of the address that an identifier is; None if it is none."""
        told = address_in(self._identifiers.read(identifier).text)
        return None if told is None else self._keys.address_hash(told)

    def look_up(self, identifiers: Sequence[str]) -> pl.DataFrame:
        """Per identifier that is not too long: its one spelling, and its pseudonym or `nobody`.

        `nobody` says what it is instead of somebody's identifier.
        """
        read = {each: self._identifiers.read(each) for each in identifiers if len(each) <= LONGEST}
        return pl.DataFrame(
            {
                "identifier": list(read),
                "spelling": [each.text for each in read.values()],
                "pseudonym": [self._pseudonym(each) for each in read.values()],
                "nobody": [each.nobody for each in read.values()],
            },
            schema=dict.fromkeys(("identifier", "spelling", "pseudonym", "nobody"), pl.String),
        )

    def _pseudonym(self, read: Identifier) -> str | None:
        return None if read.nobody else self._keys.pseudonym(read.text)
