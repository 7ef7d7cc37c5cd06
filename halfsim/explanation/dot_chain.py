"""Chains of rounded operations, read off a watched loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import prod

from halfsim.core.control import Bit
from halfsim.core.fields import Layout, layout
from halfsim.explanation.dot_blocks import LOOPS
from halfsim.explanation.dot_steps import Step
from halfsim.explanation.steps import Exact, decision, exact, rounding_site
from halfsim.explanation.values import Datum, datum
from halfsim.explanation.watch import Call
from halfsim.flags import Flags
from halfsim.formats import Format

__all__ = ["chain"]

# Exact results of the operations that chains are made of, of the values of their operands.
_DEFINITIONS: dict[str, Callable[..., Fraction]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "fma": lambda a, b, c: a * b + c,
    "convert": lambda a: a,
}
# Operations of matrix units alone, and what they are called in a record.
_OF_UNITS = {"rounded_product": "multiply", "flushed": "flush"}


def chain(call: Call, formats: tuple[Format, ...], true: Fraction | None, *, flagged: bool = True) -> tuple[Step, ...]:
    """Rounded operations in order, but for those of blocks; without flags for a matrix unit."""
    layouts = {layout(fmt): fmt for fmt in formats}
    # A conversion from the accumulator's own format only changes the container.
    own = layout(formats[-1])
    rounded = [step for step in _outermost(call) if step.name != "convert" or step.arguments["fields"] != own]
    return tuple(_step(number, step, layouts, true, flagged) for number, step in enumerate(rounded))


def _outermost(call: Call) -> list[Call]:
    """Outermost calls of operations that round, or flush a number."""
    if call.name in LOOPS or (call.name == "flushed" and call.result == call.arguments["bits"]):
        return []
    if call.name in (*_DEFINITIONS, *_OF_UNITS, "finish_exact") and "control" in call.arguments:
        return [call]
    return [step for below in call.calls for step in _outermost(below)]


def _operands(step: Call, layouts: dict[Layout, Format], source: Format, target: Format) -> tuple[Datum, ...]:
    """Operands of an operation, each in its own format; an exact sum has no few."""
    given = step.arguments
    if step.name == "finish_exact":
        return ()
    if step.name == "rounded_product":
        formats = {"a": layouts[given["left"]], "b": layouts[given["right"]]}
        flushes = bool(given["control"] >> Bit.flushInputs & 1)
    else:
        formats, flushes = {"a": source, "b": source, "c": target, "bits": source}, False
    shown = (datum(name, given[name], fmt) for name, fmt in formats.items() if name in given)
    return tuple(replace(value, flushed=flushes and value.kind.endswith("Subnormal")) for value in shown)


def _meant(step: Call, operands: tuple[Datum, ...], value: Exact | None) -> Fraction | None:
    """Exact result of an operation; of operands as they are, even those that a unit flushes."""
    values = [operand.value for operand in operands if operand.value is not None]
    if step.name in _OF_UNITS and len(values) == len(operands):
        return prod(values, start=Fraction(1))
    return None if value is None else value.value


def _step(number: int, step: Call, layouts: dict[Layout, Format], true: Fraction | None, flagged: bool) -> Step:
    given = step.arguments
    # The format of the result is `to` where there is one; fma reads its third operand in it.
    target = layouts[given["to" if "to" in given else "fields"]]
    source = target if step.name in ("finish_exact", "rounded_product") else layouts[given["fields"]]
    operands = _operands(step, layouts, source, target)
    site = rounding_site(step)
    value = None
    if site is not None:
        defined = true if step.name == "finish_exact" else None
        if step.name in _DEFINITIONS:
            defined = _DEFINITIONS[step.name](*(operand.value for operand in operands))
        value = exact(site, defined)
    bits, flags = step.result if isinstance(step.result, tuple) else (step.result, 0)
    result = datum("result", bits, target)
    meant = _meant(step, operands, value)
    return Step(
        number=number,
        operation=_OF_UNITS.get(step.name, step.name),
        operands=operands,
        exact=value,
        decision=None if site is None or value is None else decision(site, value),
        rounding_error=None if result.value is None or meant is None else result.value - meant,
        result=result,
        flags=Flags(flags) if flagged else None,
    )
