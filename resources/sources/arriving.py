"""What has arrived: files in the landing folder, and pages that were pulled."""

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path

from resources.config.source import LandedSource, Source
from resources.sources.files import Arrival, Unfinished, find_arrivals, find_unfinished
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
) -> list[Arrival]:
    """Every finished file and every page, by source, load date and path; `now` is naive UTC.

    Raises:
        SourceError: a file that is named outright is missing, or a load date cannot be told.
        ConfigError: a path names an environment variable that is not set.
    """
    every = list(sources)
    found = find_arrivals(_landed(every), landing, environment, now)
    for source in every:
        if is_pulled(source):
            found += spool.arrivals(source)
    return sorted(found, key=lambda each: (each.source.id, each.load_date, each.path))


def unfinished(
    sources: Iterable[Source], landing: Path, environment: Mapping[str, str], now: dt.datetime
) -> list[Unfinished]:
    """Every file that is still being written and left for a later run."""
    return find_unfinished(_landed(sources), landing, environment, now)


def _landed(sources: Iterable[Source]) -> list[LandedSource]:
    return [source for source in sources if isinstance(source, LandedSource)]
