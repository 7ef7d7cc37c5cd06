"""The binary32 matrix product of the baseline: one rounding per product and per sum, k ascending, the same everywhere.

Libraries sum in an order that depends on the machine and on the number of threads; this loop has one order. Nothing is
fused or reassociated.
Operands and sums may be subnormal: `halfsim.core._guard` keeps what other libraries set, flushing or another rounding,
away from this loop on x86-64; elsewhere the processor must be in its default state.
"""

from __future__ import annotations

from halfsim.core._jit import kernel

__all__ = ["matmul32"]

_BLOCK = 512


@kernel
def matmul32(a, b, z):
    """Add ``a @ b`` to `z`, ``z = round32(z + round32(a * b))`` in ascending k; all float32 and C-contiguous."""
    rows, terms = a.shape
    columns = b.shape[1]
    for start in range(0, columns, _BLOCK):
        stop = min(start + _BLOCK, columns)
        for i in range(rows):
            sums = z[i, start:stop]
            # No loop shared with `sequential`: slicing rows would cost its narrow panels a third of their speed.
            # Four terms for one load and store of the sums; the parentheses keep the order.
            for k in range(0, terms - 3, 4):
                a0, a1, a2, a3 = a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
                b0, b1, b2, b3 = b[k, start:stop], b[k + 1, start:stop], b[k + 2, start:stop], b[k + 3, start:stop]
                for j in range(stop - start):
                    sums[j] = (((sums[j] + a0 * b0[j]) + a1 * b1[j]) + a2 * b2[j]) + a3 * b3[j]
            for k in range(terms - terms % 4, terms):
                factor, row = a[i, k], b[k, start:stop]
                for j in range(stop - start):
                    sums[j] += factor * row[j]
