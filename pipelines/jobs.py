"""What runs together. The nightly chain runs in one process: its steps are short."""

import dagster as dg

from assets.raw.assets import COLLECTED
from assets.recommend.contracts import ALS_MODEL
from assets.tags.contracts import PRODUCT_TAGS

_COLLECTED = dg.AssetSelection.assets(*(contract.asset_key for contract in COLLECTED))
_AFTERWARDS = dg.AssetSelection.all() - _COLLECTED
_MODELS = dg.AssetSelection.assets(PRODUCT_TAGS.asset_key, ALS_MODEL.asset_key)

ingest = dg.define_asset_job(  # pyright: ignore[reportUnknownMemberType]
    "ingest",
    selection=_COLLECTED,
    description="Collects the files of one load date, or of a range of them in one run.",
    executor_def=dg.in_process_executor,
)

refresh = dg.define_asset_job(  # pyright: ignore[reportUnknownMemberType]
    "refresh",
    selection=_AFTERWARDS,
    description="Everything after collection, as of the newest load date, up to publishing.",
    executor_def=dg.in_process_executor,
)

nightly = dg.define_asset_job(  # pyright: ignore[reportUnknownMemberType]
    "nightly",
    selection=dg.AssetSelection.all(),
    description="Collects one load date and refreshes everything after it.",
    executor_def=dg.in_process_executor,
)

retrain = dg.define_asset_job(  # pyright: ignore[reportUnknownMemberType]
    "retrain",
    selection=_MODELS | (_MODELS.downstream() - _COLLECTED),
    description="Searches the recommender's settings anew and remakes what depends on models.",
    executor_def=dg.in_process_executor,
    config={"ops": {"recommend__als_model": {"config": {"search": True}}}},
)

JOBS = (ingest, refresh, nightly, retrain)
