"""The loops of `halfsim.kernels.values` on processors that convert binary16: as fast as memory.

They take the four directions that processors know, without flushing, and must not run where `f16c.available` is False.
Round to nearest in binary32 and then in binary16 is one rounding of a sum, product, quotient or root, because
binary32 has two bits more than twice binary16's 11 [@figueroa1995]; the other directions twice are one anyway.
"""

from __future__ import annotations

import math

from numpy import float32, int32

from halfsim.core._jit import kernel
from halfsim.core.control import rounding_mode
from halfsim.core.fields import layout
from halfsim.formats import BINARY32, BINARY64
from halfsim.kernels.f16c import (
    binary64_to_odd,
    direction,
    exchange,
    narrow,
    widen,
)
from halfsim.kernels.simd import (
    bits_of,
    float64_of,
    float_of,
    make_rule,
    sum_to_odd,
)
from halfsim.rounding import Rounding

__all__ = [
    "add",
    "binary16_to_binary32",
    "binary32_to_binary16",
    "binary64_to_binary16",
    "divide",
    "fma",
    "multiply",
    "round_to_integral",
    "sqrt",
    "subtract",
]

_B32 = layout(BINARY32)
_B64 = layout(BINARY64)
_INTEGERS = 0x4B000000
"""Binary32 pattern of 2**23."""


@kernel
def add(a, b, z, control):
    """Binary16 sum."""
    nan = False
    state = exchange(direction(control))
    for i in range(z.size):
        x = widen(a[i]) + widen(b[i])
        z[i] = narrow(x)
        nan |= x != x
    exchange(state)
    return nan


@kernel
def subtract(a, b, z, control):
    """Binary16 difference."""
    nan = False
    state = exchange(direction(control))
    for i in range(z.size):
        x = widen(a[i]) - widen(b[i])
        z[i] = narrow(x)
        nan |= x != x
    exchange(state)
    return nan


@kernel
def multiply(a, b, z, control):
    """Binary16 product."""
    nan = False
    state = exchange(direction(control))
    for i in range(z.size):
        x = widen(a[i]) * widen(b[i])
        z[i] = narrow(x)
        nan |= x != x
    exchange(state)
    return nan


@kernel
def divide(a, b, z, control):
    """Binary16 quotient."""
    nan = False
    state = exchange(direction(control))
    for i in range(z.size):
        x = widen(a[i]) / widen(b[i])
        z[i] = narrow(x)
        nan |= x != x
    exchange(state)
    return nan


@kernel
def sqrt(a, z, control):
    """Binary16 square root."""
    nan = False
    state = exchange(direction(control))
    for i in range(z.size):
        x = math.sqrt(widen(a[i]))
        z[i] = narrow(x)
        nan |= x != x
    exchange(state)
    return nan


@kernel
def fma(a, b, c, z, control):
    """Binary16 fused multiply-add; a plain binary32 sum would round twice, also to nearest."""
    rule = make_rule(control)
    nan = False
    state = exchange(direction(control))
    if rounding_mode(control) == Rounding.roundTiesToEven:
        for i in range(z.size):
            x = float_of(sum_to_odd(widen(a[i]) * widen(b[i]), widen(c[i]), rule))
            z[i] = narrow(x)
            nan |= x != x
    else:
        for i in range(z.size):
            x = widen(a[i]) * widen(b[i]) + widen(c[i])
            z[i] = narrow(x)
            nan |= x != x
    exchange(state)
    return nan


@kernel
def round_to_integral(a, z, control):
    """Binary16 integral value."""
    nan = False
    state = exchange(direction(control))
    for i in range(z.size):
        x = widen(a[i])
        sign = int32(bits_of(x) & -0x80000000)
        # From here to its double, binary32 has the integers alone.
        far = float_of(int32(sign | _INTEGERS))
        # The zeros that are left have any sign.
        z[i] = narrow(float_of(int32(bits_of(x + far - far) & 0x7FFFFFFF | sign)))
        nan |= x != x
    exchange(state)
    return nan


@kernel
def binary32_to_binary16(a, z, control):
    """Binary32 patterns, uint32, rounded to binary16."""
    nan = False
    state = exchange(direction(control))
    for i in range(z.size):
        x = float_of(int32(a[i]))
        z[i] = narrow(x)
        nan |= x != x
    exchange(state)
    return nan


@kernel
def binary64_to_binary16(a, z, control):
    """Binary64 patterns, int64, rounded to binary16."""
    nan = False
    state = exchange(direction(control))
    if rounding_mode(control) == Rounding.roundTiesToEven:
        for i in range(z.size):
            x = float_of(binary64_to_odd(float64_of(a[i])))
            z[i] = narrow(x)
            nan |= x != x
    else:
        for i in range(z.size):
            x = float32(float64_of(a[i]))
            z[i] = narrow(x)
            nan |= x != x
    exchange(state)
    return nan


@kernel
def binary16_to_binary32(a, z, control):
    """Binary32 patterns, uint32, of binary16 numbers: exact."""
    nan = False
    for i in range(z.size):
        x = widen(a[i])
        z[i] = bits_of(x)
        nan |= x != x
    return nan
