"""Count the partial sums of a product that did not change although something that is not zero was added to them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import Accumulator, FusedDotAdd, MatrixUnit, Sequential
from halfsim.core import arithmetic, dot
from halfsim.core._jit import choose_by_type, kernel, scalar
from halfsim.core.fields import F16, layout, smaller
from halfsim.core.philox import draw
from halfsim.kernels import gemm, mfma
from halfsim.kernels.product import plan
from halfsim.mfma import ExactDotAdd, PairwiseDotAdd, TwoStageDotAdd

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
        unit = _UNITS[type(accumulator)](*chosen.extra)
        each, flags = np.arange(elements.size), np.zeros(elements.size, np.uint8)
        length, to = accumulator.terms, layout(chosen.format)
        scratch, d = np.empty(chosen.scratch(length), np.int64), c.copy()
        words = chosen.control, chosen.seed, chosen.offset
        _blocks(unit, length, x[:, None], y[:, :, None], d, c.copy(), each, flags, to, *words, scratch, counts)
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


class _Unit(NamedTuple):
    """A matrix unit: the last argument of its general loop."""

    block: Any


class _Fused(_Unit):
    """Of `gemm.fused_dot_add`."""


class _Exact(_Unit):
    """Of `mfma.exact_dot_add`."""


class _Pairs(_Unit):
    """Of `mfma.pairwise_dot_add`."""


class _TwoStage(_Unit):
    """Of `mfma.two_stage_dot_add`."""


_UNITS: dict[type, type[_Unit]] = {
    FusedDotAdd: _Fused,
    ExactDotAdd: _Exact,
    PairwiseDotAdd: _Pairs,
    TwoStageDotAdd: _TwoStage,
}


def _add(unit: Any, x: Any, y: Any, each: Any, where: Any, scratch: Any) -> Any:
    """Let the loop of a unit add a block to every sum: one matrix pair, (1, K) @ (K, 1), for each."""
    raise NotImplementedError("for compiled loops only")


@scalar
def _add_fused(unit, x, y, each, where, scratch):
    gemm.fused_dot_add(x, y, each, each, *where, 0, each.size, scratch, unit.block)


@scalar
def _add_exact(unit, x, y, each, where, scratch):
    mfma.exact_dot_add(x, y, each, each, *where, 0, each.size, scratch, unit.block)


@scalar
def _add_pairs(unit, x, y, each, where, scratch):
    mfma.pairwise_dot_add(x, y, each, each, *where, 0, each.size, scratch, unit.block)


@scalar
def _add_two_stage(unit, x, y, each, where, scratch):
    mfma.two_stage_dot_add(x, y, each, each, *where, 0, each.size, scratch, unit.block)


choose_by_type(_add, {_Fused: _add_fused, _Exact: _add_exact, _Pairs: _add_pairs, _TwoStage: _add_two_stage})


@kernel
def _blocks(unit, length, x, y, d, before, each, flags, to, control, seed, index, scratch, counts):
    """Let the unit's own loop add block after block, looking at the sums between them."""
    for number, first in enumerate(range(0, x.shape[2], length)):
        last = smaller(first + length, x.shape[2])
        before[:] = d
        where = (each, d, flags, to, control, seed, index, number)
        _add(unit, x[:, :, first:last], y[:, first:last], each, where, scratch)
        for i in range(d.size):
            something = False
            for k in range(first, last):
                something |= x[i, 0, k] & _MAGNITUDE != 0 and y[i, k, 0] & _MAGNITUDE != 0
            if something and before[i] & to.infinity != to.infinity:
                counts[1] += 1
                counts[0] += before[i] == d[i]


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
