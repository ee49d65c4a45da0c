"""Every stage, its contracts and its assets, in the order of the data."""

from types import ModuleType

import assets.clean.assets
import assets.clean.contracts
import assets.features.assets
import assets.features.contracts
import assets.measure.assets
import assets.measure.contracts
import assets.push.assets
import assets.push.contracts
import assets.raw.assets
import assets.raw.contracts
import assets.recommend.assets
import assets.recommend.contracts
import assets.social.assets
import assets.social.contracts
import assets.tags.assets
import assets.tags.contracts
import assets.value.assets
import assets.value.contracts
from resources.contract import Contract

STAGES: dict[str, tuple[ModuleType, ModuleType]] = {
    "raw": (assets.raw.contracts, assets.raw.assets),
    "clean": (assets.clean.contracts, assets.clean.assets),
    "features": (assets.features.contracts, assets.features.assets),
    "tags": (assets.tags.contracts, assets.tags.assets),
    "recommend": (assets.recommend.contracts, assets.recommend.assets),
    "value": (assets.value.contracts, assets.value.assets),
    "social": (assets.social.contracts, assets.social.assets),
    "push": (assets.push.contracts, assets.push.assets),
    "measure": (assets.measure.contracts, assets.measure.assets),
}
PUBLISH = "publish"


def contracts() -> list[Contract]:
    """Every table's contract, stage by stage."""
    return [
        value
        for declared, _ in STAGES.values()
        for value in vars(declared).values()
        if isinstance(value, Contract)
    ]
