"""Steps of binary16 sums tried in binary32 registers, and the checks that say whether a trial was right.

A product of binary16 numbers is exact in binary32, and its sum with a binary16 number is rounded once there. Cutting
that to 11 bits is the right result unless the first rounding has landed on a boundary of the second, a number on which
the second depends on what lies beside it: a tie, or a result when the direction is not to nearest. Such
a sum is `decided` by its error, one in a few hundred. Subnormal results, whose boundaries lie elsewhere, are told by
the magnitude, and are not tried. Where products are rounded by themselves, both roundings are decided at once.

Infinite results are told by the magnitude too, as are NaNs and what may overflow, and are right in a special trial:
binary32 has infinities and NaNs as binary16 does, and no sum of a product and a number overflows it, so that only
finite results need a limit. That takes a third more time, which sums of finite results are spared.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy import float32, int32

from halfsim.core._jit import scalar
from halfsim.kernels import integers, vectors
from halfsim.kernels.cuts import (
    LARGEST,
    LAST,
    MAGNITUDE,
    away_of,
    beyond,
    cut,
    cut_sum,
    limited,
    magnitude_of,
    overflowed,
    to_odd,
    with_sign,
)
from halfsim.kernels.simd import INFINITY, float_of
from halfsim.kernels.vectors import multiply, multiply_add, splat

__all__ = [
    "check",
    "check_nothing",
    "decided",
    "exceeded",
    "no_checks",
    "subnormal",
    "try_fused",
    "try_nearest",
    "try_unfused",
    "try_unfused_nearest",
]

_SMALLEST = 0x38800000  # 2**-14, the smallest normal binary16 number


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
    return integers.any_below(splat(int32(LARGEST - 1)), checks.high)


@scalar
def _lowest(magnitude, checks):
    return integers.unsigned_smaller(vectors.subtract(magnitude, splat(int32(1))), checks.low)


@scalar
def check(task, result, checks):
    """Return the checks of more results: they say of a sum what it would, and need no register of their own."""
    magnitude = magnitude_of(vectors.bits(result))
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
    moved = vectors.add(bits, away_of(bits, trial))
    rest = vectors.bitwise_and(moved, splat(int32(0x1FFF)))
    # Off the boundary a sum is inexact, so that rounding to odd sets the last bit.
    result = vectors.number(vectors.bitwise_or(vectors.bitwise_and(moved, splat(int32(LAST))), splat(trial.odd)))
    if special:
        checks = Checks(_lowest(magnitude_of(bits), checks), checks.high)
        magnitude, over = vectors.number(magnitude_of(bits)), splat(trial.over)
        rest = vectors.where_below(magnitude, over, rest, splat(int32(-1)))
        result = vectors.where_below(magnitude, over, result, beyond(value, trial))
    return result, rest, checks


@scalar
def try_nearest(task, x, y, total, checks, special):
    """Try to round total + x * y once, to nearest: return as `try_fused`."""
    value = multiply_add(x, y, total)
    bits = vectors.bits(value)
    moved = vectors.add(bits, splat(int32(0x1000)))
    # No infinity or NaN is changed, and none is on a boundary.
    rest = vectors.bitwise_and(moved, splat(int32(0x1FFF)))
    result = vectors.number(vectors.bitwise_and(moved, splat(int32(LAST))))
    if special:
        checks = Checks(_lowest(magnitude_of(bits), checks), checks.high)
        result = overflowed(value, result)
    return result, rest, checks


@scalar
def try_unfused_nearest(task, x, y, total, checks, special):
    """Try to round x * y and its sum with the total, ties to even: return as `try_fused`, all decided and checked.

    The product is exact in binary32, and a sum of binary16 numbers, rounded to binary32 and then to binary16, is
    rounded as if once; in the subnormal range it is exact.
    """
    product = multiply(x, y)
    bits = vectors.bits(product)
    high = integers.unsigned_larger(magnitude_of(bits), checks.high)
    # Adding 1.5 * 2**23 ulps of the result, 2**-24 at least, rounds to a multiple of the ulp.
    binade = integers.unsigned_larger(vectors.bitwise_and(bits, splat(int32(INFINITY))), splat(int32(_SMALLEST)))
    shifter = vectors.number(vectors.add(binade, splat(int32((13 << 23) | (1 << 22)))))
    term = vectors.subtract(vectors.add(product, shifter), shifter)
    term = vectors.bits(overflowed(product, term) if special else term)
    term = vectors.bitwise_or(term, vectors.bitwise_and(bits, splat(int32(~MAGNITUDE))))
    value = vectors.add(total, vectors.number(term))
    bits = vectors.bits(value)
    last = vectors.bitwise_and(integers.shift_right(bits, splat(int32(13))), splat(int32(1)))
    moved = vectors.add(vectors.add(bits, splat(int32(0xFFF))), last)
    high = integers.unsigned_larger(magnitude_of(bits), high)
    result = vectors.number(vectors.bitwise_and(moved, splat(int32(LAST))))
    if special:
        return overflowed(value, result), splat(int32(-1)), checks
    return result, splat(int32(-1)), Checks(checks.low, high)


@scalar
def try_unfused(task, x, y, total, checks, special):
    """Try to round x * y and its sum with the total in any deterministic way: return as `try_unfused_nearest`.

    A sum of binary16 numbers is exact in the subnormal range, and a product is moved to where the last place is that of
    subnormal results. Only subnormal results that are flushed are left.
    """
    trial = task.trial
    product = multiply(x, y)
    size = magnitude_of(vectors.bits(product))
    if integers.any_below(vectors.subtract(size, splat(int32(1))), splat(int32(_SMALLEST - 1))):
        smallest = splat(float_of(int32(_SMALLEST)))
        beside = vectors.where_below(vectors.number(size), smallest, with_sign(smallest, product), splat(float32(0.0)))
        moved = vectors.add(product, beside)
        error = vectors.subtract(product, vectors.subtract(moved, beside))
        moved = vectors.number(cut(to_odd(moved, error), trial))
        term = with_sign(vectors.subtract(moved, beside), product)
    else:
        term = vectors.number(cut(vectors.bits(product), trial))
    if special:
        term = limited(term, product, trial)
    result, value = cut_sum(term, total, trial)
    if special:
        result = limited(result, value, trial)
    else:
        high = integers.unsigned_larger(magnitude_of(vectors.bits(term)), magnitude_of(vectors.bits(result)))
        checks = Checks(checks.low, integers.unsigned_larger(high, checks.high))
    if trial.flush:
        checks = Checks(_lowest(size, checks), checks.high)
        checks = Checks(_lowest(magnitude_of(vectors.bits(result)), checks), checks.high)
    return result, splat(int32(-1)), checks


@scalar
def decided(task, x, y, total, special):
    """Round total + x * y once. Results are normal, and if special infinities and NaNs too."""
    result, value = cut_sum(multiply(x, y), total, task.trial)
    return limited(result, value, task.trial) if special else result
