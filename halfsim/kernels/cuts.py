"""Binary32 results cut to the 11 bits of binary16, in every deterministic rounding, in vectors.

For `halfsim.kernels.trials`. What is cut is exact, or was rounded to odd: then it is rounded as if once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy import float32, int32

from halfsim.core._jit import scalar
from halfsim.core.control import rounding_mode
from halfsim.kernels import integers, vectors
from halfsim.kernels.arithmetic16 import make_rule16
from halfsim.kernels.simd import float64_of, float_of
from halfsim.kernels.vectors import multiply, splat
from halfsim.rounding import Rounding

__all__ = [
    "LARGEST",
    "LAST",
    "MAGNITUDE",
    "Trial",
    "away_of",
    "beyond",
    "cut",
    "cut_sum",
    "limited",
    "magnitude_of",
    "overflowed",
    "read_trial",
    "to_odd",
    "with_sign",
]

MAGNITUDE = 0x7FFFFFFF
LAST = ~0x1FFF
"""The bits that are kept."""
LARGEST = 0x477FE000
"""Pattern of 65504, the largest finite binary16 number."""
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
    flush: bool
    """Whether subnormal results become zero."""
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
    over = _TIE_OVER if to_nearest else LARGEST
    exact = make_rule16(control)
    limit, limit_negative = float64_of(exact.limit), -float64_of(exact.limit ^ exact.limit_flip)
    return Trial(
        int32(positive), int32(negative), int32(odd), int32(even), int32(zero), exact.flush,
        float_of(int32(over + 1)), float32(limit), float32(limit_negative),
    )  # fmt: skip


@scalar
def magnitude_of(bits):
    """Patterns without their sign."""
    return vectors.bitwise_and(bits, splat(int32(MAGNITUDE)))


@scalar
def away_of(bits, trial):
    """What is added to patterns of inexact numbers before they are cut."""
    return integers.where_negative(bits, splat(trial.away_negative), splat(trial.away))


@scalar
def beyond(value, trial):
    """What a sum becomes that is beyond binary16: the limit if it is finite, else itself."""
    bits = vectors.bits(value)
    limit = integers.where_negative(bits, splat(trial.limit_negative), splat(trial.limit))
    return vectors.where_below(vectors.number(magnitude_of(bits)), splat(_INFINITE), limit, value)


@scalar
def overflowed(value, result):
    """Put infinities in place of the results of values that round to them, to nearest."""
    magnitude = vectors.number(magnitude_of(vectors.bits(value)))
    return vectors.where_below(magnitude, splat(_ROUNDS_OVER), result, multiply(value, splat(_INFINITE)))


@scalar
def limited(result, value, trial):
    """Put what values beyond binary16 become in place of their results, which are too large."""
    magnitude = vectors.number(magnitude_of(vectors.bits(result)))
    return vectors.where_below(magnitude, splat(_OVERFLOW), result, beyond(value, trial))


@scalar
def with_sign(result, value):
    """Give results, or zeros of either sign, the sign of values."""
    sign = vectors.bitwise_and(vectors.bits(value), splat(int32(~MAGNITUDE)))
    return vectors.number(vectors.bitwise_or(vectors.bits(result), sign))


@scalar
def to_odd(value, error):
    """Return the patterns of values rounded to odd, which were rounded to nearest with an error."""
    bits = vectors.bits(value)
    below = integers.shift_right(integers.bitwise_xor(vectors.bits(error), bits), splat(int32(31)))
    odd = vectors.bitwise_or(vectors.add(bits, below), splat(int32(1)))
    return vectors.where_below(splat(float32(0.0)), vectors.number(magnitude_of(vectors.bits(error))), odd, bits)


@scalar
def cut(bits, trial):
    """Cut patterns of numbers that are exact or rounded to odd, as the trial says, to 11 bits."""
    last = vectors.bitwise_and(integers.shift_right(bits, splat(int32(13))), splat(trial.even))
    inexact = vectors.add(vectors.bitwise_and(bits, splat(int32(0x1FFF))), splat(int32(0x1FFF)))
    # An exact number stays where it is.
    away = integers.unsigned_smaller(away_of(bits, trial), splat(int32(0x1FFF)))
    moved = vectors.add(vectors.add(vectors.subtract(bits, splat(trial.even)), last), away)
    return vectors.bitwise_or(
        vectors.bitwise_and(moved, splat(int32(LAST))), vectors.bitwise_and(inexact, splat(trial.odd))
    )


@scalar
def cut_sum(x, y, trial):
    """Return (x + y rounded once, as `sum_to_odd` and `rounded` of `halfsim.kernels.simd` do, and in binary32).

    Subnormal results are right if they are exact. None is limited.
    """
    value = vectors.add(x, y)
    rest = vectors.subtract(value, x)
    error = vectors.add(vectors.subtract(x, vectors.subtract(value, rest)), vectors.subtract(y, rest))
    bits = vectors.bits(value)
    if integers.any_unequal(error, splat(float32(0.0))):
        bits = to_odd(value, error)
    result = cut(bits, trial)
    if trial.zero:
        signs = vectors.bitwise_or(vectors.bits(x), vectors.bits(y))
        signed = vectors.bitwise_or(result, vectors.bitwise_and(signs, splat(trial.zero)))
        magnitude = vectors.number(magnitude_of(bits))
        result = vectors.where_below(splat(float32(0.0)), magnitude, result, signed)
    return vectors.number(result), value
