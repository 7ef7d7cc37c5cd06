"""Softmax and its logarithm, in the arithmetic of the softmax."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from halfsim.interop.torch.call import Call
from halfsim.interop.torch.operators.reductions import reduced
from halfsim.interop.torch.operators.table import operator
from halfsim.interop.torch.tensors import array_of
from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.nn.losses import exponentials

__all__ = ["log_softmax", "log_softmax_backward", "logsumexp", "safe_softmax", "softmax", "softmax_backward"]


def _rows(call: Call, x: torch.Tensor, dim: int) -> Array:
    values = np.moveaxis(call.operand(x), dim, -1) if x.ndim else call.operand(x)
    width = x.shape[dim] if x.ndim else 1
    return values.reshape(x.numel() // max(width, 1), width)


def _back(rows: Array, x: torch.Tensor, dim: int) -> Array:
    if not x.ndim:
        return rows.reshape(())
    shape = list(x.shape)
    width = shape.pop(dim)
    return np.moveaxis(rows.reshape(*shape, width), -1, dim)


@operator("_softmax")
def softmax(call: Call, x: torch.Tensor, dim: int, *rest: Any, **options: Any) -> Any:
    """Return e / Σ e, e the exponential of z less the largest of its row; stored."""
    if not x.numel():
        return call.tensor(array_of(x))
    rows = _rows(call, x, dim)

    def probabilities(a: Arithmetic) -> Array:
        _, e, s = exponentials(a, rows)
        return _back(np.asarray(a.divide(e, s)), x, dim)

    return call.stored(call.machine.softmax, probabilities)


@operator("_safe_softmax")
def safe_softmax(call: Call, x: torch.Tensor, dim: int, *rest: Any, **options: Any) -> Any:
    """Return the softmax, zeros for rows of minus infinities alone: what attention to nothing is."""
    if not x.numel():
        return call.tensor(array_of(x))
    rows = _rows(call, x, dim)

    def probabilities(a: Arithmetic) -> Array:
        z = a.convert(rows)
        hidden = (z == -np.inf).all(axis=1, keepdims=True)
        _, e, s = exponentials(a, np.where(hidden, np.zeros((), a.dtype), z))
        return _back(np.where(hidden, np.zeros((), a.dtype), a.divide(e, s)), x, dim)

    return call.stored(call.machine.softmax, probabilities)


@operator("_log_softmax")
def log_softmax(call: Call, x: torch.Tensor, dim: int, *rest: Any, **options: Any) -> Any:
    """Return z - log Σ e, which stays in the arithmetic of the softmax."""
    if not x.numel():
        return call.tensor(array_of(x))
    rows = _rows(call, x, dim)

    def logarithms(a: Arithmetic) -> Array:
        z, _, s = exponentials(a, rows)
        return _back(np.asarray(a.subtract(z, a.log(s))), x, dim)

    return call.stored(call.machine.softmax, logarithms, keep=True)


@operator("softmax")
def softmax_into(call: Call, x: torch.Tensor, dim: int, dtype: torch.dtype | None = None) -> Any:
    """Return the softmax as a call with ``out=`` asks for it."""
    return softmax(call, x, dim) if dtype in (None, x.dtype) else NotImplemented


@operator("log_softmax")
def log_softmax_into(call: Call, x: torch.Tensor, dim: int, dtype: torch.dtype | None = None) -> Any:
    """Return its logarithm as a call with ``out=`` asks for it."""
    return log_softmax(call, x, dim) if dtype in (None, x.dtype) else NotImplemented


@operator("_softmax_backward_data")
def softmax_backward(call: Call, gradient: torch.Tensor, y: torch.Tensor, dim: int, dtype: torch.dtype) -> Any:
    """Return p (g - Σ g p)."""
    g, p = _rows(call, gradient, dim), _rows(call, y, dim)

    def dx(a: Arithmetic) -> Array:
        probability, incoming = a.convert(p), a.convert(g)
        inner = a.sum(np.asarray(a.multiply(incoming, probability)), 1)
        return _back(np.asarray(a.multiply(probability, a.subtract(incoming, inner))), y, dim)

    return call.stored(call.machine.softmax, dx, dtype)


@operator("_log_softmax_backward_data")
def log_softmax_backward(call: Call, gradient: torch.Tensor, y: torch.Tensor, dim: int, dtype: torch.dtype) -> Any:
    """Return g - exp(y) Σ g."""
    g, logarithms = _rows(call, gradient, dim), _rows(call, y, dim)

    def dx(a: Arithmetic) -> Array:
        incoming = a.convert(g)
        share = a.multiply(a.exp(a.convert(logarithms)), a.sum(incoming, 1))
        return _back(np.asarray(a.subtract(incoming, share)), y, dim)

    return call.stored(call.machine.softmax, dx, dtype)


@operator("logsumexp")
def logsumexp(call: Call, x: torch.Tensor, dim: Any, keepdim: bool = False) -> Any:
    """Return m + log Σ exp(x - m), m the largest element."""

    def value(a: Arithmetic, rows: Array) -> Array:
        largest = rows.max(axis=1, keepdims=True, initial=-np.inf)
        # An infinity is what it is without being taken out.
        largest = np.where(np.isinf(largest), np.zeros((), a.dtype), largest)
        s = a.sum(a.exp(np.asarray(a.subtract(rows, largest))), 1)
        return np.asarray(a.add(largest, a.log(s)))

    return reduced(call, x, dim, keepdim, value, None, call.machine.softmax)
