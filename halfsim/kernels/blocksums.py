"""The sum of a block of a matrix unit, in vector registers: C decoded, all terms aligned, the sum cut or rounded once.

Aligned terms are integers, in units of the block. Those of a block are added in two halves, C in the first, each of
which fits int32. The sum of both has 33 bits; its sign is that of the majority among both halves and their sum modulo
2**32, and its magnitude fits 32 bits.

Exponents of products are integers, many to a register: a factor's is a number more than its exponent and 0 for a zero.
The number is so large that the sum of two is at least twice the code of the least exponent only where the product is
not zero. Formats whose exponents span less than 64 have them in bytes (`NEAR`), others in 16 bits (`FAR`).

`Binary32`, `FarBinary32` and `Binary16` are the kinds of results. Between blocks, a sum is a binary32 number in each.
"""

from __future__ import annotations

from math import ldexp
from typing import NamedTuple, TypeAlias

from halfsim.kernels.vectorcode import Lanes

__all__ = [
    "FAR",
    "LOWEST",
    "NEAR",
    "Binary16",
    "Binary32",
    "FarBinary32",
    "FusedSum",
    "Sum",
    "Window",
    "overflow",
    "scale_of",
]


class Window(NamedTuple):
    """Exponents of factors that have codes."""

    first: int
    last: int
    zero: int
    """Code of exponent 0."""

    @property
    def least(self) -> int:
        """Least sum of the codes of two factors that are not zero; a zero's with any other is smaller."""
        return 2 * (self.zero + self.first)


NEAR = Window(-48, 15, 112)
FAR = Window(-126, 47, 326)
"""No sum of these products overflows, as they are cut off where C is so large that it could."""

LOWEST = -96
"""Smallest exponent of a block whose unit's inverse is a binary32 number, for all fraction bits."""

_SIGN = -(1 << 31)
_BIAS = 127
_INFINITE = 255 << 23
_NAN = 0x7FC00000
# Exponent of what stands for an infinite binary16 sum: no product moves it.
_HUGE = 100


class FusedSum(NamedTuple):
    """A block whose products and C are cut below the largest of them and summed, as a result's kind rounds."""

    fraction_bits: int
    least: int
    """Code of the smallest exponent of a block; less than those of products where C alone may lie lower."""


def scale_of(exponent: Lanes, fraction_bits: Lanes) -> Lanes:
    """Units per 1, a power of two, for biased exponents."""
    return ((fraction_bits + 2 * _BIAS - exponent) << 23).number()


def _unit(scale: Lanes) -> Lanes:
    """The unit: the inverse of a power of two."""
    return ((2 * _BIAS << 23) - scale.bits()).number()


def _sign_and_magnitude(first: Lanes, second: Lanes) -> tuple[Lanes, Lanes]:
    """Return (all ones or 0, unsigned magnitude) of the sum of two halves."""
    total = first + second
    sign = ((first & second) | ((first | second) & total)).sign()
    return sign, (total ^ sign) - sign


class Binary32:
    """The sum in binary32, or fewer digits of it: cut."""

    @staticmethod
    def read(pattern: Lanes, mask: Lanes) -> Lanes:
        """C as a number; an infinity or a NaN as 0, and no zero is negative."""
        kept = pattern & mask
        number = (kept & ~_SIGN).equals(0).choose(kept & 0, kept)
        return (pattern & ~_SIGN).below(_INFINITE).choose(number, 0).number()

    @staticmethod
    def write(total: Lanes, pattern: Lanes, nan: Lanes) -> Lanes:
        """Pattern of a result; that of C passes an infinity or a NaN on."""
        magnitude = pattern & ~_SIGN
        special = magnitude.equals(_INFINITE).choose(pattern, nan)
        return magnitude.below(_INFINITE).choose(total.bits(), special)

    @staticmethod
    def unknown(total: Lanes) -> Lanes:
        """All ones where the sum is not known, else 0."""
        return total.bits() & 0

    @staticmethod
    def exponent(code: Lanes, total: Lanes) -> Lanes:
        """Biased exponent of a block; that of a subnormal C is below all that a product can have."""
        return (code + (_BIAS - 2 * NEAR.zero)).larger((total.bits() >> 23) & 255)

    @staticmethod
    def finish(first: Lanes, second: Lanes, scale: Lanes, code: Lanes, total: Lanes, mask: Lanes) -> Lanes:
        """The sum; C where there is no product but zeros."""
        sign, magnitude = _sign_and_magnitude(first, second)
        # Without its 25th digit an integer converts to the 24 digits above, never up.
        magnitude = magnitude & ~(magnitude >> 24)
        cut = (magnitude.to_float() * _unit(scale)).bits()
        result = ((cut & mask) | (sign & _SIGN)).number()
        return code.equals(NEAR.least - 1).choose(total, result)


class FarBinary32(Binary32):
    """The same for codes of `FAR`; a sum that has met a block whose exponent is below LOWEST is a NaN, and unknown."""

    @staticmethod
    def unknown(total: Lanes) -> Lanes:
        """All ones where the sum is not known, else 0."""
        return total.bits().below(_INFINITE).choose(total.bits() & 0, -1)

    @staticmethod
    def exponent(code: Lanes, total: Lanes) -> Lanes:
        """Biased exponent of a block, LOWEST - 1 at least."""
        return (code + (_BIAS - 2 * FAR.zero)).larger((total.bits() >> 23) & 255).larger(_BIAS + LOWEST - 1)

    @staticmethod
    def finish(first: Lanes, second: Lanes, scale: Lanes, code: Lanes, total: Lanes, mask: Lanes) -> Lanes:
        """The sum; C where there is no product but zeros."""
        result = Binary32.finish(first, second, scale, code, total, mask).bits()
        result = code.below(2 * FAR.zero + LOWEST).choose((result & 0) | _NAN, result)
        result = code.below(FAR.least).choose(total.bits(), result)
        return total.bits().below(_INFINITE).choose(result, total.bits()).number()


class Binary16:
    """The sum in binary16, held in binary32: rounded to nearest."""

    @staticmethod
    def read(pattern: Lanes, mask: Lanes) -> Lanes:
        """C as a number; an infinity as a huge one, a NaN as 0."""
        magnitude = pattern & 0x7FFF
        subnormal = (magnitude.to_float() * ldexp(1.0, -24)).bits()
        value = magnitude.below(0x400).choose(subnormal, (magnitude << 13) + (112 << 23)).number()
        value = magnitude.below(0x7C00).choose(value, ldexp(1.0, _HUGE))
        value = magnitude.below(0x7C01).choose(value, 0.0)
        return (value.bits() | ((pattern & 0x8000) << 16)).number()

    @staticmethod
    def write(total: Lanes, pattern: Lanes, nan: Lanes) -> Lanes:
        """Pattern of a result; that of C passes a NaN on. No zero is negative."""
        bits = total.bits()
        magnitude = bits & ~_SIGN
        # One half has the ulp of binary16's subnormals.
        subnormal = (magnitude.number() + 0.5).bits() - (126 << 23)
        normal = (magnitude - (112 << 23)) >> 13
        result = magnitude.below(113 << 23).choose(subnormal, normal)
        result = magnitude.below(143 << 23).choose(result, 0x7C00) | ((bits >> 16) & 0x8000)
        result = magnitude.equals(0).choose(magnitude, result)
        return (pattern & 0x7FFF).below(0x7C01).choose(result, nan)

    @staticmethod
    def unknown(total: Lanes) -> Lanes:
        """All ones where the sum is not known, else 0."""
        return total.bits() & 0

    @staticmethod
    def exponent(code: Lanes, total: Lanes) -> Lanes:
        """Biased exponent of a block; a subnormal C counts with the exponent of the smallest normal number."""
        magnitude = total.bits() & ~_SIGN
        own = magnitude.equals(0).choose(magnitude, (magnitude >> 23).larger(_BIAS - 14))
        return (code + (_BIAS - 2 * NEAR.zero)).larger(own)

    @staticmethod
    def finish(first: Lanes, second: Lanes, scale: Lanes, code: Lanes, total: Lanes, mask: Lanes) -> Lanes:
        """The sum, a huge one where it overflows; a zero may be negative."""
        sign, magnitude = _sign_and_magnitude(first, second)
        # 24 digits are kept, the last of them sticky.
        sticky = (((magnitude & 255) + 255) | magnitude) & -256
        magnitude = (magnitude >> 24).equals(0).choose(magnitude, sticky)
        exact = magnitude.to_float() * _unit(scale)
        # Adding 1.5 * 2**23 ulps rounds to a multiple of the ulp, which is 2**-24 at least.
        binade = (exact.bits() & _INFINITE).larger((_BIAS - 14) << 23)
        shifter = ((binade + (13 << 23)) | (1 << 22)).number()
        rounded = (exact + shifter) - shifter
        rounded = rounded.below(65520.0).choose(rounded, ldexp(1.0, _HUGE))
        return (rounded.bits() | (sign & _SIGN)).number()


Sum: TypeAlias = type[Binary32] | type[Binary16]


def overflow(total: Lanes) -> Lanes:
    """2 where a binary16 sum is infinite, 4 where it is so and negative, else 0."""
    bits = total.bits()
    return (bits & ~_SIGN).below((_BIAS + _HUGE) << 23).choose(bits & 0, ((bits >> 31) << 1) + 2)
