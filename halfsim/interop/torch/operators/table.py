"""The table of simulated operators, and how others are taken apart into them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch._decomp import decomposition_table
from torch.utils._pytree import tree_map

from halfsim.interop.torch.tensors import formatted, strided_like, tensors_in

__all__ = ["HANDLERS", "Handler", "composite", "decomposition", "expression", "operator"]

Handler: TypeAlias = Callable[..., Any]
"""Takes the `Call` and the operator's own arguments; returns tensors."""
_Order: TypeAlias = Callable[..., torch.Tensor]
"""Takes a contiguous result and the operands in fractions; returns the result in another order in memory."""

HANDLERS: dict[str, Handler] = {}
"""Handlers by the operator's name; that of ``add`` serves ``add_`` and ``add.out`` too."""


QUIET: set[Handler] = set()
"""Handlers that leave NumPy nothing to warn of, as kernels compute: to set its state would take longer than some."""


def operator(*names: str, quiet: bool = False) -> Callable[[Handler], Handler]:
    """Enter a handler under names."""

    def enter(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        QUIET.update([handler] * quiet)
        return handler

    return enter


_EXPRESSIONS: dict[Any, Handler] = {}
"""What stands in place of PyTorch's own expressions, by operator."""


def expression(func: Any) -> Callable[[Handler], Handler]:
    """Enter an expression of an operator in others, which takes its arguments alone."""

    def enter(handler: Handler) -> Handler:
        _EXPRESSIONS[func] = handler
        return handler

    return enter


def composite(func: Any) -> bool:
    """Whether an operator is an expression in others, which reaches a mode where PyTorch keeps no gradients alone."""
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    return bool(has(func.name(), "CompositeImplicitAutograd")) and not has(func.name(), "CPU")


def decomposition(func: Any) -> Handler | None:
    """Return an expression of an operator in simpler ones, mostly PyTorch's own, or None."""
    if func in _EXPRESSIONS:
        return _EXPRESSIONS[func]
    found = decomposition_table.get(func)
    # Its references call primitives, which are no operators of a model.
    if found is None or found.__module__ != "torch._decomp.decompositions":
        return None
    # Other overloads write into tensors of the caller, which have their order.
    own = func._overloadname in {"default", "Tensor"}
    order = _ORDERS.get(func._schema.name.removeprefix("aten::")) if own else None
    return found if order is None else partial(_ordered, order, found)


def _ordered(order: _Order, pieces: Handler, *args: Any, **kwargs: Any) -> Any:
    """Return what an expression makes, in the order in memory that the operator's own kernel gives it."""
    result = pieces(*args, **kwargs)
    operands = [x for x in tensors_in(args) if x.is_floating_point()]
    return tree_map(lambda x: order(x.contiguous(), *operands) if isinstance(x, torch.Tensor) else x, result)


def _plain(result: torch.Tensor, *operands: torch.Tensor) -> torch.Tensor:
    return result


def _like_the_first(result: torch.Tensor, first: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
    return strided_like(result, first)


def _scaled(result: torch.Tensor, x: torch.Tensor, exponent: torch.Tensor) -> torch.Tensor:
    return strided_like(result, x, exponent.contiguous())


def _like_the_images(result: torch.Tensor, gradient: torch.Tensor, x: torch.Tensor, *rest: Any) -> torch.Tensor:
    return formatted(result, x)


_ELEMENTWISE = """
binary_cross_entropy elu_backward hardsigmoid_backward hardswish_backward logit_backward mish_backward
native_dropout_backward softplus_backward
"""
_ORDERS: dict[str, _Order] = {
    **dict.fromkeys(_ELEMENTWISE.split(), strided_like),
    **dict.fromkeys(("huber_loss_backward", "log_sigmoid_forward", "smooth_l1_loss_backward"), _plain),
    **dict.fromkeys(
        ("batch_norm_backward", "reflection_pad2d_backward", "reflection_pad3d_backward"), _like_the_images
    ),
    "_batch_norm_with_update": formatted,
    "ldexp": _scaled,
    "log_sigmoid_backward": _like_the_first,
}
"""Orders of results, where those of an expression and of PyTorch's kernel for the processor differ."""
