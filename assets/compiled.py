"""Loops over arrays as machine code: what NumPy cannot say without writing everything out."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """Compiles at the first call, keeps the result on disk, and lets other threads run."""
    return cast(_F, njit(cache=True, nogil=True)(function))
