"""`siyu unload`: what a deleted file gave leaves the warehouse, because the operator says so."""

import datetime as dt
import fnmatch
import os
from pathlib import Path

from assets.raw.assets import TABLES
from pipelines.instance import sole_run
from resources.config.shop import load_shop
from resources.config.sources import load_sources
from resources.home import Home
from resources.keys import Keyring
from resources.sources.arriving import arrived
from resources.sources.collection import distrust, take_back
from resources.sources.files import SourceError
from resources.sources.pages import Spool
from resources.vault import Vault
from resources.warehouse import Database

_LOCK_SECONDS = 60.0


def unload_files(
    config: Path, place: Home, source: str, pattern: str, *, now: dt.datetime
) -> list[tuple[str, int]]:
    """Takes back the loaded files of a source that match and are gone; each path and records.

    Raises:
        SourceError: none matches, or all still lie where the next run would load them again.
        WarehouseError, ConfigError, SecretError: nothing was begun.
    """
    keyring = Keyring(home=place.path, is_simulated=load_shop(config).simulation is not None)
    with sole_run(place, _LOCK_SECONDS):
        spool = Spool(place.pages, keyring.unlock())
        sources = load_sources(config).sources
        naive = now.astimezone(dt.UTC).replace(tzinfo=None)
        there = {
            (arrival.source.id, arrival.path): arrival.file
            for arrival in arrived(sources, place.landing, spool, os.environ, naive)
        }
        with Database(place.warehouse, lock_timeout_seconds=_LOCK_SECONDS).connect() as session:
            loaded = session.rows(
                f"select path, n_records from {TABLES.loads.name} where source = $source"
                " order by path",
                {"source": source},
            )
            matching = [row for row in loaded if fnmatch.fnmatchcase(row[0], pattern)]
            if not matching:
                raise SourceError(
                    f"source '{source}': no loaded file matches {pattern!r}; "
                    "raw.loads lists them all"
                )
            gone = [row for row in matching if (source, row[0]) not in there]
            if not gone:
                raise SourceError(
                    f"source '{source}': {there[source, matching[0][0]]} is still there and the "
                    "next run would load it again; remove it first"
                )
            paths = [path for path, _ in gone]
            distrust(session, TABLES, source, paths)
            Vault(path=str(place.vault), keyring=keyring).forget_files(source, paths)
            take_back(session, TABLES, source, paths)
    return gone
