"""Arithmetic of binary16 in vectors of binary64, for sums that rest in registers.

A product of two binary16 numbers and a sum of two are exact in binary64, and so is the sum of a product and a binary16
number, but for a product 30 binades or more below the number, when the sum is rounded to odd, and one so far above it
that the result overflows whatever is rounded. One integer step then rounds to binary16: a value whose significand is
moved to where the last bit of the result lies 42 bits up, and a part of that bit added to turn into a carry.
"""

from __future__ import annotations

import math
from math import ldexp
from typing import NamedTuple

from numpy import float64, int64

from halfsim.core._jit import scalar
from halfsim.core.control import Bit, has, random_bits, rounding_mode
from halfsim.kernels import integers, vectors
from halfsim.kernels.vectors import bitwise_and, bitwise_or, splat, where_below
from halfsim.rounding import Rounding

__all__ = [
    "Rule16",
    "add",
    "add_product",
    "draw_mask",
    "make_rule16",
    "round_nearest",
    "round_rule",
    "round_stochastic",
]

_DISCARDED = 42
_ULP = 1 << _DISCARDED
_MAGNITUDE = (1 << 63) - 1
_SIGN = ~_MAGNITUDE
_SMALLEST = float64(ldexp(1.0, -14))
_OVERFLOW = float64(65536.0)
_ROUNDS_OVER = float64(65520.0)
_SHIFT = (_DISCARDED << 52) | (1 << 51)
_INFINITY_BITS = 0x7FF << 52
_LARGEST_BITS = (1023 + 15) << 52 | 0x3FF << _DISCARDED


class Rule16(NamedTuple):
    """What a control word with a deterministic rounding means here; `flip` changes a value for negative results."""

    away: int
    """The part of an ulp added to a magnitude before it is cut."""
    away_flip: int
    even: int
    """1 if ties go to even: the last kept bit is added too."""
    odd: bool
    """Whether an inexact result gets its last bit set."""
    zero: int
    """Sign bit that an exactly zero sum of unlike signs gets."""
    limit: int
    """Magnitude of an overflowed result, a pattern."""
    limit_flip: int
    flush: bool
    """Whether tiny results, those below the smallest normal number once rounded, become zero."""


@scalar
def make_rule16(control):
    """Read a control word."""
    mode = rounding_mode(control)
    up, down = mode == Rounding.roundTowardPositive, mode == Rounding.roundTowardNegative
    to_even, to_away = mode == Rounding.roundTiesToEven, mode == Rounding.roundTiesToAway
    nearest = _ULP // 2 - 1 if to_even else _ULP // 2 if to_away else 0
    positive = nearest + (_ULP - 1 if up else 0)
    negative = nearest + (_ULP - 1 if down else 0)
    limit = _INFINITY_BITS if to_even or to_away or up else _LARGEST_BITS
    negative_limit = _INFINITY_BITS if to_even or to_away or down else _LARGEST_BITS
    return Rule16(
        int64(positive),
        int64(positive ^ negative),
        int64(1 if to_even else 0),
        mode == Rounding.roundToOdd,
        int64(_SIGN if down else 0),
        int64(limit),
        int64(limit ^ negative_limit),
        has(control, Bit.flushResults),
    )


@scalar
def draw_mask(control):
    """Mask of the bits of a random word, moved right below the last bit of a result, that a control word asks for."""
    bits = random_bits(control)
    return int64(((1 << bits) - 1) << (_DISCARDED - bits))


@scalar
def _magnitude(value):
    return vectors.number(bitwise_and(vectors.bits(value), splat(int64(_MAGNITUDE))))


@scalar
def _signed(magnitude, value):
    """Give a magnitude, or a zero of either sign, the sign of a value."""
    sign = bitwise_and(vectors.bits(value), splat(int64(_SIGN)))
    return vectors.number(bitwise_or(vectors.bits(magnitude), sign))


@scalar
def _negative(bits):
    """All ones in negative lanes."""
    return integers.shift_right(bits, splat(int64(63)))


@scalar
def _zero_sign(value, x, y, rule):
    """Set the sign of an exactly zero sum of unlike signs, which is +0 so far."""
    if rule.zero:
        sign = bitwise_and(bitwise_or(vectors.bits(x), vectors.bits(y)), splat(rule.zero))
        signed = vectors.number(bitwise_or(vectors.bits(value), sign))
        value = where_below(splat(float64(0)), _magnitude(value), value, signed)
    return value


@scalar
def negative(x):
    """Change the sign."""
    return vectors.number(integers.bitwise_xor(vectors.bits(x), splat(int64(_SIGN))))


@scalar
def add(x, y, rule):
    """Sum of two binary16 numbers: exact."""
    return _zero_sign(vectors.add(x, y), x, y, rule)


@scalar
def add_product(product, total, rule):
    """Sum of a product and a binary16 number: exact, or rounded to odd."""
    value = vectors.add(product, total)
    if integers.any_unequal(vectors.subtract(value, total), product):
        rest = vectors.subtract(value, product)
        error = vectors.add(vectors.subtract(product, vectors.subtract(value, rest)), vectors.subtract(total, rest))
        bits = vectors.bits(value)
        below = _negative(integers.bitwise_xor(vectors.bits(error), bits))
        odd = vectors.number(bitwise_or(vectors.add(bits, below), splat(int64(1))))
        value = where_below(splat(float64(0)), _magnitude(error), odd, value)
    return _zero_sign(value, product, total, rule)


@scalar
def _moved(value):
    """Return what to add to a value before its significand is cut, and to take away after: 0 or 2**-14, signed."""
    return where_below(_magnitude(value), splat(_SMALLEST), _signed(splat(_SMALLEST), value), splat(float64(0)))


@scalar
def _kept(bits, moved, value):
    """Return the number that is left of a pattern once cut."""
    cut = vectors.number(bitwise_and(bits, splat(int64(-_ULP))))
    return _signed(vectors.subtract(cut, moved), value)


@scalar
def _overflowed(result, value, limit):
    """Put the limit, a magnitude, in place of finite results too large."""
    over = where_below(_magnitude(value), splat(float64(math.inf)), _signed(limit, value), value)
    return where_below(_magnitude(result), splat(_OVERFLOW), result, over)


@scalar
def _overflows(result):
    """Whether a result is too large or a NaN, which is seldom."""
    return integers.any_not_below(_magnitude(result), splat(_OVERFLOW))


@scalar
def round_stochastic(value, word, mask):
    """Round up in magnitude where the fraction discarded and the random one, cut to the mask, make a whole."""
    moved = _moved(value)
    random = bitwise_and(integers.shift_left(word, splat(int64(_DISCARDED - 32))), splat(mask))
    result = _kept(vectors.add(vectors.bits(vectors.add(value, moved)), random), moved, value)
    if _overflows(result):
        result = _overflowed(result, value, splat(float64(math.inf)))
    return result


@scalar
def _to_even(bits):
    """Add to patterns what makes ties even once they are cut."""
    last = bitwise_and(integers.shift_right_unsigned(bits, splat(int64(_DISCARDED))), splat(int64(1)))
    return vectors.add(vectors.add(bits, splat(int64(_ULP // 2 - 1))), last)


@scalar
def round_nearest(value, rule):
    """Round to nearest, ties to even; nothing is flushed."""
    # Adding 1.5 * 2**52 ulps of the result, 2**-24 at least, rounds to a multiple of the ulp.
    binade = vectors.number(bitwise_and(vectors.bits(value), splat(int64(_INFINITY_BITS))))
    ulps = vectors.add(vectors.bits(vectors.larger(binade, splat(_SMALLEST))), splat(int64(_SHIFT)))
    shifter = vectors.number(ulps)
    result = _signed(vectors.subtract(vectors.add(value, shifter), shifter), value)
    magnitude = _magnitude(value)
    if integers.any_not_below(magnitude, splat(_ROUNDS_OVER)):
        infinity = splat(float64(math.inf))
        over = where_below(magnitude, infinity, _signed(infinity, value), value)
        result = where_below(magnitude, splat(_ROUNDS_OVER), result, over)
    return result


@scalar
def round_rule(value, rule):
    """Round as a rule says."""
    moved = _moved(value)
    bits = vectors.bits(vectors.add(value, moved))
    below = _negative(bits)
    away = integers.bitwise_xor(splat(rule.away), bitwise_and(below, splat(rule.away_flip)))
    if rule.even:
        added = _to_even(bits)
    elif rule.odd:
        inexact = vectors.add(bitwise_and(bits, splat(int64(_ULP - 1))), splat(int64(_ULP - 1)))
        added = bitwise_or(bits, bitwise_and(inexact, splat(int64(_ULP))))
    else:
        added = vectors.add(bits, away)
    result = _kept(added, moved, value)
    if _overflows(result):
        limit = integers.bitwise_xor(splat(rule.limit), bitwise_and(below, splat(rule.limit_flip)))
        result = _overflowed(result, value, vectors.number(limit))
    if rule.flush:
        # Just below the smallest normal number the last kept bit is 1.
        reached = vectors.add(vectors.bits(_magnitude(value)), vectors.add(away, splat(rule.even)))
        tiny = vectors.number(reached)
        result = where_below(tiny, splat(_SMALLEST), _signed(splat(float64(0)), value), result)
    return result
