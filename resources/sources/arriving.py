"""What has arrived: files in the landing folder, and pages that were pulled."""

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path

from resources.config.source import LandedSource, Source
from resources.sources.files import Arrival, Unfinished, find_arrivals, find_unfinished
from resources.sources.load_dates import Ledger
from resources.sources.pages import Spool
from resources.sources.pulling import KINDS


def is_pulled(source: Source) -> bool:
    """Whether a source's records are fetched from a server."""
    return str(getattr(source, "kind", "")) in KINDS


def arrived(
    sources: Iterable[Source],
    landing: Path,
    spool: Spool,
    environment: Mapping[str, str],
    now: dt.datetime,
    ledger: Ledger | None = None,
) -> list[Arrival]:
    """Every finished file and every page, by source, load date and path; `now` is naive UTC.

    The `ledger` tells on which day a file was loaded before (see `needs_ledger`).

    Raises:
        SourceError: a file that is named outright is missing, or a load date cannot be told.
        ConfigError: a path names an environment variable that is not set.
    """
    every = list(sources)
    found = find_arrivals(_landed(every), landing, environment, now, ledger)
    for source in every:
        if is_pulled(source):
            found += spool.arrivals(source)
    return sorted(found, key=lambda each: (each.source.id, each.load_date, each.path))


def needs_ledger(sources: Iterable[Source]) -> bool:
    """Whether the day of some file depends on when it was loaded before."""
    return any(
        not isinstance(source.load_date, dt.date) and source.load_date != "from_path"
        for source in _landed(sources)
    )


def unfinished(
    sources: Iterable[Source], landing: Path, environment: Mapping[str, str], now: dt.datetime
) -> list[Unfinished]:
    """Every file that is still being written and left for a later run."""
    return find_unfinished(_landed(sources), landing, environment, now)


def _landed(sources: Iterable[Source]) -> list[LandedSource]:
    return [source for source in sources if isinstance(source, LandedSource)]
