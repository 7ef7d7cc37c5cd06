"""The steps of dot products, read off a watched loop: blocks of matrix units, chains of rounded operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from halfsim.accumulators import FusedDotAdd
from halfsim.core.dot import NO_EXPONENT, Status
from halfsim.core.fields import Layout, layout
from halfsim.explanation.steps import Decision, Exact, decision, exact, rounding_site
from halfsim.explanation.values import Datum, Record, datum, dyadic, power
from halfsim.explanation.watch import Call
from halfsim.flags import Flags
from halfsim.formats import Format

__all__ = ["Block", "Step", "Term", "blocks", "chain"]

# Exact results of the operations that chains are made of, of the values of their operands.
_DEFINITIONS: dict[str, Callable[..., Fraction]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "fma": lambda a, b, c: a * b + c,
    "convert": lambda a: a,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term(Record):
    """One term of a block: exact, then cut to whole units."""

    name: str
    value: Fraction | None
    """Exact value; None for infinities and NaNs."""
    alignment: int | None
    """Exponent that counts for the alignment; None for a zero."""
    units: int
    """The term in units of the block, cut."""
    lost: Fraction | None
    """Exact value minus what the units are worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(Record):
    """One block of a matrix unit."""

    number: int
    first: int
    last: int
    """The block sums the products `first` to `last`, inclusive."""
    terms: tuple[Term, ...]
    largest_exponent: int
    """Largest alignment exponent of the terms, and of the row's `zero_exponent`."""
    unit: int
    """Power of two that a unit weighs."""
    total: int
    """Sum of the terms, in units."""
    case: str
    exact: Exact | None
    """What the final rounding gets."""
    decision: Decision | None
    result: Datum


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Record):
    """One rounded operation of a chain."""

    number: int
    operation: str
    operands: tuple[Datum, ...]
    exact: Exact | None
    decision: Decision | None
    result: Datum
    flags: Flags


def blocks(call: Call, row: FusedDotAdd) -> tuple[Block, ...]:
    """Cut the calls of the loop into blocks: each begins with the addend and ends with `finish_block`."""
    found: list[Block] = []
    part: list[Call] = []
    for step in (call for loop in call.find("fused_dot_add") for call in loop.calls):
        part = [step] if step.name == "addend" else [*part, step]
        if step.name == "finish_block":
            first = len(found) * row.terms
            found.append(_block(part, len(found), first, row))
    return tuple(found)


def _block(part: list[Call], number: int, first: int, row: FusedDotAdd) -> Block:
    named = {name: [call for call in part if call.name == name] for name in ("align", "alignment_exponent", "product")}
    finish = part[-1]
    unit = finish.arguments["unit"]
    count = len(named["align"]) - 1
    names = ["c" if number == 0 else "d", *(f"a[{k}]*b[{k}]" for k in range(first, first + count))]
    exponents = [call.result for call in named["alignment_exponent"]]
    given = [part[0].result, *(call.result for call in named["product"][:count])]
    terms = tuple(_term(*of_term, unit) for of_term in zip(names, given, exponents, named["align"], strict=True))
    site = rounding_site(finish)
    value = None if site is None else exact(site, None)
    return Block(
        number=number,
        first=first,
        last=first + count - 1,
        terms=terms,
        largest_exponent=unit + row.fraction_bits,
        unit=unit,
        total=finish.arguments["total"],
        case=_case(finish, site),
        exact=value,
        decision=None if site is None or value is None else decision(site, value),
        result=datum("d", finish.result, row.output),
    )


def _term(name: str, given: tuple[int, int, int, int], alignment: int, aligned: Call, unit: int) -> Term:
    status, sign, exponent, significand = given
    special = status & (Status.nan | Status.plusInfinity | Status.minusInfinity)
    value = None if special else dyadic(sign, exponent, significand)
    return Term(
        name=name,
        value=value,
        alignment=None if alignment == NO_EXPONENT else alignment,
        units=aligned.result,
        lost=None if value is None else value - aligned.result * power(unit),
    )


def _case(finish: Call, site: Call | None) -> str:
    """Say which rule of the block gives the result."""
    status = finish.arguments["status"]
    if status & Status.nan:
        return "a NaN, or infinity times zero: the canonical NaN"
    if status & Status.plusInfinity and status & Status.minusInfinity:
        return "infinities of both signs: the canonical NaN"
    if status & (Status.plusInfinity | Status.minusInfinity):
        return "an infinite term: that infinity"
    if site is None:
        return "the units cancel: +0"
    if site.direct("overflow_result"):
        return "the sum is rounded once: overflow"
    return "the sum is rounded once"


def chain(call: Call, formats: tuple[Format, ...], true: Fraction | None) -> tuple[Step, ...]:
    """Rounded operations in order."""
    layouts = {layout(fmt): fmt for fmt in formats}
    # A conversion from the accumulator's own format only changes the container.
    own = layout(formats[-1])
    rounded = [step for step in _outermost(call) if step.name != "convert" or step.arguments["fields"] != own]
    return tuple(_step(number, step, layouts, true) for number, step in enumerate(rounded))


def _outermost(call: Call) -> list[Call]:
    """Outermost calls of operations that round."""
    if call.name in (*_DEFINITIONS, "finish_exact") and "control" in call.arguments:
        return [call]
    return [step for below in call.calls for step in _outermost(below)]


def _step(number: int, step: Call, layouts: dict[Layout, Format], true: Fraction | None) -> Step:
    given = step.arguments
    fields = given["fields"]
    # The format of the result is `to` where there is one; fma reads its third operand in it.
    target = layouts[given.get("to", fields)]
    source = target if step.name == "finish_exact" else layouts[fields]
    formats = {"a": source, "b": source, "c": target, "bits": source}
    operands = tuple(
        datum(n, given[n], fmt) for n, fmt in formats.items() if n in given and step.name != "finish_exact"
    )
    values = [operand.value for operand in operands]
    site = rounding_site(step)
    value = None
    if site is not None:
        defined = true if step.name == "finish_exact" else _DEFINITIONS[step.name](*values)
        value = exact(site, defined)
    bits, flags = step.result
    return Step(
        number=number,
        operation=step.name,
        operands=operands,
        exact=value,
        decision=None if site is None or value is None else decision(site, value),
        result=datum("result", bits, target),
        flags=Flags(flags),
    )
