"""Arithmetic on whole arrays in binary32 or in binary16, with the same words for both.

Every method rounds once per element, to nearest, ties to even. Sums are sequential in ascending index. exp and log are
evaluated in binary64 by `halfsim.kernels.elementary`, which has the same bits on every machine, and rounded once.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import FP16
from halfsim.conversion import convert
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.kernels import elementary
from halfsim.kernels.gemm32 import matmul32
from halfsim.linalg import matmul
from halfsim.operations import add, divide, maximum, multiply, subtract

__all__ = ["Array", "Arithmetic", "Binary16", "Binary32", "arithmetic", "product32"]

Array: TypeAlias = NDArray[Any]


class Arithmetic(Protocol):
    """What a primitive of a network may compute; arrays in and arrays out, all of dtype `dtype`."""

    dtype: np.dtype[Any]

    def convert(self, x: Any) -> Array:
        """Round to the format, once."""

    def add(self, a: Array, b: Array) -> Array:
        """Return ``round(a + b)``."""

    def subtract(self, a: Array, b: Array) -> Array:
        """Return ``round(a - b)``."""

    def multiply(self, a: Array, b: Array) -> Array:
        """Return ``round(a * b)``."""

    def divide(self, a: Array, b: Array) -> Array:
        """Return ``round(a / b)``."""

    def maximum(self, a: Array, b: Array) -> Array:
        """Return the larger operand, NaN if either is NaN."""

    def exp(self, x: Array) -> Array:
        """Return the exponential."""

    def log(self, x: Array) -> Array:
        """Return the natural logarithm."""

    def sum(self, x: Array, axis: int) -> Array:
        """Return the sums of a matrix along axis 0 or 1, which stays with length 1."""


class Binary32:
    """IEEE binary32: NumPy's elementwise float32 operations are correctly rounded; sums have a fixed order here."""

    dtype = np.dtype(np.float32)

    def convert(self, x: Any) -> Array:
        return np.asarray(x, np.float32)

    add = staticmethod(np.add)
    subtract = staticmethod(np.subtract)
    multiply = staticmethod(np.multiply)
    divide = staticmethod(np.divide)
    maximum = staticmethod(np.maximum)

    def exp(self, x: Array) -> Array:
        return _exp64(x).astype(np.float32)

    def log(self, x: Array) -> Array:
        return _log64(x).astype(np.float32)

    def sum(self, x: Array, axis: int) -> Array:
        if axis == 0:
            return product32(np.ones((1, x.shape[0]), np.float32), x)
        return product32(x, np.ones((x.shape[1], 1), np.float32))


class Binary16:
    """IEEE binary16 through the operations of halfsim."""

    dtype = np.dtype(np.float16)

    def convert(self, x: Any) -> Array:
        x = np.asarray(x)
        return x if x.dtype == np.float16 else np.asarray(convert(x, BINARY16))

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(add(a, b))

    def subtract(self, a: Array, b: Array) -> Array:
        return np.asarray(subtract(a, b))

    def multiply(self, a: Array, b: Array) -> Array:
        return np.asarray(multiply(a, b))

    def divide(self, a: Array, b: Array) -> Array:
        return np.asarray(divide(a, b))

    def maximum(self, a: Array, b: Array) -> Array:
        return np.asarray(maximum(a, b))

    def exp(self, x: Array) -> Array:
        return self.convert(_exp64(x))

    def log(self, x: Array) -> Array:
        return self.convert(_log64(x))

    def sum(self, x: Array, axis: int) -> Array:
        # A product with ones is exact, so this is the plain sequential sum.
        if axis == 0:
            return matmul(np.ones((1, x.shape[0]), np.float16), x, accumulator=FP16)
        return matmul(x, np.ones((x.shape[1], 1), np.float16), accumulator=FP16)


def arithmetic(format: Format) -> Arithmetic:
    """Return the arithmetic of `BINARY16` or `BINARY32`."""
    if format == BINARY16:
        return Binary16()
    if format == BINARY32:
        return Binary32()
    raise ValueError(f"arithmetic: format={format!r} must be halfsim.BINARY16 or halfsim.BINARY32")


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


def _exp64(x: Array) -> Array:
    wide = np.ascontiguousarray(x, np.float64)
    result = np.empty_like(wide)
    elementary.exp(wide.reshape(-1), result.reshape(-1), elementary.POWERS)
    return result


def _log64(x: Array) -> Array:
    wide = np.ascontiguousarray(x, np.float64)
    result = np.empty_like(wide)
    elementary.log(wide.reshape(-1), result.reshape(-1))
    return result
