"""Steps of binary16 sums tried in binary32 registers, and the checks that say whether a trial was right.

A product of binary16 numbers is exact in binary32, and its sum with a binary16 number is rounded once there. Cutting
that to 11 bits is the right result unless the first rounding has landed on a boundary of the second, a number on which
the second depends on what lies beside it: a tie, or a result when the direction is not to nearest. Such
a sum is `decided` by its error, one in a few hundred. Subnormal results, whose boundaries lie elsewhere, are told by
the magnitude, and are not tried.

Infinite results are told by the magnitude too, as are NaNs and what may overflow, and are right in a special trial:
binary32 has infinities and NaNs as binary16 does, and no sum of a product and a number overflows it, so that only
finite results need a limit. That takes a third more time, which sums of finite results are spared.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy import float32, int32

from halfsim.core._jit import scalar
from halfsim.core.control import rounding_mode
from halfsim.kernels import integers, vectors
from halfsim.kernels.arithmetic16 import make_rule16
from halfsim.kernels.simd import INFINITY, float64_of, float_of
from halfsim.kernels.vectors import multiply, multiply_add, splat
from halfsim.rounding import Rounding

__all__ = [
    "Trial",
    "check",
    "check_nothing",
    "decided",
    "exceeded",
    "no_checks",
    "read_trial",
    "subnormal",
    "try_fused",
    "try_nearest",
    "try_nothing",
    "try_unfused",
]

_MAGNITUDE = 0x7FFFFFFF
_CUT = ~0x1FFF
_SMALLEST = 0x38800000  # 2**-14, the smallest normal binary16 number
_LARGEST = 0x477FE000  # 65504, the largest finite one
_TIE_OVER = 0x477FF000  # 65520, which lies as near to the next
_ROUNDS_OVER = float32(65520.0)
_OVERFLOW = float32(65536.0)
_INFINITE = float32(math.inf)


class Trial(NamedTuple):
    """How steps of binary16 are tried in binary32."""

    away: int
    """Added to the pattern of an inexact positive sum before its last 13 bits are cut,"""
    away_negative: int
    """and to that of a negative one; a boundary loses those bits."""
    odd: int
    """Set in what is left."""
    even: int
    """1 if ties go to even."""
    zero: int
    """Sign bit that an exactly zero sum of unlike signs gets."""
    over: float
    """Least magnitude of a sum that is above all boundaries and overflows, however it was rounded to binary32."""
    limit: float
    """Result of positive sums that overflow,"""
    limit_negative: float
    """and of negative ones."""


@scalar
def read_trial(control):
    """Read a control word with a deterministic rounding."""
    mode = rounding_mode(control)
    to_nearest = mode == Rounding.roundTiesToEven or mode == Rounding.roundTiesToAway
    positive = 0x1000 if to_nearest else 0x2000 if mode == Rounding.roundTowardPositive else 0
    negative = 0x1000 if to_nearest else 0x2000 if mode == Rounding.roundTowardNegative else 0
    odd = 0x2000 if mode == Rounding.roundToOdd else 0
    zero = -0x80000000 if mode == Rounding.roundTowardNegative else 0
    even = mode == Rounding.roundTiesToEven
    over = _TIE_OVER if to_nearest else _LARGEST
    exact = make_rule16(control)
    limit, limit_negative = float64_of(exact.limit), -float64_of(exact.limit ^ exact.limit_flip)
    return Trial(
        int32(positive), int32(negative), int32(odd), int32(even), int32(zero),
        float_of(int32(over + 1)), float32(limit), float32(limit_negative),
    )  # fmt: skip


class Checks(NamedTuple):
    """The extremes of the results tried, lane by lane, as integers without sign."""

    low: object
    """Smallest magnitude less 1, so that zeros count as large."""
    high: object
    """Largest magnitude."""


@scalar
def no_checks():
    """Return the checks of no sums."""
    return Checks(splat(int32(-1)), splat(int32(0)))


@scalar
def subnormal(checks):
    """Whether a result was subnormal, so that no trial counts."""
    return integers.any_below(checks.low, splat(int32(_SMALLEST - 1)))


@scalar
def exceeded(checks):
    """Whether a result was infinite or a NaN, or may be, so that only special trials count."""
    return integers.any_below(splat(int32(_LARGEST - 1)), checks.high)


@scalar
def _magnitude(bits):
    return vectors.bitwise_and(bits, splat(int32(_MAGNITUDE)))


@scalar
def _away(bits, trial):
    return integers.where_negative(bits, splat(trial.away_negative), splat(trial.away))


@scalar
def _beyond(value, trial):
    """What a sum becomes that is beyond binary16: the limit if it is finite, else itself."""
    bits = vectors.bits(value)
    limit = integers.where_negative(bits, splat(trial.limit_negative), splat(trial.limit))
    return vectors.where_below(vectors.number(_magnitude(bits)), splat(_INFINITE), limit, value)


@scalar
def _infinite(value, result):
    """Put infinities in place of the results of values that round to them, to nearest."""
    magnitude = vectors.number(_magnitude(vectors.bits(value)))
    return vectors.where_below(magnitude, splat(_ROUNDS_OVER), result, multiply(value, splat(_INFINITE)))


@scalar
def _lowest(magnitude, checks):
    return integers.unsigned_smaller(vectors.subtract(magnitude, splat(int32(1))), checks.low)


@scalar
def check(task, result, checks):
    """Return the checks of more results: they say of a sum what it would, and need no register of their own."""
    magnitude = _magnitude(vectors.bits(result))
    return Checks(_lowest(magnitude, checks), integers.unsigned_larger(magnitude, checks.high))


@scalar
def check_nothing(task, result, checks):
    """Return the checks as they are."""
    return checks


@scalar
def try_fused(task, x, y, total, checks, special):
    """Try to round total + x * y once: return (results, 0 where they are to be decided, checks).

    Results are still to be checked, but not those of a special trial.
    """
    trial = task.trial
    value = multiply_add(x, y, total)
    bits = vectors.bits(value)
    moved = vectors.add(bits, _away(bits, trial))
    rest = vectors.bitwise_and(moved, splat(int32(0x1FFF)))
    # Off the boundary a sum is inexact, so that rounding to odd sets the last bit.
    result = vectors.number(vectors.bitwise_or(vectors.bitwise_and(moved, splat(int32(_CUT))), splat(trial.odd)))
    if special:
        checks = Checks(_lowest(_magnitude(bits), checks), checks.high)
        magnitude, over = vectors.number(_magnitude(bits)), splat(trial.over)
        rest = vectors.where_below(magnitude, over, rest, splat(int32(-1)))
        result = vectors.where_below(magnitude, over, result, _beyond(value, trial))
    return result, rest, checks


@scalar
def try_nearest(task, x, y, total, checks, special):
    """Try to round total + x * y once, to nearest: return as `try_fused`."""
    value = multiply_add(x, y, total)
    bits = vectors.bits(value)
    moved = vectors.add(bits, splat(int32(0x1000)))
    # No infinity or NaN is changed, and none is on a boundary.
    rest = vectors.bitwise_and(moved, splat(int32(0x1FFF)))
    result = vectors.number(vectors.bitwise_and(moved, splat(int32(_CUT))))
    if special:
        checks = Checks(_lowest(_magnitude(bits), checks), checks.high)
        result = _infinite(value, result)
    return result, rest, checks


@scalar
def try_unfused(task, x, y, total, checks, special):
    """Try to round x * y and its sum with the total, ties to even: return as `try_fused`, all decided and checked.

    The product is exact in binary32, and a sum of binary16 numbers, rounded to binary32 and then to binary16, is
    rounded as if once; in the subnormal range it is exact.
    """
    product = multiply(x, y)
    bits = vectors.bits(product)
    high = integers.unsigned_larger(_magnitude(bits), checks.high)
    # Adding 1.5 * 2**23 ulps of the result, 2**-24 at least, rounds to a multiple of the ulp.
    binade = integers.unsigned_larger(vectors.bitwise_and(bits, splat(int32(INFINITY))), splat(int32(_SMALLEST)))
    shifter = vectors.number(vectors.add(binade, splat(int32((13 << 23) | (1 << 22)))))
    term = vectors.subtract(vectors.add(product, shifter), shifter)
    term = vectors.bits(_infinite(product, term) if special else term)
    term = vectors.bitwise_or(term, vectors.bitwise_and(bits, splat(int32(~_MAGNITUDE))))
    value = vectors.add(total, vectors.number(term))
    bits = vectors.bits(value)
    last = vectors.bitwise_and(integers.shift_right(bits, splat(int32(13))), splat(int32(1)))
    moved = vectors.add(vectors.add(bits, splat(int32(0xFFF))), last)
    high = integers.unsigned_larger(_magnitude(bits), high)
    result = vectors.number(vectors.bitwise_and(moved, splat(int32(_CUT))))
    if special:
        return _infinite(value, result), splat(int32(-1)), checks
    return result, splat(int32(-1)), Checks(checks.low, high)


@scalar
def try_nothing(task, x, y, total, checks, special):
    """Fail the checks."""
    return total, splat(int32(-1)), Checks(splat(int32(0)), checks.high)


@scalar
def decided(task, x, y, total, special):
    """Round total + x * y once, as `sum_to_odd` and `rounded` of `halfsim.kernels.simd` do.

    Results are normal, and if special infinities and NaNs too.
    """
    trial = task.trial
    zero = splat(float32(0.0))
    product = multiply(x, y)
    value = vectors.add(product, total)
    rest = vectors.subtract(value, product)
    error = vectors.add(vectors.subtract(product, vectors.subtract(value, rest)), vectors.subtract(total, rest))
    bits = vectors.bits(value)
    below = integers.shift_right(integers.bitwise_xor(vectors.bits(error), bits), splat(int32(31)))
    odd = vectors.bitwise_or(vectors.add(bits, below), splat(int32(1)))
    size = vectors.number(_magnitude(vectors.bits(error)))
    bits = vectors.where_below(zero, size, odd, bits)
    last = vectors.bitwise_and(integers.shift_right(bits, splat(int32(13))), splat(trial.even))
    inexact = vectors.add(vectors.bitwise_and(bits, splat(int32(0x1FFF))), splat(int32(0x1FFF)))
    # An exact sum stays where it is.
    away = integers.unsigned_smaller(_away(bits, trial), splat(int32(0x1FFF)))
    moved = vectors.add(vectors.add(vectors.subtract(bits, splat(trial.even)), last), away)
    result = vectors.bitwise_or(
        vectors.bitwise_and(moved, splat(int32(_CUT))), vectors.bitwise_and(inexact, splat(trial.odd))
    )
    signs = vectors.bitwise_or(vectors.bits(product), vectors.bits(total))
    signed = vectors.bitwise_or(result, vectors.bitwise_and(signs, splat(trial.zero)))
    magnitude = vectors.number(_magnitude(bits))
    result = vectors.number(vectors.where_below(zero, magnitude, result, signed))
    if special:
        magnitude = vectors.number(_magnitude(vectors.bits(result)))
        result = vectors.where_below(magnitude, splat(_OVERFLOW), result, _beyond(value, trial))
    return result
