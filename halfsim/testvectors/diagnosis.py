"""Which mistake gives a wrong result: every hypothesis is tried on the wrong rows and on right ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.rounding import Rounding, Stochastic
from halfsim.testvectors.assignment import SHARE, Evaluated, assign
from halfsim.testvectors.differences import Difference, difference_name, differences, kind_of
from halfsim.testvectors.hypotheses import Hypothesis, hypotheses
from halfsim.testvectors.setting import Results, Setting, Words

__all__ = ["Diagnosis", "Sample", "Setting", "diagnose"]

_OTHER_WORD = "the other neighbour: not what the word drawn for the row gives"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Wrong rows of a design, and some that are right.

    Parameters
    ----------
    setting : Setting
        What was to be computed.
    operands : sequence of unsigned arrays
        Operands of the wrong rows.
    got, wanted : tuple of (patterns, flags)
        What the design gave, and what is right.
    mask : unsigned array, optional
        Bits of each result that count.
    agreeing : tuple of (operands, (patterns, flags)), optional
        Rows of the same design that are right.
    places : tuple of (integers, integers), optional
        Where the wrong and the agreeing rows stand among those that the setting's stochastic rounding counts from.
    among : tuple of (int, int), optional
        Of how many wrong and of how many right rows these were chosen; by default they are all.
    """

    setting: Setting
    operands: Sequence[Words]
    got: Results
    wanted: Results
    mask: Words | None = None
    agreeing: tuple[Sequence[Words], Results] | None = None
    places: tuple[Words, Words] | None = None
    among: tuple[int, int] | None = None


class Diagnosis:
    """What is known of the wrong rows of a design: rows that differ alike, and that the same hypotheses give, are one.

    Parameters
    ----------
    setting : Setting
        What was to be computed.
    ignore_flags : bool
        Whether flags are left out of the comparison.
    """

    def __init__(self, setting: Setting, ignore_flags: bool = False) -> None:
        self._setting, self._ignore_flags = setting, ignore_flags
        self._tried = hypotheses(setting)
        self._groups: Counter[bytes] = Counter()
        # Per hypothesis, right rows that it would make wrong: in their results, and in results or flags.
        self._against = np.zeros((2, len(self._tried)), np.int64)
        self._looked = np.zeros(2, np.int64)
        self._among = np.zeros(2, np.int64)

    def add(self, sample: Sample) -> list[bytes]:
        """Look at the rows of a sample and return the group of each wrong one."""
        got, (wrong_places, right_places) = sample.got, sample.places or (None, None)
        counted = np.full_like(got[0], ~got[0].dtype.type(0)) if sample.mask is None else sample.mask
        codes = differences(self._setting.subject.result, got, sample.wanted, counted)
        # A stochastic rounding counts from where the sample begins.
        tried = hypotheses(sample.setting)
        hits = _hits(tried, sample.operands, got, counted, self._ignore_flags, wrong_places)
        keys = _keys(codes, _apart(got[0], sample.wanted[0]), _neighbours(sample), *hits)
        self._groups.update(keys)
        agreeing = 0
        if sample.agreeing is not None:
            operands, right = sample.agreeing
            agreeing = len(right[0])
            every = np.full_like(right[0], ~right[0].dtype.type(0))
            hits = _hits(tried, operands, right, every, self._ignore_flags, right_places)
            self._against += [(~found).sum(axis=1) for found in hits]
        looked = np.array([len(codes), agreeing])
        self._looked += looked
        self._among += looked if sample.among is None else sample.among
        return keys

    def names(self) -> dict[bytes, str]:
        """Return the mistake that each group of rows looks like."""
        groups = list(self._groups)
        if not groups:
            return {}
        codes, apart, neighbours, same, exact = _unpacked(groups, len(self._tried))
        kinds = np.array([kind_of(code) for code in codes], object)
        evaluated = Evaluated(
            kinds=kinds,
            apart=apart,
            weights=np.array([self._groups[key] for key in groups], np.int64),
            same=same,
            exact=exact,
            against=(self._against * self._scale()).astype(np.int64),
        )
        if isinstance(self._setting.rounding, Stochastic):
            # Any direction gives half of all results.
            chance = self._against[1] > (1 - SHARE) * self._looked[1]
            evaluated.same[chance], evaluated.exact[chance] = False, False
        exactly, loosely = assign(self._tried, evaluated)
        return {
            key: self._name(int(codes[i]), int(exactly[i]), int(loosely[i]), bool(neighbours[i]))
            for i, key in enumerate(groups)
        }

    def _scale(self) -> float:
        """Return for how many right rows one stands, where one wrong row stands for itself."""
        wrong, right = self._among / np.maximum(self._looked, 1)
        return float(right / wrong) if wrong else 1.0

    def _name(self, code: int, exactly: int, loosely: int, neighbour: bool) -> str:
        if exactly >= 0:
            return self._tried[exactly].name
        if loosely >= 0:
            return f"{self._tried[loosely].name}, and flags differ"
        if neighbour and kind_of(code) == Difference.value:
            return _OTHER_WORD
        return difference_name(code)


def diagnose(samples: Sequence[Sample], *, ignore_flags: bool = False) -> list[str]:
    """Return, for each wrong row of the samples, the mistake it looks like.

    Parameters
    ----------
    samples : sequence of Sample
        What one design gave.
    ignore_flags : bool
        Whether flags are left out of the comparison.

    Returns
    -------
    list of str
        One name per row: a mistake that gives the same result and flags, or failing that the same result, or else what
        differs. A mistake that would make more right rows wrong than it explains wrong ones is none. Of several, the
        one that explains most rows; of those that explain nearly as many, the one that would make the fewest right rows
        wrong. Where results are one ulp apart, or only flags, the NaN or the sign of zero differ, a mistake that other
        rows do not show must explain nine in ten of the rows alike. Under stochastic rounding it must not make many
        right rows wrong either: any direction gives half of all results.
    """
    diagnosis = Diagnosis(samples[0].setting, ignore_flags)
    keys = [key for sample in samples for key in diagnosis.add(sample)]
    names = diagnosis.names()
    return [names[key] for key in keys]


def _apart(got: Words, wanted: Words) -> NDArray[np.bool_]:
    """Return which results are neighbours as patterns."""
    apart: NDArray[np.bool_] = np.abs(got.astype(np.int64) - wanted.astype(np.int64)) == 1
    return apart


def _neighbours(sample: Sample) -> NDArray[np.bool_]:
    """Return which results are, for all a stochastic rounding knows, those that other words give."""
    got, setting = sample.got[0], sample.setting
    if not isinstance(setting.rounding, Stochastic):
        return np.zeros(len(got), np.bool_)
    modes = (Rounding.roundTowardNegative, Rounding.roundTowardPositive)
    below, above = (replace(setting, rounding=mode).evaluate(sample.operands)[0] for mode in modes)
    either: NDArray[np.bool_] = (got == below) | (got == above)
    return either


def _keys(
    codes: NDArray[np.int64],
    apart: NDArray[np.bool_],
    neighbours: NDArray[np.bool_],
    same: NDArray[np.bool_],
    exact: NDArray[np.bool_],
) -> list[bytes]:
    """Return all that tells rows apart, one text of bytes a row."""
    bits = np.packbits(np.concatenate([apart[None], neighbours[None], same, exact]), axis=0)
    rows = np.concatenate([codes.astype("<u2").view(np.uint8).reshape(-1, 2), bits.T], axis=1)
    return [row.tobytes() for row in rows]


def _unpacked(keys: Sequence[bytes], tried: int) -> tuple[NDArray[Any], ...]:
    """Return what `_keys` packed."""
    rows = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)
    codes = np.ascontiguousarray(rows[:, :2]).view("<u2")[:, 0].astype(np.int64)
    bits = np.unpackbits(rows[:, 2:], axis=1, count=2 + 2 * tried).astype(np.bool_).T
    return codes, bits[0], bits[1], bits[2 : 2 + tried].copy(), bits[2 + tried :].copy()


def _hits(
    tried: Sequence[Hypothesis],
    operands: Sequence[Words],
    got: Results,
    counted: Words,
    ignore_flags: bool,
    places: Words | None,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return, per hypothesis and row, whether it gives the same result, and whether it gives the same flags too."""
    same = np.zeros((len(tried), len(got[0])), np.bool_)
    exact = same.copy()
    given, size = list(operands), len(got[0])
    if places is not None:
        # Each row where its random word is drawn, zeros elsewhere.
        size = int(places.max(initial=-1)) + 1
        given = [np.zeros(size, words.dtype) for words in operands]
        for column, words in zip(given, operands, strict=True):
            column[places] = words
    rows = np.arange(size) if places is None else places
    for i, hypothesis in enumerate(tried):
        z, flags = (found[rows] for found in hypothesis.evaluate(given))
        same[i] = ((z ^ got[0]) & counted) == 0
        exact[i] = same[i] & (ignore_flags | (flags == got[1]))
    return same, exact
