"""Pictures: PNGs inside Markdown, made without a network."""

import base64
import datetime as dt

import polars as pl
import pytest

from assets.pictures import (
    calibration_curve,
    retention_heat_map,
    scree,
    tracking_plot,
    transition_matrix,
)

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

WEEKS = pl.DataFrame(
    {
        "week": [1, 2, 3],
        "actual_repeats": [0, 4, 9],
        "expected_repeats": [0.5, 4.5, 8.0],
        "is_holdout": [False, False, True],
    }
)

STAGES = pl.DataFrame(
    {
        "from_stage": ["new", "new", "lost"],
        "to_stage": ["new", "active", "lost"],
        "rate": [0.4, 0.6, None],
    }
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
        tracking_plot(WEEKS),
        tracking_plot(WEEKS.clear()),
        transition_matrix(STAGES),
        transition_matrix(STAGES.clear()),
    ],
    ids=[
        *("scree", "empty scree", "heat map", "empty heat map", "curve", "empty curve"),
        *("tracking", "empty tracking", "matrix", "empty matrix"),
    ],
)
def test_a_picture_is_a_png_in_markdown(picture: str) -> None:
    title, _, data = picture.partition("](data:image/png;base64,")
    assert title.startswith("![")
    assert base64.b64decode(data.removesuffix(")")).startswith(b"\x89PNG")
