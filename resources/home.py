"""Where a shop's data live: one folder, SIYU_HOME."""

from pathlib import Path
from typing import Any

import dagster as dg


class Home(dg.ConfigurableResource[Any]):
    """The folder and the places in it."""

    path: str

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return Path(self.path)

    @property
    def landing(self) -> Path:
        """Where files arrive."""
        return self.folder / "landing"

    @property
    def pages(self) -> Path:
        """Where pulled pages are kept, sealed."""
        return self.folder / "pages"

    @property
    def warehouse(self) -> Path:
        """What the pipeline writes."""
        return self.folder / "warehouse.duckdb"

    @property
    def analytics(self) -> Path:
        """What analysts read."""
        return self.folder / "analytics.duckdb"

    @property
    def vault(self) -> Path:
        """Addresses, sealed."""
        return self.folder / "vault.duckdb"

    @property
    def models(self) -> Path:
        """Model files."""
        return self.folder / "models"

    @property
    def outbound(self) -> Path:
        """Lists for upload."""
        return self.folder / "outbound"

    @property
    def truth(self) -> Path:
        """What a simulated shop knows of itself; never read by the pipeline."""
        return self.folder / "truth"

    @property
    def dagster(self) -> Path:
        """Dagster's own storage."""
        return self.folder / "dagster"

    @property
    def logs(self) -> Path:
        """One log per run."""
        return self.folder / "logs"
