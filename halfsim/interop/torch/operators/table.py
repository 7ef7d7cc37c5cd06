"""The table of simulated operators, and how others are taken apart into them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch._decomp import decomposition_table
from torch.utils._pytree import tree_map

from halfsim.interop.torch.tensors import formatted, strided_like, tensors_in

__all__ = ["HANDLERS", "Handler", "composed", "composite", "decomposition", "expression", "operator", "written"]

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


def composed(func: Any, args: Any, kwargs: Any) -> Any:
    """Compute an operator by its expression in others, that of its kernel: another may draw other random numbers."""
    return func._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)


def written(func: Any) -> list[str]:
    """Return the names of the arguments that the results of an operator are written to."""
    return [each.name for each in func._schema.arguments if each.is_out]


def _then_written(func: Any) -> Handler | None:
    """Return an overload that writes results to arguments as one that makes them, and copies; None if it is unknown."""
    packet, targets = func.overloadpacket, written(func)
    taken = [(x.name, str(x.type)) for x in func._schema.arguments if not x.is_out]
    for name in packet.overloads():
        makes = getattr(packet, name)
        if [(x.name, str(x.type)) for x in makes._schema.arguments] == taken:
            break
    else:
        return None
    if func._schema.name.removeprefix("aten::") not in HANDLERS and decomposition(makes) is None:
        return None

    def pieces(*args: Any, **kwargs: Any) -> Any:
        into = [kwargs.pop(name) for name in targets]
        made = makes(*args, **kwargs)
        for target, result in zip(into, [made] if isinstance(made, torch.Tensor) else made, strict=True):
            if result is None:
                # It was not asked for.
                continue
            if target.shape != result.shape:
                target.resize_(result.shape)
            target.copy_(result)
        return into[0] if len(into) == 1 else tuple(into)

    return pieces


def decomposition(func: Any) -> Handler | None:
    """Return an expression of an operator in simpler ones, mostly PyTorch's own, or None."""
    found = _EXPRESSIONS.get(func)
    if found is None and written(func) and (pieces := _then_written(func)) is not None:
        return pieces
    if found is None:
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


def _scaled(result: torch.Tensor, x: torch.Tensor, *exponent: torch.Tensor) -> torch.Tensor:
    return strided_like(result, x, *(each.contiguous() for each in exponent))


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
