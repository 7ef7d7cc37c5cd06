"""Functions of binary64 arrays that every machine evaluates to the same bits: made of + - * / and `elementary`."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from halfsim.kernels import elementary

__all__ = ["Array", "cos", "erf", "erfc", "exp", "log", "sigmoid", "sin", "tanh"]

Array: TypeAlias = NDArray[Any]

# Half of pi in three parts: the first two have 33 bits, so that a few hundred thousand times them is exact.
_QUARTERS = tuple(float.fromhex(part) for part in ("0x1.921fb544p+0", "0x1.0b4611a6p-34", "0x1.3198a2e037073p-69"))


def exp(x: Array) -> Array:
    """Return the exponentials."""
    result = np.empty_like(x)
    elementary.exp(x, result)
    return result


def log(x: Array) -> Array:
    """Return the natural logarithms."""
    result = np.empty_like(x)
    elementary.log(x, result)
    return result


def tanh(x: Array) -> Array:
    """Return (1 - e) / (1 + e), e = exp(-2|x|), with the sign of x; where |x| < 2**-10, x - x³ / 3."""
    result = np.empty_like(x)
    elementary.tanh(x, result)
    return result


def sigmoid(x: Array) -> Array:
    """Return (1 or e) / (1 + e), e = exp(-|x|), which cannot overflow."""
    result = np.empty_like(x)
    elementary.sigmoid(x, result)
    return result


def erf(x: Array) -> Array:
    """Return the error function: below 2.5 its series with positive terms alone, beyond it 1 less `erfc`."""
    result = np.empty_like(x)
    elementary.erf(x, result)
    return result


def erfc(x: Array) -> Array:
    """Return 1 less the error function, without cancellation where x is large."""
    result = np.empty_like(x)
    elementary.erfc(x, result)
    return result


def sin(x: Array) -> Array:
    """Return the sines of numbers up to 2**18 in magnitude, NaN beyond: Taylor's series about multiples of pi / 2."""
    return _circular(x, 0)


def cos(x: Array) -> Array:
    """Return the cosines, as `sin` does."""
    return _circular(x, 1)


def _circular(x: Array, turn: int) -> Array:
    near = np.abs(x) <= 2.0**18
    x = np.where(near, x, 0.0)
    quarter = np.floor(x / (math.pi / 2) + 0.5)
    r = x
    for part in _QUARTERS:
        r = r - quarter * part
    square = r * r
    odd, even = np.ones_like(r), np.ones_like(r)
    for n in range(20, 1, -2):
        odd = 1.0 - odd * square / (n * (n + 1))
        even = 1.0 - even * square / (n * (n - 1))
    which = (quarter.astype(np.int64) + turn) & 3
    value = np.where(which & 1, even, r * odd)
    return np.where(near, np.where(which & 2, -value, value), np.nan)
