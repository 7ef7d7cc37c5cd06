"""Elementwise records as headings, facts and tables, and what they share with those of dot products."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from halfsim import environment as presets
from halfsim.environment import Environment
from halfsim.explanation.parts import Facts, Gap, Lines, Part, Table
from halfsim.explanation.values import compact, decimal, hexadecimal, ratio
from halfsim.flags import Flags
from halfsim.rounding import Rounding, Stochastic

if TYPE_CHECKING:
    from halfsim.explanation.elementwise import Explanation
    from halfsim.explanation.steps import Decision, Exact
    from halfsim.explanation.values import Datum

__all__ = [
    "both",
    "cells_of",
    "datum_row",
    "decision_facts",
    "elementwise_parts",
    "exact_facts",
    "flags_text",
    "or_dash",
    "rest_digits",
    "rounding_facts",
    "rounding_text",
]

_PRESETS = ("IEEE", "RISCV", "ARM", "ARM_DEFAULT_NAN", "X86", "CUDA")


def rounding_text(rounding: Rounding | Stochastic) -> str:
    """Name of a rounding."""
    return rounding.name if isinstance(rounding, Rounding) else repr(rounding)


def environment_text(environment: Environment) -> str:
    """Name of a preset, or the fields of a row that is none."""
    for name in _PRESETS:
        if environment == getattr(presets, name):
            return name
    return repr(environment)


def datum_row(datum: Datum) -> tuple[str, ...]:
    """Cells of one operand or result."""
    value = datum.decimal if datum.hexadecimal == datum.decimal else f"{datum.hexadecimal} = {datum.decimal}"
    flushed = "  (read as zero: inputs are flushed)" if datum.flushed else ""
    return datum.name, datum.pattern, datum.encoding, datum.kind, value + flushed


def both(value: Fraction | None) -> str:
    """Hexadecimal and decimal form of an exact value."""
    return "-" if value is None else f"{hexadecimal(value)} = {decimal(value)}"


def cells_of(value: Datum) -> tuple[str, str]:
    """Pattern and exact value of a result in two cells."""
    return value.pattern, value.decimal if value.value is None else compact(value.value, sign=value.sign)


def or_dash(number: int | None) -> str:
    """Text of a number, a dash for none."""
    return "-" if number is None else str(number)


def exact_facts(value: Exact) -> Iterable[tuple[str, str]]:
    """The value before rounding, and the integers that the rounder gets.

    Yields
    ------
    tuple of str
        Label and text.
    """
    digits = f"{'-' if value.sign else ''}{value.significand} * 2^{value.exponent}"
    if value.tail and not value.sticky:
        digits = f"{'-' if value.sign else ''}({value.significand} + {value.tail} * 2^-32) * 2^{value.exponent}"
    more = " and more digits below" if value.sticky else ""
    yield "exact", f"{value.hexadecimal} = {value.decimal}"
    yield "", f"as integers {digits}{more}"


def rest_digits(rest: int) -> str:
    """The bits below the guard bit, without the zeros at their end."""
    return f"{rest:031b}".rstrip("0") or "0"


def decision_facts(step: Decision) -> Iterable[tuple[str, str]]:
    """Kept and discarded digits, and why.

    Yields
    ------
    tuple of str
        Label and text.
    """
    digits = f"{(step.guard << 31 | step.rest) / 2**32:.9f}..."
    discarded = f"{digits if step.discarded is None else ratio(step.discarded)} ulp"
    yield "kept", f"{step.kept:b} (binary) = {step.kept}, last bit weighs 2^{step.last_place}"
    yield "discarded", f"guard {step.guard}, rest {rest_digits(step.rest)}, sticky {step.sticky}: {discarded}"
    yield "decision", step.reason


def flags_text(flags: Flags) -> str:
    """Names of flags; empty for none."""
    return ", ".join(str(flag.name) for flag in flags)


def elementwise_parts(steps: Explanation) -> Iterable[Part]:
    """Parts of an `Explanation`.

    Yields
    ------
    Part
        From the operation to the flags.
    """
    names = ", ".join(operand.name for operand in steps.operands)
    formats = " and ".join(dict.fromkeys(operand.format for operand in steps.operands))
    target = "" if steps.result.format in formats else f" to {steps.result.format}"
    yield Lines(
        (
            f"{steps.operation}({names}), {steps.ieee}, {formats}{target}",
            f"{rounding_text(steps.rounding)}, tininess {steps.environment.tininess.name}, "
            f"environment {environment_text(steps.environment)}",
        )
    )
    head = ("", "pattern", "fields", "class", "value")
    yield Table(head, tuple(datum_row(operand) for operand in steps.operands))
    yield Gap()
    yield Facts(tuple(rounding_facts(steps)))
    yield Table(("",) * len(head), (datum_row(steps.result),))
    yield Facts((("flags", "; ".join(steps.flag_reasons) or "none"),))


def rounding_facts(steps: Explanation) -> Iterable[tuple[str, str]]:
    """From the exact value to the case: what stands between operands and result.

    Yields
    ------
    tuple of str
        Label and text.
    """
    if steps.exact is not None:
        yield from exact_facts(steps.exact)
    if steps.decision is not None:
        yield from decision_facts(steps.decision)
    if steps.tiny is not None:
        before, after = (("no", "yes")[fact] for fact in (steps.tiny.before_rounding, steps.tiny.after_rounding))
        yield "tiny", f"before rounding {before}, after rounding {after}"
    yield "case", steps.outcome
