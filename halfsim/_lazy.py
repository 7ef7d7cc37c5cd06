"""Public names that are imported when they are first used: ``import halfsim`` costs next to nothing.

Numba alone takes longer to import than NumPy, and whoever wants a format, a row or a help text needs neither.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["lazily"]

_IMPORT = re.compile(r"^from (\S+) import (\w+) as \2$", re.MULTILINE)


def lazily(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package whose stub lists its public names.

    Parameters
    ----------
    package : str
        Name of the package. Beside its ``__init__.py`` lies an ``__init__.pyi`` with a line
        ``from module import name as name`` for each name; its modules are found by their names too.
    """
    module = sys.modules[package]
    stub = Path(str(module.__file__)).with_name("__init__.pyi")
    # The loader reads packages in archives as well.
    sources = {name: source for source, name in _IMPORT.findall(_text(module, stub))}

    def __getattr__(name: str) -> Any:  # noqa: N807
        source = sources.get(name)
        if source is not None and source != package:
            value = getattr(importlib.import_module(source), name)
        elif source == package or _is_module(package, name):
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(module, name, value)
        return value

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*vars(module), *sources})

    return __getattr__, __dir__, [name for name in sources if not name.startswith("_")]


def _text(module: Any, path: Path) -> str:
    return bytes(module.__loader__.get_data(str(path))).decode()


def _is_module(package: str, name: str) -> bool:
    return not name.startswith("_") and importlib.util.find_spec(f"{package}.{name}") is not None
