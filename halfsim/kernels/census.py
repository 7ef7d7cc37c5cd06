"""Count, in one pass over a tensor, where its numbers lie and what storing them lost."""

from __future__ import annotations

import numpy as np
from numpy import int32

from halfsim.core._jit import kernel, scalar
from halfsim.kernels.simd import bits_of, decode, less, make_rule

__all__ = ["BINS", "COUNTS", "LOSSES", "LOWEST", "census", "losses16", "losses32", "outside", "special"]

LOWEST = -60
BINS = 79
"""Exact zeros, then unit bins of floor(log2|x|) from `LOWEST` (and below) to 16 (and above), then Inf and NaN."""
COUNTS = ("elements", "zero", "flushed", "subnormal", "overflowed", "nan")
"""What is counted: all; exact zeros; others stored as zero; stored as subnormals, as infinities, as NaNs."""

LOSSES = ("inexact", "overflow", "underflow", "flushed", "invalid")
"""What `losses16` and `losses32` count, as `halfsim.interop.torch.report.Counts` explains it."""
_MAGNITUDE, _LARGEST, _BEYOND, _INFINITY = 0x7FFFFFFF, 0x477FE000, 0x47800000, 0x7F800000
_EXPONENTS = 256
# Elements that are counted in int32, of which a register holds twice as many.
_PART = 1 << 16
# Elements that are looked at together, of which few have one to be written down.
_RUN = 1 << 9


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
def outside(stored, magnitude, least, largest, places):
    """Write down where a pattern without its sign is not from `least` to below `largest`: return how many there are.

    Those that `places`, int64, has no room for are counted alone.
    """
    count = 0
    for start in range(0, stored.size, _RUN):
        part, found = stored[start : start + _RUN], False
        for i in range(part.size):
            size = int32(part[i] & magnitude)
            found |= less(size, least) | less(largest - 1, size)
        if found:
            for i in range(part.size):
                size = int32(part[i] & magnitude)
                if less(size, least) | less(largest - 1, size):
                    if count < places.size:
                        places[count] = start + i
                    count += 1
    return count


@scalar
def _lost(exact, stored, normal):
    """Return, as 0 or 1, whether storing a number lost each of the `LOSSES`; all are patterns of binary32 in int32."""
    before, size = int32(exact & _MAGNITUDE), int32(stored & _MAGNITUDE)
    # Zeros of both signs are equal.
    differs = (int32(exact ^ stored) != 0) & less(0, int32(before | size))
    beyond = less(_INFINITY - 1, size) | (
        less(_LARGEST - 1, size) & less(size, _LARGEST + 1) & less(_BEYOND - 1, before)
    )
    number = less(size, _INFINITY + 1)
    return (
        int32(differs & number),
        int32(differs & beyond & number & less(before, _INFINITY)),
        int32(differs & less(size, normal)),
        int32(differs & less(size, 1)),
        int32(less(before, _INFINITY + 1) & less(_INFINITY, size)),
    )


@kernel
def losses16(exact, stored, normal, control, counts):
    """Add to `counts`, int64, the `LOSSES` of binary32 patterns, uint32, stored as binary16 patterns, uint16.

    `normal` is the binary32 pattern, int32, of the smallest normal number of what is stored, `control` the word of
    rounding to nearest.
    """
    rule = make_rule(control)
    for start in range(0, stored.size, _PART):
        before, after = exact[start : start + _PART], stored[start : start + _PART]
        a = b = c = d = e = int32(0)
        for i in range(after.size):
            inexact, overflow, underflow, flushed, invalid = _lost(
                int32(before[i]), bits_of(decode(after[i], rule)), normal
            )
            a = int32(a + inexact)
            b = int32(b + overflow)
            c = int32(c + underflow)
            d = int32(d + flushed)
            e = int32(e + invalid)
        counts += np.array((a, b, c, d, e))


@kernel
def losses32(exact, stored, normal, counts):
    """Do the same of what is stored as binary32 patterns, uint32."""
    for start in range(0, stored.size, _PART):
        before, after = exact[start : start + _PART], stored[start : start + _PART]
        a = b = c = d = e = int32(0)
        for i in range(after.size):
            inexact, overflow, underflow, flushed, invalid = _lost(int32(before[i]), int32(after[i]), normal)
            a = int32(a + inexact)
            b = int32(b + overflow)
            c = int32(c + underflow)
            d = int32(d + flushed)
            e = int32(e + invalid)
        counts += np.array((a, b, c, d, e))
