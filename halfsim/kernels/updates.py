"""What updates of weights compute in binary64, so that no other library's state of the processor changes it."""

from __future__ import annotations

import math

from numpy import float64, int64

from halfsim.core._jit import kernel
from halfsim.kernels.simd import bits64_of, float64_of

__all__ = ["sum_of_squares", "truncated_sums"]


@kernel
def sum_of_squares(x):
    """Return the sum of the squares of float32 numbers, in binary64 by ascending index."""
    total = 0.0
    for i in range(x.size):
        total += float64(x[i]) * float64(x[i])
    return total


@kernel
def truncated_sums(x, y, z):
    """Write x + y, both float64, to z, cut toward zero to binary64's 53 bits.

    The nearest number would not do where one is to be rounded by looking at bits further down: it may lie above the
    sum, and where one addend is small it is the other.
    """
    for i in range(x.size):
        s = x[i] + y[i]
        # Knuth's exact error of the sum [@knuth1997]: where it points back to zero, the nearest number is too large.
        part = s - x[i]
        error = (x[i] - (s - part)) + (y[i] - part)
        beyond = (error > 0.0 and s < 0.0) or (error < 0.0 and s > 0.0)
        if s != s:
            z[i] = math.nan
        else:
            z[i] = float64_of(bits64_of(s) - int64(1)) if beyond else s
