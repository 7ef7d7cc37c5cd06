"""Modules of the package are read and run in the default state of the floating-point unit.

Python parses 0.9 and computes 2.0**-24 as the state of the calling thread says when a module is first imported, and
writes what it made of them to disk, for later processes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from halfsim._state import default_state

__all__ = ["guard_imports"]


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType | None:
        with default_state():
            return super().get_code(fullname)

    def exec_module(self, module: ModuleType) -> None:
        with default_state():
            super().exec_module(module)


class _Finder:
    """Finds what `PathFinder` finds, of one package."""

    def __init__(self, package: str) -> None:
        self.prefix = f"{package}."

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if not fullname.startswith(self.prefix):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        # Another kind of loader, as of an archive, stays.
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def guard_imports(package: str) -> None:
    """Have the modules of a package imported so, from now on; finders that others have put before stay before."""
    finder = _Finder(package)
    if not any(type(x).__name__ == "_Finder" and getattr(x, "prefix", "") == finder.prefix for x in sys.meta_path):
        place = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
        sys.meta_path.insert(place, finder)
