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

__all__ = ["Panels", "compiled", "decoded", "fused"]

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
def _add_rows(d, values_a, codes_a, values_b, codes_b, start_b, sums, height, above, count, columns, part, unit):
    """Add a part of the terms of `count` rows and of the panels of `columns` columns to the sums from `above` on."""
    block, (_, _, terms, depth) = (unit.terms, unit.mask, unit.sum), part
    for first in range(0, columns, lanes()):
        # A last row without a neighbour has zeros beside it, or what was there.
        for i in range(0, count, 2):
            x, y, at = i * depth, (i + 1) * depth, first * height + (above + i) * lanes()
            add_blocks(
                d, values_a, codes_a, values_b, codes_b, sums, x, y, start_b + first * depth, at, columns - first,
                terms, block,
            )  # fmt: skip


class _Memory(NamedTuple):
    """What a thread decodes into: made by Python, since Numba would compile that too."""

    values_a: NDArray[np.float32]
    """Rows of A, and the codes of their exponents,"""
    codes_a: NDArray[Any]
    reports_a: NDArray[np.int32]
    """and a report on each row."""
    scratch: NDArray[np.int32]
    """Reports on the terms of a row."""
    sums: NDArray[np.float32]


class Panels(NamedTuple):
    """Panels of B: one strip of columns and one part of the terms at a time, or all of a matrix, part after part."""

    values: NDArray[np.float32]
    codes: NDArray[Any]
    """Codes of the exponents."""
    reports: NDArray[np.int32]
    """A report on each column."""

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        return self.values.nbytes + self.codes.nbytes + self.reports.nbytes


def _grid(terms: int, columns: int, unit: Any) -> tuple[Any, int, int]:
    """Return the unit of sums of so many terms, terms of a part, columns of a strip."""
    if unit.terms > terms:
        unit = unit._replace(terms=terms)
    # K is padded with terms that are zero.
    depth = min(-(-terms // unit.terms), max(_DEPTH // unit.terms, 1)) * unit.terms
    return unit, depth, min(_COLUMNS, -(-columns // panel_columns()) * panel_columns())


def _panels(strips: int, parts: int, depth: int, strip: int, unit: Any) -> Panels:
    """Return memory for panels."""
    size = strips * parts * strip * depth
    return Panels(np.zeros(size, np.float32), np.zeros(size, unit.codes.dtype), np.zeros(strips * strip, np.int32))


def decoded(b, unit):
    """Return the panels of all of a matrix, b (1, K, N), for products with many others."""
    unit, depth, strip = _grid(b.shape[1], b.shape[2], unit)
    panels = _panels(-(-b.shape[2] // strip), -(-b.shape[1] // depth), depth, strip, unit)
    _decode(b, unit.right, unit.terms, depth, strip, panels)
    return panels


@kernel
def _decode(b, rule, block, depth, strip, panels):
    values, codes, reports = panels
    terms, columns, at = b.shape[1], b.shape[2], 0
    for first in range(0, columns, strip):
        for term in range(0, terms, depth):
            part, last = _part(term, terms, depth, block), smaller(first + strip, columns)
            pack_columns(b, 0, first, last, part, rule, lanes(), values[at:], codes[at:], reports[first:])
            at += strip * depth


@scalar
def _part(term, terms, depth, block):
    """Terms of a part: the first, the one after the last, how many in whole blocks, and room for how many."""
    last = smaller(term + depth, terms)
    return term, last, (last - term + block - 1) // block * block, depth


def fused(a, b, batch_a, batch_b, d, start, stop, unit, panels=None):
    """Compute rows `start` to `stop` of d (products * M, N), which holds C.

    d is uint16 for binary16 results, else uint32. `panels` are those that `decoded` has made of the only matrix b.
    Returns None, or, where elements are left, the marks of `halfsim.kernels.blocks.write_sums` for these rows, uint8.
    """
    terms, columns = a.shape[2], b.shape[2]
    unit, depth, strip = _grid(terms, columns, unit)
    height = ROWS if terms <= depth else min(_RESTING, -(-(stop - start) // ROWS) * ROWS)
    values_a, codes_a = np.zeros(ROWS * depth, np.float32), np.zeros(ROWS * depth, unit.codes.dtype)
    reports = np.zeros(height, np.int32), np.zeros(depth, np.int32)
    memory = _Memory(values_a, codes_a, *reports, np.zeros(height * strip, np.float32))
    fresh = panels is None
    panels = _panels(1, 1, depth, strip, unit) if panels is None else panels
    # Marks would be memory for every result: there are none until something is to be left.
    left = np.empty(panel_columns(), np.uint8)
    grid = depth, strip, fresh
    done = _fused(a, b, batch_a, batch_b, d, start, stop, unit, left, -1, grid, panels, memory, 0)
    if done < 0:
        return None
    left = np.zeros((stop - start, columns), np.uint8)
    _fused(a, b, batch_a, batch_b, d, start, stop, unit, left.reshape(-1), start, grid, panels, memory, done)
    return left


def compiled() -> bool:
    """Whether the loop has been compiled or loaded, in any form."""
    return bool(getattr(_fused, "overloads", True))


@kernel
def _fused(a, b, batch_a, batch_b, d, start, stop, unit, left, above, grid, panels, memory, done):
    """Compute all tiles of results but the first `done`.

    Marks go to `left` if `above` is the first row there. If it is -1, return how many tiles come before the first that
    has marks, which is not written; or -1 if none has.
    """
    rows, terms, columns = a.shape[1], a.shape[2], b.shape[2]
    values_a, codes_a, reports_a, scratch, sums = memory
    depth, strip, fresh = grid
    values_b, codes_b, all_reports = panels
    height, parts = reports_a.size, (terms + depth - 1) // depth
    packed, packed_column, tile = -1, 0, 0
    for batch in range(start // rows, (stop + rows - 1) // rows):
        for first in range(0, columns, strip):
            last = smaller(first + strip, columns)
            bottom = smaller(stop, (batch + 1) * rows)
            reports_b = all_reports[0 if fresh else first :]
            for top in range(larger(start, batch * rows), bottom, height):
                end = smaller(top + height, bottom)
                tile += 1
                if tile <= done:
                    continue
                _read_rows(d, codes_b, top, end - top, columns, first, last, sums, height, unit.mask)
                for term in range(0, terms, depth):
                    part = _part(term, terms, depth, unit.terms)
                    at = 0 if fresh else (first // strip * parts + term // depth) * strip * depth
                    if fresh and (terms > depth or batch_b[batch] != packed or first != packed_column):
                        packed, packed_column = batch_b[batch], first
                        pack_columns(b, packed, first, last, part, unit.right, lanes(), values_b, codes_b, reports_b)
                    for row in range(top, end, ROWS):
                        count = smaller(ROWS, end - row)
                        source = row - batch * rows
                        seen = reports_a[row - top :]
                        pack_rows(
                            a, batch_a[batch], source, count, part, unit.left, values_a, codes_a, seen, scratch
                        )  # fmt: skip
                        _add_rows(
                            d, values_a, codes_a, values_b, codes_b, at, sums, height, row - top, count, last - first,
                            part, unit,
                        )  # fmt: skip
                if above < 0 and _leaves(codes_b, sums, reports_a, end - top, reports_b, last - first):
                    return tile - 1
                _write_rows(
                    d, codes_b, left, above, top, end - top, columns, first, last, sums, height, reports_a, reports_b,
                    unit.nan,
                )  # fmt: skip
    return -1
