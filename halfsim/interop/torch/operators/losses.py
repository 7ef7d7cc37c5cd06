"""Losses in their own arithmetic, and rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from halfsim.interop.torch.call import Call
from halfsim.interop.torch.operators.table import operator
from halfsim.interop.torch.tensors import array_of
from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.nn.linear import totals_by_row

__all__ = ["embedding", "embedding_backward", "mse_loss", "mse_loss_backward", "nll_loss", "nll_loss_backward"]

_NONE, _MEAN = 0, 1


def _flat(call: Call, x: torch.Tensor) -> Array:
    """Return (n, c, ...) or (c,) as (positions, c)."""
    values = call.operand(x)
    return np.moveaxis(values, 1, -1).reshape(-1, x.shape[1]) if x.ndim > 1 else values.reshape(1, -1)


def _weights(call: Call, a: Arithmetic, weight: torch.Tensor | None, labels: Array, ignored: int) -> Array:
    """Return the weight of every position: 1 or that of its class, 0 where it is ignored."""
    if weight is None:
        return (labels != ignored).astype(a.dtype)
    per_class = a.convert(call.operand(weight))
    return np.where(labels == ignored, np.zeros((), a.dtype), per_class[np.where(labels == ignored, 0, labels)])


@operator("nll_loss_forward", "nll_loss2d_forward")
def nll_loss(
    call: Call, x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, reduction: int, ignored: int
) -> Any:
    """Return the sum of -w x[label], for the mean over the sum of w; it stays in the arithmetic of the loss."""
    rows, labels, a = _flat(call, x), target.numpy().reshape(-1), call.machine.loss
    w = _weights(call, a, weight, labels, ignored)
    safe = np.where(labels == ignored, 0, labels)
    picked = -a.convert(np.take_along_axis(rows, safe[:, None], 1)[:, 0])
    terms = np.where(labels == ignored, np.zeros((), a.dtype), picked)
    terms = terms if weight is None else np.asarray(a.multiply(terms, w))
    total = a.sum(w[:, None], 0).reshape(())
    if reduction == _NONE:
        return call.tensor(terms.reshape(target.shape)), call.tensor(np.zeros((), a.dtype))
    value = a.sum(terms[:, None], 0).reshape(())
    if reduction == _MEAN:
        with np.errstate(invalid="ignore", divide="ignore"):
            value = np.asarray(a.divide(value, total))
    return call.stored(a, lambda _: value, keep=True), call.tensor(total)


@operator("nll_loss_backward", "nll_loss2d_backward")
def nll_loss_backward(
    call: Call,
    gradient: torch.Tensor,
    x: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    reduction: int,
    ignored: int,
    total: torch.Tensor,
) -> Any:
    """Return -w g at the label, for the mean over the sum of w; it stays in the arithmetic of the loss."""
    labels, a = target.numpy().reshape(-1), call.machine.loss
    w = _weights(call, a, weight, labels, ignored)
    share = a.convert(call.operand(gradient))
    if reduction == _MEAN:
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.asarray(a.divide(share, a.convert(call.operand(total))))
    share = np.broadcast_to(share.reshape(-1), labels.shape)
    picked = share if weight is None else np.asarray(a.multiply(share, w))
    dx = np.zeros(_flat(call, x).shape, a.dtype)
    safe = np.where(labels == ignored, 0, labels)
    np.put_along_axis(dx, safe[:, None], np.where(labels == ignored, np.zeros((), a.dtype), -picked)[:, None], 1)
    if x.ndim > 1:
        dx = np.moveaxis(dx.reshape(x.shape[0], *x.shape[2:], x.shape[1]), -1, 1)
    return call.stored(a, lambda _: dx.reshape(x.shape), keep=True)


@operator("mse_loss")
def mse_loss(call: Call, x: torch.Tensor, y: torch.Tensor, reduction: int = _MEAN) -> Any:
    """Return the mean or the sum of (x - y)², which stays in the arithmetic of the loss, or every one of them."""
    one, other = call.operand(x), call.operand(y)

    def squares(a: Arithmetic) -> Array:
        distance = a.subtract(a.convert(one), a.convert(other))
        return np.asarray(a.multiply(distance, distance))

    def value(a: Arithmetic) -> Array:
        terms = squares(a)
        total = a.sum(terms.reshape(-1, 1), 0).reshape(())
        return np.asarray(a.divide(total, a.number(terms.size))) if reduction == _MEAN else total

    if reduction == _NONE:
        return call.stored(call.machine.loss, squares)
    return call.stored(call.machine.loss, value, keep=True)


@operator("mse_loss_backward")
def mse_loss_backward(call: Call, gradient: torch.Tensor, x: torch.Tensor, y: torch.Tensor, reduction: int) -> Any:
    """Return (x - y) (2 g), for the mean over their number, stored."""
    g, one, other = call.operand(gradient), call.operand(x), call.operand(y)

    def dx(a: Arithmetic) -> Array:
        share = a.multiply(a.convert(g), a.number(2))
        if reduction == _MEAN:
            share = a.divide(share, a.number(one.size))
        return np.asarray(a.multiply(a.subtract(a.convert(one), a.convert(other)), share))

    return call.stored(call.machine.loss, dx)


@operator("embedding")
def embedding(call: Call, table: torch.Tensor, indices: torch.Tensor, *rest: Any) -> Any:
    """Return rows of the table, stored."""
    rows = array_of(table)[indices.numpy()]
    return call.stored(call.machine.activations, lambda a: a.convert(rows))


@operator("embedding_dense_backward")
def embedding_backward(
    call: Call, gradient: torch.Tensor, indices: torch.Tensor, count: int, padding: int, scaled: bool
) -> Any:
    """Return, row by row of the table, the sum of the gradients at its index in their order."""
    if scaled:
        return NotImplemented
    labels = indices.numpy().reshape(-1)
    rows = call.operand(gradient).reshape(labels.size, -1)[labels != padding]
    labels = labels[labels != padding]
    return call.stored(call.machine.bias, lambda a: totals_by_row(a, rows, labels, count))
