"""`halfsim::matmul` as an operator of PyTorch's own: with a fake kernel, and derivatives.

Models that name it can be compiled and exported; a fake kernel tells the compiler shapes and types, and the
derivative multiplies with the same accumulator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import halfsim.linalg as linalg
from halfsim.formats import BINARY16
from halfsim.interop.torch.tensors import array_of, tensor_of
from halfsim.tensorcores import as_accumulator

__all__ = ["matmul"]


@torch.library.custom_op("halfsim::matmul", mutates_args=())
def _matmul(a: torch.Tensor, b: torch.Tensor, accumulator: str) -> torch.Tensor:
    for name, tensor in (("a", a), ("b", b)):
        if tensor.dtype != torch.float16:
            raise TypeError(f"matmul: {name} is {tensor.dtype}; pass float16 tensors, as {name}.half() returns them")
    values = np.asarray(linalg.matmul(array_of(a), array_of(b), accumulator=accumulator))
    return tensor_of(values, _result(accumulator))


def _result(accumulator: str) -> torch.dtype:
    """Return the type of the results of an accumulator."""
    row = as_accumulator(accumulator, "matmul")
    output = getattr(row, "output", None) or getattr(row, "format", None)
    return torch.float16 if output == BINARY16 else torch.float32


@_matmul.register_fake
def _(a: torch.Tensor, b: torch.Tensor, accumulator: str) -> torch.Tensor:
    return torch.matmul(a, b).to(_result(accumulator))


def _save(ctx: Any, inputs: tuple[torch.Tensor, torch.Tensor, str], output: torch.Tensor) -> None:
    a, b, ctx.accumulator = inputs
    ctx.save_for_backward(a, b)


def _backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
    a, b = context.saved_tensors
    g = gradient.to(torch.float16)
    da = db = None
    if context.needs_input_grad[0]:
        da = _matmul(g, b.mT, context.accumulator).to(a.dtype)
    if context.needs_input_grad[1]:
        db = _matmul(a.mT, g, context.accumulator).to(b.dtype)
    return da, db, None


_matmul.register_autograd(_backward, setup_context=_save)


def matmul(a: torch.Tensor, b: torch.Tensor, accumulator: str = "fp32") -> torch.Tensor:
    """Return the product of float16 matrices, or of stacks of them, summed as an accumulator says.

    The operator is ``torch.ops.halfsim.matmul``; `torch.compile` and `torch.export` take it as it is.

    Parameters
    ----------
    a, b : float16 tensor
        (..., M, K) and (..., K, N); leading dimensions broadcast, by PyTorch's own `expand` and its derivative.
    accumulator : str
        ``"fp16"``, ``"fp32"`` or a GPU's, such as ``"h100:f32"``; the derivatives da = g bᵀ and db = aᵀ g have
        the same, with g rounded to float16 to nearest, and so are they.

    Returns
    -------
    tensor
        float16 or float32, the accumulator's.

    Raises
    ------
    TypeError
        For other than float16 tensors, and an accumulator without a name.
    ValueError
        For an unknown accumulator, and shapes that do not fit.

    Examples
    --------
    >>> import torch, halfsim.torch
    >>> a = torch.tensor([[4096.0, 4096.0, 0.25]], dtype=torch.float16)
    >>> b = torch.tensor([[2048.0], [-2048.0], [1.0]], dtype=torch.float16)
    >>> [halfsim.torch.matmul(a, b, gpu).item() for gpu in ("v100:f32", "h100:f32")]
    [0.0, 0.25]
    """
    for name, value, kind in (("a", a, torch.Tensor), ("b", b, torch.Tensor), ("accumulator", accumulator, str)):
        if not isinstance(value, kind):
            hint = "the name of one, such as 'h100:f32'" if kind is str else "a float16 tensor"
            raise TypeError(f"matmul: {name} is a {type(value).__name__}; pass {hint}")
    if a.ndim < 2 or b.ndim < 2:
        raise ValueError(f"matmul: shapes are {tuple(a.shape)} and {tuple(b.shape)}; pass at least two dimensions each")
    leading = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = a.expand(*leading, *a.shape[-2:]), b.expand(*leading, *b.shape[-2:])
    result: torch.Tensor = _matmul(a, b, accumulator)
    return result
