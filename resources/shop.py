"""The shop as assets see it: its configuration and what time it is for the data."""

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
        """The `$parameters` of sql/, as of the end of the newest load date in the warehouse.

        Raises:
            NothingLoaded: raw.loads is empty.
        """
        is_begun = session.scalar(
            "select count(*) from duckdb_tables()"
            " where schema_name = 'raw' and table_name = 'loads'"
        )
        newest = session.scalar("select max(load_date) from raw.loads") if is_begun else None
        if newest is None:
            raise NothingLoaded(
                "nothing is loaded yet; put files where sources.yaml looks, then `siyu run`"
            )
        return self.declared.parameters(newest)
