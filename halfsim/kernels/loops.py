"""What the loops of an elementwise operation are, and how many elements are worth a thread of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["COMPUTED", "DIRECT", "GENERAL", "VECTORISED", "Loops"]

# Elements that take some 0.2 ms: starting and ending a thread's block costs a tenth of that.
DIRECT = 1 << 20
VECTORISED = 1 << 18
COMPUTED = 1 << 16
GENERAL = 1 << 14


class Loops(NamedTuple):
    """The loops that compute an operation under a control word."""

    flagged: Callable[..., Any]
    """``(operands, z, flags, control, seed, index, *extra)``."""
    values: Callable[..., Any] | None = None
    """``(operands, z, control)``, where there is a faster one for when nobody asks for flags."""
    grain: int = GENERAL
    """Least elements of a block of the former."""
    values_grain: int = VECTORISED
    """Of the latter."""
    general: Callable[..., Any] | None = None
    """The general loop, for the elements whose result is a NaN, where the others return that there are some."""
    last: tuple[Any, ...] | None = None
    """Its last arguments; those of the operation by default."""
    optional: bool = False
    """Whether `flagged` takes 0 for `flags`, for when nobody asks for them."""
    draws: bool = False
    """Whether `values` draws random words, and hence takes seed and index as well."""
