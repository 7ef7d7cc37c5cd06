"""Tiles A, B, C, D of matrix products: operands of every coverage class, D as an accumulator sums it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.accumulators import Accumulator
from halfsim.capture.tiles import CLASSES
from halfsim.capture.tiles import tiles as operand_tiles
from halfsim.capture.words import bits
from halfsim.tensorcores import TABLE, as_accumulator
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.patterns import patterns, values
from halfsim.testvectors.tileheader import TileHeader

__all__ = ["Part", "numbers", "parts_of", "product", "tile_header"]

_WORDS = 1 << 20
_SEEDS = 1 << 32
_NARROW = (16, 8, 16)
_KINDS = ("f16", "bf16", "tf32", "e4m3", "e5m2", "f32")
_SHAPE = re.compile(r"(\d+)[xn](\d+)[xk](\d+)")


class Part(NamedTuple):
    """Some tiles in unsigned patterns: A (tiles, M, K), B (tiles, K, N), C and D (tiles, M, N).

    A part of a file that has dot products, not tiles, has M = N = 1 and a tile for each.

    Parameters
    ----------
    first : int
        As below.
    A, B, C, D : array
        Unsigned words as wide as their format.

    Examples
    --------
    >>> from halfsim.testvectors.tiles import parts_of, tile_header
    >>> (part,) = parts_of(tile_header("exact", shape=(1, 1, 4)))
    >>> part.first, part.A.shape[1:], part.D.shape[1:]
    (0, (1, 4), (1, 1))
    """

    first: int
    """Number of its first element of D among those of the file."""
    A: NDArray[Any]
    B: NDArray[Any]
    C: NDArray[Any]
    D: NDArray[Any]


def tile_header(
    accumulator: str,
    *,
    shape: tuple[int, int, int] | None = None,
    classes: Sequence[str] = CLASSES,
    count: int = 1,
    seed: int = 1,
) -> TileHeader:
    """Return the header of new tiles.

    Parameters
    ----------
    accumulator : str
        Name of the accumulator.
    shape : tuple of int, optional
        M, N and K; by default the instruction's, of ``wgmma`` and ``tcgen05`` 64, 8 and 32 bytes of k, otherwise
        16, 8 and 16.
    classes : sequence of str
        Names of `halfsim.capture.tiles.CLASSES`.
    count : int
        Tiles of each class.
    seed : int
        Seed of the operands, from 0 to 2**32 - 1.

    Raises
    ------
    TypeError
        For an accumulator that is no name.
    ValueError
        For an unknown accumulator or class, or a shape or count that cannot be.

    Examples
    --------
    >>> from halfsim.testvectors.tiles import tile_header
    >>> tile_header("h100:f32").shape, tile_header("mi300x:f32").shape, tile_header("exact").shape
    ((16, 8, 16), (16, 16, 16), (16, 8, 16))
    """
    given: object = accumulator
    if not isinstance(given, str):
        raise TypeError(f"tile_header: accumulator={given!r} is of type {type(given).__name__}; pass a name")
    row = as_accumulator(accumulator, "tile_header")
    for name in classes:
        if name not in CLASSES:
            raise ValueError(f"tile_header: unknown class {name!r}; known are {', '.join(CLASSES)}")
    if len(set(classes)) != len(classes):
        raise ValueError(f"tile_header: classes {', '.join(classes)} name one twice; name each once")
    return TileHeader(
        accumulator=accumulator.lower(),
        shape=_own_shape(row) if shape is None else shape,
        classes=tuple(classes),
        tiles=len(classes) * count,
        seed=seed,
        version=hs.__version__,
    )


def _own_shape(row: Accumulator) -> tuple[int, int, int]:
    # By identity: rows of different instructions may be equal.
    entry = next((entry for entry in TABLE if entry.accumulator is row), None)
    if entry is None:
        return _NARROW
    found = _SHAPE.search(entry.instruction)
    if found is None:
        return 64, 8, 256 // bits(entry.inputs)
    return int(found[1]), int(found[2]), int(found[3])


def parts_of(header: TileHeader) -> Iterator[Part]:
    """Yield the tiles that a header of `tile_header` describes, a bounded number at a time.

    Parameters
    ----------
    header : TileHeader
        Shape, accumulator, classes, count and seed.

    Returns
    -------
    iterator of Part
        Operands of every class in turn, and D as the accumulator sums them; the same for the same header.

    Examples
    --------
    >>> from halfsim.testvectors.tiles import parts_of, tile_header
    >>> (part,) = parts_of(tile_header("h100:f32", count=2))
    >>> part.A.shape[1:], part.B.shape[1:], part.D.shape[1:], part.D.dtype.name
    ((16, 16), (16, 8), (16, 8), 'uint32')
    """
    m, n, k = header.shape
    count, kinds = header.tiles // len(header.classes), header.kinds
    chosen = [CLASSES.index(name) for name in header.classes]
    # The same for any choice of classes, so that a class's tiles do not depend on the others.
    lot = max(1, _WORDS // (len(CLASSES) * (m * k + k * n + 2 * m * n)))
    for start in range(0, count, lot):
        size = min(lot, count - start)
        made = operand_tiles(
            (header.seed or 0) + start // lot * _SEEDS,
            header.shape,
            size,
            max(chosen) + 1,
            inputs=(kinds["A"], kinds["B"]),
            addends=(kinds["C"],),
        )
        # Classes in turn.
        order = (np.array(chosen)[None, :] * size + np.arange(size)[:, None]).reshape(-1)
        A, B = (_flush_right(made[name][order], kinds[name]) for name in "AB")
        C = made[f"C.{kinds['C']}"][order]
        yield Part(start * len(chosen) * m * n, A, B, C, product(header, A, B, C))


def _flush_right(words: NDArray[Any], kind: str) -> NDArray[Any]:
    """Return patterns without the low bits of a register that their format does not use."""
    pattern: NDArray[Any] = words >> words.dtype.type(bits(kind) - TYPES[kind])
    return pattern


def numbers(words: NDArray[Any], kind: str) -> NDArray[Any]:
    """Return patterns as the numbers that `halfsim.matmul` takes.

    Parameters
    ----------
    words : array
        Unsigned patterns of any shape.
    kind : str
        Their format as headers write it: ``"f16"``, ``"bf16"``, ``"tf32"``, ``"e4m3"``, ``"e5m2"`` or ``"f32"``.

    Returns
    -------
    array
        float16, float32 or 8-bit numbers, as `halfsim.matmul` takes them.

    Raises
    ------
    ValueError
        For an unknown format.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.testvectors.tiles import numbers
    >>> numbers(np.uint16([0x3C00, 0x7C00]), "f16")
    array([ 1., inf], dtype=float16)
    """
    if kind not in _KINDS:
        raise ValueError(f"numbers: kind={kind!r} is not a format of a tile; known are {', '.join(_KINDS)}")
    held = values(np.ascontiguousarray(words), kind)
    wide: NDArray[Any] = hs.convert(held, hs.BINARY32) if kind == "e5m2" else held
    return wide


def product(header: TileHeader, A: NDArray[Any], B: NDArray[Any], C: NDArray[Any]) -> NDArray[Any]:
    """Return the patterns of D = A B + C of stacks of tiles.

    Parameters
    ----------
    header : TileHeader
        Its accumulator and formats; neither shape nor count matter.
    A, B, C : array
        Unsigned patterns, (tiles, M, K), (tiles, K, N) and (tiles, M, N).

    Returns
    -------
    array
        Unsigned patterns of D, (tiles, M, N).

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.testvectors.tiles import product, tile_header
    >>> one, zero = np.full((1, 1, 1), 0x3C00, np.uint16), np.zeros((1, 1, 1), np.uint32)
    >>> hex(product(tile_header("h100:f32"), one, one, zero).item())
    '0x3f800000'
    """
    kinds = header.kinds
    a, b, c = (numbers(words, kinds[name]) for name, words in (("A", A), ("B", B), ("C", C)))
    D: NDArray[Any] = patterns(hs.matmul(a, b, c, accumulator=header.accumulator), kinds["D"])
    return D
