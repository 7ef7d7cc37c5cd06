"""The walk of the vectorised products over a matrix: panels of columns by blocks of rows, and the terms in parts.

Factors are decoded once per panel and block, into flat arrays of binary32: a row of A after the other, `depth` numbers
apart, and panels (depth, width) of B. What is done with them the type of the caller's `task` says, a named tuple:
see `ADVANCE`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from halfsim.core._jit import choose_by_type, scalar
from halfsim.kernels.panels import COLUMNS, TERMS, pack_columns, pack_rows, panel_width

__all__ = ["ADVANCE", "Part", "walk"]

ROWS = 48
"""Rows decoded at a time, a multiple of every tile's."""
_RESTING_ROWS = 240
"""Rows whose sums may rest in `state` between two parts of the terms."""


class Part(NamedTuple):
    """Where a call of `run` stands."""

    depth: int
    """Numbers from one row of A to the next, and rows of a panel."""
    width: int
    """Columns of a panel."""
    terms: int
    """Terms of this part."""
    first: int
    """Number of the first of them."""
    last: bool
    """Whether no part follows."""
    row: int
    """First row in d."""
    left: int
    """First column in d, and the column after the last."""
    right: int
    line: int
    """Line of the first row in the state; all rows have the same one where nothing rests."""
    column: int
    """First column in the state."""


ADVANCE: dict[type, Callable[..., None]] = {}
"""What `advance` does, for every type of task."""


def advance(task: Any, a: Any, count: Any, b: Any, panel: Any, part: Any, d: Any, state: Any) -> Any:
    """Carry `count` rows of a through a part of the terms, against the panel of b that starts at `panel`.

    Sums start from `d`, where they rest after this part, or from `state` (slots, lines, columns).
    """
    raise NotImplementedError("for compiled loops only")


choose_by_type(advance, ADVANCE)


@scalar
def walk(a, b, batch_a, batch_b, d, start, stop, rule, slots, blank, task):
    """Compute rows `start` to `stop` of d (products * M, N), patterns that hold C.

    `slots` is how many numbers of state a sum needs, of the type of `blank`.
    """
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    width = panel_width(columns)
    strip = min(COLUMNS, (columns + width - 1) // width * width)
    depth = min(terms, TERMS)
    parts = (terms + depth - 1) // depth
    values_a = np.zeros((ROWS, depth), np.float32)
    values_b = np.zeros((strip // width, depth, width), np.float32)
    flat_a, flat_b = values_a.reshape(-1), values_b.reshape(-1)
    resting = min(_RESTING_ROWS, stop - start) if parts > 1 and slots else 1
    state = np.empty((slots, resting, strip), blank.dtype)
    block = _RESTING_ROWS if parts > 1 and slots else rows
    packed = -1
    for batch in range(start // rows, (stop + rows - 1) // rows):
        begin, end = max(start, batch * rows), min(stop, (batch + 1) * rows)
        for left in range(0, columns, strip):
            right = min(left + strip, columns)
            for top in range(begin, end, block):
                for first in range(0, terms, depth):
                    last = min(first + depth, terms)
                    if columns > strip or parts > 1 or batch_b[batch] != packed:
                        packed = batch_b[batch]
                        pack_columns(b[packed, first:last], left, right, rule, values_b)
                    for row in range(top, min(top + block, end), ROWS):
                        count = min(ROWS, min(top + block, end) - row)
                        at = row - batch * rows
                        pack_rows(a[batch_a[batch], :, first:last], rule, at, at + count, values_a)
                        line = row - top if resting > 1 else 0
                        for column in range(0, right - left, width):
                            part = Part(
                                depth, width, last - first, first, last == terms, row, left + column,
                                min(left + column + width, right), line, column,
                            )  # fmt: skip
                            advance(task, flat_a, count, flat_b, column * depth, part, d, state)
