"""Tables of functions of one pattern, made by the general loop on every pattern: equal to it by construction."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.core._jit import kernel
from halfsim.kernels.loops import VECTORISED, Loops

__all__ = ["WORTH", "look_up", "table_loops"]

WORTH = 1 << 16
"""Elements from which on a table for patterns of 16 bits is worth making: as many as it has."""


@kernel
def look_up(a, table, z):
    """Write the entries of a table that patterns choose."""
    for i in range(z.size):
        z[i] = table[a[i]]


@lru_cache(maxsize=32)
def table_loops(
    general: Callable[..., None], extra: tuple[Any, ...], control: int, dtype: np.dtype[Any], width: int = 16
) -> Loops:
    """Return loops that look up what ``general(a, z, flags, control, 0, 0, *extra)`` writes for patterns of a width."""
    size = 1 << width
    values, flags = np.empty(size, dtype), np.empty(size, np.uint8)
    general(np.arange(size, dtype=np.uint16), values, flags, control, 0, 0, *extra)
    return Loops(partial(_flagged, values, flags), partial(_values, values), VECTORISED)


def _values(values: NDArray[Any], a: NDArray[np.uint16], z: NDArray[Any], control: int) -> None:
    look_up(a, values, z)


def _flagged(
    values: NDArray[Any],
    raised: NDArray[np.uint8],
    a: NDArray[np.uint16],
    z: NDArray[Any],
    flags: NDArray[np.uint8],
    *options: Any,
) -> None:
    look_up(a, values, z)
    look_up(a, raised, flags)
