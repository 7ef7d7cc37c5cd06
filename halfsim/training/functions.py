"""Functions of binary64 arrays that every machine evaluates to the same bits: made of + - * / and `elementary`."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from halfsim._state import default_state
from halfsim.kernels import elementary

__all__ = ["Array", "cos", "erf", "erfc", "exp", "log", "sigmoid", "sin", "tanh"]

Array: TypeAlias = NDArray[Any]

# Half of pi in three parts: the first two have 33 bits, so that a few hundred thousand times them is exact.
_QUARTERS = tuple(float.fromhex(part) for part in ("0x1.921fb544p+0", "0x1.0b4611a6p-34", "0x1.3198a2e037073p-69"))
_NEAR = 2.0**18
_BITS = 1024 + 192
"""Of half of pi after the point: those before the point of the largest number of binary64, and those of its rest."""


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
    """Return the sines, NaN for infinities: Taylor's series about multiples of pi / 2."""
    return _circular(x, 0)


def cos(x: Array) -> Array:
    """Return the cosines, as `sin` does."""
    return _circular(x, 1)


@default_state()
def _circular(x: Array, turn: int) -> Array:
    size = np.abs(x)
    finite, near = size < np.inf, size <= _NEAR
    r = np.where(near, x, 0.0)
    quarter = np.floor(r / (math.pi / 2) + 0.5)
    for part in _QUARTERS:
        r = r - quarter * part
    far = finite & ~near
    if far.any():
        quarter[far], r[far] = np.transpose([_reduced(number) for number in x[far].tolist()])
    square = r * r
    odd, even = np.ones_like(r), np.ones_like(r)
    for n in range(20, 1, -2):
        odd = 1.0 - odd * square / (n * (n + 1))
        even = 1.0 - even * square / (n * (n - 1))
    which = (quarter.astype(np.int64) + turn) & 3
    value = np.where(which & 1, even, r * odd)
    return np.where(finite, np.where(which & 2, -value, value), np.nan)


def _reduced(x: float) -> tuple[int, float]:
    """Return the nearest multiple of pi / 2, modulo four, and the rest of a large number, rounded once."""
    half_pi = _half_pi()
    numerator, denominator = x.as_integer_ratio()
    quarter, rest = divmod((numerator << _BITS) // denominator + half_pi // 2, half_pi)
    return quarter & 3, (rest - half_pi // 2) / (1 << _BITS)


@cache
def _half_pi() -> int:
    """Return half of pi as an integer, 8 atan(1/5) - 2 atan(1/239) by their series."""
    one = 1 << _BITS + 32

    def arctangent(inverse: int) -> int:
        terms = range(1, _BITS, 2)
        return sum((1 if n % 4 == 1 else -1) * one // (n * inverse**n) for n in terms)

    return (8 * arctangent(5) - 2 * arctangent(239)) >> 32
