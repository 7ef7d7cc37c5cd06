"""What PyTorch itself refuses: shapes, types and dimensions that an operator does not take; and traces of operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch.utils._pytree import tree_map, tree_map_only

from halfsim.interop.torch.tensors import FLOATS, tensors_in

__all__ = ["ACCEPTED", "Accepted", "asked", "kind_of", "refuse_functions", "refuse_traced", "traced"]

_get_dispatch_mode, _PROXY = torch._C._get_dispatch_mode, torch._C._TorchDispatchModeKey.PROXY
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
_OF_THE_FIRST = {
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm",
    "native_batch_norm",
    "native_batch_norm_backward",
    "native_group_norm",
    "native_layer_norm",
    "native_layer_norm_backward",
}
"""Operators whose results have the type of their first operand: parameters and statistics may be in float32."""
_ADDENDS = {
    "_addmm_activation": (0, 0, 2),
    "addbmm": (0, 0, 2),
    "addmm": (0, 0, 2),
    "addmv": (0, 0, 1),
    "baddbmm": (0, 0, 3),
    "convolution": (2, 1, 1),
    "linear": (2, 0, 2),
}
"""Products that something is added to: its place among the operands, and its least and most dimensions."""
_PLACES = {torch.int32, torch.int64}
"""The types of indices."""
_BACKWARD = "_backward"
"""In the names of operators that nobody calls but PyTorch."""
_LACKING = "not implemented for 'Half'", "not implemented for 'BFloat16'"
"""In what PyTorch says of a type for which it has no kernel, though the operator takes it."""


class Accepted:
    """Calls that PyTorch takes, by the operator and by the shapes and types of its operands.

    A call of a new kind is tried on tensors without numbers. What they refuse is tried on copies of the operands, so
    that the error is that of PyTorch's own kernel, or none; and so are operands of several types, an ``out=`` among
    them, truth values in the place of numbers, empty operands, and addends that are no rows or have another shape than
    the product, because tensors without numbers take what no kernel takes.
    """

    def __init__(self) -> None:
        self._known: dict[Any, torch.dtype] = {}
        self._made: dict[Any, torch.dtype] = {}

    def dtype(self, kind: Any) -> torch.dtype | None:
        """Return the type of the results of calls of a kind that is known, or None."""
        return self._known.get(kind)

    def check(self, kind: Any, func: Any, args: Any, kwargs: Any, floats: list[torch.Tensor]) -> torch.dtype:
        """Raise what PyTorch raises for a call of a new kind, or return the type of its results.

        Parameters
        ----------
        kind : tuple
            What `kind_of` returned.
        func : operator
            The operator.
        args, kwargs : tuple, dict
            Its arguments.
        floats : list of tensors
            Its floating-point operands.
        """
        # In a backward pass they are no choice of a caller, and statistics have another type here than PyTorch's.
        several = len({x.dtype for x in tensors_in([args, kwargs])}) > 1 or any(not x.numel() for x in floats)
        chosen = several and _BACKWARD not in func._schema.name
        odd = _has_truths(func, args) or _has_odd_addend(func, args, kwargs)
        if len(self._known) >= _LIMIT:
            self._known.clear()
            self._made.clear()
        if chosen or odd or not _taken(func, args, kwargs):
            made = _float_of(self.refuse(func, args, kwargs))
            self._made |= {} if made is None else {kind: made}
        name = func._schema.name.removeprefix("aten::")
        found = self._known[kind] = floats[0].dtype if name in _OF_THE_FIRST else _widest(floats)
        return found

    def check_parts(self, func: Any, args: Any, kwargs: Any, floats: list[torch.Tensor]) -> torch.dtype | None:
        """Raise what PyTorch raises for a call of an operator that is taken apart: its parts may take other indices.

        Return the type that PyTorch gives its result, if it was tried: that of the parts may be another.
        """
        places = any(x.dtype in _PLACES for x in tensors_in([args, kwargs]))
        if places and _BACKWARD not in func._schema.name:
            return _float_of(self.refuse(func, args, kwargs))
        kind = kind_of(func, args, kwargs, floats)
        if self.dtype(kind) is None:
            self.check(kind, func, args, kwargs, floats)
        return self._made.get(kind)

    def check_memory(self, target: Any, func: Any, args: Any, kwargs: Any, floats: list[torch.Tensor]) -> None:
        """Raise what PyTorch raises where some or all of the memory of a target is that of an operand."""
        if not isinstance(target, torch.Tensor):
            return
        # A target itself is found once.
        again = sum(x is target for x in floats) > 1
        if again or any(x is not target and _overlap(target, x) for x in floats):
            memory: dict[int, Any] = {}
            _try(func, args, kwargs, lambda x: deepcopy(x.detach(), memory))

    def refuse(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Raise what PyTorch raises for numbers that it refuses, as for an index that is outside; or what it returns.

        That is None where it has no kernel.
        """
        return _try(func, args, kwargs, lambda x: x.detach().clone())


ACCEPTED = Accepted()
"""What PyTorch takes it always takes: to try a product anew in every block would take longer than many products."""


def kind_of(func: Any, args: Any, kwargs: Any, floats: list[torch.Tensor]) -> Any:
    """Return what decides whether a call is taken, and the type of its results, as a key."""
    own = tuple([(x.shape, x.dtype) if isinstance(x, torch.Tensor) else _kind(x) for x in args])
    return func, own, _kind(kwargs) if kwargs else None, None if floats else torch.get_default_dtype()


def asked(func: Any, args: Any, kwargs: Any) -> set[torch.dtype]:
    """Return the type that a call says its result has, if it does; a sum has that of ``out=`` if it says no other.

    What is put into a quantised tensor has the type of that.
    """
    dtype, out = kwargs.get("dtype"), kwargs.get("out")
    if dtype is None and isinstance(out, torch.Tensor) and any(x.name == "dtype" for x in func._schema.arguments):
        dtype = out.dtype
    if isinstance(args[0], torch.Tensor) and args[0].is_quantized:
        dtype = args[0].dtype
    return {dtype} if isinstance(dtype, torch.dtype) else set()


def _widest(floats: list[torch.Tensor]) -> torch.dtype:
    """Return the type of a result: that of the tensors with dimensions, or else of those without."""
    shaped = [x for x in floats if x.ndim] or floats
    dtype = shaped[0].dtype if shaped else torch.get_default_dtype()
    for tensor in shaped[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def _float_of(result: Any) -> torch.dtype | None:
    """Return the type of a result, if it is a tensor of one that is simulated."""
    return result.dtype if isinstance(result, torch.Tensor) and result.dtype in FLOATS else None


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
    # The complex number 1 equals the integer, and so does the truth value.
    return type(value) if isinstance(value, float | complex) else (bool, value) if isinstance(value, bool) else value


def _try(func: Any, args: Any, kwargs: Any, copied: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return what PyTorch's own kernel makes of copies, if there is one."""
    args, kwargs = tree_map_only(torch.Tensor, copied, (args, kwargs))
    draws = torch.Tag.nondeterministic_seeded in getattr(func, "tags", ())
    try:
        with torch.random.fork_rng((), enabled=draws):
            return func(*args, **kwargs)
    except Exception as error:
        if not any(lacking in str(error) for lacking in _LACKING):
            raise
    return None


def _overlap(target: torch.Tensor, x: torch.Tensor) -> bool:
    """Whether two tensors share memory and are not the same view of it, as far as PyTorch looks: they have no gaps."""
    start, other = target.data_ptr(), x.data_ptr()
    if start < other + x.nbytes and other < start + target.nbytes:
        return start != other or target.shape != x.shape or target.stride() != x.stride()
    return False


def _has_odd_addend(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether what is added to a product has too few or too many dimensions, other ones, or counts for nothing."""
    name = func._schema.name.removeprefix("aten::").removesuffix("_")
    if name not in _ADDENDS:
        return False
    place, least, most = _ADDENDS[name]
    addends = [x for x in args[place : place + 1] if x is not None]
    # A bias of one number may be that of one channel, or be meant for all.
    odd = any(not least <= x.ndim <= most or x.numel() == least for x in addends)
    return odd or kwargs.get("beta", 1) == 0 or not all(_expands(x.shape, _product(name, args)) for x in addends)


def _product(name: str, args: Any) -> list[int]:
    """Return the shape of a product without its addend; of a convolution, only how many channels it has."""
    if name == "convolution":
        _, weight, _, _, _, _, transposed, _, groups = args
        return [weight.shape[1] * groups if transposed else weight.shape[0]]
    if name == "linear":
        return [*args[0].shape[:-1], *args[1].shape[:-1]]
    a, b = (x.shape for x in args[1:3])
    # A stack is summed up by addbmm alone; other stacks have one length.
    return [*a[name == "addbmm" : -1], *(b[-1:] if len(b) > 1 else ())]


def _expands(shape: Sequence[int], whole: Sequence[int]) -> bool:
    """Whether a tensor of a shape can be expanded to a whole."""
    pairs = zip(reversed(shape), reversed(whole), strict=False)
    return len(shape) <= len(whole) and all(n in (1, m) for n, m in pairs)


def _has_truths(func: Any, args: Any) -> bool:
    """Whether a truth value stands in the place of a number or of a tensor, rather than of a switch."""
    return any(isinstance(x, bool) for x in args) and any(
        isinstance(x, bool) and "bool" not in str(argument.type)
        for argument, x in zip(func._schema.arguments, args, strict=False)
    )


def _empty(value: Any) -> Any:
    if isinstance(value, torch.device):
        return torch.device("meta")
    if not isinstance(value, torch.Tensor):
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")


def traced() -> bool:
    """Whether PyTorch notes operators as a graph."""
    return _get_dispatch_mode(_PROXY) is not None


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
