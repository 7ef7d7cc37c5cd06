"""Sums of binary32 in ascending k, rounded as a processor can, in vector registers, many columns side by side.

Equal to `sequential` and `sequential_fused` of `halfsim.kernels.gemm`, bit by bit, for every operand (tests prove it):
products of binary16 are exact in binary32, so that fused or not is the same. Never a BLAS, whose order of summation is
its own.
"""

from __future__ import annotations

from typing import NamedTuple

from halfsim.core._jit import kernel, scalar
from halfsim.core.fields import smaller
from halfsim.kernels.addends import read32, write32
from halfsim.kernels.f16c import direction, exchange, make_reading
from halfsim.kernels.sweep import ADVANCE, grid, walk
from halfsim.kernels.tiles import TILE_ROWS, add_products, many_registers
from halfsim.kernels.vectors import LANES

__all__ = ["binary32"]


class _Binary32(NamedTuple):
    """The task of `binary32`: memory for the sums of a tile's rows."""

    total: object


@scalar
def _rows32(task, a, count, b, panel, part, d, state):
    """Carry some rows through a part of the terms, as many at a time as a tile has; of fewer it computes others too."""
    total, width = task.total, part.width
    paired = width // (2 * LANES) * (2 * LANES) if many_registers() else 0
    i = 0
    while i < count:
        rows = smaller(TILE_ROWS, count - i)
        for r in range(rows):
            read32(d[part.row + i + r, part.left : part.right], total[r * width : (r + 1) * width])
        x = i * part.depth
        if rows == 1:
            for j in range(0, width, LANES):
                add_products(1, 1, a, x, part.depth, b, panel + j, width, part.terms, total, j)
        else:
            for j in range(0, paired, 2 * LANES):
                add_products(TILE_ROWS, 2, a, x, part.depth, b, panel + j, width, part.terms, total, j)
            for j in range(paired, width, LANES):
                add_products(TILE_ROWS, 1, a, x, part.depth, b, panel + j, width, part.terms, total, j)
        for r in range(rows):
            write32(total[r * width : (r + 1) * width], d[part.row + i + r, part.left : part.right])
        i += rows


ADVANCE[_Binary32] = _rows32


def binary32(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d (products * M, N), uint32 patterns that hold C."""
    _binary32(a, b, batch_a, batch_b, d, start, stop, control, grid(a, b, stop - start))


@kernel
def _binary32(a, b, batch_a, batch_b, d, start, stop, control, grid):
    # Decoding is exact in every direction.
    state = exchange(direction(control))
    walk(a, b, batch_a, batch_b, d, start, stop, make_reading(control), grid, _Binary32(grid.sums))
    exchange(state)
