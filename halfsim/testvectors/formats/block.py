"""Rows of a vector file, a bounded number at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.formats.flags import flag_order
from halfsim.testvectors.formats.header import Header
from halfsim.testvectors.formats.names import TYPES

__all__ = ["Block", "columns_of", "from_columns", "nan_mask"]

# Fraction bits of the formats that have a quiet bit; E4M3's one NaN per sign is all ones.
_FRACTION = {"f16": 10, "f32": 23, "f64": 52, "bf16": 7, "tf32": 10, "e5m2": 2}


class Block(NamedTuple):
    """Some rows: operands, result, flags.

    Unsigned bit patterns throughout; `flags` are `Flags` bits. `mask` is None where every bit of the result counts.

    Parameters
    ----------
    operands : tuple of array
        One per operand, (rows,).
    result : array
        (rows,).
    flags : array of uint8
        (rows,), whatever the order of the flags in the file.
    mask : array, optional
        (rows,), of the result's dtype: bits that count.
    lines : array of int64, optional
        (rows,), as below.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.testvectors.formats import Block
    >>> Block((np.uint16([0x3C00]),), np.uint16([0x3C00]), np.uint8([0])).result.size
    1
    """

    operands: tuple[NDArray[Any], ...]
    result: NDArray[Any]
    flags: NDArray[np.uint8]
    mask: NDArray[Any] | None = None
    lines: NDArray[np.int64] | None = None
    """Line of each row in the file it was read from."""


def nan_mask(result: NDArray[Any], kind: str) -> NDArray[Any]:
    """Return which bits of each result count when any quiet NaN will do: of a NaN, exponent field and quiet bit."""
    every = (1 << TYPES[kind]) - 1
    if kind == "e4m3":
        nan, counted = (result & 0x7F) == 0x7F, 0x7F
    else:
        infinity = (1 << (TYPES[kind] - 1)) - (1 << _FRACTION[kind])
        nan, counted = (result & result.dtype.type(every >> 1)) > infinity, infinity | 1 << (_FRACTION[kind] - 1)
    masks = np.full_like(result, every)
    masks[nan] = counted
    return masks


def columns_of(header: Header, block: Block) -> list[NDArray[Any]]:
    """Return the columns of a block as a file with this header has them."""
    flags = flag_order(header.flag_order).encode(block.flags)
    masks = [nan_mask(block.result, header.result)] if header.masked else []
    return [*block.operands, block.result, *masks, flags]


def from_columns(
    header: Header, columns: list[NDArray[Any]], lines: NDArray[np.int64]
) -> tuple[Block, tuple[int, str] | None]:
    """Return the block of a file's columns, and the first row and field that hold more bits than they have."""
    flags = flag_order(header.flag_order).decode(columns[-1])
    problem = _misfit(header, columns, flags)
    count = len(header.operands)
    mask = columns[count + 1] if header.masked else None
    block = Block(tuple(columns[:count]), columns[count], flags.astype(np.uint8), mask, lines)
    return block, problem


def _misfit(header: Header, columns: list[NDArray[Any]], flags: NDArray[np.int16]) -> tuple[int, str] | None:
    kinds = [*header.operands, header.result, *([header.result] if header.masked else [])]
    for name, kind, column in zip(header.names, kinds, columns, strict=False):
        width = TYPES[kind]
        if width < 8 * column.itemsize:
            over = np.flatnonzero(column >> column.dtype.type(width))
            if over.size:
                row = int(over[0])
                return row, f"{name} = {int(column[row]):X} has more than the {width} bits of {kind}"
    wrong = np.flatnonzero(flags < 0)
    if wrong.size:
        row = int(wrong[0])
        return row, f"flags {int(columns[-1][row]):02X} have bits that are no flag in the order {header.flag_order}"
    return None
