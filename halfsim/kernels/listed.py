"""Binary32 sums of a few elements of a product, which a product of their rows would take longer to make."""

from __future__ import annotations

from numpy import int32

from halfsim.core._jit import kernel
from halfsim.kernels.simd import decode, make_rule

__all__ = ["listed32"]


@kernel
def listed32(a, b, places, control, sums):
    """Add the products of row and column of listed elements to `sums`, float32, k ascending, as `matmul32` does.

    `a` (M, K) and `b` (K, N) are patterns of binary16, uint16; `places` are in C order; `control` is the word of
    rounding to nearest.
    """
    rule = make_rule(control)
    columns = b.shape[1]
    for number in range(places.size):
        i, j = divmod(places[number], columns)
        total = sums[number]
        for k in range(b.shape[0]):
            total += decode(int32(a[i, k]), rule) * decode(int32(b[k, j]), rule)
        sums[number] = total
