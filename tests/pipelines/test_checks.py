"""The checks that are written in Python, each seen to pass and to warn."""

from collections.abc import Sequence

import dagster as dg
import pytest

from assets.value.contracts import CLV, CLV_BACKTEST
from pipelines.checks import value_is_independent_of_frequency, values_were_foreseen
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


@pytest.mark.parametrize(
    ("verdict", "n_buyers", "said"),
    [
        ("holds", 1, None),
        ("off", 1, "predicted_clv is off: 9 % too high"),
        ("cannot_tell", 1, "predicted_clv cannot be tested: 9 % too high"),
        # Where nobody has ordered, nothing is predicted.
        ("cannot_tell", 0, None),
    ],
)
def test_values_were_foreseen(
    tables: Tables, warehouse, verdict: str, n_buyers: int, said: str | None
) -> None:
    tables.given(CLV, [{"member_id": member} for member in range(n_buyers)])
    tables.given(
        CLV_BACKTEST,
        [
            {"bucket": bucket, "verdict": verdict, "reason": "9 % too high", "method": "fallback"}
            for bucket in ("0", "all")
        ],
    )
    result = values_were_foreseen(warehouse=warehouse)
    assert isinstance(result, dg.AssetCheckResult)
    assert (result.passed, result.severity) == (said is None, dg.AssetCheckSeverity.WARN)
    assert (result.description or "").startswith(said or "")
    assert (result.description is None) == (said is None)
