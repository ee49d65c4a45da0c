"""Members' own attributes: which the sources map, and those that shop.yaml names."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from resources.config.loading import ConfigError
from resources.config.shop import MemberColumn, SegmentColumn, Shop, attribute_of
from resources.config.source import Source
from resources.sources.redaction import HARMLESS_TRAITS, names_a_person

# A key as an expression names it, plainly or as a path.
_KEY = re.compile(r"'(?:\$\.)?(\w+)'")


def attributes_mapped(source: Source) -> tuple[str, ...]:
    """The attributes that a source of members maps by name, beside those that are harmless."""
    named = _KEY.findall(source.map.get("attributes", ""))
    return (*source.attributes, *(name for name in named if not names_a_person(name)))


def check_attributes(folder: Path, shop: Shop, sources: Iterable[Source]) -> None:
    """Refuses an attribute in shop.yaml that no source gives.

    Raises:
        ConfigError: what it is, where it stands, and which there are.
    """
    members = [source for source in sources if source.entity == "members"]
    mapped = {name for source in members for name in attributes_mapped(source)}
    if any(source.layout is not None or "attributes" in source.map for source in members):
        mapped |= set(HARMLESS_TRAITS)
    named = [
        ("retention.segments", name, get_args(SegmentColumn)) for name in shop.retention.segments
    ]
    if shop.clv.cohort_column is not None:
        named.append(("clv.cohort_column", shop.clv.cohort_column, get_args(MemberColumn)))
    for key, name, columns in named:
        attribute = attribute_of(name, columns)
        if attribute is not None and attribute not in mapped:
            known = ", ".join(f"attributes.{each}" for each in sorted(mapped)) or "none is mapped"
            raise ConfigError(
                f"{folder / 'shop.yaml'}, key '{key}': {name!r} is neither a column "
                f"({', '.join(columns)}) nor an attribute that a source of members maps ({known}); "
                "correct it, or map it under 'attributes' in sources.yaml"
            )
