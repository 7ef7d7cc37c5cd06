"""The block of a matrix unit in vector registers: products of binary16 scaled, cut to int32 and added.

Equal to `halfsim.kernels.gemm.fused_dot_add`, bit by bit, on finite operands (tests prove it); elements that see an
infinity, a NaN or a subnormal binary32 C are left as they are and marked, for the general loop to compute.

Products of binary16 are exact in binary32, and so is their multiple by the power of two that makes the unit of the
block 1; the conversion to int32 is the cut. Sums of aligned products fit int32 when ``terms * 2**(fraction_bits + 2)``
does not exceed 2**31; C and all that follows are exact in binary64.

Rows of A and panels of LANES columns of B are decoded into flat arrays, K padded with zero terms: values, and beside
each its alignment power, 2**e with e as `halfsim.core.dot` counts it, or 0 for a zero, which then raises no maximum.
Two rows at a time share what is loaded of B.
"""

from __future__ import annotations

import math

import numpy as np
from numpy import float32, float64, int32, int64

from halfsim.core._jit import kernel, scalar
from halfsim.kernels import vectors
from halfsim.kernels.panels import COLUMNS, ROWS
from halfsim.kernels.simd import bits_of, decode, float_of, make_rule, nearest
from halfsim.kernels.vectors import LANES, load, multiply, splat, store, widen

__all__ = ["fits", "fused"]

_EXPONENT = 0x7FF << 52
_CUT_TO_24 = -(1 << 29)
_NORMAL16 = float32(2.0**-14)
_NORMAL32 = float64(2.0**-126)
# Below it all products are zero, and any finite scale will do for them.
_LEAST_POWER = float32(2.0**-60)
_OVERFLOW16 = float64(65520.0)


def fits(terms: int, fraction_bits: int) -> bool:
    """Whether the aligned products of a block can be added in int32."""
    return terms << (fraction_bits + 2) <= 1 << 31


@scalar
def _pack_columns(b, start, stop, padded, rule, values, special):
    """Decode columns `start` to `stop` of matrix b (K, N) into panels; mark those that hold an infinity or a NaN."""
    special[:] = False
    for k in range(b.shape[0]):
        row = b[k, start:stop]
        for j in range(row.size):
            special[j] |= row[j] & 0x7C00 == 0x7C00
        for first in range(0, row.size, LANES):
            source = row[first : first + LANES]
            target = values[first * padded + k * LANES : first * padded + (k + 1) * LANES]
            for j in range(source.size):
                target[j] = decode(source[j], rule)


@scalar
def _pack_row(source, rule, target):
    """Decode a row of A; return whether it holds an infinity or a NaN."""
    special = False
    for k in range(source.size):
        special |= source[k] & 0x7C00 == 0x7C00
        target[k] = decode(source[k], rule)
    return special


@scalar
def _pack_powers(values, size, powers):
    """Fill in the alignment powers of decoded factors."""
    zero = splat(float32(0))
    for i in range(0, size, LANES):
        pattern = vectors.bits(load(values, i))
        power = vectors.number(vectors.bitwise_and(pattern, splat(int32(0x7F800000))))
        magnitude = vectors.number(vectors.bitwise_and(pattern, splat(int32(0x7FFFFFFF))))
        power = vectors.larger(power, splat(_NORMAL16))
        store(powers, i, vectors.where_below(zero, magnitude, power, zero))


@scalar
def _load(source, narrow, rule, special_row, special_columns, first, total, special, at):
    """Decode the C of a row's part; `special` marks what the general loop must compute."""
    for j in range(source.size):
        pattern = int64(source[j])
        if narrow:
            unusual = pattern & 0x7C00 == 0x7C00
            c = float64(decode(source[j], rule))
        else:
            magnitude = pattern & 0x7FFFFFFF
            unusual = magnitude >= 0x7F800000 or 0 < magnitude < 0x00800000
            c = float64(float_of(int32(pattern)))
        special[at + j] = unusual or special_row or special_columns[first + j]
        total[at + j] = 0.0 if unusual else c


@scalar
def _store(total, special, at, narrow, target, left):
    """Encode the results of a row's part, but for special elements; return how many those are."""
    count = 0
    for j in range(target.size):
        left[j] = special[at + j]
        if special[at + j]:
            count += 1
        elif narrow:
            target[j] = nearest(bits_of(float32(total[at + j])), int32(0))[0]
        else:
            target[j] = bits_of(float32(total[at + j]))
    return count


@scalar
def _power(total, least, floor):
    """Alignment powers of C, at least `floor`; an infinite C decides alone, and any will do."""
    zero = splat(float64(0))
    power = vectors.number(vectors.bitwise_and(vectors.bits(total), splat(int64(_EXPONENT))))
    power = vectors.where_below(zero, power, vectors.larger(power, splat(least)), zero)
    power = vectors.where_below(power, splat(float64(math.inf)), power, zero)
    return vectors.narrow(vectors.larger(power, splat(floor)))


@scalar
def _scale(power, fraction_bits):
    """Units per 1: 2**fraction_bits over a power, exact."""
    wide = vectors.bits(widen(power))
    return vectors.number(vectors.subtract(splat(int64((2046 + fraction_bits) << 52)), wide))


@scalar
def _finish(total, units, power, fraction_bits, narrow):
    """Return the result of a block: C added to the products, and the sum cut or rounded once."""
    zero = splat(float64(0))
    infinity = splat(float64(math.inf))
    size = vectors.number(vectors.bitwise_and(vectors.bits(total), splat(int64((1 << 63) - 1))))
    c = vectors.where_below(size, infinity, total, zero)
    cut = widen(vectors.truncate(multiply(c, _scale(power, fraction_bits))))
    exact = vectors.add(widen(units), cut)
    unit = vectors.number(vectors.subtract(vectors.bits(widen(power)), splat(int64(fraction_bits << 52))))
    if not narrow:
        kept = vectors.number(vectors.bitwise_and(vectors.bits(exact), splat(int64(_CUT_TO_24))))
        return vectors.add(multiply(kept, unit), zero)
    exact = multiply(exact, unit)
    # Adding 1.5 * 2**52 ulps rounds to a multiple of the ulp, which is 2**-24 at least.
    binade = vectors.number(vectors.bitwise_and(vectors.bits(exact), splat(int64(_EXPONENT))))
    binade = vectors.bits(vectors.larger(binade, splat(float64(_NORMAL16))))
    ulps = vectors.add(binade, splat(int64(42 << 52)))
    shifter = vectors.number(vectors.bitwise_or(ulps, splat(int64(1 << 51))))
    rounded = vectors.subtract(vectors.add(exact, shifter), shifter)
    magnitude = vectors.number(vectors.bitwise_and(vectors.bits(exact), splat(int64((1 << 63) - 1))))
    rounded = vectors.where_below(magnitude, splat(_OVERFLOW16), rounded, multiply(exact, infinity))
    return vectors.add(vectors.where_below(size, infinity, rounded, total), zero)


@scalar
def _chain(values_a, powers_a, x, y, values_b, powers_b, panel, padded, group, fraction_bits, floor, narrow, total):
    """Run all blocks of two rows, which start at `x` and `y`, against one panel; `total` holds C, then the results."""
    least = float64(_NORMAL16) if narrow else _NORMAL32
    total0, total1 = load(total, 0), load(total, LANES)
    for first in range(0, padded, group):
        power0, power1 = _power(total0, least, floor), _power(total1, least, floor)
        for k in range(first, first + group):
            column = load(powers_b, panel + k * LANES)
            power0 = vectors.larger(multiply(splat(powers_a[x + k]), column), power0)
            power1 = vectors.larger(multiply(splat(powers_a[y + k]), column), power1)
        scale0 = vectors.narrow(_scale(vectors.larger(power0, splat(_LEAST_POWER)), fraction_bits))
        scale1 = vectors.narrow(_scale(vectors.larger(power1, splat(_LEAST_POWER)), fraction_bits))
        units0, units1 = splat(int32(0)), splat(int32(0))
        for k in range(first, first + group):
            column = load(values_b, panel + k * LANES)
            aligned = vectors.truncate(multiply(multiply(splat(values_a[x + k]), column), scale0))
            units0 = vectors.add(units0, aligned)
            aligned = vectors.truncate(multiply(multiply(splat(values_a[y + k]), column), scale1))
            units1 = vectors.add(units1, aligned)
        total0 = _finish(total0, units0, power0, fraction_bits, narrow)
        total1 = _finish(total1, units1, power1, fraction_bits, narrow)
    store(total, 0, total0)
    store(total, LANES, total1)


@kernel
def fused(a, b, batch_a, batch_b, d, start, stop, terms, fraction_bits, floor, narrow, control, left):
    """Compute rows `start` to `stop` of d (products * M, N), which holds C; return how many elements are left.

    Those are marked in `left`, of the shape of d. `narrow` says that d is binary16, rounded to nearest, and not
    binary32, cut; `floor` is 2**zero_exponent.
    """
    rows, columns = a.shape[1], b.shape[2]
    group = min(terms, a.shape[2])
    padded = (a.shape[2] + group - 1) // group * group
    strip = min(COLUMNS, (columns + LANES - 1) // LANES * LANES)
    rule = make_rule(control)
    values_a, powers_a = np.zeros(ROWS * padded, np.float32), np.zeros(ROWS * padded, np.float32)
    values_b, powers_b = np.zeros(strip * padded, np.float32), np.zeros(strip * padded, np.float32)
    special_rows, special_columns = np.zeros(ROWS, np.bool_), np.zeros(strip, np.bool_)
    total, special = np.zeros(2 * LANES, np.float64), np.zeros(2 * LANES, np.bool_)
    remaining = 0
    packed = -1
    for batch in range(start // rows, (stop + rows - 1) // rows):
        source = a[batch_a[batch]]
        for left_column in range(0, columns, strip):
            right_column = min(left_column + strip, columns)
            if columns > strip or batch_b[batch] != packed:
                packed = batch_b[batch]
                _pack_columns(b[packed], left_column, right_column, padded, rule, values_b, special_columns)
                _pack_powers(values_b, values_b.size, powers_b)
            for row in range(max(start, batch * rows), min(stop, (batch + 1) * rows), ROWS):
                count = min(ROWS, stop - row, (batch + 1) * rows - row)
                for i in range(count):
                    target = values_a[i * padded : (i + 1) * padded]
                    special_rows[i] = _pack_row(source[row - batch * rows + i], rule, target)
                _pack_powers(values_a, count * padded, powers_a)
                for first in range(left_column, right_column, LANES):
                    panel = (first - left_column) * padded
                    last = min(first + LANES, right_column)
                    for i in range(0, count, 2):
                        # An odd last row is computed twice.
                        pair = min(2, count - i)
                        for r in range(pair):
                            _load(
                                d[row + i + r, first:last], narrow, rule, special_rows[i + r], special_columns,
                                first - left_column, total, special, r * LANES,
                            )  # fmt: skip
                        _chain(
                            values_a, powers_a, i * padded, (i + pair - 1) * padded, values_b, powers_b, panel, padded,
                            group, fraction_bits, floor, narrow, total,
                        )  # fmt: skip
                        for r in range(pair):
                            part, marks = d[row + i + r, first:last], left[row + i + r, first:last]
                            remaining += _store(total, special, r * LANES, narrow, part, marks)
    return remaining
