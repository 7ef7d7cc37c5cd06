"""One pass over a tensor: where its numbers lie and what storing them lost, whether one is special, any has changed."""

from __future__ import annotations

import numpy as np
from numpy import int32

from halfsim.core._jit import kernel
from halfsim.kernels.simd import less

__all__ = ["BINS", "COUNTS", "LOWEST", "census", "same", "special"]

LOWEST = -60
BINS = 79
"""Exact zeros, then unit bins of floor(log2|x|) from `LOWEST` (and below) to 16 (and above), then Inf and NaN."""
COUNTS = ("elements", "zero", "flushed", "subnormal", "overflowed", "nan")
"""What is counted: all; exact zeros; others stored as zero; stored as subnormals, as infinities, as NaNs."""
_MAGNITUDE, _INFINITY = 0x7FFFFFFF, 0x7F800000
_EXPONENTS = 256
# Elements that are counted in int32, of which a register holds twice as many.
_PART = 1 << 16
# Words that are compared before the first that differ are asked for.
_RUN = 1 << 12


@kernel
def census(exact, stored, magnitude, normal, infinity, histogram, counts):
    """Add the elements of a tensor to a histogram and to the `COUNTS`.

    `exact` are the binary32 patterns before the tensor was stored, `stored` the patterns after; `magnitude` masks the
    sign of a stored pattern off, `normal` is the smallest normal one and `infinity` the infinite one.
    """
    zero = flushed = subnormal = overflowed = nan = 0
    for start in range(0, exact.size, _PART):
        before, after = exact[start : start + _PART], stored[start : start + _PART]
        a = b = c = d = e = int32(0)
        for i in range(before.size):
            bits, size = int32(before[i] & _MAGNITUDE), int32(after[i] & magnitude)
            a = int32(a + (bits == 0))
            b = int32(b + (less(0, bits) & less(bits, _INFINITY) & (size == 0)))
            c = int32(c + (less(0, size) & less(size, normal)))
            d = int32(d + (size == infinity))
            e = int32(e + less(infinity, size))
        zero, flushed, subnormal, overflowed, nan = zero + a, flushed + b, subnormal + c, overflowed + d, nan + e
    counts += np.array((exact.size, zero, flushed, subnormal, overflowed, nan))
    # Neighbours often share an exponent, whose count would wait for itself: they are counted apart.
    exponents = np.zeros(2 * _EXPONENTS, np.int64)
    for i in range(exact.size):
        exponents[((exact[i] >> 23) & 0xFF) + (i & 1) * _EXPONENTS] += 1
    histogram[0] += zero
    histogram[1] -= zero
    for i in range(exponents.size):
        exponent = i & 0xFF
        unit = min(max(exponent - 127 - LOWEST, 0), 16 - LOWEST) + 1
        histogram[BINS - 1 if exponent == 255 else unit] += exponents[i]


@kernel
def special(stored, magnitude, infinity):
    """Whether a pattern is infinite or NaN."""
    found = 0
    for i in range(stored.size):
        found |= np.int64((np.int64(stored[i]) & magnitude) >= infinity)
    return found != 0


@kernel
def same(words, others):
    """Whether as many words are the same."""
    for start in range(0, words.size, _RUN):
        x, y = words[start : start + _RUN], others[start : start + _RUN]
        different = x[0] ^ y[0]
        for i in range(1, x.size):
            different |= x[i] ^ y[i]
        if different != 0:
            return False
    return True
