"""Rows whose constructor says what it takes when a call gives something else."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import Any, TypeVar

__all__ = ["names_its_arguments"]

_Row = TypeVar("_Row")


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
    made = constructed.__init__
    names = ", ".join(list(inspect.signature(made).parameters)[1:]) or "none"

    @wraps(made)
    def __init__(self: _Row, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        try:
            made(self, *args, **kwargs)
        except TypeError as error:
            # The fields' own errors begin with the row's name.
            _, call, problem = str(error).partition(f"{row.__name__}.__init__() ")
            if not call:
                raise
            if problem.startswith("takes "):  # Python counts the row itself too
                problem = f"got {len(args)} argument(s) without a name, more than it takes"
            raise TypeError(f"{row.__name__}: {problem}; the arguments are {names}") from None

    constructed.__init__ = __init__
    return row
