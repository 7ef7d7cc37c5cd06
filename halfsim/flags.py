"""The five IEEE 754 exceptions as bits, in RISC-V fflags and TestFloat order."""

from __future__ import annotations

from enum import IntFlag
from operator import index
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

if TYPE_CHECKING:
    # Type checkers know it; with its default, plain `Flagged` in an annotation means flags of anything.
    from typing_extensions import TypeVar

    V = TypeVar("V", default=Any)
    F = TypeVar("F", default=Any)
else:
    from typing import TypeVar

    V = TypeVar("V")
    F = TypeVar("F")

__all__ = ["Flagged", "Flags"]


class Flags(IntFlag):
    """Exception flags of IEEE 754-2019 §7, one bit each.

    `Flags(0)`, no flag, is false, and like that of every flag enumeration of Python its `name` is None.

    Examples
    --------
    >>> from halfsim import Flags
    >>> Flags(5)
    <Flags.inexact|overflow: 5>
    >>> Flags.overflow in Flags(5), bool(Flags(0)), Flags(0).name or "none"
    (True, False, 'none')
    """

    inexact = 1
    """The result differs from what unbounded exponent and precision would give (§7.6)."""
    underflow = 2
    """A tiny result that is inexact as well (§7.5); `Tininess` says when a result is tiny."""
    overflow = 4
    """The rounded result would be larger than the largest finite number (§7.4)."""
    divideByZero = 8
    """An exactly infinite result of finite operands, as of 1 / 0 (§7.3)."""
    invalid = 16
    """No result can be defined, as of 0 / 0 or the square root of -1, or an operand is a signaling NaN (§7.2)."""

    @classmethod
    def _missing_(cls, value: object) -> Any:
        # NumPy's integers, as `flagged` returns them, are no int.
        return super()._missing_(index(value) if hasattr(value, "__index__") else value)


class Flagged(NamedTuple, Generic[V, F]):
    """A result and its flags (IEEE 754-2019 §7), element by element; unpacks as ``value, flags``.

    Parameters
    ----------
    value : array or scalar
        The result.
    flags : array or scalar of uint8
        `Flags` bits of every element, of the shape of the result.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> value, flags = hs.add.flagged(np.float16([1, 65504]), np.float16([1, 65504]))
    >>> [hs.Flags(f) for f in flags]
    [<Flags: 0>, <Flags.inexact|overflow: 5>]
    """

    value: V
    flags: F
