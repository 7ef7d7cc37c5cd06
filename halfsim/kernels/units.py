"""Which blocks of matrix units `halfsim.kernels.fused` computes, and what it is told of them."""

from __future__ import annotations

from math import ldexp
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import FusedDotAdd, factor_formats
from halfsim.core.fields import layout
from halfsim.formats import BINARY16, BINARY32, Format, Specials
from halfsim.kernels.blocksums import FAR, NEAR, FusedSum, Window
from halfsim.kernels.decoding import Form, form
from halfsim.kernels.doublesums import ExactSum, StagedSum
from halfsim.kernels.storage import stays_binary32
from halfsim.mfma import ExactDotAdd, TwoStageDotAdd
from halfsim.rounding import Rounding

__all__ = ["Block", "block"]

# Products of formats near 1 have fewer digits below this one than binary64 has, and 32 of them fit above it.
_GRID, _TERMS, _LAST = ldexp(1.5, 38), 32, -62


class Block(NamedTuple):
    """A matrix unit as the loop needs it."""

    left: Form
    right: Form
    terms: int
    mask: int
    """Bits of binary32 that a result keeps."""
    nan: int
    """Pattern of a NaN."""
    sum: FusedSum | ExactSum | StagedSum
    codes: NDArray[Any]
    """Of no size, and of the dtype of codes of exponents."""


def block(accumulator: FusedDotAdd | ExactDotAdd | TwoStageDotAdd) -> Block | None:
    """Return the block of a matrix unit, or None if the loop does not know it."""
    factors, output = factor_formats(accumulator), accumulator.output
    if sum(fmt.precision for fmt in factors) > 24:
        return None
    window = NEAR if min(fmt.emin for fmt in factors) >= NEAR.first else FAR
    match accumulator:
        case FusedDotAdd():
            total: FusedSum | ExactSum | StagedSum | None = _fused(accumulator, factors, window)
        case ExactDotAdd():
            total = _exact(accumulator, factors, window)
        case TwoStageDotAdd():
            total = _staged(accumulator, factors)
    if total is None:
        return None
    codes = np.zeros(0, np.uint8 if window is NEAR else np.uint16)
    fields = layout(BINARY16 if output == BINARY16 else BINARY32)
    # The default NaN of CUDA, or of IEEE: to ask the core would take its compiler.
    nan = fields.infinity + (
        fields.fraction_mask if isinstance(accumulator, FusedDotAdd) else (fields.fraction_mask + 1) >> 1
    )
    left, right = (form(BINARY32 if stays_binary32(fmt) else fmt, window) for fmt in factors)
    return Block(left, right, accumulator.terms, -(1 << (24 - output.precision)), nan, total, codes)


def _fused(accumulator: FusedDotAdd, factors: tuple[Format, Format], window: Window) -> FusedSum | None:
    left, right = factors
    output, bits, terms = accumulator.output, accumulator.fraction_bits, accumulator.terms
    narrow = output == BINARY16 and accumulator.rounding == Rounding.roundTiesToEven
    wide = (output.emin, output.emax, output.specials) == (-126, 127, Specials.ieee)
    wide = wide and accumulator.rounding == Rounding.roundTowardZero
    if accumulator.align != Rounding.roundTowardZero or not (narrow or wide):
        return None
    # The halves of a block, C with the first, must fit int32, and all of it 32 bits and a sign.
    product = (2 - ldexp(1.0, 1 - left.precision)) * (2 - ldexp(1.0, 1 - right.precision)) * 2**bits
    half, whole = (count * product + 2 ** (bits + 1) for count in ((terms + 1) // 2, terms))
    if bits > 29 or half >= 2**31 or whole >= 2**32:
        return None
    least = accumulator.zero_exponent + 2 * window.zero
    if least > 2 * (window.zero + window.last) + 1:
        return None
    if window is FAR or least < window.least:
        # C alone may lie lower and must then be exact, down to its last bit.
        last = output.emin - (output.precision - 1)
        if narrow or bits < output.precision - 1 or accumulator.zero_exponent - bits > last:
            return None
        least = window.least - 1 if window is NEAR else 0
    return FusedSum(bits, least)


def _exact(accumulator: ExactDotAdd, factors: tuple[Format, Format], window: Window) -> ExactSum | None:
    if accumulator.output != BINARY32 or accumulator.rounding != Rounding.roundTiesToEven:
        return None
    if window is FAR:
        return ExactSum(0.0) if accumulator.terms <= 2 else None
    last = sum(fmt.emin - (fmt.precision - 1) for fmt in factors)
    return ExactSum(_GRID) if accumulator.terms <= _TERMS and last >= _LAST else None


def _staged(accumulator: TwoStageDotAdd, factors: tuple[Format, Format]) -> StagedSum | None:
    roundings = accumulator.align, accumulator.join, accumulator.rounding
    expected = Rounding.roundTowardZero, Rounding.roundTowardNegative, Rounding.roundTiesToEven
    if accumulator.output != BINARY32 or roundings != expected:
        return None
    sum_ = StagedSum(accumulator.term_bits, accumulator.product_bits, accumulator.addend_bits, accumulator.total_bits)
    # The halves of the products must fit int32 together, their multiple and that of C binary64.
    units = accumulator.terms * 2 ** (sum_.term_bits + 2)
    if not units < 2**31 or not sum_.term_bits <= 29 or not accumulator.terms * 2 ** (sum_.product_bits + 2) < 2**51:
        return None
    return sum_ if sum_.addend_bits <= sum_.product_bits and 23 <= sum_.addend_bits <= sum_.total_bits <= 51 else None
