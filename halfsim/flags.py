"""The five IEEE 754 exceptions as bits, in RISC-V fflags and TestFloat order."""

from __future__ import annotations

from enum import IntFlag
from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["Flagged", "Flags"]


class Flags(IntFlag):
    """Exception flags of IEEE 754-2019 §7, one bit each.

    Examples
    --------
    >>> from halfsim import Flags
    >>> Flags(5)
    <Flags.inexact|overflow: 5>
    """

    inexact = 1
    underflow = 2
    overflow = 4
    divideByZero = 8
    invalid = 16


class Flagged(NamedTuple):
    """A result and its flags, element by element; unpacks as ``value, flags``."""

    value: NDArray[Any]
    flags: NDArray[Any]
