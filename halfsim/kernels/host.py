"""The loops on the CPU, by the names that `halfsim.kernels.cuda` gives them on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.kernels.loops import GENERAL, Loops
from halfsim.kernels.threads import run_blocks

__all__ = ["cast", "compute", "elementwise", "empty", "filled", "indices", "run", "spans", "view"]

# Elements at a time where memory is to stay small.
_PIECE = 1 << 14
# Bytes of a slice where arrays can be cut into such.
_SLICE = 1 << 17
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
    pieces: bool = False,
) -> None:
    """Run the loops of an operation on arrays of one shape, in C order: `z` is flat, `flags` too or None.

    `options` are control word, seed and index. Operands that are not contiguous, or integers of a type that no loop
    takes, are copied a few elements at a time. So are all of them where `pieces` says so: `z`, of any layout or order
    of bytes and then of the operands' shape, may then be an operand, element for element.
    """
    grain = loops.grain if flags is not None or loops.values is None else loops.values_grain
    if pieces:
        _in_blocks(loops, operands, z, flags, options, extra, grain, pieces)
        return
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
    pieces: bool = False,
) -> None:
    """Run the loops of an operation in blocks of threads, of `grain` elements or more."""
    flat = [x.reshape(-1) if x.flags.carray else x for x in operands]
    direct = z.flags.carray and z.dtype.isnative
    if direct:
        z = z.reshape(-1)
    lines = all(x.ndim == 1 for x in (*flat, z))
    # An operand that z is, too: loops may read operands again when they have written.
    copied = [not (lines and _is_flat(x)) or (pieces and np.may_share_memory(x, z)) for x in flat]
    whole = direct and not any(copied)

    def block(start: int, stop: int) -> None:
        if not whole:
            views = _slices((*flat, z), start, stop) if lines else _walk(operands, z, start, stop)
            _gathered(loops, views, copied, flags, options, extra, start)
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
    views: Iterator[Sequence[NDArray[Any]]],
    copied: Sequence[bool],
    flags: NDArray[Any] | None,
    options: tuple[int, int, int],
    extra: tuple[Any, ...],
    start: int,
) -> None:
    """Run the loops of an operation from an element on, a view of each operand and of the results at a time.

    Operands that are `copied`, and results that loops do not take as they are, pass through memory of the same size.
    """
    memory: dict[int, NDArray[Any]] = {}
    control, seed, index = options

    def aside(number: int, view: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        if number not in memory or memory[number].size < view.size:
            memory[number] = np.empty(view.size, dtype)
        return memory[number][: view.size]

    for *given, target in views:
        parts = []
        for i, (view, copy) in enumerate(zip(given, copied, strict=True)):
            part = aside(i, view, _kept(view)) if copy else view
            if copy:
                part[...] = view
            parts.append(part)
        known = target.flags.carray and target.dtype.isnative
        z = target if known else aside(-1, target, target.dtype.newbyteorder("="))
        raised = flags if flags is None else flags[start : start + z.size]
        run(loops, parts, z, raised, (control, seed, index + start), extra)
        if not known:
            target[...] = z
        start += z.size


def _slices(arrays: Sequence[NDArray[Any]], start: int, stop: int) -> Iterator[list[NDArray[Any]]]:
    """Yield views of one-dimensional arrays, some elements of a range at a time."""
    size = _SLICE // max(_kept(x).itemsize for x in arrays)
    for first in range(start, stop, size):
        part = slice(first, min(first + size, stop))
        yield [x[part] for x in arrays]


def _walk(operands: Sequence[NDArray[Any]], z: NDArray[Any], start: int, stop: int) -> Iterator[list[NDArray[Any]]]:
    """Yield contiguous views of operands and results of any layout, likewise; `z` may be flat."""
    kept = [_kept(x) for x in operands]
    modes, direct = [["readonly", "contig", "aligned", "nbo"]] * len(operands), z.flags.carray and z.dtype.isnative
    # Its buffers are filled once the range is known: they would be written to the first elements otherwise.
    elements: Any = np.nditer(  # type: ignore[call-overload]
        operands if direct else [*operands, z],
        flags=["external_loop", "buffered", "ranged", "delay_bufalloc"],
        op_flags=modes if direct else [*modes, ["writeonly", *modes[0][1:]]],
        op_dtypes=kept if direct else [*kept, z.dtype.newbyteorder("=")],
        order="C",
        casting="same_kind",
        buffersize=_PIECE,
    )
    elements.iterrange = (start, stop)
    with elements:
        for found in elements:
            found = found if isinstance(found, tuple) else (found,)
            # A view of contiguous operands may be longer than the buffer.
            for first in range(0, found[0].size, _PIECE):
                views = [x[first : first + _PIECE] for x in found]
                if direct:
                    views.append(z[start : start + views[0].size])
                start += views[0].size
                yield views


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
