"""Which loops run: the fastest that there are and that accept the control word, else the general one."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numba

from halfsim.core.control import STOCHASTIC
from halfsim.formats import BINARY16, BINARY32, BINARY64, Format
from halfsim.kernels import elementwise, f16c, loops, stochastic
from halfsim.kernels.fast import FAST
from halfsim.kernels.loops import Loops

__all__ = ["rounding_loops", "select_loops"]

# By the formats themselves: a user's format may have any name.
_CONVERSIONS = {
    (BINARY32, BINARY16): "binary32_to_binary16",
    (BINARY64, BINARY16): "binary64_to_binary16",
    (BINARY16, BINARY32): "binary16_to_binary32",
}


@lru_cache(maxsize=256)
def select_loops(name: str, general: Callable[..., None], control: int) -> Loops:
    """Return the loops of an operation under a control word; `general` is its general one."""
    if numba.config.DISABLE_JIT:
        # The others are made of machine instructions.
        return Loops(general)
    if control & 7 == STOCHASTIC:
        loop = getattr(stochastic, name, None) if name in stochastic.__all__ else None
        return Loops(loop, grain=loops.STOCHASTIC) if loop is not None else Loops(general)
    if name not in FAST:
        return Loops(general)
    fast = FAST[name]
    if f16c.direct(control) and f16c.available():
        return Loops(fast.flagged, fast.direct, loops.DIRECT)
    return Loops(fast.flagged, fast.values, loops.VECTORISED)


def rounding_loops(source: Format, target: Format, control: int) -> Loops | None:
    """Return the loops of a conversion that has its own, under a control word, or None."""
    name = _CONVERSIONS.get((source, target))
    if name is None:
        return None
    found = select_loops(name, elementwise.convert, control)
    return None if found.flagged is elementwise.convert else found
