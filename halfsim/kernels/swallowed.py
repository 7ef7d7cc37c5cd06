"""Count the partial sums of a product that did not change although something that is not zero was added to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import Accumulator, MatrixUnit, Sequential
from halfsim.core import arithmetic, dot
from halfsim.core._jit import kernel
from halfsim.core.fields import F16, layout
from halfsim.core.philox import draw
from halfsim.kernels.product import Plan, plan

__all__ = ["swallowed", "swallowed32"]

_MAGNITUDE = 0x7FFF


def swallowed(
    accumulator: Accumulator, a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], elements: NDArray[np.int64]
) -> tuple[int, int]:
    """Return how many additions left the partial sum as it was, and how many there were.

    An addition is a step of a sequential sum, or a block of a matrix unit, of which at least one product is not zero.
    Products that are zero add nothing and are not counted, nor is a sum that is infinite or NaN already. Sums of
    another kind (a tree, a compensated or an exact one) have no partial sum that a term could be swallowed by: (0, 0).

    Parameters
    ----------
    accumulator : Accumulator
        With binary16 factors.
    a, b : uint16 array, shape (n, K)
        Patterns of the factors of n sums.
    c : int64 array, shape (n,)
        Patterns of their addends in the accumulator's format.
    elements : int64 array, shape (n,)
        Flat indices of the sums into the result: which random words they draw.
    """
    counts = np.zeros(2, np.int64)
    chosen = plan(accumulator)
    x, y = np.ascontiguousarray(a), np.ascontiguousarray(b)
    if isinstance(accumulator, Sequential):
        to = layout(chosen.format)
        words = chosen.control, chosen.seed, chosen.offset
        _sequential(x, y, c.copy(), elements, to, *words, accumulator.fused, counts)
    elif isinstance(accumulator, MatrixUnit):
        _blocks(accumulator.terms, chosen, x, y, c, elements, counts)
    return int(counts[0]), int(counts[1])


@kernel
def _sequential(x, y, d, elements, to, control, seed, index, fused, counts):
    """Repeat the steps of `halfsim.kernels.gemm.sequential` or `sequential_fused`, looking at every partial sum."""
    for i in range(d.size):
        total = d[i]
        counter = index + elements[i]
        for k in range(x.shape[1]):
            if total & to.infinity == to.infinity:
                break
            p, q = np.int64(x[i, k]), np.int64(y[i, k])
            before = total
            if fused:
                total, _ = arithmetic.fma(p, q, total, F16, to, control, draw(control, seed, counter, k))
            else:
                total, _ = dot.sequential_step(total, p, q, F16, to, control, seed, counter, 2 * k)
            if p & _MAGNITUDE and q & _MAGNITUDE:
                counts[1] += 1
                counts[0] += total == before


def _blocks(
    length: int, chosen: Plan, x: NDArray[Any], y: NDArray[Any], d: NDArray[np.int64], elements: Any, counts: Any
) -> None:
    """Let the unit's own loop add block after block, looking at the sums between them."""
    to = layout(chosen.format)
    flags = np.zeros(d.size, np.uint8)
    # One matrix pair per watched sum, (1, K) @ (K, 1): its element is the product's number.
    each = np.arange(d.size)
    scratch = np.empty(chosen.scratch(length), np.int64)
    for number, first in enumerate(range(0, x.shape[1], length)):
        block = slice(first, first + length)
        left, right = np.ascontiguousarray(x[:, None, block]), np.ascontiguousarray(y[:, block, None])
        before = d.copy()
        where = (each, d, flags, to, chosen.control, chosen.seed, chosen.offset, number)
        chosen.general(left, right, each, each, *where, 0, d.size, scratch, *chosen.extra)
        nonzero = ((left[:, 0] & _MAGNITUDE != 0) & (right[:, :, 0] & _MAGNITUDE != 0)).any(axis=1)
        nonzero &= before & to.infinity != to.infinity
        counts[0] += np.count_nonzero(nonzero & (before == d))
        counts[1] += np.count_nonzero(nonzero)


@kernel
def swallowed32(a, b, c, counts):
    """Add (swallowed, counted) additions of n binary32 sums of `halfsim.kernels.gemm32` to `counts`.

    `a` and `b` (n, K) are the float32 factors, `c` (n,) the float32 addends.
    """
    for i in range(c.size):
        total = c[i]
        for k in range(a.shape[1]):
            before = total
            term = a[i, k] * b[i, k]
            total = total + term
            if term != np.float32(0.0) and before - before == np.float32(0.0):
                counts[1] += 1
                counts[0] += total == before
