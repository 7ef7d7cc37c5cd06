"""Where compiled kernels are kept: one file for each kernel, types of arguments and processor.

A file is named by all that determines the machine code in it and begins with a checksum of what follows. Whatever
cannot be read, written or trusted is a miss: it costs compile time, never a result and never an exception.

Numba's own cache has an index beside the code, which two processes can leave naming each other's files, and brings
the whole compiler up before it looks; here a hit needs no more of Numba than it takes to link the code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import secrets
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding as llvm
from numba.core import serialize
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.runtime import _nrt_python

__all__ = ["KernelCache", "cache_directory"]

_PACKAGE = Path(__file__).resolve().parent.parent
# Sources that reach compiled code: the two lower layers, and the vocabulary whose members they read.
_SOURCES = ("*.py", "core/**/*.py", "kernels/**/*.py")
_MAGIC = b"halfsim kernel 1\n"
_CHECK = hashlib.sha256().digest_size


def cache_directory() -> Path:
    """Return the directory of compiled kernels, named by the digest of the sources.

    ``HALFSIM_CACHE_DIR`` chooses the parent directory; otherwise it is the platform's user cache.
    """
    return _cache_root() / _digest()


def _cache_root() -> Path:
    chosen = os.environ.get("HALFSIM_CACHE_DIR")
    if chosen:
        # Of a user that there is not, the path stays as it is.
        return Path(os.path.expanduser(chosen))
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", tempfile.gettempdir())
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "halfsim"


def _sources() -> list[Path]:
    return [path for pattern in _SOURCES for path in sorted(_PACKAGE.glob(pattern))]


def _stamps() -> list[tuple[str, int, int]]:
    """Return the name, time of change and size of every source."""
    stamps = []
    for path in _sources():
        status = path.stat()
        stamps.append((str(path), status.st_mtime_ns, status.st_size))
    return stamps


@lru_cache(maxsize=1)
def _digest() -> str:
    versions = sys.version, numba.__version__, llvmlite.__version__, np.__version__
    digest = hashlib.sha256(repr(versions).encode())
    for path in _sources():
        digest.update(str(path.relative_to(_PACKAGE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]


# The sources as this process began with them: those edited since are not what it runs.
try:
    _AT_IMPORT = _stamps()
    _digest()
except OSError:
    _AT_IMPORT = []


def _unchanged() -> bool:
    """Whether the digest is that of the code in this process; never where no sources lie beside it."""
    return bool(_AT_IMPORT) and _stamps() == _AT_IMPORT


class KernelCache(_Cache):
    """The compiled forms of one function, as Numba's dispatchers use a cache."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__.removeprefix('halfsim.')}.{function.__qualname__}"
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """Directory of the files."""
        return str(cache_directory())

    def enable(self) -> None:
        """Use the files."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write files."""
        self._enabled = False

    def flush(self) -> None:
        """Remove the files of this function."""
        for path in cache_directory().glob(f"{self._name}-*"):
            with contextlib.suppress(OSError):
                path.unlink()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled form for the types of the arguments, or None."""
        key = self._key(sig, target_context.codegen())
        try:
            if not self._enabled or not _unchanged():
                return None
            content = self._path(key).read_bytes()
        except OSError:
            return None
        body = content[len(_MAGIC) + _CHECK :]
        if content[: len(_MAGIC) + _CHECK] != _MAGIC + hashlib.sha256(body).digest():
            return None
        stored_key, externals, payload = pickle.loads(body)
        if stored_key != key or not _linkable(externals, target_context):
            return None
        return CompileResult._rebuild(target_context, *payload)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled form."""
        # Machine code with an address of this process in it is no use to another.
        if not self._enabled or data.lifted or data.library.has_dynamic_globals:
            return
        key = self._key(sig, data.codegen)
        body = serialize.dumps((key, _externals(data.library), data._reduce()))
        with contextlib.suppress(OSError):
            if _unchanged():
                _write(self._path(key), _MAGIC + hashlib.sha256(body).digest() + body)

    def _key(self, sig: Any, codegen: Any) -> str:
        """What determines the code, beside the sources and versions that name the directory."""
        arguments = sig if isinstance(sig, tuple) else (sig,)
        config = numba.config
        options = config.OPT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE, config.BOUNDSCHECK, config.DEBUGINFO_DEFAULT
        return repr((self._name, [str(argument) for argument in arguments], codegen.magic_tuple(), options))

    def _path(self, key: str) -> Path:
        return cache_directory() / f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:20]}.nbc"


def _write(path: Path, content: bytes) -> None:
    """Write a file that other processes see whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _externals(library: Any) -> list[str]:
    """Return the symbols that the code of a library takes from outside."""
    module = library._final_module
    found = [
        value.name for values in (module.functions, module.global_variables) for value in values if value.is_declaration
    ]
    return [name for name in found if not name.startswith("llvm.")]


def _linkable(externals: list[str], target_context: Any) -> bool:
    """Whether every symbol is to be had; the linker would end the process over a missing one."""
    if _resolved(externals):
        return True
    # Those of Numba's runtime are usually all that is missing; the first compilation adds them.
    for name, address in _nrt_python.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)
    if not _resolved(externals):
        target_context.refresh()
    return _resolved(externals)


def _resolved(externals: list[str]) -> bool:
    return all(llvm.address_of_symbol(name) for name in externals)
