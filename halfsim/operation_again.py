"""Calls of few elements that are like an earlier one: they look up what to run, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from halfsim.flags import Flagged
from halfsim.kernels import host
from halfsim.kernels.loops import GENERAL, Loops

if TYPE_CHECKING:
    from halfsim.operation import Operation

__all__ = ["again"]

_FLOAT16 = np.dtype(np.float16)
_UINT8, _UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)
_ARRAY = np.ndarray
# Elements that no loop splits over threads.
_FEW = GENERAL
# Quicker than the constructor.
_flagged = Flagged._make


def again(
    operation: Operation,
    plans: Mapping[Any, tuple[tuple[int, int, int], Loops]],
    operands: tuple[Any, ...],
    rounding: Any,
    flagged: bool,
) -> Any:
    """Return the result of a call whose operands are few, alike and contiguous, if there was such a call before.

    Any other call gives None, and is for the operation itself, which would answer the same; this one takes as long as
    this.

    Parameters
    ----------
    operation : Operation
        What is called.
    plans : mapping
        Control words and loops of earlier calls; those of few elements by the name of the rounding.
    operands, rounding, flagged : tuple, RoundingLike, bool
        Of the call, which has no other arguments.
    """
    plan = plans.get(rounding) if type(rounding) is str else None
    if plan is None or len(operands) != operation.arity:
        return None
    first = operands[0]
    if type(first) is not _ARRAY or operation.integers >= 0:
        return None
    shape, dtype = first.shape, operation.dtype
    if len(shape) != 1 or shape[0] > _FEW:
        return None
    arrays = []
    for x in operands:
        if type(x) is not _ARRAY or x.dtype is not _FLOAT16 or x.shape != shape or not x.flags.carray:
            return None
        arrays.append(x.view(_UINT16))
    result = np.empty(shape, dtype)
    z = result.view(_UINT16) if dtype is _FLOAT16 else result
    if not flagged:
        host.run(plan[1], arrays, z, None, plan[0], operation.extra)
        return result
    flags = np.empty(shape, _UINT8)
    host.run(plan[1], arrays, z, flags, plan[0], operation.extra)
    return _flagged((result, flags))
