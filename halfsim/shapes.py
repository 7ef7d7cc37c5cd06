"""How the operands of products and sums pair up: patterns of matrices, stacks of them, vectors, addends and axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from halfsim.arrays import contiguous, plain_array
from halfsim.kernels.product import Operands

__all__ = ["SumLayout", "addend", "check_addend", "matrices", "sum_layout", "summands", "vectors"]

_F16 = np.dtype(np.float16)
_F32 = np.dtype(np.float32)
_ONLY = np.zeros(1, np.int64)


def matrices(name: str, a: NDArray[Any], b: NDArray[Any]) -> tuple[tuple[int, ...], Operands]:
    """Return the shape of ``a @ b``, as `numpy.matmul` has it, and the operands."""
    if a.ndim == 0 or b.ndim == 0:
        which = "A" if a.ndim == 0 else "B"
        raise ValueError(f"{name}: {which} is a scalar; pass at least one dimension, or use halfsim.multiply")
    left = a if a.ndim > 1 else a.reshape(1, -1)
    right = b if b.ndim > 1 else b.reshape(-1, 1)
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(
            f"{name}: A {a.shape} and B {b.shape} do not fit: A has {left.shape[-1]} columns and B "
            f"{right.shape[-2]} rows; make them equal"
        )
    core = (left.shape[-2],) * (a.ndim > 1) + (right.shape[-1],) * (b.ndim > 1)
    if right.ndim == 2:
        # One matrix B for all: the products are one with more rows.
        rows = left.reshape(1, math.prod(left.shape[:-1]), left.shape[-1])
        operands = Operands(contiguous(rows), contiguous(right.reshape(1, *right.shape)), _ONLY, _ONLY)
        return left.shape[:-2] + core, operands
    return _batches(name, a, b, left, right, core)


def _batches(
    name: str, a: NDArray[Any], b: NDArray[Any], left: NDArray[Any], right: NDArray[Any], core: tuple[int, ...]
) -> tuple[tuple[int, ...], Operands]:
    """Pair the matrices of two stacks by broadcasting their indices, not their elements."""
    try:
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        raise ValueError(
            f"{name}: the leading dimensions of A {a.shape} and B {b.shape} do not broadcast; make them equal or 1"
        ) from None
    stacks, indices = [], []
    for x in (left, right):
        count = math.prod(x.shape[:-2])
        stacks.append(contiguous(x.reshape(count, *x.shape[-2:])))
        index = np.arange(count, dtype=np.int64).reshape(x.shape[:-2])
        indices.append(np.broadcast_to(index, batch).reshape(-1).copy())
    return batch + core, Operands(stacks[0], stacks[1], indices[0], indices[1])


def vectors(name: str, a: NDArray[Any], b: NDArray[Any]) -> tuple[tuple[int, ...], Operands]:
    """Return the shape of the dot products along the last axis, and the operands."""
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"{name}: A {a.shape} and B {b.shape} must have the same last dimension; make them equal")
    return _batches(name, a, b, a[..., None, :], b[..., :, None], ())


def addend(name: str, C: Any, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """Return a contiguous copy of C, broadcast to the result."""
    if C is None:
        return None
    array = C if isinstance(C, np.ndarray) else plain_array(name, "C", C)
    kind = type(C).__name__ if isinstance(C, float | int) else f"{array.dtype} array"
    check_addend(name, kind, array.dtype, array.shape, shape)
    return np.broadcast_to(array, shape).astype(_F16 if array.dtype.itemsize == 2 else _F32, order="C")


def check_addend(name: str, kind: str, dtype: np.dtype[Any], own: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raise an error unless C, of a kind, dtype and shape of its own, can be added to a result of a shape."""
    if not (dtype.kind == "f" and dtype.itemsize in (2, 4)) or kind in ("float", "int"):
        raise TypeError(f"{name}: C is a {kind}; pass float16 or float32, rounding with halfsim.convert where needed")
    try:
        fits = np.broadcast_shapes(own, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name}: C has shape {own}, which does not broadcast to the result's {shape}; pass that shape"
        )


class SumLayout(NamedTuple):
    """How the sums along axes are the product of a row of ones with a matrix."""

    shape: tuple[int, ...]
    """Of the result."""
    order: tuple[int, ...]
    """The axes of the operand: those summed over, then the others."""
    axes: int
    """How many the former are."""
    terms: int
    columns: int


def sum_layout(name: str, shape: tuple[int, ...], axis: int | Sequence[int] | None, keepdims: bool) -> SumLayout:
    """Return the layout of the sums along axes of an operand of a shape."""
    axes = _axes(name, axis, len(shape))
    kept = [i for i in range(len(shape)) if i not in axes]
    terms, columns = (math.prod(shape[i] for i in chosen) for chosen in (axes, kept))
    result = tuple(1 if i in axes else n for i, n in enumerate(shape) if keepdims or i not in axes)
    return SumLayout(result, (*axes, *kept), len(axes), terms, columns)


def summands(x: NDArray[Any], one: NDArray[Any]) -> Operands:
    """Return the sums of the columns of a matrix as products with a row of ones.

    `one` is the pattern of 1, which numbers in float32 do not need.
    """
    one = np.ones((), np.float32) if x.dtype == np.float32 else one
    return Operands(np.full((1, 1, x.shape[0]), one), contiguous(x[None]), _ONLY, _ONLY)


def _axes(name: str, axis: int | Sequence[int] | None, ndim: int) -> list[int]:
    """Return the axes to sum over, in ascending order."""
    if axis is None:
        return list(range(ndim))
    chosen = list(axis) if isinstance(axis, Sequence | np.ndarray) else [axis]
    if not all(isinstance(i, int | np.integer) and -ndim <= i < ndim for i in chosen):
        raise ValueError(
            f"{name}: axis={axis!r} is not among the {ndim} axes of x; pass -{ndim} to {ndim - 1}, or None"
        )
    axes = sorted(int(i) % ndim for i in chosen)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: axis={axis!r} names an axis twice; name each once")
    return axes
