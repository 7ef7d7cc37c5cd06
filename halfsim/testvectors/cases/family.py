"""Families of operands: a name, an intention, and rows that can be made from any row on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.subjects import Subject

__all__ = ["Drawn", "Family", "Grid", "Listed", "Source", "Words", "unsigned"]

Words: TypeAlias = NDArray[Any]


def unsigned(kind: str) -> np.dtype[Any]:
    """Return the dtype of the patterns of a type: the smallest unsigned one that holds them."""
    width = TYPES[kind]
    return np.dtype(f"u{1 if width <= 8 else 2 if width <= 16 else 4 if width <= 32 else 8}")


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Every combination of one value per operand; the last operand changes fastest.

    Parameters
    ----------
    columns : sequence of unsigned arrays
        The values of each operand.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.testvectors.cases.family import Grid
    >>> grid = Grid([np.uint16([0, 1]), np.uint16([7, 8, 9])])
    >>> grid.rows, [column.tolist() for column in grid.block(1, 5)]
    (6, [[0, 0, 1, 1], [8, 9, 7, 8]])
    """

    columns: Sequence[Words]

    @property
    def rows(self) -> int:
        """Number of rows."""
        product = 1
        for column in self.columns:
            product *= len(column)
        return product

    def block(self, start: int, stop: int) -> tuple[Words, ...]:
        """Return the operands of rows `start` to `stop`.

        Parameters
        ----------
        start, stop : int
            The first row, and the one after the last.
        """
        index = np.arange(start, stop, dtype=np.int64)
        made = []
        for column in reversed(self.columns):
            made.append(column[index % len(column)])
            index = index // len(column)
        return tuple(reversed(made))


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """Rows that were found once.

    Parameters
    ----------
    columns : sequence of unsigned arrays
        The operands, one array each, of equal length.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.testvectors.cases.family import Listed
    >>> listed = Listed([np.uint16([0, 1, 2]), np.uint16([7, 8, 9])])
    >>> listed.rows, [column.tolist() for column in listed.block(1, 3)]
    (3, [[1, 2], [8, 9]])
    """

    columns: Sequence[Words]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0])

    def block(self, start: int, stop: int) -> tuple[Words, ...]:
        """Return the operands of rows `start` to `stop`.

        Parameters
        ----------
        start, stop : int
            The first row, and the one after the last.
        """
        return tuple(column[start:stop] for column in self.columns)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Rows made of random words: four of 64 bits each, Philox4x64-10 of the seed, the family and the row.

    The words are those of a counter-based generator, so a row does not depend on the rows before it, nor on the version
    of NumPy.

    Parameters
    ----------
    rows : int
        Number of rows.
    seed : int
        Seed.
    name : str
        Name that tells this stream from others.
    make : callable
        Turns (rows, 4) words into operands.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.testvectors.cases.family import Drawn
    >>> drawn = Drawn(1000, seed=1, name="low halves", make=lambda words: (words[:, 0].astype(np.uint16),))
    >>> bool((drawn.block(0, 10)[0][5:] == drawn.block(5, 10)[0]).all())
    True
    """

    rows: int
    seed: int
    name: str
    make: Callable[[NDArray[np.uint64]], tuple[Words, ...]]

    def block(self, start: int, stop: int) -> tuple[Words, ...]:
        """Return the operands of rows `start` to `stop`.

        Parameters
        ----------
        start, stop : int
            The first row, and the one after the last.
        """
        key = np.array([self.seed & (2**64 - 1), zlib.crc32(self.name.encode())], np.uint64)
        # Numpy counts on before the first draw: counter n gives the words of n + 1.
        words = np.random.Philox(key=key, counter=start).random_raw(4 * (stop - start))
        return self.make(words.reshape(-1, 4))


Source: TypeAlias = Grid | Listed | Drawn


@dataclass(frozen=True, slots=True)
class Family:
    """Operands with an intention.

    Parameters
    ----------
    name : str
        Name in headers and on the command line.
    intention : str
        What the rows are to find out.
    source : callable
        Rows for (subject, level, seed, count), or None where the family has none for a subject. `count` is the number
        of rows of families that are drawn.
    """

    name: str
    intention: str
    source: Callable[[Subject, int, int, int], Source | None]
