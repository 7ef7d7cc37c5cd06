"""Matrix products of a training: which way round, how they lie in memory, and the sums in them that are watched."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from halfsim.accumulators import Accumulator, MatrixUnit
from halfsim.arrays import contiguous
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.kernels import fused
from halfsim.kernels.fused import Panels
from halfsim.kernels.product import evaluate, plan
from halfsim.kernels.swallowed import swallowed, swallowed32
from halfsim.shapes import matrices
from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.binary32 import widen

__all__ = ["Factors", "decoded", "multiply", "output", "store", "turned", "watch"]

Factors: TypeAlias = tuple[Array, Array, Array | None]
"""Two factors, and what their product is added to."""

_NARROW = 8  # columns


def turned(a: Array, b: Array) -> bool:
    """Whether to multiply the transposed matrices: the loops are fast along columns, of which there should be many."""
    if a.ndim > 2 or b.shape[1] >= a.shape[0]:
        return False
    # A copy costs more than a few columns do.
    return b.shape[1] < _NARROW or a.flags.f_contiguous


def decoded(row: Accumulator, b: Array) -> Panels | None:
    """Return a float16 matrix (K, N) as the loop of a matrix unit decodes it, or None where there is no such loop."""
    chosen = plan(row)
    if not chosen.leaves or not b.size:
        return None
    panels: Panels = fused.decoded(contiguous(b).view(np.uint16)[None], *chosen.fast_extra)
    return panels


def multiply(row: Accumulator, a: Array, b: Array, c: Array | None, panels: Panels | None = None) -> Array:
    """Return `halfsim.matmul` of float16 arrays without the questions of its front door; `panels` are b, `decoded`."""
    shape, operands = matrices("matmul", a.view(np.uint16), b.view(np.uint16))
    start = None
    if c is not None:
        # The cast is one of a row, not of all that it starts.
        row_of_c = widen(c) if output(row) == BINARY32 else c
        start = np.empty(shape, row_of_c.dtype)
        start[...] = row_of_c
    return evaluate(plan(row), operands, start, False, panels)[0].reshape(shape)


def output(row: Accumulator) -> Format:
    """Return the format of an accumulator's results."""
    return row.output if isinstance(row, MatrixUnit) else row.format


def store(storage: Arithmetic, product: Array) -> Array:
    """Round a product to storage in the order of memory: one that was computed transposed stays so."""
    if product.ndim == 2 and product.flags.f_contiguous:
        return storage.convert(product.T).T
    return storage.convert(product)


def watch(row: Accumulator | None, a: Array, b: Array, c: Array | None, elements: Array) -> tuple[int, int]:
    """Return (additions that changed nothing, all) of a few elements of a product; without a row, of a binary32 one."""
    *stack, rows, columns = np.unravel_index(elements, (*a.shape[:-1], b.shape[-1]))
    # The watched sums alone: row i of the first with column i of the second.
    column: Any = (*stack, slice(None), columns)
    left, right = a[(*stack, rows)], b[column] if stack else b[column].T
    start = (np.zeros(b.shape[-1], np.float32) if c is None else c)[columns]
    if row is None:
        return swallowed32(*(widen(each) for each in (left, right, start)))
    narrow = start.dtype == np.float16
    patterns = start.view(np.uint16 if narrow else np.uint32).astype(np.int64)
    # Without C a sum starts from zero, which no format rounds.
    source = output(row) if c is None else BINARY16 if narrow else BINARY32
    return swallowed(row, left.view(np.uint16), right.view(np.uint16), patterns, elements, source)
