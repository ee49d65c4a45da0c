"""Which names of time zones are unambiguous."""

from collections.abc import Iterable
from functools import cache
from zoneinfo import available_timezones

# The names without a slash that IANA keeps for one country or city, in lower case, and UTC.
# Abbreviations are none of them: CST is China's time, Cuba's and that of Chicago.
COUNTRY_LINKS = (
    *("utc", "cuba", "egypt", "eire", "gb", "gb-eire", "hongkong", "iceland", "iran", "israel"),
    *("jamaica", "japan", "kwajalein", "libya", "navajo", "nz", "nz-chat", "poland", "portugal"),
    *("prc", "roc", "rok", "singapore", "turkey", "w-su"),
)
# Folders of databases that hold abbreviations again, or every name once more.
_NO_PLACES = ("systemv/", "posix/", "right/")


class ZoneNames:
    """The unambiguous names among those that a database of time zones has."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_spelling = {_plain(name): name for name in names if _is_unambiguous(name)}

    def find(self, said: str) -> str | None:
        """The name that is meant, whatever its case and the spaces in it; None for no name."""
        return self._by_spelling.get(_plain(said))


@cache
def installed_zones() -> ZoneNames:
    """The names that this machine's database has."""
    return ZoneNames(available_timezones())


def _plain(said: str) -> str:
    return "_".join(said.split()).lower()


def _is_unambiguous(name: str) -> bool:
    plain = name.lower()
    return plain in COUNTRY_LINKS or ("/" in plain and not plain.startswith(_NO_PLACES))
