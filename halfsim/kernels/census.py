"""Count, in one pass over a tensor, what storing it lost."""

from __future__ import annotations

import numpy as np

from halfsim.core._jit import kernel

__all__ = ["BINS", "LOWEST", "census"]

LOWEST = -60
BINS = 79
"""Exact zeros, then unit bins of floor(log2|x|) from `LOWEST` (and below) to 16 (and above), then Inf and NaN."""


@kernel
def census(exact, stored, magnitude, infinity, histogram, counts):
    """Add the elements of a tensor to a histogram and to (nonzero, flushed to zero, overflowed) counts.

    `exact` are the binary32 patterns before the tensor was stored, `stored` the patterns after; `magnitude` masks the
    sign of a stored pattern off and `infinity` is the infinite one.
    """
    for i in range(exact.size):
        bits = np.int64(exact[i]) & 0x7FFFFFFF
        exponent = bits >> 23
        if bits == 0:
            histogram[0] += 1
            continue
        if exponent == 255:
            histogram[BINS - 1] += 1
            counts[0] += 1
            continue
        histogram[min(max(exponent - 127 - LOWEST, 0), 16 - LOWEST) + 1] += 1
        after = np.int64(stored[i]) & magnitude
        counts[0] += 1
        if after == 0:
            counts[1] += 1
        elif after == infinity:
            counts[2] += 1
