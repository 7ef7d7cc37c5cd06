"""The loops of `halfsim.kernels.values` on processors that convert binary16: as fast as memory.

They take the four directions that processors know, without flushing, and must not run where `f16c.available` is False.
Round to nearest in binary32 and then in binary16 is one rounding of a sum, product, quotient or root, because
binary32 has two bits more than twice binary16's 11 [@figueroa1995]; the other directions twice are one anyway.
"""

from __future__ import annotations

import math

from numpy import float32, int32

from halfsim.core._jit import kernel, scalar
from halfsim.core.control import rounding_mode
from halfsim.kernels.f16c import (
    binary64_to_odd,
    direction,
    exchange,
    narrow,
    whole,
    widen,
)
from halfsim.kernels.simd import (
    INFINITY,
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


@scalar
def _reach(largest, number):
    """Return the larger of a magnitude and that of a number, binary32 patterns; a NaN's is above all others."""
    # In full lanes; whether a number is one would be packed to bits first.
    return max(largest, int32(bits_of(number) & 0x7FFFFFFF))


@kernel
def add(a, b, z, control):
    """Binary16 sum."""
    largest = int32(0)
    state = exchange(direction(control))
    for i in range(z.size):
        x = widen(a[i]) + widen(b[i])
        z[i] = narrow(x)
        largest = _reach(largest, x)
    exchange(state)
    return largest > INFINITY


@kernel
def subtract(a, b, z, control):
    """Binary16 difference."""
    largest = int32(0)
    state = exchange(direction(control))
    for i in range(z.size):
        x = widen(a[i]) - widen(b[i])
        z[i] = narrow(x)
        largest = _reach(largest, x)
    exchange(state)
    return largest > INFINITY


@kernel
def multiply(a, b, z, control):
    """Binary16 product."""
    largest = int32(0)
    state = exchange(direction(control))
    for i in range(z.size):
        x = widen(a[i]) * widen(b[i])
        z[i] = narrow(x)
        largest = _reach(largest, x)
    exchange(state)
    return largest > INFINITY


@kernel
def divide(a, b, z, control):
    """Binary16 quotient."""
    largest = int32(0)
    state = exchange(direction(control))
    for i in range(z.size):
        x = widen(a[i]) / widen(b[i])
        z[i] = narrow(x)
        largest = _reach(largest, x)
    exchange(state)
    return largest > INFINITY


@kernel
def sqrt(a, z, control):
    """Binary16 square root."""
    largest = int32(0)
    state = exchange(direction(control))
    for i in range(z.size):
        x = math.sqrt(widen(a[i]))
        z[i] = narrow(x)
        largest = _reach(largest, x)
    exchange(state)
    return largest > INFINITY


@kernel
def fma(a, b, c, z, control):
    """Binary16 fused multiply-add; a plain binary32 sum would round twice, also to nearest."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(direction(control))
    if rounding_mode(control) == Rounding.roundTiesToEven:
        for i in range(z.size):
            x = float_of(sum_to_odd(widen(a[i]) * widen(b[i]), widen(c[i]), rule))
            z[i] = narrow(x)
            largest = _reach(largest, x)
    else:
        for i in range(z.size):
            x = widen(a[i]) * widen(b[i]) + widen(c[i])
            z[i] = narrow(x)
            largest = _reach(largest, x)
    exchange(state)
    return largest > INFINITY


@kernel
def round_to_integral(a, z, control):
    """Binary16 integral value."""
    largest = int32(0)
    state = exchange(direction(control))
    for i in range(z.size):
        x = widen(a[i])
        # A zero has the sign already; without this, compilers round in binary16, which takes a call.
        sign = int32(bits_of(x) & -0x80000000)
        z[i] = narrow(float_of(int32(bits_of(whole(x)) | sign)))
        largest = _reach(largest, x)
    exchange(state)
    return largest > INFINITY


@kernel
def binary32_to_binary16(a, z, control):
    """Binary32 patterns, uint32, rounded to binary16."""
    largest = int32(0)
    state = exchange(direction(control))
    for i in range(z.size):
        x = float_of(int32(a[i]))
        z[i] = narrow(x)
        largest = _reach(largest, x)
    exchange(state)
    return largest > INFINITY


@kernel
def binary64_to_binary16(a, z, control):
    """Binary64 patterns, int64, rounded to binary16."""
    largest = int32(0)
    state = exchange(direction(control))
    if rounding_mode(control) == Rounding.roundTiesToEven:
        for i in range(z.size):
            x = float_of(binary64_to_odd(float64_of(a[i])))
            z[i] = narrow(x)
            largest = _reach(largest, x)
    else:
        for i in range(z.size):
            x = float32(float64_of(a[i]))
            z[i] = narrow(x)
            largest = _reach(largest, x)
    exchange(state)
    return largest > INFINITY


@kernel
def binary16_to_binary32(a, z, control):
    """Binary32 patterns, uint32, of binary16 numbers: exact."""
    largest = int32(0)
    for i in range(z.size):
        x = widen(a[i])
        z[i] = bits_of(x)
        largest = _reach(largest, x)
    return largest > INFINITY
