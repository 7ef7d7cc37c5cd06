"""Kahan's compensated sums in ascending k, in vectors, many columns side by side.

Equal to `compensated` of `halfsim.kernels.gemm`, bit by bit, for every operand (tests prove it): binary32 rounded to
nearest, and binary16 in every deterministic rounding. The number that stands for a subnormal binary32 C serves here
too: until a nonzero product swallows it, every correction is zero.
"""

from __future__ import annotations

from halfsim.core._jit import kernel, merged, scalar
from halfsim.core.fields import smaller
from halfsim.kernels.arithmetic16 import make_rule16
from halfsim.kernels.simd import make_rule
from halfsim.kernels.steps import Steps16, Steps32, add, fetch, keep, product, read, subtract, write
from halfsim.kernels.sweep import ADVANCE, grid, walk
from halfsim.kernels.vectors import LANES

__all__ = ["binary16", "binary32"]


class _Kahan32(Steps32):
    """The task of `binary32`."""


class _Kahan16(Steps16):
    """The task of `binary16`."""


@scalar
def _step(task, x, b, at, total, error):
    corrected = subtract(task, product(task, x, b, at), error)
    following = add(task, total, corrected)
    return following, subtract(task, subtract(task, following, total), corrected)


@merged
def _chains(task, a, x0, x1, b, at, part, state, rest0, rest1):
    """Carry two rows against a vector of columns through a part of the terms."""
    total0, total1 = fetch(task, task.sums, 0), fetch(task, task.sums, LANES)
    error0, error1 = fetch(task, state, rest0), fetch(task, state, rest1)
    for k in range(part.terms):
        total0, error0 = _step(task, a[x0 + k], b, at + k * part.width, total0, error0)
        total1, error1 = _step(task, a[x1 + k], b, at + k * part.width, total1, error1)
    keep(task, task.sums, 0, total0)
    keep(task, task.sums, LANES, total1)
    keep(task, state, rest0, error0)
    keep(task, state, rest1, error1)


@scalar
def _rows(task, a, count, b, panel, part, d, state):
    """Carry some rows through a part of the terms, two at a time; an odd last one is computed twice."""
    for i in range(0, count, 2):
        rows = smaller(2, count - i)
        for column in range(0, part.right - part.left, LANES):
            left = part.left + column
            right = smaller(left + LANES, part.right)
            rest = 2 * (part.rest + i * part.line + column)
            for r in range(rows):
                read(task, d[part.row + i + r, left:right], task.sums[r * LANES : (r + 1) * LANES])
                if part.first == 0:
                    for j in range(rest + r * LANES, rest + (r + 1) * LANES):
                        state[j] = 0
            x0 = i * part.depth
            _chains(task, a, x0, x0 + (rows - 1) * part.depth, b, panel + column, part, state, rest, rest + LANES)
            for r in range(rows):
                write(task, task.sums[r * LANES : (r + 1) * LANES], d[part.row + i + r, left:right])


ADVANCE[_Kahan32] = _rows
ADVANCE[_Kahan16] = _rows


def binary32(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d (products * M, N), uint32 patterns that hold C."""
    _binary32(a, b, batch_a, batch_b, d, start, stop, control, grid(a, b, stop - start, 2))


def binary16(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d (products * M, N), uint16 patterns that hold C."""
    _binary16(a, b, batch_a, batch_b, d, start, stop, control, grid(a, b, stop - start, 2))


@kernel
def _binary32(a, b, batch_a, batch_b, d, start, stop, control, grid):
    rule = make_rule(control)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, grid, _Kahan32(rule, make_rule16(control), grid.sums))


@kernel
def _binary16(a, b, batch_a, batch_b, d, start, stop, control, grid):
    rule = make_rule(control)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, grid, _Kahan16(rule, make_rule16(control), grid.sums))
