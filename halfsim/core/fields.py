"""Bit patterns taken apart: layouts of formats, classes of values, unpacking."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from halfsim.core._jit import scalar
from halfsim.formats import BINARY16, Format, Specials

__all__ = ["F16", "Kind", "Layout", "bit_length", "is_zero", "larger", "layout", "smaller", "unpack"]


class Kind(IntEnum):
    """What an unpacked pattern is; the order lets ``kind >= Kind.quietNaN`` ask for a NaN."""

    finite = 0
    infinite = 1
    quietNaN = 2
    signalingNaN = 3


class Layout(NamedTuple):
    """A `Format` as the integers that compiled code needs."""

    precision: int
    emin: int
    fraction_mask: int
    exponent_mask: int
    sign_shift: int
    sign_bit: int
    """Weight of the sign bit as int64: negative for 64-bit formats."""
    largest: int
    """Pattern of the largest finite magnitude."""
    infinity: int
    """Pattern of infinity, or what stands in for it: the NaN of `nan_only`, the largest finite of `none`."""
    specials: int


@lru_cache(maxsize=64)
def layout(fmt: Format) -> Layout:
    """Return the layout of a format."""
    fraction_bits = fmt.precision - 1
    top = (1 << (fmt.width - 1)) - 1
    infinity = {
        Specials.ieee: top - ((1 << fraction_bits) - 1),
        Specials.nan_only: top,
        Specials.none: top,
    }[fmt.specials]
    return Layout(
        precision=fmt.precision,
        emin=fmt.emin,
        fraction_mask=(1 << fraction_bits) - 1,
        exponent_mask=(1 << (fmt.width - fmt.precision)) - 1,
        sign_shift=fmt.width - 1,
        sign_bit=1 << (fmt.width - 1) if fmt.width < 64 else -(1 << 63),
        largest=infinity if fmt.specials == Specials.none else infinity - 1,
        infinity=infinity,
        specials=int(fmt.specials),
    )


F16 = layout(BINARY16)


@scalar
def bit_length(value):
    """Position of the leading one of 0 <= value < 2**63, counted from 1; 0 for 0."""
    length = 0
    for step in (32, 16, 8, 4, 2, 1):
        if value >> step:
            length += step
            value >>= step
    return length + value


@scalar
def larger(a, b):
    """Maximum of two integers; Numba compiles no `max` for GPUs."""
    return a if a > b else b


@scalar
def smaller(a, b):
    """Minimum of two integers."""
    return a if a < b else b


@scalar
def unpack(bits, fields):
    """Return (sign, exponent, significand, kind) of a pattern.

    A finite value is ``(-1)**sign * significand * 2**exponent``; subnormals are not normalised. For a NaN the
    significand is the fraction field.
    """
    sign = (bits >> fields.sign_shift) & 1
    fraction = bits & fields.fraction_mask
    biased = (bits >> (fields.precision - 1)) & fields.exponent_mask
    kind = Kind.finite
    if biased == fields.exponent_mask:
        if fields.specials == Specials.ieee:
            kind = Kind.infinite
            if fraction:
                quiet = fraction >> (fields.precision - 2)
                kind = Kind.quietNaN if quiet else Kind.signalingNaN
            return sign, 0, fraction, kind
        if fields.specials == Specials.nan_only and fraction == fields.fraction_mask:
            return sign, 0, fraction, Kind.quietNaN
    significand = fraction + fields.fraction_mask + 1 if biased else fraction
    exponent = (biased if biased else 1) - 1 + fields.emin - (fields.precision - 1)
    return sign, exponent, significand, kind


@scalar
def is_zero(kind, significand):
    """Whether unpacked fields are a zero of either sign."""
    return kind == Kind.finite and significand == 0
