"""Families put together: how many rows, and any block of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from halfsim.testvectors.cases import directed, ranges, structured, ties
from halfsim.testvectors.cases.family import Family, Source, Words
from halfsim.testvectors.cases.ibm import MODELS
from halfsim.testvectors.subjects import Subject

__all__ = ["FAMILIES", "Operands", "Plan", "family", "plan"]

FAMILIES: tuple[Family, ...] = (*structured.FAMILIES, *ties.FAMILIES, *ranges.FAMILIES, *directed.FAMILIES)
"""Every family, in the order in which a plan takes them."""

_SIZE = 1 << 16
_COUNTS = {1: 1 << 13, 2: 1 << 17}
_TOO_MANY = "pairs"
_COMPLETE = "exhaustive"


class Operands(NamedTuple):
    """Some rows of a plan.

    Parameters
    ----------
    first : int
        Number of the first row.
    words : tuple of unsigned array
        Bit patterns, one array per operand.

    Examples
    --------
    >>> from halfsim.testvectors import subject
    >>> from halfsim.testvectors.cases import plan
    >>> first, words = plan(subject("sqrt"), ["signed-zeros"]).block(2, 4)
    >>> first, [hex(word) for word in words[0].tolist()]
    (2, ['0x3c00', '0x7c00'])
    """

    first: int
    words: tuple[Words, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Rows of operands for a subject, family after family.

    Parameters
    ----------
    subject : Subject
        The operation.
    families : tuple of str
        Names of the families that have rows, in order.
    sources : tuple of Grid, Listed or Drawn
        Their rows.

    Examples
    --------
    >>> from halfsim.testvectors import subject
    >>> from halfsim.testvectors.cases import plan
    >>> rows = plan(subject("sqrt"), ["signed-zeros"])
    >>> rows.rows, rows.part((2, 3)), [len(block.words[0]) for block in rows.blocks(size=3)]
    (8, (2, 5), [3, 3, 2])
    """

    subject: Subject
    families: tuple[str, ...]
    sources: tuple[Source, ...] = field(repr=False)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(source.rows for source in self.sources)

    def block(self, start: int, stop: int) -> Operands:
        """Return rows `start` to `stop`, whatever families they come from.

        Parameters
        ----------
        start, stop : int
            The first row, and the one after the last.
        """
        parts, base = [], 0
        for source in self.sources:
            low, high = max(start - base, 0), min(stop - base, source.rows)
            if low < high:
                parts.append(source.block(low, high))
            base += source.rows
        if not parts:
            return Operands(start, tuple(np.empty(0, np.uint16) for _ in self.subject.operands))
        return Operands(start, tuple(np.concatenate(column) for column in zip(*parts, strict=True)))

    def blocks(self, shard: tuple[int, int] = (1, 1), size: int = _SIZE) -> Iterator[Operands]:
        """Yield blocks of at most `size` rows, of part I of N of the rows.

        Parameters
        ----------
        shard : tuple of int
            I and N.
        size : int
            Rows of a block, at most.

        Raises
        ------
        ValueError
            Unless 1 <= I <= N.
        """
        start, stop = self.part(shard)
        for first in range(start, stop, size):
            yield self.block(first, min(first + size, stop))

    def part(self, shard: tuple[int, int]) -> tuple[int, int]:
        """Return the first row of part I of N, and the row after its last.

        Parameters
        ----------
        shard : tuple of int
            I and N.

        Raises
        ------
        ValueError
            Unless 1 <= I <= N.
        """
        index, count = shard
        if not 1 <= index <= count:
            raise ValueError(f"Plan.part: shard={shard} is no part I of N; pass 1 <= I <= N")
        return self.rows * (index - 1) // count, self.rows * index // count


def family(name: str, function: str = "family") -> Family:
    """Return a family by its name.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.
    """
    for known in FAMILIES:
        if known.name == name:
            return known
    raise ValueError(f"{function}: unknown family {name!r}; known are {', '.join(known.name for known in FAMILIES)}")


def plan(
    subject: Subject, families: Sequence[str] | None = None, *, level: int = 1, seed: int = 1, count: int | None = None
) -> Plan:
    """Return the rows of families for a subject.

    Parameters
    ----------
    subject : Subject
        The operation.
    families : sequence of str, optional
        Names of families, or of IBM's models ("B12"), which stand for those of their families that have rows. By
        default all but ``"pairs"``; for operations with one operand of up to 19 bits, ``"exhaustive"`` alone, which
        holds all others.
    level : int
        1 for a compact set, 2 for a large one.
    seed : int
        Seed of the families that are drawn.
    count : int, optional
        Rows of each family that is drawn; by default 8,192 at level 1 and 131,072 at level 2.

    Returns
    -------
    Plan
        The rows. They are the same on every machine, and in whatever blocks they are made.

    Raises
    ------
    ValueError
        For an unknown family, one that has no rows for the subject, or another level.

    Examples
    --------
    >>> from halfsim.testvectors import subject
    >>> from halfsim.testvectors.cases import plan
    >>> rows = plan(subject("divide"), ["halfway", "signed-zeros"])
    >>> rows.families, rows.rows > 1000
    (('signed-zeros', 'halfway'), True)
    >>> [hex(word.item()) for word in rows.block(0, 1).words]
    ['0x0', '0x0']
    """
    if level not in _COUNTS:
        raise ValueError(f"plan: level={level!r} is not 1 (compact) or 2 (large)")
    names = None if families is None else tuple(_named(subject, families, level, seed))
    return _plan(subject, names, level, seed, count or _COUNTS[level])


def _named(subject: Subject, names: Sequence[str], level: int, seed: int) -> Iterator[str]:
    """Yield the names of families, with those of a model for its name."""
    for name in names:
        if name not in MODELS:
            yield name
            continue
        found = [known for known in MODELS[name][1] if family(known).source(subject, level, seed, 1) is not None]
        if not found:
            raise ValueError(f"plan: {name} ({MODELS[name][0]}) has no rows for {subject.name}; leave it out")
        yield from found


@lru_cache(maxsize=32)
def _plan(subject: Subject, names: tuple[str, ...] | None, level: int, seed: int, count: int) -> Plan:
    chosen = (
        [known for known in FAMILIES if known.name != _TOO_MANY]
        if names is None
        else [family(name, "plan") for name in names]
    )
    found = [(known, known.source(subject, level, seed, count)) for known in FAMILIES if known in chosen]
    sources = [(known.name, source) for known, source in found if source is not None]
    if names is None:
        sources = [item for item in sources if item[0] == _COMPLETE] or sources
    else:
        missing = [known.name for known, source in found if source is None]
        if missing:
            raise ValueError(f"plan: {' and '.join(missing)} has no rows for {subject.name}; leave it out")
    return Plan(subject, tuple(name for name, _ in sources), tuple(source for _, source in sources))
