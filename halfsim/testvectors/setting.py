"""What rows are compared with: an operation, a rounding direction and an environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.environment import Environment
from halfsim.rounding import RoundingLike
from halfsim.testvectors.formats import Header
from halfsim.testvectors.subjects import Subject

__all__ = ["Results", "Setting", "Words"]

Words = NDArray[Any]
Results = tuple[Words, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a file's rows are to be compared with.

    Parameters
    ----------
    subject : Subject
        The operation.
    rounding : Rounding, Stochastic or str
        Rounding direction.
    environment : Environment
        NaN rule, tininess and flushing.
    options : tuple of str
        Keywords that are set.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> from halfsim.testvectors import subject
    >>> from halfsim.testvectors.setting import Setting
    >>> result, flags = Setting(subject("sqrt"), "rup", hs.RISCV).evaluate([np.uint16([0x3C00, 0x4000])])
    >>> [hex(word) for word in result.tolist()], flags.tolist()
    (['0x3c00', '0x3da9'], [0, 1])
    """

    subject: Subject
    rounding: RoundingLike
    environment: Environment
    options: tuple[str, ...] = ()

    def evaluate(self, operands: Sequence[Words], first: int = 0) -> Results:
        """Return patterns and flags.

        Parameters
        ----------
        operands : sequence of unsigned arrays
            Patterns, one array for each operand.
        first : int
            Number of the first row, for the words of a stochastic rounding.

        Raises
        ------
        TypeError, ValueError
            As `Subject.evaluate`.
        """
        return self.subject.evaluate(
            operands, rounding=self.rounding, environment=self.environment, options=self.options, first=first
        )

    def header(self, **more: Any) -> Header:
        """Return the header of a file of such rows; `more` are fields of `Header` that a setting does not know.

        Parameters
        ----------
        **more
            As `halfsim.testvectors.formats.Header` takes them.

        Raises
        ------
        ValueError
            As `halfsim.testvectors.formats.Header`.
        """
        known = self.subject
        return Header(
            operation=known.name,
            operands=known.operands,
            result=known.result,
            rounding=self.rounding,
            environment=self.environment,
            options=self.options,
            testfloat=known.testfloat,
            **more,
        )
