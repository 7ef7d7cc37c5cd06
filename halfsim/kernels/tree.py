"""Sums by a balanced tree, in vectors, many columns side by side.

Equal to `pairwise` of `halfsim.kernels.gemm`, bit by bit, for every operand (tests prove it): binary32 rounded to
nearest, and binary16 in every deterministic rounding.

Level by level, neighbours are added and an odd last one passes on. So a node of level l is the sum of 2**l terms, and
when term k has come, the nodes that wait for their right neighbour are those of the bits of k + 1. Only they are kept.
"""

from __future__ import annotations

from halfsim.core._jit import kernel, merged, scalar
from halfsim.core.fields import smaller
from halfsim.kernels.arithmetic16 import make_rule16
from halfsim.kernels.simd import make_rule
from halfsim.kernels.steps import Steps16, Steps32, add, fetch, keep, product, read, write
from halfsim.kernels.sweep import ADVANCE, grid, walk
from halfsim.kernels.vectors import LANES

__all__ = ["binary16", "binary32"]


class _Tree32(Steps32):
    """The task of `binary32`."""


class _Tree16(Steps16):
    """The task of `binary16`."""


@merged
def _grow(task, a, x, b, at, part, state, rest):
    """Add the terms of a part to the nodes of one row against a vector of columns."""
    k = 0
    while k < part.terms:
        first = part.first + k
        node = product(task, a[x + k], b, at + k * part.width)
        level = 0
        if first & 3 == 0 and k + 4 <= part.terms:
            node = add(task, node, product(task, a[x + k + 1], b, at + (k + 1) * part.width))
            other = product(task, a[x + k + 2], b, at + (k + 2) * part.width)
            other = add(task, other, product(task, a[x + k + 3], b, at + (k + 3) * part.width))
            node = add(task, node, other)
            level = 2
        k += 1 << level
        waiting = first >> level
        while waiting & 1:
            node = add(task, fetch(task, state, rest + level * part.slot), node)
            waiting >>= 1
            level += 1
        keep(task, state, rest + level * part.slot, node)


@merged
def _root(task, state, rest, slot, terms):
    """Add the nodes that wait, from the smallest on."""
    level = 0
    while terms >> level & 1 == 0:
        level += 1
    node = fetch(task, state, rest + level * slot)
    level += 1
    while terms >> level:
        if terms >> level & 1:
            node = add(task, fetch(task, state, rest + level * slot), node)
        level += 1
    return node


@scalar
def _rows(task, a, count, b, panel, part, d, state):
    sums = task.sums[:LANES]
    for i in range(count):
        for column in range(0, part.right - part.left, LANES):
            rest = part.rest + i * part.line + column
            _grow(task, a, i * part.depth, b, panel + column, part, state, rest)
            if part.last:
                left = part.left + column
                target = d[part.row + i, left : smaller(left + LANES, part.right)]
                read(task, target, sums)
                root = _root(task, state, rest, part.slot, part.first + part.terms)
                keep(task, sums, 0, add(task, root, fetch(task, sums, 0)))
                write(task, sums, target)


ADVANCE[_Tree32] = _rows
ADVANCE[_Tree16] = _rows


def binary32(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d (products * M, N), uint32 patterns that hold C."""
    _binary32(a, b, batch_a, batch_b, d, start, stop, control, grid(a, b, stop - start, a.shape[2].bit_length()))


def binary16(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d (products * M, N), uint16 patterns that hold C."""
    _binary16(a, b, batch_a, batch_b, d, start, stop, control, grid(a, b, stop - start, a.shape[2].bit_length()))


@kernel
def _binary32(a, b, batch_a, batch_b, d, start, stop, control, grid):
    rule = make_rule(control)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, grid, _Tree32(rule, make_rule16(control), grid.sums))


@kernel
def _binary16(a, b, batch_a, batch_b, d, start, stop, control, grid):
    rule = make_rule(control)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, grid, _Tree16(rule, make_rule16(control), grid.sums))
