"""The largest of every window of a plane, and where in the window it lay: selections, which round nothing."""

from __future__ import annotations

import numpy as np

from halfsim.core._jit import kernel, scalar

__all__ = ["pick", "spread"]


@scalar
def _order(pattern, magnitude, infinity):
    """Return an integer in the order of the numbers, NaNs of either sign above all."""
    bits = np.int32(pattern)
    ordered = bits ^ magnitude if bits < 0 else bits
    return magnitude if bits & magnitude > infinity else ordered


@kernel
def pick(x, size, magnitude, infinity, y, chosen):
    """Write the first largest element of every window of `size` x `size`, and its number in the window, row by row.

    `x` (planes, height, width) are signed patterns, whose `magnitude` masks the sign off, `y` (planes, height // size,
    width // size) receives patterns, `chosen`, unsigned, of the shape of `y`, the numbers. Windows do not overlap; a
    rest at the border is in none. NaNs are largest.
    """
    for p in range(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                best, number, k = x[p, i * size, j * size], 0, 0
                largest = _order(best, magnitude, infinity)
                for row in range(i * size, i * size + size):
                    for column in range(j * size, j * size + size):
                        candidate = x[p, row, column]
                        order = _order(candidate, magnitude, infinity)
                        if order > largest:
                            best, largest, number = candidate, order, k
                        k += 1
                y[p, i, j] = best
                chosen[p, i, j] = number


@kernel
def spread(g, chosen, size, dx):
    """Write every element of `g` where its window has the number that was chosen; `dx` holds zeros."""
    for p in range(g.shape[0]):
        for i in range(g.shape[1]):
            for j in range(g.shape[2]):
                k = np.int64(chosen[p, i, j])
                dx[p, i * size + k // size, j * size + k % size] = g[p, i, j]
