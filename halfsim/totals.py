"""Sums of arrays of any layout, some of their elements at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import Accumulator, MatrixUnit, Sequential
from halfsim.core.control import STOCHASTIC
from halfsim.formats import BINARY16, BINARY32
from halfsim.kernels import product
from halfsim.kernels.product import Operands, Plan
from halfsim.shapes import SumLayout, summands

__all__ = ["Summands", "evaluate_sums"]

# Elements at a time, and where columns are cut: a call of the loops costs little beside them.
_PIECE, _CUT = 1 << 17, 1 << 18
# Columns of a panel, of which whole ones are filled, and of the narrowest, which are worth a call of their own.
_COLUMNS, _NARROW = 64, 16


class Summands(NamedTuple):
    """What is summed."""

    x: NDArray[Any]
    """Patterns, or numbers in float32, as `halfsim.factors.factor` returns them; in either order of bytes."""
    one: NDArray[Any]
    """The pattern of 1."""
    how: SumLayout
    accumulator: Accumulator

    def operands(self) -> Operands:
        """Return the sums as products with a row of ones, all of them at once."""
        return summands(self.x.transpose(self.how.order).reshape(self.how.terms, self.how.columns), self.one)


def evaluate_sums(chosen: Plan, given: Summands, c: None, flagged: bool) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return (values, flags) of sums, flat; flags are meaningless unless asked for. There is no C."""
    x, one, how, accumulator = given
    turned, step = x.transpose(how.order), _step(chosen, accumulator)
    whole = turned.flags.carray and turned.dtype.isnative
    terms = max(1, _PIECE // step) * step if step else how.terms
    if not x.size or chosen.control & 7 == STOCHASTIC or (whole and terms >= how.terms):
        # Random words are counted from the first sum.
        return product.evaluate(chosen, given.operands(), c, flagged)
    # Only where they are copied anyway are columns cut.
    columns = how.columns if whole else _cut(min(terms, how.terms))
    if step and not whole:
        terms = min(terms, max(1, _CUT // columns // step) * step)
    values, flags = np.empty(how.columns, chosen.storage.values), np.zeros(how.columns, np.uint8)
    for left in range(0, how.columns, columns):
        kept, carried = slice(left, min(left + columns, how.columns)), None
        for first in range(0, how.terms, terms):
            part = _part(turned, how.axes, (first, min(first + terms, how.terms)), (kept.start, kept.stop))
            carried, raised = product.evaluate(chosen, summands(part, one), carried, flagged)
            if flagged:
                flags[kept] |= raised.reshape(-1)
        assert carried is not None
        values[kept] = carried.reshape(-1)
    return values, flags


def _cut(terms: int) -> int:
    """Return how many columns of so many terms are summed at a time."""
    columns = _CUT // terms
    return columns // _COLUMNS * _COLUMNS if columns >= _COLUMNS else max(1, columns // _NARROW) * _NARROW


def _step(chosen: Plan, accumulator: Accumulator) -> int:
    """Return after how many terms, or a multiple, a sum may rest as the C of those that follow; 0 if after none.

    It is a link of a chain, or what an instruction of a matrix unit returns, and its format is that of results.
    """
    if chosen.storage.format != chosen.format or chosen.format not in (BINARY16, BINARY32):
        return 0
    if isinstance(accumulator, MatrixUnit):
        return int(getattr(accumulator, "depth", accumulator.terms))
    return 1 if isinstance(accumulator, Sequential) else 0


def _part(turned: NDArray[Any], axes: int, terms: tuple[int, int], columns: tuple[int, int]) -> NDArray[Any]:
    """Return some terms and columns of an array whose first axes are those summed over, as a matrix."""
    rows = [
        [turned[(*some, *every, *kept)].reshape(count, width) for width, kept in _spans(turned.shape[axes:], *columns)]
        for count, some in _spans(turned.shape[:axes], *terms)
        for every in [(slice(None),) * (axes - len(some))]
    ]
    return rows[0][0] if len(rows) == len(rows[0]) == 1 else np.block(rows)


def _spans(shape: tuple[int, ...], start: int, stop: int) -> Iterator[tuple[int, tuple[slice, ...]]]:
    """Yield the sizes and the indices of parts that make up a range of an array's elements in C order."""
    if len(shape) < 2:
        yield stop - start, (slice(start, stop),) * len(shape)
        return
    size = math.prod(shape[1:])
    while start < stop:
        row, first = divmod(start, size)
        rows = (stop - start) // size
        if first == 0 and rows:
            yield rows * size, (slice(row, row + rows),)
            start += rows * size
        else:
            last = min(size, first + stop - start)
            for count, index in _spans(shape[1:], first, last):
                yield count, (slice(row, row + 1), *index)
            start += last - first
