"""The rounding and the environment of a call as the control word of the core."""

from __future__ import annotations

from functools import lru_cache

from halfsim.checks import plain
from halfsim.core.control import control_word
from halfsim.environment import IEEE, Environment
from halfsim.rounding import NAMES, RoundingLike, Stochastic, as_rounding

__all__ = ["rounding_control"]


def rounding_control(
    function: str, rounding: RoundingLike, environment: Environment, exact: bool = False, saturate: bool = False
) -> tuple[int, int, int]:
    """Return (control word, seed as int64, index of the first element)."""
    if environment is IEEE and type(rounding) is str and exact is saturate is False:
        # A call of a few elements spends much of its time here otherwise.
        plain = _PLAIN.get(rounding)
        if plain is not None:
            return plain
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
    for name, value in (("exact", exact), ("saturate", saturate)):
        if not isinstance(plain(value), bool):
            raise TypeError(f"{function}: {name}={value!r} is of type {type(value).__name__}; pass True or False")
    mode = as_rounding(rounding, function)
    control = control_word(mode, environment, exact=exact, saturate=saturate)
    if isinstance(mode, Stochastic):
        return control, mode.seed - (mode.seed >> 63 << 64), mode.offset
    return control, 0, 0


_PLAIN = {name: (control_word(mode, IEEE), 0, 0) for name, mode in NAMES.items()}
_known_control = lru_cache(maxsize=256, typed=True)(_control)
