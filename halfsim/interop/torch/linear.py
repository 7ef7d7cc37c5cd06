"""Linear layers, met before PyTorch takes them apart into a transposition and a product.

Each part takes a tenth of the time of a small product to come to the simulation. The operand of a layer that nothing
else sees stands in an envelope, which `torch.nn.functional.linear` opens first, as its protocol of functions says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch.autograd import forward_ad
from torch.nn import functional
from torch.nn.modules import linear as _linear
from torch.nn.modules import module as _modules
from torch.utils._python_dispatch import TorchDispatchMode

from halfsim.interop.torch.marks import Mark, Marks

__all__ = ["LINEAR", "Envelope", "Layer", "Layers", "as_product", "is_alone"]

Layer: TypeAlias = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
"""A function of the operand, the weight and the bias of a linear layer."""

LINEAR = torch.ops.aten.linear.default
_ADDMM, _MM = torch.ops.aten.addmm.default, torch.ops.aten.mm.default
_Linear, _Tensor, _Parameter = torch.nn.Linear, torch.Tensor, torch.nn.Parameter
_PARAMETERS = {_Parameter, type(None)}
# PyTorch's own, and not what somebody has put in its place.
_FORWARD = _Linear.forward if getattr(_Linear.forward, "__globals__", None) is vars(_linear) else None
# Looked up once: this is asked at every call of a module.
_before, _after = _modules._global_forward_pre_hooks, _modules._global_forward_hooks
_backward, _before_backward = _modules._global_backward_hooks, _modules._global_backward_pre_hooks
_casts, _trace = torch.is_autocast_enabled, torch._C._get_tracing_state
_modes, _function_modes = torch._C._len_torch_dispatch_stack, torch._C._len_torch_function_stack
_looks, _transforms = torch._C._is_torch_function_enabled, torch._C._are_functorch_transforms_active
_function, _below, _no_graph = (
    torch._C._nn.linear,
    torch._C._DisableTorchDispatch,
    torch._C._AutoDispatchBelowADInplaceOrView,
)
_mode, _excluded, _PYTHON = (
    torch._C._get_dispatch_stack_at,
    torch._C._dispatch_tls_is_dispatch_key_excluded,
    torch._C.DispatchKey.Python,
)


class Envelope:
    """The operand of a layer, with what computes the layer."""

    __slots__ = ("_layer", "_operand")

    def __init__(self, operand: torch.Tensor, layer: Layer) -> None:
        self._operand, self._layer = operand, layer

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> torch.Tensor:
        envelope, weight, bias = args
        return envelope._layer(envelope._operand, weight, bias)

    def __repr__(self) -> str:
        return f"Envelope({self._operand!r})"


def is_alone(module: torch.nn.Module, args: Any, mode: TorchDispatchMode) -> bool:
    """Whether the call of a module that begins is that of a linear layer of a matrix, seen by nothing but a mode."""
    if type(module) is not _Linear or len(args) != 1:
        return False
    x, parameters = args[0], module._parameters
    return (
        type(x) is _Tensor
        and x.ndim == 2
        and type(parameters.get("weight")) is _Parameter
        and type(parameters.get("bias")) in _PARAMETERS
        # Nothing else meets the operand,
        and _Linear.forward is _FORWARD
        and functional.linear is _function
        and "forward" not in module.__dict__
        and len(_before) == len(_after) == 1
        and not (_backward or _before_backward)
        and not (module._forward_pre_hooks or module._forward_hooks)
        and not (module._backward_pre_hooks or module._backward_hooks)
        # and no other mode, transformation, derivative along a direction or trace sees the parts.
        and _modes() == 1
        and _mode(0) is mode
        and not _excluded(_PYTHON)
        and not _function_modes()
        and _looks()
        and not _transforms()
        and forward_ad._current_level < 0
        and _trace() is None
        # Autocast's copies would pass the mode by.
        and not _casts("cpu")
    )


class Layers:
    """Computes layers whose operands came in envelopes.

    Parameters
    ----------
    mode : TorchDispatchMode
        That of the simulation.
    marks : Marks
        Where weights are marked that come transposed.
    """

    def __init__(self, mode: TorchDispatchMode, marks: Marks) -> None:
        self.mode, self._marks = mode, marks

    def __call__(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Compute a layer whole, or as the product of which autograd makes a node."""
        args = (x, weight) if bias is None else (x, weight, bias)
        if weight.ndim != 2:
            return functional.linear(*args)
        differs = x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
        if differs and torch.is_grad_enabled():
            with _below():
                # Autograd knows of it, and the mode does not: it computes nothing.
                turned = weight.t()
            self._marks.add(weight, Mark.parameter)
            return torch.mm(x, turned) if bias is None else torch.addmm(bias, x, turned)
        if any(tensor.is_neg() or tensor._is_zerotensor() for tensor in args):
            # PyTorch makes others of them on the way to a mode.
            return functional.linear(*args)
        with _below(), _no_graph():
            result: torch.Tensor = self.mode.__torch_dispatch__(LINEAR, (), args)
        return result


def as_product(args: Any) -> tuple[Any, Any]:
    """Return the product, and its operands, that PyTorch makes of a layer of matrices."""
    x, weight, *bias = args
    return (_ADDMM, (*bias, x, weight.t())) if bias else (_MM, (x, weight.t()))
