"""Orders of the five exception flags in a word, as test benches and status registers have them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from halfsim.flags import Flags

__all__ = ["FLAG_ORDERS", "FlagOrder", "flag_order"]

_MEMBERS = (Flags.inexact, Flags.underflow, Flags.overflow, Flags.divideByZero, Flags.invalid)


@dataclass(frozen=True, slots=True)
class FlagOrder:
    """Where each exception flag lies in a word of eight bits.

    Parameters
    ----------
    name : str
        Name in headers and on the command line.
    description : str
        The bits in words.
    positions : tuple of int
        Bit positions of inexact, underflow, overflow, divideByZero and invalid.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.testvectors.formats import flag_order
    >>> flag_order("mxcsr").encode(np.array([1, 5], np.uint8)).tolist()
    [32, 40]
    """

    name: str
    description: str
    positions: tuple[int, int, int, int, int]

    def encode(self, flags: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return `Flags` bits in this order.

        Parameters
        ----------
        flags : array of uint8
            `Flags` bits, of any shape.

        Returns
        -------
        array of uint8
            Words of the same shape, as the file has them.
        """
        return self._table()[flags]

    def decode(self, words: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Return words of this order as `Flags` bits, -1 where a word has bits that are no flag.

        Parameters
        ----------
        words : array of uint8
            As the file has them, of any shape.

        Returns
        -------
        array of int16
            Of the same shape.
        """
        inverse = np.full(256, -1, np.int16)
        inverse[self._table()] = np.arange(32)
        return inverse[words]

    def _table(self) -> NDArray[np.uint8]:
        words = np.zeros(32, np.uint8)
        for flag, position in zip(_MEMBERS, self.positions, strict=True):
            words |= ((np.arange(32) & flag) != 0).astype(np.uint8) << np.uint8(position)
        return words


FLAG_ORDERS = (
    FlagOrder("testfloat", "invalid 10, divideByZero 08, overflow 04, underflow 02, inexact 01", (0, 1, 2, 3, 4)),
    FlagOrder("mxcsr", "inexact 20, underflow 10, overflow 08, divideByZero 04, invalid 01", (5, 4, 3, 2, 0)),
    FlagOrder("fpsr", "inexact 10, underflow 08, overflow 04, divideByZero 02, invalid 01", (4, 3, 2, 1, 0)),
)
"""RISC-V's fflags and TestFloat, x86's MXCSR, Arm's FPSR (hexadecimal weights)."""


def flag_order(name: str) -> FlagOrder:
    """Return an order by its name.

    Parameters
    ----------
    name : str
        As headers write it: that of one of `FLAG_ORDERS`.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.

    Examples
    --------
    >>> import halfsim as hs, numpy as np
    >>> from halfsim.testvectors.formats import flag_order
    >>> flag_order("testfloat").encode(np.uint8([hs.Flags.overflow | hs.Flags.inexact]))
    array([5], dtype=uint8)
    >>> flag_order("mxcsr").encode(np.uint8([hs.Flags.overflow | hs.Flags.inexact]))
    array([40], dtype=uint8)
    """
    for order in FLAG_ORDERS:
        if order.name == name:
            return order
    known = ", ".join(order.name for order in FLAG_ORDERS)
    raise ValueError(f"flag_order: unknown order {name!r}; known are {known}")
