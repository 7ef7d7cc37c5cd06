"""Every Numba option of the package; `halfsim.core._cache` says where compiled kernels are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numba
from numba.extending import overload

from halfsim.core._cache import KernelCache
from halfsim.core._guard import Guarded
from halfsim.core._inlined import Inlined, IntoCallers
from halfsim.core._processor import choose_processor

__all__ = ["choose_by_type", "inlined", "kernel", "merged", "scalar"]

choose_processor()
_F = TypeVar("_F", bound=Callable[..., Any])
_SCALAR = {"error_model": "numpy", "fastmath": False, "no_cfunc_wrapper": True}
_KERNEL = {**_SCALAR, "nogil": True, "pipeline_class": Guarded}


def scalar(function: _F) -> _F:
    """Compile a core function on first use; it is inlined into the kernels that call it."""
    return function if numba.config.DISABLE_JIT else Inlined(function, targetoptions=_SCALAR)


def inlined(function: _F) -> _F:
    """Compile a core function whose code goes into every caller, however long: loops around it can be vectorised."""
    return function if numba.config.DISABLE_JIT else Inlined(function, targetoptions={**_SCALAR, "forceinline": True})


def merged(function: _F) -> _F:
    """Make a short function that is called most part of the one that calls it, before either is compiled.

    LLVM's optimisation of loops then knows what it would not see through a call.
    """
    compiled: _F = numba.njit(**_SCALAR, inline="always")(function)
    return compiled


def kernel(function: _F) -> _F:
    """Compile a loop on first use, without the GIL, and keep it in `halfsim.core._cache.cache_directory`.

    It computes in the default state of the floating-point unit, whatever that of the calling thread is.
    Kernels are plain top-level functions: one that closes over another function never hits the cache.
    """
    compiled: Any = numba.njit(**_KERNEL)(function)
    if not numba.config.DISABLE_JIT:
        compiled._cache = KernelCache(function)
    return compiled  # type: ignore[no-any-return]


def choose_by_type(function: Callable[..., Any], table: Mapping[type, Callable[..., Any]]) -> None:
    """Have kernels that call `function` call what a table of core functions says for the type of its first argument.

    The types are those of named tuples or bases of theirs, and may be added until a kernel is compiled. A kernel that
    took functions for arguments would never hit the cache.
    """

    def chosen(first: Any, *_: Any) -> Any:
        implementation: Any = next(table[base] for base in first.instance_class.__mro__ if base in table)
        return implementation.py_func

    options = {"error_model": "numpy", "no_cfunc_wrapper": True, "no_cpython_wrapper": True}
    overload(function, strict=False, jit_options={**options, "pipeline_class": IntoCallers})(chosen)
