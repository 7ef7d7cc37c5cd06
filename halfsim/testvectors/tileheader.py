"""What a file of tiles says of itself: accumulator, shape, coverage classes, where its operands come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from halfsim.accumulators import Accumulator, MatrixUnit, factor_formats
from halfsim.capture.words import FORMATS as FACTORS
from halfsim.formats import BINARY16
from halfsim.tensorcores import as_accumulator
from halfsim.testvectors.formats.headerlines import HeaderLines, whole_number
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.formats.rows import Field

__all__ = ["TileHeader", "shape_of"]

_LARGEST = 1024
# Of them, `fields`, `matrix` and `traces` are remarks for people and for `formats.memory`.
_KEYS = ("accumulator", "inputs", "result", "shape", "classes", "seed", "tiles", "fields", "matrix", "traces")


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
    TypeError
        For an accumulator that is no text.
    ValueError
        For an unknown accumulator, or a shape, classes or number of tiles that cannot be.

    Examples
    --------
    >>> from halfsim.testvectors.tileheader import TileHeader
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
        """Return tile, row, column and class of an element of D, counted in C order.

        Parameters
        ----------
        element : int
            From 0 to `elements` - 1.
        """
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

        Parameters
        ----------
        lines : sequence of str
            Without the signs of a comment.

        Raises
        ------
        HeaderError
            If a key or a value is unknown, a key is there twice, or one that is needed is missing.
        """
        found = HeaderLines(lines, _KEYS, "accumulator")
        if not found:
            return None
        found.need("inputs", "result", "shape", "classes", "tiles")
        first = lines[0].split()
        header = cls(
            accumulator=found.read("accumulator", _accumulator),
            shape=found.read("shape", lambda text: shape_of(_plain(text))),
            classes=found.read("classes", lambda text: tuple(_plain(text).split())),
            tiles=found.read("tiles", whole_number("tiles")),
            seed=found.read("seed", whole_number("seed", least=0)) if "seed" in found else None,
            version=first[1] if len(first) > 1 and first[0] == "halfsim" else "",
        )
        found.read("inputs", header.check_inputs)
        found.read("result", header.check_result)
        return header

    def check_inputs(self, text: str) -> None:
        """Refuse other types of A and B than the accumulator has.

        Parameters
        ----------
        text : str
            As ``f16 f16``.

        Raises
        ------
        ValueError
            For others.
        """
        kinds = self.kinds
        if text.split() != [kinds["A"], kinds["B"]]:
            raise ValueError(f"the header gives inputs {text}; {self.accumulator} has {kinds['A']} {kinds['B']}")

    def check_result(self, text: str) -> None:
        """Refuse another type of D than the accumulator has.

        Parameters
        ----------
        text : str
            As ``f32``.

        Raises
        ------
        ValueError
            For another.
        """
        if text != self.kinds["D"]:
            raise ValueError(f"the header gives result {text}; {self.accumulator} has {self.kinds['D']}")


def _plain(text: str) -> str:
    """Return a value without the explanation behind it."""
    return text.split(" (")[0].strip()


def _accumulator(text: str) -> str:
    as_accumulator(text, "read")
    return text


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
