"""Losses in their own arithmetic, and rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch._decomp import decomposition_table

from halfsim.interop.torch.call import Call
from halfsim.interop.torch.operators.table import expression, operator
from halfsim.interop.torch.tensors import array_of
from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.nn.linear import totals_by_row

__all__ = [
    "binary_cross_entropy_backward",
    "embedding",
    "embedding_backward",
    "mse_loss",
    "mse_loss_backward",
    "multilabel_margin_loss",
    "nll_loss",
    "nll_loss_backward",
]

_NONE, _MEAN = 0, 1
_CROSS_ENTROPY_BACKWARD = torch.ops.aten.binary_cross_entropy_backward.default
_cross_entropy_backward = decomposition_table[_CROSS_ENTROPY_BACKWARD]


def _flat(call: Call, x: torch.Tensor) -> Array:
    """Return (n, c, ...) or (c,) as (positions, c)."""
    values = call.operand(x)
    return np.moveaxis(values, 1, -1).reshape(-1, x.shape[1]) if x.ndim > 1 else values.reshape(1, -1)


def _weights(a: Arithmetic, classes: Array | None, labels: Array, ignored: int) -> Array:
    """Return the weight of every position: 1 or that of its class, 0 where it is ignored."""
    if classes is None:
        return (labels != ignored).astype(a.dtype)
    weights = a.convert(classes)
    return np.where(labels == ignored, np.zeros((), a.dtype), weights[np.where(labels == ignored, 0, labels)])


@operator("nll_loss_forward", "nll_loss2d_forward")
def nll_loss(
    call: Call, x: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, reduction: int, ignored: int
) -> Any:
    """Return the sum of -w x[label], for the mean over the sum of w; it stays in the arithmetic of the loss."""
    rows, labels, a = _flat(call, x), target.numpy().reshape(-1), call.machine.loss
    classes = None if weight is None else call.operand(weight)
    outside = labels[(labels != ignored) & ((labels < 0) | (labels >= rows.shape[1]))]
    if outside.size:
        raise IndexError(f"Target {outside[0]} is out of bounds.")
    safe = np.where(labels == ignored, 0, labels)

    def terms(a: Arithmetic) -> Array:
        picked = -a.convert(np.take_along_axis(rows, safe[:, None], 1)[:, 0])
        found = np.where(labels == ignored, np.zeros((), a.dtype), picked)
        return found if classes is None else np.asarray(a.multiply(found, _weights(a, classes, labels, ignored)))

    def total(a: Arithmetic) -> Array:
        return a.sum(_weights(a, classes, labels, ignored)[:, None], 0).reshape(())

    def value(a: Arithmetic) -> Array:
        found = a.sum(terms(a)[:, None], 0).reshape(())
        return np.asarray(a.divide(found, total(a))) if reduction == _MEAN else found

    if reduction == _NONE:
        every = call.stored(a, lambda a: terms(a).reshape(target.shape), keep=True)
        return every, call.tensor(np.zeros((), a.dtype))
    return call.stored(a, value, keep=True), call.stored(a, total, keep=True)


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
    g, whole = call.operand(gradient), call.operand(total)
    classes = None if weight is None else call.operand(weight)
    shape = _flat(call, x).shape
    safe = np.where(labels == ignored, 0, labels)

    def dx(a: Arithmetic) -> Array:
        share = a.convert(g)
        if reduction == _MEAN:
            share = np.asarray(a.divide(share, a.convert(whole)))
        picked = np.broadcast_to(share.reshape(-1), labels.shape)
        if classes is not None:
            picked = np.asarray(a.multiply(picked, _weights(a, classes, labels, ignored)))
        found = np.zeros(shape, a.dtype)
        np.put_along_axis(found, safe[:, None], np.where(labels == ignored, np.zeros((), a.dtype), -picked)[:, None], 1)
        if x.ndim > 1:
            found = np.moveaxis(found.reshape(x.shape[0], *x.shape[2:], x.shape[1]), -1, 1)
        return found.reshape(x.shape)

    return call.stored(a, dx, keep=True)


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
        return call.ordered(call.stored(call.machine.loss, squares), x, y)
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
    # PyTorch selects them, and refuses an index that is outside.
    rows = array_of(torch.embedding(table.detach(), indices))
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


@expression(_CROSS_ENTROPY_BACKWARD)
def binary_cross_entropy_backward(
    gradient: torch.Tensor,
    x: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    reduction: int = 1,
) -> Any:
    """Return the gradient by PyTorch's own expression, and 0 at a probability that is right.

    What the expression keeps its denominator above is zero in binary16.
    """
    return torch.where(x == target, 0.0, _cross_entropy_backward(gradient, x, target, weight, reduction))


@expression(torch.ops.aten.multilabel_margin_loss_forward.default)
def multilabel_margin_loss(x: torch.Tensor, target: torch.Tensor, reduction: int) -> Any:
    """Return the sums of ``max(0, 1 - (x[i] - x[j]))`` over targets i, up to the first that is -1, and all other j.

    Divided by the number of classes; and which classes are targets. PyTorch's own expression adds a term of class 0 for
    every place from the first -1 on.
    """
    rows, labels = torch.atleast_2d(x), torch.atleast_2d(target)
    places = torch.arange(rows.shape[1])
    named = places < torch.where(labels == -1, places, len(places)).amin(1, keepdim=True)
    chosen = rows.gather(1, torch.where(named, labels, 0))
    targets = (places == torch.where(named, labels, -1)[..., None]).any(1)
    terms = (1.0 - chosen.T[..., None] + rows).clamp_min(0) / len(places)
    terms = torch.where(named.T[..., None] & ~targets, terms, 0)
    if reduction == _NONE:
        loss = terms.sum((0, -1)).reshape(x.shape[:-1])
    else:
        loss = terms.sum((0, -1)).mean() if reduction == _MEAN else terms.sum()
    return loss, targets.to(x.dtype).reshape(target.shape)
