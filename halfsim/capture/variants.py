"""Ways of summing a block that no `FusedDotAdd` row can express, in whole numbers and apart from the core.

The operands are values, not patterns: binary64 arrays that hold them exactly. Of the rows themselves this module knows
the truncating ones, which is what NVIDIA's are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import FusedDotAdd, factor_formats
from halfsim.formats import BINARY32, Format
from halfsim.rounding import Rounding

__all__ = ["AFTERWARDS", "NORMALISED", "PLAIN", "WIDE", "Variant"]

Integers: TypeAlias = NDArray[np.int64]
Values: TypeAlias = NDArray[np.float64]

_BITS = 60  # kept of two numbers that are added exactly; what lies below them is or-ed into the last


class _Terms(NamedTuple):
    """Finite numbers ``significand * 2**last``, and the exponents that they are aligned by."""

    significand: Integers
    last: Integers
    exponent: Integers


def _length(magnitude: Integers) -> Integers:
    """Bit lengths; the binary64 value of a long integer may have been rounded up to the next power of two."""
    length = np.frexp(magnitude.astype(np.float64))[1].astype(np.int64)
    length -= (length > 0) & (magnitude >> np.maximum(length - 1, 0) == 0)
    return length


def _decode(values: Values, fmt: Format) -> _Terms:
    exponent = np.maximum(np.frexp(values)[1].astype(np.int64) - 1, fmt.emin)
    last = exponent - (fmt.precision - 1)
    return _Terms(np.ldexp(values, -last).astype(np.int64), last, exponent)


def _products(a: _Terms, b: _Terms) -> _Terms:
    return _Terms(a.significand * b.significand, a.last + b.last, a.exponent + b.exponent)


def _normalised(terms: _Terms) -> _Terms:
    return terms._replace(exponent=terms.last + _length(np.abs(terms.significand)) - 1)


def _shifted(magnitude: Integers, left: Integers) -> Integers:
    """Multiply by powers of two and drop the fraction."""
    return np.where(left >= 0, magnitude << np.clip(left, 0, 62), magnitude >> np.clip(-left, 0, 62))


def _largest(terms: _Terms, floor: Integers | int) -> Integers:
    exponents = np.where(terms.significand != 0, terms.exponent, -(1 << 20))
    largest: Integers = np.maximum(exponents.max(axis=-1), floor)
    return largest


def _cut(terms: _Terms, unit: Integers) -> Integers:
    """Return the sum of the terms in units of ``2**unit``, each truncated."""
    magnitude = _shifted(np.abs(terms.significand), terms.last - unit[..., None])
    total: Integers = (np.sign(terms.significand) * magnitude).sum(axis=-1)
    return total


def _together(products: _Terms, c: _Terms, row: FusedDotAdd) -> tuple[Integers, Integers]:
    """C is one more term of the block."""
    joined = _Terms(*(np.concatenate([x, y[..., None]], axis=-1) for x, y in zip(products, c, strict=True)))
    unit = _largest(joined, row.zero_exponent) - row.fraction_bits
    return _cut(joined, unit), unit


def _afterwards(products: _Terms, c: _Terms, row: FusedDotAdd) -> tuple[Integers, Integers]:
    """Only the products are aligned and cut; C is added exactly to their sum."""
    unit = _largest(products, row.zero_exponent) - row.fraction_bits
    total = _cut(products, unit)
    pairs = [(total, unit), (c.significand, c.last)]
    tops = [np.where(number != 0, last + _length(np.abs(number)), -(1 << 20)) for number, last in pairs]
    lowest = np.minimum(*(np.where(number != 0, last, 1 << 20) for number, last in pairs))
    # With nothing to add there is no lowest place: any will do.
    place = np.where(lowest == 1 << 20, unit, np.maximum(lowest, np.maximum(*tops) - _BITS))
    exact = np.zeros_like(total)
    for number, last in pairs:
        whole = _shifted(np.abs(number), last - place)
        whole |= (_shifted(whole, place - last) != np.abs(number)) & (number != 0)
        exact += np.sign(number) * whole
    return exact, place


def _rounded(total: Integers, last: Integers, fmt: Format, rounding: Any) -> Values:
    """Return ``total * 2**last`` rounded to a format, as values; a zero is +0, and an overflow infinite."""
    magnitude = np.abs(total)
    place = np.maximum(last + _length(magnitude) - fmt.precision, fmt.emin - (fmt.precision - 1))
    kept = _shifted(magnitude, last - place)
    if rounding is not Rounding.roundTowardZero:
        below = np.clip(place - last, 0, 62)
        rest = np.where(place > last, magnitude - np.where(below < 62, kept << below, 0), 0)
        half = np.where(below > 0, np.int64(1) << np.maximum(below - 1, 0), 1)
        kept = kept + ((rest > half) | ((rest == half) & (kept & 1 == 1)))
    values: Values = np.ldexp(np.sign(total) * kept.astype(np.float64), place) + 0.0
    over = np.abs(values) >= np.ldexp(1.0, fmt.emax + 1)
    values[over] = np.copysign(np.inf, values[over])
    return values


@dataclass(frozen=True, slots=True)
class Variant:
    """A rule of summation.

    Parameters
    ----------
    align : callable
        Gives products the exponents that they are aligned by.
    add : callable
        Products, C and row to a whole number of units and the exponent of the unit.
    between : pair of Format and Rounding, optional
        What the result of every block but the last is rounded to; by default what the row says.
    """

    align: Callable[[_Terms], _Terms] = lambda terms: terms
    add: Callable[[_Terms, _Terms, FusedDotAdd], tuple[Integers, Integers]] = _together
    between: tuple[Format, Rounding] | None = None

    def matmul(self, row: FusedDotAdd, A: Values, B: Values, C: Values) -> Values:
        """Return A (..., M, K) @ B (..., K, N) + C as values; a NaN stands for the canonical one.

        Parameters
        ----------
        row : FusedDotAdd
            Terms, fraction bits, zero exponent, output format and its rounding.
        A, B, C : float64 arrays
            Values of the row's formats, infinities and NaNs included.
        """
        inputs = factor_formats(row)
        steps = range(0, A.shape[-1], row.terms)
        kept, d = row.output, C
        for start in steps:
            block = slice(start, start + row.terms)
            a, b = A[..., :, None, block], np.swapaxes(B, -1, -2)[..., None, :, block]
            last = start == steps[-1]
            fmt, rounding = (row.output, row.rounding) if last or self.between is None else self.between
            finite = [np.where(np.isfinite(x), x, 0.0) for x in (a, b, d)]
            factors = [_decode(x, form) for x, form in zip(finite, inputs, strict=False)]
            products = self.align(_products(*factors))
            total, unit = self.add(products, _decode(finite[2], kept), row)
            d = _with_specials(a, b, d, _rounded(total, unit, fmt, rounding))
            kept = fmt
        return d


def _with_specials(a: Values, b: Values, c: Values, finite: Values) -> Values:
    """Replace results by the infinities and NaNs of their terms."""
    with np.errstate(invalid="ignore"):
        products = a * b
    up = (products == np.inf).any(axis=-1) | (c == np.inf)
    down = (products == -np.inf).any(axis=-1) | (c == -np.inf)
    nan = np.isnan(products).any(axis=-1) | np.isnan(c) | (up & down)
    return np.where(nan, np.nan, np.where(up, np.inf, np.where(down, -np.inf, finite)))


PLAIN = Variant()
"""What the row itself computes."""
NORMALISED = Variant(align=_normalised)
"""Products are normalised before they are aligned."""
AFTERWARDS = Variant(add=_afterwards)
"""The products are summed alone, and C is added to their sum, exactly."""
WIDE = Variant(between=(BINARY32, Rounding.roundTowardZero))
"""Between blocks the sum stays in binary32, cut; the last block rounds to the output format."""
