"""Weights that are the same from call to call, which need not be rounded, or decoded for matrix units, anew.

To decode a weight takes as long as some ten rows of its product. What is kept is used only for the very same numbers:
they are compared at every call, since anything may write to the memory of a tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from halfsim.accumulators import Accumulator
from halfsim.arrays import contiguous
from halfsim.kernels.census import same
from halfsim.training.arithmetic import Array
from halfsim.training.products import Decoded, decoded

__all__ = ["Lost", "Steady", "Weight"]

Lost: TypeAlias = tuple[int, int, int]
"""How many numbers rounding changed, made infinite, made zero."""
Rounded: TypeAlias = Callable[[Array], tuple[Array, Lost | None]]
"""Makes a factor of an array as it lies in memory, always in the same way; says what rounding lost if it is counted."""

_LIMIT = 1 << 27
"""Bytes that are kept."""
_LEAST, _ROWS = 1 << 12, 1 << 8
"""Elements of a weight from which on it is worth it, and rows up to which it is."""
_VECTORS = 1 << 10
"""Vectors that are kept, each of so many numbers or fewer."""
_CHANGES = 3
"""Changes after which a weight is no longer looked at: it is trained."""


@dataclass(slots=True)
class Weight:
    """A weight that is kept."""

    words: Array
    """Its numbers in the order of memory, as they were when last looked at."""
    changes: int = 0
    columns: Array | None = None
    """The factor (K, N), rounded, in C order, once they had not changed from one call to the next,"""
    decoded: Decoded | None = None
    """as the loop decodes it, if that is one of a matrix unit,"""
    lost: Lost | None = None
    """and what rounding it took off, if that is counted."""

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        own = 0 if self.columns is None else self.columns.nbytes
        return self.words.nbytes + own + (0 if self.decoded is None else self.decoded.panels.nbytes)


class Steady:
    """The weights of one machine, and vectors that sums start from."""

    def __init__(self) -> None:
        self._weights: dict[Any, Weight] = {}
        self._vectors: dict[int, tuple[bytes, Array, Lost | None]] = {}
        self._size = 0

    def vector(self, place: int, values: Array, rounded: Rounded) -> tuple[Array, Lost | None] | None:
        """Return a short vector rounded, and what that lost, once it is known.

        Parameters
        ----------
        place : int
            Of the vector in memory.
        values : float16 or float32 array, or patterns of bfloat16, uint16, shape (N,)
            The vector.
        rounded : callable
            What rounds.
        """
        if values.size > _VECTORS:
            return None
        known, words = self._vectors.get(place), values.tobytes()
        if known is None or known[0] != words:
            if known is None and len(self._vectors) >= _VECTORS:
                return None
            known = self._vectors[place] = words, *rounded(values)
        return known[1:]

    def find(self, row: Accumulator, place: int, rows: int, b: Array, rounded: Rounded) -> Weight | None:
        """Return a weight as it is rounded and decoded, if it has stayed the same.

        Parameters
        ----------
        row : Accumulator
            The same for a place always.
        place : int
            Of the weight in memory.
        rows : int
            Of the other factor.
        b : float16 or float32 array, or patterns of bfloat16, uint16
            The weight as a factor, (K, N), as it lies in memory.
        rounded : callable
            What rounds.
        """
        if rows > _ROWS or b.size < _LEAST:
            return None
        turned = not b.flags.c_contiguous
        memory = b.T if turned else b
        if not memory.flags.c_contiguous:
            return None
        key, words = (place, b.shape, b.itemsize, turned), _words(memory)
        known = self._weights.get(key)
        if known is None:
            if self._size + words.nbytes <= _LIMIT:
                self._weights[key] = Weight(words.copy())
                self._size += words.nbytes
            return None
        if known.changes < _CHANGES and not same(known.words, words):
            self._keep(known, known.changes + 1, words)
        elif known.changes < _CHANGES and known.columns is None:
            stored, known.lost = rounded(memory)
            self._decode(known, row, b, stored.T if turned else stored)
        return known if known.columns is not None else None

    def _decode(self, weight: Weight, row: Accumulator, b: Array, stored: Array) -> None:
        columns = contiguous(stored)
        columns = columns.copy() if np.may_share_memory(columns, b) else columns
        found = decoded(row, columns)
        size = columns.nbytes + (0 if found is None else found.panels.nbytes)
        if (found is None and columns.dtype == b.dtype) or self._size + size > _LIMIT:
            self._keep(weight, _CHANGES, weight.words)
            return
        weight.columns, weight.decoded = columns, found
        self._size += size

    def _keep(self, weight: Weight, changes: int, words: Array) -> None:
        """Look at other numbers from now on, or at none."""
        self._size -= weight.nbytes
        weight.words, weight.changes = words.copy() if changes < _CHANGES else np.zeros(0, words.dtype), changes
        weight.columns = weight.decoded = None
        self._size += weight.nbytes


def _words(memory: Array) -> Array:
    """Return numbers as the longest words, which are quick to compare: NaNs and zeros by their patterns."""
    flat = memory.reshape(-1)
    words: Array = flat.view(np.uint64 if flat.nbytes % 8 == 0 else np.uint16)
    return words
