"""Sums in ascending k in vector registers, many columns side by side.

Equal to `sequential` and `sequential_fused` of `halfsim.kernels.gemm`, bit by bit, for every operand (tests prove it):
binary32 rounded to nearest, and binary16 in every deterministic rounding. Never a BLAS, whose order of summation is
its own.

No binary32 number met is subnormal, so that the processor's switches for those change nothing. Products of binary16 are
multiples of 2**-48, hence a sum that has met a nonzero one is zero or at least 2**-72; before that it is C, and a
subnormal C is stood for by the smallest normal number, which any such product swallows as well.
"""

from __future__ import annotations

import numpy as np
from numpy import int32

from halfsim.core._jit import kernel, scalar
from halfsim.kernels.panels import COLUMNS, ROWS, TERMS, pack_columns, pack_rows, panel_width
from halfsim.kernels.simd import bits_of, decode, float_of, less, make_rule, nearest, nearest_only, rounded, sum_to_odd

__all__ = ["binary16", "binary32"]

_GROUP = 4
_MAGNITUDE = 0x7FFFFFFF
_SMALLEST_NORMAL = 0x00800000


@scalar
def _add_products(a, b, total):
    """Add the products of one row to the totals; they are exact, so that fused or not is the same."""
    whole = a.size // _GROUP * _GROUP
    for k in range(0, whole, _GROUP):
        a0, a1, a2, a3 = a[k], a[k + 1], a[k + 2], a[k + 3]
        b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
        for j in range(total.size):
            total[j] = (((total[j] + a0 * b0[j]) + a1 * b1[j]) + a2 * b2[j]) + a3 * b3[j]
    for k in range(whole, a.size):
        x, y = a[k], b[k]
        for j in range(total.size):
            total[j] += x * y[j]


@kernel
def binary32(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d (products * M, N), uint32 patterns that hold C."""
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    width = panel_width(columns)
    strip = min(COLUMNS, (columns + width - 1) // width * width)
    rule = make_rule(control)
    # Between two parts of the terms the sums rest in d, in the very format they are rounded to.
    depth = min(terms, TERMS)
    parts = (terms + depth - 1) // depth
    values_a = np.zeros((ROWS, depth), np.float32)
    values_b = np.zeros((strip // width, depth, width), np.float32)
    total = np.zeros(width, np.float32)
    packed = -1
    for batch in range(start // rows, (stop + rows - 1) // rows):
        for part in range((columns + strip - 1) // strip * parts):
            left, first = part // parts * strip, part % parts * depth
            right, last = min(left + strip, columns), min(first + depth, terms)
            if columns > strip or parts > 1 or batch_b[batch] != packed:
                packed = batch_b[batch]
                pack_columns(b[packed, first:last], left, right, rule, values_b)
            for row in range(max(start, batch * rows), min(stop, (batch + 1) * rows), ROWS):
                count = min(ROWS, stop - row, (batch + 1) * rows - row)
                first_row = row - batch * rows
                pack_rows(a[batch_a[batch], :, first:last], rule, first_row, first_row + count, values_a)
                for p in range((right - left + width - 1) // width):
                    for i in range(count):
                        target = d[row + i, left + p * width : min(left + (p + 1) * width, right)]
                        for j in range(target.size):
                            c = int32(target[j])
                            magnitude = int32(c & _MAGNITUDE)
                            normal = max(magnitude, int32(_SMALLEST_NORMAL)) if less(0, magnitude) else magnitude
                            total[j] = float_of(int32(int32(c ^ magnitude) | normal))
                        _add_products(values_a[i, : last - first], values_b[p, : last - first], total)
                        for j in range(target.size):
                            bits = bits_of(total[j])
                            magnitude = int32(bits & _MAGNITUDE)
                            # The smallest normal number is no sum: it is C untouched, or stands for it.
                            result = bits if less(0, int32(magnitude ^ _SMALLEST_NORMAL)) else int32(target[j])
                            target[j] = int32(0x7FC00000) if less(0x7F800000, magnitude) else result


@scalar
def _steps_nearest(a, b, fused, rule, total):
    """Every step of one row, ties to even."""
    top = int32(0)
    for k in range(a.size):
        x, y = a[k], b[k]
        for j in range(total.size):
            term = x * y[j]
            if not fused:
                term = decode(nearest(bits_of(term), top)[0], rule)
            total[j] = decode(nearest(sum_to_odd(term, total[j], rule), top)[0], rule)


@scalar
def _steps_rounded(a, b, fused, rule, total):
    """Every step of one row, in any deterministic rounding."""
    top = int32(0)
    for k in range(a.size):
        x, y = a[k], b[k]
        for j in range(total.size):
            term = x * y[j]
            if not fused:
                term = decode(rounded(bits_of(term), rule, top)[0], rule)
            total[j] = decode(rounded(sum_to_odd(term, total[j], rule), rule, top)[0], rule)


@kernel
def binary16(a, b, batch_a, batch_b, d, start, stop, control, fused):
    """Compute rows `start` to `stop` of d (products * M, N), uint16 patterns that hold C."""
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    width = panel_width(columns)
    strip = min(COLUMNS, (columns + width - 1) // width * width)
    rule = make_rule(control)
    simple = nearest_only(control)
    # Between two parts of the terms the sums rest in d, in the very format they are rounded to.
    depth = min(terms, TERMS)
    parts = (terms + depth - 1) // depth
    values_a = np.zeros((ROWS, depth), np.float32)
    values_b = np.zeros((strip // width, depth, width), np.float32)
    total = np.zeros(width, np.float32)
    packed = -1
    for batch in range(start // rows, (stop + rows - 1) // rows):
        for part in range((columns + strip - 1) // strip * parts):
            left, first = part // parts * strip, part % parts * depth
            right, last = min(left + strip, columns), min(first + depth, terms)
            if columns > strip or parts > 1 or batch_b[batch] != packed:
                packed = batch_b[batch]
                pack_columns(b[packed, first:last], left, right, rule, values_b)
            for row in range(max(start, batch * rows), min(stop, (batch + 1) * rows), ROWS):
                count = min(ROWS, stop - row, (batch + 1) * rows - row)
                first_row = row - batch * rows
                pack_rows(a[batch_a[batch], :, first:last], rule, first_row, first_row + count, values_a)
                for p in range((right - left + width - 1) // width):
                    for i in range(count):
                        target = d[row + i, left + p * width : min(left + (p + 1) * width, right)]
                        for j in range(target.size):
                            total[j] = decode(target[j], rule)
                        if simple:
                            _steps_nearest(values_a[i, : last - first], values_b[p, : last - first], fused, rule, total)
                        else:
                            _steps_rounded(values_a[i, : last - first], values_b[p, : last - first], fused, rule, total)
                        for j in range(target.size):
                            bits = nearest(bits_of(total[j]), int32(0))[0]
                            target[j] = int32(0x7E00) if int32(bits & 0x7FFF) > 0x7C00 else bits
