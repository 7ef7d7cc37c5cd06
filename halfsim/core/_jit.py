"""Every Numba option of the package, and where compiled kernels are kept.

Numba's on-disk cache only notices edits in the file that defines a kernel, not in the scalar functions it calls. The
cache directory is therefore named by a digest of all sources that can change a kernel.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

# The costliest of the modules that Numba itself would load at the first call of any kernel: better once, at import.
import numba.np.arraymath
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator

from halfsim.core._guard import Guarded
from halfsim.core._processor import choose_processor

__all__ = ["cache_directory", "kernel", "scalar"]

choose_processor()
_F = TypeVar("_F", bound=Callable[..., Any])
_PACKAGE = Path(__file__).resolve().parent.parent
# Sources that reach compiled code: the two lower layers, and the vocabulary whose members they read.
_SOURCES = ("*.py", "core/*.py", "kernels/*.py")


def cache_directory() -> Path:
    """Return the directory of compiled kernels, named by the digest of the sources.

    ``HALFSIM_CACHE_DIR`` chooses the parent directory; otherwise it is the platform's user cache.
    """
    digest = hashlib.sha256(f"{sys.version}{numba.__version__}".encode())
    for pattern in _SOURCES:
        for path in sorted(_PACKAGE.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return _cache_root() / digest.hexdigest()[:20]


def _cache_root() -> Path:
    chosen = os.environ.get("HALFSIM_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", tempfile.gettempdir())
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "halfsim"


class _Locator(UserProvidedCacheLocator):
    directory = ""

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno
        self._cache_path = self.directory

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        self = cls(py_func, py_file)
        self.ensure_cache_path()
        return self


class _CacheImpl(CompileResultCacheImpl):
    _locator_classes = [_Locator]


# What a damaged file raises when it is unpickled.
_DAMAGED = (EOFError, pickle.UnpicklingError, ValueError, TypeError, AttributeError, ImportError, LookupError)


class _Cache(FunctionCache):
    """Numba's function cache, for which an unreadable or unwritable file is a miss."""

    _impl_class = _CacheImpl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except (OSError, *_DAMAGED):
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):
            try:
                super().save_overload(sig, data)
            except _DAMAGED:
                # The index is damaged: without a fresh one every process would compile again.
                self.flush()
                super().save_overload(sig, data)


def scalar(function: _F) -> _F:
    """Compile a core function on first use; it is inlined into the kernels that call it."""
    compiled: _F = numba.njit(error_model="numpy", fastmath=False, no_cfunc_wrapper=True)(function)
    return compiled


def kernel(function: _F) -> _F:
    """Compile a loop on first use, without the GIL, and keep it in `cache_directory`.

    It computes in the default state of the floating-point unit, whatever that of the calling thread is.
    Kernels are plain top-level functions: one that closes over another function never hits the cache.
    """
    compiled: Any = numba.njit(
        nogil=True, error_model="numpy", fastmath=False, no_cfunc_wrapper=True, pipeline_class=Guarded
    )(function)
    if not numba.config.DISABLE_JIT:
        if not _Locator.directory:
            _Locator.directory = str(cache_directory())
        # A read-only home or a full disk costs compile time, never a result.
        with contextlib.suppress(OSError):
            compiled._cache = _Cache(compiled.py_func)
    return compiled  # type: ignore[no-any-return]
