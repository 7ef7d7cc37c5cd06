"""Records as text: aligned columns, one fact per line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from halfsim import environment as presets
from halfsim.environment import Environment
from halfsim.explanation.values import ratio
from halfsim.rounding import Rounding, Stochastic

if TYPE_CHECKING:
    from halfsim.explanation.elementwise import Explanation
    from halfsim.explanation.steps import Decision, Exact
    from halfsim.explanation.values import Datum

__all__ = ["columns", "datum_row", "decision_lines", "elementwise_text", "exact_lines", "rounding_text"]

_LABEL = 10
_WIDTH = 110
_PRESETS = ("IEEE", "RISCV", "ARM", "ARM_DEFAULT_NAN", "X86", "CUDA")


def columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Align rows of cells on the left."""
    table = [list(row) for row in rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def line(label: str, text: str) -> list[str]:
    """A label and its text, wrapped under itself."""
    parts = wrap(text, _WIDTH - _LABEL, break_long_words=False) or [""]
    return [f"{label if i == 0 else '':<{_LABEL}}{part}".rstrip() for i, part in enumerate(parts)]


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


def exact_lines(value: Exact) -> list[str]:
    """The value before rounding, and the integers that the rounder gets."""
    digits = f"{'-' if value.sign else ''}{value.significand} * 2^{value.exponent}"
    if value.tail and not value.sticky:
        digits = f"{'-' if value.sign else ''}({value.significand} + {value.tail} * 2^-32) * 2^{value.exponent}"
    more = " and more digits below" if value.sticky else ""
    shown = f"{value.hexadecimal} = {value.decimal}"
    return [*line("exact", shown), *line("", f"as integers {digits}{more}")]


def _digits(rest: int) -> str:
    """The bits below the guard bit, without the zeros at their end."""
    return f"{rest:031b}".rstrip("0") or "0"


def decision_lines(step: Decision) -> list[str]:
    """Kept and discarded digits, and why."""
    digits = f"{(step.guard << 31 | step.rest) / 2**32:.9f}..."
    discarded = f"{digits if step.discarded is None else ratio(step.discarded)} ulp"
    lines = line("kept", f"{step.kept:b} (binary) = {step.kept}, last bit weighs 2^{step.last_place}")
    lines += line("discarded", f"guard {step.guard}, rest {_digits(step.rest)}, sticky {step.sticky}: {discarded}")
    return lines + line("decision", step.reason)


def elementwise_text(steps: Explanation) -> str:
    """Text of an `Explanation`."""
    names = ", ".join(operand.name for operand in steps.operands)
    formats = " and ".join(dict.fromkeys(operand.format for operand in steps.operands))
    target = "" if steps.result.format in formats else f" to {steps.result.format}"
    lines = [
        f"{steps.operation}({names}), {steps.ieee}, {formats}{target}",
        f"{rounding_text(steps.rounding)}, tininess {steps.environment.tininess.name}, "
        f"environment {environment_text(steps.environment)}",
        "",
        *columns([("", "pattern", "fields", "class", "value"), *(datum_row(operand) for operand in steps.operands)]),
        "",
    ]
    if steps.exact is not None:
        lines += exact_lines(steps.exact)
    if steps.decision is not None:
        lines += decision_lines(steps.decision)
    if steps.tiny is not None:
        before, after = (("no", "yes")[fact] for fact in (steps.tiny.before_rounding, steps.tiny.after_rounding))
        lines += line("tiny", f"before rounding {before}, after rounding {after}")
    lines += line("case", steps.outcome)
    lines += ["", *columns([datum_row(steps.result)])]
    lines += line("flags", "; ".join(steps.flag_reasons) or "none")
    return "\n".join(lines)
