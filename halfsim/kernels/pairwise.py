"""Blocks of products added in pairs, in vector registers, many columns side by side.

Equal to `pairwise_dot_add` of `halfsim.kernels.mfma`, bit by bit, for factors of binary16 or bfloat16 whose subnormals
are flushed, two or four to a block, and binary32 sums rounded to nearest (tests prove it).

Of binary16, no binary32 number met is subnormal: C is flushed, products of normal numbers are multiples of 2**-48, and
a sum that has met a nonzero one is zero or at least 2**-72. No total is -0, so that it does not matter where an
instruction ends. Products and sums of bfloat16 may be subnormal and are then flushed: sums are exact there and products
are below the smallest normal number before they are rounded as after it.
"""

from __future__ import annotations

import numpy as np
from numpy import float32, int32

from halfsim.core._jit import kernel, scalar
from halfsim.core.fields import larger, smaller
from halfsim.environment import DefaultNaN
from halfsim.formats import BFLOAT16, BINARY16, BINARY32
from halfsim.kernels.panels import COLUMNS, ROWS, panel_width
from halfsim.kernels.simd import bits_of, decode, float_of, less, make_rule
from halfsim.mfma import PairwiseDotAdd
from halfsim.rounding import Rounding

__all__ = ["binary32", "known"]

_MAGNITUDE = 0x7FFFFFFF
_SMALLEST_NORMAL = 0x00800000
_ZERO = float32(0.0)
# Terms decoded at a time, but of an instruction that has more.
_TERMS = 256


def known(row: PairwiseDotAdd, control: int) -> tuple[int, int, int, bool] | None:
    """Return the last arguments of `binary32` for a row and its control word, or None if the loop does not know it."""
    environment = row.environment
    wide = row.inputs == (BFLOAT16, BFLOAT16)
    flushes = environment.flush_inputs and (environment.flush_results or not wide)
    if not flushes or environment.nan.default != DefaultNaN.positive or row.terms not in (2, 4):
        return None
    if row.output != BINARY32 or row.rounding != Rounding.roundTiesToEven:
        return None
    return (control, row.terms, row.depth, wide) if wide or row.inputs == (BINARY16, BINARY16) else None


@scalar
def _read(source, rule, wide, target):
    """Decode patterns; zeros and, as they are flushed, subnormals become +0."""
    if wide:
        for j in range(source.size):
            bits = int32(int32(source[j]) << 16)
            target[j] = float_of(int32(0) if less(int32(bits & _MAGNITUDE), _SMALLEST_NORMAL) else bits)
    else:
        for j in range(source.size):
            target[j] = decode(source[j], rule) + _ZERO


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


@scalar
def _flushed(number):
    """A number, or a zero of its sign if it is subnormal."""
    bits = bits_of(number)
    return float_of(int32(bits & ~_MAGNITUDE)) if less(int32(bits & _MAGNITUDE), _SMALLEST_NORMAL) else number


@scalar
def _pair(x0, y0, x1, y1):
    """Sum of two products."""
    return _flushed(_flushed(x0 * y0) + _flushed(x1 * y1))


@scalar
def _add_flushed_blocks(a, b, length, depth, total):
    """The same where products and sums may be subnormal, by instructions of `depth` products."""
    for k in range(0, a.size, length):
        a0, a1, b0, b1 = a[k], a[k + 1], b[k], b[k + 1]
        if k % depth == 0:
            # An instruction reads a -0 as +0.
            for j in range(total.size):
                total[j] += _ZERO
        if length == 4:
            a2, a3, b2, b3 = a[k + 2], a[k + 3], b[k + 2], b[k + 3]
            for j in range(total.size):
                block = _flushed(_pair(a0, b0[j], a1, b1[j]) + _pair(a2, b2[j], a3, b3[j]))
                total[j] = _flushed(total[j] + block)
        else:
            for j in range(total.size):
                total[j] = _flushed(total[j] + _pair(a0, b0[j], a1, b1[j]))


@kernel
def binary32(a, b, batch_a, batch_b, d, start, stop, control, length, depth, wide):
    """Compute rows `start` to `stop` of d (products * M, N), uint32 patterns that hold C.

    A block has `length` products, an instruction `depth`; factors are bfloat16 if `wide`, else binary16.
    """
    rows, columns = a.shape[1], b.shape[2]
    # What is missing are products +0; of bfloat16 a block of them might change a -0. Sums rest in d between two parts
    # of the terms, to be read as C is, so that a part ends where an instruction does.
    whole = length if wide else 4
    step = larger(_TERMS // depth, 1) * depth if wide else _TERMS
    terms = (smaller(b.shape[1], step) + whole - 1) // whole * whole
    width = panel_width(columns)
    strip = smaller(COLUMNS, (columns + width - 1) // width * width)
    rule = make_rule(control)
    values_a = np.zeros((ROWS, terms), np.float32)
    values_b = np.zeros((strip // width, terms, width), np.float32)
    total = np.zeros(width, np.float32)
    packed = -1
    for batch in range(start // rows, (stop + rows - 1) // rows):
        for left in range(0, columns, strip):
            right = smaller(left + strip, columns)
            for term in range(0, b.shape[1], step):
                count = smaller(step, b.shape[1] - term)
                if columns > strip or count < b.shape[1] or batch_b[batch] != packed:
                    packed = batch_b[batch]
                    for k in range(terms):
                        for first in range(left, right, width):
                            target = values_b[(first - left) // width, k]
                            if k < count:
                                source = b[packed, term + k, first : smaller(first + width, right)]
                                _read(source, rule, wide, target)
                            else:
                                for j in range(width):
                                    target[j] = _ZERO
                for row in range(larger(start, batch * rows), smaller(stop, (batch + 1) * rows), ROWS):
                    some = smaller(smaller(ROWS, stop - row), (batch + 1) * rows - row)
                    for i in range(some):
                        source = a[batch_a[batch], row + i - batch * rows, term : term + count]
                        _read(source, rule, wide, values_a[i])
                        for k in range(count, terms):
                            values_a[i, k] = _ZERO
                    used = (count + whole - 1) // whole * whole
                    for p in range((right - left + width - 1) // width):
                        for i in range(some):
                            target = d[row + i, left + p * width : smaller(left + (p + 1) * width, right)]
                            for j in range(target.size):
                                c = int32(target[j])
                                total[j] = float_of(int32(0) if less(int32(c & _MAGNITUDE), _SMALLEST_NORMAL) else c)
                            if wide:
                                _add_flushed_blocks(values_a[i, :used], values_b[p], length, depth, total)
                            else:
                                _add_blocks(values_a[i, :used], values_b[p], length, total)
                            for j in range(target.size):
                                bits = bits_of(total[j])
                                target[j] = int32(0x7FC00000) if less(0x7F800000, int32(bits & _MAGNITUDE)) else bits
