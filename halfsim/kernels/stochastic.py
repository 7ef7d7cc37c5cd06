"""Vectorised loops of stochastic rounding to binary16, values and flags, in every environment.

A result is brought to binary64, exact or with the same 32 bits below its last place and the same stickiness, then to a
binary16 pattern with those 32 bits behind it: adding the random word carries into the pattern as often as it should.
Arrays, seed and index are as in `halfsim.kernels.elementwise`. Where the result is a NaN the core decides.
"""

from __future__ import annotations

import math

from numpy import float64, int64

from halfsim.core import arithmetic, convert, division
from halfsim.core._jit import inlined, kernel, scalar
from halfsim.core.control import Bit, has, random_bits
from halfsim.core.fields import F16, layout
from halfsim.core.philox import philox4x32
from halfsim.flags import Flags
from halfsim.formats import BINARY32, BINARY64
from halfsim.kernels.f16c import NEAREST, exchange, read
from halfsim.kernels.simd import bits64_of, float_of, from_binary32, is_nan, make_rule

__all__ = ["add", "binary32_to_binary16", "binary64_to_binary16", "divide", "fma", "multiply", "sqrt", "subtract"]

_B32 = layout(BINARY32)
_B64 = layout(BINARY64)
_DIVIDE_BY_ZERO = int(Flags.divideByZero)
_LOW = 0xFFFFFFFF
_MAGNITUDE = (1 << 63) - 1
_INFINITY = 0x7FF << 52
_FRACTION = (1 << 52) - 1
_SMALLEST = 1023 - 14  # biased exponent of the smallest normal binary16 number


@scalar
def _to_odd(a, b):
    """Return the binary64 pattern of a + b rounded to odd, as `simd.sum_to_odd` does in binary32."""
    total = a + b
    rest = total - a
    error = (a - (total - rest)) + (b - rest)
    bits = bits64_of(total)
    odd = (bits + ((bits64_of(error) ^ bits) >> 63)) | 1
    return odd if (error > 0.0) | (error < 0.0) else bits


@inlined
def _word(seed, index):
    """Return the random word of result element `index`: that of `draw` at step 0, without its branches."""
    words = philox4x32(index & _LOW, (index >> 32) & _LOW, 0, 0, seed & _LOW, (seed >> 32) & _LOW)
    return words[0]


@scalar
def _read(pattern, rule):
    """Return a binary64 pattern with subnormal numbers flushed if inputs are."""
    bits = int64(pattern)
    return bits if bits & _INFINITY != 0 or rule.subnormal != 0 else bits & ~_MAGNITUDE


@inlined
def _rounded(bits, word, control, flush):
    """Round a binary64 pattern by a random word: return (pattern, flags); a NaN stays one, with meaningless flags."""
    magnitude = bits & _MAGNITUDE
    exponent = magnitude >> 52
    below = max(_SMALLEST - exponent, 0)
    significand = (magnitude & _FRACTION) | (1 << 52) if exponent > 0 else magnitude
    # 42 bits below the leading one: ten of the pattern and 32 behind it.
    shift = min(10 + below, 63)
    kept = significand >> shift
    fixed = kept + ((exponent + below - _SMALLEST) << 42)
    inexact = (fixed & 0xFFFFFFFF != 0) | (kept << shift != significand)
    used = -1 << (32 - random_bits(control))
    random = word & used
    result = min(((fixed & used) + random) >> 32, 0x7C00)
    # The same with an unbounded exponent, of which the field goes below zero.
    unbounded = (magnitude >> 10) - ((_SMALLEST - 1) << 42)
    after = 0 if has(control, Bit.tininessBefore) else random
    tiny = (((unbounded & used) + after) >> 32 < 0x400) & (magnitude != 0)
    flushed = tiny & (flush != 0)
    result = 0 if flushed else result
    inexact = inexact | flushed
    over = (result == 0x7C00) & (magnitude < _INFINITY)
    flags = (1 if inexact | over else 0) | (2 if tiny & inexact else 0) | (4 if over else 0)
    flags = 0 if magnitude == _INFINITY else 2 if flushed & (flush == 2) else flags
    result = 0x7FFF if magnitude > _INFINITY else result
    return result | ((bits >> 48) & 0x8000), flags


@kernel
def add(a, b, z, flags, control, seed, index):
    """Binary16 sum; in binary64 it is exact."""
    rule = make_rule(control)
    nan = False
    state = exchange(NEAREST)
    for i in range(z.size):
        bits = bits64_of(float64(read(a[i], rule)) + float64(read(b[i], rule)))
        z[i], flags[i] = _rounded(bits, _word(seed, index + i), control, rule.flush)
        nan |= bits & _MAGNITUDE > _INFINITY
    exchange(state)
    if nan:
        for i in range(z.size):
            if is_nan(z[i]):
                z[i], flags[i] = arithmetic.add(int64(a[i]), int64(b[i]), F16, control, 0)


@kernel
def subtract(a, b, z, flags, control, seed, index):
    """Binary16 difference."""
    rule = make_rule(control)
    nan = False
    state = exchange(NEAREST)
    for i in range(z.size):
        bits = bits64_of(float64(read(a[i], rule)) - float64(read(b[i], rule)))
        z[i], flags[i] = _rounded(bits, _word(seed, index + i), control, rule.flush)
        nan |= bits & _MAGNITUDE > _INFINITY
    exchange(state)
    if nan:
        for i in range(z.size):
            if is_nan(z[i]):
                z[i], flags[i] = arithmetic.subtract(int64(a[i]), int64(b[i]), F16, control, 0)


@kernel
def multiply(a, b, z, flags, control, seed, index):
    """Binary16 product; exact."""
    rule = make_rule(control)
    nan = False
    state = exchange(NEAREST)
    for i in range(z.size):
        bits = bits64_of(float64(read(a[i], rule)) * float64(read(b[i], rule)))
        z[i], flags[i] = _rounded(bits, _word(seed, index + i), control, rule.flush)
        nan |= bits & _MAGNITUDE > _INFINITY
    exchange(state)
    if nan:
        for i in range(z.size):
            if is_nan(z[i]):
                z[i], flags[i] = arithmetic.multiply(int64(a[i]), int64(b[i]), F16, F16, control, 0)


@kernel
def divide(a, b, z, flags, control, seed, index):
    """Binary16 quotient.

    A quotient of 11-bit significands that does not have 43 bits lies more than half a unit in the last place of
    binary64 from every number that does, so rounding in binary64 never reaches one.
    """
    rule = make_rule(control)
    nan = False
    state = exchange(NEAREST)
    for i in range(z.size):
        y = float64(read(b[i], rule))
        bits = bits64_of(float64(read(a[i], rule)) / y)
        z[i], raised = _rounded(bits, _word(seed, index + i), control, rule.flush)
        by_zero = (y == 0) & (a[i] & 0x7FFF < F16.infinity)
        flags[i] = raised | (_DIVIDE_BY_ZERO if by_zero else 0)
        nan |= bits & _MAGNITUDE > _INFINITY
    exchange(state)
    if nan:
        for i in range(z.size):
            if is_nan(z[i]):
                z[i], flags[i] = division.divide(int64(a[i]), int64(b[i]), F16, control, 0)


@kernel
def sqrt(a, z, flags, control, seed, index):
    """Binary16 square root; in binary64 each of the 2048 significands keeps its leading 43 bits, as the tests show."""
    rule = make_rule(control)
    nan = False
    state = exchange(NEAREST)
    for i in range(z.size):
        bits = bits64_of(math.sqrt(float64(read(a[i], rule))))
        z[i], flags[i] = _rounded(bits, _word(seed, index + i), control, rule.flush)
        nan |= bits & _MAGNITUDE > _INFINITY
    exchange(state)
    if nan:
        for i in range(z.size):
            if is_nan(z[i]):
                z[i], flags[i] = division.sqrt(int64(a[i]), F16, control, 0)


@kernel
def fma(a, b, c, z, flags, control, seed, index):
    """Binary16 fused multiply-add: an exact product and one sum."""
    rule = make_rule(control)
    nan = False
    state = exchange(NEAREST)
    for i in range(z.size):
        bits = _to_odd(float64(read(a[i], rule)) * float64(read(b[i], rule)), float64(read(c[i], rule)))
        z[i], flags[i] = _rounded(bits, _word(seed, index + i), control, rule.flush)
        nan |= bits & _MAGNITUDE > _INFINITY
    exchange(state)
    if nan:
        for i in range(z.size):
            if is_nan(z[i]):
                z[i], flags[i] = arithmetic.fma(int64(a[i]), int64(b[i]), int64(c[i]), F16, F16, control, 0)


@kernel
def binary32_to_binary16(a, z, flags, control, seed, index):
    """Binary32 patterns, uint32, rounded to binary16."""
    rule = make_rule(control)
    nan = False
    state = exchange(NEAREST)
    for i in range(z.size):
        bits = bits64_of(float64(float_of(from_binary32(a[i], rule))))
        z[i], flags[i] = _rounded(bits, _word(seed, index + i), control, rule.flush)
        nan |= bits & _MAGNITUDE > _INFINITY
    exchange(state)
    if nan:
        for i in range(z.size):
            if is_nan(z[i]):
                z[i], flags[i] = convert.convert(int64(a[i]), _B32, F16, control, 0)


@kernel
def binary64_to_binary16(a, z, flags, control, seed, index):
    """Binary64 patterns, int64, rounded to binary16."""
    rule = make_rule(control)
    nan = False
    state = exchange(NEAREST)
    for i in range(z.size):
        bits = _read(a[i], rule)
        z[i], flags[i] = _rounded(bits, _word(seed, index + i), control, rule.flush)
        nan |= bits & _MAGNITUDE > _INFINITY
    exchange(state)
    if nan:
        for i in range(z.size):
            if is_nan(z[i]):
                z[i], flags[i] = convert.convert(int64(a[i]), _B64, F16, control, 0)
