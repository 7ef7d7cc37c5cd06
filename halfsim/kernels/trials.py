"""Steps of binary16 sums tried in binary32 registers, and the checks that say whether a trial was right.

A product of binary16 numbers is exact in binary32, and its sum with a binary16 number is rounded once there. Cutting
that to 11 bits is the right result unless the first rounding has landed on a boundary of the second, a number on which
the second depends on what lies beside it: a tie, or a result when the direction is not to nearest. Such
a sum is `decided` by its error, one in a few hundred. Subnormal results, whose boundaries lie elsewhere, and what
overflows are told by the magnitude, and are not tried.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy import float32, int32

from halfsim.core._jit import scalar
from halfsim.core.control import rounding_mode
from halfsim.kernels import integers, vectors
from halfsim.kernels.simd import INFINITY
from halfsim.kernels.vectors import multiply, multiply_add, splat
from halfsim.rounding import Rounding

__all__ = [
    "Trial",
    "decided",
    "failed",
    "no_checks",
    "read_trial",
    "try_fused",
    "try_nearest",
    "try_nothing",
    "try_unfused",
]

_MAGNITUDE = 0x7FFFFFFF
_CUT = ~0x1FFF
_SMALLEST = 0x38800000  # 2**-14, the smallest normal binary16 number
_LARGEST = 0x477FE000  # 65504, the largest finite one


class Trial(NamedTuple):
    """How steps of binary16 are tried in binary32; `flip` changes a value for negative sums."""

    away: int
    """Added to a pattern before its last 13 bits are cut."""
    away_flip: int
    odd: int
    """Set in what is left."""
    boundary: int
    """Last 13 bits of the sums that lie between two results: rounded to one, a sum does not tell the side."""
    even: int
    """1 if ties go to even."""
    zero: int
    """Sign bit that an exactly zero sum of unlike signs gets."""


@scalar
def read_trial(control):
    """Read a control word with a deterministic rounding."""
    mode = rounding_mode(control)
    to_nearest = mode == Rounding.roundTiesToEven or mode == Rounding.roundTiesToAway
    positive = 0x1000 if to_nearest else 0x1FFF if mode == Rounding.roundTowardPositive else 0
    negative = 0x1000 if to_nearest else 0x1FFF if mode == Rounding.roundTowardNegative else 0
    odd = 0x2000 if mode == Rounding.roundToOdd else 0
    boundary = 0x1000 if to_nearest else 0
    zero = -0x80000000 if mode == Rounding.roundTowardNegative else 0
    even = mode == Rounding.roundTiesToEven
    return Trial(int32(positive), int32(positive ^ negative), int32(odd), int32(boundary), int32(even), int32(zero))


class Checks(NamedTuple):
    """The extremes of the sums tried, lane by lane, as integers without sign."""

    low: object
    """Smallest magnitude less 1, so that zeros count as large."""
    high: object
    """Largest magnitude."""


@scalar
def no_checks():
    """Return the checks of no sums."""
    return Checks(splat(int32(-1)), splat(int32(0)))


@scalar
def failed(checks):
    """Whether a sum tried was subnormal, overflowed, infinite or a NaN."""
    subnormal = integers.any_below(checks.low, splat(int32(_SMALLEST - 1)))
    return subnormal | integers.any_below(splat(int32(_LARGEST - 1)), checks.high)


@scalar
def _magnitude(bits):
    return vectors.bitwise_and(bits, splat(int32(_MAGNITUDE)))


@scalar
def _cut(bits, trial):
    """Round a pattern that is exact or rounded to odd, but for ties to even."""
    flip = vectors.bitwise_and(integers.shift_right(bits, splat(int32(31))), splat(trial.away_flip))
    moved = vectors.add(bits, integers.bitwise_xor(splat(trial.away), flip))
    return vectors.bitwise_and(moved, splat(int32(_CUT)))


@scalar
def _try(x, y, total, trial, checks):
    bits = vectors.bits(multiply_add(x, y, total))
    rest = integers.bitwise_xor(vectors.bitwise_and(bits, splat(int32(0x1FFF))), splat(trial.boundary))
    low = integers.unsigned_smaller(vectors.subtract(_magnitude(bits), splat(int32(1))), checks.low)
    checks = Checks(low, integers.unsigned_larger(_magnitude(bits), checks.high))
    # Off the boundary a sum is inexact, so that rounding to odd sets the last bit.
    return vectors.number(vectors.bitwise_or(_cut(bits, trial), splat(trial.odd))), rest, checks


@scalar
def try_fused(task, x, y, total, checks):
    """Try to round total + x * y once: return (sums, 0 where they are to be decided, checks)."""
    return _try(x, y, total, task.trial, checks)


@scalar
def try_nearest(task, x, y, total, checks):
    """Try to round total + x * y once, to nearest: return (sums, 0 where they are to be decided, checks)."""
    return _try(x, y, total, Trial(int32(0x1000), int32(0), int32(0), int32(0x1000), int32(1), int32(0)), checks)


@scalar
def try_unfused(task, x, y, total, checks):
    """Try to round x * y and its sum with the total, ties to even: return as `try_fused`, with nothing to decide.

    The product is exact in binary32, and a sum of binary16 numbers, rounded to binary32 and then to binary16, is
    rounded as if once; in the subnormal range it is exact.
    """
    product = multiply(x, y)
    bits = vectors.bits(product)
    high = integers.unsigned_larger(_magnitude(bits), checks.high)
    # Adding 1.5 * 2**23 ulps of the result, 2**-24 at least, rounds to a multiple of the ulp.
    binade = integers.unsigned_larger(vectors.bitwise_and(bits, splat(int32(INFINITY))), splat(int32(_SMALLEST)))
    shifter = vectors.number(vectors.add(binade, splat(int32((13 << 23) | (1 << 22)))))
    term = vectors.bits(vectors.subtract(vectors.add(product, shifter), shifter))
    term = vectors.bitwise_or(term, vectors.bitwise_and(bits, splat(int32(~_MAGNITUDE))))
    bits = vectors.bits(vectors.add(total, vectors.number(term)))
    last = vectors.bitwise_and(integers.shift_right(bits, splat(int32(13))), splat(int32(1)))
    moved = vectors.add(vectors.add(bits, splat(int32(0xFFF))), last)
    high = integers.unsigned_larger(_magnitude(bits), high)
    result = vectors.number(vectors.bitwise_and(moved, splat(int32(_CUT))))
    return result, splat(int32(-1)), Checks(checks.low, high)


@scalar
def try_nothing(task, x, y, total, checks):
    """Fail the checks."""
    return total, splat(int32(-1)), Checks(checks.low, splat(int32(-1)))


@scalar
def decided(task, x, y, total):
    """Round total + x * y once, as `sum_to_odd` and `rounded` of `halfsim.kernels.simd` do; normal results only."""
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
    result = vectors.bitwise_or(
        _cut(vectors.add(vectors.subtract(bits, splat(trial.even)), last), trial),
        vectors.bitwise_and(inexact, splat(trial.odd)),
    )
    signs = vectors.bitwise_or(vectors.bits(product), vectors.bits(total))
    signed = vectors.bitwise_or(result, vectors.bitwise_and(signs, splat(trial.zero)))
    magnitude = vectors.number(_magnitude(bits))
    return vectors.number(vectors.where_below(zero, magnitude, result, signed))
