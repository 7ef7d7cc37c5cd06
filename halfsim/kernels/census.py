"""Count, in one pass over a tensor, where its numbers lie and what storing them lost."""

from __future__ import annotations

import numpy as np

from halfsim.core._jit import kernel

__all__ = ["BINS", "COUNTS", "LOWEST", "census", "special"]

LOWEST = -60
BINS = 79
"""Exact zeros, then unit bins of floor(log2|x|) from `LOWEST` (and below) to 16 (and above), then Inf and NaN."""
COUNTS = ("elements", "zero", "flushed", "subnormal", "overflowed", "nan")
"""What is counted: all; exact zeros; others stored as zero; stored as subnormals, as infinities, as NaNs."""


@kernel
def census(exact, stored, magnitude, normal, infinity, histogram, counts):
    """Add the elements of a tensor to a histogram and to the `COUNTS`.

    `exact` are the binary32 patterns before the tensor was stored, `stored` the patterns after; `magnitude` masks the
    sign of a stored pattern off, `normal` is the smallest normal one and `infinity` the infinite one.
    """
    for i in range(exact.size):
        bits = np.int64(exact[i]) & 0x7FFFFFFF
        after = np.int64(stored[i]) & magnitude
        exponent = bits >> 23
        counts[0] += 1
        if bits == 0:
            histogram[0] += 1
            counts[1] += 1
        elif exponent == 255:
            histogram[BINS - 1] += 1
        else:
            histogram[min(max(exponent - 127 - LOWEST, 0), 16 - LOWEST) + 1] += 1
            if after == 0:
                counts[2] += 1
        if 0 < after < normal:
            counts[3] += 1
        elif after == infinity:
            counts[4] += 1
        elif after > infinity:
            counts[5] += 1


@kernel
def special(stored, magnitude, infinity):
    """Whether a pattern is infinite or NaN."""
    found = 0
    for i in range(stored.size):
        found |= np.int64((np.int64(stored[i]) & magnitude) >= infinity)
    return found != 0
