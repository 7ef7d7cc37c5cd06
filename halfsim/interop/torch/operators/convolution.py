"""Convolutions of any dimension as one matrix product per group and pass, as implicit-GEMM kernels do them.

Every output is one dot product over (kernel positions, channels) in ascending order, every input gradient one over the
same of the gradient, spread by the stride, with the kernel turned round, and every weight gradient one over all
positions of all images. A transposed convolution is the second of these, its data gradient the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from halfsim.interop.torch.call import Call
from halfsim.interop.torch.operators.table import operator
from halfsim.training.arithmetic import Array

__all__ = ["convolution", "convolution_backward"]

_Product: TypeAlias = Callable[..., Array]
_IMAGES = 4
"""Dimensions of a batch of images."""


@dataclass(frozen=True)
class _Layout:
    """Strides, paddings and dilations of one convolution, and how many groups of channels there are."""

    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int

    @classmethod
    def of(cls, rank: int, stride: Any, padding: Any, dilation: Any, groups: int) -> _Layout:
        """Return the layout with one number for each dimension."""
        each = [tuple(x) * rank if len(x) == 1 else tuple(x) for x in (stride, padding, dilation)]
        return cls(each[0], each[1], each[2], groups)


@operator("convolution", "_convolution")
def convolution(
    call: Call,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *flags: bool,
) -> Any:
    """Return the cross-correlation of x (n, c, ...) with the weight (o, c / groups, ...), or its transpose."""
    layout = _Layout.of(weight.ndim - 2, stride, padding, dilation, groups)
    data, kernel = call.factor(x), call.factor(weight)
    start = None if bias is None else np.ascontiguousarray(call.factor(bias))
    if not transposed:
        found = _correlate(call.machine.forward, data, kernel, layout, None, start)
        return _ordered(call.tensor(found), x, weight, layout, transposed, output_padding)
    extra = tuple(output_padding) * (weight.ndim - 2) if len(output_padding) == 1 else tuple(output_padding)
    size = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(
            x.shape[2:], layout.stride, layout.padding, layout.dilation, weight.shape[2:], extra, strict=True
        )
    ]
    found = _spread(call.machine.forward, data, kernel, layout, size, start)
    return _ordered(call.tensor(found), x, weight, layout, transposed, extra)


@operator("convolution_backward")
def convolution_backward(
    call: Call,
    gradient: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias_sizes: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    wanted: Sequence[bool],
) -> Any:
    """Return the gradients of x, weight and bias."""
    layout = _Layout.of(weight.ndim - 2, stride, padding, dilation, groups)
    g, data, kernel = call.factor(gradient), call.factor(x), call.factor(weight)
    machine = call.machine
    dx: Any = None
    dw = db = None
    if wanted[0]:
        compute = _correlate if transposed else _spread
        dx = compute(machine.data_gradient, g, kernel, layout, data.shape[2:], None)
        dx = _ordered(call.tensor(dx), x, weight, layout, transposed, output_padding)
    if wanted[1]:
        image, rows = (g, data) if transposed else (data, g)
        dw = call.tensor(_weight_gradient(machine.weight_gradient, image, rows, kernel.shape[2:], layout))
        dw = _ordered(dw, x, weight, layout, transposed, output_padding)
    if wanted[2]:
        flat = np.moveaxis(g, 1, -1).reshape(-1, g.shape[1])
        db = call.tensor(machine.bias_gradient(flat))
    return dx, dw, db


def _ordered(
    result: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, layout: _Layout, transposed: bool, extra: Any
) -> torch.Tensor:
    """Return a result in the order in memory that the kernel has which PyTorch would choose for the operands."""
    if result.ndim < _IMAGES or not result.numel() or (_plain(x) and _plain(weight)):
        return result
    enabled = torch._C._get_mkldnn_enabled()
    # Off while models are simulated, and one of the choices where they are not.
    torch._C._set_mkldnn_enabled(True)
    try:
        steps = [list(n) for n in (layout.stride, layout.padding, layout.dilation)]
        kernel = torch._C._select_conv_backend(x, weight, None, *steps, transposed, list(extra), layout.groups)
        order = torch._C._conv_determine_backend_memory_format(x, weight, kernel)
    finally:
        torch._C._set_mkldnn_enabled(enabled)
    # A copy: one channel or one point is in every order to `contiguous`, but not to the next convolution.
    plain = order == torch.contiguous_format
    return result.contiguous() if plain else torch.empty_like(result, memory_format=order).copy_(result)


def _plain(x: torch.Tensor) -> bool:
    """Whether the order of a tensor's dimensions is theirs; of a kernel of one point strides alone say so."""
    return x.is_contiguous() and (x.stride(1) != 1 or (x.shape[1] > 1 and x.stride(-1) == 1))


def _correlate(
    product: _Product, x: Array, w: Array, layout: _Layout, size: Sequence[int] | None, b: Array | None
) -> Array:
    """Return the cross-correlation; a size is given where the layout has more places than there were inputs."""
    kernel, out = w.shape[2:], _out(x.shape[2:], w.shape[2:], layout) if size is None else size
    parts = []
    for image, weight, start in _grouped(layout.groups, (x, 1), (w, 0), (b, 0)):
        matrix = np.moveaxis(weight, (0, 1), (-1, -2)).reshape(-1, weight.shape[0])
        columns = _columns(_framed(image, layout.padding), kernel, layout.stride, layout.dilation, out)
        parts.append(_images(_apply(product, columns.T, matrix, start), image.shape[0], out))
    return np.concatenate(parts, 1) if len(parts) > 1 else parts[0]


def _spread(product: _Product, g: Array, w: Array, layout: _Layout, size: Sequence[int], b: Array | None) -> Array:
    kernel = w.shape[2:]
    ones = (1,) * len(kernel)
    parts = []
    for part, weight, start in _grouped(layout.groups, (g, 1), (w, 0), (b, 0)):
        turned = np.flip(weight, tuple(range(2, weight.ndim)))
        matrix = np.moveaxis(turned, (0, 1), (-2, -1)).reshape(-1, weight.shape[1])
        columns = _columns(_spaced(part, kernel, layout, size), kernel, ones, layout.dilation, size)
        parts.append(_images(_apply(product, columns.T, matrix, start), part.shape[0], size))
    return np.concatenate(parts, 1) if len(parts) > 1 else parts[0]


def _weight_gradient(product: _Product, image: Array, rows: Array, kernel: Sequence[int], layout: _Layout) -> Array:
    out = rows.shape[2:]
    parts = []
    for part, g in _grouped(layout.groups, (image, 1), (rows, 1)):
        columns = _columns(_framed(part, layout.padding), kernel, layout.stride, layout.dilation, out)
        flat = np.moveaxis(g, 1, -1).reshape(-1, g.shape[1])
        dw = product(columns, flat).reshape(*kernel, part.shape[1], g.shape[1])
        parts.append(np.moveaxis(dw, (-1, -2), (0, 1)))
    return np.concatenate(parts, 0)


def _apply(product: _Product, rows: Array, matrix: Array, start: Array | None) -> Array:
    return product(rows, matrix) if start is None else product(rows, matrix, start)


def _grouped(groups: int, *arrays: tuple[Array | None, int]) -> Any:
    """Return, group by group, the parts of arrays along the axes beside them."""
    split = [[None] * groups if x is None else np.split(x, groups, axis) for x, axis in arrays]
    return zip(*split, strict=True)


def _out(size: Sequence[int], kernel: Sequence[int], layout: _Layout) -> list[int]:
    return [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, layout.stride, layout.padding, layout.dilation, strict=True)
    ]


def _framed(x: Array, padding: Sequence[int]) -> Array:
    """Return images as planes (c, n, ...) in a frame of zeros."""
    planes = np.zeros(
        (x.shape[1], x.shape[0], *(n + 2 * p for n, p in zip(x.shape[2:], padding, strict=True))), x.dtype
    )
    inner = tuple(slice(p, p + n) for n, p in zip(x.shape[2:], padding, strict=True))
    planes[(slice(None), slice(None), *inner)] = x.swapaxes(0, 1)
    return planes


def _spaced(g: Array, kernel: Sequence[int], layout: _Layout, size: Sequence[int]) -> Array:
    """Return gradients as planes (o, n, ...), a stride apart, such that windows of the kernel begin at every input."""
    reach = [d * (k - 1) for d, k in zip(layout.dilation, kernel, strict=True)]
    planes = np.zeros((g.shape[1], g.shape[0], *(n + r for n, r in zip(size, reach, strict=True))), g.dtype)
    taken, placed = [], []
    for n, s, p, r, whole in zip(g.shape[2:], layout.stride, layout.padding, reach, planes.shape[2:], strict=True):
        first = r - p
        skip = -(-max(0, -first) // s)
        count = min(n - skip, -(-(whole - first - skip * s) // s))
        start = first + skip * s
        taken.append(slice(skip, skip + count))
        placed.append(slice(start, start + (count - 1) * s + 1, s))
    every = (slice(None), slice(None))
    planes[(*every, *placed)] = g.swapaxes(0, 1)[(*every, *taken)]
    return planes


def _columns(
    planes: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], out: Sequence[int]
) -> Array:
    """Return the patches under a kernel as columns: (kernel positions x channels, images x outputs), contiguous."""
    channels, images = planes.shape[:2]
    plane = planes.strides[2:]
    windows = np.lib.stride_tricks.as_strided(
        planes,
        (*kernel, channels, images, *out),
        (
            *(d * s for d, s in zip(dilation, plane, strict=True)),
            *planes.strides[:2],
            *(s * t for s, t in zip(stride, plane, strict=True)),
        ),
        writeable=False,
    )
    return np.ascontiguousarray(windows).reshape(math.prod(kernel) * channels, images * math.prod(out))


def _images(rows: Array, images: int, size: Sequence[int]) -> Array:
    """Return (images x positions, c) as (n, c, ...)."""
    return np.moveaxis(rows.reshape(images, *size, rows.shape[1]), -1, 1)
