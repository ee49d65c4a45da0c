"""Pages that were pulled from a server, and how far each source has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """Records as the server gave them (JSON-able), and the cursor behind the last of them."""

    records: Sequence[Mapping[str, object]]
    cursor: str
