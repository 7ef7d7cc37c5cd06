"""Products of matrices and vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from halfsim.interop.torch.call import Call
from halfsim.interop.torch.operators.table import expression, operator

__all__ = ["addmm", "dot", "layer", "mm", "mv"]


@operator("mm", "bmm", quiet=True)
def mm(call: Call, a: torch.Tensor, b: torch.Tensor, out_dtype: torch.dtype | None = None) -> Any:
    """Return a @ b."""
    return call.tensor(call.product(a, b), out_dtype)


@expression(torch.ops.aten.addbmm_.default)
def addbmm_in_place(*operands: Any, **factors: Any) -> Any:
    """Leave a sum of products to PyTorch, which gives its target the shape of the product."""
    return NotImplemented


@operator("mv")
def mv(call: Call, a: torch.Tensor, x: torch.Tensor) -> Any:
    """Return a @ x of a vector."""
    return call.tensor(call.product(a, x.unsqueeze(1))[:, 0])


@operator("dot", "vdot")
def dot(call: Call, x: torch.Tensor, y: torch.Tensor) -> Any:
    """Return the product of two vectors."""
    if x._is_zerotensor() or y._is_zerotensor():
        # PyTorch brings it zeros that it has not written down, as it else does to few.
        return torch._efficientzerotensor((), dtype=call.dtype)
    return call.tensor(call.product(x.unsqueeze(0), y.unsqueeze(1))[0, 0])


@operator("addmm", "baddbmm", "addmv", quiet=True)
def addmm(
    call: Call, addend: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, beta: float = 1, alpha: float = 1
) -> Any:
    """Return ``beta addend + alpha a @ b``: sums start from an addend that is one row; another is added afterwards."""
    starts = addend.ndim == 1 and a.ndim == b.ndim == 2 and addend.shape[0] == b.shape[1]
    if starts and alpha == beta == 1 and not call.backward:
        return call.tensor(call.product(a, b, addend))
    with np.errstate(all="ignore"):
        return _added(call, addend, mv(call, a, b) if b.ndim == 1 else call.tensor(call.product(a, b)), beta, alpha)


def layer(call: Call, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Any:
    """Return ``bias + x @ weight.T`` of matrices as `addmm` or `mm` does, without a tensor of the transposed weight."""
    # A weight with gaps is rounded in the order of the factor, which a stochastic rounding counts by.
    gaps = not (weight.is_contiguous() or weight.t().is_contiguous())
    if gaps or call.backward or (bias is not None and bias.shape != weight.shape[:1]):
        return mm(call, x, weight.t()) if bias is None else addmm(call, bias, x, weight.t())
    return call.tensor(call.product(x, weight, bias, turned=True))


def _added(call: Call, addend: torch.Tensor, product: torch.Tensor, beta: float, alpha: float) -> Any:
    if alpha != 1:
        product = call.pointwise(lambda r, x, s: r.multiply(x, s), product, alpha)
    if beta == 0:
        return product
    if beta == 1:
        return call.pointwise(lambda r, x, y: r.add(x, y), product, addend)
    return call.pointwise(lambda r, x, y, s: r.add(x, r.multiply(y, s)), product, addend, beta)
