"""A campaign that changed is a new version of it: what was sent must stay explicable."""

from collections.abc import Iterable
from typing import NamedTuple


class Declaration(NamedTuple):
    """What one version of a campaign was."""

    campaign_id: str
    version: int
    fingerprint: str
    variants: tuple[str, ...]


def first_mistake(before: Iterable[Declaration], now: Iterable[Declaration]) -> str | None:
    """What is wrong with the step from the campaigns before to those now; None if nothing is.

    A campaign keeps its content while it keeps its version, versions only rise, and a variant
    that members may be assigned to for good is never dropped.
    """
    known = {declaration.campaign_id: declaration for declaration in before}
    for new in now:
        if (old := known.get(new.campaign_id)) is None:
            continue
        if new.version < old.version:
            return (
                f"campaign {new.campaign_id}: version {new.version} is older than {old.version}, "
                f"which has run; give it version {old.version + 1}"
            )
        if new.version == old.version and new.fingerprint != old.fingerprint:
            return (
                f"campaign {new.campaign_id}: it has changed, but still is version {old.version}; "
                f"give it version {old.version + 1}"
            )
        if dropped := [name for name in old.variants if name not in new.variants]:
            return (
                f"campaign {new.campaign_id}: variant {dropped[0]!r} is gone, but members are "
                "assigned to it for good; keep it, or give the campaign a new id"
            )
    return None
