"""Quotients and roots: divide, remainder and square root, by integer division with a sticky remainder."""

from __future__ import annotations

from halfsim.core._jit import scalar
from halfsim.core.arithmetic import nan2, read
from halfsim.core.fields import Kind, bit_length
from halfsim.core.nan import invalid
from halfsim.core.round import round_pack, zero
from halfsim.flags import Flags

__all__ = ["divide", "remainder", "sqrt"]

_DIVIDE_BY_ZERO = int(Flags.divideByZero)


@scalar
def divide(a, b, fields, control, random):
    """Return (bits, flags) of a / b (precision at most 14, so that a quotient keeps 32 bits below its last)."""
    sign_a, exponent_a, significand_a, kind_a = read(a, fields, control)
    sign_b, exponent_b, significand_b, kind_b = read(b, fields, control)
    if kind_a >= Kind.quietNaN or kind_b >= Kind.quietNaN:
        return nan2(a, kind_a, b, kind_b, fields, fields, control)
    sign = sign_a ^ sign_b
    if kind_a == Kind.infinite:
        if kind_b == Kind.infinite:
            return invalid(fields, control)
        return zero(sign, fields) + fields.infinity, 0
    if kind_b == Kind.infinite:
        return zero(sign, fields), 0
    if significand_b == 0:
        if significand_a == 0:
            return invalid(fields, control)
        return zero(sign, fields) + fields.infinity, _DIVIDE_BY_ZERO
    if significand_a == 0:
        return zero(sign, fields), 0
    # Dividend at 61 bits, divisor normalised: the quotient has at least 60 - precision bits.
    shift = 61 - bit_length(significand_a)
    normal = fields.precision - bit_length(significand_b)
    dividend = significand_a << shift
    divisor = significand_b << normal
    quotient = dividend // divisor
    tail = 1 if quotient * divisor != dividend else 0
    exponent = exponent_a - shift - exponent_b + normal
    return round_pack(sign, exponent, quotient, tail, fields, control, random)


@scalar
def sqrt(a, fields, control, random):
    """Return (bits, flags) of the square root (precision at most 24)."""
    sign, exponent, significand, kind = read(a, fields, control)
    if kind >= Kind.quietNaN:
        return nan2(a, kind, a, Kind.finite, fields, fields, control)
    if kind == Kind.finite and significand == 0:
        return zero(sign, fields), 0
    if sign:
        return invalid(fields, control)
    if kind == Kind.infinite:
        return fields.infinity, 0
    # Radicand of 62 bits with an even exponent; each step takes two of its bits and gives one of the root.
    shift = 62 - bit_length(significand)
    if (exponent - shift) & 1:
        shift -= 1
    significand <<= shift
    exponent -= shift
    root = 0
    rest = 0
    places = fields.precision + 34
    for step in range(places):
        position = 60 - 2 * step
        rest <<= 2
        if position >= 0:
            rest |= (significand >> position) & 3
        trial = (root << 2) | 1
        root <<= 1
        if rest >= trial:
            rest -= trial
            root |= 1
    # `root` is the square root of the radicand times 4**(places - 31), rounded down.
    return round_pack(0, exponent // 2 - (places - 31), root, 1 if rest else 0, fields, control, random)


@scalar
def remainder(a, b, fields, control, random):
    """Return (bits, flags) of a - b * n, n the integer nearest a / b, ties to even (IEEE 754-2019 §5.3.1).

    Always exact. For precision at most 11 and exponents at most 40 apart.
    """
    sign, exponent_a, significand_a, kind_a = read(a, fields, control)
    _, exponent_b, significand_b, kind_b = read(b, fields, control)
    if kind_a >= Kind.quietNaN or kind_b >= Kind.quietNaN:
        return nan2(a, kind_a, b, kind_b, fields, fields, control)
    if kind_a == Kind.infinite or (kind_b == Kind.finite and significand_b == 0):
        return invalid(fields, control)
    if kind_b == Kind.infinite or significand_a == 0:
        return round_pack(sign, exponent_a, significand_a, 0, fields, control, random)
    exponent = exponent_a if exponent_a < exponent_b else exponent_b
    dividend = significand_a << (exponent_a - exponent)
    divisor = significand_b << (exponent_b - exponent)
    quotient = dividend // divisor
    rest = dividend - quotient * divisor
    if 2 * rest > divisor or (2 * rest == divisor and (quotient & 1) != 0):
        return round_pack(1 - sign, exponent, divisor - rest, 0, fields, control, random)
    return round_pack(sign, exponent, rest, 0, fields, control, random)
