"""Normalisation by the statistics of a batch, a row or a group, in the arithmetic of batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch._decomp import decomposition_table
from torch.autograd import forward_ad

from halfsim.interop.torch.call import Call
from halfsim.interop.torch.operators.table import expression, operator
from halfsim.interop.torch.tensors import NARROW, array_of, formatted, tensor_of
from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.nn.normalization import Normalised, follow, normalise, normalise_with, spread

_GROUP_NORM_BACKWARD = torch.ops.aten.native_group_norm_backward.default
_group_norm_backward = decomposition_table[_GROUP_NORM_BACKWARD]

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_of_inference",
    "group_norm",
    "group_norm_backward",
    "layer_norm",
    "layer_norm_backward",
]


def _parameters(call: Call, *parameters: torch.Tensor | None) -> list[Array | None]:
    """Return parameters as they take part: rounded once, however often an expression of them is evaluated."""
    return [None if x is None else call.operand(x) for x in parameters]


def _affine(a: Arithmetic, xhat: Array, gain: Array | None, shift: Array | None, shape: Any) -> Array:
    """Return ``gain xhat + shift`` with parameters in the shape that fits."""
    if gain is not None:
        xhat = np.asarray(a.multiply(xhat, a.convert(gain.reshape(shape))))
    return xhat if shift is None else np.asarray(a.add(xhat, a.convert(shift.reshape(shape))))


def _statistic(call: Call, values: Array, shape: Sequence[int], *operands: torch.Tensor | None) -> torch.Tensor:
    """Return a statistic in float32, but under a derivative along a direction, whose type it decides, in PyTorch's."""
    kept = call.tensor(np.ascontiguousarray(values).reshape(shape).astype(np.float32), torch.float32)
    if forward_ad._current_level < 0:
        return kept
    dtype = reduce(torch.promote_types, [x.dtype for x in operands if x is not None])
    return call.narrowed(kept, dtype) if dtype in NARROW else kept


@operator("native_layer_norm")
def layer_norm(
    call: Call, x: torch.Tensor, shape: Sequence[int], gain: torch.Tensor | None, shift: torch.Tensor | None, eps: float
) -> Any:
    """Return the normalised rows, their means, and the inverse roots of their variances."""
    width = math.prod(shape)
    rows, r = call.operand(x).reshape(-1, width), call.machine.batch_norm
    now, (scale, offset) = normalise(r, rows, 1, eps), _parameters(call, gain, shift)

    def value(a: Arithmetic) -> Array:
        found = now if a is r else normalise(a, rows, 1, eps)
        return _affine(a, found.xhat, scale, offset, -1).reshape(x.shape)

    outer = [*x.shape[: x.ndim - len(shape)], *(1 for _ in shape)]
    return call.stored(r, value), *(_statistic(call, s, outer, x, gain, shift) for s in (now.mean, now.inverse))


@operator("native_layer_norm_backward")
def layer_norm_backward(
    call: Call,
    gradient: torch.Tensor,
    x: torch.Tensor,
    shape: Sequence[int],
    mean: torch.Tensor,
    inverse: torch.Tensor,
    gain: torch.Tensor | None,
    shift: torch.Tensor | None,
    wanted: Sequence[bool],
) -> Any:
    """Return the gradients of x, gain and shift."""
    width = math.prod(shape)
    g, rows = call.operand(gradient).reshape(-1, width), call.operand(x).reshape(-1, width)
    statistics = array_of(mean).reshape(-1, 1), array_of(inverse).reshape(-1, 1)
    dx, dgain, dshift = _gradients(call, g, rows, statistics, gain, 1, wanted)
    return (
        None if dx is None else dx.view(x.shape),
        None if dgain is None or gain is None else dgain.view(gain.shape),
        None if dshift is None or shift is None else dshift.view(shift.shape),
    )


def _gradients(
    call: Call,
    g: Array,
    rows: Array,
    statistics: tuple[Array, Array],
    gain: torch.Tensor | None,
    axis: int,
    wanted: Sequence[bool],
    fixed: bool = False,
) -> list[torch.Tensor | None]:
    """Return the gradients; `axis` is the one that statistics were taken over, unless they were fixed."""
    r, (factor,) = call.machine.batch_norm, _parameters(call, gain)

    def hat(a: Arithmetic) -> tuple[Array, Array]:
        mean, inverse = a.convert(statistics[0]), a.convert(statistics[1])
        return np.asarray(a.multiply(a.subtract(a.convert(rows), mean), inverse)), inverse

    def dx(a: Arithmetic) -> Array:
        xhat, inverse = hat(a)
        inner = a.convert(g)
        if factor is not None:
            inner = np.asarray(a.multiply(inner, a.convert(factor.reshape(-1))))
        return np.asarray(a.multiply(inner, inverse)) if fixed else spread(a, inner, xhat, inverse, axis)

    def dgain(a: Arithmetic) -> Array:
        return a.sum(np.asarray(a.multiply(a.convert(g), hat(a)[0])), 0)[0]

    def dshift(a: Arithmetic) -> Array:
        return a.sum(a.convert(g), 0)[0]

    # Parameters of a half model may be in float32, and so are their gradients then.
    own = call.dtype if gain is None else gain.dtype
    parts = (dx, call.dtype), (dgain, own), (dshift, own)
    return [call.stored(r, part, dtype) if want else None for (part, dtype), want in zip(parts, wanted, strict=True)]


def _by_channel(call: Call, x: torch.Tensor) -> Array:
    """Return (n, c, ...) as (n ..., c)."""
    return np.moveaxis(call.operand(x), 1, -1).reshape(-1, x.shape[1])


def _from_channels(rows: Array, x: torch.Tensor) -> Array:
    return np.moveaxis(rows.reshape(x.shape[0], *x.shape[2:], x.shape[1]), -1, 1)


@operator("_native_batch_norm_legit")
def batch_norm_as_it_is(call: Call, x: torch.Tensor, gain: Any, shift: Any, *rest: Any) -> Any:
    """Return what `batch_norm` does; an overload has no running statistics."""
    running = () if len(rest) == len(("mean", "variance", "training", "momentum", "eps")) else (None, None)
    return batch_norm(call, x, gain, shift, *running, *rest)


@operator("native_batch_norm", "cudnn_batch_norm")
def batch_norm(
    call: Call,
    x: torch.Tensor,
    gain: torch.Tensor | None,
    shift: torch.Tensor | None,
    running_mean: torch.Tensor | None,
    running_variance: torch.Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Any:
    """Return the normalised images, and in training the statistics; running ones move in their tensors."""
    rows, r = _by_channel(call, x), call.machine.batch_norm

    def normalised(a: Arithmetic) -> Normalised:
        if training or running_mean is None or running_variance is None:
            return normalise(a, rows, 0, eps)
        return normalise_with(a, rows, array_of(running_mean), array_of(running_variance), eps)

    now = normalised(r)
    if training and running_mean is not None and running_variance is not None:
        running = [r.convert(array_of(t)).copy() for t in (running_mean, running_variance)]
        follow(r, (running[0], running[1]), now, momentum, len(rows))
        for tensor, values in zip((running_mean, running_variance), running, strict=True):
            call.machine.ledger.watch(call.machine.layer, "running statistics", values)
            finite = np.isfinite(rows).all() and np.isfinite(array_of(tensor)).all()
            call.hidden |= bool(finite) and not np.isfinite(values).all()
            tensor.copy_(tensor_of(values.astype(np.float32), torch.float32))

    scale, offset = _parameters(call, gain, shift)

    def value(a: Arithmetic) -> Array:
        found = now if a is r else normalised(a)
        return _from_channels(_affine(a, found.xhat, scale, offset, -1), x)

    saved = [x.shape[1]] if training else [0]
    kinds = x, gain, shift, running_mean, running_variance
    statistics = [_statistic(call, s.reshape(-1)[: saved[0]], saved, *kinds) for s in (now.mean, now.inverse)]
    return formatted(call.stored(r, value), x), *statistics


@operator("_native_batch_norm_legit_no_training")
def batch_norm_of_inference(
    call: Call,
    x: torch.Tensor,
    gain: Any,
    shift: Any,
    mean: torch.Tensor,
    variance: torch.Tensor,
    momentum: float,
    eps: float,
) -> Any:
    """Return the images normalised by running statistics."""
    return batch_norm(call, x, gain, shift, mean, variance, False, momentum, eps)


@operator("native_batch_norm_backward")
def batch_norm_backward(
    call: Call,
    gradient: torch.Tensor,
    x: torch.Tensor,
    gain: torch.Tensor | None,
    running_mean: torch.Tensor | None,
    running_variance: torch.Tensor | None,
    mean: torch.Tensor | None,
    inverse: torch.Tensor | None,
    training: bool,
    eps: float,
    wanted: Sequence[bool],
) -> Any:
    """Return the gradients of x, gain and shift."""
    g, rows = _by_channel(call, gradient), _by_channel(call, x)
    if training and mean is not None and inverse is not None:
        statistics = array_of(mean), array_of(inverse)
    else:
        running = [array_of(x) for x in (running_mean, running_variance) if x is not None]
        fixed = normalise_with(call.machine.batch_norm, rows[:1], running[0], running[1], eps)
        statistics = fixed.mean, fixed.inverse
    found = _gradients(call, g, rows, statistics, gain, 0, wanted, fixed=not training)
    if found[0] is not None:
        found[0] = formatted(call.tensor(np.ascontiguousarray(_from_channels(array_of(found[0]), x))), x)
    return tuple(found)


@operator("native_group_norm")
def group_norm(
    call: Call,
    x: torch.Tensor,
    gain: torch.Tensor | None,
    shift: torch.Tensor | None,
    n: int,
    channels: int,
    size: int,
    groups: int,
    eps: float,
) -> Any:
    """Return the images normalised group by group of channels, and the statistics of the groups."""
    width = channels // groups * size
    rows, r = call.operand(x).reshape(n * groups, width), call.machine.batch_norm
    now, (scale, offset) = normalise(r, rows, 1, eps), _parameters(call, gain, shift)

    def value(a: Arithmetic) -> Array:
        found = now if a is r else normalise(a, rows, 1, eps)
        return _affine(a, found.xhat.reshape(n, channels, size), scale, offset, (1, -1, 1)).reshape(x.shape)

    statistics = [_statistic(call, s, (n, groups), x, gain, shift) for s in (now.mean, now.inverse)]
    return formatted(call.stored(r, value), x), *statistics


@expression(_GROUP_NORM_BACKWARD)
def group_norm_backward(
    gradient: torch.Tensor,
    x: torch.Tensor,
    mean: torch.Tensor,
    inverse: torch.Tensor,
    gain: torch.Tensor | None,
    n: int,
    channels: int,
    size: int,
    groups: int,
    wanted: Sequence[bool],
) -> Any:
    """Return the gradients of x, gain and shift by PyTorch's own expression, which divides by a size of none."""
    if x.numel():
        return _group_norm_backward(gradient, x, mean, inverse, gain, n, channels, size, groups, wanted)
    like = x if gain is None else gain
    # Groups of no numbers have no mean.
    found = torch.zeros_like(x), like.new_full((channels,), math.nan if n else 0.0), like.new_zeros(channels)
    return tuple(part if want else None for part, want in zip(found, wanted, strict=True))
