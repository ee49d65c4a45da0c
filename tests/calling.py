"""Assets called as functions."""

from typing import Any, cast

import dagster as dg


def called(asset: dg.AssetsDefinition, *config: dg.Config, **resources: object) -> Any:
    """What an asset's function returns.

    Called through Dagster it would first make an instance with a database, which takes longer than
    most of these functions.
    """
    return cast(Any, asset.op.compute_fn).decorated_fn(*config, **resources)
