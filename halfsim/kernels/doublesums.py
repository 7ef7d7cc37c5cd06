"""Sums of blocks that binary64 holds, in vector registers: an exact one rounded once, and one of two stages.

**Exact.** Products and C are numbers of binary64. Those of a block add up to ``high + low``: `high` is a multiple of a
grid that the sum of products fits, or of two products their rounded sum; `low` is exact. With s their rounded sum and
e what that lost, C enters by two more such sums, ``C + e = u + f`` and ``s + u = t + g``, and v rounds ``g + f``. Where
g is not zero, f is at most half its last digit, so that v is less than an ulp of t, and wrong by too little to change
its sign. So the error of ``t + v``, which is exact since v is smaller than t, tells whether the sum is inexact and on
which side: it is rounded to odd, and then to binary32 as if at once [@boldo2008].

**Two stages.** The products, cut, add up to an integer in units of their block. Cutting a multiple of it downward is
the floor of a number of binary64, and so is cutting C; digits below the last one kept are cut off as bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from halfsim.kernels.blocksums import FAR, LOWEST, Window
from halfsim.kernels.vectorcode import Lanes

__all__ = ["ExactSum", "StagedSum", "far_sum", "join", "near_sum", "product_exponent", "rounded_once", "two_sum"]

_BIAS, _BIAS64 = 127, 1023
_INFINITE = 255 << 23
_NAN = 0x7FC00000


class ExactSum(NamedTuple):
    """A block whose products and C are summed exactly."""

    grid: float
    """Binary64 number to whose last digit products are cut while they are summed; 0 if there are two at most."""


class StagedSum(NamedTuple):
    """A block whose products are cut and summed first; the fraction bits of `halfsim.mfma.TwoStageDotAdd`."""

    term_bits: int
    product_bits: int
    addend_bits: int
    total_bits: int


def two_sum(x: Lanes, y: Lanes) -> tuple[Lanes, Lanes]:
    """Return the rounded sum of two numbers and its error [@knuth1997]."""
    total = x + y
    rest = total - x
    return total, (x - (total - rest)) + (y - rest)


def near_sum(high: Lanes, low: Lanes, x: Lanes, y: Lanes) -> tuple[Lanes, Lanes]:
    """Add an exact product to a sum whose `high` part contains the grid."""
    total = high.plus_product(x, y)
    return total, low + (high - total).plus_product(x, y)


def far_sum(high: Lanes, low: Lanes, x: Lanes, y: Lanes) -> tuple[Lanes, Lanes]:
    """Add an exact product to a sum of at most one product more."""
    total, error = two_sum(high, x * y)
    return total, low + error


def rounded_once(high: Lanes, low: Lanes, addend: Lanes) -> Lanes:
    """Binary32 sum of three numbers, the first a multiple of the second's ulp."""
    products = high + low
    total, first = two_sum(addend, low - (products - high))
    total, second = two_sum(products, total)
    rest = second + first
    near = total + rest
    error = rest - (near - total)
    # The neighbour on the side of the error has another last digit.
    bits = near.bits64()
    odd = ((bits + (error.bits64() ^ bits).sign()) | 1).number64()
    # No sum of zeros is -0.
    return (error.unlike(0.0).choose(odd, near) + 0.0).to_single()


def product_exponent(code: Lanes, window: Window) -> Lanes:
    """Biased exponent of the products of a block, LOWEST - 1 at least."""
    return (code + (_BIAS - 2 * window.zero)).larger(_BIAS + LOWEST - 1)


def join(products: Lanes, exponent: Lanes, code: Lanes, addend: Lanes, window: Window, bits: Sequence[Lanes]) -> Lanes:
    """Sum of C and of the products, which are int32 in units of their block; C where all of them are zero.

    `bits` are the numbers of a `StagedSum` in int32, and the mask of what is below the last digit kept, in int64.
    """
    term_bits, product_bits, addend_bits, below = bits
    # A subnormal C has the exponent of the smallest normal number.
    common = exponent.larger(((addend.bits() >> 23) & 255).larger(1))
    unit = (exponent - common + (product_bits - term_bits) + _BIAS64).power64()
    first = (products.to_double() * unit).floor()
    unit = (addend_bits - common + (_BIAS + _BIAS64)).power64()
    second = (addend.to_double() * unit).floor()
    total = (first + second * (product_bits - addend_bits + _BIAS64).power64()).bits64()
    total = (total + (total.sign() & below)) & ~below
    unit = (common - product_bits + (_BIAS64 - _BIAS)).power64()
    result = (total.number64() * unit).to_single().bits()
    if window is FAR:
        result = code.below(2 * FAR.zero + LOWEST).choose((result & 0) | _NAN, result)
    result = code.below(window.least).choose(addend.bits(), result)
    if window is FAR:
        result = addend.bits().below(_INFINITE).choose(result, addend.bits())
    return result.number()
