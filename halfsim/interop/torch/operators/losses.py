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
    "multi_margin_loss",
    "multilabel_margin_loss",
    "nll_loss",
    "nll_loss_backward",
]

_NONE, _MEAN = 0, 1
_LEAST = 1e-12
"""What PyTorch keeps the denominator of a cross entropy's gradient above."""


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
    rows = call.operand(gradient).reshape(labels.size, gradient.shape[-1])[labels != padding]
    labels = labels[labels != padding]
    return call.stored(call.machine.bias, lambda a: totals_by_row(a, rows, labels, count))


@expression(torch.ops.aten.binary_cross_entropy_backward.default)
def binary_cross_entropy_backward(
    gradient: torch.Tensor,
    x: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    reduction: int = _MEAN,
) -> Any:
    """Return ``g (x - y) / (x (1 - x))``, times the weight, for the mean over their number.

    The denominator is 1 at a probability that is right: what PyTorch keeps it above is zero in binary16.
    """
    odds = torch.where(x == target, 1.0, torch.clamp(x * (1 - x), min=_LEAST))
    found = (x - target) * gradient / odds
    found = found if weight is None else found * weight
    return found / x.numel() if reduction == _MEAN and x.numel() else found


def _empty_or(func: Any) -> None:
    """Enter PyTorch's own expression of a gradient, which divides by the number of elements, and one of none."""
    pieces = decomposition_table[func]

    @expression(func)
    def gradient(g: torch.Tensor, x: torch.Tensor, target: torch.Tensor, *rest: Any) -> Any:
        return pieces(g, x, target, *rest) if x.numel() else torch.zeros_like(x)


for _func in (torch.ops.aten.smooth_l1_loss_backward.default, torch.ops.aten.huber_loss_backward.default):
    _empty_or(_func)


def _margins(margin: float, chosen: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return ``max(0, margin - (chosen - others))``, 0 where that is no number, as PyTorch's kernels do."""
    distances = margin - chosen + others
    return torch.where(distances > 0, distances, 0)


@expression(torch.ops.aten.multi_margin_loss.default)
def multi_margin_loss(
    x: torch.Tensor,
    target: torch.Tensor,
    p: float = 1,
    margin: float = 1,
    weight: torch.Tensor | None = None,
    reduction: int = _MEAN,
) -> Any:
    """Return the means of ``w max(0, margin - (x[i] - x[j]))``, or its square, over classes j; 0 at the target i."""
    rows, labels = torch.atleast_2d(x), torch.atleast_1d(target)[:, None]
    found = _margins(margin, rows.gather(1, labels), rows)
    terms = found if p == 1 else found * found
    terms = terms if weight is None else terms * weight[labels]
    terms = torch.where((found > 0) & (torch.arange(rows.shape[1]) != labels), terms, 0)
    if reduction == _NONE:
        return terms.mean(1).reshape(x.shape[:-1])
    return terms.mean() if reduction == _MEAN else terms.sum() / rows.shape[1]


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
    terms = _margins(1.0, chosen.T[..., None], rows) / len(places)
    terms = torch.where(named.T[..., None] & ~targets, terms, 0)
    if reduction == _NONE:
        loss = terms.sum((0, -1)).reshape(x.shape[:-1])
    else:
        loss = terms.sum((0, -1)).mean() if reduction == _MEAN else terms.sum()
    return loss, targets.to(x.dtype).reshape(target.shape)
