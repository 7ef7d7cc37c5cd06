"""Dot-product records as text: a table of terms per block, or one line per rounded operation."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from halfsim.accumulators import FusedDotAdd, MatrixUnit
from halfsim.explanation.text import columns, datum_row, decision_lines, exact_lines, line, rounding_text
from halfsim.explanation.values import decimal, hexadecimal, power
from halfsim.rounding import as_rounding

if TYPE_CHECKING:
    from halfsim.explanation.dot import DotExplanation
    from halfsim.explanation.dot_steps import Block, Step

__all__ = ["dot_text"]


def _both(value: Fraction | None) -> str:
    return "-" if value is None else f"{hexadecimal(value)} = {decimal(value)}"


def dot_text(steps: DotExplanation) -> str:
    """Text of a `DotExplanation`."""
    row = steps.accumulator
    target = row.output if isinstance(row, MatrixUnit) else row.format
    lines = [
        f"d = c + sum of a[k]*b[k], {len(steps.a)} product(s) of binary16, c in {steps.c.format}, d in {target.name}",
        f"{type(row).__name__}, {rounding_text(as_rounding(row.rounding))}",
    ]
    if isinstance(row, FusedDotAdd):
        lines.append(
            f"blocks of {row.terms}, {row.fraction_bits} fraction bits below the largest exponent, terms cut by "
            f"{rounding_text(as_rounding(row.align))}"
        )
        for block in steps.blocks:
            lines += ["", *_block_lines(block)]
    elif steps.steps:
        head = ("step", "operation", "exact", "rounded to", "", "flags")
        lines += ["", *columns([head, *(_step_row(step) for step in steps.steps)])]
    lines += ["", *columns([datum_row(steps.result)])]
    lines += line("exact", _both(steps.exact) if steps.exact is not None else "none: an infinity or a NaN takes part")
    if steps.error is not None:
        lines += line("error", _both(steps.error) if steps.error else "none")
    if steps.flags is not None:
        lines += line("flags", ", ".join(str(flag.name) for flag in steps.flags) or "none")
    return "\n".join(lines)


def _block_lines(block: Block) -> list[str]:
    span = f"k = {block.first}" + (f" to {block.last}" if block.last > block.first else "")
    lines = [f"block {block.number}, {span}: largest exponent {block.largest_exponent}, unit 2^{block.unit}"]
    rows = [("term", "exponent", "units", "lost", "value")]
    for term in block.terms:
        exponent = "-" if term.alignment is None else str(term.alignment)
        lost = "0" if not term.lost else decimal(term.lost / power(block.unit)) + " unit"
        rows.append((term.name, exponent, str(term.units), lost, _both(term.value)))
    rows.append(("sum", "", str(block.total), "", _both(block.total * power(block.unit))))
    lines += ["  " + row for row in columns(rows)]
    if block.exact is not None:
        lines += exact_lines(block.exact)
    if block.decision is not None:
        lines += decision_lines(block.decision)
    lines += line("case", block.case)
    return lines + columns([datum_row(block.result)])


def _step_row(step: Step) -> tuple[str, ...]:
    direction = ""
    if step.decision is not None:
        direction = "exact" if not step.decision.discarded else "up" if step.decision.up else "down"
    exact = "-" if step.exact is None else step.exact.hexadecimal
    operands = ", ".join(operand.pattern for operand in step.operands)
    flags = ", ".join(str(flag.name) for flag in step.flags)
    result = f"{step.result.pattern} = {step.result.decimal}"
    name = "sum" if step.operation == "finish_exact" else f"{step.operation}({operands})"
    return str(step.number), name, exact, result, direction, flags
