"""Matrix products by the blocks of matrix units, in vector registers.

Equal to `halfsim.kernels.gemm.fused_dot_add`, bit by bit, on all that is not left (tests prove it). Elements that see
an infinity or a NaN among the factors are left to `halfsim.kernels.specials`, with a word on what their other products
add up to; those that see a factor outside the window of exponents, or a block of nothing but tiny products, which only
bfloat16 and TF32 have, to the general loop. Both find C untouched.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import FusedDotAdd, factor_formats
from halfsim.core._jit import kernel, scalar
from halfsim.core.fields import larger, smaller
from halfsim.formats import BINARY16, Specials
from halfsim.kernels.blocks import add_blocks, lanes, panel_columns, read_sums, write_sums
from halfsim.kernels.blocksums import FAR, NEAR
from halfsim.kernels.decoding import Form, form, pack_columns, pack_rows
from halfsim.kernels.panels import ROWS, TERMS
from halfsim.rounding import Rounding

__all__ = ["Block", "block", "compiled", "fused"]

_DECODED = 1 << 21
# Decoding A again for every strip of so many columns takes a hundredth of the time.
_COLUMNS = 128


class Block(NamedTuple):
    """A matrix unit as the loop needs it."""

    left: Form
    right: Form
    terms: int
    fraction_bits: int
    least: int
    """Code of the smallest exponent of a block; less than those of products where C alone may lie lower."""
    mask: int
    """Bits of binary32 that a result keeps."""
    codes: NDArray[Any]
    """Of no size, and of the dtype of codes of exponents."""


def block(accumulator: FusedDotAdd) -> Block | None:
    """Return the block of a matrix unit, or None if the loop does not know it."""
    left, right = factor_formats(accumulator)
    output, bits, terms = accumulator.output, accumulator.fraction_bits, accumulator.terms
    narrow = output == BINARY16 and accumulator.rounding == Rounding.roundTiesToEven
    wide = (output.emin, output.emax, output.specials) == (-126, 127, Specials.ieee)
    wide = wide and accumulator.rounding == Rounding.roundTowardZero
    if accumulator.align != Rounding.roundTowardZero or not (narrow or wide) or left.precision + right.precision > 24:
        return None
    # The halves of a block, C with the first, must fit int32, and all of it 32 bits and a sign.
    product = (2 - 2.0 ** (1 - left.precision)) * (2 - 2.0 ** (1 - right.precision)) * 2**bits
    half, whole = (count * product + 2 ** (bits + 1) for count in ((terms + 1) // 2, terms))
    if bits > 29 or half >= 2**31 or whole >= 2**32:
        return None
    window = NEAR if min(left.emin, right.emin) >= NEAR.first else FAR
    least = accumulator.zero_exponent + 2 * window.zero
    if least > 2 * (window.zero + window.last) + 1:
        return None
    if window is FAR or least < window.least:
        # C alone may lie lower and must then be exact, down to its last bit.
        last = output.emin - (output.precision - 1)
        if narrow or bits < output.precision - 1 or accumulator.zero_exponent - bits > last:
            return None
        least = window.least - 1 if window is NEAR else 0
    codes = np.zeros(0, np.uint8 if window is NEAR else np.uint16)
    forms = form(left, window), form(right, window)
    return Block(*forms, terms, bits, least, -(1 << (24 - output.precision)), codes)


@scalar
def _read_rows(d, codes, row, count, columns, first_column, last_column, sums, mask):
    """Read C of `count` rows from `row` on, panel after panel."""
    for first in range(first_column, last_column, lanes()):
        for i in range(count):
            at = (first - first_column) * ROWS + i * lanes()
            read_sums(d, codes, (row + i) * columns + first, smaller(lanes(), last_column - first), sums, at, mask)


@scalar
def _write_rows(d, codes, left, row, count, columns, first_column, last_column, sums, reports_a, reports_b):
    """Write the results of `count` rows from `row` on, or marks."""
    for first in range(first_column, last_column, lanes()):
        for i in range(count):
            at = (first - first_column) * ROWS + i * lanes()
            place, size = (row + i) * columns + first, smaller(lanes(), last_column - first)
            write_sums(sums, at, d, codes, left, place, size, reports_a[i], reports_b, first - first_column)


@scalar
def _add_rows(d, values_a, codes_a, values_b, codes_b, sums, count, columns, padded, unit):
    """Add all blocks of `count` rows and of the panels of `columns` columns to their sums."""
    # A part of a panel that stays in the second cache.
    depth = larger(TERMS // unit.terms, 1) * unit.terms
    block = unit.terms, unit.fraction_bits, unit.least, unit.mask
    for term in range(0, padded, depth):
        terms = smaller(depth, padded - term)
        for first in range(0, columns, lanes()):
            panel = first * padded + term * lanes()
            # A last row without a neighbour has zeros beside it, or what was there.
            for i in range(0, count, 2):
                x, y, at = i * padded + term, (i + 1) * padded + term, first * ROWS + i * lanes()
                add_blocks(
                    d, values_a, codes_a, values_b, codes_b, sums, x, y, panel, at, columns - first, terms, block
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


def fused(a, b, batch_a, batch_b, d, start, stop, unit, left):
    """Compute rows `start` to `stop` of d (products * M, N), which holds C.

    d is uint16 for binary16 results, else uint32. `left`, uint8 and of its shape, receives the marks of
    `halfsim.kernels.blocks.write_sums`.
    """
    terms, columns, width = a.shape[2], b.shape[2], panel_columns()
    unit = unit._replace(terms=min(unit.terms, terms))
    # K is padded with terms that are zero.
    padded = -(-terms // unit.terms) * unit.terms
    # Columns decoded at a time: fewer of many terms, for what they take of memory.
    strip = max(min(_COLUMNS, _DECODED // padded // width * width), width)
    strip = min(strip, -(-columns // width) * width)
    values_a, codes_a = np.zeros(ROWS * padded, np.float32), np.zeros(ROWS * padded, unit.codes.dtype)
    values_b, codes_b = np.zeros(strip * padded, np.float32), np.zeros(strip * padded, unit.codes.dtype)
    reports = (np.zeros(size, np.int32) for size in (ROWS, strip, terms))
    memory = _Memory(values_a, codes_a, values_b, codes_b, *reports, np.zeros(ROWS * strip, np.float32))
    _fused(a, b, batch_a, batch_b, d, start, stop, unit, left, padded, memory)


def compiled() -> bool:
    """Whether the loop has been compiled or loaded, in any form."""
    return bool(getattr(_fused, "overloads", True))


@kernel
def _fused(a, b, batch_a, batch_b, d, start, stop, unit, left, padded, memory):
    rows, columns = a.shape[1], b.shape[2]
    values_a, codes_a, values_b, codes_b, reports_a, reports_b, scratch, sums = memory
    strip = reports_b.size
    packed = -1
    for batch in range(start // rows, (stop + rows - 1) // rows):
        for first in range(0, columns, strip):
            last = smaller(first + strip, columns)
            if columns > strip or batch_b[batch] != packed:
                packed = batch_b[batch]
                pack_columns(b, packed, first, last, unit.right, lanes(), padded, values_b, codes_b, reports_b)
            top, bottom = larger(start, batch * rows), smaller(stop, (batch + 1) * rows)
            for row in range(top, bottom, ROWS):
                count = smaller(ROWS, bottom - row)
                source = row - batch * rows
                pack_rows(a, batch_a[batch], source, count, unit.left, padded, values_a, codes_a, reports_a, scratch)
                _read_rows(d, codes_b, row, count, columns, first, last, sums, unit.mask)
                _add_rows(d, values_a, codes_a, values_b, codes_b, sums, count, last - first, padded, unit)
                _write_rows(d, codes_b, left, row, count, columns, first, last, sums, reports_a, reports_b)
