"""Averages of windows, and what is added up at an index: gradients of selections, and sums that a model asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch._decomp import decomposition_table

from halfsim.interop.torch.call import Call
from halfsim.interop.torch.operators.table import expression, operator
from halfsim.interop.torch.tensors import formatted
from halfsim.training.arithmetic import Arithmetic, Array

_ADAPTIVE_AVERAGE = torch.ops.aten._adaptive_avg_pool2d.default
_adaptive_average = decomposition_table[_ADAPTIVE_AVERAGE]

__all__ = [
    "adaptive_average",
    "adaptive_maximum_backward",
    "average",
    "average_backward",
    "index_add",
    "index_put",
    "index_put_in_place",
    "maximum_backward",
    "scatter",
    "scatter_add",
]


@operator("avg_pool2d")
def average(
    call: Call,
    x: torch.Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Any:
    """Return the means of windows; padding and windows cut at the border are left to PyTorch."""
    k, s, p = (tuple(v) * 2 if len(v) == 1 else tuple(v) for v in (kernel, stride or kernel, padding))
    if any(p) or ceil_mode:
        return NotImplemented
    windows = np.lib.stride_tricks.sliding_window_view(call.operand(x), k, (-2, -1))[..., :: s[0], :: s[1], :, :]
    matrix = windows.reshape(-1, math.prod(k))

    def means(a: Arithmetic) -> Array:
        total = a.sum(a.convert(matrix), 1)
        return np.asarray(a.divide(total, a.number(divisor or math.prod(k)))).reshape(windows.shape[:-2])

    return formatted(call.stored(call.machine.batch_norm, means), x)


@operator("avg_pool2d_backward")
def average_backward(
    call: Call,
    gradient: torch.Tensor,
    x: torch.Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Any:
    """Return g / k at every element of a window of k; where windows share one, a sum in their order."""
    k, s = (tuple(v) * 2 if len(v) == 1 else tuple(v) for v in (kernel, stride or kernel))
    if any(padding) or ceil_mode:
        return NotImplemented
    numbers = np.arange(math.prod(x.shape)).reshape(x.shape)
    where = np.lib.stride_tricks.sliding_window_view(numbers, k, (-2, -1))[..., :: s[0], :: s[1], :, :]
    g = call.operand(gradient)

    def dx(a: Arithmetic) -> Array:
        share = np.asarray(a.divide(a.convert(g), a.number(divisor or math.prod(k))))
        rows = np.broadcast_to(share[..., None, None], where.shape).reshape(-1, 1)
        return _sums_by_row(a, rows, where.reshape(-1), x.numel()).reshape(x.shape)

    return formatted(call.stored(call.machine.batch_norm, dx), x)


@operator("max_pool2d_with_indices_backward")
def maximum_backward(
    call: Call,
    gradient: torch.Tensor,
    x: torch.Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    indices: torch.Tensor,
) -> Any:
    """Return the gradient at the largest element of every window; where windows share one, a sum in their order."""
    plane = math.prod(x.shape[-2:])
    images = math.prod(x.shape[:-2])
    where = indices.numpy().reshape(images, math.prod(indices.shape[-2:])) + plane * np.arange(images)[:, None]
    rows = call.operand(gradient).reshape(-1, 1)
    dx = call.stored(
        call.pointwise_arithmetic,
        lambda a: _sums_by_row(a, rows, where.reshape(-1), images * plane).reshape(x.shape),
    )
    return formatted(dx, x)


@expression(_ADAPTIVE_AVERAGE)
def adaptive_average(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Return the means of as many windows as are asked for, by PyTorch's own expression, which refuses to have none."""
    if not (x.numel() and all(size)):
        return x.new_empty((*x.shape[:-2], *size))
    return formatted(_adaptive_average(x, size), x)


def _added(call: Call, x: torch.Tensor, where: Array, rows: Array) -> Any:
    """Return x with rows (m, e) added at the rows `where` of x, in their order."""
    values = call.operand(x)

    def sums(a: Arithmetic) -> Array:
        start = a.convert(values).reshape(-1, rows.shape[1])
        return _sums_by_row(a, rows, where, len(start), start).reshape(x.shape)

    return call.stored(call.pointwise_arithmetic, sums)


@operator("index_put", "_index_put_impl", "_unsafe_index_put")
def index_put(
    call: Call,
    x: torch.Tensor,
    indices: Sequence[torch.Tensor | None],
    values: torch.Tensor,
    accumulate: bool = False,
    *rest: bool,
) -> Any:
    """Return x with values put at indices, a selection, or added there."""
    if not accumulate:
        return call.moved(torch.ops.aten.index_put(x, indices, values), x, values)
    numbers = torch.arange(x.numel()).reshape(x.shape)
    where = numbers[tuple(slice(None) if i is None else i for i in indices)].numpy()
    rows = np.broadcast_to(call.operand(values), where.shape).reshape(-1, 1)
    return call.ordered(_added(call, x, where.reshape(-1), rows), x)


@operator("index_put_", "_index_put_impl_")
def index_put_in_place(
    call: Call,
    x: torch.Tensor,
    indices: Sequence[torch.Tensor | None],
    values: torch.Tensor,
    accumulate: bool = False,
    *rest: bool,
) -> Any:
    """Return what `index_put` does; elements that share a memory, as those of an expanded tensor, stay the same."""
    if 0 not in x.stride():
        return index_put(call, x, indices, values, accumulate)
    once = x[tuple(slice(None if step else 1) for step in x.stride())]
    numbers = torch.arange(once.numel()).reshape(once.shape).expand(x.shape)
    where = numbers[tuple(slice(None) if i is None else i for i in indices)]
    return index_put(call, once.reshape(-1), (where,), values, accumulate).reshape(once.shape).expand(x.shape)


@operator("scatter_add")
def scatter_add(call: Call, x: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor) -> Any:
    """Return x with the elements of the source added at an index along one dimension."""
    if not x.ndim:
        return scatter_add(call, x.reshape(1), 0, index.reshape(-1), source.reshape(-1)).reshape(())
    if not index.numel():
        return call.moved(x.clone(), x)
    if not index.ndim:
        return scatter_add(call, x, dim, index.reshape(1), source.reshape(1))
    places = list(np.indices(tuple(index.shape), sparse=True))
    places[dim] = index.numpy()
    where = np.ravel_multi_index(np.broadcast_arrays(*places), tuple(x.shape)).reshape(-1)
    taken = call.operand(source)[tuple(slice(n) for n in index.shape)]
    return _added(call, x, where, taken.reshape(-1, 1))


@operator("scatter")
def scatter(
    call: Call, x: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor | float, reduce: str = ""
) -> Any:
    """Return x with the elements of the source added; products are left to PyTorch."""
    if reduce != "add" or not isinstance(source, torch.Tensor):
        return NotImplemented
    return scatter_add(call, x, dim, index, source)


@operator("index_add")
def index_add(
    call: Call, x: torch.Tensor, dim: int, index: torch.Tensor, source: torch.Tensor, *, alpha: float = 1
) -> Any:
    """Return x with slices of the source, times alpha, added at an index along one dimension."""
    if not x.ndim:
        return index_add(call, x.reshape(1), 0, index.reshape(-1), source.reshape(-1), alpha=alpha).reshape(())
    if source.ndim < x.ndim:
        source = source.reshape(*(1 for _ in range(x.ndim - source.ndim)), *source.shape)
    shape = [1] * x.ndim
    shape[dim] = -1
    scaled = source if alpha == 1 else call.pointwise(lambda r, s, f: r.multiply(s, f), source, alpha)
    return scatter_add(call, x, dim % x.ndim, index.reshape(shape).expand(source.shape), scaled)


@operator("adaptive_max_pool2d_backward")
def adaptive_maximum_backward(call: Call, gradient: torch.Tensor, x: torch.Tensor, indices: torch.Tensor) -> Any:
    """Return the gradient at the largest element of every window."""
    return maximum_backward(call, gradient, x, None, None, None, None, False, indices)


def _sums_by_row(a: Arithmetic, rows: Array, indices: Array, count: int, start: Array | None = None) -> Array:
    """Return (count, E): at i the sum of the rows (M, E) whose index is i, by `a.add`, from `start` or from 0."""
    order = np.argsort(indices, kind="stable")
    sorted_indices = indices[order]
    starts = np.flatnonzero(np.diff(sorted_indices, prepend=-1))
    rank = np.arange(indices.size) - np.repeat(starts, np.diff(starts, append=indices.size))
    total = np.zeros((count, rows.shape[1]), a.dtype) if start is None else start.copy()
    for turn in range(int(rank.max(initial=-1)) + 1):
        chosen = order[rank == turn]
        total[indices[chosen]] = a.add(total[indices[chosen]], a.convert(rows[chosen]))
    return total
