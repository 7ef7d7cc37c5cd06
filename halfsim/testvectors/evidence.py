"""Wrong rows of a file, kept until all are known: what they look like is told by all of them, and by right ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from halfsim.rounding import Stochastic
from halfsim.testvectors.diagnosis import Sample, diagnose
from halfsim.testvectors.formats import Block
from halfsim.testvectors.formats.block import nan_mask
from halfsim.testvectors.setting import Results, Setting

__all__ = ["Disagreement", "Evidence"]

# Wrong rows looked at per block, and as many right ones; and in how many blocks. A design that is wrong everywhere is
# not diagnosed row by row, and memory stays constant.
_ROWS, _BLOCKS = 4096, 16


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
    """Wrong and right rows of a file, block by block.

    Parameters
    ----------
    limit : int
        How many disagreements to describe.
    ignore_flags : bool
        Whether flags are left out of the comparison.
    """

    def __init__(self, limit: int, ignore_flags: bool) -> None:
        self._limit, self._ignore_flags = limit, ignore_flags
        self._samples: list[Sample] = []
        self._lines: list[NDArray[np.int64]] = []
        self._rows: list[NDArray[np.int64]] = []
        self._other_masks: list[NDArray[np.bool_]] = []

    def add(self, block: Block, setting: Setting, first: int, wrong: NDArray[np.int64], right: Results) -> None:
        """Keep some of the rows of a block.

        Parameters
        ----------
        block : Block
            What the file has.
        setting : Setting
            What was to be computed.
        first : int
            Row of the file with which the block begins.
        wrong : integer array
            Rows of the block that are wrong.
        right : tuple of (patterns, flags)
            The right results of the block; its own flags where flags are left out.
        """
        if len(self._samples) == _BLOCKS:
            return
        # Spread over the block, but those that will be shown are among them.
        rows = np.union1d(wrong[: self._limit], wrong[:: -(-len(wrong) // _ROWS)])
        others = np.setdiff1d(np.arange(len(right[0])), wrong, assume_unique=True)
        others = others[:: max(-(-len(others) // _ROWS), 1)]
        places = None
        if isinstance(setting.rounding, Stochastic):
            # The words of the block's rows, whatever rows are picked.
            setting = replace(setting, rounding=replace(setting.rounding, offset=setting.rounding.offset + first))
            places = rows, others
        wanted = right[0][rows], right[1][rows]
        mask, other_mask = None, np.zeros(len(rows), np.bool_)
        if block.mask is not None:
            mask = nan_mask(wanted[0], setting.subject.result)
            other_mask = block.mask[rows] != mask
        self._samples.append(
            Sample(
                setting=setting,
                operands=[words[rows] for words in block.operands],
                got=(block.result[rows], block.flags[rows]),
                wanted=wanted,
                mask=mask,
                agreeing=([words[others] for words in block.operands], (right[0][others], right[1][others])),
                places=places,
            )
        )
        self._rows.append(first + rows)
        self._lines.append(first + rows + 1 if block.lines is None else block.lines[rows])
        self._other_masks.append(other_mask)

    def conclude(self) -> tuple[Counter[str], list[Disagreement], dict[str, Disagreement]]:
        """Return mistakes and their rows, the first disagreements, and one of each mistake."""
        names = self._named() if self._samples else []
        first: list[Disagreement] = []
        examples: dict[str, Disagreement] = {}
        base = 0
        for number, rows in enumerate(self._rows):
            for i, name in enumerate(names[base : base + len(rows)]):
                if len(first) < self._limit or name not in examples:
                    item = self._disagreement(number, i, name)
                    examples.setdefault(name, item)
                    first += [item] if len(first) < self._limit else []
            base += len(rows)
        return Counter(names), first, examples

    def _named(self) -> list[str]:
        names = diagnose(self._samples, ignore_flags=self._ignore_flags)
        flags = np.concatenate([sample.got[1] == sample.wanted[1] for sample in self._samples])
        agrees = np.concatenate([_same(sample) for sample in self._samples]) & (self._ignore_flags | flags)
        other_mask = np.concatenate(self._other_masks) & agrees
        return ["wrong mask" if bad else name for bad, name in zip(other_mask, names, strict=True)]

    def _disagreement(self, number: int, i: int, name: str) -> Disagreement:
        sample = self._samples[number]
        line, row = int(self._lines[number][i]), int(self._rows[number][i])
        got, flags, wanted, raised = (int(x[i]) for x in (*sample.got, *sample.wanted))
        return Disagreement(line, row, tuple(int(x[i]) for x in sample.operands), got, flags, wanted, raised, name)


def _same(sample: Sample) -> NDArray[np.bool_]:
    """Return which results are equal, as far as their bits count."""
    differs = sample.got[0] ^ sample.wanted[0]
    same: NDArray[np.bool_] = (differs if sample.mask is None else differs & sample.mask) == 0
    return same
