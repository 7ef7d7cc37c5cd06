"""Elementwise operations of arithmetic: one rounding each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch._decomp import decomposition_table

from halfsim.interop.torch.call import Call
from halfsim.interop.torch.marks import Mark
from halfsim.interop.torch.operators.table import expression, operator
from halfsim.interop.torch.tensors import NARROW, strided_like
from halfsim.training.arithmetic import Arithmetic, Array

__all__ = ["dropout", "glu_backward", "scaled"]

_GLU_BACKWARD = torch.ops.aten.glu_backward.default
_glu_backward = decomposition_table[_GLU_BACKWARD]
_Operand: TypeAlias = torch.Tensor | float
_EXTREMES = {"MaxBackward1", "MedianBackward0", "MinBackward1", "NanmedianBackward0"}
"""Nodes of operators that select one element of all."""
_WHOLE: dict[str, Callable[[Any], Any]] = {"trunc": np.trunc, "floor": np.floor}


def scaled(r: Arithmetic, x: Array, factor: Array) -> Array:
    """Return x times a factor, x itself where that is 1."""
    return x if factor.ndim == 0 and float(factor) == 1.0 else np.asarray(r.multiply(x, factor))


@operator("add")
def add(call: Call, x: _Operand, y: _Operand, *, alpha: float = 1) -> Any:
    """Return ``x + alpha y``."""
    return call.pointwise(lambda r, x, y, s: r.add(x, scaled(r, y, s)), x, y, alpha)


@operator("sub")
def sub(call: Call, x: _Operand, y: _Operand, *, alpha: float = 1) -> Any:
    """Return ``x - alpha y``."""
    return call.pointwise(lambda r, x, y, s: r.subtract(x, scaled(r, y, s)), x, y, alpha)


@operator("rsub")
def rsub(call: Call, x: _Operand, y: _Operand, alpha: float = 1) -> Any:
    """Return ``y - alpha x``."""
    return call.pointwise(lambda r, y, x, s: r.subtract(y, scaled(r, x, s)), y, x, alpha)


@operator("mul")
def mul(call: Call, x: _Operand, y: _Operand) -> Any:
    """Return x y; with a mask, a selection."""
    found = call.pointwise(lambda r, x, y: r.multiply(x, y), x, y)
    if not call.backward or not isinstance(x, torch.Tensor) or x.dtype is not torch.bool or found.is_contiguous():
        return found
    # PyTorch fills zeros where no mode is at work, and these are contiguous.
    node = torch._C._current_autograd_node()
    return call.moved(found.contiguous(), found) if node is not None and node.name() in _EXTREMES else found


@operator("div")
def div(call: Call, x: _Operand, y: _Operand, *, rounding_mode: str | None = None) -> Any:
    """Return x / y; where PyTorch says so, the exact quotient cut to a whole number, and then rounded."""
    if rounding_mode is None:
        return call.pointwise(lambda r, x, y: r.divide(x, y), x, y)
    whole = _WHOLE[rounding_mode]
    # A binary64 quotient of binary16 numbers, or of near binary32 ones, is whole only where the exact one is.
    return call.pointwise(lambda r, x, y: r.convert(whole(np.divide(x, y, dtype=np.float64))), x, y)


@operator("floor_divide")
def floor_divide(call: Call, x: _Operand, y: _Operand) -> Any:
    """Return the floor of x / y."""
    return div(call, x, y, rounding_mode="floor")


@operator("_to_copy")
def converted(
    call: Call, x: torch.Tensor, *, dtype: torch.dtype, memory_format: torch.memory_format | None = None, **options: Any
) -> Any:
    """Return a tensor in float16 or bfloat16, rounded as the policy says; smaller formats are left to PyTorch."""
    if dtype not in NARROW:
        return NotImplemented
    result = strided_like(call.narrowed(x, dtype), x)
    if memory_format not in (None, torch.preserve_format):
        result = result.contiguous(memory_format=memory_format)
    if call.is_weight(x):
        call.mark(result, Mark.weight)
    return result


@operator("copy")
def copied(call: Call, x: torch.Tensor, y: torch.Tensor, *rest: Any) -> Any:
    """Return a tensor in the shape and the type of another, which it is then written to, rounded as the policy says."""
    return call.narrowed(y.expand(x.shape), x.dtype) if x.dtype in NARROW else NotImplemented


@operator("sqrt")
def sqrt(call: Call, x: torch.Tensor) -> Any:
    """Return the square root."""
    return call.pointwise(lambda r, x: r.sqrt(x), x)


@operator("rsqrt")
def rsqrt(call: Call, x: torch.Tensor) -> Any:
    """Return ``1 / sqrt(x)``, two operations."""
    return call.pointwise(lambda r, x, one: r.divide(one, r.sqrt(x)), x, 1.0)


@operator("reciprocal")
def reciprocal(call: Call, x: torch.Tensor) -> Any:
    """Return 1 / x."""
    return call.pointwise(lambda r, x, one: r.divide(one, x), x, 1.0)


@operator("lerp")
def lerp(call: Call, x: torch.Tensor, y: torch.Tensor, weight: _Operand) -> Any:
    """Return ``x + w (y - x)``, or ``y - (y - x) (1 - w)`` where w is at least 1/2, as PyTorch does."""

    def between(r: Arithmetic, x: Array, y: Array, w: Array) -> Array:
        distance = r.subtract(y, x)
        near = r.add(x, r.multiply(w, distance))
        far = r.subtract(y, r.multiply(distance, r.subtract(r.number(1), w)))
        return np.asarray(np.where(np.abs(w) < 0.5, near, far))

    return call.pointwise(between, x, y, weight)


@operator("addcmul")
def addcmul(call: Call, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor, *, value: float = 1) -> Any:
    """Return ``x + (value y) z``."""
    return call.pointwise(lambda r, x, y, z, s: r.add(x, r.multiply(scaled(r, y, s), z)), x, y, z, value)


@operator("addcdiv")
def addcdiv(call: Call, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor, *, value: float = 1) -> Any:
    """Return ``x + (value y) / z``."""
    return call.pointwise(lambda r, x, y, z, s: r.add(x, r.divide(scaled(r, y, s), z)), x, y, z, value)


@expression(torch.ops.aten.native_dropout.default)
def dropout(x: torch.Tensor, p: float, train: bool | None) -> Any:
    """Return x by a mask that PyTorch draws, divided by the share that is kept, and the mask."""
    if train is False:
        return x.clone(), torch.ones_like(x, dtype=torch.bool)
    kept = 1.0 - p
    mask = torch.empty_like(x, dtype=torch.bool).bernoulli_(kept)
    return x * mask * (1.0 / kept if kept else 0.0), mask


@expression(_GLU_BACKWARD)
def glu_backward(gradient: torch.Tensor, x: torch.Tensor, dim: int) -> torch.Tensor:
    """Return the gradient by PyTorch's own expression, contiguous as from its kernel."""
    found: torch.Tensor = _glu_backward(gradient, x, dim)
    return found.contiguous()
