"""Rounding binary32 numbers to formats that binary32 contains, where they lie, in 32-bit lanes.

The patterns are binary32's before and after. Every deterministic rounding and every environment is known; NaNs are left
to the core. What is added below the last bit that a format keeps carries into the exponent, which is what a carry
means. Below the format's smallest normal number the units of its last place are counted, or, to nearest, are those of
a power of two that is added and taken away.
"""

from __future__ import annotations

from math import ldexp
from typing import Any

from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy import float32, int32

from halfsim.core._jit import kernel, scalar
from halfsim.core.fields import larger
from halfsim.kernels.f16c import binary64_to_odd
from halfsim.kernels.narrowing_rule import SMALLEST, Rule
from halfsim.kernels.simd import INFINITY, bits_of, float64_of, float_of, less, shift_right

__all__ = ["round_binary32", "round_binary64_to_odd", "round_flagged"]

_EXPONENT = 0x7F800000
_SMALLEST64 = ldexp(1.0, -1022)


_FIELDS = len(Rule._fields)


@scalar
def _cut(value, sign, rule):
    """Round an integer to its kept bits: return (magnitude, whether it is exact)."""
    last = int32(shift_right(value, rule.shift) & rule.even)
    away = int32(rule.away ^ int32(rule.away_flip & sign))
    result = int32(int32(int32(value + away) + last) & rule.mask)
    inexact = int32(value & ~rule.mask) != 0
    return int32(result | rule.odd) if inexact else result, inexact


@scalar
def _finished(result, inexact, magnitude, sign, rule):
    """Return (pattern, flags) of a rounded magnitude, or what stands for one that is too large or too small."""
    finite = less(magnitude, INFINITY)
    over = less(rule.largest, result) & finite
    near = int32(magnitude + int32(rule.tiny ^ int32(rule.tiny_flip & sign)))
    flushed = less(near, rule.flushed)
    result = int32(rule.over ^ int32(rule.over_flip & sign)) if over else result
    result = int32(0) if flushed else result
    result = result if finite else rule.infinite
    flushed = flushed & (magnitude != 0)
    inexact = inexact | flushed | over
    underflow = less(near, rule.normal) & inexact
    flags = int32(inexact) | (2 if underflow else 0) | (4 if over else 0)
    flags = int32(2) if flushed & (rule.alone != 0) else flags
    return int32(result | (sign & -0x80000000)), flags if finite else rule.invalid


@scalar
def _shared(bits, rule):
    """Round where subnormal numbers are those of binary32: return (pattern, flags)."""
    magnitude, sign = int32(bits & 0x7FFFFFFF), shift_right(bits, 31)
    small = magnitude if rule.small != 0 else int32(0)
    magnitude = small if less(magnitude, SMALLEST) else magnitude
    result, inexact = _cut(magnitude, sign, rule)
    return _finished(result, inexact, magnitude, sign, rule)


@scalar
def _shared_nearest(bits, rule):
    """Return the pattern without flushing, where signs round alike and infinity is beyond the largest number."""
    last = int32(shift_right(bits, rule.shift) & rule.even)
    return int32(int32(int32(bits + rule.away) + last) & rule.mask)


@scalar
def _own(bits, rule):
    """Round where a format has subnormal numbers that binary32 has as normal ones: return (pattern, flags)."""
    magnitude, sign = int32(bits & 0x7FFFFFFF), shift_right(bits, 31)
    small = rule.small if magnitude != 0 else int32(0)
    magnitude = small if less(magnitude, SMALLEST) else magnitude
    below = less(magnitude, rule.first)
    scaled = float_of(magnitude if below else int32(0)) * float_of(rule.up)
    whole = int32(scaled)
    units = int32(whole | (float32(whole) != scaled))
    result, inexact = _cut(units if below else magnitude, sign, rule)
    result = bits_of(float32(result) * float_of(rule.down)) if below else result
    return _finished(result, inexact, magnitude, sign, rule)


@scalar
def _own_nearest(bits, rule):
    """Return the pattern to nearest without flushing."""
    magnitude = int32(bits & 0x7FFFFFFF)
    magnitude = magnitude if less(magnitude, rule.top) else rule.top
    binade = int32(magnitude & _EXPONENT)
    binade = rule.first if less(binade, rule.first) else binade
    # Has the format's last place for its own.
    power = float_of(int32(binade + (rule.shift << 23)))
    result = bits_of((float_of(magnitude) + power) - power)
    result = rule.over if less(rule.largest, result) else result
    return int32(result | (bits & -0x80000000))


def round_binary32(a: Any, z: Any, words: Any) -> Any:
    """Round binary32 patterns, uint32: return whether there are NaNs, whose results mean nothing."""
    return _VALUES[words.item(0)](a, z, words)


def round_flagged(a: Any, z: Any, flags: Any, words: Any) -> Any:
    """Do the same, and write the flags."""
    return _FLAGGED[words.item(0) & 1](a, z, flags, words)


# A loop for each way: the code of the others is not compiled.
@kernel
def _values_shared(a, z, words):
    rule, largest = Rule(*to_fixed_tuple(words, _FIELDS)), int32(0)
    for i in range(z.size):
        bits = int32(a[i])
        z[i], _ = _shared(bits, rule)
        largest = larger(largest, int32(bits & 0x7FFFFFFF))
    return largest > INFINITY


@kernel
def _values_own(a, z, words):
    rule, largest = Rule(*to_fixed_tuple(words, _FIELDS)), int32(0)
    for i in range(z.size):
        bits = int32(a[i])
        z[i], _ = _own(bits, rule)
        largest = larger(largest, int32(bits & 0x7FFFFFFF))
    return largest > INFINITY


@kernel
def _values_shared_nearest(a, z, words):
    rule, largest = Rule(*to_fixed_tuple(words, _FIELDS)), int32(0)
    for i in range(z.size):
        bits = int32(a[i])
        z[i] = _shared_nearest(bits, rule)
        largest = larger(largest, int32(bits & 0x7FFFFFFF))
    return largest > INFINITY


@kernel
def _values_own_nearest(a, z, words):
    rule, largest = Rule(*to_fixed_tuple(words, _FIELDS)), int32(0)
    for i in range(z.size):
        bits = int32(a[i])
        z[i] = _own_nearest(bits, rule)
        largest = larger(largest, int32(bits & 0x7FFFFFFF))
    return largest > INFINITY


@kernel
def _flagged_shared(a, z, flags, words):
    rule, largest = Rule(*to_fixed_tuple(words, _FIELDS)), int32(0)
    for i in range(z.size):
        bits = int32(a[i])
        z[i], flags[i] = _shared(bits, rule)
        largest = larger(largest, int32(bits & 0x7FFFFFFF))
    return largest > INFINITY


@kernel
def _flagged_own(a, z, flags, words):
    rule, largest = Rule(*to_fixed_tuple(words, _FIELDS)), int32(0)
    for i in range(z.size):
        bits = int32(a[i])
        z[i], flags[i] = _own(bits, rule)
        largest = larger(largest, int32(bits & 0x7FFFFFFF))
    return largest > INFINITY


_VALUES = _values_shared, _values_own, _values_shared_nearest, _values_own_nearest
_FLAGGED = _flagged_shared, _flagged_own


@kernel
def round_binary64_to_odd(a, z, flush):
    """Round binary64 patterns, int64, to odd in binary32, from which `round_binary32` then rounds once.

    A magnitude too small for binary32 becomes its smallest, one too large its largest; infinities and NaNs stay.
    """
    limit = _SMALLEST64 if flush else 0.0
    for i in range(z.size):
        number = float64_of(a[i])
        z[i] = binary64_to_odd(number * 0.0 if abs(number) < limit else number)
