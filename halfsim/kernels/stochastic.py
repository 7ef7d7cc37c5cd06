"""Vectorised loops of arithmetic with stochastic rounding, values and flags, in every environment.

A result is brought to binary64, exact or as good as `halfsim.kernels.fixed` needs, and rounded there.
Arrays, seed and index are as in `halfsim.kernels.elementwise`. Where the result is a NaN the core decides.
"""

from __future__ import annotations

import math

from numba import carray
from numpy import float64, int64

from halfsim.core._jit import kernel
from halfsim.core.fields import F16, smaller
from halfsim.flags import Flags
from halfsim.kernels.f16c import NEAREST, exchange, make_reading, read
from halfsim.kernels.fixed import INFINITY, MAGNITUDE, make_random_rule, rounded, sum_to_odd
from halfsim.kernels.simd import bits64_of
from halfsim.kernels.words import PIECE, ROOM, first_words, room

__all__ = ["add", "divide", "fma", "multiply", "sqrt", "subtract"]

_DIVIDE_BY_ZERO = int(Flags.divideByZero)


@kernel
def add(a, b, z, flags, control, seed, index):
    """Binary16 sum; in binary64 it is exact."""
    rule = make_reading(control)
    target = make_random_rule(control, F16)
    words, nan = carray(room(), ROOM), False
    state = exchange(NEAREST)
    for start in range(0, z.size, PIECE):
        stop = smaller(start + PIECE, z.size)
        first_words(words, stop - start, seed, index + start)
        for i in range(start, stop):
            bits = bits64_of(float64(read(a[i], rule)) + float64(read(b[i], rule)))
            z[i], flags[i] = rounded(bits, int64(words[i - start]), target)
            nan |= bits & MAGNITUDE > INFINITY
    exchange(state)
    return nan


@kernel
def subtract(a, b, z, flags, control, seed, index):
    """Binary16 difference."""
    rule = make_reading(control)
    target = make_random_rule(control, F16)
    words, nan = carray(room(), ROOM), False
    state = exchange(NEAREST)
    for start in range(0, z.size, PIECE):
        stop = smaller(start + PIECE, z.size)
        first_words(words, stop - start, seed, index + start)
        for i in range(start, stop):
            bits = bits64_of(float64(read(a[i], rule)) - float64(read(b[i], rule)))
            z[i], flags[i] = rounded(bits, int64(words[i - start]), target)
            nan |= bits & MAGNITUDE > INFINITY
    exchange(state)
    return nan


@kernel
def multiply(a, b, z, flags, control, seed, index):
    """Binary16 product; exact."""
    rule = make_reading(control)
    target = make_random_rule(control, F16)
    words, nan = carray(room(), ROOM), False
    state = exchange(NEAREST)
    for start in range(0, z.size, PIECE):
        stop = smaller(start + PIECE, z.size)
        first_words(words, stop - start, seed, index + start)
        for i in range(start, stop):
            bits = bits64_of(float64(read(a[i], rule)) * float64(read(b[i], rule)))
            z[i], flags[i] = rounded(bits, int64(words[i - start]), target)
            nan |= bits & MAGNITUDE > INFINITY
    exchange(state)
    return nan


@kernel
def divide(a, b, z, flags, control, seed, index):
    """Binary16 quotient.

    A quotient of 11-bit significands that does not have 43 bits lies more than half a unit in the last place of
    binary64 from every number that does, so rounding in binary64 never reaches one.
    """
    rule = make_reading(control)
    target = make_random_rule(control, F16)
    words, nan = carray(room(), ROOM), False
    state = exchange(NEAREST)
    for start in range(0, z.size, PIECE):
        stop = smaller(start + PIECE, z.size)
        first_words(words, stop - start, seed, index + start)
        for i in range(start, stop):
            y = float64(read(b[i], rule))
            bits = bits64_of(float64(read(a[i], rule)) / y)
            z[i], raised = rounded(bits, int64(words[i - start]), target)
            by_zero = (y == 0) & (a[i] & 0x7FFF < F16.infinity)
            flags[i] = raised | (_DIVIDE_BY_ZERO if by_zero else 0)
            nan |= bits & MAGNITUDE > INFINITY
    exchange(state)
    return nan


@kernel
def sqrt(a, z, flags, control, seed, index):
    """Binary16 square root; in binary64 each of the 2048 significands keeps its leading 43 bits, as the tests show."""
    rule = make_reading(control)
    target = make_random_rule(control, F16)
    words, nan = carray(room(), ROOM), False
    state = exchange(NEAREST)
    for start in range(0, z.size, PIECE):
        stop = smaller(start + PIECE, z.size)
        first_words(words, stop - start, seed, index + start)
        for i in range(start, stop):
            bits = bits64_of(math.sqrt(float64(read(a[i], rule))))
            z[i], flags[i] = rounded(bits, int64(words[i - start]), target)
            nan |= bits & MAGNITUDE > INFINITY
    exchange(state)
    return nan


@kernel
def fma(a, b, c, z, flags, control, seed, index):
    """Binary16 fused multiply-add: an exact product and one sum."""
    rule = make_reading(control)
    target = make_random_rule(control, F16)
    words, nan = carray(room(), ROOM), False
    state = exchange(NEAREST)
    for start in range(0, z.size, PIECE):
        stop = smaller(start + PIECE, z.size)
        first_words(words, stop - start, seed, index + start)
        for i in range(start, stop):
            bits = sum_to_odd(float64(read(a[i], rule)) * float64(read(b[i], rule)), float64(read(c[i], rule)))
            z[i], flags[i] = rounded(bits, int64(words[i - start]), target)
            nan |= bits & MAGNITUDE > INFINITY
    exchange(state)
    return nan
