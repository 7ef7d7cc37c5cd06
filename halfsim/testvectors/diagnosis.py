"""Which mistake gives a wrong result: every hypothesis is tried on the wrong rows; else the difference is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from halfsim.core.fields import Layout, layout
from halfsim.flags import Flags
from halfsim.formats import Specials
from halfsim.rounding import Rounding, Stochastic
from halfsim.testvectors.hypotheses import Difference, Hypothesis, hypotheses
from halfsim.testvectors.patterns import FORMATS
from halfsim.testvectors.setting import Results, Setting, Words
from halfsim.testvectors.subjects import Subject

__all__ = ["Sample", "Setting", "diagnose"]

# What differs little coincides with what many mistakes give: the one that is meant explains nearly all such rows.
_SHARE = 0.9
_OTHER_WORD = "the other neighbour: not what the word drawn for the row gives"


@dataclass(frozen=True, slots=True)
class _Wrong:
    """The wrong rows: how each differs, those that differ alike and little, and which hypothesis gives which row.

    `same` is by result, `exact` by result and flags; `against` counts the right rows that a hypothesis makes wrong.
    """

    kinds: NDArray[np.object_]
    near: tuple[NDArray[np.bool_], ...]
    same: NDArray[np.bool_]
    exact: NDArray[np.bool_]
    against: NDArray[np.int64]


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
    """

    setting: Setting
    operands: Sequence[Words]
    got: Results
    wanted: Results
    mask: Words | None = None
    agreeing: tuple[Sequence[Words], Results] | None = None
    places: tuple[Words, Words] | None = None


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
        differs. Of several, the one that explains most rows; of those that explain nearly as many, the one that would
        make the fewest right rows wrong. Where results are one ulp apart, or only flags, the NaN or the sign of zero
        differ, a mistake that other rows do not show must explain nine in ten of the rows alike. Under stochastic
        rounding it must not make many right rows wrong either: any direction gives half of all results.
    """
    parts = [_looked_at(sample, ignore_flags) for sample in samples]
    names = [name for part_names, _, _ in parts for name in part_names]
    wrong = _joined([part for _, part, _ in parts])
    tried = hypotheses(samples[0].setting)
    stochastic = isinstance(samples[0].setting.rounding, Stochastic)
    if stochastic:
        agreeing = sum(0 if sample.agreeing is None else len(sample.agreeing[1][0]) for sample in samples)
        chance = wrong.against > (1 - _SHARE) * agreeing
        wrong.same[chance], wrong.exact[chance] = False, False
    other_word = np.concatenate([neighbours for _, _, neighbours in parts]) & (wrong.kinds == Difference.value)
    exactly, loosely = _assign(tried, wrong)
    for i, (index, other) in enumerate(zip(exactly, loosely, strict=True)):
        if index >= 0:
            names[i] = tried[index].name
        elif other >= 0:
            names[i] = f"{tried[other].name}, and flags differ"
        elif other_word[i]:
            names[i] = _OTHER_WORD
    return names


def _looked_at(sample: Sample, ignore_flags: bool) -> tuple[list[str], _Wrong, NDArray[np.bool_]]:
    """Return what differs in each row, which hypothesis gives which row, and which rows other words may give."""
    setting, got, wanted = sample.setting, sample.got, sample.wanted
    every = ~got[0].dtype.type(0)
    counted = np.full_like(got[0], every) if sample.mask is None else sample.mask
    same_value = ((got[0] ^ wanted[0]) & counted) == 0
    described = [
        _difference(setting.subject, *(int(x[i]) for x in (*got, *wanted)), same=bool(same_value[i]))
        for i in range(len(got[0]))
    ]
    apart = np.abs(got[0].astype(np.int64) - wanted[0].astype(np.int64)) == 1
    kinds = np.array([kind for kind, _ in described], object)
    tried = hypotheses(setting)
    places = sample.places or (None, None)
    same, exact = _hits(tried, sample.operands, got, counted, ignore_flags, places[0])
    against = np.zeros(len(tried), np.int64)
    if sample.agreeing is not None:
        operands, right = sample.agreeing
        right_hits = _hits(tried, operands, right, np.full_like(right[0], every), ignore_flags, places[1])[1]
        against = (~right_hits).sum(axis=1)
    near = apart & (kinds == Difference.value), *(kinds == kind for kind in Difference if kind != Difference.value)
    neighbours = np.zeros(len(kinds), np.bool_)
    if isinstance(setting.rounding, Stochastic):
        neighbours = _neighbours(setting, sample.operands, got[0])
    return [name for _, name in described], _Wrong(kinds, near, same, exact, against), neighbours


def _joined(parts: Sequence[_Wrong]) -> _Wrong:
    """Return the rows of all parts together."""
    return _Wrong(
        np.concatenate([part.kinds for part in parts]),
        tuple(np.concatenate(rows) for rows in zip(*(part.near for part in parts), strict=True)),
        np.concatenate([part.same for part in parts], axis=1),
        np.concatenate([part.exact for part in parts], axis=1),
        np.sum([part.against for part in parts], axis=0),
    )


def _neighbours(setting: Setting, operands: Sequence[Words], got: Words) -> NDArray[np.bool_]:
    """Return which results are one of the two numbers between which the exact one lies."""
    modes = (Rounding.roundTowardNegative, Rounding.roundTowardPositive)
    below, above = (replace(setting, rounding=mode).evaluate(operands)[0] for mode in modes)
    either: NDArray[np.bool_] = (got == below) | (got == above)
    return either


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


def _assign(tried: Sequence[Hypothesis], wrong: _Wrong) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which hypothesis gives each row exactly, and which but for the flags; -1 for none.

    Time and again it is the one that explains most of the rest.
    """
    own = np.array([[kind in item.explains for kind in wrong.kinds] for item in tried]).reshape(wrong.same.shape)
    # A right result is not explained by a mistake that happens to give it too, unless flags agree.
    loose = wrong.same & own & (wrong.kinds != Difference.flags) & np.array([[item.loose] for item in tried])
    of_values = np.array([[Difference.value in item.explains] for item in tried])
    meant = np.zeros(len(tried), np.bool_)
    left = np.ones(len(wrong.kinds), np.bool_)
    chosen = []
    for hits in (wrong.exact, loose):
        found = np.full(len(left), -1, np.int64)
        while left.any():
            doubtful = _doubtful(wrong, left) & ~meant[:, None]
            claims = hits & own & left & ~doubtful
            counts = claims.sum(axis=1)
            if not counts.any():
                break
            # Once some rows show a mistake of values, it explains rows that differ in other ways, too.
            taken = np.where(of_values, hits & left & ~(doubtful & own), claims)
            close = np.flatnonzero(counts >= max(_SHARE * counts.max(), 1))
            best = int(min(close, key=lambda i: (wrong.against[i], -taken[i].sum(), i)))
            chosen_rows = taken[best]
            found[chosen_rows] = best
            left &= ~chosen_rows
            meant[best] = True
        chosen.append(found)
    return chosen[0], chosen[1]


def _doubtful(wrong: _Wrong, left: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return, per hypothesis and row, whether it may give the row by chance: it gives too few of those alike."""
    doubtful = np.zeros_like(wrong.same)
    for rows in wrong.near:
        alike = rows & left
        # A right result tells nothing: where only flags differ, the flags count.
        hits = wrong.exact if (wrong.kinds[alike] == Difference.flags).any() else wrong.same
        doubtful |= alike & ((hits & alike).sum(axis=1) < _SHARE * alike.sum())[:, None]
    return doubtful


def _difference(
    known: Subject, got: int, got_flags: int, wanted: int, wanted_flags: int, *, same: bool
) -> tuple[Difference, str]:
    """Say what differs, whatever the reason."""
    if same:
        missing, extra = Flags(wanted_flags & ~got_flags), Flags(got_flags & ~wanted_flags)
        parts = [f"{_names(missing)} missing" if missing else "", f"{_names(extra)} raised wrongly" if extra else ""]
        return Difference.flags, "flag " + ", ".join(part for part in parts if part)
    if known.result not in FORMATS:
        return Difference.value, "wrong truth value" if known.result == "bool" else "wrong integer"
    fields = layout(FORMATS[known.result])
    sign, magnitude = fields.sign_bit & ((1 << 64) - 1), (1 << fields.sign_shift) - 1
    got_nan, wanted_nan = _is_nan(got & magnitude, fields), _is_nan(wanted & magnitude, fields)
    if got_nan and wanted_nan:
        return Difference.nan, "wrong NaN"
    if got ^ wanted == sign and got & magnitude == 0:
        return Difference.zero, "wrong sign of zero"
    return Difference.value, _numbers(fields, got, wanted, got_nan or wanted_nan, got_nan)


def _numbers(fields: Layout, got: int, wanted: int, one_nan: bool, got_nan: bool) -> str:
    if one_nan:
        return "a NaN instead of a number" if got_nan else "a number instead of a NaN"
    sign, magnitude = fields.sign_bit & ((1 << 64) - 1), (1 << fields.sign_shift) - 1
    if got ^ wanted == sign:
        return "wrong sign"
    infinite = [bits & magnitude == fields.infinity for bits in (got, wanted)]
    if infinite[0] != infinite[1]:
        return "an infinity instead of a number" if infinite[0] else "a number instead of an infinity"
    return "one ulp off" if (got ^ wanted) & sign == 0 and abs(got - wanted) == 1 else "another number"


def _is_nan(magnitude: int, fields: Layout) -> bool:
    if fields.specials == Specials.ieee:
        return magnitude > fields.infinity
    return fields.specials == Specials.nan_only and magnitude == fields.infinity


def _names(flags: Flags) -> str:
    return " and ".join(str(flag.name) for flag in flags)
