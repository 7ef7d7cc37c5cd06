"""The rounding and the environment of a call as the control word of the core."""

from __future__ import annotations

from functools import lru_cache

from halfsim.core.control import control_word
from halfsim.environment import Environment
from halfsim.rounding import RoundingLike, Stochastic, as_rounding

__all__ = ["rounding_control"]


def rounding_control(
    function: str, rounding: RoundingLike, environment: Environment, exact: bool = False, saturate: bool = False
) -> tuple[int, int, int]:
    """Return (control word, seed as int64, index of the first element)."""
    try:
        return _known_control(function, rounding, environment, exact, saturate)
    except TypeError:
        # An unhashable argument: say which, as for any other wrong type.
        return _control(function, rounding, environment, exact, saturate)


def _control(
    function: str, rounding: RoundingLike, environment: Environment, exact: bool, saturate: bool
) -> tuple[int, int, int]:
    if not isinstance(environment, Environment):
        raise TypeError(
            f"{function}: environment={environment!r} is of type {type(environment).__name__}; "
            "pass a halfsim.Environment such as halfsim.RISCV"
        )
    mode = as_rounding(rounding, function)
    control = control_word(mode, environment, exact=exact, saturate=saturate)
    if isinstance(mode, Stochastic):
        return control, mode.seed - (mode.seed >> 63 << 64), mode.offset
    return control, 0, 0


# A call of a few elements spends most of its time here otherwise.
_known_control = lru_cache(maxsize=256, typed=True)(_control)
