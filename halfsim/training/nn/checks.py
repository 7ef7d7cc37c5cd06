"""What the primitives say of arrays that do not fit each other."""

from __future__ import annotations

from halfsim.checks import plain
from halfsim.training.arithmetic import Array

__all__ = ["check_number", "check_shape"]


def check_shape(function: str, name: str, array: Array, *wanted: int | str) -> None:
    """Raise ValueError unless an array has a shape: lengths must be equal, letters stand for any.

    Parameters
    ----------
    function, name : str
        What was called, and the argument.
    array : array
        What arrived.
    *wanted : int or str
        Length of each axis, or its letter.
    """
    found = array.shape
    if len(found) != len(wanted) or any(type(n) is int and n != m for n, m in zip(wanted, found, strict=True)):
        shape = ", ".join(map(str, wanted)) + ("," if len(wanted) == 1 else "")
        raise ValueError(f"{function}: {name} has shape {found}; pass one of shape ({shape})")


def check_number(function: str, name: str, value: object, high: float) -> None:
    """Raise ValueError unless a value is a number from 0 to `high`; a NaN is none."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= high:
        raise ValueError(f"{function}: {name}={value!r} must be a number from 0 to {high:g}")
