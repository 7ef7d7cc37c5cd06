"""Mistakes a design may make, each as the results that a design with it would give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import halfsim.environment as presets
from halfsim.environment import InvalidInteger, Tininess
from halfsim.rounding import Rounding, as_rounding
from halfsim.testvectors import mistakes, ties
from halfsim.testvectors.differences import Difference
from halfsim.testvectors.patterns import FORMATS
from halfsim.testvectors.setting import Results, Setting, Words
from halfsim.testvectors.subjects import SUBJECTS, subject

__all__ = ["Hypothesis", "hypotheses"]


_VALUE = frozenset({Difference.value})
_UNDERFLOW = frozenset({Difference.value, Difference.flags, Difference.zero})


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A mistake.

    Parameters
    ----------
    name : str
        What it is called.
    evaluate : callable
        Returns what a design that makes it gives for some operands.
    explains : frozenset of Difference
        Rows that suggest the mistake on their own; once these do, it explains any row that it gives exactly.
    loose : bool
        Whether it may explain a result whose flags are others.
    whole : bool
        Whether it explains nearly all wrong rows of a design, or none.
    """

    name: str
    evaluate: Callable[[Sequence[Words]], Results]
    explains: frozenset[Difference] = _VALUE
    loose: bool = True
    whole: bool = False


_DIRECTIONS = {
    Rounding.roundTiesToEven: "rounded to nearest, ties to even",
    Rounding.roundTiesToAway: "rounded to nearest, ties away from zero",
    Rounding.roundTowardZero: "truncated",
    Rounding.roundTowardPositive: "rounded toward positive",
    Rounding.roundTowardNegative: "rounded toward negative",
    Rounding.roundToOdd: "rounded to odd",
}
_NEAREST = (Rounding.roundTiesToEven, Rounding.roundTiesToAway)
_OTHERS = {
    "add": "subtract",
    "subtract": "add",
    "multiply": "divide",
    **{item.name: item.name.replace("min", "max") for item in SUBJECTS if item.name.startswith("min")},
    **{item.name: item.name.replace("max", "min") for item in SUBJECTS if item.name.startswith("max")},
}
_BINARY = ("add", "subtract", "multiply", "divide", "remainder")
_TWICE = "double rounding, through binary32"
_SWAPPED = ("subtract", "divide", "remainder", "copysign", "minsh", "maxsh", "less", "less_equal")
_RULES = {"RISC-V": presets.RISCV, "X86": presets.X86, "CUDA": presets.CUDA, "ARM": presets.ARM, "IEEE": presets.IEEE}
_INTEGERS = {
    InvalidInteger.saturateNaNZero: "invalid conversions saturate and NaN gives 0, as on ARM",
    InvalidInteger.saturateNaNMax: "invalid conversions saturate and NaN gives the largest integer, as on RISC-V",
    InvalidInteger.indefinite: "invalid conversions give the integer indefinite value, as on X86",
    InvalidInteger.saturateNaNByWidth: "invalid conversions saturate and NaN gives 0, or 2**63 in 64 bits, as on CUDA",
}


def hypotheses(setting: Setting) -> list[Hypothesis]:
    """Return the mistakes that can be made in a setting; of those that explain as much, the earlier is meant."""
    setting = replace(setting, rounding=as_rounding(setting.rounding, "hypotheses"))
    return [
        *_arithmetic(setting),
        *_integers(setting),
        *_environments(setting),
        *_ties(setting),
        *_roundings(setting),
        *_confusions(setting),
        *_nans(setting),
    ]


def _arithmetic(setting: Setting) -> Iterator[Hypothesis]:
    name = setting.subject.name
    if name == "fma":
        unfused = "two roundings: the product was rounded before the sum"
        yield Hypothesis(unfused, lambda x: mistakes.unfused(setting, x))
        if isinstance(setting.rounding, Rounding):
            # In a direction both roundings may be made, and nothing shows; ties there may go either way.
            twice = _TWICE if setting.rounding in _NEAREST else f"{_TWICE} (to nearest there)"
            yield Hypothesis(twice, lambda x: mistakes.fused_in_binary32(setting, x))
        for words, signs in (
            ("the product was negated", (0x8000, 0, 0)),
            ("the addend was negated", (0, 0, 0x8000)),
            ("the product and the addend were negated", (0x8000, 0, 0x8000)),
        ):
            yield Hypothesis(words, partial(mistakes.negated, setting, signs=signs))
    if name == "convert_f64_f16" and isinstance(setting.rounding, Rounding):
        yield Hypothesis(_TWICE, lambda x: mistakes.through_binary32(setting, x))
    if name in mistakes.EXACT and isinstance(setting.rounding, Rounding):
        twice = "double rounding: to 11 bits, then again to the subnormal numbers"
        yield Hypothesis(twice, lambda x: mistakes.rounded_twice(setting, x))
    if name == "remainder":
        yield Hypothesis("the remainder of a truncated quotient, as of fmod", lambda x: mistakes.fmod(setting, x))
    if setting.subject.result in FORMATS and setting.subject.rounds:
        yield Hypothesis("overflow gives the largest number", lambda x: mistakes.saturated(setting, x))
        if setting.rounding not in _NEAREST:
            yield Hypothesis("overflow gives an infinity", lambda x: mistakes.infinite(setting, x))
            turned = "overflow gives an infinity and the largest number the wrong way round"
            yield Hypothesis(turned, lambda x: mistakes.turned_overflow(setting, x))


def _ties(setting: Setting) -> Iterator[Hypothesis]:
    """Give the other ways to break a tie; that of the other rounding to nearest has its own name."""
    if setting.rounding in _NEAREST and setting.subject.rounds:
        for rule in ties.Tie:
            name = f"rounded the wrong way at a tie: {rule.value}"
            yield Hypothesis(name, partial(ties.tied, setting, rule=rule))


def _integers(setting: Setting) -> Iterator[Hypothesis]:
    kind = setting.subject.result
    if setting.subject.operation != "convert" or kind in FORMATS:
        return
    for convention, name in _INTEGERS.items():
        if convention != setting.environment.invalid_integer:
            yield _variant(name, setting, invalid_integer=convention)
    if not kind.endswith("64"):
        yield Hypothesis(f"wrapped modulo 2**{kind.lstrip('ui')}", lambda x: mistakes.wrapped(setting, x))


def _environments(setting: Setting) -> Iterator[Hypothesis]:
    row = setting.environment
    other = Tininess.beforeRounding if row.tininess == Tininess.afterRounding else Tininess.afterRounding
    tininess = f"tininess {_words(other)} instead of {_words(row.tininess)}"
    yield _variant(tininess, setting, _UNDERFLOW, tininess=other)
    for key, name in (("flush_inputs", "subnormal operands were"), ("flush_results", "subnormal results were")):
        kept = getattr(row, key)
        yield _variant(f"{name} {'not ' if kept else ''}flushed to zero", setting, _UNDERFLOW, **{key: not kept})
    if setting.subject.rounds and setting.subject.result in FORMATS:
        unsigned = "subnormal results were flushed to +0, whatever their sign"
        yield Hypothesis(unsigned, lambda x: mistakes.flushed_to_plus_zero(setting, x), _UNDERFLOW)
        if not row.flush_results:
            zeroed = "subnormal results were replaced by zero, but their flags kept"
            yield Hypothesis(zeroed, lambda x: mistakes.zeroed(setting, x))
    if row.flush_inputs and row.flush_results:
        neither = {"flush_inputs": False, "flush_results": False}
        yield _variant("neither operands nor results were flushed to zero", setting, _UNDERFLOW, **neither)
    if not row.flush_inputs and not row.flush_results:
        both = {"flush_inputs": True, "flush_results": True}
        yield _variant("subnormals were flushed to zero", setting, _UNDERFLOW, **both)


def _roundings(setting: Setting) -> Iterator[Hypothesis]:
    mode = setting.rounding
    if not setting.subject.rounds:
        return
    for direction, name in _DIRECTIONS.items():
        if direction != mode:
            yield Hypothesis(name, replace(setting, rounding=direction).evaluate)
    # Where tininess explains the flags as well, it is meant: so this comes later.
    if setting.subject.result in FORMATS:
        delivered = "flag underflow missing (as when derived from the delivered result)"
        flags_only = frozenset({Difference.flags})
        yield Hypothesis(delivered, lambda x: mistakes.delivered_underflow(setting, x), flags_only, loose=False)
        # An exact zero of two operands has the sign that the direction says (IEEE 754-2019 6.3).
        down, nearest = Rounding.roundTowardNegative, Rounding.roundTiesToEven
        other, word = (nearest, "not ") if mode == down else (down, "")
        name = f"wrong sign of zero (as when {word}rounding toward negative)"
        yield Hypothesis(name, lambda x: mistakes.other_zero(setting, x, other), frozenset({Difference.zero}))


def _confusions(setting: Setting) -> Iterator[Hypothesis]:
    """Give other operations that a design may compute instead."""
    known = setting.subject
    if known.name in _SWAPPED:
        yield Hypothesis("the operands are swapped", lambda x: setting.evaluate([x[1], x[0]]), loose=False)
    others = [_OTHERS[known.name]] if known.name in _OTHERS else []
    if "min" in known.name or "max" in known.name:
        extrema = [
            item.name for item in SUBJECTS if item.operands == known.operands and item.name[:3] in ("min", "max")
        ]
        alike = [name for name in extrema if name[:3] == known.name[:3]]
        others = list(dict.fromkeys(name for name in (*others, *alike, *extrema) if name != known.name))
    for name in others:
        another = replace(setting, subject=subject(name))
        yield Hypothesis(f"the result of {name}", another.evaluate, loose=False)
    yield from _other_designs(setting, others)


def _other_designs(setting: Setting, given: Sequence[str]) -> Iterator[Hypothesis]:
    """Give operations that a whole design computes instead, such as a multiplier in the place of an adder."""
    name = setting.subject.name
    for other in _BINARY if name in _BINARY else ():
        if other not in (name, *given):
            another = replace(setting, subject=subject(other))
            yield Hypothesis(f"the result of {other}", another.evaluate, loose=False, whole=True)
    if name == "fma":
        product, total = (replace(setting, subject=subject(other)) for other in ("multiply", "add"))
        ignored = "the addend was ignored: the result of multiply"
        yield Hypothesis(ignored, lambda x: product.evaluate(x[:2]), loose=False, whole=True)
        ignored = "the second factor was ignored: the result of add"
        yield Hypothesis(ignored, lambda x: total.evaluate([x[0], x[2]]), loose=False, whole=True)


def _nans(setting: Setting) -> Iterator[Hypothesis]:
    rule = setting.environment.nan
    alone = frozenset({Difference.nan})
    fma = setting.subject.name == "fma"
    orders = {first: f"fma's operands in the order {'c, a, b' if first else 'a, b, c'}" for first in (False, True)}
    if fma:
        other = replace(rule, addend_first=not rule.addend_first)
        yield _variant(f"wrong NaN ({orders[other.addend_first]})", setting, alone, nan=other)
    for name, row in _RULES.items():
        if row.nan != rule:
            turned = f": {orders[row.nan.addend_first]}" if fma and row.nan.addend_first != rule.addend_first else ""
            yield _variant(f"wrong NaN (the NaN rule of {name}{turned})", setting, alone, nan=row.nan)


def _variant(name: str, setting: Setting, explains: frozenset[Difference] = _VALUE, **changes: Any) -> Hypothesis:
    row = replace(setting.environment, **changes)
    return Hypothesis(name, replace(setting, environment=row).evaluate, explains)


def _words(tininess: Tininess) -> str:
    return tininess.name.replace("Rounding", " rounding")
