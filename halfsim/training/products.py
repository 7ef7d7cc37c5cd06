"""Matrix products of a training: which way round, how they lie in memory, and the sums in them that are watched."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from halfsim.accumulators import Accumulator, MatrixUnit
from halfsim.arrays import contiguous
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.kernels import fused
from halfsim.kernels.fused import Panels
from halfsim.kernels.product import Operands, Plan, compute_fast, evaluate, plan
from halfsim.kernels.swallowed import swallowed, swallowed32
from halfsim.shapes import matrices
from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.binary32 import widen

__all__ = ["Decoded", "Factors", "decoded", "multiply", "multiply_decoded", "output", "store", "turned", "watch"]

Factors: TypeAlias = tuple[Array, Array, Array | None]
"""Two factors, and what their product is added to."""

_NARROW = 8  # columns
_ONLY = np.zeros(1, np.int64)


def turned(a: Array, b: Array) -> bool:
    """Whether to multiply the transposed matrices: the loops are fast along columns, of which there should be many."""
    if a.ndim > 2 or b.shape[1] >= a.shape[0]:
        return False
    # A copy costs more than a few columns do.
    return b.shape[1] < _NARROW or a.flags.f_contiguous


class Decoded(NamedTuple):
    """A matrix as the loop of a matrix unit decodes it, for products with many others."""

    plan: Plan
    words: Array
    """Its patterns, (1, K, N), uint16."""
    panels: Panels


def decoded(row: Accumulator, b: Array) -> Decoded | None:
    """Return a matrix (K, N) of numbers in float16 or of patterns, in C order, decoded, or None without such a loop."""
    chosen, words = plan(row), b.view(np.uint16)[None]
    if not chosen.leaves or not b.size:
        return None
    return Decoded(chosen, words, fused.decoded(words, *chosen.fast_extra))


def multiply_decoded(a: Array, b: Decoded, c: Array | None) -> Array:
    """Return `multiply` of a matrix (M, K) and of one that is decoded."""
    chosen, operands = b.plan, Operands(contiguous(a).view(np.uint16)[None], b.words, _ONLY, _ONLY)
    shape = len(a), b.words.shape[2]
    start = _start(chosen.format, c, shape)
    if start is not None and start.dtype != chosen.storage.values:
        return evaluate(chosen, operands, start, False, b.panels)[0].reshape(shape)
    d = np.zeros(shape, chosen.storage.patterns) if start is None else start.view(chosen.storage.patterns)
    compute_fast(chosen, operands, d, (b.panels,))
    return d.view(chosen.storage.values)


def multiply(row: Accumulator, a: Array, b: Array, c: Array | None) -> Array:
    """Return `halfsim.matmul` of float16 arrays, or of patterns, without the questions of its front door."""
    shape, operands = matrices("matmul", a.view(np.uint16), b.view(np.uint16))
    return evaluate(plan(row), operands, _start(output(row), c, shape), False)[0].reshape(shape)


def _start(output: Format, c: Array | None, shape: tuple[int, ...]) -> Array | None:
    """Return an array of what the sums of a product start from."""
    if c is None:
        return None
    # The cast is one of a row, not of all that it starts.
    row_of_c = widen(c) if output == BINARY32 else c
    start = np.empty(shape, row_of_c.dtype)
    start[...] = row_of_c
    return start


def output(row: Accumulator) -> Format:
    """Return the format of an accumulator's results."""
    return row.output if isinstance(row, MatrixUnit) else row.format


def store(storage: Arithmetic, product: Array) -> Array:
    """Round a product to storage in the order of memory: one that was computed transposed stays so."""
    if product.ndim == 2 and product.flags.f_contiguous:
        return storage.convert(product.T).T
    return storage.convert(product)


def _wide(factors: Array) -> Array:
    """Return numbers, or patterns of bfloat16, uint16, as binary32."""
    return widen(factors) if factors.dtype != np.uint16 else (factors.astype(np.uint32) << 16).view(np.float32)


def watch(row: Accumulator | None, a: Array, b: Array, c: Array | None, elements: Array) -> tuple[int, int]:
    """Return (additions that changed nothing, all) of a few elements of a product; without a row, of a binary32 one."""
    *stack, rows, columns = np.unravel_index(elements, (*a.shape[:-1], b.shape[-1]))
    # The watched sums alone: row i of the first with column i of the second.
    column: Any = (*stack, slice(None), columns)
    left, right = a[(*stack, rows)], b[column] if stack else b[column].T
    start = (np.zeros(b.shape[-1], np.float32) if c is None else c)[columns]
    if row is None:
        return swallowed32(_wide(left), _wide(right), widen(start))
    narrow = start.dtype == np.float16
    patterns = start.view(np.uint16 if narrow else np.uint32).astype(np.int64)
    # Without C a sum starts from zero, which no format rounds.
    source = output(row) if c is None else BINARY16 if narrow else BINARY32
    return swallowed(row, left.view(np.uint16), right.view(np.uint16), patterns, elements, source)
