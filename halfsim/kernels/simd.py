"""Branch-free binary16 arithmetic in 32-bit registers, in a form that compilers turn into vector instructions.

A binary16 value is decoded to binary32, where products are exact and sums, quotients and roots can be kept rounded to
odd or as good; one integer step then rounds in any direction. Every binary32 number met is zero or normal, so the
processor's denormals-are-zero and flush-to-zero switches change nothing; its rounding must be to nearest,
as `halfsim.core._guard` sees to on x86-64.

Numba widens integer arithmetic to 64 bits, which halves the lanes of a vector. Sums and logical operations narrow again
when an `int32` follows; right shifts and comparisons need the typed `shift_right` and `less`.
"""

from __future__ import annotations

from math import ldexp
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy import float32, int32, int64

from halfsim.core._jit import scalar
from halfsim.core.control import Bit, has, rounding_mode
from halfsim.core.fields import F16, larger, smaller
from halfsim.rounding import Rounding

__all__ = [
    "FIRST_OVER",
    "INFINITY",
    "SMALLEST",
    "Rule",
    "bits_of",
    "carries",
    "decode",
    "float_of",
    "from_binary32",
    "from_binary64",
    "is_nan",
    "make_rule",
    "nearest",
    "nearest_only",
    "rounded",
    "sum_to_odd",
]

INFINITY = 0x7F800000
"""binary32 pattern of infinity; a larger magnitude is a NaN."""
SMALLEST = 0x38800000
"""of 2**-14, the smallest normal binary16 number,"""
FIRST_OVER = 0x47800000
"""and of 2**16, the first binade above binary16."""
_REBIAS = 112 << 23
_HUGE = (0x7BFF << 13) | 0x1FFF
_TINY = 0x00800000  # smallest normal binary32 number: rounds as anything smaller does
_DECODE_SCALE = float32(ldexp(1.0, -112))
_SUBNORMAL_ULP = float32(ldexp(1.0, -24))
_TO_FIXED = float32(ldexp(1.0, 37))
_HALF = float32(0.5)
_ZERO = float32(0.0)


@intrinsic
def bits_of(typingctx, value):
    """Reinterpret a binary32 number as its pattern, int32."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), codegen


@intrinsic
def float_of(typingctx, bits):
    """Reinterpret an int32 pattern as a binary32 number."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


@intrinsic
def float64_of(typingctx, bits):
    """Reinterpret an int64 pattern as a binary64 number."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def bits64_of(typingctx, value):
    """Reinterpret a binary64 number as its pattern, int64."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic
def shift_right(typingctx, value, count):
    """Arithmetic right shift in 32 bits."""

    def codegen(context, builder, signature, args):
        return builder.ashr(args[0], args[1])

    return types.int32(types.int32, types.int32), codegen


@intrinsic
def less(typingctx, a, b):
    """Signed comparison in 32 bits."""

    def codegen(context, builder, signature, args):
        return builder.icmp_signed("<", args[0], args[1])

    return types.boolean(types.int32, types.int32), codegen


class Rule(NamedTuple):
    """What a control word means for these loops; `flip` members change a value for negative results."""

    away: int
    """Added below the last kept bit: the part of an ulp, in units of 2**-13, that turns into a carry."""
    away_flip: int
    even: int
    """1 if ties go to even: the last kept bit is added too."""
    odd: int
    """1 if an inexact result gets its last bit set."""
    tiny: int
    """Added to a magnitude before it is compared with the smallest normal number."""
    tiny_flip: int
    zero: int
    """Sign bit that an exactly zero sum of unlike signs gets."""
    subnormal: float
    """Weight of the last bit of a subnormal operand; 0 when inputs are flushed."""
    flush: int
    """1 if tiny results become zero, 2 if they then raise underflow alone."""


@scalar
def carries(control):
    """Return (away, away of negative results, even) of a `Rule`, from a control word with a deterministic rounding."""
    mode = rounding_mode(control)
    half = 0xFFF if mode == Rounding.roundTiesToEven else 0x1000 if mode == Rounding.roundTiesToAway else 0
    positive = 0x1FFF if mode == Rounding.roundTowardPositive else half
    negative = 0x1FFF if mode == Rounding.roundTowardNegative else half
    return int32(positive), int32(negative), int32(mode == Rounding.roundTiesToEven)


@scalar
def make_rule(control):
    """Read a control word with a deterministic rounding."""
    positive, negative, even = carries(control)
    mode = rounding_mode(control)
    before = has(control, Bit.tininessBefore)
    flip = int32(positive ^ negative)
    return Rule(
        positive,
        flip,
        even,
        int32(mode == Rounding.roundToOdd),
        # Just below the smallest normal number the last kept bit is 1.
        int32(0) if before else int32(positive + even),
        int32(0) if before else flip,
        int32(-0x80000000 if mode == Rounding.roundTowardNegative else 0),
        _ZERO if has(control, Bit.flushInputs) else _SUBNORMAL_ULP,
        int32((1 if has(control, Bit.flushInexact) else 2) if has(control, Bit.flushResults) else 0),
    )


@scalar
def nearest_only(control):
    """Whether `nearest` is all the rounding that a control word asks for."""
    return rounding_mode(control) == Rounding.roundTiesToEven and not has(control, Bit.flushResults)


@scalar
def is_nan(pattern):
    """Whether a binary16 pattern is a NaN."""
    return pattern & 0x7FFF > F16.infinity


@scalar
def decode(pattern, rule):
    """Return the binary32 number of a binary16 pattern."""
    bits = int32(pattern)
    magnitude = int32(bits & 0x7FFF)
    # Exponent 31 lands on 255, so infinity and NaN survive the product.
    normal = float_of(int32((magnitude << 13) | (224 << 23))) * _DECODE_SCALE
    value = float32(magnitude) * rule.subnormal if less(magnitude, 0x400) else normal
    return float_of(int32(bits_of(value) | ((bits & 0x8000) << 16)))


@scalar
def nearest(bits, largest):
    """Round a binary32 pattern to binary16 with ties to even: return (pattern, largest).

    `largest` becomes the larger of itself and the magnitude, still binary32; above `INFINITY` some result is a NaN.
    """
    magnitude = int32(bits & 0x7FFFFFFF)
    normal = int32(magnitude + int32(0xFFF + (shift_right(magnitude, 13) & 1)))
    normal = int32(shift_right(normal, 13) - (112 << 10))
    # One half has the ulp of binary16's subnormals.
    subnormal = int32(bits_of(float_of(magnitude) + _HALF) - 0x3F000000)
    result = subnormal if less(magnitude, SMALLEST) else normal
    result = int32(0x7C00) if less(0x7C00, result) else result
    result = int32(0x7FFF) if less(INFINITY, magnitude) else result
    return int32(result | (shift_right(bits, 16) & 0x8000)), larger(largest, magnitude)


@scalar
def _fixed_point(magnitude):
    """Return a magnitude as a binary16 pattern with 13 more bits, the last of them sticky."""
    below = less(magnitude, SMALLEST)
    scaled = float_of(magnitude if below else int32(SMALLEST)) * _TO_FIXED
    whole = int32(scaled)
    subnormal = int32(whole | (float32(whole) != scaled))
    # Infinity and NaN keep the all-ones exponent; finite numbers stop just below it.
    normal = int32((magnitude if less(magnitude, FIRST_OVER) else int32(FIRST_OVER - 1)) - _REBIAS)
    normal = normal if less(magnitude, INFINITY) else int32(magnitude - (INFINITY - (0x7C00 << 13)))
    return subnormal if below else normal


@scalar
def rounded(bits, rule, largest):
    """Round a binary32 pattern, exact or rounded to odd, to binary16: return (pattern, flags, largest).

    A quiet NaN stays a NaN, with meaningless flags; `largest` tells, as in `nearest`.
    """
    magnitude = int32(bits & 0x7FFFFFFF)
    sign = shift_right(bits, 31)
    fixed = _fixed_point(magnitude)
    away = int32(rule.away ^ int32(rule.away_flip & sign))
    last = int32(shift_right(fixed, 13) & rule.even)
    result = shift_right(int32(int32(fixed + away) + last), 13)
    inexact = int32(fixed & 0x1FFF) != 0
    result = int32(result | rule.odd) if inexact else result
    tiny = less(int32(magnitude + int32(rule.tiny ^ int32(rule.tiny_flip & sign))), SMALLEST)
    flushed = tiny & (rule.flush != 0) & (magnitude != 0)
    result = int32(0) if flushed else result
    inexact = inexact | flushed
    over = (less(0x7BFF, result) | less(FIRST_OVER - 1, magnitude)) & less(magnitude, INFINITY)
    flags = int32(inexact) | (2 if tiny & inexact else 0) | (4 if over else 0)
    flags = int32(2) if flushed & (rule.flush == 2) else flags
    return int32(result | (shift_right(bits, 16) & 0x8000)), flags, larger(largest, magnitude)


@scalar
def sum_to_odd(a, b, rule):
    """Return the binary32 pattern of a + b rounded to odd: inexact sums have their last bit set.

    Rounding to odd with 24 bits and then to 11 in any direction is one rounding [@boldo2008]. The error
    of the sum is Knuth's, free of branches [@knuth1997]; of an infinite sum it is a NaN, which compares as exact.
    """
    total = a + b
    rest = total - a
    error = (a - (total - rest)) + (b - rest)
    bits = bits_of(total)
    inexact = (error > _ZERO) | (error < _ZERO)
    # An error against the sign of the sum: the exact magnitude lies below.
    below = shift_right(int32(bits_of(error) ^ bits), 31)
    odd = int32(int32(bits + below) | 1) if inexact else bits
    # An exactly zero sum of unlike signs is negative only when rounding down (IEEE 754-2019 §6.3).
    sign = int32(int32(bits_of(a) | bits_of(b)) & rule.zero)
    return int32(odd | sign) if total == _ZERO else odd


@scalar
def from_binary32(pattern, rule):
    """Return a binary32 pattern made safe: subnormals become tiny normals (or zeros), NaNs quiet."""
    bits = int32(pattern)
    magnitude = int32(bits & 0x7FFFFFFF)
    small = int32(_TINY) if rule.subnormal != _ZERO else int32(0)
    result = small if less(magnitude, _TINY) else magnitude
    result = int32(0) if magnitude == 0 else result
    result = int32(0x7FC00000) if less(INFINITY, magnitude) else result
    return int32(result | (bits & -0x80000000))


@scalar
def from_binary64(pattern, rule):
    """Return a binary64 pattern as binary32 rounded to odd; what binary16 cannot tell apart is clipped."""
    bits = int64(pattern)
    magnitude = bits & 0x7FFFFFFFFFFFFFFF
    sticky = 1 if magnitude & 0x1FFFFFFF else 0
    result = ((magnitude >> 29) - (896 << 23)) | sticky
    result = smaller(larger(result, _TINY), 0x7F000000)
    result = INFINITY if magnitude == 0x7FF << 52 else result
    result = 0x7FC00000 if magnitude > 0x7FF << 52 else result
    flushed = magnitude < 1 << 52 and rule.subnormal == _ZERO
    result = 0 if magnitude == 0 or flushed else result
    return int32(int32(result) | (int32(bits >> 32) & -0x80000000))
