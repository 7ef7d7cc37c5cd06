"""Tiles A, B, C, D of matrix products: operands of every coverage class, D as an accumulator sums it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.accumulators import Accumulator, MatrixUnit, factor_formats
from halfsim.capture.tiles import CLASSES
from halfsim.capture.tiles import tiles as operand_tiles
from halfsim.capture.words import FORMATS as FACTORS
from halfsim.capture.words import bits
from halfsim.formats import BINARY16
from halfsim.tensorcores import TABLE, as_accumulator
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.formats.rows import Field
from halfsim.testvectors.patterns import values

__all__ = ["Part", "TileHeader", "numbers", "parts_of", "product", "shape_of", "tile_header"]

_LARGEST = 1024
_WORDS = 1 << 20
_SEEDS = 1 << 32
_NARROW = (16, 8, 16)
_SHAPE = re.compile(r"(\d+)[xn](\d+)[xk](\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TileHeader:
    """What the tiles of a file are.

    Parameters
    ----------
    accumulator : str
        Name of the accumulator, as `halfsim.matmul` takes it.
    shape : tuple of int
        M, N and K, each from 1 to 1024: A is (M, K), B is (K, N), C and D are (M, N).
    classes : tuple of str
        Coverage classes; tile t is of the class t modulo their number.
    tiles : int
        Number of tiles.
    seed : int or None
        Seed of the operands.
    version : str
        Version of halfsim that wrote the file; empty for other writers.

    Raises
    ------
    ValueError
        For an unknown accumulator, or a shape, classes or number of tiles that cannot be.

    Examples
    --------
    >>> from halfsim.testvectors.tiles import TileHeader
    >>> header = TileHeader(accumulator="h100:f32:e4m3", shape=(64, 8, 32), classes=("normal",), tiles=1)
    >>> header.kinds, header.elements
    ({'A': 'e4m3', 'B': 'e4m3', 'C': 'f32', 'D': 'f32'}, 512)
    """

    accumulator: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    tiles: int
    seed: int | None = None
    version: str = ""

    def __post_init__(self) -> None:
        as_accumulator(self.accumulator, "TileHeader")
        if len(self.shape) != 3 or not all(1 <= size <= _LARGEST for size in self.shape):
            text = "x".join(map(str, self.shape))
            raise ValueError(f"TileHeader: shape {text} is not MxNxK, each from 1 to {_LARGEST}; give e.g. 16x8x16")
        if not self.classes or self.tiles < 1:
            raise ValueError(
                f"TileHeader: {self.tiles} tiles of {len(self.classes)} classes; give at least one of each"
            )

    @property
    def row(self) -> Accumulator:
        """The accumulator."""
        return as_accumulator(self.accumulator, "TileHeader")

    @property
    def kinds(self) -> dict[str, str]:
        """Types of the elements of each matrix, keys of `TYPES`."""
        names = {fmt: name for name, fmt in FACTORS.items()}
        a, b = (names[fmt] for fmt in factor_formats(self.row))
        row = self.row
        result = "f16" if (row.output if isinstance(row, MatrixUnit) else row.format) == BINARY16 else "f32"
        return {"A": a, "B": b, "C": result, "D": result}

    @property
    def fields(self) -> dict[str, Field]:
        """An element of each matrix as a hexadecimal field."""
        return {name: Field(name, (TYPES[kind] + 3) // 4) for name, kind in self.kinds.items()}

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Rows and columns of each matrix."""
        m, n, k = self.shape
        return {"A": (m, k), "B": (k, n), "C": (m, n), "D": (m, n)}

    @property
    def elements(self) -> int:
        """Dot products in all tiles."""
        return self.tiles * self.shape[0] * self.shape[1]

    def place(self, element: int) -> tuple[int, int, int, str]:
        """Return tile, row, column and class of an element of D, counted in C order."""
        m, n, _ = self.shape
        tile, rest = divmod(element, m * n)
        return tile, rest // n, rest % n, self.classes[tile % len(self.classes)]

    def lines(self) -> list[str]:
        """Return the header as ``key: value`` lines."""
        kinds = self.kinds
        described = {
            "accumulator": self.accumulator,
            "inputs": f"{kinds['A']} {kinds['B']}",
            "result": kinds["D"],
            "shape": "x".join(map(str, self.shape)) + " (MxNxK)",
            "classes": " ".join(self.classes) + " (in turn, one a tile)",
            "seed": "" if self.seed is None else str(self.seed),
            "tiles": str(self.tiles),
        }
        first = f"halfsim {self.version} matrix tiles" if self.version else "matrix tiles"
        return [first, *(f"{key}: {value}" for key, value in described.items() if value)]

    @classmethod
    def from_lines(cls, lines: Sequence[str]) -> TileHeader | None:
        """Return the header that `lines` made, or None where they name no accumulator.

        Raises
        ------
        ValueError
            If a value is unknown, or one that is needed is missing.
        """
        given = dict(line.partition(":")[::2] for line in lines if ":" in line)
        found = {key.strip(): value.split(" (")[0].strip() for key, value in given.items()}
        if "accumulator" not in found:
            return None
        missing = [key for key in ("inputs", "result", "shape", "classes", "tiles") if not found.get(key)]
        if missing:
            raise ValueError(f"the header names no {' and no '.join(missing)}; it may be cut")
        try:
            tiles, seed = int(found["tiles"]), int(found["seed"]) if "seed" in found else None
        except ValueError:
            raise ValueError("the header's tiles and seed must be integers; it may be damaged") from None
        shape, first = shape_of(found["shape"]), lines[0].split()
        header = cls(
            accumulator=found["accumulator"],
            shape=shape,
            classes=tuple(found["classes"].split()),
            tiles=tiles,
            seed=seed,
            version=first[1] if len(first) > 1 and first[0] == "halfsim" else "",
        )
        kinds = header.kinds
        if (found["inputs"].split(), found["result"]) != ([kinds["A"], kinds["B"]], kinds["D"]):
            raise ValueError(
                f"the header gives inputs {found['inputs']} and result {found['result']}; {header.accumulator} has "
                f"{kinds['A']} {kinds['B']} and {kinds['D']}"
            )
        return header


class Part(NamedTuple):
    """Some tiles in unsigned patterns: A (tiles, M, K), B (tiles, K, N), C and D (tiles, M, N).

    A part of a file that has dot products, not tiles, has M = N = 1 and a tile for each.
    """

    first: int
    """Number of its first element of D among those of the file."""
    A: NDArray[Any]
    B: NDArray[Any]
    C: NDArray[Any]
    D: NDArray[Any]


def shape_of(text: str) -> tuple[int, int, int]:
    """Return the M, N and K of a text such as ``16x8x16``.

    Raises
    ------
    ValueError
        For another text.
    """
    sizes = text.lower().split("x")
    if len(sizes) != 3 or not all(size.isascii() and size.isdigit() and len(size) <= 9 for size in sizes):
        raise ValueError(f"shape {text!r} is not of the form MxNxK; give e.g. 16x8x16")
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


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
    ValueError
        For an unknown accumulator or class, or a shape or count that cannot be.

    Examples
    --------
    >>> from halfsim.testvectors.tiles import tile_header
    >>> tile_header("h100:f32").shape, tile_header("mi300x:f32").shape, tile_header("exact").shape
    ((16, 8, 16), (16, 16, 16), (16, 8, 16))
    """
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
    """Yield the tiles that a header of `tile_header` describes, a bounded number at a time."""
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
    return words >> words.dtype.type(bits(kind) - TYPES[kind])


def numbers(words: NDArray[Any], kind: str) -> NDArray[Any]:
    """Return patterns as the numbers that `halfsim.matmul` takes."""
    held = values(np.ascontiguousarray(words), kind)
    return hs.convert(held, hs.BINARY32) if kind == "e5m2" else held


def product(header: TileHeader, A: NDArray[Any], B: NDArray[Any], C: NDArray[Any]) -> NDArray[Any]:
    """Return the patterns of D = A B + C of stacks of tiles."""
    kinds = header.kinds
    a, b, c = (numbers(words, kinds[name]) for name, words in (("A", A), ("B", B), ("C", C)))
    D: NDArray[Any] = hs.matmul(a, b, c, accumulator=header.accumulator)
    return D.view(np.dtype(f"u{D.itemsize}"))
