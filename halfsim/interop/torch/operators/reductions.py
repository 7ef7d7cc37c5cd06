"""Sums and means, in the arithmetic of a reduction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from halfsim.interop.torch.call import Call
from halfsim.interop.torch.operators.table import operator
from halfsim.training.arithmetic import Arithmetic, Array

__all__ = ["reduced"]


def reduced(
    call: Call,
    x: torch.Tensor,
    dims: Sequence[int] | int | None,
    keepdim: bool,
    function: Callable[[Arithmetic, Array], Any],
    dtype: torch.dtype | None,
    arithmetic: Arithmetic | None = None,
) -> Any:
    """Return a function of the arithmetic and a matrix, whose rows are reduced, in the shape PyTorch gives it.

    A result without dimensions, usually a loss, is in the arithmetic of the loss and stays there.
    """
    values = call.operand(x)
    axes = sorted({d % max(x.ndim, 1) for d in ([dims] if isinstance(dims, int) else dims or range(x.ndim))})
    kept = [d for d in range(x.ndim) if d not in axes]
    shape = [1 if d in axes else n for d, n in enumerate(x.shape)] if keepdim else [x.shape[d] for d in kept]
    # Sums run over rows in C order of the axes.
    order = [*kept, *axes] if x.ndim else []
    matrix = values.transpose(order).reshape(
        math.prod(x.shape[d] for d in kept), math.prod(x.shape[d] for d in axes if x.ndim)
    )
    loss = not kept and not call.backward
    a = arithmetic or (call.machine.loss if loss else call.reduction_arithmetic)
    return call.stored(a, lambda a: np.asarray(function(a, a.convert(matrix))).reshape(shape), dtype, keep=loss)


def _total(a: Arithmetic, matrix: Array) -> Array:
    return a.sum(matrix, 1)


def _mean(a: Arithmetic, matrix: Array) -> Array:
    return np.asarray(a.divide(a.sum(matrix, 1), a.number(matrix.shape[1])))


@operator("sum")
def total(
    call: Call, x: torch.Tensor, dim: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Any:
    """Return sums."""
    return reduced(call, x, dim, keepdim, _total, dtype)


@operator("mean")
def mean(
    call: Call, x: torch.Tensor, dim: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Any:
    """Return sums divided by the number of terms."""
    return reduced(call, x, dim, keepdim, _mean, dtype)


def _variance(a: Arithmetic, matrix: Array, correction: float) -> Array:
    distance = a.subtract(matrix, _mean(a, matrix))
    return np.asarray(
        a.divide(a.sum(np.asarray(a.multiply(distance, distance)), 1), a.number(max(matrix.shape[1] - correction, 0)))
    )


@operator("var")
def variance(
    call: Call, x: torch.Tensor, dim: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> Any:
    """Return the mean squared distances from the mean, two passes."""
    degrees = 1.0 if correction is None else float(correction)
    return reduced(call, x, dim, keepdim, lambda a, m: _variance(a, m, degrees), None)


@operator("var_mean")
def variance_and_mean(
    call: Call, x: torch.Tensor, dim: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> Any:
    """Return variances and means."""
    return variance(call, x, dim, correction=correction, keepdim=keepdim), mean(call, x, dim, keepdim)


@operator("std")
def deviation(
    call: Call, x: torch.Tensor, dim: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> Any:
    """Return square roots of variances."""
    degrees = 1.0 if correction is None else float(correction)
    return reduced(call, x, dim, keepdim, lambda a, m: a.sqrt(_variance(a, m, degrees)), None)


@operator("linalg_vector_norm")
def norm(
    call: Call, x: torch.Tensor, order: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """Return norms of order 1 or 2; those of order infinity are selections, and others are left to PyTorch."""
    if float(order) not in _NORMS:
        return NotImplemented
    return reduced(call, x, dim, keepdim, _NORMS[float(order)], dtype)


_NORMS: dict[float, Any] = {
    1.0: lambda a, m: a.sum(np.abs(m), 1),
    2.0: lambda a, m: a.sqrt(a.sum(np.asarray(a.multiply(m, m)), 1)),
}


@operator("cumsum")
def cumulative(call: Call, x: torch.Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Any:
    """Return running sums, one addition after another."""
    if not x.ndim:
        return cumulative(call, x.reshape(1), 0, dtype=dtype).reshape(())
    values = np.moveaxis(call.operand(x), dim, 0)

    def sums(a: Arithmetic) -> Array:
        total = a.convert(values).copy()
        for k in range(1, len(total)):
            total[k] = a.add(total[k - 1], total[k])
        return np.moveaxis(total, 0, dim)

    return call.stored(call.reduction_arithmetic, sums, dtype)
