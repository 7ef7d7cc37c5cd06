"""The witness's rounding: a value in binary64 to binary16, by comparing with halves; nothing of the package.

Numba's options are given here and not in `core._jit`, with which the witness shares nothing.
"""

from __future__ import annotations

import math

import numba

__all__ = ["DIVIDE_BY_ZERO", "INVALID", "NAN", "compiled", "rounded"]

compiled = numba.njit(nogil=True)
"""Compile a function of the witness."""

NAN = 0x7E00
_INEXACT, _UNDERFLOW, _OVERFLOW, DIVIDE_BY_ZERO, INVALID = 1, 2, 4, 8, 16


@compiled
def _away(negative, whole, rest, mode, word, bits):
    if rest == 0.0:
        return 0.0
    if mode == 0:
        return 1.0 if rest > 0.5 or (rest == 0.5 and whole % 2.0 == 1.0) else 0.0
    if mode == 1:
        return 0.0
    if mode == 2:
        return 1.0 if negative else 0.0
    if mode == 3:
        return 0.0 if negative else 1.0
    if mode == 4:
        return 1.0 if rest >= 0.5 else 0.0
    if mode == 5:
        return 1.0 if whole % 2.0 == 0.0 else 0.0
    scale = 2.0**bits
    return 1.0 if rest * scale + math.floor(word / 2.0 ** (32 - bits)) >= scale else 0.0


@compiled
def rounded(value, mode, before, word, bits):
    """Pattern and flags of a nonzero finite value."""
    negative = value < 0.0
    sign = 0x8000 if negative else 0
    magnitude = abs(value)
    _, exponent = math.frexp(magnitude)
    exponent -= 1
    tiny = exponent < -14
    if tiny and not before:
        scaled = math.ldexp(magnitude, 10 - exponent)
        whole = math.floor(scaled)
        whole += _away(negative, whole, scaled - whole, mode, word, bits)
        tiny = math.ldexp(whole, exponent - 10) < 2.0**-14
    unit = max(exponent, -14) - 10
    scaled = math.ldexp(magnitude, -unit)
    whole = math.floor(scaled)
    rest = scaled - whole
    whole += _away(negative, whole, rest, mode, word, bits)
    result = math.ldexp(whole, unit)
    if result > 65504.0:
        to_infinity = mode == 0 or mode == 4 or mode == 6 or (mode == 3 and not negative) or (mode == 2 and negative)
        return sign | (0x7C00 if to_infinity else 0x7BFF), _OVERFLOW | _INEXACT
    flags = 0
    if rest != 0.0:
        flags = _INEXACT | (_UNDERFLOW if tiny else 0)
    if result < 2.0**-14:
        return sign | int(result * 2.0**24), flags
    fraction, exponent = math.frexp(result)
    return sign | ((exponent + 14) << 10) + int((fraction * 2.0 - 1.0) * 1024.0), flags
