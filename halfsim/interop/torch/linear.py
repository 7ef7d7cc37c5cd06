"""Linear layers without gradients: PyTorch hands them over whole, and not as a transposition and a product.

To autograd a layer is made of these two. Where no gradients are kept it has nothing to do but to take the layer apart,
and each part takes a tenth of the time of a small product to come here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import forward_ad
from torch.nn import functional
from torch.nn.modules.module import _global_forward_hooks as _after
from torch.nn.modules.module import _global_forward_pre_hooks as _before

__all__ = ["LINEAR", "Held", "as_product", "is_alone", "keep_whole"]

LINEAR = torch.ops.aten.linear.default
_ADDMM, _MM = torch.ops.aten.addmm.default, torch.ops.aten.mm.default
_AUTOGRAD = torch._C.DispatchKey.AutogradCPU
_Linear, _Tensor, _Parameter = torch.nn.Linear, torch.Tensor, torch.nn.Parameter
_FORWARD, _PARAMETERS = _Linear.forward, {_Parameter, type(None)}
# Looked up once: this is asked at every call of a module.
_keeps_gradients, _casts, _trace = torch.is_grad_enabled, torch.is_autocast_enabled, torch._C._get_tracing_state
_modes, _function_modes = torch._C._len_torch_dispatch_stack, torch._C._len_torch_function_stack
_excludes, _excluded = torch._C._dispatch_tls_set_dispatch_key_excluded, torch._C._dispatch_tls_is_dispatch_key_excluded
_function = functional.linear


def is_alone(module: torch.nn.Module, args: Any) -> bool:
    """Whether the call of a module that begins is that of a linear layer of a matrix, seen by nothing but this mode."""
    if type(module) is not _Linear or _keeps_gradients() or len(args) != 1:
        return False
    x, parameters = args[0], module._parameters
    return (
        type(x) is _Tensor
        and x.ndim == 2
        and type(parameters.get("weight")) is _Parameter
        and type(parameters.get("bias")) in _PARAMETERS
        # Nothing else runs before the call ends,
        and _Linear.forward is _FORWARD
        and functional.linear is _function
        and "forward" not in module.__dict__
        and not module._forward_pre_hooks
        and len(_before) == len(_after) == 1
        # and no other mode, derivative along a direction or trace sees the parts.
        and _modes() == 1
        and not _function_modes()
        and forward_ad._current_level < 0
        and _trace() is None
        # Autocast's copies would pass the mode by; and what passes autograd over already needs no help.
        and not _casts("cpu")
        and not _excluded(_AUTOGRAD)
    )


class Held(tuple[Any, ...]):
    """Arguments of a call that do something when the call has gone, however it ended."""

    at_end: Callable[[], None]

    def __del__(self) -> None:
        self.at_end()


def keep_whole(whole: bool) -> None:
    """Have autograd passed over in this thread, as under `torch.inference_mode`, or no longer."""
    _excludes(_AUTOGRAD, whole)


def as_product(args: Any) -> tuple[Any, Any]:
    """Return the product, and its operands, that PyTorch makes of a layer of matrices."""
    x, weight, *bias = args
    return (_ADDMM, (*bias, x, weight.t())) if bias else (_MM, (x, weight.t()))
