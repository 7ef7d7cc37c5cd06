"""Lists of tensors one by one, and the step that takes a loss scale out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from halfsim.interop.torch.call import Call
from halfsim.interop.torch.marks import Mark
from halfsim.interop.torch.operators.table import operator
from halfsim.interop.torch.tensors import array_of, tensor_of

__all__ = ["FOREACH", "each", "splits"]

FOREACH = "_foreach_"
"""How the names of operators on lists of tensors begin."""
_BY_NAME = {"addcmul", "addcdiv"}


@operator("_amp_foreach_non_finite_check_and_unscale")
def unscale(call: Call, gradients: list[torch.Tensor], found: torch.Tensor, inverse: torch.Tensor) -> None:
    """Multiply gradients by the inverse of a loss scale in binary32; note whether one is not finite.

    The products stay as wide as their tensors are: the optimizer is to see them.
    """
    factor = np.float32(inverse.item())
    for gradient in gradients:
        values = array_of(gradient).astype(np.float32) * factor
        if not np.isfinite(values).all():
            found.fill_(1.0)
        gradient.copy_(tensor_of(values, torch.float32))
        if gradient.dtype == torch.float32:
            call.mark(gradient, Mark.wide)


def splits(name: str) -> bool:
    """Whether an operator on lists of tensors is calls of one on a tensor."""
    single = name.removeprefix(FOREACH)
    return single == "norm" or hasattr(torch.ops.aten, single)


def each(name: str, args: Any, kwargs: Any) -> Any:
    """Return what an operator on lists of tensors returns, from calls of the operator on one tensor."""
    single = name.removeprefix(FOREACH)
    function: Callable[..., Any] = torch.linalg.vector_norm if single == "norm" else getattr(torch.ops.aten, single)

    def part(x: Any, i: int) -> Any:
        return x[i] if isinstance(x, list | tuple) else x

    def one(i: int) -> Any:
        mine = [part(x, i) for x in args]
        named = {key: part(x, i) for key, x in kwargs.items()}
        if single.removesuffix("_") in _BY_NAME and len(mine) == 4:
            value = mine.pop()
            named["value"] = value[i].item() if isinstance(value, torch.Tensor) else value
        return function(*mine, **named)

    length = next(len(x) for x in (*args, *kwargs.values()) if isinstance(x, list | tuple))
    results = [one(i) for i in range(length)]
    return None if name.endswith("_") else results
