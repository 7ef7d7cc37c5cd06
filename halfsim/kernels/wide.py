"""Vectorised loops from binary32, binary64 and 64-bit integers to formats of up to 24 bits, in any rounding.

They are `convert` and `from_integer` of `halfsim.kernels.elementwise`, with the same arguments; infinities, NaNs and
integers from 2**63 on are the core's. The formats lie well inside binary64's range.
"""

from __future__ import annotations

from numpy import float32, float64, int32, int64

from halfsim.core import convert
from halfsim.core._jit import kernel, scalar
from halfsim.core.control import Bit, has
from halfsim.core.philox import draw, first_word
from halfsim.kernels.f16c import NEAREST, direction, exchange
from halfsim.kernels.fixed import INFINITY, MAGNITUDE, make_rule, rounded, sum_to_odd
from halfsim.kernels.simd import bits64_of, bits_of, float64_of, float_of

__all__ = ["binary64_to_binary32", "from_binary32", "from_binary64", "from_int64"]

_INFINITY32 = 0x7F800000
_TOP = -(1 << 63)


@scalar
def _widened(pattern, flush):
    """Return the binary64 pattern of a binary32 one; subnormal numbers become zeros if asked."""
    bits = int32(pattern)
    kept = int32(bits & -0x80000000) if flush & (bits & _INFINITY32 == 0) else bits
    return bits64_of(float64(float_of(kept)))


@scalar
def _read(pattern, flush):
    """Return a binary64 pattern; of subnormal numbers a zero's if asked."""
    return pattern & ~MAGNITUDE if flush & (pattern & INFINITY == 0) else pattern


@scalar
def _as_binary64(value):
    """Return the binary64 pattern of an integer but -2**63, rounded to odd."""
    magnitude = abs(value)
    return sum_to_odd(float64(magnitude & ~0x7FF), float64(magnitude & 0x7FF)) | (value & ~MAGNITUDE)


@kernel
def from_binary32(a, z, flags, control, seed, index, fields, to):
    """Binary32 patterns, uint32."""
    rule = make_rule(control, to)
    flush = has(control, Bit.flushInputs)
    special = False
    state = exchange(NEAREST)
    if rule.random != 0:
        for i in range(z.size):
            z[i], flags[i] = rounded(_widened(a[i], flush), first_word(seed, index + i), rule)
            special |= int64(a[i]) & 0x7FFFFFFF >= _INFINITY32
    else:
        for i in range(z.size):
            z[i], flags[i] = rounded(_widened(a[i], flush), 0, rule)
            special |= int64(a[i]) & 0x7FFFFFFF >= _INFINITY32
    exchange(state)
    if special:
        for i in range(z.size):
            if int64(a[i]) & 0x7FFFFFFF >= _INFINITY32:
                z[i], flags[i] = convert.convert(int64(a[i]), fields, to, control, 0)


@kernel
def from_binary64(a, z, flags, control, seed, index, fields, to):
    """Binary64 patterns, int64."""
    rule = make_rule(control, to)
    flush = has(control, Bit.flushInputs)
    special = False
    state = exchange(NEAREST)
    if rule.random != 0:
        for i in range(z.size):
            z[i], flags[i] = rounded(_read(a[i], flush), first_word(seed, index + i), rule)
            special |= a[i] & MAGNITUDE >= INFINITY
    else:
        for i in range(z.size):
            z[i], flags[i] = rounded(_read(a[i], flush), 0, rule)
            special |= a[i] & MAGNITUDE >= INFINITY
    exchange(state)
    if special:
        for i in range(z.size):
            if a[i] & MAGNITUDE >= INFINITY:
                z[i], flags[i] = convert.convert(a[i], fields, to, control, 0)


@kernel
def binary64_to_binary32(a, z, control):
    """Binary64 patterns, int64, rounded by the processor where it is `directed`; return whether there are NaNs."""
    nan = 0
    state = exchange(direction(control))
    for i in range(z.size):
        number = float64_of(a[i])
        z[i] = bits_of(float32(number))
        nan |= number != number
    exchange(state)
    return nan != 0


@scalar
def _beyond(value, unsigned):
    """Whether the core must decide: the magnitude is 2**63 or more."""
    return (value == _TOP) | ((value < 0) & unsigned)


@kernel
def from_int64(a, z, flags, control, seed, index, signed, to):
    """Integers of up to 64 bits; unsigned ones of 64 bits as int64, in two's complement."""
    rule = make_rule(control, to)
    unsigned = signed == 0
    special = False
    state = exchange(NEAREST)
    if rule.random != 0:
        for i in range(z.size):
            z[i], flags[i] = rounded(_as_binary64(int64(a[i])), first_word(seed, index + i), rule)
            special |= _beyond(int64(a[i]), unsigned)
    else:
        for i in range(z.size):
            z[i], flags[i] = rounded(_as_binary64(int64(a[i])), 0, rule)
            special |= _beyond(int64(a[i]), unsigned)
    exchange(state)
    if special:
        for i in range(z.size):
            if _beyond(int64(a[i]), unsigned):
                random = draw(control, seed, index + i, 0)
                z[i], flags[i] = convert.from_integer(int64(a[i]), signed, to, control, random)
