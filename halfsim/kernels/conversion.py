"""Which loops convert, and in what the values of a format are held."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.core.control import control_word
from halfsim.core.fields import layout
from halfsim.environment import IEEE
from halfsim.formats import BINARY16, BINARY32, BINARY64, Format
from halfsim.kernels import elementwise as loops
from halfsim.kernels import host
from halfsim.kernels.loops import Loops
from halfsim.kernels.select import rounding_loops
from halfsim.rounding import Rounding

__all__ = ["NATIVE", "conversion_loops", "fast", "general", "holder", "words"]

NATIVE = {"float16": BINARY16, "float32": BINARY32, "float64": BINARY64}
"""Formats by the names of NumPy's dtypes."""
_PIECE = 1 << 14
_layout = lru_cache(maxsize=64)(layout)


def words(width: int) -> np.dtype[Any]:
    """Dtype in which patterns of a width travel: 64-bit ones as int64, for which the core is written."""
    return np.dtype(np.uint16 if width <= 16 else np.uint32 if width <= 32 else np.int64)


@lru_cache(maxsize=64)
def holder(fmt: Format) -> Format:
    """The native format whose arrays hold every value of `fmt`."""
    for native in NATIVE.values():
        if fmt == native:
            return native
    return BINARY32 if BINARY32.contains(fmt) else BINARY64


def general(
    place: Any,
    patterns: Any,
    source: Format | None,
    unsigned: bool,
    target: Format | np.dtype[Any],
    options: tuple[int, int, int],
) -> tuple[Any, Any]:
    """Round on the core, where the arrays lie: return (patterns of what holds the values, flags), flat."""
    flags = place.empty(patterns.size, np.uint8)
    if not isinstance(target, Format):
        return _to_integer(place, patterns, source, target, flags, options), flags
    z = place.empty(patterns.size, words(target.width))
    to = _layout(target)
    if source is None:
        place.elementwise(loops.from_integer, (patterns,), z, flags, *options, (0 if unsigned else 1, to))
    else:
        place.elementwise(loops.convert, (patterns,), z, flags, *options, (_layout(source), to))
    held_in = holder(target)
    if held_in == target:
        return z, flags
    held = place.empty(patterns.size, words(held_in.width))
    # Exact: only the container changes. A NaN is quiet already and keeps its payload.
    plain = control_word(Rounding.roundTiesToEven, IEEE)
    ignored = place.empty(patterns.size, np.uint8)
    place.elementwise(loops.convert, (z,), held, ignored, plain, 0, 0, (to, _layout(held_in)))
    return held, flags


def _to_integer(
    place: Any, patterns: Any, source: Format | None, target: np.dtype[Any], flags: Any, options: tuple[int, int, int]
) -> Any:
    """Round to integers."""
    if source is None:
        raise TypeError("convert: x and to are both integers; use numpy's astype, there is nothing to round")
    z = place.empty(patterns.size, np.int64)
    width, signed = 8 * target.itemsize, int(target.kind == "i")
    place.elementwise(loops.to_integer, (patterns,), z, flags, *options, (_layout(source), width, signed))
    return place.view(z, target) if target.itemsize == 8 else place.cast(z, target)


def conversion_loops(source: Format | None, unsigned: bool, target: Format | np.dtype[Any], control: int) -> Loops:
    """Return loops from flat patterns of `source` to those of what holds the values, on the CPU."""
    found = rounding_loops(source, target, control) if source is not None and isinstance(target, Format) else None
    return found or Loops(partial(_in_pieces, source, unsigned, target))


def _in_pieces(
    source: Format | None,
    unsigned: bool,
    target: Format | np.dtype[Any],
    patterns: NDArray[Any],
    z: NDArray[Any],
    flags: NDArray[Any],
    control: int,
    seed: int,
    index: int,
) -> None:
    """Round as `general` does, with memory for a few elements."""
    for start in range(0, z.size, _PIECE):
        piece = slice(start, start + _PIECE)
        options = control, seed, index + start
        z[piece], flags[piece] = general(host, patterns[piece], source, unsigned, target, options)


def fast(patterns: NDArray[Any], source: Format, target: Format, options: tuple[int, int, int]) -> NDArray[Any] | None:
    """Round flat patterns by a loop of its own, where there is one: return patterns."""
    loops = rounding_loops(source, target, options[0])
    if loops is None:
        return None
    z = np.empty(patterns.size, words(target.width))
    host.compute(loops, (patterns,), z, None, options)
    return z
