"""What two homes are compared by."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.catalogue import contracts
from resources.warehouse import Database

# What says when and from where a file was loaded, not what was in it.
_CIRCUMSTANCES = {"loaded_at", "modified_at", "collected_at"}


def fingerprints(path: Path, stages: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Rows and an order-free checksum of every table of some stages."""
    found: dict[str, tuple[int, str]] = {}
    with Database(path, threads=2).connect() as session:
        for contract in contracts():
            if contract.schema in stages:
                columns = ", ".join(
                    column.quoted
                    for column in contract.columns
                    if column.name not in _CIRCUMSTANCES
                )
                found[contract.name] = session.rows(
                    "select count(*),"
                    f" md5(coalesce(sum(hash(row({columns}))::hugeint), 0)::varchar)"
                    f" from {contract.name}"
                )[0]
    return found


def vault_rows(path: Path) -> list[tuple[object, ...]]:
    """Whose addresses a vault holds and where they came from; sealed they differ every time."""
    with Database(path, threads=1).connect() as session:
        return session.rows(
            "select identifier, channel, source, path, line, load_date from addresses order by all"
        )
