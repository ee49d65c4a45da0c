"""The shop as assets see it: its configuration and what time it is for the data."""

import datetime as dt
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from resources.config.shop import Shop, load_shop
from resources.failure import Failure
from resources.warehouse import Session


class NothingLoaded(Failure):
    """No load date has been loaded, so there is no as-of instant."""


class ShopConfig(dg.ConfigurableResource[Any]):
    """The folder of the shop's configuration."""

    folder: str

    @cached_property
    def declared(self) -> Shop:
        """shop.yaml as a model."""
        return load_shop(Path(self.folder))

    def parameters(self, session: Session) -> dict[str, object]:
        """The `$parameters` of sql/, as of the end of the last complete day of the warehouse.

        Raises:
            NothingLoaded: raw.loads is empty.
        """
        return self.declared.parameters(self.last_date(session), self.holdout_days(session))

    def holdout_days(self, session: Session) -> int:
        """The days that lists are tried on: as declared, but a third of the history at most.

        Raises:
            NothingLoaded: raw.loads is empty.
        """
        declared = self.declared.recommend.holdout_days
        begun = self.last_date(session) + dt.timedelta(days=1)
        # Load dates are few, events many; a file may tell of years.
        if (begun - session.scalar("select min(load_date) from raw.loads")).days >= 3 * declared:
            return declared
        if "events" not in _tables(session, "clean"):
            return declared
        first = session.scalar("select min(event_date) from clean.events")
        return declared if first is None else max(1, min(declared, (begun - first).days // 3))

    def last_date(self, session: Session) -> dt.date:
        """The newest load date, but none that was not over yet when sources were last asked.

        A day is over for files when the collection began after it, and for a server when the run
        that last asked it did. A source that sends nothing any more holds no day back: it is named
        (sql/questions/lagging_sources.sql).

        Raises:
            NothingLoaded: raw.loads is empty.
        """
        there = _tables(session, "raw")
        newest = (
            session.scalar("select max(load_date) from raw.loads") if "loads" in there else None
        )
        if newest is None:
            raise NothingLoaded(
                "nothing is loaded yet; put files where sources.yaml looks, then `siyu run`"
            )
        instants: list[dt.datetime] = []
        if "sources" in there:
            for collected_at, asked_at in session.rows(
                "select collected_at, asked_at from raw.sources"
            ):
                instants += [collected_at, asked_at or collected_at]
        return min([newest, *map(self.declared.last_day_over, instants)])


def _tables(session: Session, schema: str) -> set[str]:
    """The names of the tables of a schema."""
    rows = session.rows(
        "select table_name from duckdb_tables() where schema_name = $schema", {"schema": schema}
    )
    return {name for (name,) in rows}
