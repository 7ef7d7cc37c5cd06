"""Compare D of files of tiles with the simulator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from halfsim.testvectors.formats.digest import DigestError, digest_state
from halfsim.testvectors.tileheader import TileHeader
from halfsim.testvectors.tilereader import Tiles
from halfsim.testvectors.tiles import Part, product
from halfsim.testvectors.tilewriter import element, trace

__all__ = ["TileReport", "WrongElement", "check_tiles"]

# Disagreements of a part whose class is asked for.
_LOOKED_AT = 4096


@dataclass(frozen=True, slots=True)
class WrongElement:
    """One element of D that is not the simulator's.

    Parameters
    ----------
    tile, row, column : int
        Where it is, from 0.
    mistake : str
        Coverage class of the tile.
    got, wanted : int
        Patterns that the file and the simulator give.
    steps : str
        How the right result comes about.
    """

    tile: int
    row: int
    column: int
    mistake: str
    got: int
    wanted: int
    steps: str

    def __str__(self) -> str:
        where = f"tile {self.tile} row {self.row} column {self.column} ({self.mistake})"
        return f"{where}: file 0x{self.got:x}, halfsim 0x{self.wanted:x}"


@dataclass(slots=True)
class TileReport:
    """How a file of tiles compares.

    Parameters
    ----------
    name : str
        The file.
    header : TileHeader
        What it says of itself.
    rows, wrong : int
        Elements of D in all, and those that disagree.
    mistakes : Counter
        Disagreements by coverage class.
    first : list of WrongElement
        The first ones.
    examples : dict of str to WrongElement
        One of each class, of those among the first 4096 of a part.
    verified : bool
        Whether the file has a digest of its tiles and they are those.
    damage : str
        What is wrong with the file, if its tiles are not those of its digest.
    """

    name: str
    header: TileHeader
    rows: int = 0
    wrong: int = 0
    mistakes: Counter[str] = field(default_factory=Counter)
    first: list[WrongElement] = field(default_factory=list)
    examples: dict[str, WrongElement] = field(default_factory=dict)
    verified: bool = False
    damage: str = ""

    @property
    def subject(self) -> str:
        """What was checked: the name of the accumulator."""
        return self.header.accumulator

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return {
            "file": self.name,
            "accumulator": self.header.accumulator,
            "shape": list(self.header.shape),
            "tiles": self.header.tiles,
            "elements": self.rows,
            "digest": digest_state(self.verified, self.damage),
            "wrong": self.wrong,
            "classes": dict(self.mistakes.most_common()),
            "first": [asdict(item) for item in self.first],
        }


def check_tiles(tiles: Tiles, *, limit: int = 5, progress: Callable[[int], None] | None = None) -> TileReport:
    """Compute D again and compare every element, bit for bit.

    Parameters
    ----------
    tiles : Tiles
        An opened file.
    limit : int
        How many disagreements are explained.
    progress : callable, optional
        Called with the number of elements of each part.

    Raises
    ------
    VectorFileError
        If the file is damaged in any way but that its tiles are not those of its digest: the report then says so.
    """
    report = TileReport(tiles.name, tiles.header)
    try:
        for part in tiles.parts:
            _compare(report, part, limit)
            if progress is not None:
                progress(part.D.size)
    except DigestError as error:
        # All tiles have been compared: which of them are wrong says where to look.
        report.damage = str(error)
    report.verified = tiles.digest.verified
    return report


def _compare(report: TileReport, part: Part, limit: int) -> None:
    header = report.header
    wanted = product(header, part.A, part.B, part.C).reshape(-1)
    differing = np.flatnonzero(wanted != part.D.reshape(-1))
    report.rows += part.D.size
    report.wrong += len(differing)
    m, n, _ = header.shape
    counts = np.bincount((part.first + differing) // (m * n) % len(header.classes), minlength=len(header.classes))
    report.mistakes.update({name: int(count) for name, count in zip(header.classes, counts, strict=True) if count})
    room = max(limit - len(report.first), 0)
    names = [header.place(part.first + int(number))[3] for number in differing[:_LOOKED_AT]]
    chosen = {*range(min(room, len(differing))), *map(names.index, set(names) - report.examples.keys())}
    for i in sorted(chosen):
        a, b, c, got = element(part, int(differing[i]))
        steps = str(trace(header, a, b, c))
        place = header.place(part.first + int(differing[i]))
        item = WrongElement(*place, got, int(wanted[differing[i]]), steps)
        report.examples.setdefault(item.mistake, item)
        if i < room:
            report.first.append(item)
