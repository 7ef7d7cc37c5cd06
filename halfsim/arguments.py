"""Rows, operations and functions that say what they take when a call gives something else."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

__all__ = ["names_its_arguments", "names_its_calls", "tells_its_arguments"]

_Row = TypeVar("_Row")
_Function = TypeVar("_Function", bound=Callable[..., Any])
_HINT = "; the accumulator says how sums are rounded"


def names_its_arguments(row: type[_Row]) -> type[_Row]:
    """Make the constructor of a dataclass name the row and its fields where Python's TypeError names ``__init__``.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @names_its_arguments
    ... @dataclass(frozen=True, kw_only=True)
    ... class Row:
    ...     terms: int
    >>> Row(term=4)
    Traceback (most recent call last):
    TypeError: Row: got an unexpected keyword argument 'term'; the arguments are terms
    """
    constructed: Any = row
    constructed.__init__ = _told(constructed.__init__, lambda _: row.__name__)
    return row


def names_its_calls(operation: type[_Row]) -> type[_Row]:
    """Make the calls of an operation, which has a `name`, and of its ``flagged`` twin tell what they take."""
    called: Any = operation
    called.__call__ = _told(called.__call__, lambda self: str(self.name))
    called.flagged = _told(called.flagged, lambda self: f"{self.name}.flagged")
    return operation


def tells_its_arguments(function: _Function, name: str = "") -> _Function:
    """Make a function tell what it takes, under its own name or, where callers write more than that, another.

    Examples
    --------
    >>> import halfsim as hs
    >>> hs.explain_dot([1.0], [1.0], accumulators="fp16")
    Traceback (most recent call last):
    TypeError: explain_dot: got an unexpected keyword argument 'accumulators'; the arguments are a, b, c, accumulator
    """
    told: Any = _told(function, None, name or function.__name__)
    return told  # type: ignore[no-any-return]


def _told(made: Callable[..., Any], name_of: Callable[[Any], str] | None, own: str = "") -> Callable[..., Any]:
    """Return a function, or a method whose object has a name, that tells what it takes."""
    names = list(inspect.signature(made).parameters)[0 if name_of is None else 1 :]
    listed = ", ".join(names) or "none"

    @wraps(made)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return made(*args, **kwargs)
        except TypeError as error:
            # Errors of what is called begin with its own name.
            begin, call, problem = str(error).partition(f"{made.__qualname__}() ")
            if begin or not call or (name_of is not None and not args):
                raise
            given, name = (args, own) if name_of is None else (args[1:], name_of(args[0]))
            if problem.startswith("takes "):  # Python counts the object itself too
                problem = f"got {len(given)} argument(s) without a name, more than it takes"
            sums = "accumulator" in names and not {"rounding", "environment"}.isdisjoint(kwargs)
            raise TypeError(f"{name}: {problem}; the arguments are {listed}{_HINT if sums else ''}") from None

    return call
