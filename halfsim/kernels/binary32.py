"""Elementwise arithmetic of binary32: every operation rounds once, to nearest, ties to even.

Equal to `halfsim.core.arithmetic` and `halfsim.core.division` in binary32, bit by bit, for every operand (tests prove
it), but that of two NaNs the processor may return either. As all kernels, these compute in the default state of the
floating-point unit, whatever other libraries set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from halfsim.core._jit import choose_by_type, inlined, kernel

__all__ = ["add", "divide", "multiply", "narrow", "sqrt", "subtract"]

_Array = NDArray[Any]


class _Add(NamedTuple):
    """The operation of `_combine` by its type."""


class _Subtract(NamedTuple):
    """As `_Add`."""


class _Multiply(NamedTuple):
    """As `_Add`."""


class _Divide(NamedTuple):
    """As `_Add`."""


def _apply(operation, x, y):
    """Return the result of an operation."""
    raise NotImplementedError("for compiled loops only")


@inlined
def _add(operation, x, y):
    return x + y


@inlined
def _subtract(operation, x, y):
    return x - y


@inlined
def _multiply(operation, x, y):
    return x * y


@inlined
def _divide(operation, x, y):
    return x / y


choose_by_type(_apply, {_Add: _add, _Subtract: _subtract, _Multiply: _multiply, _Divide: _divide})


@inlined
def _combine(operation, a, b, z):
    """Fill z (rows, columns) from a and b, which have as many rows and columns each, or one that stands for all."""
    columns = z.shape[1]
    for i in range(z.shape[0]):
        x, y, row = a[i if a.shape[0] > 1 else 0], b[i if b.shape[0] > 1 else 0], z[i]
        if x.size == columns and y.size == columns:
            for j in range(columns):
                row[j] = _apply(operation, x[j], y[j])
        elif y.size == 1:
            for j in range(columns):
                row[j] = _apply(operation, x[j], y[0])
        else:
            for j in range(columns):
                row[j] = _apply(operation, x[0], y[j])


@kernel
def _sums(a, b, z):
    _combine(_Add(), a, b, z)


@kernel
def _differences(a, b, z):
    _combine(_Subtract(), a, b, z)


@kernel
def _products(a, b, z):
    _combine(_Multiply(), a, b, z)


@kernel
def _quotients(a, b, z):
    _combine(_Divide(), a, b, z)


@kernel
def _roots(x, z):
    for i in range(x.size):
        z[i] = np.sqrt(x[i])


@kernel
def _rounded(x, z):
    for i in range(x.size):
        z[i] = np.float32(x[i])


def add(a: _Array, b: _Array) -> _Array:
    """Return ``a + b`` of float32 arrays, broadcast."""
    return _elementwise(_sums, a, b)


def subtract(a: _Array, b: _Array) -> _Array:
    """Return ``a - b`` of float32 arrays, broadcast."""
    return _elementwise(_differences, a, b)


def multiply(a: _Array, b: _Array) -> _Array:
    """Return ``a * b`` of float32 arrays, broadcast."""
    return _elementwise(_products, a, b)


def divide(a: _Array, b: _Array) -> _Array:
    """Return ``a / b`` of float32 arrays, broadcast."""
    return _elementwise(_quotients, a, b)


def sqrt(x: _Array) -> _Array:
    """Return the square roots of a float32 array."""
    return _unary(_roots, x)


def narrow(x: _Array) -> _Array:
    """Return a float64 array rounded to binary32."""
    return _unary(_rounded, x)


def _unary(loop: Callable[..., None], x: _Array) -> _Array:
    if not x.flags.c_contiguous:
        axes = _order(x)
        return _unary(loop, np.ascontiguousarray(x.transpose(axes))).transpose(np.argsort(axes))
    z = np.empty(x.shape, np.float32)
    loop(x.reshape(-1), z.reshape(-1))
    return z


def _elementwise(loop: Callable[..., None], a: _Array, b: _Array) -> _Array:
    """Run a loop over two arrays; the result lies in memory as the first operand that is not broadcast."""
    if a.flags.c_contiguous and b.flags.c_contiguous:
        # Nearly all there are: what follows would take longer than a short loop.
        if a.shape == b.shape or not a.ndim or not b.ndim:
            z = np.empty(a.shape or b.shape, np.float32)
            loop(a.reshape(1, -1), b.reshape(1, -1), z.reshape(1, -1))
            return z
        if a.ndim == 2 == b.ndim:
            z = np.empty(np.broadcast_shapes(a.shape, b.shape), np.float32)
            loop(a, b, z)
            return z
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = (x.reshape((1,) * (len(shape) - x.ndim) + x.shape) for x in (a, b))
    axes = _order(a if a.shape == shape else b)
    a, b, z = a.transpose(axes), b.transpose(axes), np.empty([shape[axis] for axis in axes], np.float32)
    columns = _columns(z.shape, a.shape, b.shape)
    if columns is None:
        a, b, columns = np.broadcast_to(a, z.shape), np.broadcast_to(b, z.shape), 0
    matrices = (
        np.ascontiguousarray(x).reshape(math.prod(x.shape[:columns]), math.prod(x.shape[columns:])) for x in (a, b, z)
    )
    loop(*matrices)
    return z.transpose(np.argsort(axes))


def _order(x: _Array) -> list[int]:
    """Return the axes of an array in the order of memory."""
    return sorted(range(x.ndim), key=lambda axis: -x.strides[axis] * (x.shape[axis] > 1))


def _columns(shape: Sequence[int], *operands: Sequence[int]) -> int | None:
    """Return the first axis of a row: before it and from it on every operand has all axes or none; None for no such."""

    def whole(axes: slice) -> bool:
        return all(x[axes] == shape[axes] or math.prod(x[axes]) == 1 for x in operands)

    ends = range(len(shape) + 1)
    return next((end for end in ends if whole(slice(0, end)) and whole(slice(end, None))), None)
