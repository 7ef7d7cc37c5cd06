"""Rows by name: how the plain table of a configuration becomes a row, and what the fields of rows may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from typing import Any, TypeVar

from halfsim.checks import integer, plain

__all__ = ["check_choice", "check_count", "check_number", "check_sizes", "row_of"]

_Row = TypeVar("_Row")
_LARGEST = 2**31 - 1


def row_of(registry: Mapping[str, type[_Row]], table: Mapping[str, Any]) -> _Row:
    """Return the row that a table describes: its "name" in the registry, and its fields.

    Parameters
    ----------
    registry : mapping of str to class
        Dataclasses by name, such as ``MODELS``.
    table : mapping
        "name", and any fields; lists become tuples, and fields with a default can be left out.

    Raises
    ------
    ValueError
        For a name or a key that is unknown, with what it may have meant, and for a field that is missing.

    Examples
    --------
    >>> from halfsim.training.models import MODELS
    >>> row_of(MODELS, {"name": "perceptron", "sizes": [64, 32, 10]}).sizes
    (64, 32, 10)
    """
    values = {key: _frozen(value) for key, value in table.items() if key != "name"}
    if "name" not in table:
        alike = get_close_matches("name", [key for key in table if isinstance(key, str)], n=1)
        meant = f" (is {alike[0]!r} meant for it?)" if alike else ""
        raise ValueError(f"row_of: name is missing{meant}; known are {', '.join(registry)}")
    name = table["name"]
    if not isinstance(name, str) or name not in registry:
        raise ValueError(f"row_of: name={name!r} is unknown{_meant(name, registry)}; known are {', '.join(registry)}")
    kind: Any = registry[name]
    known = {field.name: field.default is MISSING and field.default_factory is MISSING for field in fields(kind)}
    for key in values:
        if key not in known:
            raise ValueError(f"row_of: {name} has no {key!r}{_meant(key, known)}; it has {', '.join(known)}")
    missing = [key for key, needed in known.items() if needed and key not in values]
    if missing:
        raise ValueError(f"row_of: {name} lacks {', '.join(missing)}; add what is missing")
    row: _Row = kind(**values)
    return row


def check_count(row: Any, *names: str, low: int = 1) -> None:
    """Raise ValueError unless the fields are integers, at least `low`."""
    for name in names:
        _set(row, name, integer(type(row).__name__, name, getattr(row, name), low, _LARGEST))


def check_sizes(row: Any, *names: str, least: int = 1) -> None:
    """Raise ValueError unless the fields are at least `least` positive integers, which become a tuple."""
    for name in names:
        value = getattr(row, name)
        if not isinstance(value, tuple | list) or len(value) < least:
            raise ValueError(f"{type(row).__name__}: {name}={value!r} must be a tuple of at least {least} integers")
        _set(row, name, tuple(integer(type(row).__name__, name, size, 1, _LARGEST) for size in value))


def check_number(row: Any, *names: str, low: float = -1e30, high: float = 1e30) -> None:
    """Raise ValueError unless the fields are numbers from `low` to `high`."""
    for name in names:
        value: Any = plain(getattr(row, name))
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"{type(row).__name__}: {name}={value!r} must be a number from {low:g} to {high:g}")
        _set(row, name, float(value))


def check_choice(row: Any, name: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless the field is one of the choices."""
    value = getattr(row, name)
    if value not in choices:
        kind = type(row).__name__
        raise ValueError(f"{kind}: {name}={value!r} is unknown{_meant(value, choices)}; known are {', '.join(choices)}")


def _set(row: Any, name: str, value: Any) -> None:
    # Rows are frozen; this happens while one is made, so that equal rows have equal fields.
    object.__setattr__(row, name, value)


def _meant(name: object, known: Any) -> str:
    near = get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value
