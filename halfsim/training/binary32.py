"""Binary32 numbers: what every narrower one is, and products whose every operation is rounded to it."""

from __future__ import annotations

import numpy as np

from halfsim.arrays import contiguous
from halfsim.conversion import convert
from halfsim.environment import IEEE
from halfsim.formats import BINARY16, BINARY32
from halfsim.kernels import conversion
from halfsim.kernels.gemm32 import matmul32
from halfsim.options import rounding_control
from halfsim.training.functions import Array

__all__ = ["product32", "widen"]

_TO_BINARY32 = rounding_control("convert", "rne", IEEE)


def widen(x: Array) -> Array:
    """Return numbers as binary32, which has all of them, in the order of memory; binary32 ones as they are.

    Parameters
    ----------
    x : array
        float16, float32 or integers.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.training.binary32 import widen
    >>> widen(np.float16([0.1]))
    array([0.09997559], dtype=float32)
    """
    if x.dtype != np.float16:
        return x.astype(np.float32, copy=False)
    if x.flags.c_contiguous:
        # NumPy's own cast takes an element at a time, and the front door's checks longer than a small array.
        found = conversion.fast(x.reshape(-1).view(np.uint16), BINARY16, BINARY32, _TO_BINARY32)
        return np.asarray(convert(x, BINARY32)) if found is None else found.view(np.float32).reshape(x.shape)
    return widen(x.T).T if x.flags.f_contiguous else x.astype(np.float32)


def product32(a: Array, b: Array, c: Array | None = None) -> Array:
    """Return ``c + a @ b`` of float32 matrices, every product and sum rounded to binary32, k ascending.

    Parameters
    ----------
    a, b : float32 array, shape (M, K) and (K, N)
        Factors.
    c : float32 array, optional
        Where every sum starts; broadcast to (M, N), +0 by default.

    Raises
    ------
    ValueError
        If A has another number of columns than B has rows.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.training.binary32 import product32
    >>> ones = np.ones((1, 3), np.float32)
    >>> product32(ones, np.array([[2.0**24], [1], [1]], np.float32)).item() == 2**24
    True
    """
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"product32: A {a.shape} and B {b.shape} do not fit; make columns of A and rows of B equal")
    rows, columns = a.shape[0], b.shape[1]
    z = np.zeros((rows, columns), np.float32)
    if c is not None:
        z[...] = c
    if columns >= rows:
        matmul32(contiguous(a), contiguous(b), z)
        return z
    # The loop is fast along the columns; the transposed product makes the same roundings.
    z = contiguous(z.T)
    matmul32(contiguous(b.T), contiguous(a.T), z)
    return contiguous(z.T)
