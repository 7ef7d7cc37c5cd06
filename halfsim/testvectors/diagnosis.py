"""Which mistake gives a wrong result: hypotheses, each a variant of the operation that a design may compute instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.core.fields import Layout, layout
from halfsim.environment import Environment, Tininess
from halfsim.flags import Flags
from halfsim.formats import Specials
from halfsim.rounding import Rounding, RoundingLike
from halfsim.testvectors.formats import Header
from halfsim.testvectors.patterns import FORMATS
from halfsim.testvectors.subjects import SUBJECTS, Subject, subject

__all__ = ["Setting", "diagnose"]

Words = NDArray[Any]
Results = tuple[Words, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a file's rows are to be compared with.

    Parameters
    ----------
    subject : Subject
        The operation.
    rounding : Rounding, Stochastic or str
        Rounding direction.
    environment : Environment
        NaN rule, tininess and flushing.
    options : tuple of str
        Keywords that are set.
    """

    subject: Subject
    rounding: RoundingLike
    environment: Environment
    options: tuple[str, ...] = ()

    def evaluate(self, operands: Sequence[Words], first: int = 0) -> Results:
        """Return patterns and flags."""
        return self.subject.evaluate(
            operands, rounding=self.rounding, environment=self.environment, options=self.options, first=first
        )

    def header(self, **more: Any) -> Header:
        """Return the header of a file of such rows; `more` are fields of `Header` that a setting does not know."""
        known = self.subject
        return Header(
            operation=known.name,
            operands=known.operands,
            result=known.result,
            rounding=self.rounding,
            environment=self.environment,
            options=self.options,
            testfloat=known.testfloat,
            **more,
        )


@dataclass(frozen=True, slots=True)
class _Hypothesis:
    """A mistake: its name, and what a design that makes it would give."""

    name: str
    evaluate: Callable[[Sequence[Words]], Results]


_DIRECTIONS = {
    Rounding.roundTiesToEven: "rounded to nearest, ties to even",
    Rounding.roundTiesToAway: "rounded to nearest, ties away from zero",
    Rounding.roundTowardZero: "truncated",
    Rounding.roundTowardPositive: "rounded toward positive",
    Rounding.roundTowardNegative: "rounded toward negative",
    Rounding.roundToOdd: "rounded to odd",
}
_OTHERS = {
    "add": "subtract",
    "subtract": "add",
    "multiply": "divide",
    **{name: name.replace("min", "max") for name in ("minimum", "minimum_number", "min_num", "minsh")},
    **{name: name.replace("max", "min") for name in ("maximum", "maximum_number", "max_num", "maxsh")},
}
_SWAPPED = ("subtract", "divide", "remainder", "copysign", "minsh", "maxsh", "less", "less_equal")


def _variants(setting: Setting) -> Iterator[_Hypothesis]:
    """Give the mistakes that can be made within an operation, the most telling first."""
    environment, mode = setting.environment, setting.rounding
    if setting.subject.name == "fma":
        yield _Hypothesis("two roundings: the product was rounded before the sum", lambda x: _unfused(setting, x))
    if setting.subject.name == "convert_f64_f16":
        yield _Hypothesis("double rounding, through binary32", lambda x: _through_binary32(setting, x))
    other = Tininess.beforeRounding if environment.tininess == Tininess.afterRounding else Tininess.afterRounding
    changes: list[tuple[str, dict[str, Any]]] = [
        (f"tininess {_words(other)} instead of {_words(environment.tininess)}", {"tininess": other})
    ]
    for key, name in (("flush_inputs", "subnormal operands were"), ("flush_results", "subnormal results were")):
        kept = getattr(environment, key)
        changes.append((f"{name} {'not ' if kept else ''}flushed to zero", {key: not kept}))
    if not environment.flush_inputs and not environment.flush_results:
        changes.append(("subnormals were flushed to zero", {"flush_inputs": True, "flush_results": True}))
    for name, change in changes:
        yield _variant(name, setting, **change)
    if setting.subject.rounds:
        for direction, name in _DIRECTIONS.items():
            if direction != mode:
                yield _Hypothesis(name, replace(setting, rounding=direction).evaluate)


def _confusions(setting: Setting) -> Iterator[_Hypothesis]:
    """Give other operations that a design may compute instead."""
    if setting.subject.name in _SWAPPED:
        yield _Hypothesis("the operands are swapped", lambda x: setting.evaluate([x[1], x[0]]))
    if setting.subject.name in _OTHERS:
        another = replace(setting, subject=subject(_OTHERS[setting.subject.name]))
        yield _Hypothesis(f"the result of {another.subject.name}", another.evaluate)
    if "min" in setting.subject.name or "max" in setting.subject.name:
        for known in SUBJECTS:
            same = known.operands == setting.subject.operands and known.name[:3] == setting.subject.name[:3]
            if same and known != setting.subject:
                yield _Hypothesis(f"the result of {known.name}", replace(setting, subject=known).evaluate)


def _variant(name: str, setting: Setting, **changes: Any) -> _Hypothesis:
    return _Hypothesis(name, replace(setting, environment=replace(setting.environment, **changes)).evaluate)


def _words(tininess: Tininess) -> str:
    return tininess.name.replace("Rounding", " rounding")


def _unfused(setting: Setting, operands: Sequence[Words]) -> Results:
    product, raised = replace(setting, subject=subject("multiply")).evaluate(operands[:2])
    total, more = replace(setting, subject=subject("add")).evaluate([product, operands[2]])
    return total, raised | more


def _through_binary32(setting: Setting, operands: Sequence[Words]) -> Results:
    import halfsim as hs

    settings: dict[str, Any] = {"rounding": setting.rounding, "environment": setting.environment}
    wide, raised = hs.convert.flagged(operands[0].astype(np.uint64).view(np.float64), hs.BINARY32, **settings)
    narrow, more = subject("convert_f32_f16").evaluate([wide.view(np.uint32)], **settings)
    return narrow, (raised & np.uint8(Flags.inexact | Flags.invalid)) | more


def diagnose(
    setting: Setting,
    operands: Sequence[Words],
    got: Results,
    wanted: Results,
    mask: Words | None = None,
    *,
    ignore_flags: bool = False,
) -> list[str]:
    """Return, for each wrong row, the mistake it looks like.

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
    ignore_flags : bool
        Whether flags are left out of the comparison.

    Returns
    -------
    list of str
        One name per row: a mistake that gives the same result and flags, or failing that the same result, or else what
        differs. Of several, the one that explains most rows.
    """
    counted = np.full_like(got[0], ~got[0].dtype.type(0)) if mask is None else mask
    same_value = ((got[0] ^ wanted[0]) & counted) == 0
    names = [""] * len(got[0])
    left = np.arange(len(names))
    for hypotheses, suffix in (
        ((*_variants(setting), *_confusions(setting)), ""),
        (tuple(_variants(setting)), ", and flags differ"),
    ):
        hits = _hits(hypotheses, [words[left] for words in operands], (got[0][left], got[1][left]), counted[left])
        if ignore_flags:
            hits[1] = True
        if suffix:
            # A right result is not explained by a mistake that happens to give it too.
            hits[0] &= ~same_value[left]
        chosen = _assign(hits[0] if suffix else hits[0] & hits[1])
        for i, index in zip(left[chosen >= 0], chosen[chosen >= 0], strict=True):
            names[i] = hypotheses[index].name + suffix
        left = left[chosen < 0]
    for i in left:
        numbers = (int(x[i]) for x in (*got, *wanted))
        names[i] = _difference(setting.subject, *numbers, same=bool(same_value[i]))
    return names


def _hits(
    hypotheses: Sequence[_Hypothesis], operands: Sequence[Words], got: Results, counted: Words
) -> NDArray[np.bool_]:
    """Return, per hypothesis and row, whether it gives the same result, and whether it gives the same flags."""
    hits = np.zeros((2, len(hypotheses), len(got[0])), np.bool_)
    for i, hypothesis in enumerate(hypotheses):
        z, flags = hypothesis.evaluate(operands)
        hits[0, i] = ((z ^ got[0]) & counted) == 0
        hits[1, i] = flags == got[1]
    return hits


def _assign(hits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return which hypothesis explains each row, -1 for none: time and again the one that explains most of the rest."""
    chosen = np.full(hits.shape[1], -1, np.int64)
    left = hits.copy()
    while left.any():
        best = int(left.sum(axis=1).argmax())
        chosen[left[best]] = best
        left[:, left[best]] = False
    return chosen


def _difference(known: Subject, got: int, got_flags: int, wanted: int, wanted_flags: int, *, same: bool) -> str:
    """Say what differs when no hypothesis explains it."""
    if same:
        missing, extra = Flags(wanted_flags & ~got_flags), Flags(got_flags & ~wanted_flags)
        parts = [f"{_names(missing)} missing" if missing else "", f"{_names(extra)} raised wrongly" if extra else ""]
        return "flag " + ", ".join(part for part in parts if part)
    if known.result not in FORMATS:
        return "wrong truth value" if known.result == "bool" else "wrong integer"
    fields = layout(FORMATS[known.result])
    sign, magnitude = fields.sign_bit & ((1 << 64) - 1), (1 << fields.sign_shift) - 1
    got_nan, wanted_nan = _is_nan(got & magnitude, fields), _is_nan(wanted & magnitude, fields)
    if got_nan or wanted_nan:
        if got_nan and wanted_nan:
            return "wrong NaN"
        return "a NaN instead of a number" if got_nan else "a number instead of a NaN"
    if got ^ wanted == sign:
        return "wrong sign of zero" if got & magnitude == 0 else "wrong sign"
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
