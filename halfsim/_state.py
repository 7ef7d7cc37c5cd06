"""The floating-point unit in its default state for a stretch of Python, as every kernel has it for itself.

Python's own numbers, and what NumPy rounds, follow whatever state another library has left the calling thread in: even
``2.0**-24`` is another number when the C library's ``pow`` is told to round up.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

__all__ = ["default_state"]

_ROOM = 256
"""Bytes for an environment of the C library: 32 on x86-64, 8 on Arm."""
_DEFAULT = -1
"""The address that names the default environment."""


@cache
def _functions() -> tuple[Any, Any] | None:
    """Return the C library's functions that read and set the environment of the calling thread, or None."""
    if sys.platform != "linux":
        return None
    from ctypes import CDLL, c_void_p

    library = CDLL(None)
    try:
        found = library.fegetenv, library.fesetenv
    except AttributeError:
        return None
    for function in found:
        function.argtypes = [c_void_p]
    return found


@contextmanager
def default_state() -> Iterator[None]:
    """Round to nearest and flush nothing on this thread, as its state was before when this ends.

    On Linux, by ``fegetenv`` and ``fesetenv`` of C (ISO/IEC 9899:2018 §7.6.4); elsewhere nothing is done.
    """
    functions = _functions()
    if functions is None:
        yield
        return
    from ctypes import create_string_buffer

    read, write = functions
    before = create_string_buffer(_ROOM)
    read(before)
    write(_DEFAULT)
    try:
        yield
    finally:
        write(before)
