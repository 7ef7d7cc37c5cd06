"""Watching the core work: the same functions as plain Python, each call written down.

An explanation must not compute a second time what it explains. `watch` rebuilds a compiled function from its own
Python code, gives it the core functions it calls in the same way, and records arguments and results of every call. So
the record is the computation, nothing has to be compiled, and the core needs no hooks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

__all__ = ["Call", "plain", "watch"]

_WATCHED = ("halfsim.core.", "halfsim.kernels.")


@dataclass(slots=True)
class Call:
    """One call of a core function: arguments by name, result, and the calls it made, in order."""

    name: str
    arguments: dict[str, Any]
    result: Any = None
    calls: list[Call] = field(default_factory=list)

    def walk(self) -> Iterator[Call]:
        """Walk through this call and all calls below it, in the order they began.

        Yields
        ------
        Call
            This one, then those below.
        """
        yield self
        for call in self.calls:
            yield from call.walk()

    def find(self, name: str) -> list[Call]:
        """Return all calls of a function, at any depth."""
        return [call for call in self.walk() if call.name == name]

    def direct(self, name: str) -> list[Call]:
        """Return the calls of a function made by this one itself."""
        return [call for call in self.calls if call.name == name]


class _Thread(threading.local):
    """The calls that are open in this thread, outermost first."""

    def __init__(self) -> None:
        self.open = [Call("", {})]


_THREAD = _Thread()


def watch(function: Callable[..., Any], *arguments: Any) -> Call:
    """Call a core function or a loop in plain Python and return the record of the call."""
    outer, root = _THREAD.open, Call("", {})
    _THREAD.open = [root]
    try:
        # Products of random words wrap, as those of compiled code do.
        with np.errstate(over="ignore"):
            plain(function)(*arguments)
    finally:
        _THREAD.open = outer
    return root.calls[0]


def plain(value: Any) -> Callable[..., Any]:
    """Return a core function or a loop as plain Python that writes its calls down while `watch` runs."""
    source = _source(value)
    if source is None:
        raise TypeError(f"watch: {value!r} is not a function of the core or of a loop")
    return _recorded(source)


def _source(value: Any) -> FunctionType | None:
    """Python function of a core function, compiled or not; None for anything else."""
    function = getattr(value, "py_func", value)
    if isinstance(function, FunctionType) and function.__module__.startswith(_WATCHED):
        return function
    return None


def _number(value: Any) -> Any:
    """NumPy's integers as Python's, so that a record prints and serialises."""
    kind = type(value)
    if kind is int:
        return value
    if kind is tuple:
        return tuple(map(_number, value))
    return int(value) if isinstance(value, np.integer) else value


class _Module:
    """Stands for a core module in the globals of a watched function."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        return plain(value) if _source(value) else value


@cache
def _recorded(source: FunctionType) -> Callable[..., Any]:
    """Return a function that calls the rebuilt source and writes the call down."""
    name = source.__name__.lstrip("_")
    parameters = source.__code__.co_varnames[: source.__code__.co_argcount]

    def recorded(*arguments: Any, **keywords: Any) -> Any:
        given = dict(zip(parameters, arguments, strict=False)) | keywords
        call = Call(name, {parameter: _number(value) for parameter, value in given.items()})
        calls = _THREAD.open
        calls[-1].calls.append(call)
        calls.append(call)
        try:
            result = _rebuilt(source)(*arguments, **keywords)
        finally:
            calls.pop()
        call.result = _number(result)
        return result

    return recorded


# Built at the first call: functions name each other in circles, as loops and their scalars of one name.
@cache
def _rebuilt(source: FunctionType) -> Callable[..., Any]:
    """Return the source with watched functions in place of those that it calls."""
    names = dict(source.__globals__)
    for name in source.__code__.co_names:
        value = names.get(name)
        if isinstance(value, ModuleType) and value.__name__.startswith(_WATCHED):
            names[name] = _Module(value)
        elif _source(value):
            names[name] = plain(value)
    return FunctionType(source.__code__, names, source.__name__, source.__defaults__, source.__closure__)
