"""Pulls from every server that sources.yaml names into the spool, source by source."""

import datetime as dt
import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from resources.config.source import Source
from resources.failure import Failure
from resources.sources.files import SourceError
from resources.sources.pages import Page, Spool

# By kind: the module that pulls it, and the extra that its client comes with.
_PULLERS: Mapping[str, tuple[str, str | None]] = {
    "rest_api": ("resources.sources.rest_api", None),
    "wechat": ("resources.sources.wechat", None),
    "postgres": ("resources.sources.postgres", "postgres"),
    "mongodb": ("resources.sources.mongodb", "mongo"),
}
KINDS = frozenset(_PULLERS)


class _Pages(Protocol):
    def __call__(
        self, source: Source, cursor: str | None, *, environment: Mapping[str, str]
    ) -> Iterator[Page]: ...


@dataclass(frozen=True)
class Pulled:
    """What one source gave: pages and records stored, and why it stopped early, if it did."""

    source_id: str
    n_pages: int
    n_records: int
    failure: Failure | None = None


def pull(
    sources: Iterable[Source],
    spool: Spool,
    *,
    load_date: dt.date,
    environment: Mapping[str, str],
) -> list[Pulled]:
    """Stores every page behind each source's cursor; sources that are not pulled are passed over.

    One process at a time may do this on a spool. A source that fails keeps the pages it has given,
    and the others are pulled all the same: whoever calls this decides what a failure means.
    """
    pulled: list[Pulled] = []
    for source in sources:
        kind = str(getattr(source, "kind", ""))
        if kind in KINDS:
            pulled.append(_pulled(source, kind, spool, load_date, environment))
    return pulled


def _pulled(
    source: Source,
    kind: str,
    spool: Spool,
    load_date: dt.date,
    environment: Mapping[str, str],
) -> Pulled:
    n_pages = n_records = 0
    failure: Failure | None = None
    try:
        cursor = spool.prepare(source.id)
        before = spool.newest(source.id)
        for page in _puller(source, kind)(source, cursor, environment=environment):
            file = spool.write(source.id, load_date, page)
            if file != before and page.records:
                n_pages += 1
                n_records += len(page.records)
            before = file
    except Failure as error:
        failure = error
    return Pulled(source.id, n_pages, n_records, failure)


def _puller(source: Source, kind: str) -> _Pages:
    module, extra = _PULLERS[kind]
    try:
        return cast(_Pages, importlib.import_module(module).pages)
    except ImportError as error:
        if extra is None or str(error.name).startswith("resources"):
            raise
        raise SourceError(
            f"source '{source.id}': kind {kind} needs {error.name}, which is not installed; "
            f"pip install 'siyu[{extra}]'"
        ) from error
