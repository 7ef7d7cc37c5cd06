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

from halfsim._state import default_state

__all__ = ["lazily", "listed"]

_NAMES = (
    re.compile(r"^from (\S+) import (\w+) as \2(  # optional)?$", re.MULTILINE),
    re.compile(r"^(?=\w+: \S+  # from (\S+)$)(\w+)()", re.MULTILINE),
)


def listed(text: str) -> list[tuple[str, str, bool]]:
    """Return the module and the name of each line of a stub that makes a name public, and whether it is optional."""
    return [(source, name, bool(optional)) for line in _NAMES for source, name, optional in line.findall(text)]


def lazily(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package whose stub lists its public names.

    Parameters
    ----------
    package : str
        Name of the package. Beside its ``__init__.py`` lies an ``__init__.pyi`` with a line
        ``from module import name as name``, or ``name: type  # from module``, for each name; its modules are found by
        their names too. A name whose line ends in ``# optional`` needs another package, that of the extra of this
        name: ``import *`` does not ask for it, and without the package it is no attribute, so that `help` and
        `hasattr` work.
    """
    module = sys.modules[package]
    # The loader reads packages in archives as well.
    text = _text(module, Path(str(module.__file__)).with_name("__init__.pyi"))
    lines = listed(text)
    sources = {name: source for source, name, _ in lines}
    optional_names = {name for _, name, optional in lines if optional}

    def __getattr__(name: str) -> Any:  # noqa: N807
        source = sources.get(name)
        if source is None and not _is_module(package, name):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            value = _found(source or package, name)
        except ModuleNotFoundError as error:
            if name not in optional_names:
                raise
            raise AttributeError(
                f"{package}.{name} needs {error.name}, which is not installed: pip install '{package}[{name}]'"
            ) from error
        setattr(module, name, value)
        return value

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*vars(module), *sources})

    return __getattr__, __dir__, [name for name in sources if name not in optional_names and not name.startswith("_")]


def _found(source: str, name: str) -> Any:
    """Do what ``from source import name`` does, without asking for a missing attribute."""
    # The package's finder guards modules of its folder; those in an archive have this alone.
    with default_state():
        names = vars(importlib.import_module(source))
        return names[name] if name in names else importlib.import_module(f"{source}.{name}")


def _text(module: Any, path: Path) -> str:
    return bytes(module.__loader__.get_data(str(path))).decode()


def _is_module(package: str, name: str) -> bool:
    return not name.startswith("_") and importlib.util.find_spec(f"{package}.{name}") is not None
