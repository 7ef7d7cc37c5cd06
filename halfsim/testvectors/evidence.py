"""Wrong rows of a file, grouped until all are known: what they look like is told by all of them, and by right ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from halfsim.rounding import Stochastic
from halfsim.testvectors.diagnosis import Diagnosis, Sample
from halfsim.testvectors.differences import differences
from halfsim.testvectors.formats import Block
from halfsim.testvectors.formats.block import nan_mask
from halfsim.testvectors.setting import Results, Setting, Words

__all__ = ["Disagreement", "Evidence"]

# Wrong rows that are looked at, and right ones; beyond, so many of each kind of difference in each bin.
_ROWS, _EACH = 1 << 20, 64


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One row whose result or flags are not the simulator's.

    Parameters
    ----------
    line : int
        Line of the file.
    row : int
        Row of the file, from 0.
    operands : tuple of int
        Bit patterns.
    got, got_flags : int
        What the file says.
    wanted, wanted_flags : int
        What the simulator says.
    mistake : str
        What it looks like.

    Examples
    --------
    >>> from halfsim.testvectors.check import Disagreement
    >>> row = Disagreement(7, 2, (0x3C00, 0x3C00), 0x4001, 0, 0x4000, 0, "other value")
    >>> f"{row.got:04X}, not {row.wanted:04X}"
    '4001, not 4000'
    """

    line: int
    row: int
    operands: tuple[int, ...]
    got: int
    got_flags: int
    wanted: int
    wanted_flags: int
    mistake: str


class Evidence:
    """Wrong and right rows of a file, block by block, in constant memory.

    Parameters
    ----------
    setting : Setting
        What was to be computed.
    limit : int
        How many disagreements to describe.
    ignore_flags : bool
        Whether flags are left out of the comparison.
    """

    def __init__(self, setting: Setting, limit: int, ignore_flags: bool) -> None:
        self._setting, self._limit = setting, limit
        self._diagnosis = Diagnosis(setting, ignore_flags)
        self._wrong = self._right = 0
        self._seen: Counter[tuple[int, int]] = Counter()
        self._counts: Counter[bytes] = Counter()
        self._first: list[tuple[bytes, Disagreement]] = []
        self._examples: dict[bytes, Disagreement] = {}

    def add(self, block: Block, first: int, wrong: NDArray[np.int64], right: Results, bins: NDArray[np.int64]) -> None:
        """Look at rows of a block: all of them, until there are many.

        Parameters
        ----------
        block : Block
            What the file has.
        first : int
            Row of the file with which the block begins.
        wrong : integer array
            Rows of the block that are wrong.
        right : tuple of (patterns, flags)
            The right results of the block; its own flags where flags are left out.
        bins : integer array
            Bin of the coverage model of each wrong row.
        """
        mask = None if block.mask is None else nan_mask(right[0][wrong], self._setting.subject.result)
        chosen = self._chosen(block, wrong, right, bins, mask)
        rows = wrong[chosen]
        if not rows.size:
            return
        others = np.setdiff1d(np.arange(len(right[0])), wrong, assume_unique=True)
        among = len(wrong), len(others)
        others = others[: max(_ROWS - self._right, 0)]
        self._right += len(others)
        sample = Sample(
            setting=self._setting,
            operands=[words[rows] for words in block.operands],
            got=(block.result[rows], block.flags[rows]),
            wanted=(right[0][rows], right[1][rows]),
            mask=None if mask is None else mask[chosen],
            agreeing=([words[others] for words in block.operands], (right[0][others], right[1][others])),
            among=among,
        )
        rounding = self._setting.rounding
        if isinstance(rounding, Stochastic):
            # The words of the block's rows, whatever rows are picked.
            counted = replace(self._setting, rounding=replace(rounding, offset=rounding.offset + first))
            sample = replace(sample, setting=counted, places=(rows, others))
        self._keep(
            self._diagnosis.add(sample),
            sample,
            first + rows,
            first + rows + 1 if block.lines is None else block.lines[rows],
        )

    def _chosen(
        self, block: Block, wrong: NDArray[np.int64], right: Results, bins: NDArray[np.int64], mask: Words | None
    ) -> NDArray[np.int64]:
        """Return which of the wrong rows are looked at: those of kinds that are new are, however many have been."""
        every = np.arange(len(wrong))
        if self._wrong + len(wrong) <= _ROWS:
            self._wrong += len(wrong)
            return every
        free = max(_ROWS - self._wrong, 0)
        self._wrong = _ROWS
        z, wanted = block.result[wrong], right[0][wrong]
        counted = np.full_like(z, ~z.dtype.type(0)) if mask is None else mask
        got, want = (z, block.flags[wrong]), (wanted, right[1][wrong])
        codes = differences(self._setting.subject.result, got, want, counted)
        pairs, group = np.unique(np.stack([codes, bins], axis=1)[free:], axis=0, return_inverse=True)
        picked = [every[:free]]
        for number, (code, index) in enumerate(pairs.tolist()):
            # Spread over the block: what comes first in it need not be all that differs so.
            members = free + np.flatnonzero(group.ravel() == number)
            quota = min(_EACH - min(self._seen[code, index], _EACH), len(members))
            picked.append(members[np.linspace(0, len(members) - 1, quota).astype(np.int64)])
            self._seen[code, index] += quota
        return np.unique(np.concatenate(picked))

    def _keep(self, keys: list[bytes], sample: Sample, rows: NDArray[np.int64], lines: NDArray[np.int64]) -> None:
        """Count the groups of rows; keep the first rows of all, and the first of each group."""
        self._counts.update(keys)
        for i, key in enumerate(keys):
            if len(self._first) < self._limit or key not in self._examples:
                got, flags, wanted, raised = (int(x[i]) for x in (*sample.got, *sample.wanted))
                operands = tuple(int(x[i]) for x in sample.operands)
                item = Disagreement(int(lines[i]), int(rows[i]), operands, got, flags, wanted, raised, "")
                self._examples.setdefault(key, item)
                if len(self._first) < self._limit:
                    self._first.append((key, item))

    def conclude(self) -> tuple[Counter[str], list[Disagreement], dict[str, Disagreement]]:
        """Return mistakes and their rows, the first disagreements, and one of each mistake."""
        names = self._diagnosis.names()
        mistakes: Counter[str] = Counter()
        examples: dict[str, Disagreement] = {}
        for key, item in sorted(self._examples.items(), key=lambda pair: pair[1].row):
            mistakes[names[key]] += self._counts[key]
            examples.setdefault(names[key], replace(item, mistake=names[key]))
        return mistakes, [replace(item, mistake=names[key]) for key, item in self._first], examples
