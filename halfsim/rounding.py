"""Rounding-direction attributes: the five of IEEE 754-2019 §4.3, round-to-odd, and stochastic rounding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from operator import index
from typing import TypeAlias

from halfsim.arguments import names_its_arguments

__all__ = ["Rounding", "RoundingLike", "Stochastic", "as_rounding"]


class Rounding(IntEnum):
    """Deterministic rounding directions, spelled as in IEEE 754-2019 §4.3.

    Every public function also takes their names and the aliases ``"rne" "rtz" "rdn" "rup" "rna" "odd"`` as strings.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> [float(hs.divide(np.float16(2), np.float16(3), rounding=mode)) for mode in (hs.Rounding.roundTowardZero, "rup")]
    [0.66650390625, 0.6669921875]
    """

    roundTiesToEven = 0
    """To the nearest number; of two that are as near, to the one whose last bit is 0 (§4.3.1)."""
    roundTowardZero = 1
    """To the nearest number that is no larger in magnitude (§4.3.2)."""
    roundTowardNegative = 2
    """To the nearest number that is no greater, perhaps -inf (§4.3.2)."""
    roundTowardPositive = 3
    """To the nearest number that is no less, perhaps +inf (§4.3.2)."""
    roundTiesToAway = 4
    """To the nearest number; of two that are as near, to the one of larger magnitude (§4.3.1)."""
    roundToOdd = 5
    """Not in 754 [@boldo2008]: an inexact result takes the neighbour whose last bit is 1; overflow: the largest one."""


@names_its_arguments
@dataclass(frozen=True, slots=True)
class Stochastic:
    """Stochastic rounding [@gupta2015]: away from zero with probability equal to the discarded fraction.

    With d the discarded fraction of an ulp and r the `bits` leading bits of the random word, the magnitude is rounded
    up when ``d + r / 2**bits >= 1``; so exact values never change and the probability is d cut to `bits` bits. A
    magnitude that so rounds beyond the largest finite number overflows to infinity, or to NaN where a format has none.

    Parameters
    ----------
    bits : int
        Random bits per rounding, 1 to 32.
    seed : int
        Key of Philox4x32-10 [@salmon2011], 0 to 2**64 - 1.
    offset : int
        Added to the C-order index of the result element. That and the step, the number of a rounding within the
        element, which accumulators state (0 for operations), are the Philox counter: a computation cut in chunks
        with matching offsets equals the whole, and a call takes one offset for each element of its result, however
        many roundings each needs. 0 to 2**62.

    Raises
    ------
    ValueError
        If a field is no integer within its range.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> third = np.full(6, 1 / 3)
    >>> hs.to_bits(hs.convert(third, hs.BINARY16, rounding=hs.Stochastic(bits=13, seed=7))) - 0x3555
    array([1, 0, 0, 0, 0, 0], dtype=uint16)
    """

    bits: int
    seed: int
    offset: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (("bits", 1, 32), ("seed", 0, 2**64 - 1), ("offset", 0, 2**62)):
            value = getattr(self, name)
            if not hasattr(value, "__index__") or not low <= index(value) <= high:
                raise ValueError(f"Stochastic: {name}={value!r} must be an integer from {low} to {high}")
            object.__setattr__(self, name, index(value))


RoundingLike: TypeAlias = "Rounding | Stochastic | str"

ALIASES = {
    "rne": Rounding.roundTiesToEven,
    "rna": Rounding.roundTiesToAway,
    "rtz": Rounding.roundTowardZero,
    "rup": Rounding.roundTowardPositive,
    "rdn": Rounding.roundTowardNegative,
    "odd": Rounding.roundToOdd,
}
NAMES: dict[str, Rounding] = {**Rounding.__members__, **ALIASES}


def as_rounding(rounding: RoundingLike, function: str = "as_rounding") -> Rounding | Stochastic:
    """Return the rounding that a name, an alias or a rounding itself stands for.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.
    TypeError
        For anything that is neither a string, a `Rounding` nor a `Stochastic`.
    """
    if isinstance(rounding, Rounding | Stochastic):
        return rounding
    if not isinstance(rounding, str):
        raise TypeError(
            f"{function}: rounding={rounding!r} is of type {type(rounding).__name__}; "
            "pass a halfsim.Rounding, a halfsim.Stochastic or one of their names"
        )
    if rounding not in NAMES:
        known = ", ".join(f"{mode.name} ({alias!r})" for alias, mode in ALIASES.items())
        raise ValueError(f"{function}: unknown rounding {rounding!r}; known are {known}, and halfsim.Stochastic(...)")
    return NAMES[rounding]
