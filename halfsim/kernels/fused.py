"""Matrix products by the blocks of matrix units, in vector registers.

Equal to `fused_dot_add` of `halfsim.kernels.gemm` and to `exact_dot_add` and `two_stage_dot_add` of
`halfsim.kernels.mfma`, bit by bit, on all that is not left (tests prove it). Elements that see
an infinity or a NaN among the factors are left to `halfsim.kernels.specials`, with a word on what their other products
add up to; those that see a factor outside the window of exponents, or a block of nothing but tiny products, which only
bfloat16 and TF32 have, to the general loop. Both find C untouched.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from halfsim.core._jit import kernel, scalar
from halfsim.core.fields import larger, smaller
from halfsim.kernels.blocks import add_blocks, lanes, panel_columns, read_sums, write_sums
from halfsim.kernels.decoding import pack_columns, pack_rows
from halfsim.kernels.panels import ROWS

__all__ = ["compiled", "fused"]

# Decoding A again for every strip of so many columns takes a hundredth of the time.
_COLUMNS = 128
# Terms decoded at a time: a panel of them stays in the second cache. Of more terms, B is decoded again for every block
# of so many rows, whose sums rest between two parts of the terms.
_DEPTH, _RESTING = 512, 256


@scalar
def _read_rows(d, codes, row, count, columns, first_column, last_column, sums, height, mask):
    """Read C of `count` rows from `row` on, panel after panel."""
    for first in range(first_column, last_column, lanes()):
        for i in range(count):
            at = (first - first_column) * height + i * lanes()
            read_sums(d, codes, (row + i) * columns + first, smaller(lanes(), last_column - first), sums, at, mask)


@scalar
def _leaves(codes, sums, reports_a, count, reports_b, columns):
    """Whether elements of `count` rows and so many columns are to be left, or may be."""
    seen = 0
    for i in range(count):
        seen |= reports_a[i]
    for j in range(columns):
        seen |= reports_b[j]
    if codes.itemsize > 1:
        # A sum that is not known is a NaN; those of rows and columns that are not there count too, which is no harm.
        for i in range(sums.size):
            seen |= 0 if sums[i] - sums[i] == 0 else 1
    return seen != 0


@scalar
def _write_rows(
    d, codes, left, above, row, count, columns, first_column, last_column, sums, height, reports_a, reports_b, nan
):
    """Write the results of `count` rows from `row` on, or marks: `left` begins with row `above`, or is a scratch."""
    for first in range(first_column, last_column, lanes()):
        for i in range(count):
            at = (first - first_column) * height + i * lanes()
            place, size = (row + i) * columns + first, smaller(lanes(), last_column - first)
            mark = place - above * columns if above >= 0 else 0
            write_sums(sums, at, d, codes, place, left, mark, size, reports_a[i], reports_b, first - first_column, nan)


@scalar
def _add_rows(d, values_a, codes_a, values_b, codes_b, sums, height, above, count, columns, depth, terms, unit):
    """Add `terms` terms of `count` rows and of the panels of `columns` columns to the sums of rows from `above` on."""
    block = unit.terms, unit.mask, unit.sum
    for first in range(0, columns, lanes()):
        # A last row without a neighbour has zeros beside it, or what was there.
        for i in range(0, count, 2):
            x, y, at = i * depth, (i + 1) * depth, first * height + (above + i) * lanes()
            add_blocks(
                d, values_a, codes_a, values_b, codes_b, sums, x, y, first * depth, at, columns - first, terms, block
            )  # fmt: skip


class _Memory(NamedTuple):
    """What a thread decodes into: made by Python, since Numba would compile that too."""

    values_a: NDArray[np.float32]
    """Rows of A, and the codes of their exponents,"""
    codes_a: NDArray[Any]
    values_b: NDArray[np.float32]
    """panels of B,"""
    codes_b: NDArray[Any]
    reports_a: NDArray[np.int32]
    """and a report on each row and on each column."""
    reports_b: NDArray[np.int32]
    scratch: NDArray[np.int32]
    """Reports on the terms of a row."""
    sums: NDArray[np.float32]


def fused(a, b, batch_a, batch_b, d, start, stop, unit):
    """Compute rows `start` to `stop` of d (products * M, N), which holds C.

    d is uint16 for binary16 results, else uint32. Returns None, or, where elements are left, the marks of
    `halfsim.kernels.blocks.write_sums` for these rows, uint8.
    """
    terms, columns, width = a.shape[2], b.shape[2], panel_columns()
    unit = unit._replace(terms=min(unit.terms, terms))
    # K is padded with terms that are zero.
    depth = min(-(-terms // unit.terms), max(_DEPTH // unit.terms, 1)) * unit.terms
    strip = min(_COLUMNS, -(-columns // width) * width)
    height = ROWS if terms <= depth else min(_RESTING, -(-(stop - start) // ROWS) * ROWS)
    values_a, codes_a = np.zeros(ROWS * depth, np.float32), np.zeros(ROWS * depth, unit.codes.dtype)
    values_b, codes_b = np.zeros(strip * depth, np.float32), np.zeros(strip * depth, unit.codes.dtype)
    reports = (np.zeros(size, np.int32) for size in (height, strip, depth))
    memory = _Memory(values_a, codes_a, values_b, codes_b, *reports, np.zeros(height * strip, np.float32))
    # Marks would be memory for every result: there are none until something is to be left.
    done = _fused(a, b, batch_a, batch_b, d, start, stop, unit, np.empty(width, np.uint8), -1, depth, memory, 0)
    if done < 0:
        return None
    left = np.zeros((stop - start, columns), np.uint8)
    _fused(a, b, batch_a, batch_b, d, start, stop, unit, left.reshape(-1), start, depth, memory, done)
    return left


def compiled() -> bool:
    """Whether the loop has been compiled or loaded, in any form."""
    return bool(getattr(_fused, "overloads", True))


@kernel
def _fused(a, b, batch_a, batch_b, d, start, stop, unit, left, above, depth, memory, done):
    """Compute all tiles of results but the first `done`.

    Marks go to `left` if `above` is the first row there. If it is -1, return how many tiles come before the first that
    has marks, which is not written; or -1 if none has.
    """
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    values_a, codes_a, values_b, codes_b, reports_a, reports_b, scratch, sums = memory
    height, strip = reports_a.size, reports_b.size
    packed, packed_column, tile = -1, 0, 0
    for batch in range(start // rows, (stop + rows - 1) // rows):
        for first in range(0, columns, strip):
            last = smaller(first + strip, columns)
            bottom = smaller(stop, (batch + 1) * rows)
            for top in range(larger(start, batch * rows), bottom, height):
                end = smaller(top + height, bottom)
                tile += 1
                if tile <= done:
                    continue
                _read_rows(d, codes_b, top, end - top, columns, first, last, sums, height, unit.mask)
                for term in range(0, terms, depth):
                    stop_term = smaller(term + depth, terms)
                    whole = (stop_term - term + unit.terms - 1) // unit.terms * unit.terms
                    if terms > depth or batch_b[batch] != packed or first != packed_column:
                        packed, packed_column = batch_b[batch], first
                        part = term, stop_term, whole, depth
                        pack_columns(b, packed, first, last, part, unit.right, lanes(), values_b, codes_b, reports_b)
                    for row in range(top, end, ROWS):
                        count = smaller(ROWS, end - row)
                        source = row - batch * rows
                        part = term, stop_term, whole, depth
                        seen = reports_a[row - top :]
                        pack_rows(
                            a, batch_a[batch], source, count, part, unit.left, values_a, codes_a, seen, scratch
                        )  # fmt: skip
                        _add_rows(
                            d, values_a, codes_a, values_b, codes_b, sums, height, row - top, count, last - first,
                            depth, whole, unit,
                        )  # fmt: skip
                if above < 0 and _leaves(codes_b, sums, reports_a, end - top, reports_b, last - first):
                    return tile - 1
                _write_rows(
                    d, codes_b, left, above, top, end - top, columns, first, last, sums, height, reports_a, reports_b,
                    unit.nan,
                )  # fmt: skip
    return -1
