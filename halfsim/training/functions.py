"""Functions of binary64 arrays that every machine evaluates to the same bits: made of + - * / and `elementary`."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from halfsim.kernels import elementary

__all__ = ["Array", "exp", "log", "sigmoid", "tanh"]

Array: TypeAlias = NDArray[Any]


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
    size = np.abs(x)
    e = exp(-2.0 * size)
    small = size * (1.0 - size * size / 3.0)
    return np.copysign(np.where(size < 2.0**-10, small, (1.0 - e) / (1.0 + e)), x)


def sigmoid(x: Array) -> Array:
    """Return (1 or e) / (1 + e), e = exp(-|x|), which cannot overflow."""
    e = exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, e) / (1.0 + e))
