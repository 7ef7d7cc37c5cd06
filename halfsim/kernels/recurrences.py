"""Which vectorised loop computes a sum that is no matrix unit's: one row per accumulator where one is proved equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from halfsim.accumulators import Compensated, Exact, Pairwise, Sequential
from halfsim.core.fields import layout
from halfsim.formats import BINARY16, BINARY32
from halfsim.kernels import compensated, exact, f16c, native16, sequential16, sequential32, stochastic16, tree
from halfsim.rounding import Rounding, Stochastic

__all__ = ["fast"]


def fast(
    accumulator: Sequential | Pairwise | Compensated | Exact, control: int, counters: tuple[int, int]
) -> tuple[Callable[..., None] | None, tuple[Any, ...]]:
    """Return the loop of an accumulator, or None, and its last arguments; `counters` are seed and offset.

    The number of the first rounding follows them where they are random, and C and its layout where it enters exactly.
    """
    nearest = accumulator.rounding == Rounding.roundTiesToEven
    match accumulator:
        case Exact(format=fmt) if fmt in (BINARY16, BINARY32):
            return exact.exact, (control, layout(fmt), *counters)
        case Sequential(format=fmt, rounding=Stochastic(), flush_to_zero=False) if fmt == BINARY16:
            return stochastic16.binary16, (control, accumulator.fused, *counters)
        case Sequential(format=fmt) if fmt == BINARY32 and (nearest or f16c.directed(control)):
            return sequential32.binary32, (control,)
        case Pairwise(format=fmt) if fmt == BINARY32 and nearest:
            return tree.binary32, (control,)
        case Compensated(format=fmt) if fmt == BINARY32 and nearest:
            return compensated.binary32, (control,)
        case Sequential(format=fmt, rounding=Rounding()) if fmt == BINARY16:
            return _sequential16(accumulator, control), (control,)
        case Pairwise(format=fmt, rounding=Rounding()) if fmt == BINARY16:
            return tree.binary16, (control,)
        case Compensated(format=fmt, rounding=Rounding()) if fmt == BINARY16:
            return compensated.binary16, (control,)
    return None, ()


def _sequential16(accumulator: Sequential, control: int) -> Callable[..., None]:
    if native16.available() and f16c.direct(control):
        return native16.fused if accumulator.fused else native16.unfused
    nearest = accumulator.rounding == Rounding.roundTiesToEven and not accumulator.flush_to_zero
    if accumulator.fused:
        return sequential16.fused_nearest if nearest else sequential16.fused
    return sequential16.unfused_nearest if nearest else sequential16.unfused
