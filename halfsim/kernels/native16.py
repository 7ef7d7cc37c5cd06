"""Sums of binary16 in ascending k on processors that compute with binary16 themselves (x86's AVX512-FP16).

Equal to `sequential` and `sequential_fused` of `halfsim.kernels.gemm`, bit by bit, for every operand (tests prove it):
an instruction rounds once, in the direction that MXCSR holds, and neither flushes subnormal binary16 numbers nor slows
down on them. A NaN stays one, so that only results need the canonical one.

The loops must not run where `available` is False; they take the four directions that processors know, unflushed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic
from numpy import uint32

from halfsim.core._jit import kernel, scalar
from halfsim.core._processor import has_feature
from halfsim.core.fields import smaller
from halfsim.kernels.f16c import direction, exchange
from halfsim.kernels.panels import PACKED, memory
from halfsim.kernels.sweep import ADVANCE, ROWS, Grid, walk
from halfsim.kernels.tiles import Numbers, tile
from halfsim.kernels.vectorcode import splat

__all__ = ["available", "fused", "unfused"]

LANES = 32
_TILE_ROWS, _TILE_VECTORS = 6, 4
"""With 32 registers, 24 hold sums, four vectors of B and the rest numbers of A."""
_WIDTH = _TILE_VECTORS * LANES
_COLUMNS, _TERMS = 512, 512
_VECTOR = ir.VectorType(ir.HalfType(), LANES)


def available() -> bool:
    """Whether the processor that kernels are compiled for has vectors of binary16."""
    return all(map(has_feature, ("avx512fp16", "avx512bw", "avx512vl")))


def _spread(builder, pair):
    # Loads spread 32 bits to all lanes for nothing, but not 16.
    return builder.bitcast(splat(builder, pair, LANES // 2).value, _VECTOR)


def _step_fused(builder, x, y, total):
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f16"), [x, y, total])


def _step_unfused(builder, x, y, total):
    return builder.fadd(builder.fmul(x, y), total)


_FUSED_NUMBERS = Numbers(_VECTOR, 2, _spread, _step_fused)
_UNFUSED_NUMBERS = Numbers(_VECTOR, 2, _spread, _step_unfused)


@intrinsic(prefer_literal=True)
def add_products(typingctx, task, rows, vectors, a, x, depth, b, y, width, terms, total, at):
    """As `halfsim.kernels.tiles.add_products`, in binary16: a holds every pattern twice in 32 bits."""
    numbers = _FUSED_NUMBERS if task.instance_class is _Fused else _UNFUSED_NUMBERS
    signature, codegen = tile(numbers, rows, vectors, a, x, depth, b, y, width, terms, total, at)

    def without_task(context, builder, signature, args):
        return codegen(context, builder, signature.replace(args=signature.args[1:]), args[1:])

    return signature.replace(args=(task, *signature.args)), without_task


class _Patterns(NamedTuple):
    """How factors are packed: as patterns, twice where there is room."""

    twice: object


@scalar
def _pack(rule, pattern):
    return pattern * rule.twice


PACKED[_Patterns] = _pack


class _Task(NamedTuple):
    """The task of a kernel: memory for the sums of a tile's rows."""

    total: object


class _Fused(_Task):
    """Of `fused`."""


class _Unfused(_Task):
    """Of `unfused`."""


@scalar
def _read(source, total):
    for j in range(source.size):
        total[j] = source[j]
    for j in range(source.size, total.size):
        total[j] = 0


@scalar
def _write(total, target):
    for j in range(target.size):
        target[j] = 0x7E00 if total[j] & 0x7FFF > 0x7C00 else total[j]


@scalar
def _rows(task, a, count, b, panel, part, d, state):
    """Carry some rows through a part of the terms, a tile at a time; sums of rows behind the last are not kept."""
    total, width, columns = task.total, part.width, part.right - part.left
    whole = columns // _WIDTH * _WIDTH
    for i in range(0, count, _TILE_ROWS):
        rows, x = smaller(_TILE_ROWS, count - i), i * part.depth
        for r in range(rows):
            _read(d[part.row + i + r, part.left : part.right], total[r * width : (r + 1) * width])
        for j in range(0, whole, _WIDTH):
            add_products(task, _TILE_ROWS, _TILE_VECTORS, a, x, part.depth, b, panel + j, width, part.terms, total, j)
        for j in range(whole, columns, LANES):
            add_products(task, _TILE_ROWS, 1, a, x, part.depth, b, panel + j, width, part.terms, total, j)
        for r in range(rows):
            _write(total[r * width : (r + 1) * width], d[part.row + i + r, part.left : part.right])


for _task in (_Fused, _Unfused):
    ADVANCE[_task] = _rows


def _grid(a, b, rows):
    """Return how to cut a product, and the memory; what is not packed is computed with, and not kept."""
    terms, columns = a.shape[2], b.shape[2]
    depth = min(terms, _TERMS)
    width = min(_WIDTH, -(-columns // LANES) * LANES)
    strip = min(_COLUMNS, -(-columns // width) * width)
    values_a, values_b = np.empty(ROWS * depth, np.uint32), memory(strip * depth, np.uint16)
    sums = np.zeros(_TILE_ROWS * width, np.uint16)
    return Grid(depth, width, strip, rows, values_a, values_b, sums, sums[:0])


def fused(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d (products * M, N), uint16 patterns that hold C, each step rounded once."""
    _fused(a, b, batch_a, batch_b, d, start, stop, control, _grid(a, b, stop - start))


def unfused(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d (products * M, N) with product and sum rounded."""
    _unfused(a, b, batch_a, batch_b, d, start, stop, control, _grid(a, b, stop - start))


@kernel
def _fused(a, b, batch_a, batch_b, d, start, stop, control, grid):
    before = exchange(direction(control))
    walk(a, b, batch_a, batch_b, d, start, stop, _Patterns(uint32(0x10001)), grid, _Fused(grid.sums))
    exchange(before)


@kernel
def _unfused(a, b, batch_a, batch_b, d, start, stop, control, grid):
    before = exchange(direction(control))
    walk(a, b, batch_a, batch_b, d, start, stop, _Patterns(uint32(0x10001)), grid, _Unfused(grid.sums))
    exchange(before)
