"""A process of its own that pulls, for tests that kill it."""

import datetime as dt
from pathlib import Path

from resources.config.rest_api_source import RestApiSource
from resources.keys import Keys
from resources.sources.pages import Spool
from resources.sources.pulling import pull

SECRET = "0123456789abcdef0123456789abcdef"
DAY = dt.date(2026, 7, 3)


def pull_once(source: RestApiSource, folder: Path) -> None:
    """Pulls a source to its end.

    Raises:
        Failure: the source failed.
    """
    spool = Spool(folder, Keys.derived_from(SECRET))
    (pulled,) = pull([source], spool, load_date=DAY, environment={})
    if pulled.failure:
        raise pulled.failure
