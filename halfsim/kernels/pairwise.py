"""Blocks of products added in pairs, in vector registers, many columns side by side.

Equal to `pairwise_dot_add` of `halfsim.kernels.mfma`, bit by bit, for binary16 factors whose subnormals are flushed,
two or four to a block, and binary32 sums rounded to nearest (tests prove it).

No binary32 number met is subnormal, so that the processor's switches for those change nothing: C is flushed, products
of normal numbers are multiples of 2**-48, and a sum that has met a nonzero one is zero or at least 2**-72. No total is
-0, so that it does not matter where an instruction ends.
"""

from __future__ import annotations

import numpy as np
from numpy import float32, int32

from halfsim.core._jit import kernel, scalar
from halfsim.kernels.panels import COLUMNS, ROWS, pack_columns, pack_rows, panel_width
from halfsim.kernels.simd import bits_of, float_of, less, make_rule

__all__ = ["LENGTHS", "binary32"]

LENGTHS = (2, 4)
"""Products per block that the loop knows."""
_MAGNITUDE = 0x7FFFFFFF
_SMALLEST_NORMAL = 0x00800000
_ZERO = float32(0.0)


@scalar
def _positive_zeros(values):
    """Replace -0 by +0."""
    for i in range(values.shape[0]):
        row = values[i]
        for j in range(row.size):
            row[j] += _ZERO


@scalar
def _add_blocks(a, b, length, total):
    """Add the blocks of one row to the totals; products are exact, so that fused or not is the same."""
    for k in range(0, a.size, 4):
        a0, a1, a2, a3 = a[k], a[k + 1], a[k + 2], a[k + 3]
        b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
        if length == 4:
            for j in range(total.size):
                total[j] += (a0 * b0[j] + a1 * b1[j]) + (a2 * b2[j] + a3 * b3[j])
        else:
            for j in range(total.size):
                total[j] = (total[j] + (a0 * b0[j] + a1 * b1[j])) + (a2 * b2[j] + a3 * b3[j])


@kernel
def binary32(a, b, batch_a, batch_b, d, start, stop, control, length):
    """Compute rows `start` to `stop` of d (products * M, N), uint32 patterns that hold C."""
    rows, columns = a.shape[1], b.shape[2]
    terms = (a.shape[2] + 3) // 4 * 4  # what is missing are products +0
    width = panel_width(columns)
    strip = min(COLUMNS, (columns + width - 1) // width * width)
    rule = make_rule(control)
    values_a = np.zeros((ROWS, terms), np.float32)
    values_b = np.zeros((strip // width, terms, width), np.float32)
    total = np.zeros(width, np.float32)
    packed = -1
    for batch in range(start // rows, (stop + rows - 1) // rows):
        for left in range(0, columns, strip):
            right = min(left + strip, columns)
            if columns > strip or batch_b[batch] != packed:
                packed = batch_b[batch]
                pack_columns(b[packed], left, right, rule, terms, width, values_b.reshape(-1))
                for p in range(values_b.shape[0]):
                    _positive_zeros(values_b[p])
            for row in range(max(start, batch * rows), min(stop, (batch + 1) * rows), ROWS):
                count = min(ROWS, stop - row, (batch + 1) * rows - row)
                first_row = row - batch * rows
                pack_rows(a[batch_a[batch]], rule, first_row, first_row + count, terms, values_a.reshape(-1))
                _positive_zeros(values_a)
                for p in range((right - left + width - 1) // width):
                    for i in range(count):
                        target = d[row + i, left + p * width : min(left + (p + 1) * width, right)]
                        for j in range(target.size):
                            c = int32(target[j])
                            total[j] = float_of(int32(0) if less(int32(c & _MAGNITUDE), _SMALLEST_NORMAL) else c)
                        _add_blocks(values_a[i], values_b[p], length, total)
                        for j in range(target.size):
                            bits = bits_of(total[j])
                            target[j] = int32(0x7FC00000) if less(0x7F800000, int32(bits & _MAGNITUDE)) else bits
