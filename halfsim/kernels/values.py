"""The loops of `halfsim.kernels.fast` without flags, with a shorter way where rounding is to nearest.

Binary32 has two bits more than twice binary16's 11, so that rounding a sum, product, quotient or root to nearest in
binary32 and then in binary16 is one rounding [@figueroa1995]. The arrays are as in `halfsim.kernels.fast`.
"""

from __future__ import annotations

import math

from numpy import int32

from halfsim.core._jit import kernel
from halfsim.core.fields import larger
from halfsim.kernels.f16c import NEAREST, exchange, make_reading
from halfsim.kernels.simd import (
    INFINITY,
    bits_of,
    decode,
    from_binary32,
    from_binary64,
    make_rule,
    nearest,
    nearest_only,
    rounded,
    sum_to_odd,
)

__all__ = [
    "add",
    "binary16_to_binary32",
    "binary32_to_binary16",
    "binary64_to_binary16",
    "divide",
    "fma",
    "multiply",
    "sqrt",
    "subtract",
]


@kernel
def add(a, b, z, control):
    """Binary16 sum."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    if nearest_only(control):
        for i in range(z.size):
            z[i], largest = nearest(bits_of(decode(a[i], rule) + decode(b[i], rule)), largest)
    else:
        for i in range(z.size):
            z[i], _, largest = rounded(sum_to_odd(decode(a[i], rule), decode(b[i], rule), rule), rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def subtract(a, b, z, control):
    """Binary16 difference."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    if nearest_only(control):
        for i in range(z.size):
            z[i], largest = nearest(bits_of(decode(a[i], rule) - decode(b[i], rule)), largest)
    else:
        for i in range(z.size):
            z[i], _, largest = rounded(sum_to_odd(decode(a[i], rule), -decode(b[i], rule), rule), rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def multiply(a, b, z, control):
    """Binary16 product."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    if nearest_only(control):
        for i in range(z.size):
            z[i], largest = nearest(bits_of(decode(a[i], rule) * decode(b[i], rule)), largest)
    else:
        for i in range(z.size):
            z[i], _, largest = rounded(bits_of(decode(a[i], rule) * decode(b[i], rule)), rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def divide(a, b, z, control):
    """Binary16 quotient."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    if nearest_only(control):
        for i in range(z.size):
            z[i], largest = nearest(bits_of(decode(a[i], rule) / decode(b[i], rule)), largest)
    else:
        for i in range(z.size):
            z[i], _, largest = rounded(bits_of(decode(a[i], rule) / decode(b[i], rule)), rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def sqrt(a, z, control):
    """Binary16 square root."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    if nearest_only(control):
        for i in range(z.size):
            z[i], largest = nearest(bits_of(math.sqrt(decode(a[i], rule))), largest)
    else:
        for i in range(z.size):
            z[i], _, largest = rounded(bits_of(math.sqrt(decode(a[i], rule))), rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def fma(a, b, c, z, control):
    """Binary16 fused multiply-add; a plain binary32 sum would round twice, also to nearest."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    if nearest_only(control):
        for i in range(z.size):
            z[i], largest = nearest(
                sum_to_odd(decode(a[i], rule) * decode(b[i], rule), decode(c[i], rule), rule), largest
            )
    else:
        for i in range(z.size):
            z[i], _, largest = rounded(
                sum_to_odd(decode(a[i], rule) * decode(b[i], rule), decode(c[i], rule), rule), rule, largest
            )
    exchange(state)
    return largest > INFINITY


@kernel
def binary32_to_binary16(a, z, control):
    """Binary32 patterns, uint32, rounded to binary16."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    if nearest_only(control):
        for i in range(z.size):
            z[i], largest = nearest(from_binary32(a[i], rule), largest)
    else:
        for i in range(z.size):
            z[i], _, largest = rounded(from_binary32(a[i], rule), rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def binary64_to_binary16(a, z, control):
    """Binary64 patterns, int64, rounded to binary16."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    if nearest_only(control):
        for i in range(z.size):
            z[i], largest = nearest(from_binary64(a[i], rule), largest)
    else:
        for i in range(z.size):
            z[i], _, largest = rounded(from_binary64(a[i], rule), rule, largest)
    exchange(state)
    return largest > INFINITY


@kernel
def binary16_to_binary32(a, z, control):
    """Binary32 patterns, uint32, of binary16 numbers: exact."""
    rule = make_reading(control)
    largest = int32(0)
    state = exchange(NEAREST)
    for i in range(z.size):
        bits = bits_of(decode(a[i], rule))
        z[i] = bits
        largest = larger(largest, int32(bits & 0x7FFFFFFF))
    exchange(state)
    return largest > INFINITY
