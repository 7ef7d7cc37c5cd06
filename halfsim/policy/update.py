"""How a stored weight moves."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from halfsim.rounding import ALIASES, Rounding, RoundingLike, Stochastic, as_rounding

__all__ = ["Update", "UpdateLike", "WeightUpdate", "as_update"]


class WeightUpdate(StrEnum):
    """What happens to a weight w when the optimizer asks for a change Δ (a binary32 number).

    Examples
    --------
    >>> from halfsim.policy import WeightUpdate, named
    >>> named("binary16-kahan").update is WeightUpdate("kahan")
    True
    """

    master = "master"
    """A binary32 copy moves, ``m = round32(m + Δ)``; the stored weight is m rounded to its format by the policy
    [@micikevicius2018]."""
    nearest = "nearest"
    """The stored weight moves, ``w = round16(w + round16(Δ))``, to nearest, ties to even."""
    stochastic = "stochastic"
    """The stored weight moves, ``w = SR16(w + Δ)``: the exact sum, rounded stochastically once, with 32 random bits
    [@gupta2015]."""
    kahan = "kahan"
    """As `nearest`, with what the addition lost kept in a binary16 compensation and added to the next Δ
    [@kahan1965]; every operation rounds as the policy says."""


Update: TypeAlias = "WeightUpdate | Rounding | Stochastic"
UpdateLike: TypeAlias = "Update | RoundingLike"


def as_update(update: UpdateLike, function: str = "as_update") -> Update:
    """Return the way to move a weight that a name, a rounding or one of the ways itself stands for.

    Parameters
    ----------
    update : WeightUpdate, Rounding, Stochastic or str
        A rounding r moves the stored weight, ``w = r(w + r(Δ))``; `Stochastic` rounds the exact sum once. Rounding to
        nearest, ties to even, is `WeightUpdate.nearest`.
    function : str, optional
        Name that errors begin with.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.
    TypeError
        For anything else.
    """
    if isinstance(update, str) and update in set(WeightUpdate):
        return WeightUpdate(update)
    if isinstance(update, str) and update not in {*ALIASES, *Rounding.__members__}:
        known = ", ".join((*WeightUpdate, *ALIASES))
        raise ValueError(f"{function}: update={update!r} is unknown; known are {known}, and halfsim.Stochastic(...)")
    if not isinstance(update, str | Rounding | Stochastic):
        raise TypeError(
            f"{function}: update={update!r} is a {type(update).__name__}; pass a WeightUpdate, a halfsim.Rounding, "
            "a halfsim.Stochastic or one of their names"
        )
    rounding = as_rounding(update, function)
    return WeightUpdate.nearest if rounding is Rounding.roundTiesToEven else rounding
