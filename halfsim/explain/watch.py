"""Watching the core work: the same functions as plain Python, each call written down.

An explanation must not compute a second time what it explains. `watch` rebuilds a compiled function from its own
Python code, gives it the core functions it calls in the same way, and records arguments and results of every call. So
the record is the computation, nothing has to be compiled, and the core needs no hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

__all__ = ["Call", "Recorder", "watch"]

_WATCHED = ("halfsim.core.", "halfsim.kernels.")


@dataclass(slots=True)
class Call:
    """One call of a core function: arguments by name, result, and the calls it made, in order."""

    name: str
    arguments: dict[str, Any]
    result: Any = None
    calls: list[Call] = field(default_factory=list)

    def walk(self) -> Iterator[Call]:
        """Walk through this call and all calls below it, in the order they began."""
        yield self
        for call in self.calls:
            yield from call.walk()

    def find(self, name: str) -> list[Call]:
        """Return all calls of a function, at any depth."""
        return [call for call in self.walk() if call.name == name]

    def direct(self, name: str) -> list[Call]:
        """Return the calls of a function made by this one itself."""
        return [call for call in self.calls if call.name == name]


def watch(function: Callable[..., Any], *arguments: Any) -> Call:
    """Call a core function or a loop in plain Python and return the record of the call."""
    recorder = Recorder()
    recorder.plain(function)(*arguments)
    return recorder.root.calls[0]


def _source(value: Any) -> FunctionType | None:
    """Python function of a core function, compiled or not; None for anything else."""
    function = getattr(value, "py_func", value)
    if isinstance(function, FunctionType) and function.__module__.startswith(_WATCHED):
        return function
    return None


def _number(value: Any) -> Any:
    """NumPy's integers as Python's, so that a record prints and serialises."""
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(_number(item) for item in value)
    return int(value) if isinstance(value, np.integer) else value


class _Module:
    """Stands for a core module in the globals of a watched function."""

    def __init__(self, recorder: Recorder, module: ModuleType) -> None:
        self._recorder = recorder
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        return self._recorder.plain(value) if _source(value) else value


class Recorder:
    """Rebuilds functions so that their calls are written down under `root`."""

    def __init__(self) -> None:
        self.root = Call("", {})
        self._open = [self.root]
        self._plain: dict[FunctionType, Callable[..., Any]] = {}

    def plain(self, value: Any) -> Callable[..., Any]:
        """Return a core function or a loop as plain Python whose calls are written down."""
        source = _source(value)
        if source is None:
            raise TypeError(f"watch: {value!r} is not a function of the core or of a loop")
        if source not in self._plain:
            self._plain[source] = self._recorded(source)
        return self._plain[source]

    def _recorded(self, source: FunctionType) -> Callable[..., Any]:
        name = source.__name__.lstrip("_")
        parameters = source.__code__.co_varnames[: source.__code__.co_argcount]
        built: list[Callable[..., Any]] = []

        def recorded(*arguments: Any, **keywords: Any) -> Any:
            # Built at the first call: functions name each other in circles, as loops and their scalars of one name.
            if not built:
                built.append(self._rebuild(source))
            given = dict(zip(parameters, arguments, strict=False)) | keywords
            call = Call(name, {parameter: _number(value) for parameter, value in given.items()})
            self._open[-1].calls.append(call)
            self._open.append(call)
            try:
                result = built[0](*arguments, **keywords)
            finally:
                self._open.pop()
            call.result = _number(result)
            return result

        return recorded

    def _rebuild(self, source: FunctionType) -> Callable[..., Any]:
        names = dict(source.__globals__)
        for name in source.__code__.co_names:
            value = names.get(name)
            if isinstance(value, ModuleType) and value.__name__.startswith(_WATCHED):
                names[name] = _Module(self, value)
            elif _source(value):
                names[name] = self.plain(value)
        return FunctionType(source.__code__, names, source.__name__, source.__defaults__, source.__closure__)
