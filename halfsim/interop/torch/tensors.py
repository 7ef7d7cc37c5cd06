"""Tensors as NumPy arrays and back, without a copy where both sides have the type."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch._prims_common import suggest_memory_format
from torch.utils._python_dispatch import _disable_current_modes

from halfsim.kernels.encoding import upper_halves
from halfsim.training.arithmetic import Array

__all__ = [
    "FLOATS",
    "INEXACT",
    "NARROW",
    "array_of",
    "check",
    "fills",
    "formatted",
    "holds_wide",
    "is_filled",
    "makes_special",
    "memory_of",
    "numbers_of",
    "strided_like",
    "tensor_of",
    "tensors_in",
    "words_of",
    "write",
]

FLOATS = {torch.float16, torch.float32, torch.bfloat16}
"""The types whose operators are simulated."""
NARROW = torch.float16, torch.bfloat16
INEXACT = {x for x in vars(torch).values() if type(x) is torch.dtype and (x.is_floating_point or x.is_complex)}
"""The types of fractions, complex ones too."""
_IMAGES = 4, 5
"""Dimensions of a batch of images or of volumes."""
_LISTS = list, tuple
_NESTS = list, tuple, dict
_STRIDED = torch.strided
_F16 = np.dtype(np.float16)
_NUMPY = {torch.float16: np.float16, torch.float32: np.float32, torch.float64: np.float64}


def array_of(tensor: torch.Tensor) -> Array:
    """Return a tensor as an array: float16 and float32 as they lie in memory, others exactly in float32."""
    plain = tensor.detach() if tensor.requires_grad else tensor
    dtype = plain.dtype
    if dtype is torch.bfloat16:
        # Every pattern as it is, NaNs too, by PyTorch's conversion in vectors.
        plain = plain.float()
    try:
        array: Array = plain.numpy()
    except RuntimeError:
        if not plain._is_zerotensor():
            raise
        # A derivative along a direction may be zeros that are nowhere in memory; to ask first would take time always.
        array = np.zeros(plain.shape, np.float16 if dtype is torch.float16 else np.float32)
    return array if dtype in FLOATS else array.astype(np.float32)


def words_of(tensor: torch.Tensor) -> Array:
    """Return the patterns of a bfloat16 tensor, uint16, as they lie in memory."""
    plain = tensor.detach() if tensor.requires_grad else tensor
    words: Array = plain.view(torch.int16).numpy().view(np.uint16)
    return words


def memory_of(tensor: torch.Tensor) -> Array:
    """Return a tensor as it lies in memory: of bfloat16 the patterns, of others the numbers."""
    return words_of(tensor) if tensor.dtype is torch.bfloat16 else array_of(tensor)


def numbers_of(words: Array) -> Array:
    """Return the numbers of bfloat16 patterns, exactly in float32."""
    return array_of(torch.from_numpy(words.view(np.int16)).view(torch.bfloat16))


def tensor_of(values: Array, dtype: torch.dtype) -> torch.Tensor:
    """Return an array whose numbers `dtype` holds as a contiguous tensor, in the same memory where it can be."""
    if dtype is torch.bfloat16:
        words = np.empty(np.shape(values), np.uint16)
        upper_halves(np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint32), words.reshape(-1))
        return torch.from_numpy(words.view(np.int16)).view(torch.bfloat16)
    if dtype is torch.float32 and values.dtype == _F16:
        # Exact, and by PyTorch's conversion in vectors.
        return tensor_of(values, torch.float16).float()
    held = np.asarray(values, _NUMPY[dtype])
    if not held.flags.c_contiguous:
        held = held.copy("C")
    if 1 in held.shape:
        # NumPy leaves any strides where they say nothing, and PyTorch asks them for the order of dimensions.
        held = held.reshape(-1).reshape(held.shape)
    # A number of no array's own, or a broadcast one, has no memory to share.
    return torch.from_numpy(held if held.flags.writeable else held.copy())


def strided_like(result: torch.Tensor, *operands: torch.Tensor) -> torch.Tensor:
    """Return the result with the strides that PyTorch's elementwise operators give it: those of their operands.

    Where one of these is not contiguous, PyTorch itself says what all make; a number spread over a shape has no order.
    """
    for operand in operands:
        if not operand.is_contiguous() and any(operand.stride()):
            break
    else:
        return result
    shape, strides = _order(*((x.shape, x.stride()) for x in operands))
    if result.stride() == strides or result.shape != shape:
        return result
    return torch.empty_strided(shape, strides, dtype=result.dtype).copy_(result)


@lru_cache(1024)
def _order(*operands: tuple[torch.Size, tuple[int, ...]]) -> tuple[torch.Size, tuple[int, ...]]:
    """Return the shape and the strides of what an elementwise operator of so many operands makes."""
    with _disable_current_modes():
        metas = [torch.empty_strided(*operand, device="meta") for operand in operands]
        result = (torch.neg, torch.add, torch.addcmul)[len(metas) - 1](*metas)
    return result.shape, result.stride()


def formatted(result: torch.Tensor, *operands: torch.Tensor) -> torch.Tensor:
    """Return the images of a result with channels last in memory where those of an operand are so, as PyTorch does."""
    if result.ndim not in _IMAGES:
        return result
    for operand in operands:
        order = suggest_memory_format(operand) if operand.ndim == result.ndim else torch.contiguous_format
        if order != torch.contiguous_format:
            return torch.empty_like(result, memory_format=order).copy_(result)
    return result


def tensors_in(values: Any) -> list[torch.Tensor]:
    """Return the tensors among arguments, those in lists and in dicts as well."""
    if not isinstance(values, _LISTS):
        if isinstance(values, torch.Tensor):
            return [values]
        values = values.values() if isinstance(values, dict) else ()
    found = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, _NESTS):
            found += tensors_in(value)
    return found


def check(operator: str, tensor: torch.Tensor) -> None:
    """Refuse a tensor that has no numbers in the memory of the processor, or not all of them, or none of one shape."""
    if tensor.is_cpu and tensor.layout is _STRIDED and not tensor.is_nested:
        return
    if tensor.is_nested:
        raise ValueError(
            f"simulate: {operator} got a nested tensor, whose parts have shapes of their own; pass its parts, "
            "tensor.unbind(), or tensor.to_padded_tensor(0.0)"
        )
    if tensor.device.type != "cpu":
        raise ValueError(
            f"simulate: {operator} got a tensor on {tensor.device}, and only the processor is simulated on; "
            "move model and data there with .cpu()"
        )
    if tensor.layout != torch.strided:
        raise ValueError(
            f"simulate: {operator} got a tensor of layout {tensor.layout}, whose numbers are not all stored in their "
            "places; pass tensor.to_dense(), called before the block"
        )


def fills(tensor: torch.Tensor) -> bool:
    """Whether a tensor is all that its memory holds."""
    return tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()


def is_filled(target: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether to fill a tensor with a value is to copy a number to the places of its memory."""
    return not (value.ndim or target.is_quantized or target.is_nested) and target.layout is _STRIDED


def write(target: torch.Tensor, result: torch.Tensor) -> None:
    """Copy a result to a tensor, once where elements share a memory in both."""
    if 0 in result.stride():
        steps = zip(target.stride(), result.stride(), strict=True)
        once = tuple(slice(None if one or other else 1) for one, other in steps)
        target, result = target[once], result[once]
    target.copy_(result)


def holds_wide(tensor: torch.Tensor) -> bool:
    """Whether there are numbers in the memory of a float32 tensor, but of a single number, that binary16 lacks."""
    if tensor.dtype != torch.float32 or not (tensor.ndim or tensor.untyped_storage().nbytes() > tensor.nbytes):
        return False
    held = tensor if fills(tensor) else torch.empty(0).set_(tensor.untyped_storage())
    values = array_of(held)
    with np.errstate(over="ignore"):
        return bool(((values.astype(np.float16) != values) & ~np.isnan(values)).any())


def makes_special(results: list[torch.Tensor], operands: list[torch.Tensor]) -> bool:
    """Whether results hold a NaN where operands hold none, or an infinity where theirs are finite."""
    results, operands = ([x for x in tensors if _plain(x)] for tensors in (results, operands))
    nan = any(bool(x.isnan().any()) for x in operands)
    for result in results:
        if not nan and bool(result.isnan().any()):
            return True
        infinite = result.isinf()
        if not bool(infinite.any()):
            continue
        if not any(bool(x.isinf().any()) for x in operands):
            return True
        for x in operands:
            if x.ndim <= result.ndim and all(
                n in (1, m) for n, m in zip(reversed(x.shape), reversed(result.shape), strict=False)
            ):
                infinite = infinite & x.isfinite()
            else:
                # Which of its elements an element of the result came of is not known.
                infinite = infinite & bool(x.isfinite().all())
        if bool(infinite.any()):
            return True
    return False


def _plain(tensor: torch.Tensor) -> bool:
    """Whether all numbers of a tensor can be looked at."""
    here = tensor.device.type == "cpu" and tensor.layout == torch.strided and not tensor.is_nested
    return here and tensor.dtype in FLOATS
