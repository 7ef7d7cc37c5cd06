"""Which loops convert, and in what the values of a format are held."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.core.control import STOCHASTIC, Bit, control_word
from halfsim.core.fields import layout
from halfsim.environment import IEEE
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, Format
from halfsim.kernels import elementwise as loops
from halfsim.kernels import f16c, host, narrowing, narrowing_rule
from halfsim.kernels.drawn import drawing_loop
from halfsim.kernels.loops import COMPUTED, GENERAL, VECTORISED, Loops
from halfsim.kernels.select import compiles, rounding_loops, wide_loop
from halfsim.kernels.tables import look_up, table_loops
from halfsim.kernels.wide import binary64_to_binary32
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


def conversion_loops(
    source: Format | None,
    unsigned: bool,
    target: Format | np.dtype[Any],
    control: int,
    large: bool,
    dtype: np.dtype[Any],
) -> tuple[Loops, tuple[Any, ...]]:
    """Return loops, and their last arguments, from patterns of `source` to those of what holds the values, on the CPU.

    `dtype` is that of the latter; `large` says whether there are elements enough for a table.
    """
    wide = None
    if isinstance(target, Format):
        found = rounding_loops(source, target, control) if source is not None else None
        if found is not None:
            return found, ()
        wide = wide_loop(source, target, control)
        if source in (BINARY32, BINARY64) and compiles() and narrowing_rule.takes(target, control):
            flagged, values = (partial(loop, source, target) for loop in (_narrowed_flagged, _narrowed_values))
            if source == BINARY32 or target.emax < BINARY32.emax:
                return Loops(flagged, values, VECTORISED), ()
            # Binary32 does not tell what overflows there as well.
            return Loops(_in_pieces, values, COMPUTED), (source, unsigned, target)
        drawing = drawing_loop(source, target, control)
        if source is not None and drawing is not None and compiles():
            drawn = partial(_but_nan, drawing, source, target)
            return Loops(_in_pieces, drawn, COMPUTED, COMPUTED, draws=True), (source, unsigned, target)
        if (source, target) == (BINARY64, BINARY32) and f16c.directed(control) and compiles():
            rounded = partial(_but_nan, binary64_to_binary32, BINARY64, BINARY32)
            return Loops(_in_pieces, rounded, COMPUTED), (source, unsigned, target)
    extra = source, unsigned, target
    # A table of few entries is always worth making.
    if source is not None and (source.width <= 8 or (source.width <= 16 and large)):
        if control & 7 != STOCHASTIC and compiles():
            return table_loops(_in_pieces, extra, control, dtype, source.width), ()
    return Loops(_in_pieces, grain=GENERAL if wide is None else COMPUTED), extra


def _narrowed(
    source: Format,
    target: Format,
    patterns: NDArray[Any],
    z: NDArray[Any],
    flags: NDArray[np.uint8] | None,
    control: int,
) -> None:
    """Round binary32 numbers, or binary64 ones by way of binary32, to others; NaNs are left to the core."""
    flush = control >> Bit.flushInputs & 1 != 0
    if source == BINARY32:
        rule, step, near = narrowing_rule.make_rule(target, control, flush), max(z.size, 1), None
    else:
        # No subnormal number of binary32 is one of binary64.
        rule, step = narrowing_rule.make_rule(target, control, False), 4 * _PIECE
        near = np.empty(min(z.size, step), np.uint32)
    for start in range(0, z.size, step):
        piece = slice(start, start + step)
        part, raised = patterns[piece], None if flags is None else flags[piece]
        words = part
        if near is not None:
            words = near[: part.size]
            narrowing.round_binary64_to_odd(part, words, flush)
        if raised is None:
            nan = narrowing.round_binary32(words, z[piece], rule)
        else:
            nan = narrowing.round_flagged(words, z[piece], raised, rule)
        if nan:
            _decide(source, target, part, z[piece], raised, control)


def _but_nan(loop: Any, source: Format, target: Format, patterns: Any, z: Any, *options: int) -> None:
    """Run a loop without flags; NaNs are the core's."""
    if loop(patterns, z, *options):
        _decide(source, target, patterns, z, None, options[0])


def _narrowed_values(source: Format, target: Format, patterns: Any, z: Any, control: int) -> None:
    _narrowed(source, target, patterns, z, None, control)


def _narrowed_flagged(
    source: Format, target: Format, patterns: Any, z: Any, flags: Any, control: int, *options: Any
) -> None:
    _narrowed(source, target, patterns, z, flags, control)


def _decide(
    source: Format,
    target: Format,
    patterns: NDArray[Any],
    z: NDArray[Any],
    flags: NDArray[np.uint8] | None,
    control: int,
) -> None:
    """Have the core decide what becomes of NaNs."""
    magnitude, infinity = (0x7FFFFFFF, 0x7F800000) if source == BINARY32 else ((1 << 63) - 1, 0x7FF << 52)
    for start in range(0, z.size, _PIECE):
        part = patterns[start : start + _PIECE]
        where = np.flatnonzero((part & magnitude) > infinity)
        if where.size:
            values, raised = general(host, part[where], source, False, target, (control, 0, 0))
            z[start + where] = values
            if flags is not None:
                flags[start + where] = raised


def _in_pieces(
    patterns: NDArray[Any],
    z: NDArray[Any],
    flags: NDArray[Any],
    control: int,
    seed: int,
    index: int,
    source: Format | None,
    unsigned: bool,
    target: Format | np.dtype[Any],
) -> None:
    """Round to what holds the values, with memory for a few elements."""
    # bfloat16 is the upper half of binary32.
    upper = source == BFLOAT16
    source = BINARY32 if upper else source
    wide = wide_loop(source, target, control) if isinstance(target, Format) else None
    for start in range(0, z.size, _PIECE):
        piece = slice(start, start + _PIECE)
        options, part = (control, seed, index + start), patterns[piece]
        part = part.astype(np.uint32) << np.uint32(16) if upper else part
        if wide is None:
            z[piece], flags[piece] = general(host, part, source, unsigned, target, options)
        else:
            first = (0 if unsigned else 1) if source is None else _layout(source)
            _held_wide(wide, part, z[piece], flags[piece], options, first, target)


def _held_wide(
    wide: Callable[..., None],
    patterns: NDArray[Any],
    z: NDArray[Any],
    flags: NDArray[Any],
    options: tuple[int, int, int],
    first: Any,
    target: Any,
) -> None:
    """Round by a loop of `halfsim.kernels.wide` to what holds the values."""
    held_in = holder(target)
    if held_in == target:
        wide(patterns, z, flags, *options, first, _layout(target))
        return
    rounded = np.empty(z.size, words(target.width))
    wide(patterns, rounded, flags, *options, first, _layout(target))
    look_up(rounded, _held(target, held_in), z)


@lru_cache(maxsize=16)
def _held(target: Format, held_in: Format) -> NDArray[Any]:
    """Return the patterns of another format that have the values of every pattern of `target`."""
    every = np.arange(1 << target.width, dtype=words(target.width))
    held, ignored = np.empty(every.size, words(held_in.width)), np.empty(every.size, np.uint8)
    plain = control_word(Rounding.roundTiesToEven, IEEE)
    host.elementwise(loops.convert, (every,), held, ignored, plain, 0, 0, (_layout(target), _layout(held_in)))
    return held


def fast(patterns: NDArray[Any], source: Format, target: Format, options: tuple[int, int, int]) -> NDArray[Any] | None:
    """Round flat patterns by a loop of its own, where there is one: return patterns."""
    loops = rounding_loops(source, target, options[0])
    if loops is None:
        return None
    z = np.empty(patterns.size, words(target.width))
    host.compute(loops, (patterns,), z, None, options)
    return z
