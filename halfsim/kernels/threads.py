"""Static blocks of a loop on a thread pool; kernels run without the GIL, so the blocks run side by side."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from operator import index

__all__ = ["get_num_threads", "run_blocks", "set_num_threads"]

_lock = threading.Lock()
_DIGITS = 9
_SHOWN = 20
_inside = threading.local()
_threads = 0
_pool: ThreadPoolExecutor | None = None


def _available() -> int:
    """Threads to use by default: ``HALFSIM_NUM_THREADS``, else the processors this process may run on."""
    chosen = os.environ.get("HALFSIM_NUM_THREADS", "")
    if chosen:
        if not chosen.isdecimal() or len(chosen) > _DIGITS or int(chosen) < 1:
            shown = repr(chosen) if len(chosen) <= _SHOWN else f"{chosen[:_SHOWN]!r}... ({len(chosen)} characters)"
            raise ValueError(
                f"HALFSIM_NUM_THREADS={shown} must be a positive integer of at most {_DIGITS} digits; "
                "unset it to use every processor"
            )
        return int(chosen)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_num_threads() -> int:
    """Return how many threads a large operation is split over.

    Raises
    ------
    ValueError
        If the environment variable ``HALFSIM_NUM_THREADS`` is no positive integer.

    Examples
    --------
    >>> import halfsim as hs
    >>> hs.set_num_threads(2)
    >>> hs.get_num_threads()
    2
    """
    global _threads
    if _threads == 0:
        _threads = _available()
    return _threads


def set_num_threads(threads: int) -> None:
    """Choose how many threads a large operation is split over; results do not depend on it.

    Parameters
    ----------
    threads : int
        At least 1. The default is the environment variable ``HALFSIM_NUM_THREADS``, else the number of processors
        that this process may run on.

    Raises
    ------
    ValueError
        If `threads` is not a positive integer.

    Examples
    --------
    >>> import halfsim as hs
    >>> hs.set_num_threads(1)
    """
    global _pool, _threads
    if isinstance(threads, bool) or not hasattr(threads, "__index__") or index(threads) < 1:
        raise ValueError(f"set_num_threads: threads={threads!r} must be a positive integer")
    threads = index(threads)
    with _lock:
        if _pool is not None and threads != _threads:
            # Blocks already submitted still run to their end.
            _pool.shutdown(wait=False)
            _pool = None
        _threads = threads


def run_blocks(function: Callable[[int, int], object], size: int, minimum: int) -> None:
    """Call ``function(start, stop)`` over contiguous blocks that cover ``range(size)``.

    Blocks are at least `minimum` long (one block when ``size < 2 * minimum``, run by the caller without a pool) and
    there are at most `get_num_threads()` of them. The caller runs the first block itself; a block that calls
    `run_blocks` again stays on its thread, so nested use cannot wait for itself. Returns when all blocks have ended;
    the first exception is raised then. Nothing is called when `size` is 0.
    """
    if size < 2 * minimum or getattr(_inside, "block", False):
        blocks = 1
    else:
        blocks = min(get_num_threads(), size // minimum)
    if blocks <= 1:
        if size > 0:
            function(0, size)
        return
    bounds = [size * block // blocks for block in range(blocks + 1)]
    own = [(bounds[0], bounds[1])]
    futures = []
    for start, stop in itertools.pairwise(bounds[1:]):
        future = _submit(function, start, stop)
        if future is None:
            own.append((start, stop))
        else:
            futures.append(future)
    try:
        for start, stop in own:
            _run(function, start, stop)
    finally:
        # Operands must outlive the blocks that read them, also when the caller's own block failed.
        errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None:
            raise error


def _submit(function: Callable[[int, int], object], start: int, stop: int) -> Future[None] | None:
    """Hand a block to the pool, made on first use; None where no thread is to be had, as at the interpreter's exit."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, get_num_threads() - 1), thread_name_prefix="halfsim")
        try:
            return _pool.submit(_run, function, start, stop)
        except RuntimeError:
            return None


def _run(function: Callable[[int, int], object], start: int, stop: int) -> None:
    _inside.block = True
    try:
        function(start, stop)
    finally:
        _inside.block = False


def _after_fork() -> None:
    """Forget the pool in a forked child: its threads were not copied."""
    global _lock, _pool
    _lock = threading.Lock()
    _pool = None
    _inside.block = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
