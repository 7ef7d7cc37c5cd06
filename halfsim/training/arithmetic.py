"""Arithmetic on whole arrays in binary32 or in binary16, one row each.

Every operation rounds once per element, to nearest, ties to even. Sums are sequential in ascending index. exp and log
are evaluated in binary64 by `halfsim.kernels.elementary`, which has the same bits on every machine, and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import FP16
from halfsim.conversion import convert
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.kernels import elementary
from halfsim.kernels.gemm32 import matmul32
from halfsim.linalg import matmul
from halfsim.operations import add, divide, maximum, multiply, sqrt, subtract

__all__ = ["Arithmetic", "Array", "arithmetic", "product32", "round16"]

Array: TypeAlias = NDArray[Any]
_Binary: TypeAlias = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """What a primitive of a network may compute; arrays in and arrays out, all of one dtype.

    Parameters
    ----------
    dtype : numpy dtype
        Of operands and results.
    convert : callable
        Rounds to the format, once.
    add, subtract, multiply, divide, sqrt : callable
        Correctly rounded elementwise operations.
    positive_part : callable
        The larger of an element and +0: +0 for -0, NaN for NaN.
    product : callable
        Matrix product, summed sequentially in the format.
    """

    dtype: np.dtype[Any]
    convert: Callable[[Any], Array]
    add: _Binary
    subtract: _Binary
    multiply: _Binary
    divide: _Binary
    sqrt: Callable[[Any], Any]
    positive_part: Callable[[Array], Array]
    product: Callable[[Array, Array], Array]

    def exp(self, x: Array) -> Array:
        """Return the exponentials."""
        return self.convert(_elementary(elementary.exp, x, elementary.POWERS))

    def log(self, x: Array) -> Array:
        """Return the natural logarithms."""
        return self.convert(_elementary(elementary.log, x))

    def sum(self, x: Array, axis: int) -> Array:
        """Return the sums of a matrix along axis 0 or 1, which stays with length 1."""
        # Products with one are exact, so this is the plain sequential sum.
        if axis == 0:
            return self.product(np.ones((1, x.shape[0]), self.dtype), x)
        return self.product(x, np.ones((x.shape[1], 1), self.dtype))


def arithmetic(format: Format) -> Arithmetic:
    """Return the arithmetic of `BINARY16` or `BINARY32`.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.formats import BINARY16
    >>> r = arithmetic(BINARY16)
    >>> r.sum(np.ones((2, 3000), np.float16), 1).tolist()
    [[2048.0], [2048.0]]
    """
    if format == BINARY16:
        return _BINARY16
    if format == BINARY32:
        return _BINARY32
    raise ValueError(f"arithmetic: format={format!r} must be halfsim.BINARY16 or halfsim.BINARY32")


def round16(x: Any) -> Array:
    """Return x rounded to binary16, as an array."""
    x = np.asarray(x)
    return x if x.dtype == np.float16 else np.asarray(convert(x, BINARY16))


def _round32(x: Any) -> Array:
    return np.asarray(x, np.float32)


def _positive16(x: Array) -> Array:
    return np.asarray(maximum(x, np.zeros((), x.dtype)))


def _positive32(x: Array) -> Array:
    # NumPy leaves the sign of max(-0, +0) open; adding +0 makes it +0 and changes nothing else.
    zero = np.zeros((), x.dtype)
    return np.asarray(np.maximum(x, zero) + zero)


def _product16(a: Array, b: Array) -> Array:
    return np.asarray(matmul(a, b, accumulator=FP16))


def product32(a: Array, b: Array, c: Array | None = None) -> Array:
    """Return ``c + a @ b`` of float32 matrices, every product and sum rounded to binary32, k ascending.

    Parameters
    ----------
    a, b : float32 array, shape (M, K) and (K, N)
        Factors.
    c : float32 array, optional
        Where every sum starts; broadcast to (M, N), +0 by default.

    Examples
    --------
    >>> import numpy as np
    >>> ones = np.ones((1, 3), np.float32)
    >>> product32(ones, np.array([[2.0**24], [1], [1]], np.float32)).item() == 2**24
    True
    """
    rows, columns = a.shape[0], b.shape[1]
    z = np.zeros((rows, columns), np.float32)
    if c is not None:
        z[...] = c
    if columns >= rows:
        matmul32(np.ascontiguousarray(a), np.ascontiguousarray(b), z)
        return z
    # The loop is fast along the columns; the transposed product makes the same roundings.
    z = np.ascontiguousarray(z.T)
    matmul32(np.ascontiguousarray(b.T), np.ascontiguousarray(a.T), z)
    return np.ascontiguousarray(z.T)


def _elementary(function: Callable[..., None], x: Array, *more: Array) -> Array:
    wide = np.ascontiguousarray(x, np.float64)
    result = np.empty_like(wide)
    function(wide.reshape(-1), result.reshape(-1), *more)
    return result


_BINARY16 = Arithmetic(
    dtype=np.dtype(np.float16),
    convert=round16,
    add=add,
    subtract=subtract,
    multiply=multiply,
    divide=divide,
    sqrt=sqrt,
    positive_part=_positive16,
    product=_product16,
)
# NumPy's elementwise float32 operations are those of IEEE binary32, correctly rounded on every machine.
_BINARY32 = Arithmetic(
    dtype=np.dtype(np.float32),
    convert=_round32,
    add=np.add,
    subtract=np.subtract,
    multiply=np.multiply,
    divide=np.divide,
    sqrt=np.sqrt,
    positive_part=_positive32,
    product=product32,
)
