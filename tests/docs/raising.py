"""Which errors a call raises, as its source says: for the test that docstrings tell them."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from functools import cache
from types import FunctionType
from typing import Any

__all__ = ["raised"]


@cache
def body(function: FunctionType) -> tuple[ast.AST, ...]:
    """Return what a function runs: its statements and what is in them.

    Functions inside of it run later, and what is tried may be caught.
    """
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(definition, ast.FunctionDef)
    waiting: list[ast.AST] = [*definition.body]
    found = []
    while waiting:
        node = waiting.pop()
        found.append(node)
        if isinstance(node, ast.Try) and node.handlers:
            waiting += [*node.handlers, *node.orelse, *node.finalbody]
        elif not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
    return tuple(found)


def named(node: ast.expr, function: FunctionType, owner: type | None) -> Any:
    """Return what a dotted name in a function stands for, or None where only a run would tell."""
    first, *rest = ast.unparse(node).split(".")
    if owner is not None and first in ("self", "cls") and len(rest) == 1:
        return getattr(inspect.getattr_static(owner, rest[0], None), "__func__", getattr(owner, rest[0], None))
    value = function.__globals__.get(first, getattr(builtins, first, None))
    for part in rest:
        value = getattr(value, part, None)
    return value


def functions(value: Any, owner: type | None = None) -> list[tuple[FunctionType, type | None]]:
    """Return the functions of the package that a call of a value runs, and whose methods they are."""
    chosen: list[tuple[Any, type | None]]
    if inspect.isclass(value):
        chosen = [
            (inspect.unwrap(vars(value)[name]), value) for name in ("__init__", "__post_init__") if name in vars(value)
        ]
    elif inspect.isroutine(value):
        chosen = [(inspect.unwrap(value), owner)]
    else:
        chosen = [(vars(type(value)).get("__call__"), type(value))]
    return [
        (function, of)
        for function, of in chosen
        if inspect.isfunction(function)
        and function.__module__.startswith(("halfsim", "tests"))
        and function.__code__.co_filename != "<string>"  # what `dataclass` writes
    ]


def raised(value: Any, owner: type | None = None) -> set[type[BaseException]]:
    """Return the errors that a call raises itself, or in a function of the package that it calls.

    To make an object is one call more: it calls what checks its fields, which calls what checks one of them.
    """
    waiting = [(function, of, 2 if inspect.isclass(value) else 1) for function, of in functions(value, owner)]
    found = set()
    while waiting:
        function, of, depth = waiting.pop()
        for node in body(function):
            if isinstance(node, ast.Raise) and node.exc is not None:
                error = named(node.exc.func if isinstance(node.exc, ast.Call) else node.exc, function, of)
                if inspect.isclass(error) and issubclass(error, BaseException):
                    found.add(error)
            elif depth and isinstance(node, ast.Call):
                called = named(node.func, function, of)
                if inspect.isclass(called) or inspect.isroutine(called):
                    waiting += [(f, o, depth - 1) for f, o in functions(called, of)]
    return found
