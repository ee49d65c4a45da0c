"""The checks that are written in Python, each seen to pass and to warn."""

from collections.abc import Sequence

import dagster as dg
import pytest

from assets.value.contracts import CLV
from pipelines.checks import value_is_independent_of_frequency
from resources.shop import ShopConfig
from tests.conftest import ROOT, Tables

DEMO = ShopConfig(folder=str(ROOT / "config" / "demo"))
MODEL = "bg_nbd_gamma_gamma"


@pytest.mark.parametrize(
    ("histories", "method", "passes"),
    [
        ([(1, 10), (2, 12), (3, 9), (4, 11)], MODEL, True),
        ([(1, 10), (2, 20), (3, 30)], MODEL, False),
        ([(1, 30), (2, 20), (3, 10)], MODEL, False),
        ([(1, 10), (2, 20), (3, 30)], "fallback", True),
        # Who never came back has no value per repeat order.
        ([(0, 0), (0, 0), (1, 10), (2, 10)], MODEL, True),
        ([(1, 10)], MODEL, True),
        ([], MODEL, True),
    ],
)
def test_value_is_independent_of_frequency(
    tables: Tables, warehouse, histories: Sequence[tuple[int, float]], method: str, passes: bool
) -> None:
    tables.given(
        CLV,
        [
            {
                "member_id": member,
                "profitable_repeats": x,
                "profitable_value": value,
                "method": method,
            }
            for member, (x, value) in enumerate(histories)
        ],
    )
    result = value_is_independent_of_frequency(shop=DEMO, warehouse=warehouse)
    assert isinstance(result, dg.AssetCheckResult)
    assert (result.passed, result.severity) == (passes, dg.AssetCheckSeverity.WARN)
    assert (result.description is None) == passes
