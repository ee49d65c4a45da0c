"""sources.yaml: where the shop's records come from and what they mean."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from resources.config.loading import Declared, load
from resources.config.mongodb_source import MongoSource
from resources.config.postgres_source import PostgresSource
from resources.config.rest_api_source import RestApiSource
from resources.config.source import FileSource
from resources.config.web_log_source import WebLogSource
from resources.config.wechat_source import WechatSource

AnySource = Annotated[
    FileSource | WebLogSource | RestApiSource | WechatSource | PostgresSource | MongoSource,
    Field(discriminator="kind"),
]


class Sources(Declared):
    """All sources of a shop."""

    sources: tuple[AnySource, ...]

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        counts = Counter(source.id for source in self.sources)
        if repeated := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"expected different ids; {repeated[0]!r} is declared twice")
        return self


def load_sources(folder: Path) -> Sources:
    """The sources of a configuration folder.

    Raises:
        ConfigError: sources.yaml is missing or wrong.
    """
    return load(folder / "sources.yaml", Sources)
