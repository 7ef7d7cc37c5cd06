"""Every class that the reference's functions take or return has a place in the reference itself."""

from __future__ import annotations

import builtins
import inspect
import sys
import typing
from collections.abc import Iterator
from typing import Any

import pytest

import halfsim
from docs._ext import public

pytest.importorskip("matplotlib")
pytest.importorskip("torch")


class Other:
    """What is not of this package."""

    def __class_getitem__(cls, _: Any) -> type:
        return cls


class Names(dict[str, Any]):
    """The names of a module; one that only type checkers import is that of the package, or `Other`."""

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)
        return getattr(halfsim, name) if name in public.sources() else Other

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        # An alias in quotes is of types that are defined later.
        return Other if isinstance(value, str) else value


def functions(value: object) -> Iterator[Any]:
    """Yield a function, or a class with its own public methods and properties."""
    if inspect.isfunction(value) or inspect.isclass(value):
        yield value
    if inspect.isclass(value):
        for name, member in vars(value).items():
            function = member.fget if isinstance(member, property) else member
            if inspect.isfunction(function) and (name in ("__init__", "__call__") or not name.startswith("_")):
                yield function


def hints(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield the arguments of a function, or the fields of a class and its bases, with their types."""
    for owner in function.__mro__ if inspect.isclass(function) else (function,):
        if owner.__module__.partition(".")[0] == "halfsim":
            names = Names(vars(sys.modules[owner.__module__]))
            for name, hint in inspect.get_annotations(owner).items():
                yield name, eval(hint, {}, names) if isinstance(hint, str) else hint


def classes(hint: Any) -> Iterator[type]:
    """Yield the classes of this package in a type."""
    if isinstance(hint, type) and hint.__module__.partition(".")[0] == "halfsim":
        yield hint
    for part in typing.get_args(hint):
        yield from classes(part)


def homeless(pages: tuple[public.Page, ...]) -> dict[str, list[str]]:
    """Return the classes that no page defines, and who takes or returns them."""
    entries = [(name, public.found(module, name)) for page in pages for module, name in public.of_page(page)]
    # What stands there as a function may be the one object of its class, as `convert` is.
    known = {id(of) for _, value in entries for of in (value, type(value))}
    found: dict[str, list[str]] = {}
    for name, value in entries:
        for function in functions(value):
            for argument, hint in hints(function):
                for one in classes(hint) if not argument.startswith("_") else ():
                    if id(one) not in known:
                        found.setdefault(f"{one.__module__}.{one.__qualname__}", []).append(f"{name}: {argument}")
    return found


def test_every_class_that_is_taken_or_returned_has_a_place() -> None:
    assert homeless(public.PAGES) == {}


def test_a_class_without_a_place_is_noticed() -> None:
    page = public.Page("p", "P", "", of_package=("halfsim.explanation",))
    assert "halfsim.explanation.elementwise.Explanation" in homeless((page,))
