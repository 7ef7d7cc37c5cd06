"""What a comparison of captures with the simulator found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from halfsim.capture.discrimination import Discrimination

__all__ = ["Agreement", "Disagreement"]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One result that differs.

    Parameters
    ----------
    index : tuple of int
        Where in the result: element; or tile, row, column, after the entry of ``K`` in chains and experiments.
    operands : dict
        Hexadecimal patterns of the operands behind it; lists of the K factors for A and B.
    got, wanted : str
        Hexadecimal patterns: the GPU's, the simulator's.
    where : str
        Coverage class or name of the experiment; may be empty.
    reasons : tuple of str
        How the simulator comes to its result.

    Examples
    --------
    >>> from halfsim.capture import Disagreement
    >>> print(Disagreement((0,), {"a": "3c00"}, got="3c00", wanted="bc00", where=""))
    [0]: a = 3c00: GPU 3c00, simulator bc00
    """

    index: tuple[int, ...]
    operands: dict[str, Any]
    got: str
    wanted: str
    where: str
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        inputs = ", ".join(
            f"{name} = {' '.join(value) if isinstance(value, list) else value}" for name, value in self.operands.items()
        )
        place = f"{self.where}, " if self.where else ""
        return f"{place}{list(self.index)}: {inputs}: GPU {self.got}, simulator {self.wanted}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one instruction of one GPU compares.

    Parameters
    ----------
    gpu, group, instruction : str
        What was compared.
    count : int
        Results compared; 0 where the simulator promises nothing.
    equal : int
        How many of them are equal, bit for bit.
    open : int
        Results that were recorded but not compared, as their definition leaves them open.
    first : tuple of Disagreement
        The first differences.
    discrimination : tuple of Discrimination
        Which neighbours of the row the results can tell from it, where that was asked.

    Examples
    --------
    >>> from halfsim.capture import Agreement
    >>> Agreement("a GPU", "unary", "neg.f16", count=2, equal=2, open=0).agrees
    True
    """

    gpu: str
    group: str
    instruction: str
    count: int
    equal: int
    open: int
    first: tuple[Disagreement, ...] = field(default=(), repr=False)
    discrimination: tuple[Discrimination, ...] = field(default=(), repr=False)

    @property
    def agrees(self) -> bool:
        """Whether no compared result differs."""
        return self.equal == self.count
