"""Pictures: PNGs inside Markdown, made without a network."""

import base64
import datetime as dt

import polars as pl
import pytest

from assets.pictures import calibration_curve, retention_heat_map, scree

COHORTS = pl.DataFrame(
    {
        "cohort_date": [dt.date(2026, 7, 1)] * 3,
        "period": [0, 1, 2],
        "rate": [1.0, 0.4, None],
    }
)

GROUPS = pl.DataFrame(
    {"model": ["bayes", "bayes"], "predicted": [0.1, 0.3], "observed": [0.12, 0.25]}
)


@pytest.mark.parametrize(
    "picture",
    [
        scree(pl.Series([0.7, 0.2, 0.1])),
        scree(pl.Series([], dtype=pl.Float64)),
        retention_heat_map(COHORTS),
        retention_heat_map(COHORTS.clear()),
        calibration_curve(GROUPS),
        calibration_curve(GROUPS.clear()),
    ],
    ids=["scree", "empty scree", "heat map", "empty heat map", "curve", "empty curve"],
)
def test_a_picture_is_a_png_in_markdown(picture: str) -> None:
    title, _, data = picture.partition("](data:image/png;base64,")
    assert title.startswith("![")
    assert base64.b64decode(data.removesuffix(")")).startswith(b"\x89PNG")
