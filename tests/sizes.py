"""How much the tests do: `make test` runs them at everyday size, `make soak` at full size.

The tests are the same at both: fewer kills, lines, seeds and examples every day, the promised
numbers at full size. SIYU_TEST_SIZE says which; it is read here alone.
"""

import os
from typing import TypeVar

SIZE = os.environ.get("SIYU_TEST_SIZE", "everyday")
if SIZE not in ("everyday", "full"):
    raise ValueError(f"SIYU_TEST_SIZE is {SIZE!r}; expected 'everyday' or 'full'")
IS_FULL = SIZE == "full"
_T = TypeVar("_T")


def sized(everyday: _T, full: _T) -> _T:
    """What fits the size of this run."""
    return full if IS_FULL else everyday


def examples(full: int) -> int:
    """How many examples of a slow property: a quarter of them every day, and at least three."""
    return sized(max(full // 4, 3), full)
