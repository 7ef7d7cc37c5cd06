"""Matrices packed for the vectorised products, in panels of columns that stay in the nearest cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.core._jit import choose_by_type, scalar
from halfsim.core.fields import smaller
from halfsim.kernels.f16c import Reading, read
from halfsim.kernels.simd import Rule

__all__ = ["COLUMNS", "PACKED", "ROWS", "TERMS", "WIDTH", "memory", "pack_columns", "pack_rows", "panel_width"]

COLUMNS = 512
"""Columns decoded at a time, a multiple of every panel's width but the only panel of a narrow matrix."""

ROWS = 32
"""Rows decoded at a time."""

TERMS = 1024
"""Terms decoded at a time where sums can rest between two parts: a panel of them stays in the second cache."""
WIDTH = 64
"""Columns of a panel, but of a narrow matrix."""


_LINE = 64
"""Bytes of a line of the cache."""


def memory(size: int, dtype: Any) -> NDArray[Any]:
    """Return zeros that begin a line of the cache: where they do not, reading a vector may take two lines."""
    zeros = np.zeros(size + _LINE // np.dtype(dtype).itemsize, dtype)
    first = -zeros.ctypes.data % _LINE // zeros.itemsize
    return zeros[first : first + size]


@scalar
def panel_width(columns):
    """Columns of a panel: 64, or the next multiple of 16 of a narrower matrix."""
    return smaller(WIDTH, (columns + 15) // 16 * 16)


@scalar
def _number(rule, pattern):
    return read(pattern, rule)


PACKED: dict[type, Callable[..., Any]] = {Rule: _number, Reading: _number}
"""What a panel holds of a pattern, for every type of rule: its binary32 number, or what a loop adds here."""


def packed(rule: Any, pattern: Any) -> Any:
    """Return what a panel holds of a pattern."""
    raise NotImplementedError("for compiled loops only")


choose_by_type(packed, PACKED)


@scalar
def pack_columns(b, start, stop, rule, depth, width, panels):
    """Pack columns `start` to `stop` of matrix b (K, N) into panels (number, depth, width), flat."""
    if start == 0 and stop == 1:
        # A column of its own, as that of a dot product: what follows would take longer to begin than to do.
        column = b[:, 0]
        for k in range(column.size):
            panels[k * width] = packed(rule, column[k])
        return
    for k in range(b.shape[0]):
        for first in range(0, stop - start, width):
            source = b[k, start + first : smaller(start + first + width, stop)]
            at = first * depth + k * width
            target = panels[at : at + width]
            for j in range(source.size):
                target[j] = packed(rule, source[j])
    last = (stop - start) % width
    if start and last:
        # What an earlier panel has left there might be infinite, and slow.
        for k in range(b.shape[0]):
            at = (stop - start - last) * depth + k * width
            panels[at + last : at + width] = 0


@scalar
def pack_rows(a, rule, start, stop, depth, rows, first=0):
    """Pack rows `start` to `stop` of matrix a (M, K) into rows of `depth` numbers, flat, from term `first` on."""
    for i in range(stop - start):
        # Such a slice is known to be contiguous, one of a slice is not.
        source = a[start + i, first : first + depth]
        target = rows[i * depth : (i + 1) * depth]
        for k in range(source.size):
            target[k] = packed(rule, source[k])
