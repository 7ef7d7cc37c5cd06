"""Operators that move, select, compare or make numbers: whatever the format, PyTorch's own result is the result."""

from __future__ import annotations

import math
from functools import cache, reduce
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map

from halfsim.interop.torch.tensors import NARROW, array_of, tensors_in
from halfsim.training.arithmetic import Array

__all__ = [
    "COMPARISONS",
    "CONSTANTS",
    "EXACT",
    "RANDOM",
    "WHOLE",
    "exact",
    "holds",
    "makes",
    "narrows",
    "rounded",
    "selected_wide",
    "takes_shapes",
]

_NAMES = """
_adaptive_max_pool2d _amp_update_scale _assert_async _foreach_abs _foreach_clamp_max _foreach_clamp_min _foreach_maximum
_foreach_minimum _foreach_neg _foreach_zero _has_same_storage_numel _local_scalar_dense _reshape_copy _unique2
_unsafe_view _upsample_nearest_exact2d abs absolute adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d alias
alias_copy all allclose amax amin aminmax any argmax argmin argsort as_strided as_strided_copy bernoulli block_diag
bucketize cat ceil channel_shuffle clamp clamp_max clamp_min concat conj_physical constant_pad_nd copysign count_nonzero
cummax cummin detach detach_copy diag diag_embed diagonal_backward diagonal_copy diagonal_scatter empty_like
empty_strided eq equal evenly_distribute_backward_selection expand_copy fill flip fliplr flipud floor fmax fmin frac
full_like gather ge gt hardtanh hardtanh_backward hstack im2col index index_copy index_fill index_select is_same_size
isclose isfinite isinf isnan isneginf isposinf item kthvalue le lift lift_fresh lift_fresh_copy linalg_vector_norm
logical_and logical_not logical_or logical_xor lt masked_fill masked_scatter masked_select max max_pool2d_with_indices
max_pool3d_with_indices max_unpool2d max_unpool3d maximum median min minimum mode msort narrow_copy
native_channel_shuffle ne neg negative new_empty new_empty_strided new_full new_ones new_zeros nonzero norm ones_like
permute_copy pixel_shuffle pixel_unshuffle positive reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 repeat
repeat_interleave replication_pad1d replication_pad2d replication_pad3d resize roll rot90 round scalar_tensor scatter
searchsorted select_backward select_copy select_scatter set sgn sign signbit slice_backward slice_copy slice_scatter
sort split_copy split_with_sizes_copy squeeze squeeze_copy stack swapaxes swapdims t t_copy take threshold
threshold_backward topk transpose transpose_copy tril triu trunc unbind_copy unfold unfold_copy unique unique2 unsqueeze
unsqueeze_copy upsample_nearest1d upsample_nearest2d upsample_nearest3d view_copy vstack where zero zeros_like
"""

EXACT = frozenset(_NAMES.split())
"""Their names, without the underscore of those that work in place."""

_COMPUTING = {"scatter": "reduce", "round": "decimals"}
"""What is in the names of overloads that compute."""
_WIDE = torch.float32, torch.float64
_INTEGERS = {torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64}
"""The types of integers that a narrow type of fractions may lack."""
_HELD = 256
"""Up to here all of them have every integer."""
_NORMS = {"linalg_vector_norm", "norm"}
"""Exact of infinite orders alone, whose gradients look for the elements that are equal to what was selected."""
_SIZES = {"abs", "absolute", "sgn", *_NORMS}
"""Exact, but of complex numbers."""

_DRAWING = """
cauchy exponential geometric log_normal normal normal_functional rand rand_like randint randint_like randn randn_like
random uniform
"""
RANDOM = frozenset(_DRAWING.split())
"""Operators that draw numbers."""

_COMPARING = "allclose bucketize eq equal ge gt isclose le logical_and logical_or logical_xor lt ne searchsorted"
COMPARISONS = frozenset(_COMPARING.split())
"""Operators among the exact ones whose results are truths and places, and not their operands' numbers."""

_SELECTING = """
clamp clamp_max clamp_min constant_pad_nd hardtanh index_fill masked_fill scalar_tensor scatter threshold where
"""
CONSTANTS = frozenset(_SELECTING.split())
"""Operators among the exact ones that select between elements and a number of the caller, or hold one for that."""

_JOINING = """
block_diag cat clamp clamp_max clamp_min concat copysign fmax fmin hstack maximum minimum stack vstack where
"""
_JOINERS = frozenset(_JOINING.split())
"""Operators among the exact ones that bring the elements of their operands to one type."""

_FILLING = """
copy diagonal_scatter fill full_like index_copy new_full ones_like relu6 select_scatter slice_scatter
"""
_STEPPING = CONSTANTS | _JOINERS | set(_FILLING.split())
"""Operators among the exact ones that may put other numbers than its own into a quantised tensor."""
_OWN = {"ones_like", "relu6"}
"""Those that have no argument for these numbers."""
_PER_TENSOR = {torch.per_tensor_affine, torch.per_tensor_symmetric}

WHOLE = ("affine_grid", "grid_sampler", "upsample_", "_upsample_")
"""How the names of operators begin whose pieces compute places in a tensor, which no format of numbers may round."""

_MAKING = """
_efficientzerotensor arange empty empty_permuted eye full ones scalar_tensor zeros
"""
_MAKERS = frozenset(_MAKING.split())


def exact(name: str, overload: str, args: Any, floats: list[torch.Tensor]) -> bool:
    """Whether a call of an operator rounds nothing."""
    if name not in EXACT or _COMPUTING.get(name, "-") in overload:
        return False
    if name == "_amp_update_scale":
        return all(math.frexp(factor)[0] == 0.5 for factor in args[3:5])
    if name in _NORMS and not any(order is not None and math.isinf(order) for order in args[1:2]):
        return False
    return not (name in _SIZES and any(x.is_complex() for x in floats))


def makes(name: str, args: Any) -> bool:
    """Whether an operator without operands makes numbers that nothing was computed for."""
    return name in _MAKERS and (name != "arange" or all(float(x).is_integer() for x in args))


def holds(func: Any, args: Any, kwargs: Any, dtype: torch.dtype) -> bool:
    """Whether a type and binary16 hold all numbers that a caller gives an operator."""
    return all(_narrow(x, dtype) for x in _constants(func, args, kwargs))


def _constants(func: Any, args: Any, kwargs: Any) -> list[float]:
    """Return the numbers among the arguments, those in tensors without dimensions as well; places are no numbers."""
    numbers, types = [], _argument_types(func)
    for name, x in [*zip(types, args, strict=False), *kwargs.items()]:
        if isinstance(x, torch.Tensor):
            if not x.ndim and name != "index" and (x.dtype in _WIDE or x.dtype in _INTEGERS):
                numbers.append(float(x.item()))
        elif isinstance(x, float) or (isinstance(x, int) and abs(x) > _HELD and "number" in types[name]):
            numbers.append(float(x))
    return numbers


@cache
def _argument_types(func: Any) -> dict[str, str]:
    """Return the types of an operator's arguments by name."""
    return {each.name: str(each.type) for each in func._schema.arguments}


def _narrow(number: float, dtype: torch.dtype) -> bool:
    """Whether binary16 holds a number, and so does a type."""
    with np.errstate(over="ignore"):
        held = number != number or float(np.float16(number)) == number
    return held and (dtype != torch.bfloat16 or _lossless(torch.tensor(number, dtype=torch.float64), dtype))


def _lossless(x: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether a type holds all numbers of a tensor."""
    wide = x.double()
    return bool(((wide == wide.to(dtype).double()) | wide.isnan()).all())


def takes_shapes(name: str) -> bool:
    """Whether an operator takes shapes and types of its operands alone, and no numbers."""
    return name.startswith("new_") or name.endswith("_like")


def rounded(func: Any, name: str, args: Any, kwargs: Any, floats: list[torch.Tensor]) -> str:
    """Return why PyTorch rounds in an exact operator, empty if it does not."""
    if name in _STEPPING and _steps(func, name, args, kwargs):
        return "PyTorch rounds to the steps of a quantised tensor"
    out = kwargs.get("out")
    if isinstance(out, torch.Tensor) and any(x.dtype != out.dtype for x in floats):
        return "PyTorch rounds to the type of out="
    if name in CONSTANTS and func._schema.is_mutable:
        target = args[0] if out is None else out
        if target.dtype in NARROW and not holds(func, args, kwargs, target.dtype):
            return "PyTorch rounds numbers to the type of what it changes"
    if name not in _JOINERS or not floats:
        return ""
    # A constant is counted where it is rounded.
    wholes = [x for x in tensors_in([args, kwargs]) if x.dtype in _INTEGERS and (x.ndim or name not in CONSTANTS)]
    if not wholes:
        return ""
    dtype = reduce(torch.promote_types, [x.dtype for x in floats if x.ndim] or [x.dtype for x in floats])
    return "" if all(_lossless(x, dtype) for x in wholes) else "PyTorch rounds integers to the type of the result"


def _steps(func: Any, name: str, args: Any, kwargs: Any) -> bool:
    """Whether a quantised tensor gets numbers that may be none of its own: zero always is."""
    tensors = tensors_in([args, kwargs])
    if not any(x.is_quantized for x in tensors):
        return False
    given = [*args, *(kwargs.get(x.name, x.default_value) for x in func._schema.arguments[len(args) :])]
    kinds = _argument_types(func).values()
    numbers = [x for kind, x in zip(kinds, given, strict=True) if "number" in kind and not isinstance(x, torch.Tensor)]
    others = any(x.is_floating_point() for x in tensors) or len({_quantiser(x) for x in tensors if x.is_quantized}) > 1
    return name in _OWN or others or any(numbers)


def _quantiser(x: torch.Tensor) -> Any:
    """Return which numbers a quantised tensor holds."""
    if x.qscheme() in _PER_TENSOR:
        return x.dtype, x.q_scale(), x.q_zero_point()
    scales, zeros = x.q_per_channel_scales().tolist(), x.q_per_channel_zero_points().tolist()
    return x.dtype, x.q_per_channel_axis(), *scales, *zeros


def narrows(name: str, args: Any, kwargs: Any) -> bool:
    """Whether a copy is a rounding to a format of 16 bits or fewer, of whole numbers as well."""
    source, target = (args[1], args[0].dtype) if name == "copy" else (args[0], kwargs.get("dtype"))
    narrow = target is not None and (target.is_floating_point or target == torch.complex32)
    narrow = narrow and (target.itemsize <= 2 or target.is_complex)
    # A batched operator copies a number to the type of a tensor: like any constant it is rounded to nearest.
    return bool(narrow and isinstance(source, torch.Tensor) and source.dtype not in (target, torch.bool))


def selected_wide(func: Any, args: Any, kwargs: Any, result: torch.Tensor) -> Array | None:
    """Return the result of a selection before it is rounded; None in place, where PyTorch refuses what is too large."""
    if result.dtype not in NARROW:
        return array_of(result)
    if func._schema.is_mutable:
        return None

    def widened(x: Any) -> Any:
        if isinstance(x, torch.dtype):
            return torch.float32 if x in NARROW else x
        return x.float() if isinstance(x, torch.Tensor) and x.dtype in NARROW else x

    wide = func(*tree_map(widened, args), **tree_map(widened, kwargs))
    return array_of(wide).astype(np.float32, copy=False)
