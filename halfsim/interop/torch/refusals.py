"""What PyTorch itself refuses: shapes, types and dimensions that an operator does not take; and traces of operators."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_map

__all__ = ["Accepted", "refuse_functions", "refuse_traced", "traced"]

_LIMIT = 4096
_OF_FUNCTIONS = (
    "associative_scan",
    "cond",
    "flex_attention",
    "flex_attention_backward",
    "map_impl",
    "scan",
    "while_loop",
)
"""Operators that take functions."""
_PRODUCTS = {"addmm", "addmv", "baddbmm", "bmm", "convolution", "dot", "linear", "mm", "mv", "vdot"}
"""Operators whose operands have one type; tensors without numbers do not always say so."""
_LACKING = "not implemented for"
"""In what PyTorch says of a type for which it has no kernel, though the operator takes it."""


class Accepted:
    """Calls that PyTorch takes, by the operator and by the shapes and types of its operands.

    A call of a new kind is tried on tensors without numbers. What they refuse is tried on copies of the operands, so
    that the error is that of PyTorch's own kernel, or none.
    """

    def __init__(self) -> None:
        self._known: set[Any] = set()

    def check(self, func: Any, name: str, args: Any, kwargs: Any, dtypes: int) -> None:
        """Raise what PyTorch raises for a call, if it is of a new kind.

        Parameters
        ----------
        func, name : operator, str
            The operator, and its name.
        args, kwargs : tuple, dict
            Its arguments.
        dtypes : int
            How many types its floating-point operands have.
        """
        kind = func, _kind(args), _kind(kwargs) if kwargs else None
        if kind in self._known:
            return
        if (dtypes > 1 and name in _PRODUCTS) or not _taken(func, args, kwargs):
            try:
                func(*tree_map(_copied, args), **tree_map(_copied, kwargs))
            except Exception as error:
                if _LACKING not in str(error):
                    raise
        if len(self._known) >= _LIMIT:
            self._known.clear()
        self._known.add(kind)


def _taken(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether tensors without numbers are taken."""
    try:
        func(*tree_map(_empty, args), **tree_map(_empty, kwargs))
    except Exception:
        return False
    return True


def _kind(value: Any) -> Any:
    """Return what decides whether an argument is taken: of a fraction, only that it is one."""
    if isinstance(value, torch.Tensor):
        return value.shape, value.dtype
    if isinstance(value, list | tuple):
        return tuple(map(_kind, value))
    if isinstance(value, dict):
        return tuple((key, _kind(each)) for key, each in value.items())
    return float if isinstance(value, float) else value


def _empty(value: Any) -> Any:
    if isinstance(value, torch.device):
        return torch.device("meta")
    if not isinstance(value, torch.Tensor):
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def traced() -> bool:
    """Whether PyTorch notes operators as a graph."""
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None


def refuse_traced(name: str) -> None:
    """Refuse an operator that is noted in a graph."""
    raise RuntimeError(
        f"simulate: {name} is traced, as by torch.func.linearize and make_fx; a trace has no simulated arithmetic; "
        "call the function itself inside of the block, or torch.func.jvp for a derivative along a direction"
    )


def refuse_functions(mode: type) -> None:
    """Have operators that take functions refuse to run in a mode: they would not tell it what the functions compute."""
    for name in _OF_FUNCTIONS:
        operator = getattr(torch.ops.higher_order, name, None)
        if operator is not None:
            operator.py_impl(mode)(_refusal(name))


def _refusal(name: str) -> Any:
    def refused(mode: Any, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"simulate: torch.ops.higher_order.{name} takes functions, which are not simulated; "
            "call them in Python's own loops and branches"
        )

    return refused
