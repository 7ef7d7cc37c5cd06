"""The walk of the vectorised products over a matrix: panels of columns by blocks of rows, and the terms in parts.

Factors are packed once per panel and block, into flat arrays: a row of A after the other, `depth` numbers apart, and
panels (depth, width) of B. What is packed the type of the caller's `rule` says, mostly binary32 (`panels.PACKED`), and
what is done with it that of its `task`, a named tuple: see `ADVANCE`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from halfsim.core._jit import choose_by_type, scalar
from halfsim.core.fields import smaller
from halfsim.kernels.panels import COLUMNS, TERMS, WIDTH, memory, pack_columns, pack_rows
from halfsim.kernels.tiles import TILE_ROWS
from halfsim.kernels.vectors import LANES

__all__ = ["ADVANCE", "Grid", "Part", "grid", "walk"]

ROWS = 48
"""Rows decoded at a time, a multiple of every tile's."""
_UNSLOTTED_TERMS = 256
_SLOTTED_COLUMNS = 128
_RESTING_ROWS = 240
"""Rows whose sums may rest in `state` between two parts of the terms."""


class Grid(NamedTuple):
    """How a product is cut."""

    depth: int
    """Terms of a part, but fewer in the last."""
    width: int
    """Columns of a panel."""
    strip: int
    """Columns of all panels decoded at a time."""
    block: int
    """Rows whose sums rest at a time."""
    values_a: NDArray[Any]
    """Memory for packed rows of A,"""
    values_b: NDArray[Any]
    """for panels of B,"""
    sums: NDArray[Any]
    """for the sums of as many rows as a tile has,"""
    state: NDArray[Any]
    """and for what rests."""


def grid(a: NDArray[Any], b: NDArray[Any], rows: int, slots: int = 0, dtype: Any = np.float32) -> Grid:
    """Return how to cut a product of so many rows whose sums need `slots` numbers each of a type, and the memory."""
    terms, columns = a.shape[2], b.shape[2]
    # Memory is kept below that of the operands: sums of no slots rest in d, which costs little; others are so slow
    # that decoding A more often costs nothing.
    depth = min(terms, TERMS if slots else _UNSLOTTED_TERMS)
    width = min(WIDTH, -(-columns // LANES) * LANES)
    strip = min(_SLOTTED_COLUMNS if slots else COLUMNS, -(-columns // width) * width)
    rests = terms > depth and slots
    block = min(rows, _RESTING_ROWS) if rests else rows
    values_a, values_b = np.zeros(ROWS * depth, np.float32), memory(strip * depth, np.float32)
    state = np.zeros(slots * (block if rests else 1) * strip, dtype)
    return Grid(depth, width, strip, block, values_a, values_b, np.zeros(TILE_ROWS * width, np.float32), state)


class Part(NamedTuple):
    """Where a call of `advance` stands."""

    depth: int
    """Numbers from one row of A to the next, and rows of a panel."""
    width: int
    """Columns of a panel."""
    terms: int
    """Terms of this part,"""
    first: int
    """the number of the first of them,"""
    last: bool
    """and whether no part follows."""
    row: int
    """First row in d."""
    left: int
    """First column in d, and the column after the last."""
    right: int
    rest: int
    """Where the state of the first sum of the first row begins."""
    line: int
    """From there to the next row."""
    slot: int
    """And from one number of a sum's state to the next."""


ADVANCE: dict[type, Callable[..., None]] = {}
"""What `advance` does, for every type of task."""


def advance(task: Any, a: Any, count: Any, b: Any, panel: Any, part: Any, d: Any, state: Any) -> Any:
    """Carry `count` rows of a through a part of the terms, against the panel of b that starts at `panel`.

    Sums start from `d`, where they rest after this part, or from `state`.
    """
    raise NotImplementedError("for compiled loops only")


choose_by_type(advance, ADVANCE)


@scalar
def walk(a, b, batch_a, batch_b, d, start, stop, rule, grid, task):
    """Compute rows `start` to `stop` of d (products * M, N), patterns that hold C."""
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    depth, width, strip = grid.depth, grid.width, grid.strip
    line = strip if terms > depth else 0
    slot = line * grid.block if terms > depth else strip
    packed = -1
    top = start
    while top < stop:
        batch = top // rows
        end = smaller(smaller(stop, (batch + 1) * rows), top + grid.block)
        for left in range(0, columns, strip):
            right = smaller(left + strip, columns)
            for first in range(0, terms, depth):
                last = smaller(first + depth, terms)
                if columns > strip or terms > depth or batch_b[batch] != packed:
                    packed = batch_b[batch]
                    pack_columns(b[packed, first:last], left, right, rule, depth, width, grid.values_b)
                for row in range(top, end, ROWS):
                    count = smaller(ROWS, end - row)
                    at = row - batch * rows
                    pack_rows(a[batch_a[batch]], rule, at, at + count, depth, grid.values_a, first)
                    for column in range(left, right, width):
                        part = Part(
                            depth, width, last - first, first, last == terms, row, column,
                            smaller(column + width, right),
                            (row - top) * line + column - left, line, slot,
                        )  # fmt: skip
                        advance(task, grid.values_a, count, grid.values_b, (column - left) * depth, part, d, grid.state)
        top = end
