"""Matrices packed for the vectorised products: decoded once, in panels of columns that stay in the nearest cache."""

from __future__ import annotations

import numpy as np
from numpy import float32

from halfsim.core._jit import scalar
from halfsim.kernels.simd import decode

__all__ = ["ROWS", "WIDTH", "pack_columns", "pack_powers", "pack_rows", "panel_width"]

WIDTH = 64
"""Columns of a panel; a narrower matrix has one panel of the next multiple of 16."""
ROWS = 32
"""Rows decoded at a time."""

_SMALLEST_NORMAL = float32(2.0**-14)


@scalar
def panel_width(columns):
    """Columns of the panels of a matrix."""
    return min(WIDTH, (columns + 15) // 16 * 16)


@scalar
def pack_columns(b, length, group, rule, panels):
    """Decode matrix b (K, N) into panels (N / width, K padded, width) of binary32, which must be zero.

    k is split in blocks of `length` terms; each takes `group` rows of a panel.
    """
    width = panels.shape[2]
    for k in range(b.shape[0]):
        packed = k // length * group + k % length
        for p in range(panels.shape[0]):
            source = b[k, p * width : (p + 1) * width]
            target = panels[p, packed]
            for j in range(source.size):
                target[j] = decode(source[j], rule)


@scalar
def pack_rows(a, length, group, rule, start, stop, rows):
    """Decode rows `start` to `stop` of matrix a (M, K) as `pack_columns` does."""
    for i in range(stop - start):
        source = a[start + i]
        target = rows[i]
        if length == group:
            for k in range(source.size):
                target[k] = decode(source[k], rule)
        else:
            for k in range(source.size):
                target[k // length * group + k % length] = decode(source[k], rule)


@scalar
def pack_powers(values, powers):
    """Fill in 2**e of every value, e as `halfsim.core.dot` aligns by: -14 for subnormals; 0 for zeros."""
    # The bits of the exponent field alone are that power of two.
    source = values.view(np.int32)
    target = powers.view(np.int32)
    for i in range(source.size):
        target[i] = source[i] & np.int32(0x7F800000)
    for i in range(source.size):
        power = powers[i]
        power = _SMALLEST_NORMAL if power < _SMALLEST_NORMAL else power
        powers[i] = power if values[i] != 0 else float32(0)
