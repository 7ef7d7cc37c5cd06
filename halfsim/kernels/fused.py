"""The block of a matrix unit in vector registers: products of binary16 scaled, cut to int32 and added.

Equal to `halfsim.kernels.gemm.fused_dot_add`, bit by bit, on finite operands (tests prove it); elements that see an
infinity, a NaN or a subnormal binary32 C are left as they are and counted, for the general loop to compute.

Products of binary16 are exact in binary32, and so is their multiple by the power of two that makes the unit of the
block 1; the conversion to int32 is the cut. Sums of aligned products fit int32 when ``terms * 2**(fraction_bits + 2)``
does not exceed 2**31; C and all that follows are exact in binary64.
"""

from __future__ import annotations

import math

import numpy as np
from numpy import float32, float64, int32, int64

from halfsim.core._jit import kernel, scalar
from halfsim.kernels.panels import ROWS, pack_columns, pack_powers, pack_rows, panel_width
from halfsim.kernels.simd import bits_of, decode, float_of, make_rule, nearest

__all__ = ["fits", "fused"]

_GROUP = 4  # terms of an unrolled step; blocks are padded with zeros to a multiple

_EXPONENT = 0x7FF << 52
_CUT_TO_24 = -(1 << 29)
_LARGEST_SCALE = float64(2.0**100)
_SMALLEST_NORMAL16 = float64(2.0**-14)
_SMALLEST_NORMAL32 = float64(2.0**-126)


def fits(terms: int, fraction_bits: int) -> bool:
    """Whether the aligned products of a block can be added in int32."""
    return terms << (fraction_bits + 2) <= 1 << 31


@scalar
def _largest_powers(a, b, first, largest):
    """Raise `largest` to the powers of the products of one group."""
    a0, a1, a2, a3 = a[first], a[first + 1], a[first + 2], a[first + 3]
    b0, b1, b2, b3 = b[first], b[first + 1], b[first + 2], b[first + 3]
    for j in range(largest.size):
        power = largest[j]
        power = a0 * b0[j] if a0 * b0[j] > power else power
        power = a1 * b1[j] if a1 * b1[j] > power else power
        power = a2 * b2[j] if a2 * b2[j] > power else power
        power = a3 * b3[j] if a3 * b3[j] > power else power
        largest[j] = power


@scalar
def _add_products(a, b, first, scale, units):
    """Add the aligned products of one group."""
    a0, a1, a2, a3 = a[first], a[first + 1], a[first + 2], a[first + 3]
    b0, b1, b2, b3 = b[first], b[first + 1], b[first + 2], b[first + 3]
    for j in range(units.size):
        q = scale[j]
        units[j] += int32(a0 * b0[j] * q) + int32(a1 * b1[j] * q) + int32(a2 * b2[j] * q) + int32(a3 * b3[j] * q)


@scalar
def _start_block(total, smallest_normal, floor, largest, units):
    """Set `largest` to the power of C, at least `floor`, and `units` to zero."""
    for j in range(total.size):
        c = total[j]
        power = int64(float64(c).view(int64) & _EXPONENT).view(float64)
        power = smallest_normal if power < smallest_normal else power
        power = power if c != 0 else floor
        power = power if power > floor else floor
        # An infinite C decides alone; any finite power will do.
        largest[j] = float32(power) if power < math.inf else float32(1)
        units[j] = 0


@scalar
def _scales(largest, one, scale):
    """Units per 1; where only C is tiny the products are all zero, and any finite scale will do for them."""
    for j in range(scale.size):
        units = one / float64(largest[j])
        scale[j] = float32(units if units < _LARGEST_SCALE else _LARGEST_SCALE)


@scalar
def _finish_binary32(total, units, largest, one, whole):
    """Add C and cut the sum to 24 bits, toward zero."""
    for j in range(total.size):
        scale = one / float64(largest[j])
        whole[j] = float64(units[j]) + float64(int32(total[j] * scale))
    for j in range(total.size):
        cut = int64(float64(whole[j]).view(int64) & _CUT_TO_24).view(float64)
        total[j] = cut * (float64(largest[j]) / one) + 0.0


@scalar
def _finish_binary16(total, units, largest, one, whole):
    """Add C and round the sum to binary16, ties to even; an infinite C stays."""
    for j in range(total.size):
        c = total[j] if abs(total[j]) < math.inf else 0.0
        scale = one / float64(largest[j])
        whole[j] = (float64(units[j]) + float64(int32(c * scale))) * (float64(largest[j]) / one)
    for j in range(total.size):
        exact = whole[j]
        # Adding 1.5 * 2**52 ulps rounds to a multiple of the ulp, which is 2**-24 at least.
        exponent = max(float64(exact).view(int64) & _EXPONENT, (1023 - 14) << 52)
        shifter = int64(exponent + (42 << 52) | 1 << 51).view(float64)
        rounded = (exact + shifter) - shifter
        rounded = rounded if abs(exact) < 65520.0 else exact * math.inf
        total[j] = (rounded if abs(total[j]) < math.inf else total[j]) + 0.0


@scalar
def _load(source, special_columns, narrow, rule, total, special):
    """Decode the C of a row; `special` marks what the general loop must compute."""
    total[:] = 0.0
    for j in range(source.size):
        bits = int64(source[j])
        if narrow:
            unusual = bits & 0x7C00 == 0x7C00
            c = float64(decode(source[j], rule))
        else:
            magnitude = bits & 0x7FFFFFFF
            unusual = magnitude >= 0x7F800000 or 0 < magnitude < 0x00800000
            c = float64(float_of(int32(bits)))
        special[j] = unusual or special_columns[j]
        total[j] = 0.0 if unusual else c


@scalar
def _store(total, special, narrow, target, left):
    """Encode the results of a row, but for special elements; return how many those are."""
    count = 0
    for j in range(target.size):
        left[j] = special[j]
        if special[j]:
            count += 1
        elif narrow:
            target[j] = nearest(bits_of(float32(total[j])), int32(0))[0]
        else:
            target[j] = bits_of(float32(total[j]))
    return count


@scalar
def _mark_special(matrix, columns):
    """Mark the columns that hold an infinity or a NaN."""
    columns[:] = False
    for k in range(matrix.shape[0]):
        source = matrix[k]
        for j in range(source.size):
            columns[j] |= source[j] & 0x7C00 == 0x7C00


@scalar
def _has_special(source):
    found = False
    for k in range(source.size):
        found |= source[k] & 0x7C00 == 0x7C00
    return found


@kernel
def fused(a, b, batch_a, batch_b, d, start, stop, terms, fraction_bits, floor, narrow, control, left):
    """Compute rows `start` to `stop` of d (products * M, N), which holds C; return how many elements are left.

    Those are marked in `left`, of the shape of d. `narrow` says that d is binary16, rounded to nearest, and not
    binary32, cut; `floor` is 2**zero_exponent.
    """
    rows, columns = a.shape[1], b.shape[2]
    length = min(terms, a.shape[2])
    group = (length + _GROUP - 1) // _GROUP * _GROUP
    padded = (a.shape[2] + length - 1) // length * group
    width = panel_width(columns)
    panels = (columns + width - 1) // width
    rule = make_rule(control)
    one = float64(2.0**fraction_bits)
    smallest_normal = _SMALLEST_NORMAL16 if narrow else _SMALLEST_NORMAL32
    values_a = np.zeros((ROWS, padded), np.float32)
    powers_a = np.zeros((ROWS, padded), np.float32)
    values_b = np.zeros((panels, padded, width), np.float32)
    powers_b = np.zeros((panels, padded, width), np.float32)
    special_columns = np.zeros(panels * width, np.bool_)
    special = np.zeros(width, np.bool_)
    total = np.zeros(width, np.float64)
    whole = np.zeros(width, np.float64)
    largest = np.zeros(width, np.float32)
    scale = np.zeros(width, np.float32)
    units = np.zeros(width, np.int32)
    remaining = 0
    packed = -1
    row = start
    while row < stop:
        batch = row // rows
        first_row = row % rows
        count = min(ROWS, stop - row, rows - first_row)
        if batch_b[batch] != packed:
            packed = batch_b[batch]
            pack_columns(b[packed], length, group, rule, values_b)
            pack_powers(values_b.reshape(-1), powers_b.reshape(-1))
            _mark_special(b[packed], special_columns)
        source = a[batch_a[batch]]
        pack_rows(source, length, group, rule, first_row, first_row + count, values_a)
        pack_powers(values_a[:count].reshape(-1), powers_a[:count].reshape(-1))
        for p in range(panels):
            for i in range(count):
                target = d[row + i, p * width : (p + 1) * width]
                target_left = left[row + i, p * width : (p + 1) * width]
                if _has_special(source[first_row + i]):
                    target_left[:] = True
                    remaining += target.size
                    continue
                _load(target, special_columns[p * width : (p + 1) * width], narrow, rule, total, special)
                for block in range(0, padded, group):
                    _start_block(total, smallest_normal, floor, largest, units)
                    for k in range(block, block + group, _GROUP):
                        _largest_powers(powers_a[i], powers_b[p], k, largest)
                    _scales(largest, one, scale)
                    for k in range(block, block + group, _GROUP):
                        _add_products(values_a[i], values_b[p], k, scale, units)
                    if narrow:
                        _finish_binary16(total, units, largest, one, whole)
                    else:
                        _finish_binary32(total, units, largest, one, whole)
                remaining += _store(total, special, narrow, target, target_left)
        row += count
    return remaining
