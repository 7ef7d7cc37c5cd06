"""Weights that are the same from call to call, which the loops of matrix units then need not decode anew.

To decode a weight takes as long as some ten rows of its product. What is kept is used only for the very same numbers:
they are compared at every call, since anything may write to the memory of a tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from halfsim.accumulators import Accumulator
from halfsim.arrays import contiguous
from halfsim.kernels.fused import Panels
from halfsim.training.arithmetic import Array
from halfsim.training.products import decoded

__all__ = ["Steady", "Weight"]

_LIMIT = 1 << 27
"""Bytes that are kept."""
_LEAST, _ROWS = 1 << 12, 1 << 8
"""Elements of a weight from which on it is worth it, and rows up to which it is."""
_CHANGES = 3
"""Changes after which a weight is no longer looked at: it is trained."""


@dataclass(slots=True)
class Weight:
    """A weight that is kept."""

    words: Array
    """Its numbers in the order of memory, as they were when last looked at."""
    changes: int = 0
    columns: Array | None = None
    """The factor (K, N), in C order, once they had not changed from one call to the next,"""
    panels: Panels | None = None
    """and as the loop decodes it."""

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        own = 0 if self.columns is None else self.columns.nbytes
        return self.words.nbytes + own + (0 if self.panels is None else self.panels.nbytes)


class Steady:
    """The weights of the matrix units of one machine."""

    def __init__(self) -> None:
        self._weights: dict[Any, Weight] = {}
        self._size = 0

    def find(self, row: Accumulator, name: int | str, rows: int, b: Array) -> Weight | None:
        """Return a weight with its panels, if it has stayed the same.

        Parameters
        ----------
        row : Accumulator
            The same for a name always.
        name : int or str
            Of the weight; its place in memory, if it has one of its own.
        rows : int
            Of the other factor.
        b : float16 array
            The weight as a factor, (K, N), as it lies in memory.
        """
        if rows > _ROWS or b.size < _LEAST:
            return None
        turned = not b.flags.c_contiguous
        memory = b.T if turned else b
        if not memory.flags.c_contiguous:
            return None
        key, words = (name, b.shape, turned), _words(memory)
        known = self._weights.get(key)
        if known is None:
            if self._size + words.nbytes <= _LIMIT:
                self._weights[key] = Weight(words.copy())
                self._size += words.nbytes
            return None
        if known.changes < _CHANGES and not (known.words == words).all():
            self._keep(known, known.changes + 1, words)
        elif known.changes < _CHANGES and known.panels is None:
            self._decode(known, row, b)
        return known if known.panels is not None else None

    def _decode(self, weight: Weight, row: Accumulator, b: Array) -> None:
        columns = contiguous(b)
        panels = decoded(row, columns)
        size = 0 if panels is None else columns.nbytes + panels.nbytes
        if not size or self._size + size > _LIMIT:
            self._keep(weight, _CHANGES, weight.words)
            return
        weight.columns, weight.panels = columns if columns is not b else columns.copy(), panels
        self._size += size

    def _keep(self, weight: Weight, changes: int, words: Array) -> None:
        """Look at other numbers from now on, or at none."""
        self._size -= weight.nbytes
        weight.words, weight.changes = words.copy() if changes < _CHANGES else np.zeros(0, words.dtype), changes
        weight.columns = weight.panels = None
        self._size += weight.nbytes


def _words(memory: Array) -> Array:
    """Return float16 numbers as the longest words, which are quick to compare: NaNs and zeros by their patterns."""
    flat = memory.reshape(-1)
    words: Array = flat.view(np.uint16 if flat.size % 4 else np.uint64)
    return words
