"""Locks on files that several processes write: advisory, released when the file is closed or its process dies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ["lock", "locked"]


def lock(file: int) -> None:
    """Wait until nobody else holds the lock of an open file, and hold it until the file is closed.

    Parameters
    ----------
    file : int
        Its descriptor.
    """
    _flock(file, "LOCK_EX")


@contextlib.contextmanager
def locked(file: int) -> Iterator[None]:
    """Hold the lock of an open file for the length of a block.

    Parameters
    ----------
    file : int
        Its descriptor.
    """
    lock(file)
    try:
        yield
    finally:
        _flock(file, "LOCK_UN")


def _flock(file: int, operation: str) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:
        return
    # Some network file systems have no locks: there, two writers of one file are the user's to avoid.
    with contextlib.suppress(OSError):
        fcntl.flock(file, getattr(fcntl, operation))
