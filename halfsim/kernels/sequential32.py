"""Sums of binary32 in ascending k, rounded to nearest, in vector registers, many columns side by side.

Equal to `sequential` and `sequential_fused` of `halfsim.kernels.gemm`, bit by bit, for every operand (tests prove it):
products of binary16 are exact in binary32, so that fused or not is the same. Never a BLAS, whose order of summation is
its own.

No binary32 number met is subnormal, so that the processor's switches for those change nothing. Products of binary16 are
multiples of 2**-48, hence a sum that has met a nonzero one is zero or at least 2**-72; before that it is C, and a
subnormal C is stood for by the smallest normal number, which any such product swallows as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import int32

from halfsim.core._jit import kernel, scalar
from halfsim.kernels.simd import bits_of, float_of, less, make_rule
from halfsim.kernels.sweep import ADVANCE, walk
from halfsim.kernels.tiles import TILE_ROWS, add_products, many_registers
from halfsim.kernels.vectors import LANES

__all__ = ["binary32", "read_sums", "write_sums"]

_MAGNITUDE = 0x7FFFFFFF
_SMALLEST_NORMAL = 0x00800000


@scalar
def read_sums(d, row, left, right, at, total):
    """Read a row's part of C into `total` from `at` on: the smallest normal number stands for subnormal ones."""
    source = d[row, left:right]
    for j in range(source.size):
        c = int32(source[j])
        magnitude = int32(c & _MAGNITUDE)
        normal = max(magnitude, int32(_SMALLEST_NORMAL)) if less(0, magnitude) else magnitude
        total[at + j] = float_of(int32(int32(c ^ magnitude) | normal))


@scalar
def write_sums(total, at, d, row, left, right):
    """Write a row's part of the sums, with canonical NaNs."""
    target = d[row, left:right]
    for j in range(target.size):
        bits = bits_of(total[at + j])
        magnitude = int32(bits & _MAGNITUDE)
        # The smallest normal number is no sum: it is C untouched, or stands for it.
        result = bits if less(0, int32(magnitude ^ _SMALLEST_NORMAL)) else int32(target[j])
        target[j] = int32(0x7FC00000) if less(0x7F800000, magnitude) else result


@scalar
def _tile32(a, x, b, y, part, row, column, rows, number, d, total):
    """Carry a tile of `rows` rows by `number` vectors, literals both, through a part of the terms."""
    left = part.left + column
    right = min(left + number * LANES, part.right)
    if left >= right:
        return
    for i in range(rows):
        read_sums(d, row + i, left, right, i * number * LANES, total)
    add_products(rows, number, a, x, part.depth, b, y + column, part.width, part.terms, total)
    for i in range(rows):
        write_sums(total, i * number * LANES, d, row + i, left, right)


class _Binary32(NamedTuple):
    """The task of `binary32`: memory for the sums of a tile."""

    total: object


@scalar
def _rows32(task, a, count, b, panel, part, d, state):
    """Carry some rows through a part of the terms; products are exact, so that fused or not is the same."""
    total = task.total
    tiled = count // TILE_ROWS * TILE_ROWS
    paired = part.width // (2 * LANES) * (2 * LANES) if many_registers() else 0
    for column in range(0, paired, 2 * LANES):
        for i in range(0, tiled, TILE_ROWS):
            _tile32(a, i * part.depth, b, panel, part, part.row + i, column, TILE_ROWS, 2, d, total)
    for column in range(paired, part.width, LANES):
        for i in range(0, tiled, TILE_ROWS):
            _tile32(a, i * part.depth, b, panel, part, part.row + i, column, TILE_ROWS, 1, d, total)
    for i in range(tiled, count):
        if part.width == 4 * LANES:
            _tile32(a, i * part.depth, b, panel, part, part.row + i, 0, 1, 4, d, total)
        else:
            for column in range(0, part.width, LANES):
                _tile32(a, i * part.depth, b, panel, part, part.row + i, column, 1, 1, d, total)


ADVANCE[_Binary32] = _rows32


@kernel
def binary32(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d (products * M, N), uint32 patterns that hold C."""
    total = np.zeros(2 * TILE_ROWS * LANES, np.float32)
    walk(a, b, batch_a, batch_b, d, start, stop, make_rule(control), 0, total, _Binary32(total))
