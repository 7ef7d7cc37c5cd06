"""The finished cells of a computed table, so that a kill costs it the cell in hand alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from halfsim.studies.store import load, write_atomically

__all__ = ["Cell", "Cells", "fresh"]


class Cell(Protocol):
    """What a function that computes a table calls for every cell of it, or every row.

    Examples
    --------
    >>> from halfsim.studies.tables.batch_norm_sums import batch_norm_sums
    >>> keys = []
    >>> def noted(key, compute):
    ...     keys.append(key)
    ...     return compute()
    >>> rows = batch_norm_sums(count=64, scales=(1.0,), channels=2, cells=noted)
    >>> keys[:3]
    ['1.0 exact', '1.0 binary32', '1.0 binary16']
    """

    def __call__(self, key: str, compute: Callable[[], Any]) -> Any:
        """Return what `compute` returns, or returned when the cell was computed: JSON's values."""


def fresh(key: str, compute: Callable[[], Any]) -> Any:
    """Compute the cell: nothing is kept.

    Examples
    --------
    >>> fresh("1 + 1", lambda: 2)
    2
    """
    return compute()


class Cells:
    """A file of cells by name, which nobody else writes meanwhile; it is replaced whole after every new one.

    Parameters
    ----------
    path : Path
        The file. One that is not as it was written counts for nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        found = load(path)
        whole = isinstance(found, dict) and found.get("digest") == _digest(found.get("cells"))
        self._cells: dict[str, Any] = found["cells"] if whole else {}

    def __call__(self, key: str, compute: Callable[[], Any]) -> Any:
        """Return the cell of that name; compute and keep it if there is none."""
        if key not in self._cells:
            # As it is read again: a table has the same values however often it was killed.
            self._cells[key] = json.loads(json.dumps(compute()))
            write_atomically(self._path, json.dumps({"cells": self._cells, "digest": _digest(self._cells)}))
        return self._cells[key]

    def remove(self) -> None:
        """Remove the file: the table is written elsewhere."""
        self._path.unlink(missing_ok=True)


def _digest(cells: Any) -> str:
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()
