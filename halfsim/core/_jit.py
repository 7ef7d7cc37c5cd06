"""Every Numba option of the package; `halfsim.core._cache` says where compiled kernels are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

from halfsim.core._cache import KernelCache
from halfsim.core._inlined import Inlined

__all__ = ["inlined", "kernel", "scalar"]

_F = TypeVar("_F", bound=Callable[..., Any])
_SCALAR = {"error_model": "numpy", "fastmath": False, "no_cfunc_wrapper": True}
_KERNEL = {**_SCALAR, "nogil": True}


def scalar(function: _F) -> _F:
    """Compile a core function on first use; it is inlined into the kernels that call it."""
    return function if numba.config.DISABLE_JIT else Inlined(function, targetoptions=_SCALAR)


def inlined(function: _F) -> _F:
    """Compile a core function whose code goes into every caller, however long: loops around it can be vectorised."""
    return function if numba.config.DISABLE_JIT else Inlined(function, targetoptions={**_SCALAR, "forceinline": True})


def kernel(function: _F) -> _F:
    """Compile a loop on first use, without the GIL, and keep it in `halfsim.core._cache.cache_directory`.

    Kernels are plain top-level functions: one that closes over another function never hits the cache.
    """
    compiled: Any = numba.njit(**_KERNEL)(function)
    if not numba.config.DISABLE_JIT:
        compiled._cache = KernelCache(function)
    return compiled  # type: ignore[no-any-return]
