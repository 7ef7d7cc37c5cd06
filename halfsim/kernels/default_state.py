"""The floating-point unit in its default state for a stretch of Python, as every kernel has it for itself.

Python's own numbers, and what NumPy rounds, follow whatever state another library has left the calling thread in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from halfsim.core._jit import unguarded
from halfsim.kernels.f16c import NEAREST, exchange

__all__ = ["default_state"]


@unguarded
def _exchange(state):
    return exchange(state)


@contextmanager
def default_state() -> Iterator[None]:
    """Round to nearest and flush nothing on this thread, as its state was before when this ends.

    On x86-64, where the register MXCSR says so; elsewhere nothing is done.
    """
    before = _exchange(NEAREST)
    try:
        yield
    finally:
        _exchange(before)
