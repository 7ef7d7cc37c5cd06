"""Which lane of a warp holds which element of a matrix fragment, as index arrays (PTX ISA, matrix fragments)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fragment", "accumulator_fragment", "gather", "left_fragment", "right_fragment", "scatter", "shared_image"]

Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Fragment:
    """Where the elements of the lanes' registers come from.

    Parameters
    ----------
    tile : (lanes, 1) integer array
        Which of the tiles that one issue of the instruction works on.
    row, column : (lanes, elements) integer arrays
        Element of that tile, in the order of the registers, low half first.
    tiles : int
        Tiles per issue: 4 for m8n8k4, where each quad pair has its own, else 1.
    """

    tile: Index
    row: Index
    column: Index
    tiles: int


def _fragment(lanes: int, row: Any, column: Any, elements: int, tile: Any = 0, tiles: int = 1) -> Fragment:
    shape = (lanes, elements)
    return Fragment(
        np.broadcast_to(np.asarray(tile, np.intp), (lanes, 1)),
        np.broadcast_to(row, shape).astype(np.intp),
        np.broadcast_to(column, shape).astype(np.intp),
        tiles,
    )


def _lanes(count: int, elements: int) -> tuple[Index, Index]:
    return np.arange(count)[:, None], np.arange(elements)[None, :]


def _quad_pair(row: Any, column: Any, lane: Index, elements: int) -> Fragment:
    return _fragment(32, row, column, elements, tile=lane // 4 % 4, tiles=4)


def left_fragment(m: int, k: int, width: int = 16) -> Fragment:
    """Return the fragment of A, elements of `width` bits: m 8 (k 4), 16, or 64 for a warpgroup.

    A lane's register holds ``32 / width`` neighbours in k. Registers alternate between the upper and the lower eight
    rows of a warp's sixteen, then move on in k past the four lanes of a group: one rule for 8, 16 and 32 bits, which
    the PTX ISA draws shape by shape.
    """
    if m == 8:
        lane, i = _lanes(32, 4)
        return _quad_pair(lane % 4 + lane // 16 * 4, i, lane, 4)
    packed = 32 // width
    lane, i = _lanes(2 * m, k // 2)
    row = lane // 32 * 16 + lane % 32 // 4 + i // packed % 2 * 8
    column = lane % 4 * packed + i % packed + i // (2 * packed) * 4 * packed
    return _fragment(2 * m, row, column, k // 2)


def right_fragment(k: int, width: int = 16) -> Fragment:
    """Return the fragment of B of n = 8 columns, elements of `width` bits; k 4 with 16 bits is m8n8k4's."""
    if k == 4 and width == 16:
        lane, i = _lanes(32, 4)
        return _quad_pair(i, lane % 4 + lane // 16 * 4, lane, 4)
    packed = 32 // width
    lane, i = _lanes(32, k // 4)
    return _fragment(32, lane % 4 * packed + i % packed + i // packed * 4 * packed, lane // 4, k // 4)


def accumulator_fragment(m: int, n: int, output: str) -> Fragment:
    """Return the fragment of C and D; only m8n8k4 holds binary32 and binary16 elements in different lanes."""
    if m == 8:
        lane, i = _lanes(32, 8)
        if output == "f16":
            return _quad_pair(lane % 4 + lane // 16 * 4, i, lane, 8)
        return _quad_pair(lane % 2 + (i & 2) + lane // 16 * 4, (i & 4) + (lane & 2) + i % 2, lane, 8)
    lane, i = _lanes(2 * m, n // 2)
    row = lane // 32 * 16 + lane % 32 // 4 + i // 2 % 2 * 8
    return _fragment(2 * m, row, lane % 4 * 2 + i % 2 + i // 4 * 8, n // 2)


def gather(matrices: NDArray[Any], fragment: Fragment) -> NDArray[Any]:
    """Return (issues, lanes, elements) from (issues * tiles, rows, columns)."""
    grouped = matrices.reshape(-1, fragment.tiles, *matrices.shape[1:])
    held: NDArray[Any] = grouped[:, fragment.tile, fragment.row, fragment.column]
    return held


def scatter(held: NDArray[Any], fragment: Fragment, shape: tuple[int, int]) -> NDArray[Any]:
    """Return (issues * tiles, rows, columns) from (issues, lanes, elements): the inverse of `gather`."""
    matrices = np.zeros((len(held), fragment.tiles, *shape), held.dtype)
    matrices[:, fragment.tile, fragment.row, fragment.column] = held
    return matrices.reshape(-1, *shape)


def shared_image(matrices: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the images of B, (tiles, k, n), in shared memory, as bytes: core matrices, k contiguous, no swizzle.

    A core matrix is 8 columns of n with 16 bytes along k each, 128 bytes in all. The k of every instruction fills 32
    bytes: two core matrices of 8 (16 bits), 4 (32 bits) or 16 elements (8 bits). So, for every format and n, those
    adjacent in k lie 128 bytes apart here, and those adjacent in n 256 bytes.
    """
    count, k, n = matrices.shape
    across = 16 // matrices.itemsize
    cores = matrices.reshape(count, k // across, across, n // 8, 8).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(cores).reshape(count, -1).view(np.uint8)
