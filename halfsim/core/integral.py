"""Whole numbers and exponents: round_to_integral, scaleb, logb, and the neighbours nextup and nextdown."""

from __future__ import annotations

from halfsim.core._jit import scalar
from halfsim.core.arithmetic import nan2, read
from halfsim.core.control import Bit, has
from halfsim.core.fields import Kind, bit_length, unpack
from halfsim.core.round import discard, increment, round_pack, zero
from halfsim.flags import Flags

__all__ = ["logb", "nextdown", "nextup", "round_to_integral", "scaleb"]

_INEXACT = int(Flags.inexact)
_DIVIDE_BY_ZERO = int(Flags.divideByZero)


@scalar
def round_to_integral(a, fields, control, random):
    """Return (bits, flags) of the integral value (IEEE 754-2019 §5.9); inexact is raised only with `Bit.exact`."""
    sign, exponent, significand, kind = read(a, fields, control)
    if kind >= Kind.quietNaN:
        return nan2(a, kind, a, Kind.finite, fields, fields, control)
    if kind == Kind.infinite or exponent >= 0:
        return a, 0
    kept, fraction, sticky = discard(significand, 0, -exponent)
    kept += increment(control, sign, kept & 1, fraction, sticky, random)
    flags = _INEXACT if (fraction | sticky) != 0 and has(control, Bit.exact) else 0
    bits, _ = round_pack(sign, 0, kept, 0, fields, control, random)
    return bits, flags


@scalar
def scaleb(a, power, fields, control, random):
    """Return (bits, flags) of a * 2**power, rounded once (IEEE 754-2019 §5.3.3)."""
    sign, exponent, significand, kind = read(a, fields, control)
    if kind >= Kind.quietNaN:
        return nan2(a, kind, a, Kind.finite, fields, fields, control)
    if kind == Kind.infinite:
        return a, 0
    # Beyond this range every nonzero significand overflows or lies far below the last place.
    limit = 4096
    # (Numba's CUDA target does not compile min and max everywhere.)
    power = limit if power > limit else -limit if power < -limit else power
    return round_pack(sign, exponent + power, significand, 0, fields, control, random)


@scalar
def logb(a, fields, control, random):
    """Return (bits, flags) of the exponent as a number of the format; logb(0) is -infinity and divides by zero."""
    _, exponent, significand, kind = read(a, fields, control)
    if kind >= Kind.quietNaN:
        return nan2(a, kind, a, Kind.finite, fields, fields, control)
    if kind == Kind.infinite:
        return fields.infinity, 0
    if significand == 0:
        return zero(1, fields) + fields.infinity, _DIVIDE_BY_ZERO
    value = exponent + bit_length(significand) - 1
    return round_pack(1 if value < 0 else 0, 0, abs(value), 0, fields, control, random)


@scalar
def _next(a, downward, fields, control):
    sign, _, _, kind = unpack(a, fields)
    if kind >= Kind.quietNaN:
        return nan2(a, kind, a, Kind.finite, fields, fields, control)
    magnitude = a - sign * fields.sign_bit
    if sign != downward:
        # Toward zero from the other side; the smallest subnormal steps to the zero of its own sign.
        if magnitude == 0:
            return zero(downward, fields) + 1, 0
        return a - 1, 0
    return (a if magnitude == fields.infinity else a + 1), 0


@scalar
def nextup(a, fields, control, random):
    """Return (bits, flags) of the least value greater than a (IEEE 754-2019 §5.3.1); `random` is not used."""
    return _next(a, 0, fields, control)


@scalar
def nextdown(a, fields, control, random):
    """Return (bits, flags) of the greatest value less than a; `random` is not used."""
    return _next(a, 1, fields, control)
