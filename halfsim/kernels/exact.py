"""Exact sums in vectors, many columns side by side, rounded once at the end by the core.

Equal to `exact` of `halfsim.kernels.gemm`, bit by bit, for every operand and every rounding (tests prove it).

A product of binary16 is a multiple of 2**-48 below 2**32. It is split at 2**-10, and in a part of the terms the sums of
what lies above and of what lies below are exact in binary64. What rests of both is split once more, at 2**10 and
2**-24, and then 2**31 terms leave every sum exact.
"""

from __future__ import annotations

import math
from math import ldexp
from typing import NamedTuple

import numpy as np
from numpy import float64, int32, int64

from halfsim.core import dot
from halfsim.core._jit import inlined, kernel, scalar
from halfsim.core.dot import EXACT_BOTTOM, LIMBS, Status
from halfsim.core.fields import Layout, smaller
from halfsim.core.philox import draw
from halfsim.kernels import vectors
from halfsim.kernels.f16c import make_reading
from halfsim.kernels.limbs import accumulate, clear, round_limbs
from halfsim.kernels.sweep import ADVANCE, grid, walk
from halfsim.kernels.vectors import LANES, bitwise_and, bitwise_or, load, multiply, splat, store, widen

__all__ = ["exact"]

_SUMS = 4
_ANY, _ALL = 4, 5
"""Slots after those of the sums: signs and magnitudes that any product has, and that all have."""
_SLOTS = 6
_UNITS = (10, -10, -24, -48)
"""Exponents of the units of the sums,"""
_SCALES = tuple(ldexp(1.0, -unit) for unit in _UNITS)
"""and how many make 1."""
_SHIFTERS = tuple(ldexp(1.5, 52 + unit) for unit in _UNITS)
"""Adding and taking one away rounds to a unit."""
_NONE = int(Status.notPlusZero) | int(Status.notMinusZero)


class _Exact(NamedTuple):
    """The task of `exact`."""

    control: int
    seed: int
    counter: int
    to: Layout
    fields: Layout
    """Layout of C."""
    c: object
    """Patterns of C, of the shape of d, or one for all."""
    each: int
    """1 for the former, 0 for the latter."""
    limbs: object


@scalar
def _cut(x, number):
    """Round to the unit of the sum of a number; infinities and NaNs stay."""
    shifter = splat(float64(_SHIFTERS[number]))
    return vectors.subtract(vectors.add(x, shifter), shifter)


@scalar
def _rest(state, at, x):
    store(state, at, vectors.add(load(state, at), x))


@inlined
def _gather(a, x, b, at, part, state, rest):
    """Add the products of a row with a vector of columns to what rests."""
    high, low = splat(float64(0)), splat(float64(0))
    some, every = splat(int32(0)), splat(int32(-1))
    for k in range(part.terms):
        products = multiply(splat(a[x + k]), load(b, at + k * part.width))
        some = bitwise_or(some, vectors.bits(products))
        every = bitwise_and(every, vectors.bits(products))
        wide = widen(products)
        above = _cut(wide, 1)
        high = vectors.add(high, above)
        low = vectors.add(low, vectors.subtract(wide, above))
    top, middle = _cut(high, 0), _cut(low, 2)
    _rest(state, rest, top)
    _rest(state, rest + part.slot, vectors.subtract(high, top))
    _rest(state, rest + 2 * part.slot, middle)
    _rest(state, rest + 3 * part.slot, vectors.subtract(low, middle))
    before = vectors.truncate(load(state, rest + _ANY * part.slot))
    store(state, rest + _ANY * part.slot, widen(bitwise_or(some, before)))
    before = vectors.truncate(load(state, rest + _ALL * part.slot))
    store(state, rest + _ALL * part.slot, widen(bitwise_and(every, before)))


@scalar
def _status(some, every):
    """Return the status of products with these signs and magnitudes: see `halfsim.core.dot.Status`."""
    if some & 0x7FFFFFFF:
        return _NONE
    status = int64(Status.notPlusZero) if some else int64(0)
    return status if every else status | int64(Status.notMinusZero)


@scalar
def _add_sum(limbs, value, number):
    """Add the sum of a number to the limbs, 24 bits at a time."""
    sign = 1 if value < 0 else 0
    unit = _UNITS[number]
    whole = int64(abs(value) * _SCALES[number])
    while whole:
        accumulate(limbs, EXACT_BOTTOM, sign, unit, whole & 0xFFFFFF)
        whole >>= 24
        unit += 24


@inlined
def _result(task, element, c, state, at, slot):
    """Round one sum."""
    special, limbs = state[at], task.limbs
    clear(limbs)
    status, sign, exponent, significand = dot.addend(int64(c), task.fields)
    if not math.isfinite(special):
        if math.isnan(special):
            status |= int64(Status.nan)
        else:
            status |= int64(Status.plusInfinity if special > 0 else Status.minusInfinity)
    else:
        accumulate(limbs, EXACT_BOTTOM, sign, exponent, significand)
        for i in range(_SUMS):
            _add_sum(limbs, state[at + i * slot], i)
        status |= _status(int64(state[at + _ANY * slot]), int64(state[at + _ALL * slot]))
    random = draw(task.control, task.seed, task.counter + element, 0)
    return round_limbs(limbs, EXACT_BOTTOM, status, task.to, task.control, random)[0]


@scalar
def _rows(task, a, count, b, panel, part, d, state):
    for i in range(count):
        row = part.row + i
        for column in range(0, part.right - part.left, LANES):
            left = part.left + column
            rest = part.rest + i * part.line + column
            if part.first == 0:
                for slot in range(_SLOTS):
                    start = rest + slot * part.slot
                    for j in range(start, start + LANES):
                        state[j] = -1.0 if slot == _ALL else 0.0
            _gather(a, i * part.depth, b, panel + column, part, state, rest)
            if part.last:
                for j in range(smaller(LANES, part.right - left)):
                    at = left + j
                    d[row, at] = _result(
                        task, row * d.shape[1] + at, task.c[row * task.each, at * task.each], state, rest + j, part.slot
                    )


ADVANCE[_Exact] = _rows


def exact(a, b, batch_a, batch_b, d, start, stop, control, to, seed, counter, c, fields):
    """Compute rows `start` to `stop` of d (products * M, N), patterns of the layout `to`.

    C stands in `c`, patterns of the layout `fields`, of the shape of d or (1, 1); the rest is as in
    `halfsim.kernels.gemm`.
    """
    limbs = np.zeros(LIMBS, np.int64)
    cut = grid(a, b, stop - start, _SLOTS, np.float64)
    each = int(c.shape == d.shape)
    _exact(a, b, batch_a, batch_b, d, start, stop, control, to, seed, counter, c, each, fields, cut, limbs)


@kernel
def _exact(a, b, batch_a, batch_b, d, start, stop, control, to, seed, counter, c, each, fields, grid, limbs):
    task = _Exact(control, seed, counter, to, fields, c, each, limbs)
    walk(a, b, batch_a, batch_b, d, start, stop, make_reading(control), grid, task)
