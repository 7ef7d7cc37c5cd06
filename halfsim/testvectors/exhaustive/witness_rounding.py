"""The witness's rounding: a value in binary64 to binary16, by comparing with halves; nothing of the package.

Numba's options are given here and not in `core._jit`, with which the witness shares nothing.
"""

from __future__ import annotations

import math

import numba
import numpy as np

__all__ = ["DIVIDE_BY_ZERO", "INVALID", "NAN", "compiled", "rounded"]

compiled = numba.njit(nogil=True, error_model="numpy", forceinline=True)
"""Compile a function of the witness."""

NAN = 0x7E00
_INEXACT, _UNDERFLOW, _OVERFLOW, DIVIDE_BY_ZERO, INVALID = 1, 2, 4, 8, 16


@compiled
def _away(negative, whole, rest, mode, word, bits):
    """Whether a magnitude of `whole` units and a `rest` is rounded up."""
    if mode == 0:
        return (rest > 0.5) | ((rest == 0.5) & (whole & 1 == 1))
    if mode == 1:
        return False
    if mode == 2:
        return (rest > 0.0) & negative
    if mode == 3:
        return (rest > 0.0) & (not negative)
    if mode == 4:
        return rest >= 0.5
    if mode == 5:
        return (rest > 0.0) & (whole & 1 == 0)
    scale = 2.0**bits
    return rest * scale + math.floor(word / 2.0 ** (32 - bits)) >= scale


@compiled
def _power(exponent):
    """2**exponent, a normal number."""
    return np.int64((exponent + 1023) << 52).view(np.float64)


@compiled
def rounded(value, mode, before, word, bits):
    """Pattern and flags of a nonzero value of 2**-900 to 2**900."""
    negative = value < 0.0
    sign = 0x8000 if negative else 0
    magnitude = abs(value)
    exponent = (np.float64(magnitude).view(np.int64) >> 52) - 1023
    tiny = exponent < -14
    if exponent == -15 and not before:
        # No smaller number is rounded to one that is not tiny.
        scaled = magnitude * _power(10 - exponent)
        whole = int(scaled)
        whole += _away(negative, whole, scaled - whole, mode, word, bits)
        tiny = whole * _power(exponent - 10) < 2.0**-14
    unit = max(exponent, -14) - 10
    scaled = magnitude * _power(-unit)
    whole = int(scaled)
    rest = scaled - whole
    whole += _away(negative, whole, rest, mode, word, bits)
    if whole * _power(unit) > 65504.0:
        to_infinity = mode == 0 or mode == 4 or mode == 6 or (mode == 3 and not negative) or (mode == 2 and negative)
        return sign | (0x7C00 if to_infinity else 0x7BFF), _OVERFLOW | _INEXACT
    flags = (_INEXACT | (_UNDERFLOW if tiny else 0)) if rest != 0.0 else 0
    # The exponent's field counts units of the smallest magnitude; the first of 1024 to 2048 units is its last one.
    return sign | (((unit + 24) << 10) + whole), flags
