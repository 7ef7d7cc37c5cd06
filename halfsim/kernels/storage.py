"""How the operands and the results of products are stored."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from halfsim.formats import BINARY16, BINARY32, BINARY64, Format

__all__ = ["Operands", "Storage", "storage"]


class Operands(NamedTuple):
    """Matrices of patterns, and which pair of them each product takes."""

    a: NDArray[Any]
    """(matrices, M, K), in the smaller of uint16 and uint32 that holds a pattern."""
    b: NDArray[Any]
    """(matrices, K, N)."""
    batch_a: NDArray[np.int64]
    batch_b: NDArray[np.int64]


class Storage(NamedTuple):
    """How results are stored: float16 for binary16, else the smaller of float32 and float64 that holds the format."""

    patterns: np.dtype[Any]
    values: np.dtype[Any]
    format: Format


def storage(fmt: Format) -> Storage:
    """Return how results of a format are stored."""
    if fmt == BINARY16:
        return Storage(np.dtype(np.uint16), np.dtype(np.float16), BINARY16)
    if BINARY32.contains(fmt):
        return Storage(np.dtype(np.uint32), np.dtype(np.float32), BINARY32)
    return Storage(np.dtype(np.int64), np.dtype(np.float64), BINARY64)
