"""The loops on the CPU, by the names that `halfsim.kernels.cuda` gives them on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.kernels.threads import run_blocks

__all__ = ["cast", "elementwise", "empty", "filled", "indices", "spans", "view"]

# Below twice this many elements a loop is too short to be worth another thread.
_BLOCK = 1 << 15

empty = np.empty


def filled(size: int, value: int, dtype: Any) -> NDArray[Any]:
    """Return a new flat array of one value."""
    return np.full(size, value, dtype)


def indices(size: int) -> NDArray[np.int64]:
    """Return the integers from 0 to size - 1."""
    return np.arange(size, dtype=np.int64)


def view(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return the memory of an array under another dtype."""
    return array.view(dtype)


def cast(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return integers in another dtype."""
    return array.astype(dtype)


def elementwise(
    loop: Callable[..., None],
    operands: tuple[NDArray[Any], ...],
    z: NDArray[Any],
    flags: NDArray[Any],
    control: int,
    seed: int,
    index: int,
    extra: tuple[Any, ...] = (),
) -> None:
    """Run a loop of `halfsim.kernels.elementwise` over flat arrays; every argument is as it has it."""

    def block(start: int, stop: int) -> None:
        part = [x[start:stop] for x in operands]
        loop(*part, z[start:stop], flags[start:stop], control, seed, index + start, *extra)

    run_blocks(block, z.size, _BLOCK)


def spans(
    loop: Callable[..., None],
    before: tuple[Any, ...],
    size: int,
    minimum: int,
    scratch: int = 0,
    after: tuple[Any, ...] = (),
) -> None:
    """Run ``loop(*before, start, stop, *after)`` over ``range(size)``, `minimum` elements a thread or more.

    If it needs scratch memory, an array of that many int64 follows `stop`.
    """

    def block(start: int, stop: int) -> None:
        memory = (np.empty(scratch, np.int64),) if scratch else ()
        loop(*before, start, stop, *memory, *after)

    run_blocks(block, size, minimum)
