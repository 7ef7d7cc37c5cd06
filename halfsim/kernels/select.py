"""Which loops run: the fastest that there are and that accept the control word, else the general one."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numba
import numpy as np

from halfsim.core.control import STOCHASTIC, gradual
from halfsim.core.fields import layout
from halfsim.formats import BINARY16, BINARY32, BINARY64, Format
from halfsim.kernels import direct, elementwise, f16c, fast, flagged, loops, order, stochastic, wide
from halfsim.kernels.fast import FAST
from halfsim.kernels.loops import Loops
from halfsim.kernels.tables import table_loops

__all__ = ["compiles", "rounding_loops", "select_loops", "wide_loop"]

# By the formats themselves: a user's format may have any name.
_CONVERSIONS = {
    (BINARY32, BINARY16): "binary32_to_binary16",
    (BINARY64, BINARY16): "binary64_to_binary16",
    (BINARY16, BINARY32): "binary16_to_binary32",
}
_WIDE = {None: wide.from_int64, BINARY32: wide.from_binary32, BINARY64: wide.from_binary64}
# By the general loops, of which each stands for many operations; scaleb alone rounds.
_FLAGGED: dict[Any, Any] = {
    elementwise.compare_relation: order.compare_relation,
    elementwise.extremum: order.extremum,
    elementwise.remainder: fast.remainder,
    elementwise.scaleb: fast.scaleb,
}
# The same where processors convert binary16 and nothing is flushed.
_CONVERTED: dict[Any, Any] = {
    elementwise.remainder: flagged.remainder,
    elementwise.scaleb: flagged.scaleb,
}
# Functions of one operand whose loops compilers do not vectorise.
_TABLED = ("logb", "round_to_integral")


def compiles() -> bool:
    """Whether kernels are machine code; only the general ones are anything else."""
    return not numba.config.DISABLE_JIT


def select_loops(name: str, general: Callable[..., None], extra: tuple[Any, ...], control: int, large: bool) -> Loops:
    """Return the loops of an operation under a control word.

    `general` is its general loop, with its last arguments `extra`; `large` says whether there are elements enough for a
    table.
    """
    chosen = _select(name, general, control)
    # No table is read as fast as a processor rounds.
    if large and name in _TABLED and chosen.general is None and compiles():
        if control & 7 != STOCHASTIC or name == "logb":
            return table_loops(general, extra, control, np.dtype(np.uint16))
    return chosen


@lru_cache(maxsize=256)
def _select(name: str, general: Callable[..., None], control: int) -> Loops:
    if not compiles():
        return Loops(general)
    rounds = general is elementwise.scaleb and control & 7 == STOCHASTIC
    if general is elementwise.round_to_integral and f16c.direct(control) and f16c.available():
        return Loops(flagged.round_to_integral, direct.round_to_integral, loops.VECTORISED, loops.DIRECT, general)
    if general in _CONVERTED and not rounds and _converts(control):
        return Loops(_CONVERTED[general], grain=loops.VECTORISED, general=general, optional=True)
    if general in _FLAGGED and not rounds:
        return Loops(_FLAGGED[general], grain=loops.VECTORISED, general=general)
    return _fast(name, control, general) or Loops(general)


def _fast(name: str, control: int, general: Callable[..., None], last: tuple[Any, ...] | None = None) -> Loops | None:
    if control & 7 == STOCHASTIC:
        if name not in stochastic.__all__:
            return None
        return Loops(getattr(stochastic, name), grain=loops.COMPUTED, general=general, last=last)
    if name not in FAST:
        return None
    row = FAST[name]
    if not _converts(control) or (row.converted is row.flagged and not f16c.direct(control)):
        return Loops(row.flagged, row.values, loops.VECTORISED, general=general, last=last)
    if f16c.direct(control):
        return Loops(row.converted, row.direct, loops.VECTORISED, loops.DIRECT, general, last)
    return Loops(row.converted, grain=loops.VECTORISED, general=general, last=last, optional=True)


def _converts(control: int) -> bool:
    """Whether the processor converts binary16 and nothing is flushed."""
    return control == gradual(control) and f16c.available()


@lru_cache(maxsize=256)
def rounding_loops(source: Format, target: Format, control: int) -> Loops | None:
    """Return the loops of a conversion that has its own, under a control word, or None."""
    name = _CONVERSIONS.get((source, target))
    if name is None or not compiles():
        return None
    return _fast(name, control, elementwise.convert, (layout(source), layout(target)))


def wide_loop(source: Format | None, target: Format, control: int) -> Callable[..., None] | None:
    """Return the vectorised loop from a format, or from integers, to a narrower one under a control word, or None."""
    longest = 20 if control & 7 == STOCHASTIC else 24
    # Far inside the range of binary64, which has -1022 and 1023.
    # Values of formats of few bits are held in a wider one's, by a table.
    if target.width > 20 and target != BINARY32:
        return None
    if target.precision > longest or target.emin < -900 or target.emax > 900 or not compiles():
        return None
    return _WIDE.get(source)
