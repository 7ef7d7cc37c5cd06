"""Vectorised loops of the common operations in binary16, with flags: every deterministic rounding and environment.

They give the bits and flags of the general loops of `halfsim.kernels.elementwise`, which the tests prove, an order of
magnitude faster. Where the result is a NaN the core decides, so that NaN rules and the invalid flag live there alone.

Operands and results are contiguous one-dimensional arrays of patterns: uint16, uint32 and int64. Results and flags must
not overlap an operand. The seed and the index of the general loops are not used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import ldexp
from typing import Any, NamedTuple

import numpy as np
from numpy import float32, float64, int32, int64

from halfsim.core._jit import kernel, scalar
from halfsim.core.fields import F16, larger, smaller
from halfsim.flags import Flags
from halfsim.kernels import direct, flagged, values
from halfsim.kernels.f16c import NEAREST, exchange, make_reading, read
from halfsim.kernels.simd import (
    INFINITY,
    bits_of,
    float_of,
    from_binary32,
    from_binary64,
    less,
    make_rule,
    rounded,
    sum_to_odd,
)

__all__ = ["FAST", "Fast", "remainder", "scaleb"]

_PIECE = 1024  # results that wait to be rounded: they stay in the nearest cache
_ROUNDER = ldexp(1.5, 52)  # added and subtracted, it rounds to an integer
_LARGEST = 65504.0
_NAN = int32(0x7FC00000)
_DIVIDE_BY_ZERO = int(Flags.divideByZero)


@scalar
def _round(exact, z, flags, rule, largest):
    """Round binary32 patterns, exact, to odd or as good; compilers vectorise two loops better than one."""
    for i in range(z.size):
        z[i], flags[i], largest = rounded(exact[i], rule, largest)
    return largest


@kernel
def add(a, b, z, flags, control, seed, index):
    """Binary16 sum."""
    rule = make_rule(control)
    exact, largest = np.empty(min(z.size, _PIECE), np.int32), int32(0)
    state = exchange(NEAREST)
    for start in range(0, z.size, _PIECE):
        stop = smaller(start + _PIECE, z.size)
        for i in range(start, stop):
            exact[i - start] = sum_to_odd(read(a[i], rule), read(b[i], rule), rule)
        largest = _round(exact, z[start:stop], flags[start:stop], rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def subtract(a, b, z, flags, control, seed, index):
    """Binary16 difference."""
    rule = make_rule(control)
    exact, largest = np.empty(min(z.size, _PIECE), np.int32), int32(0)
    state = exchange(NEAREST)
    for start in range(0, z.size, _PIECE):
        stop = smaller(start + _PIECE, z.size)
        for i in range(start, stop):
            exact[i - start] = sum_to_odd(read(a[i], rule), -read(b[i], rule), rule)
        largest = _round(exact, z[start:stop], flags[start:stop], rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def multiply(a, b, z, flags, control, seed, index):
    """Binary16 product; in binary32 it is exact."""
    rule = make_rule(control)
    exact, largest = np.empty(min(z.size, _PIECE), np.int32), int32(0)
    state = exchange(NEAREST)
    for start in range(0, z.size, _PIECE):
        stop = smaller(start + _PIECE, z.size)
        for i in range(start, stop):
            exact[i - start] = bits_of(read(a[i], rule) * read(b[i], rule))
        largest = _round(exact, z[start:stop], flags[start:stop], rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def divide(a, b, z, flags, control, seed, index):
    """Binary16 quotient.

    A quotient of 11-bit significands that does not have 12 bits lies more than 2**-23 of itself from every number that
    does, so binary32 keeps it on the right side of every rounding boundary.
    """
    rule = make_rule(control)
    exact, largest = np.empty(min(z.size, _PIECE), np.int32), int32(0)
    state = exchange(NEAREST)
    for start in range(0, z.size, _PIECE):
        stop = smaller(start + _PIECE, z.size)
        for i in range(start, stop):
            exact[i - start] = bits_of(read(a[i], rule) / read(b[i], rule))
        largest = _round(exact, z[start:stop], flags[start:stop], rule, largest)
        part, raised = a[start:stop], flags[start:stop]
        for i in range(part.size):
            # Of finite numbers only those over zero are infinite in binary32.
            infinite = less(INFINITY - 1, int32(exact[i] & 0x7FFFFFFF))
            raised[i] |= _DIVIDE_BY_ZERO if infinite & less(int32(part[i] & 0x7FFF), F16.infinity) else 0
    exchange(state)
    return largest > INFINITY


@kernel
def sqrt(a, z, flags, control, seed, index):
    """Binary16 square root; as for quotients, binary32 keeps it on the right side of every rounding boundary."""
    rule = make_rule(control)
    exact, largest = np.empty(min(z.size, _PIECE), np.int32), int32(0)
    state = exchange(NEAREST)
    for start in range(0, z.size, _PIECE):
        stop = smaller(start + _PIECE, z.size)
        for i in range(start, stop):
            exact[i - start] = bits_of(math.sqrt(read(a[i], rule)))
        largest = _round(exact, z[start:stop], flags[start:stop], rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def fma(a, b, c, z, flags, control, seed, index):
    """Binary16 fused multiply-add: an exact product and one sum."""
    rule = make_rule(control)
    exact, largest = np.empty(min(z.size, _PIECE), np.int32), int32(0)
    state = exchange(NEAREST)
    for start in range(0, z.size, _PIECE):
        stop = smaller(start + _PIECE, z.size)
        for i in range(start, stop):
            exact[i - start] = sum_to_odd(read(a[i], rule) * read(b[i], rule), read(c[i], rule), rule)
        largest = _round(exact, z[start:stop], flags[start:stop], rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def remainder(a, b, z, flags, control, seed, index):
    """Binary16 IEEE remainder; exact, so that any rounding is accepted.

    With x, y and x - n y multiples of the unit in the last place of x or y, whichever is less, all fit binary64. A
    quotient below 2**40 is known to 2**-14 and lies 2**-13 from every half-integer that it is not, so that its rounding
    to an integer is n.
    """
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    for i in range(z.size):
        x, y = float64(read(a[i], rule)), float64(read(b[i], rule))
        whole = (x / y + _ROUNDER) - _ROUNDER
        rest = x - whole * y
        rest = x if abs(y) > _LARGEST else rest
        # A zero has the sign of x, which the sum or the difference of equal numbers may lack.
        bits = bits_of(float32(rest))
        bits = int32(int32(bits_of(float32(x)) & -0x80000000)) if rest == 0 else bits
        bits = _NAN if abs(x) > _LARGEST else bits
        z[i], flags[i], largest = rounded(bits, rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def scaleb(a, power, z, flags, control, seed, index):
    """Binary16 times a power of two; `power` is an integer."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    for i in range(z.size):
        # Beyond, everything overflows or lies far below the last place; within, products are exact.
        scale = float_of(int32(int32(smaller(larger(int64(power[i]), -100), 100) + 127) << 23))
        z[i], flags[i], largest = rounded(bits_of(read(a[i], rule) * scale), rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def binary32_to_binary16(a, z, flags, control, seed, index):
    """Binary32 patterns, uint32, rounded to binary16."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    for i in range(z.size):
        z[i], flags[i], largest = rounded(from_binary32(a[i], rule), rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def binary64_to_binary16(a, z, flags, control, seed, index):
    """Binary64 patterns, int64, rounded to binary16."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    for i in range(z.size):
        z[i], flags[i], largest = rounded(from_binary64(a[i], rule), rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def binary16_to_binary32(a, z, flags, control, seed, index):
    """Binary32 patterns, uint32, of binary16 numbers: exact."""
    rule = make_reading(control)
    largest = int32(0)
    state = exchange(NEAREST)
    for i in range(z.size):
        bits = bits_of(read(a[i], rule))
        z[i] = bits
        flags[i] = 0
        largest = larger(largest, int32(bits & 0x7FFFFFFF))
    exchange(state)
    return largest > INFINITY


class Fast(NamedTuple):
    """The loops of an operation."""

    flagged: Callable[..., Any]
    """``(operands, z, flags, control, seed, index)``, as the general loops."""
    values: Callable[..., Any]
    """``(operands, z, control)``, for when nobody asks for flags."""
    direct: Callable[..., Any]
    """The same on processors that convert binary16, for control words that `f16c.direct` takes."""
    converted: Callable[..., Any]
    """As `flagged`, on those processors, where nothing is flushed; but for the last one all take 0 for flags."""


FAST = {
    name: Fast(loop, getattr(values, name), getattr(direct, name), getattr(flagged, name, loop))
    for name, loop in (
        ("add", add),
        ("subtract", subtract),
        ("multiply", multiply),
        ("divide", divide),
        ("sqrt", sqrt),
        ("fma", fma),
        ("binary32_to_binary16", binary32_to_binary16),
        ("binary64_to_binary16", binary64_to_binary16),
        ("binary16_to_binary32", binary16_to_binary32),
    )
}
"""The operations that have fast loops."""
