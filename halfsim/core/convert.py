"""Conversions between formats and to and from 64-bit integers, each with one rounding."""

from __future__ import annotations

from halfsim.core._jit import scalar
from halfsim.core.arithmetic import read
from halfsim.core.control import Bit, has, invalid_integer, nan_operand
from halfsim.core.fields import Kind, bit_length
from halfsim.core.nan import default_nan, pass_nan, signals
from halfsim.core.round import discard, increment, round_pack, zero
from halfsim.environment import InvalidInteger, NaNOperand
from halfsim.flags import Flags
from halfsim.formats import Specials

__all__ = ["convert", "from_integer", "to_integer"]

_INEXACT = int(Flags.inexact)
_INVALID = int(Flags.invalid)
_TOP = -(1 << 63)
_LOW63 = (1 << 63) - 1


@scalar
def convert(a, fields, to, control, random):
    """Return (bits, flags) of a value of `fields` rounded to `to` (IEEE 754-2019 §5.4.2).

    Infinity in a format without one gives its NaN, or its largest number when saturating or when it has no NaN either,
    and is invalid; so is a NaN where there is none.
    """
    sign, exponent, significand, kind = read(a, fields, control)
    if kind >= Kind.quietNaN:
        flags = _INVALID if to.specials == Specials.none else signals(kind, Kind.finite, Kind.finite)
        passes = has(control, Bit.passBinary64) and (fields.precision == 53 or to.precision == 53)
        if nan_operand(control) == NaNOperand.none and to.specials != Specials.none and not passes:
            return default_nan(to, control), flags
        return pass_nan(sign, significand, fields, to), flags
    if kind == Kind.infinite:
        if to.specials == Specials.ieee:
            return zero(sign, to) + to.infinity, 0
        return zero(sign, to) + (to.largest if has(control, Bit.saturate) else to.infinity), _INVALID
    return round_pack(sign, exponent, significand, 0, to, control, random)


@scalar
def _invalid_to_integer(sign, is_nan, width, largest, smallest, control):
    rule = invalid_integer(control)
    if rule == InvalidInteger.indefinite:
        # Smallest signed integer; of an unsigned type the largest, all ones.
        return (smallest if smallest else largest), _INVALID
    if is_nan:
        if rule == InvalidInteger.saturateNaNByWidth and width == 64:
            return _TOP, _INVALID
        return (largest if rule == InvalidInteger.saturateNaNMax else 0), _INVALID
    return (smallest if sign else largest), _INVALID


@scalar
def to_integer(a, width, signed, fields, control, random):
    """Return (value, flags) of conversion to an integer of `width` bits (IEEE 754-2019 §5.8).

    The value is int64; one of 2**63 or more stands in two's complement. Out of range, infinity and NaN are invalid
    alone; inexact is raised only with `Bit.exact`.
    """
    sign, exponent, significand, kind = read(a, fields, control)
    if signed:
        largest = (1 << (width - 1)) - 1 if width < 64 else _LOW63
        smallest = -largest - 1
    else:
        largest = (1 << width) - 1 if width < 64 else -1
        smallest = 0
    if kind != Kind.finite:
        return _invalid_to_integer(sign, kind >= Kind.quietNaN, width, largest, smallest, control)
    leading = exponent + bit_length(significand) - 1
    if significand and leading >= 63:
        # An integer already, of 64 bits or more.
        rest = (significand - (1 << (leading - exponent))) << exponent if leading == 63 else 0
        fits = leading == 63 and width == 64 and ((not signed and not sign) or (signed and sign and rest == 0))
        if not fits:
            return _invalid_to_integer(sign, False, width, largest, smallest, control)
        return _TOP + rest, 0
    kept, fraction, sticky = discard(significand, 0, -exponent)
    kept += increment(control, sign, kept & 1, fraction, sticky, random)
    value = -kept if sign else kept
    unsigned64 = width == 64 and not signed
    if value < smallest or (value > largest and not unsigned64):
        return _invalid_to_integer(sign, False, width, largest, smallest, control)
    return value, _INEXACT if (fraction | sticky) != 0 and has(control, Bit.exact) else 0


@scalar
def from_integer(value, signed, to, control, random):
    """Return (bits, flags) of a 64-bit integer rounded to `to`; an unsigned one arrives in two's complement."""
    sign = 1 if signed and value < 0 else 0
    if value == _TOP or (value < 0 and not signed):
        # 2**63 or more: one bit moves to the tail.
        low = value & _LOW63
        return round_pack(sign, 1, (low >> 1) + (1 << 62), (low & 1) << 31, to, control, random)
    return round_pack(sign, 0, -value if sign else value, 0, to, control, random)
