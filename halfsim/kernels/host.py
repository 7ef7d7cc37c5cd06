"""The loops on the CPU, by the names that `halfsim.kernels.cuda` gives them on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.kernels.loops import GENERAL, Loops
from halfsim.kernels.threads import run_blocks

__all__ = ["cast", "compute", "elementwise", "empty", "filled", "indices", "run", "spans", "view"]

# Elements at a time where memory is to stay small.
_PIECE = 1 << 14
# Results looked through at a time, with three bytes for each.
_SEARCHED = 1 << 16
_UINT16 = np.dtype(np.uint16)
# Types of patterns that loops take, by their numbers: comparing those is quick.
_LOOPS = frozenset(np.dtype(kind).num for kind in (np.uint16, np.uint32, np.int64))

empty = np.empty


def filled(size: int, value: int, dtype: Any) -> NDArray[Any]:
    """Return a new flat array of one value."""
    return np.full(size, value, dtype)


def indices(size: int) -> NDArray[np.int64]:
    """Return the integers from 0 to size - 1."""
    return np.arange(size, dtype=np.int64)


def view(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return the memory of an array under another dtype."""
    return array.view(dtype)


def cast(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return integers in another dtype."""
    return array.astype(dtype)


def elementwise(
    loop: Callable[..., None],
    operands: tuple[NDArray[Any], ...],
    z: NDArray[Any],
    flags: NDArray[Any],
    control: int,
    seed: int,
    index: int,
    extra: tuple[Any, ...] = (),
) -> None:
    """Run a loop of `halfsim.kernels.elementwise` over flat arrays; every argument is as it has it."""

    def block(start: int, stop: int) -> None:
        part = [x[start:stop] for x in operands]
        loop(*part, z[start:stop], flags[start:stop], control, seed, index + start, *extra)

    run_blocks(block, z.size, GENERAL)


def compute(
    loops: Loops,
    operands: Sequence[NDArray[Any]],
    z: NDArray[Any],
    flags: NDArray[Any] | None,
    options: tuple[int, int, int],
    extra: tuple[Any, ...] = (),
) -> None:
    """Run the loops of an operation on arrays of one shape, in C order: `z` is flat, `flags` too or None.

    `options` are control word, seed and index. Operands that are not contiguous, or integers of a type that no loop
    takes, are copied a few elements at a time.
    """
    grain = loops.grain if flags is not None or loops.values is None else loops.values_grain
    if z.size < 2 * grain:
        for x in operands:
            # As `_is_flat`, without a call where a type answers at once: views of binary16 share this very one.
            if x.dtype is not _UINT16 or x.ndim != 1 or not x.flags.carray:
                if _is_flat(x):
                    continue
                break
        else:
            run(loops, operands, z, flags, options, extra)
            return
        if z.size <= _PIECE:
            # Copies of a few, all of them at a time.
            parts = [x if _is_flat(x) else np.array(x, _kept(x), order="C").reshape(-1) for x in operands]
            run(loops, parts, z, flags, options, extra)
            return
    _in_blocks(loops, operands, z, flags, options, extra, grain)


def _is_flat(x: NDArray[Any]) -> bool:
    """Whether loops take an operand as it is."""
    return x.ndim == 1 and x.flags.carray and x.dtype.num in _LOOPS and x.dtype.isnative


def _kept(x: NDArray[Any]) -> Any:
    """Return the dtype in which loops take an operand."""
    return x.dtype.newbyteorder("=") if x.dtype.num in _LOOPS else np.dtype(np.int64)


def _in_blocks(
    loops: Loops,
    operands: Sequence[NDArray[Any]],
    z: NDArray[Any],
    flags: NDArray[Any] | None,
    options: tuple[int, int, int],
    extra: tuple[Any, ...],
    grain: int,
) -> None:
    """Run the loops of an operation in blocks of threads, of `grain` elements or more."""
    flat = [x.reshape(-1) if x.flags.carray else x for x in operands]
    whole = all(_is_flat(x) for x in flat)

    def block(start: int, stop: int) -> None:
        if not whole:
            _gathered(loops, operands, z, flags, options, extra, start, stop)
            return
        part = slice(start, stop)
        raised = flags if flags is None else flags[part]
        run(loops, [x[part] for x in flat], z[part], raised, (*options[:2], options[2] + start), extra)

    run_blocks(block, z.size, grain)


def run(
    loops: Loops,
    parts: Sequence[NDArray[Any]],
    z: NDArray[Any],
    flags: NDArray[Any] | None,
    options: tuple[int, int, int],
    extra: tuple[Any, ...],
) -> None:
    """Run the loops of an operation on flat arrays, on this thread."""
    if flags is not None or loops.optional:
        if loops.flagged(*parts, z, 0 if flags is None else flags, *options, *extra):
            _decide(loops, parts, z, flags, options, extra)
    elif loops.values is not None:
        if loops.values(*parts, z, *options) if loops.draws else loops.values(*parts, z, options[0]):
            _decide(loops, parts, z, None, options, extra)
    elif z.size <= _PIECE:
        run(loops, parts, z, np.empty(z.size, np.uint8), options, extra)
    else:
        control, seed, index = options
        ignored = np.empty(_PIECE, np.uint8)
        for start in range(0, z.size, _PIECE):
            part = slice(start, start + _PIECE)
            piece = z[part]
            run(loops, [x[part] for x in parts], piece, ignored[: piece.size], (control, seed, index + start), extra)


def _decide(
    loops: Loops,
    parts: Sequence[NDArray[Any]],
    z: NDArray[Any],
    flags: NDArray[Any] | None,
    options: tuple[int, int, int],
    extra: tuple[Any, ...],
) -> None:
    """Have the general loop decide the elements whose result is a NaN: which one, and whether it is invalid.

    Few operands have any, so the loops that are compiled for all of them need not know how.
    """
    assert loops.general is not None
    magnitude, infinity = (0x7FFF, 0x7C00) if z.dtype.itemsize == 2 else (0x7FFFFFFF, 0x7F800000)
    control, seed, index = options
    last = extra if loops.last is None else loops.last
    for start in range(0, z.size, _SEARCHED):
        part = slice(start, start + _SEARCHED)
        piece, given = z[part], [x[part] for x in parts]
        raised = np.empty(piece.size, np.uint8) if flags is None else flags[part]
        where = np.flatnonzero((piece & magnitude) > infinity)
        if 8 * where.size > 7 * piece.size:
            loops.general(*given, piece, raised, control, seed, index + start, *last)
        elif where.size:
            some, flags_of_some = np.empty(where.size, z.dtype), np.empty(where.size, np.uint8)
            # A NaN draws no random word.
            loops.general(*[x[where] for x in given], some, flags_of_some, control, 0, 0, *last)
            piece[where], raised[where] = some, flags_of_some


def _gathered(
    loops: Loops,
    operands: Sequence[NDArray[Any]],
    z: NDArray[Any],
    flags: NDArray[Any] | None,
    options: tuple[int, int, int],
    extra: tuple[Any, ...],
    start: int,
    stop: int,
) -> None:
    """Run the loops of an operation over a range of elements, on contiguous copies of a few at a time."""
    kept = [_kept(x) for x in operands]
    elements: Any = np.nditer(  # type: ignore[call-overload]
        operands,
        flags=["external_loop", "buffered", "ranged"],
        op_flags=[["readonly", "contig", "aligned", "nbo"]] * len(operands),
        op_dtypes=kept,
        order="C",
        casting="same_kind",
        buffersize=_PIECE,
    )
    elements.iterrange = (start, stop)
    memory = [np.empty(_PIECE, dtype) for dtype in kept]
    control, seed, index = options
    with elements:
        for views in elements:
            views = views if len(operands) > 1 else (views,)
            # A view of contiguous operands may be longer than the buffer.
            for first in range(0, views[0].size, _PIECE):
                size = min(_PIECE, views[0].size - first)
                for place, view in zip(memory, views, strict=True):
                    place[:size] = view[first : first + size]
                part = slice(start, start + size)
                raised = flags if flags is None else flags[part]
                parts = [place[:size] for place in memory]
                run(loops, parts, z[part], raised, (control, seed, index + start), extra)
                start += size


def spans(
    loop: Callable[..., None],
    before: tuple[Any, ...],
    size: int,
    minimum: int,
    scratch: int = 0,
    after: tuple[Any, ...] = (),
) -> None:
    """Run ``loop(*before, start, stop, *after)`` over ``range(size)``, `minimum` elements a thread or more.

    If it needs scratch memory, an array of that many int64 follows `stop`.
    """

    def block(start: int, stop: int) -> None:
        memory = (np.empty(scratch, np.int64),) if scratch else ()
        loop(*before, start, stop, *memory, *after)

    run_blocks(block, size, minimum)
