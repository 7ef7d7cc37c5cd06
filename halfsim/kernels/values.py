"""The loops of `halfsim.kernels.fast` without flags, with shorter ways where rounding is to nearest or goes by F16C.

Binary32 has two bits more than twice binary16's 11, so that rounding a sum, product, quotient or root to nearest in
binary32 and then in binary16 is one rounding [@figueroa1995]. The arrays are as in `halfsim.kernels.fast`.
"""

from __future__ import annotations

import math

from numpy import float32, int32

from halfsim.core._jit import kernel
from halfsim.core.control import rounding_mode
from halfsim.kernels.f16c import (
    NEAREST,
    binary64_to_odd,
    direction,
    exchange,
    indirect,
    narrow_in,
    narrow_to_odd,
    widen,
)
from halfsim.kernels.simd import (
    INFINITY,
    bits_of,
    decode,
    float64_of,
    float_of,
    from_binary32,
    from_binary64,
    make_rule,
    nearest,
    nearest_only,
    rounded,
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
    "sqrt",
    "subtract",
]


@kernel
def add(a, b, z, control):
    """Binary16 sum."""
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    if indirect(control):
        to_odd = rounding_mode(control) == Rounding.roundToOdd
        for i in range(z.size):
            bits = sum_to_odd(widen(a[i]), widen(b[i]), rule)
            z[i] = narrow_in(bits, to_odd)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    elif nearest_only(control):
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
    if indirect(control):
        to_odd = rounding_mode(control) == Rounding.roundToOdd
        for i in range(z.size):
            bits = sum_to_odd(widen(a[i]), -widen(b[i]), rule)
            z[i] = narrow_in(bits, to_odd)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    elif nearest_only(control):
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
    if indirect(control):
        to_odd = rounding_mode(control) == Rounding.roundToOdd
        for i in range(z.size):
            bits = bits_of(widen(a[i]) * widen(b[i]))
            z[i] = narrow_in(bits, to_odd)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    elif nearest_only(control):
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
    if indirect(control):
        to_odd = rounding_mode(control) == Rounding.roundToOdd
        for i in range(z.size):
            bits = bits_of(widen(a[i]) / widen(b[i]))
            z[i] = narrow_in(bits, to_odd)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    elif nearest_only(control):
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
    if indirect(control):
        to_odd = rounding_mode(control) == Rounding.roundToOdd
        for i in range(z.size):
            bits = bits_of(math.sqrt(widen(a[i])))
            z[i] = narrow_in(bits, to_odd)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    elif nearest_only(control):
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
    if indirect(control):
        to_odd = rounding_mode(control) == Rounding.roundToOdd
        for i in range(z.size):
            bits = sum_to_odd(widen(a[i]) * widen(b[i]), widen(c[i]), rule)
            z[i] = narrow_in(bits, to_odd)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    elif nearest_only(control):
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
    converted = indirect(control)
    state = exchange(direction(control) if converted else NEAREST)
    if converted and rounding_mode(control) == Rounding.roundToOdd:
        for i in range(z.size):
            x = float_of(int32(a[i]))
            z[i] = narrow_to_odd(x, x)
            largest = max(largest, int32(bits_of(x) & 0x7FFFFFFF))
    elif converted:
        for i in range(z.size):
            bits = int32(a[i])
            z[i] = narrow_in(bits, False)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    elif nearest_only(control):
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
    converted = indirect(control)
    state = exchange(direction(control) if converted else NEAREST)
    if converted and rounding_mode(control) == Rounding.roundToOdd:
        for i in range(z.size):
            x = float32(float64_of(a[i]))
            z[i] = narrow_to_odd(x, float64_of(a[i]))
            largest = max(largest, int32(bits_of(x) & 0x7FFFFFFF))
    elif converted:
        for i in range(z.size):
            bits = binary64_to_odd(float64_of(a[i]))
            z[i] = narrow_in(bits, False)
            largest = max(largest, int32(bits & 0x7FFFFFFF))
    elif nearest_only(control):
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
    rule = make_rule(control)
    largest = int32(0)
    state = exchange(NEAREST)
    for i in range(z.size):
        bits = bits_of(decode(a[i], rule))
        z[i] = bits
        largest = max(largest, int32(bits & 0x7FFFFFFF))
    exchange(state)
    return largest > INFINITY
